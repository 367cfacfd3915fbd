'use strict';
// Keeping a part of a batch does not keep the whole batch in memory: neither in the worker, of what it was sent, nor in
// the parent, of what came back.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { kinds } = require('./fixtures/keeper');
const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

/** Batches of a megabyte each; fewer where fewer show the same. */
const BATCHES = 50;
const FEWER = 10;
/** Part of all that was sent. What is kept are strings, or records of 1 KB. */
const MOST = 0.25;

// In its own process, since the heap of this one is full of tests.
const program = (kind, api, batches) =>
  asynchronous(`
    const { Parallelizer, Pool } = require(${JSON.stringify(root)});
    const { makeBatch, smallOf, used } = require(fixture('keeper.js'));
    const [kind, filePath, type] = [${JSON.stringify(kind)}, fixture('keeper.js'), process.env.TEST_MODE_TYPE];
    const pool = ${api === 'Pool'} ? new Pool(1, { type }) : null;
    const parallelizer = pool ? null : new Parallelizer({ type, filePath, processBatchFunctionName: 'keepBatch', parallelization: 1 });
    const run = async (batch, params) => (await parallelizer.run(batch, params)).responses[0];
    const send = (batch) => (pool ? pool.apply({ filePath, name: 'keep' }, [{ kind, batch }]) : run(batch, { kind }));
    const ask = () => (pool ? pool.apply({ filePath, name: 'usage' }, []) : run([0], { ask: true }));
    const kept = [];
    let sent = 0;
    const exchange = async (n) => {
      const batch = makeBatch(kind, n);
      // As much as they take in memory.
      for (const { key, value } of batch) sent += 100 + key.length + value.length * (/[\\u0100-\\uffff]/.test(value) ? 2 : 1);
      kept.push(smallOf(kind, await send(batch)));
    };
    await exchange(0);
    await ask();
    const [before, workerBefore] = [used(), (await ask()).used];
    sent = 0;
    for (let n = 1; n <= ${batches}; n++) await exchange(n);
    // Collected memory is freed some time later, by another thread.
    let [parent, worker] = [Infinity, Infinity];
    for (let i = 0; i < 50 && !(parent < ${MOST} * sent && worker < ${MOST} * sent); i++) {
      await sleep(20);
      parent = Math.min(parent, used() - before);
      worker = Math.min(worker, (await ask()).used - workerBefore);
    }
    console.log(JSON.stringify({ sent, parent, worker, kept: [kept.length, (await ask()).kept] }));
    await (pool ?? parallelizer).terminate();`);

forEachMode((mode) => {
  // Inline, both keep their part in one heap.
  const most = mode.hasWorkers ? MOST : 2 * MOST;
  const check = async (t, kind, api, batches) => {
    const { messages } = await run(t, program(kind, api, batches), { mode });
    const { sent, parent, worker, kept } = messages[0];
    assert.deepEqual(kept, [batches + 1, batches + 1]);
    t.diagnostic(`of ${sent} bytes sent the worker holds ${worker}, the parent ${parent}`);
    assert.ok(worker < most * sent, `of ${sent} bytes sent the worker holds ${worker}`);
    assert.ok(parent < most * sent, `of ${sent} bytes sent the parent holds ${parent}`);
  };

  test('strings, Pool', (t) => check(t, 'strings', 'Pool', mode.hasProcess ? BATCHES : FEWER));
  test('strings, Parallelizer', (t) => check(t, 'strings', 'Parallelizer', FEWER));
  test('Buffers', (t) => check(t, 'Buffers', 'Pool', 2 * FEWER));

  // The decoder is the same in every mode.
  if (mode.hasProcess) {
    for (const kind of kinds.filter((kind) => kind !== 'strings' && kind !== 'Buffers'))
      test(kind, (t) => check(t, kind, 'Parallelizer', FEWER));
  }
});
