'use strict';
// `npm run test:remote [-- FILE…]`: calls on other machines over a real Redis, which is installed where it is missing and
// can be. What this machine lacks is printed first, and the tests that need it are skipped. The last line has the counts.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { root } = require('../support/helpers');
const { runSuite } = require('../support/suite');
const { ensureRedis } = require('./support/redis');

const obstacle = ensureRedis();
if (obstacle !== null) console.log(`missing: ${obstacle}`);

/** Files of shared cases that hold for calls on other machines, too: what they say of workers is a host's. */
const SHARED = ['bad-options', 'batch-size', 'concurrent-runs', 'emit', 'pool-deaths', 'retries', 'task-references'];

/** Runs those files in mode `remote`, over an engine in memory. */
function runShared() {
  const files = SHARED.map((name) => path.join(root, '__test__', `${name}.test.js`));
  const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
    cwd: root,
    env: {
      ...process.env,
      NODE_OPTIONS: `--require ${path.join(root, '__test__', 'support', 'remote', 'mode.js')}`,
      PARALLELIZER_TEST_MODES: 'remote',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}

// Not where files were named: those are of this folder.
const isWell = process.argv.length > 2 || runShared();
void runSuite('remote', __dirname).then(() => {
  if (isWell) return;
  console.log('failed: shared cases in mode remote');
  process.exitCode = 1;
});
