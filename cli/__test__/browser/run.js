'use strict';
// `npm run test:browser`: the page of `parallelizer trace` in a real browser. If there is none to be had, that is said,
// and the tests are skipped. The last line counts.

const { runSuite } = require('../../../__test__/support/suite');
const { install } = require('./support');

const missing = install();
if (missing !== null) console.log(`missing: ${missing}`);
runSuite('browser', __dirname);
