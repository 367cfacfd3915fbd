'use strict';

/**
 * A batch of 100 records, with computing and a little I/O for each: in this thread with `Promise.all`, in a
 * hand-written fork pool, and in as many child processes of this package.
 *
 *   node benchmark/batch.js [--rounds 15]
 */

const assert = require('node:assert/strict');
const os = require('node:os');
const { Parallelizer, PARALLELIZER_CHILD } = require('@parallelizer/node');
const { ForkPool } = require('../examples/kafka-lambda/fork-pool.js');
const { processBatch } = require('./support/cpu-io.js');
const { report, roundsFromArgv } = require('./support/report.js');
const { alternate } = require('./support/rounds.js');

const RECORDS = 100;

async function main() {
  const rounds = roundsFromArgv(15);
  const workers = os.availableParallelism();
  const filePath = require.resolve('./support/cpu-io.js');
  const batch = [...Array(RECORDS).keys()];

  const forkPool = new ForkPool({ filePath, functionName: 'processBatch', size: workers });
  const parallelizer = new Parallelizer({
    type: PARALLELIZER_CHILD,
    filePath,
    processBatchFunctionName: 'processBatch',
    parallelization: workers,
  });

  const expected = await processBatch({ batch });
  // If the compiler had optimized an addition away, or a record had got lost, it would show here.
  const after = (/** @type {number[]} */ sums) => assert.deepEqual(sums, expected);

  try {
    const samples = await alternate([
      { name: 'Promise.all', run: () => processBatch({ batch }), after },
      { name: 'fork pool', run: async () => (await forkPool.run(batch)).flat(), after },
      {
        name: '@parallelizer/node',
        run: async () => (await parallelizer.run(batch)).responses.flat(),
        after,
      },
    ], { rounds, warmups: 2 });

    report({
      name: 'batch',
      title: 'CPU and I/O: 1,000,000 additions, one file created and deleted per record',
      samples,
      unit: 'batch',
      bases: ['Promise.all', 'fork pool'],
      setting: { records: RECORDS, workers },
    });
  } finally {
    await Promise.all([forkPool.close(), parallelizer.terminate()]);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
