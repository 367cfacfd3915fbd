'use strict';

/**
 * One Lambda function, three ways to use the machine: a single thread with `Promise.all`, a
 * hand-written `child_process.fork` pool, and `@parallelizer/node`. All get the same Kafka events,
 * call the same `processBatch` and store rows in a database of their own; at the end the three
 * databases must hold the same rows.
 *
 *   npm start
 *   RECORDS=1000 INVOCATIONS=11 WORKERS=4 npm start
 *
 * | environment   | default              | meaning                                               |
 * |---------------|----------------------|-------------------------------------------------------|
 * | `RECORDS`     | 5000                 | records in an event                                   |
 * | `INVOCATIONS` | 5                    | events that every competitor handles, after a warm-up |
 * | `WORKERS`     | one per usable CPU   | processes, for both pools                             |
 *
 * There are two workloads, because they end differently: orders that must be screened (about
 * 0.2 ms of computing each) and orders that already are (a twentieth of that).
 *
 * Exit code: 0; 1 when the rows differ or something failed. Everything is written to a fresh
 * directory under the temp directory, which is removed at the end and on Ctrl-C.
 */

const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SingleBar } = require('cli-progress');
const Table = require('cli-table3');
const { describeMachine, machine } = require('../../benchmark/support/machine.js');
const { alternate, ratios, summarize } = require('../../benchmark/support/rounds.js');
const { count, figure, spread, times } = require('../../benchmark/support/format.js');
const { makeEvent, recordsOf } = require('./event.js');
const { ForkPool, split } = require('./fork-pool.js');
const { PARAMS } = require('./params.js');
const { closeStores, fingerprint } = require('./store.js');
const { processBatch } = require('./worker.js');

const PROMISE_ALL = 'Promise.all';
const FORK_POOL = 'fork pool';
const ADDON = '@parallelizer/node';

const WORKLOADS = [
  { title: 'Orders to screen', topic: 'orders', screened: false },
  { title: 'Orders already screened', topic: 'orders-screened', screened: true },
];

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} storePath
 * @property {(event: import('./event.js').KafkaEvent) => Promise<{ stored: number }>} handler
 * @property {() => unknown} close ends its workers at once
 */

/**
 * @param {string} name
 * @param {number} fallback
 */
