'use strict';

/**
 * Two kinds of work in one run, each on the carrier that suits it: 4 key derivations that only compute, on threads, and
 * 100 records with computing and files, on child processes. Compared with `Promise.all` over both in this thread.
 *
 *   node benchmark/mixed.js [--rounds 10]
 */

const assert = require('node:assert/strict');
const { Parallelizer, PARALLELIZER_CHILD, PARALLELIZER_THREADS } = require('@parallelizer/node');
const { processBatch } = require('./support/cpu-io.js');
const { derive } = require('./support/derive.js');
const { report, roundsFromArgv } = require('./support/report.js');
const { alternate } = require('./support/rounds.js');

const DERIVATIONS = 4;
const RECORDS = 100;

async function main() {
  const rounds = roundsFromArgv(10);
  const secrets = Array.from({ length: DERIVATIONS }, (_, i) => `secret ${i}`);
  const records = [...Array(RECORDS).keys()];
  const parallelizer = new Parallelizer([
    {
      id: 'derive',
      type: PARALLELIZER_THREADS,
      filePath: require.resolve('./support/derive.js'),
      processBatchFunctionName: 'derive',
    },
    {
      id: 'store',
      type: PARALLELIZER_CHILD,
      filePath: require.resolve('./support/cpu-io.js'),
      processBatchFunctionName: 'processBatch',
    },
  ]);
  const expected = { keys: derive({ batch: secrets }), sums: await processBatch({ batch: records }) };
  const after = (/** @type {object} */ result) => assert.deepEqual(result, expected);

  try {
    await parallelizer.ready();
    const samples = await alternate(
      [
        {
          name: 'Promise.all',
          run: async () => {
            const [keys, sums] = await Promise.all([derive({ batch: secrets }), processBatch({ batch: records })]);
            return { keys, sums };
          },
          after,
        },
        {
          name: '@parallelizer/node',
          run: async () => {
            const [derived, stored] = await parallelizer.run([
              { id: 'derive', batch: secrets },
              { id: 'store', batch: records },
            ]);
            return { keys: derived.responses.flat(), sums: stored.responses.flat() };
          },
          after,
        },
      ],
      { rounds, warmups: 1 },
    );
    report({
      name: 'mixed',
      title: 'Threads and child processes in one run: key derivation, and records with files',
      samples,
      unit: 'run',
      bases: ['Promise.all'],
      setting: { derivations: DERIVATIONS, records: RECORDS },
    });
  } finally {
    await parallelizer.terminate();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
