'use strict';
// SharedArrayBuffer, transferList and transfer(): what only workers within one process can share or be moved.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fixture, make } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool, range } = require('./support/pool');

forEachMode((mode) => {
  const on = (t, options) =>
    make(t, {
      type: mode.type,
      filePath: fixture('shared.js'),
      processBatchFunctionName: 'run',
      parallelization: 2,
      ...options,
    });
  const shares = !mode.hasProcess;

  test('shared memory is shared between threads, and refused between processes', async (t) => {
    const shared = new SharedArrayBuffer(4);
    const { responses, failures, errors } = await on(t).run([{ shared }, { shared }]);
    if (shares) {
      assert.deepEqual(failures, []);
      assert.equal(responses.length, 2);
      assert.equal(new Int32Array(shared)[0], 2);
    } else {
      assert.deepEqual(errors.map(({ code }) => code), Array(2).fill('ERR_PARALLELIZER_SERIALIZATION'));
      assert.match(failures[0], /shared/);
    }
  });

  test('what is in transferList arrives whole, and is moved where that is possible', async (t) => {
    const buffers = [new ArrayBuffer(1_000_000), new ArrayBuffer(2_000_000)];
    const running = on(t).run(buffers.map((moved) => ({ moved })), null, { transferList: buffers });
    if (shares) assert.deepEqual(buffers.map(({ byteLength }) => byteLength), [0, 0], 'detached at the call');
    const { responses, failures } = await running;
    assert.deepEqual([responses, failures], [[{ bytes: 1_000_000 }, { bytes: 2_000_000 }], []]);
  });

  test('a worker function may transfer its result', async (t) => {
    const { responses, failures } = await on(t, { processBatchFunctionName: 'produce' }).run([3_000_000]);
    assert.deepEqual(failures, []);
    const { pixels, nested } = responses[0];
    assert.equal(pixels.length, 3_000_000);
    assert.ok(pixels.every((pixel) => pixel === 7));
    assert.equal(nested[0], pixels, 'identity is kept within a result');
  });

  test('calls whose values were moved to a worker are not taken back from it', async (t) => {
    const pool = makePool(t, mode);
    await pool.ready();
    const buffers = range(40).map((i) => new ArrayBuffer(i));
    const items = buffers.map((buffer, i) => [buffer, i === 20 ? 200 : 0]);
    const lengthAfter = async ([buffer, ms]) => {
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      return buffer.byteLength;
    };
    assert.deepEqual(await pool.map(lengthAfter, items, { chunkSize: 1, transferList: buffers }), range(40));
  });

  test('a transferList that cannot be transferred fails that sub-batch only', async (t) => {
    const once = new ArrayBuffer(8);
    const { failures } = await on(t).run([{ moved: once }, {}], null, { transferList: [once, {}] });
    if (shares) assert.match(failures[0], /ERR_PARALLELIZER|cannot travel/);
    assert.deepEqual((await on(t).run([{}, {}])).failures, []);
  });
});
