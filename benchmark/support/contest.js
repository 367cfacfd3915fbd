'use strict';

/** Contenders doing the same work, by turns within each round. */

const { alternate } = require('./rounds.js');

/** @typedef {import('./peers/index.js').Contender} Contender */
/** @typedef {import('./peers/index.js').Peer} Peer */
/** @typedef {import('./peers/index.js').Task} Task */
/** @typedef {import('./suite.js').Row} Row */

/** @typedef {Contender & { peer: Peer }} Started */

/**
 * @template T
 * @param {Contender[]} contenders
 * @param {Task} task
 * @param {number} workers
 * @param {(started: Started[]) => Promise<T>} use
 */
async function withStarted(contenders, task, workers, use) {
  const started = contenders.map((contender) => ({ ...contender, peer: contender.make(task) }));
  /** @type {Started[]} */
  const running = [];
  try {
    for (const contender of started) {
      await within(60_000, `${contender.name}, ${contender.mode}: start`, contender.peer.start(workers));
      running.push(contender);
    }
    return await use(started);
  } finally {
    for (const { name, mode, peer } of running) {
      // Some peers do not always stop; the figures are valid all the same.
      await within(5000, `${name}, ${mode}: stop`, peer.stop()).catch((error) => console.error(error.message));
    }
  }
}

/**
 * @param {Started[]} started
 * @param {object} contest
 * @param {(peer: Peer, contender: Started, round: number) => Promise<any>} contest.run
 * @param {(result: any, contender: Started) => unknown} [contest.after] checks the result; not timed
 * @param {(milliseconds: number, result: any) => number} [contest.sample] the figure, if it is not the time
 * @param {number} contest.rounds
 * @param {number} [contest.warmups]
 * @returns {Promise<Row[]>}
 */
async function contest(started, { run, after, sample, rounds, warmups = 2 }) {
  const samples = await alternate(
    started.map((contender, index) => ({
      name: String(index),
      run: (round) => run(contender.peer, contender, round),
      after: (result) => after?.(result, contender),
      sample,
    })),
    { rounds, warmups },
  );
  return started.map(({ name, mode, kind }, index) => ({
    name,
    mode,
    kind,
    samples: samples.get(String(index)) ?? [],
  }));
}

/**
 * @template T
 * @param {number} milliseconds
 * @param {string} what
 * @param {Promise<T>} promise
 */
async function within(milliseconds, what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes more than ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs a suite's `main`, and exits with a status.
 *
 * @param {() => Promise<void>} main
 */
function runSuite(main) {
  // Exits explicitly, since some peers leave handles behind.
  main().then(() => process.exit(), (error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { contest, runSuite, withStarted };
