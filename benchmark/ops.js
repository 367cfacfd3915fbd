'use strict';

/**
 * Operations per second as benchmark.js counts and prints them, for the comparisons that users of earlier libraries of
 * this kind know: a batch on child processes, on threads and without workers; and child processes and threads in one
 * run, against `Promise.all`.
 *
 *   node benchmark/ops.js [--quick]
 */

const assert = require('node:assert/strict');
const { parseArgs } = require('node:util');
const Benchmark = require('benchmark');
const { Parallelizer, PARALLELIZER_CHILD, PARALLELIZER_THREADS } = require('@parallelizer/node');
const { processBatch } = require('./support/cpu-io.js');
const { derive } = require('./support/derive.js');
const { machine } = require('./support/machine.js');
const { writeResult } = require('./support/results.js');

const RECORDS = 100;
const DERIVATIONS = 4;

/**
 * Runs the entries of a comparison one after another, and prints a line for each and the fastest.
 * @param {string} title
 * @param {Record<string, () => Promise<unknown>>} entries
 * @param {number} seconds how long each is measured at most
 * @returns {Promise<{ title: string, lines: string[] }>} what was printed
 */
async function compare(title, entries, seconds) {
  console.log(`\n${title}`);
  /** @type {string[]} */
  const lines = [];
  const print = (/** @type {string} */ line) => {
    lines.push(line);
    console.log(line);
  };
  const suite = new Benchmark.Suite();
  for (const [name, run] of Object.entries(entries)) {
    suite.add(name, {
      defer: true,
      maxTime: seconds,
      /** @param {{ resolve(): void, benchmark: { abort(): void, error: unknown } }} deferred */
      fn: (deferred) => {
        run().then(
          () => deferred.resolve(),
          (error) => {
            deferred.benchmark.error = error;
            deferred.benchmark.abort();
            deferred.resolve();
          },
        );
      },
    });
  }
  /** @type {unknown[]} */
  const errors = [];
  suite.on('cycle', (/** @type {any} */ { target }) => {
    if (target.error) errors.push(target.error);
    else print(String(target));
  });
  await new Promise((resolve) => {
    suite.on('complete', resolve).run({ async: true });
  });
  if (errors.length > 0) throw errors[0];
  print(`Fastest is ${suite.filter('fastest').map('name').join(', ')}`);
  return { title, lines };
}

async function main() {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' }, publish: { type: 'boolean' } },
  });
  const seconds = values.quick ? 1 : 5;
  const date = new Date().toISOString();
  const where = machine();
  const batch = [...Array(RECORDS).keys()];
  const secrets = Array.from({ length: DERIVATIONS }, (_, i) => `secret ${i}`);
  const sums = await processBatch({ batch });
  const keys = derive({ batch: secrets });

  const filePath = require.resolve('./support/cpu-io.js');
  const make = (/** @type {any} */ type) =>
    new Parallelizer({ type, filePath, processBatchFunctionName: 'processBatch' });
  const [child, thread] = [make(PARALLELIZER_CHILD), make(PARALLELIZER_THREADS)];
  const both = new Parallelizer([
    {
      id: 'derive',
      type: PARALLELIZER_THREADS,
      filePath: require.resolve('./support/derive.js'),
      processBatchFunctionName: 'derive',
    },
    { id: 'store', type: PARALLELIZER_CHILD, filePath, processBatchFunctionName: 'processBatch' },
  ]);
  const on = (/** @type {InstanceType<typeof Parallelizer>} */ parallelizer) => async () =>
    assert.deepEqual((await parallelizer.run(batch)).responses.flat(), sums);
  try {
    await Promise.all([child.ready(), thread.ready(), both.ready()]);
    const batches = await compare(
      `${RECORDS} records, each with 1,000,000 additions and a file`,
      {
        'Child Parallelizer': on(child),
        'Thread Parallelizer': on(thread),
        'Without Parallelizer': async () => assert.deepEqual(await processBatch({ batch }), sums),
      },
      seconds,
    );
    const mixed = await compare(
      `${DERIVATIONS} key derivations and ${RECORDS} records with files`,
      {
        'Child + Thread Parallelizers': async () => {
          const [derived, stored] = await both.run([
            { id: 'derive', batch: secrets },
            { id: 'store', batch },
          ]);
          assert.deepEqual([derived.responses.flat(), stored.responses.flat()], [keys, sums]);
        },
        'Without Parallelizer (Promise.all)': async () => {
          const results = await Promise.all([derive({ batch: secrets }), processBatch({ batch })]);
          assert.deepEqual(results, [keys, sums]);
        },
      },
      seconds,
    );
    const record = { name: 'ops', date, machine: where, setting: { seconds }, comparisons: [batches, mixed] };
    writeResult('ops.json', `${JSON.stringify(record, null, 2)}\n`);
  } finally {
    await Promise.all([child.terminate(), thread.terminate(), both.terminate()]);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
