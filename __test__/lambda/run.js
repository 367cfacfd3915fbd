'use strict';
// `npm run test:lambda [-- FILE…]`: the library in AWS's own runtime client, in a box with Lambda's limits. Installs
// what that needs (see support/runtime-clients.js), then runs the test files here. What this machine lacks is printed
// first, and the tests that need it are skipped. The last line has the counts.

const { runSuite } = require('../support/suite');
const { CLIENTS, install } = require('./support/runtime-clients');

async function main() {
  const missing = await install();
  for (const [name, reason] of Object.entries(missing)) {
    console.log(`missing: ${CLIENTS[name] ? `AWS's runtime client ${CLIENTS[name].version}` : name}: ${reason}`);
  }
  await runSuite('lambda', __dirname);
}

main();
