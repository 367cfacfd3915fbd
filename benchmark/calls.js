'use strict';

/**
 * The cost of a call that does nothing: the round trip of one call at a time and of a few at once, with the cores free
 * and with everything on one core, and calls per second with 20,000 under way. And two calls at once that compute for a
 * millisecond, after a pause: whether both cores are awake by then, and used.
 *
 *   node benchmark/calls.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, own, OWN_NAME } = require('./support/peers/index.js');
const { Suite } = require('./support/suite.js');
const { burn, stepsPerMillisecond } = require('./support/work.js');

const UNDER_WAY = 20_000;
const TRIPS = 1000;
/** So many calls at once. */
const FEW = [2, 8];
const FEW_TRIPS = 200;
/** Two calls at once, after a pause of so many milliseconds. */
const PAIRS = 20;
const PAUSE = 5;
/** Some thousand calls, until the compiler has optimized every contender's code. */
const WARMUPS = 8;
const ONE_CORE = 'one-core';

async function main() {
  const { rounds, quick, workers, part } = optionsFromArgv({ rounds: 15 });
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const suite = new Suite(part === ONE_CORE ? 'calls-one-core' : 'calls', {
    workers,
    trips: TRIPS,
    'under way': UNDER_WAY,
  });
  const everyone = contenders();
  // What polling before sleeping contributes.
  const still = /** @type {const} */ (['child', 'threads'])
    .map((mode) => own(mode, { name: `${OWN_NAME}, spin: false`, spin: false }));

  await withStarted([...everyone, ...still], task, workers, async (started) => {
    const rows = await contest(started, {
      rounds,
      warmups: WARMUPS,
      run: async (peer) => {
        let sum = 0;
        for (let trip = 0; trip < TRIPS; trip += 1) sum += await peer.call(trip);
        return sum;
      },
      after: (sum) => assert.equal(sum, (TRIPS * (TRIPS - 1)) / 2),
      sample: (milliseconds) => (milliseconds * 1000) / TRIPS,
    });
    const where = part === ONE_CORE ? 'everything on one core' : `${os.availableParallelism()} cores`;
    suite.section({ id: 'round-trip', title: `Round trip of a no-op call, ${where}`, unit: 'µs', rows: inOrder(rows) });

    for (const count of FEW) {
      const few = await contest(started, {
        rounds,
        run: async (peer) => {
          let sum = 0;
          for (let trip = 0; trip < FEW_TRIPS; trip += 1) {
            const calls = Array.from({ length: count }, () => peer.call(trip));
            sum += (await Promise.all(calls)).reduce((total, value) => total + value, 0);
          }
          return sum;
        },
        after: (sum) => assert.equal(sum, (count * FEW_TRIPS * (FEW_TRIPS - 1)) / 2),
        sample: (milliseconds) => (milliseconds * 1000) / FEW_TRIPS,
      });
      const title = `${count} no-op calls at once, ${where}`;
      suite.section({ id: `${count}-at-once`, title, unit: 'µs', rows: inOrder(few) });
    }
  });

  if (part !== ONE_CORE) {
    const items = [...Array(UNDER_WAY).keys()];
    await withStarted(everyone, task, workers, async (started) => {
      const rows = await contest(started, {
        rounds,
        run: (peer) => Promise.all(items.map((item) => peer.call(item))),
        after: (results) => assert.deepEqual(results, items),
        sample: (milliseconds) => UNDER_WAY / milliseconds,
      });
      suite.section({
        id: 'throughput',
        title: `No-op calls, ${UNDER_WAY.toLocaleString('en')} under way`,
        unit: '1,000 calls/s',
        better: 'higher',
        rows,
      });
    });
    await inPairs([...everyone, ...still], { rounds, workers, suite });
    onOneCore(rounds, quick);
  }
  suite.save();
}

/**
 * @param {import('./support/contest.js').Contender[]} contenders
 * @param {{ rounds: number, workers: number, suite: InstanceType<typeof Suite> }} of
 */
async function inPairs(contenders, { rounds, workers, suite }) {
  const steps = Math.round(stepsPerMillisecond());
  const expected = burn(steps);
  const task = { filePath: require.resolve('./support/work.js'), name: 'burn' };
  await withStarted(contenders, task, workers, async (started) => {
    const rows = await contest(started, {
      rounds,
      run: async (peer) => {
        let milliseconds = 0;
        for (let pair = 0; pair < PAIRS; pair += 1) {
          await sleep(PAUSE);
          const begin = performance.now();
          const results = await Promise.all([peer.call(steps), peer.call(steps)]);
          milliseconds += performance.now() - begin;
          assert.deepEqual(results, [expected, expected]);
        }
        return milliseconds;
      },
      sample: (_milliseconds, milliseconds) => milliseconds / PAIRS,
    });
    const title = `Two calls of 1 ms at once, ${PAUSE} ms after the last`;
    suite.section({ id: 'pairs', title, unit: 'ms', rows: inOrder(rows) });
  });
}

/** @template {{ mode: string }} T @param {T[]} rows @returns {T[]} grouped by mode */
function inOrder(rows) {
  const modes = [...new Set(rows.map(({ mode }) => mode))];
  return modes.flatMap((mode) => rows.filter((row) => row.mode === mode));
}

/** The same again with everything on one core. @param {number} rounds @param {boolean} quick */
function onOneCore(rounds, quick) {
  const args = [
    '-c',
    '0',
    process.execPath,
    __filename,
    '--part',
    ONE_CORE,
    '--rounds',
    String(rounds),
    ...(quick ? ['--quick'] : []),
  ];
  const { status, error } = spawnSync('taskset', args, { stdio: 'inherit' });
  if (error) console.log(`\nNot measured on one core: ${error.message}`);
  else if (status !== 0) process.exitCode = 1;
}

runSuite(main);
