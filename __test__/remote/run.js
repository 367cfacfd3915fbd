'use strict';
// `npm run test:remote [-- FILE…]`: calls on other machines over a real Redis, which is installed where it is missing and
// can be. What this machine lacks is printed first, and the tests that need it are skipped. The last line has the counts.

const { runSuite } = require('../support/suite');
const { ensureRedis } = require('./support/redis');

const obstacle = ensureRedis();
if (obstacle !== null) console.log(`missing: ${obstacle}`);
void runSuite('remote', __dirname);
