'use strict';
// `npm run test:remote`: calls on other machines over a real Redis, which is installed where it is missing and can be,
// and a part of the shared cases in mode `remote`. What this machine lacks is printed first, and the tests that need it
// are skipped. The last line has the counts.
//
//   npm run test:remote -- redis              the files of this folder that begin so
//   npm run test:remote -- table [FILE…]      all shared cases, or those files, in mode `remote`
//   npm run test:remote -- chaos [ROUNDS]     see chaos.js
//   npm run test:remote -- table-redis FILE…  the same over BullMQ, with hosts that are processes of their own

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { root } = require('../support/helpers');
const { runSuite } = require('../support/suite');
const { ensureRedis, redisOn } = require('./support/redis');

/** Those of the shared cases that are run without being named: settling, deaths, limits, order, values, paths. */
const SHORT = [
  'bad-options', 'chaos', 'close', 'concurrent-runs', 'errors', 'module-errors', 'opentelemetry', 'pool-concurrency',
  'retries', 'signal', 'task-references',
];
/** Those about what is of one machine only, and of handlers of events, which make instances of their own. */
const LOCAL = /^(lambda-.*|cold-start|parent-death|nesting|worker-thread-owner|realms|watch-mode)$/;

/** The names of the files that have shared cases. */
function sharedFiles() {
  const folder = path.join(root, '__test__');
  return fs.readdirSync(folder)
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => fs.readFileSync(path.join(folder, file), 'utf8').includes('forEachMode'))
    .map((file) => path.basename(file, '.test.js'))
    .filter((name) => !LOCAL.test(name));
}

/**
 * Runs shared cases in mode `remote`: over an engine in memory, or over this Redis.
 * @param {string[]} names @param {{ host: string, port: number } | null} connection
 */
function runShared(names, connection) {
  const files = names.map((name) => path.join(root, '__test__', `${name}.test.js`));
  const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
    cwd: root,
    env: {
      ...process.env,
      NODE_OPTIONS: `--require ${path.join(root, '__test__', 'support', 'remote', 'mode.js')}`,
      PARALLELIZER_TEST_MODES: 'remote',
      ...(connection === null ? {} : { PARALLELIZER_TEST_REDIS: JSON.stringify(connection) }),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}

/** Runs shared cases over a server that ends with them. @param {string[]} names */
async function runOverRedis(names) {
  /** @type {(() => unknown)[]} */
  const ends = [];
  const { connection } = await redisOn({ after: (/** @type {() => unknown} */ end) => ends.push(end) });
  try {
    return runShared(names, connection);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function main() {
  if (process.argv[2] === 'chaos') {
    const [rounds = 3, seed = 1] = process.argv.slice(3).map(Number);
    await require('./chaos').chaos(rounds, seed);
    return;
  }
  const obstacle = ensureRedis();
  if (obstacle !== null) console.log(`missing: ${obstacle}`);
  const [first, ...names] = process.argv.slice(2);
  if (first === 'table' || first === 'table-redis') {
    if (first === 'table-redis' && obstacle !== null) throw new Error(obstacle);
    const wanted = names.length === 0 ? sharedFiles() : names;
    const isWell = first === 'table' ? runShared(wanted, null) : await runOverRedis(wanted);
    process.exitCode = isWell ? 0 : 1;
    return;
  }
  // Not where files were named: those are of this folder.
  const isWell = first !== undefined || runShared(SHORT, null);
  await runSuite('remote', __dirname);
  if (isWell) return;
  console.log('failed: shared cases in mode remote');
  process.exitCode = 1;
}

void main();
