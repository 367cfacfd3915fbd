'use strict';
// What is too much for one message of the transport: a call, a result, or many of them together. It travels, or that
// call fails and says so; nothing else is harmed, and no worker dies of it.

const assert = require('node:assert/strict');
const os = require('node:os');
const { describe, test } = require('node:test');

const { Parallelizer } = require('@parallelizer/node');
const { fixture, within } = require('../support/helpers');
const { modes } = require('../support/modes');
const { makePool } = require('../support/pool');

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;
/** The largest case has 3 GiB on either side, and copies of it under way. */
const NEEDED = 12 * GIBIBYTE;
const DEADLINE = 240_000;

const available = os.freemem();
const skip = available < NEEDED && `needs ${NEEDED / GIBIBYTE} GiB of free memory, there are ${Math.floor(available / GIBIBYTE)}`;

/** Resolves with `right`, or fails as what cannot travel does. */
async function travelsOrIsRefused(promise, right) {
  const outcome = await within(promise, 'a large call', DEADLINE).catch((error) => error);
  if (outcome instanceof Error) assert.equal(outcome.code, 'ERR_PARALLELIZER_SERIALIZATION', outcome.stack);
  else assert.deepEqual(outcome, right);
}

/** Whatever `act` does, the pool's only worker is the same one before and after. */
async function survives(pool, act) {
  const who = () => within(pool.apply(() => `${process.pid}:${require('node:worker_threads').threadId}`), 'the worker', DEADLINE);
  const before = await who();
  await act();
  assert.equal(await who(), before, 'the worker is the same');
  assert.equal(pool.stats().restarts, 0);
}

// One at a time: each takes gigabytes.
for (const mode of modes.filter(({ hasWorkers }) => hasWorkers)) {
  describe(mode.name, { concurrency: 1, skip }, () => {
    const onePool = (t, options) => makePool(t, mode, { processes: 1, ...options });

    test('a call of strings', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        const strings = Array(17).fill('x'.repeat(64 * MEBIBYTE));
        await travelsOrIsRefused(pool.apply((list) => list.length, [strings]), 17);
        await travelsOrIsRefused(pool.apply((map) => map.size, [new Map(strings.map((text, i) => [i, `${text}${i}`]))]), 17);
      });
    });

    test('a call of Buffers, of which there are more than travel as shared memory', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        const buffers = Array.from({ length: 24 }, (_, i) => Buffer.alloc(128 * MEBIBYTE + 1, i));
        const read = (list) => list.map((bytes) => bytes[bytes.length - 1]);
        await travelsOrIsRefused(pool.apply(read, [buffers]), buffers.map((_, i) => i));
      });
    });

    test('a result', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        const lengths = (list) => list.length;
        await travelsOrIsRefused(pool.apply(() => Array(17).fill('x'.repeat(64 * 2 ** 20))).then(lengths), 17);
        await travelsOrIsRefused(
          pool.apply(() => Array.from({ length: 24 }, () => Buffer.alloc(128 * 2 ** 20))).then(lengths),
          24,
        );
      });
    });

    test('an error', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        const thrown = await within(
          pool.apply(() => {
            throw Object.assign(new RangeError('large'), { list: Array(17).fill('x'.repeat(64 * 2 ** 20)) });
          }),
          'the error',
          DEADLINE,
        ).catch((error) => error);
        assert.ok(thrown.message === 'large' || thrown.code === 'ERR_PARALLELIZER_SERIALIZATION', thrown.stack);
      });
    });

    test('results that are too much together only, all of which arrive', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        // Made in microseconds: many are done before the first is written out.
        const results = await within(pool.map(() => 'x'.repeat(64 * 2 ** 20), Array(20).fill(0), { chunkSize: 20 }), 'results', DEADLINE);
        assert.deepEqual(results.map(({ length }) => length), Array(20).fill(64 * MEBIBYTE));
      });
    });

    test('calls that are too much together only, all of which arrive', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        // The first is small: it says nothing about the next ones.
        const items = ['', ...Array(5).fill('x'.repeat(300 * MEBIBYTE))];
        const results = await within(pool.map((text) => text.length, items, { chunkSize: items.length }), 'calls', DEADLINE);
        assert.deepEqual(results, items.map(({ length }) => length));
      });
    });

    test('calls beside one that is refused go on, with their own results', async (t) => {
      const pool = onePool(t);
      await survives(pool, async () => {
        const large = Array(17).fill('x'.repeat(64 * MEBIBYTE));
        const outcomes = await within(
          pool.map((value) => value.length, [[1], large, [1, 2]], { onError: 'collect', chunkSize: 3 }),
          'all calls',
          DEADLINE,
        );
        assert.deepEqual([outcomes[0].value, outcomes[2].value], [1, 2]);
        if (outcomes[1].status === 'rejected') {
          assert.equal(outcomes[1].reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
          assert.deepEqual(outcomes[1].reason.records, [1]);
        } else {
          assert.equal(outcomes[1].value, 17);
        }
      });
    });

    test('arguments of an initializer', async (t) => {
      let pool;
      try {
        pool = onePool(t, {
          initializer: (list) => (globalThis.initialized = list.length),
          initArgs: [Array(17).fill('x'.repeat(64 * MEBIBYTE))],
        });
      } catch (error) {
        assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION', error.stack);
        return;
      }
      await travelsOrIsRefused(pool.apply(() => globalThis.initialized), 17);
    });

    test('a run of many records, and its params', async (t) => {
      const parallelizer = new Parallelizer({
        type: mode.type,
        filePath: fixture('act.js'),
        processBatchFunctionName: 'act',
        parallelization: 1,
      });
      t.after(() => parallelizer.terminate());
      const settle = async (promise) => {
        const { responses, errors } = await within(promise, 'the run', DEADLINE);
        for (const error of errors) assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION', error.stack);
        return { responses, errors };
      };
      const records = Array.from({ length: 1_400_000 }, (_, value) => ({ do: 'echo', value, text: 'x'.repeat(900) }));
      const many = await settle(parallelizer.run(records));
      if (many.errors.length === 0) assert.deepEqual(many.responses, [records.length - 1]);
      else assert.equal(many.errors[0].records.length, records.length);
      const params = { list: Array(17).fill('x'.repeat(64 * MEBIBYTE)) };
      const large = await settle(parallelizer.run([{ do: 'echo', value: 1 }], params));
      if (large.errors.length === 0) assert.deepEqual(large.responses, [1]);
      const { responses } = await settle(parallelizer.run([{ do: 'echo', value: 2 }]));
      assert.deepEqual(responses, [2]);
      assert.equal(parallelizer.stats().restarts, 0);
    });
  });
}
