'use strict';
// Sub-batches so long that they are encoded in steps while the event loop turns: same values and outcomes, no pauses.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { fixture, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const LENGTH = 40_000;
const record = (i) => ({ id: i, name: `record ${i}`, tags: [i % 7, 'é'], at: null });
const records = Array.from({ length: LENGTH }, (_, i) => record(i));

/** Counts the turns of the event loop until it is stopped. */
function turns() {
  let count = 0;
  let isOn = true;
  const turn = () => {
    count++;
    if (isOn) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    isOn = false;
    return count;
  };
}

forEachMode((mode) => {
  const on = (t, fn, options) =>
    make(t, { type: mode.type, filePath: fixture('count.js'), processBatchFunctionName: fn, ...options });

  for (const parallelization of [1, 2]) {
    test(`all records arrive, on ${parallelization}`, async (t) => {
      const parallelizer = on(t, 'same', { parallelization });
      const { responses, failures } = await parallelizer.run(records);
      assert.deepEqual(failures, []);
      assert.deepEqual(responses.flat(), records);
    });
  }

  test('the event loop turns while they are encoded', async (t) => {
    const parallelizer = on(t, 'count');
    await parallelizer.run([1, 2]);
    const stop = turns();
    const { responses } = await parallelizer.run(records);
    const count = stop();
    t.diagnostic(`${count} turns`);
    assert.equal(responses.reduce((sum, response) => sum + response.count, 0), LENGTH);
    assert.ok(count >= 4, `${count} turns`);
  });

  test('numbers, strings, mixed elements, and long lists as params', async (t) => {
    const parallelizer = on(t, 'same', { parallelization: 1 });
    for (const element of [
      (i) => i / 3,
      (i) => `${i}`,
      (i) => (i % 2 ? i : `é${i}`),
      (i) => (i % 3 ? { a: i } : [i, null]),
    ]) {
      const batch = Array.from({ length: LENGTH }, (_, i) => element(i));
      const { responses } = await parallelizer.run(batch, batch);
      assert.deepEqual(responses, [batch]);
    }
  });

  test('what does not fit the columns arrives all the same', async (t) => {
    const dated = records.with(LENGTH - 1, { id: 1, name: 'x', tags: new Date(5), at: new Map([[1, 2n]]) });
    const { responses } = await on(t, 'same', { parallelization: 1 }).run(dated);
    assert.deepEqual(responses, [dated]);
    const one = record(1);
    const repeated = new Array(LENGTH).fill(one);
    assert.deepEqual((await on(t, 'areOne', { parallelization: 1 }).run(repeated)).responses, [true]);
  });

  test('what cannot travel fails alone, and the error says where it is', async (t) => {
    const parallelizer = on(t, 'count');
    const bad = records.with(LENGTH - 1, { id: () => {} });
    const { responses, errors } = await parallelizer.run(bad);
    assert.deepEqual(responses.map(({ count }) => count), [LENGTH / 2]);
    assert.deepEqual(errors.map(({ code, batchIndex }) => [code, batchIndex]), [['ERR_PARALLELIZER_SERIALIZATION', 1]]);
    assert.match(errors[0].message, /\[19999\]\.id/);
  });

  test('short runs complete meanwhile, each with its own result', async (t) => {
    const parallelizer = on(t, 'count', { parallelization: 1 });
    const runs = [
      parallelizer.run(records),
      parallelizer.run([1]),
      parallelizer.run(records.slice(1)),
      parallelizer.run([2, 3]),
    ];
    const counts = (await Promise.all(runs)).map(({ responses }) => responses[0].count);
    assert.deepEqual(counts, [LENGTH, 1, LENGTH - 1, 2]);
  });

  test('aborted while it is encoded: nothing is run, and the next one is', async (t) => {
    const parallelizer = on(t, 'count', { parallelization: 1 });
    await parallelizer.ready();
    for (let after = 0; after < 4; after++) {
      const controller = new AbortController();
      const running = parallelizer.run(records, null, { signal: controller.signal });
      for (let turn = 0; turn < after; turn++) await new Promise(setImmediate);
      controller.abort();
      const { errors, responses } = await within(running, 'the run');
      assert.deepEqual([responses, errors.map(({ code }) => code)], [[], ['ERR_PARALLELIZER_ABORTED']]);
    }
    assert.equal((await parallelizer.run([4])).responses[0].count, 1);
  });

  test('terminated, and closed, while it is encoded', async (t) => {
    const terminated = on(t, 'count');
    await terminated.ready();
    const running = terminated.run(records);
    await new Promise(setImmediate);
    await within(terminated.terminate(), 'terminate');
    assert.deepEqual((await running).errors.map(({ code }) => code), Array(2).fill('ERR_PARALLELIZER_CLOSED'));

    const closed = on(t, 'count');
    const last = closed.run(records);
    await within(closed.close(), 'close');
    assert.deepEqual((await last).responses.map(({ count }) => count), [LENGTH / 2, LENGTH / 2]);
  });

  test('changed while it is encoded: nothing else is affected', async (t) => {
    const parallelizer = on(t, 'count', { parallelization: 1 });
    await parallelizer.ready();
    const batch = records.slice();
    const running = parallelizer.run(batch);
    await new Promise(setImmediate);
    batch.length = 5;
    const { responses, failures } = await within(running, 'the run');
    assert.equal(responses.length + failures.length, 1);
    assert.equal((await parallelizer.run([4])).responses[0].count, 1);
  });

  test('as an item of a pool, among others', async (t) => {
    const pool = new Pool({ type: mode.type, processes: 1 });
    t.after(() => pool.terminate());
    const items = [[1], records, [2, 3], records.slice(2), []];
    assert.deepEqual(await pool.map((item) => item.length, items, { chunkSize: 5 }), [1, LENGTH, 2, LENGTH - 2, 0]);
    assert.deepEqual(await pool.map((item) => item.length, items), [1, LENGTH, 2, LENGTH - 2, 0]);
  });

  if (mode.hasWorkers) {
    test('its worker dies meanwhile, or because of it', async (t) => {
      const parallelizer = on(t, 'die', { parallelization: 1 });
      const [first, second] = [parallelizer.run([1, 2], { most: 1 }), parallelizer.run(records, { most: LENGTH })];
      assert.equal((await within(first, 'the short one')).errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.deepEqual((await within(second, 'the long one')).responses, [LENGTH]);
      const { errors } = await within(parallelizer.run(records, { most: 1 }), 'the deadly one');
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.deepEqual((await parallelizer.run([4], { most: 1 })).responses, [1]);
    });
  }
});