function positiveInteger(name, fallback) {
  const value = Number(process.env[name] || fallback);
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a whole number of at least 1, not ${process.env[name]}`);
  }
  return value;
}

/**
 * @param {string} directory
 * @param {number} workers
 * @returns {Contestant[]}
 */
function makeContestants(directory, workers) {
  const storeOf = (/** @type {string} */ name) => path.join(directory, name);
  const total = (/** @type {{ stored: number }[]} */ results) => ({
    stored: results.reduce((sum, { stored }) => sum + stored, 0),
  });

  const threadStore = storeOf('promise-all');
  const threadParams = { ...PARAMS, storePath: threadStore };

  const forkStore = storeOf('fork-pool');
  const forkParams = { ...PARAMS, storePath: forkStore };
  const forkPool = new ForkPool({
    filePath: require.resolve('./worker.js'),
    functionName: 'processBatch',
    size: workers,
  });

  // The handler takes its settings from the environment, as it would on Lambda.
  const addonStore = storeOf('parallelizer');
  Object.assign(process.env, { ORDERS_STORE: addonStore, WORKERS: String(workers) });
  const lambda = require('./handler.js');

  return [
    {
      name: PROMISE_ALL,
      storePath: threadStore,
      // In as many parts as the others: one part's commit overlaps with the next one's computing.
      handler: async (event) => total(await Promise.all(
        split(recordsOf(event), workers).map((batch) => processBatch({
          batch,
          params: threadParams,
          mainLogger: ({ message, params }) => console.warn(message, params),
        })),
      )),
      close: () => {},
    },
    {
      name: FORK_POOL,
      storePath: forkStore,
      handler: async (event) => total(await forkPool.run(recordsOf(event), forkParams)),
      close: () => forkPool.close(),
    },
    {
      name: ADDON,
      storePath: addonStore,
      handler: lambda.handler,
      close: () => lambda.close(),
    },
  ];
}

/**
 * Shows how far the run is: a bar on a terminal, else a line for each round.
 *
 * @param {number} total
 */
function makeProgress(total) {
  if (!process.stdout.isTTY) {
    /** @type {string[]} */
    let line = [];
    return {
      /** @param {{ workload: string, round: number, name: string, rate: number, last: boolean }} step */
      step({ workload, round, name, rate, last }) {
        line.push(`${name} ${figure(rate)}/s`);
        if (!last) return;
        console.log(`${workload}, ${round < 0 ? 'warm-up' : `invocation ${round + 1}`}: ${line.join(', ')}`);
        line = [];
      },
      stop() {},
    };
  }

  const bar = new SingleBar({
    format: '{bar} {value}/{total} {what}',
    stream: process.stdout,
    barsize: 16,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    hideCursor: true,
    // Signals end the run in main(), which stops the bar on its way out.
    gracefulExit: false,
  });
  bar.start(total, 0, { what: '' });
  return {
    /** @param {{ workload: string, name: string, rate: number }} step */
    step({ workload, name, rate }) {
      bar.increment(1, { what: `${workload}: ${name}, ${figure(rate)} records/s` });
    },
    stop: () => bar.stop(),
  };
}

/**
 * @param {Contestant[]} contestants
 * @param {typeof WORKLOADS[number]} workload
 * @param {object} options
 * @param {number} options.records
 * @param {number} options.invocations
 * @param {AbortSignal} options.signal
 * @param {ReturnType<typeof makeProgress>} options.progress
 */
async function measure(contestants, { title, topic, screened }, { records, invocations, signal, progress }) {
  let event = makeEvent({ records: 0 });
  let done = 0;

  return alternate(contestants.map(({ name, handler }) => ({
    name,
    run: () => handler(event),
    after: ({ stored }) => {
      if (stored !== records) throw new Error(`${name} says that it stored ${stored} of ${records} records`);
    },
  })), {
    rounds: invocations,
    signal,
    beforeRound: (round) => {
      // Offsets go on from event to event, so that no invocation overwrites another's rows.
      const number = round + 1;
      event = makeEvent({ records, topic, screened, seed: number, firstOffset: number * records });
    },
    onSample: ({ name, round, milliseconds }) => {
      done += 1;
      progress.step({
        workload: title,
        round,
        name,
        rate: (records / milliseconds) * 1000,
        last: done % contestants.length === 0,
      });
    },
  });
}

/**
 * @param {Contestant[]} contestants
 * @param {number} expected
 * @returns {boolean} whether all stores hold the same rows, as many as there were records
 */
function compareStores(contestants, expected) {
  const found = contestants.map(({ name, storePath }) => ({ name, ...fingerprint(storePath) }));
  const [first, ...others] = found;
  const same = first.rows === expected
    && others.every(({ rows, checksum }) => rows === first.rows && checksum === first.checksum);

  if (same) {
    console.log(`Rows: ${count(expected)} in each store, all the same (sha256 ${first.checksum.slice(0, 16)}…).`);
  } else {
    console.error(`The stores differ; each should hold ${expected} rows:`);
    for (const { name, rows, checksum } of found) console.error(`  ${name}: ${rows} rows, sha256 ${checksum}`);
  }
  return same;
}

/**
 * @param {string} title
 * @param {Map<string, number[]>} samples
 * @param {number} records
 */
function printTable(title, samples, records) {
  const base = samples.get(PROMISE_ALL) ?? [];
  const table = new Table({
    head: [title, 'records/s (median)', 'middle half', `× ${PROMISE_ALL} (middle half)`],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const [name, milliseconds] of samples) {
    const rates = summarize(milliseconds.map((value) => (records / value) * 1000));
    table.push([
      name,
      figure(rates.median),
      spread(rates),
      name === PROMISE_ALL ? '1' : times(ratios(base, milliseconds)),
    ]);
  }
  console.log(table.toString());
}

/**
 * What the figures come to, for someone who wonders whether workers are worth it here.
 *
 * @param {string} title
 * @param {Map<string, number[]>} samples
 * @param {object} settings
 * @param {number} settings.records
 * @param {number} settings.workers
 */
function conclude(title, samples, { records, workers }) {
  const base = samples.get(PROMISE_ALL) ?? [];
  const own = samples.get(ADDON) ?? [];
  const gain = ratios(base, own);
  const perRecord = (/** @type {number[]} */ milliseconds) => (
    `${figure((summarize(milliseconds).median * 1000) / records)} µs`
  );
  const costs = `a record takes ${perRecord(base)} with ${PROMISE_ALL} and ${perRecord(own)} with ${workers} `
    + `${workers === 1 ? 'worker' : 'workers'}`;

  // A tenth is what one would not notice, and what noise can make up.
  if (gain.median >= 1.1 && gain.low > 1) {
    return `${title}: workers pay, ${gain.median.toFixed(2)} times as fast; ${costs}.`;
  }
  let reason = '';
  if (workers === 1) reason = ', as there is but one worker';
  else if (os.availableParallelism() === 1) reason = ', as there is but one usable CPU';
  return `${title}: ${PROMISE_ALL} is ${gain.median < 0.9 ? 'better' : 'as good'} here${reason}; ${costs}.`;
}

async function main() {
  const records = positiveInteger('RECORDS', 5000);
  const invocations = positiveInteger('INVOCATIONS', 5);
  const workers = positiveInteger('WORKERS', os.availableParallelism());

  const directory = mkdtempSync(path.join(os.tmpdir(), 'kafka-lambda-'));
  const interruption = new AbortController();
  /** @type {Contestant[]} */
  let contestants = [];
  /** @type {ReturnType<typeof makeProgress> | undefined} */
  let progress;

  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      interruption.abort(signal);
      // Nobody waits for the invocation under way: without its workers it fails at once.
      for (const { close } of contestants) close();
    });
  }

  try {
    contestants = makeContestants(directory, workers);

    const size = JSON.stringify(makeEvent({ records })).length / 1e6;
    console.log(describeMachine(machine()));
    console.log(
      `${count(records)} records an event (${size.toFixed(1)} MB as JSON; Lambda takes 6), `
      + `${invocations} invocations after a warm-up, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    );

    progress = makeProgress(WORKLOADS.length * contestants.length * (invocations + 1));
    const results = [];
    for (const workload of WORKLOADS) {
      const samples = await measure(contestants, workload, {
        records, invocations, progress, signal: interruption.signal,
      });
      results.push({ title: workload.title, samples });
    }
    progress.stop();

    for (const { title, samples } of results) printTable(title, samples, records);
    for (const { title, samples } of results) console.log(conclude(title, samples, { records, workers }));
    if (!compareStores(contestants, WORKLOADS.length * (invocations + 1) * records)) process.exitCode = 1;
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    progress?.stop();
    // Writers first: one that is still starting would make its directory anew.
    await Promise.all(contestants.map(({ close }) => close()));
    await closeStores();
    rmSync(directory, { recursive: true, force: true });
  }

  // The handler was for once: now the signal does what it would have done.
  if (interruption.signal.aborted) process.kill(process.pid, interruption.signal.reason);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
