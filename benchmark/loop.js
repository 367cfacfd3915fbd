'use strict';

/**
 * How long the main event loop is blocked while 200,000 small items go out and their results come back: the longest gap
 * between two turns, as seen by a chain of `setImmediate` and by `perf_hooks.monitorEventLoopDelay`.
 *
 *   node benchmark/loop.js [--rounds 7] [--quick]
 */

const assert = require('node:assert/strict');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { Parallelizer } = require('@parallelizer/node');
const { ForkPool } = require('../examples/kafka-lambda/fork-pool.js');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, own, typeOf } = require('./support/peers/index.js');
const { Suite } = require('./support/suite.js');

const ITEMS = 200_000;
/** What a caller that cares for its event loop submits in one turn. */
const SLICE = 1000;

/** @typedef {import('./support/peers/index.js').Contender} Contender */
/** @typedef {import('./support/peers/index.js').Mode} Mode */
/** @typedef {{ gap: number, delay: number, caller: number, total: number }} Held milliseconds */

/**
 * @param {() => Promise<any>} work
 * @returns {Promise<Held & { result: any }>}
 */
async function held(work) {
  let gap = 0;
  let last = 0;
  let watching = true;
  const turn = () => {
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
    if (watching) setImmediate(turn);
  };
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  // Garbage of the previous round is collected before this one, not during it.
  globalThis.gc?.();
  monitor.enable();
  // The monitor counts from its second tick on.
  await sleep(20);
  monitor.reset();

  last = performance.now();
  setImmediate(turn);
  // The chain has to be running when the work begins.
  await new Promise((resolve) => { setImmediate(resolve); });
  gap = 0;
  const begin = performance.now();
  const pending = work();
  const caller = performance.now() - begin;
  const result = await pending;
  const total = performance.now() - begin;
  gap = Math.max(gap, performance.now() - last);
  watching = false;
  // The monitor's tick after the last gap.
  await sleep(5);
  monitor.disable();
  return { gap, delay: monitor.max / 1e6, caller, total, result };
}

/**
 * @param {Mode} mode
 * @param {string} functionName
 * @returns {Contender}
 */
function byRun(mode, functionName) {
  return {
    name: functionName === 'count' ? 'run, a number back' : 'run, all back',
    mode,
    kind: 'own',
    make: () => {
      const parallelizer = new Parallelizer({
        type: typeOf(mode),
        filePath: require.resolve('./support/work-batch.js'),
        processBatchFunctionName: functionName,
        parallelization: 2,
      });
      return {
        start: () => parallelizer.ready(),
        call: (item) => parallelizer.run([item]),
        run: async (list) => {
          const { responses, errors } = await parallelizer.run(list);
          if (errors.length > 0) throw errors[0];
          return functionName === 'count' ? responses : responses.flat().map(({ id }) => id);
        },
        stop: () => parallelizer.terminate(),
      };
    },
  };
}

/**
 * @param {Contender} contender
 * @param {string} name
 * @param {(peer: import('./support/peers/index.js').Peer, list: any[]) => Promise<any[]>} run
 * @returns {Contender}
 */
function by(contender, name, run) {
  return {
    ...contender,
    name,
    make: (task) => {
      const peer = contender.make(task);
      return {
        start: (workers) => peer.start(workers),
        call: (item) => peer.call(item),
        run: (list) => run(peer, list),
        stop: () => peer.stop(),
      };
    },
  };
}

/** @param {import('./support/peers/index.js').Peer} peer @param {any[]} list */
const allAtOnce = (peer, list) => Promise.all(list.map((item) => peer.call(item)));

/** @param {import('./support/peers/index.js').Peer} peer @param {any[]} list */
async function inSlices(peer, list) {
  /** @type {Promise<any>[]} */
  const pending = [];
  for (let begin = 0; begin < list.length; begin += SLICE) {
    for (const item of list.slice(begin, begin + SLICE)) pending.push(peer.call(item));
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  return Promise.all(pending);
}

/** @returns {Contender} */
function forkPool() {
  return {
    name: 'fork, one message per child',
    mode: 'child',
    kind: 'handwritten',
    make: () => {
      const pool = new ForkPool({
        filePath: require.resolve('./support/work-batch.js'),
        functionName: 'idOf',
        size: 2,
      });
      return {
        start: async () => {
          await pool.run([{ id: 0 }, { id: 0 }]);
        },
        call: (item) => pool.run([item]),
        run: async (list) => (await pool.run(list)).flat(),
        stop: async () => {
          await pool.close();
        },
      };
    },
  };
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 7 });
  const suite = new Suite('loop', { workers, items: ITEMS });
  const task = { filePath: require.resolve('./support/work.js'), name: 'idOf', probe: { id: 0 } };
  const items = Array.from({ length: ITEMS }, (_, id) => ({ id }));
  const ids = items.map(({ id }) => id);
  const piscina = contenders().filter(({ name }) => name === 'piscina')[0];
  const mode = (/** @type {Mode} */ which) => [
    byRun(which, 'count'),
    byRun(which, 'echo'),
    by(own(which), 'map', (peer, list) => peer.run(list)),
    by(own(which), 'apply, all at once', allAtOnce),
    by(own(which), `apply, ${SLICE.toLocaleString('en')} per turn`, inSlices),
  ];

  const players = [
    ...mode('child'),
    forkPool(),
    ...mode('threads'),
    by(piscina, 'piscina, all at once', allAtOnce),
  ];
  await withStarted(players, task, workers, async (started) => {
    /** @type {Map<string, Held[]>} */
    const all = new Map();
    const rows = await contest(started, {
      rounds,
      warmups: 1,
      run: (peer) => held(() => peer.run(items)),
      after: ({ result, ...times }, { name, mode: which }) => {
        if (name.startsWith('run, a number'))
          assert.equal(
            result.reduce((/** @type {number} */ sum, /** @type {number} */ count) => sum + count, 0),
            ITEMS,
          );
        else assert.deepEqual(result, ids);
        const key = `${which} ${name}`;
        all.set(key, [...(all.get(key) ?? []), times]);
      },
      sample: (_milliseconds, { gap }) => gap,
    });
    suite.section({
      id: 'gap',
      title: `Longest gap between two turns, ${ITEMS.toLocaleString('en')} items`,
      unit: 'ms',
      rows,
      against: [],
    });
    const further = (/** @type {keyof Held} */ what) =>
      rows.map((row) => ({
        ...row,
        samples: (all.get(`${row.mode} ${row.name}`) ?? []).slice(-rounds).map((times) => times[what]),
      }));
    suite.section({
      id: 'delay',
      title: 'The same by monitorEventLoopDelay (1 ms resolution)',
      unit: 'ms',
      rows: further('delay'),
      against: [],
      chart: false,
    });
    suite.section({
      id: 'caller',
      title: 'Of it, the submitting call itself until it returns',
      unit: 'ms',
      rows: further('caller'),
      against: [],
      chart: false,
    });
    suite.section({
      id: 'total',
      title: 'Until all results are there',
      unit: 'ms',
      rows: further('total'),
      against: [],
      chart: false,
    });
  });
  suite.save();
}

runSuite(main);
