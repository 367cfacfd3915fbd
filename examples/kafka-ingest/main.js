'use strict';

/**
 * From a Kafka topic through Lambda events and workers into a database, and what the workers are worth.
 *
 *   npm start
 *   npm start -- --store postgres --kill 5
 *
 * | option         | default         | meaning                                                                |
 * |----------------|-----------------|------------------------------------------------------------------------|
 * | `--store`      | `lmdb`          | `lmdb`, a file of this run, or `postgres`, a server of this run         |
 * | `--records`    | 20000           | records in the topic                                                   |
 * | `--batch-size` | 1000            | most records of an event                                               |
 * | `--workers`    | one per vCPU    | processes                                                              |
 * | `--kill`       | 0               | so many workers get a SIGKILL, each in the middle of an invocation     |
 *
 * Exit code: 0 if each record of the topic is in each store once; else 1. All there is to it is on 127.0.0.1 and in
 * temporary directories, and gone at the end.
 */

const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const Table = require('cli-table3');
const { count, figure, spread, times } = require('../../benchmark/support/format.js');
const { ratios, summarize } = require('../../benchmark/support/rounds.js');
const { ingest } = require('./ingest.js');
const { startPostgres } = require('./postgres-server.js');

const SETTINGS = {
  store: { type: 'string', default: 'lmdb' },
  records: { type: 'string', default: '20000' },
  'batch-size': { type: 'string', default: '1000' },
  workers: { type: 'string', default: '0' },
  kill: { type: 'string', default: '0' },
};

const STORES = ['lmdb', 'postgres'];

/** @typedef {Awaited<ReturnType<typeof ingest>>} Outcome */

function readSettings() {
  const { values } = parseArgs({ options: SETTINGS });
  const number = (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new RangeError(`--${name} must be a whole number from ${least} to ${most}, not '${values[name]}'`);
  };
  if (!STORES.includes(values.store)) throw new RangeError(`--store must be ${STORES.join(' or ')}, not '${values.store}'`);
  return {
    store: values.store,
    records: number('records', 1, 1_000_000),
    batchSize: number('batch-size', 1, 10_000),
    workers: number('workers', 0, 1024),
    kill: number('kill', 0, 1_000_000),
  };
}

const NAMES = ['one-thread', 'workers'];

/**
 * @param {string} store
 * @param {string} directory for what is to be gone at the end
 */
async function openStores(store, directory) {
  if (store === 'postgres') return startPostgres(NAMES);
  return { url: (/** @type {string} */ name) => `lmdb:${path.join(directory, name)}`, stop: async () => {} };
}

/**
 * What the workers are worth: only full events that were done at the first try count, each against the other
 * function's of the same round; the first round is for warming up.
 *
 * @param {Outcome} outcome
 * @param {number} batchSize
 */
function figures({ contenders }, batchSize) {
  const rounds = Math.min(...contenders.map(({ deliveries }) => deliveries.length));
  const counted = Array.from({ length: rounds }, (_, round) => round).filter((round) => (
    round > 0 && contenders.every(({ deliveries }) => deliveries[round].completed === batchSize)
  ));
  return contenders.map(({ deliveries }) => counted.map((round) => deliveries[round].milliseconds));
}

/** @param {Outcome} outcome @param {{ records: number, batchSize: number }} settings */
function printTable(outcome, { batchSize }) {
  const [base, own] = figures(outcome, batchSize);
  const table = new Table({
    head: ['function', 'records/s (median)', 'middle half', 'events', 'delivered', 'in the store'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const [index, { name, deliveries, stored }] of outcome.contenders.entries()) {
    const milliseconds = [base, own][index];
    const rates = summarize(milliseconds.map((value) => (batchSize / value) * 1000));
    table.push([
      name,
      milliseconds.length > 0 ? figure(rates.median) : '–',
      milliseconds.length > 0 ? spread(rates) : '–',
      count(deliveries.length),
      count(deliveries.reduce((sum, { records }) => sum + records, 0)),
      count(stored.rows),
    ]);
  }
  console.log(table.toString());
  if (base.length > 0) {
    console.log(`${outcome.contenders[1].name}: ${times(ratios(base, own))} as fast as one thread, over ${base.length} pairs of events`);
  } else {
    console.log('No figures: they take two full events of each, the first of which does not count');
  }
}

/** @param {Outcome} outcome @param {number} records @returns {boolean} whether each record is in each store once */
function compare({ contenders, workers }, records) {
  for (const { name, deliveries, stored } of contenders) {
    const again = deliveries.reduce((sum, { redelivered }) => sum + redelivered, 0);
    const killed = deliveries.filter((delivery) => delivery.killed).length;
    if (killed > 0) console.log(`${name}: ${count(killed)} killed, ${count(again)} records delivered again`);
    if (stored.complete && stored.rows === records) continue;
    console.error(`${name}: ${stored.rows} rows, which are not the ${records} records of the topic`);
    return false;
  }
  const [{ stored }] = contenders;
  if (contenders.some((one) => one.stored.checksum !== stored.checksum)) {
    console.error(`The stores differ: ${contenders.map((one) => one.stored.checksum).join(', ')}`);
    return false;
  }
  console.log(
    `Stores: each of ${count(records)} records once (${count(stored.rejected)} as rejected), the same rows in both `
    + `(sha256 ${stored.checksum.slice(0, 16)}…); ${count(workers.restarts)} workers replaced`,
  );
  return true;
}

async function main() {
  const settings = readSettings();
  const interruption = new AbortController();
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => interruption.abort(signal));
  }

  const directory = mkdtempSync(path.join(os.tmpdir(), 'kafka-ingest-'));
  /** @type {Awaited<ReturnType<typeof openStores>> | undefined} */
  let stores;
  try {
    stores = await openStores(settings.store, directory);
    const outcome = await ingest({
      ...settings,
      storeUrl: stores.url,
      signal: interruption.signal,
      log: console.log,
    });
    printTable(outcome, settings);
    if (!compare(outcome, settings.records)) process.exitCode = 1;
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await stores?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  // What the signal would have done had nobody been there to tidy up.
  if (interruption.signal.aborted) process.kill(process.pid, interruption.signal.reason);
}

main().catch((error) => {
  console.error(error instanceof RangeError || error.code?.startsWith('ERR_PARSE_ARGS') ? error.message : error);
  process.exitCode = 1;
});
