'use strict';
// `npm run test:ecosystem [-- FILE…]`: the library beside the tools that its users have (test runners, loaders,
// loggers, package managers, other runtimes), each as it comes from the npm registry. What this machine cannot have is
// said first, by name and reason, and the tests that need it are skipped. The last line counts.

const { runSuite } = require('../support/suite');
const lambda = require('../lambda/support/runtime-clients');
const { installLibrary } = require('./support/projects');
const { NODES, SETS, whyMissing } = require('./support/tools');

async function main() {
  await installLibrary();
  const sets = /** @type {import('./support/tools').SetName[]} */ (Object.keys(SETS));
  for (const need of [...sets, ...NODES]) {
    const missing = whyMissing([need]);
    if (missing !== null) console.log(`missing: ${missing}`);
  }
  for (const [name, reason] of Object.entries(await lambda.install())) {
    console.log(`missing: AWS's runtime client ${name}: ${reason}`);
  }
  await runSuite('ecosystem', __dirname);
}

main();
