'use strict';
// `npm run test:ecosystem [-- FILE…]`: the library beside the tools that its users have (test runners, loaders,
// loggers, package managers, other runtimes), each as it comes from the npm registry. What this machine cannot have is
// said first, by name and reason, and the tests that need it are skipped. The last line counts.

const { runSuite } = require('../support/suite');
const lambda = require('../lambda/support/runtime-clients');
const { installLibrary } = require('./support/projects');
const { SETS, tools } = require('./support/tools');

async function main() {
  await installLibrary();
  for (const name of Object.keys(SETS)) {
    // That of the running Node is not needed.
    if (name === `node-${Number.parseInt(process.versions.node, 10)}`) continue;
    const { missing } = tools(name);
    if (missing !== null) console.log(`missing: ${missing}`);
  }
  for (const [name, reason] of Object.entries(await lambda.install())) {
    console.log(`missing: AWS's runtime client ${name}: ${reason}`);
  }
  await runSuite('ecosystem', __dirname);
}

main();
