'use strict';

/** One life of a pool, with most of what crosses to Rust in it: what `scripts/memory.js` runs under a sanitizer. */

const assert = require('node:assert/strict');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const { Pool } = require('..');

const echo = (/** @type {unknown} */ value) => value;

/** @param {'child-process' | 'worker-threads'} type */
async function life(type) {
  const pool = new Pool({ processes: 2, type, gracePeriod: 50, stdio: 'ignore' });
  const values = ['text', 'é漢', 'x'.repeat(100_000), '漢'.repeat(10_000), Buffer.alloc(1_000_000, 7), new Map([[1, { a: [undefined] }]]), 10n ** 30n];
  for (const value of values) assert.deepEqual(await pool.apply(echo, [value]), value);
  const items = Array.from({ length: 5000 }, (_, i) => ({ id: i, name: `item ${i}` }));
  assert.deepEqual(await pool.map(echo, items), items);
  assert.deepEqual(await pool.apply(echo, [items]), items);
  let sum = 0;
  for await (const n of pool.imapUnordered(echo, items.map(({ id }) => id))) sum += Number(n);
  assert.equal(sum, (5000 * 4999) / 2);
  await assert.rejects(pool.apply(() => { throw new RangeError('no'); }), RangeError);
  await assert.rejects(pool.apply(() => { for (;;); }, [], { timeout: 100 }), { code: 'ERR_PARALLELIZER_TIMEOUT' });
  await assert.rejects(pool.apply(() => process.exit(3)), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
  const controller = new AbortController();
  const aborted = pool.map(echo, items, { signal: controller.signal });
  controller.abort();
  await assert.rejects(aborted, { code: 'ERR_PARALLELIZER_ABORTED' });
  const last = pool.apply(echo, ['last']);
  pool.close();
  await pool.join();
  assert.equal(await last, 'last');
  assert.deepEqual(pool.stats().workers, []);
  await new Pool({ processes: 2, type }).terminate();
}

/** A thread that owns a pool and is terminated in the middle of it. */
async function ownerThatEnds() {
  const owner = new Worker(__filename);
  await new Promise((resolve) => owner.once('message', resolve));
  await owner.terminate();
}

async function main() {
  await life('child-process');
  await life('worker-threads');
  await ownerThatEnds();
  console.log('the pools have lived');
}

if (isMainThread) {
  main();
} else {
  const pool = new Pool(2);
  void pool.map(echo, Array.from({ length: 100_000 }, (_, i) => i)).catch(() => {});
  void pool.ready().then(() => parentPort?.postMessage('ready'));
}
