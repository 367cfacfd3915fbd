'use strict';

/**
 * The round trip of 1,000 Kafka records of about 900 bytes to two workers that return what they got. The fork pool
 * sends one JSON message per sub-batch and child.
 *
 *   node benchmark/kafka-records.js [--rounds 30]
 */

const assert = require('node:assert/strict');
const { Parallelizer, PARALLELIZER_CHILD } = require('@parallelizer/node');
const { makeEvent, recordsOf } = require('../examples/kafka-lambda/event.js');
const { ForkPool } = require('../examples/kafka-lambda/fork-pool.js');
const { report, roundsFromArgv } = require('./support/report.js');
const { alternate } = require('./support/rounds.js');

const RECORDS = 1000;
const WORKERS = 2;
/** One run takes a few milliseconds, too short to be timed alone. */
const RUNS_PER_SAMPLE = 10;

/**
 * @template T
 * @param {() => Promise<T>} run
 * @returns {Promise<T>} the last result
 */
async function repeat(run) {
  for (let count = 1; count < RUNS_PER_SAMPLE; count += 1) await run();
  return run();
}

async function main() {
  const rounds = roundsFromArgv(30);
  const filePath = require.resolve('./support/echo.js');
  const batch = recordsOf(makeEvent({ records: RECORDS }));
  const bytes = JSON.stringify(batch).length / RECORDS;

  const forkPool = new ForkPool({ filePath, functionName: 'echo', size: WORKERS });
  const parallelizer = new Parallelizer({
    type: PARALLELIZER_CHILD,
    filePath,
    processBatchFunctionName: 'echo',
    parallelization: WORKERS,
  });

  const after = (/** @type {object[][]} */ parts) => assert.deepEqual(parts.flat(), batch);

  try {
    const samples = await alternate([
      { name: 'fork pool', run: () => repeat(() => forkPool.run(batch)), after },
      {
        name: '@parallelizer/node',
        run: () => repeat(async () => (await parallelizer.run(batch)).responses),
        after,
      },
    ], { rounds, warmups: 3 });

    for (const [name, list] of samples) {
      samples.set(name, list.map((milliseconds) => milliseconds / RUNS_PER_SAMPLE));
    }
    report({
      name: 'kafka-records',
      title: 'Kafka records to the workers and back',
      samples,
      unit: 'batch',
      bases: ['fork pool'],
      setting: { records: RECORDS, 'bytes per record': Math.round(bytes), workers: WORKERS },
    });
  } finally {
    await Promise.all([forkPool.close(), parallelizer.terminate()]);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
