'use strict';
// What is too much for one message, for one string or for one buffer: a call, a result, or many of them together. It
// travels, or its call alone fails and says so. No worker dies of it, and the pool goes on.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const { describe, test } = require('node:test');

const { Parallelizer } = require('@parallelizer/node');
const { fixture, within } = require('./support/helpers');
const { modes } = require('./support/modes');
const { makePool } = require('./support/pool');

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;
const DEADLINE = 300_000;
/** What the largest cases need, on both sides together. */
const NEEDED = 8 * GIBIBYTE;

/** What can be had without swapping; `os.freemem` does not count caches. */
function availableMemory() {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec(read('/proc/meminfo') ?? '');
  return found === null ? os.freemem() : Number(found[1]) * 1024;
}

/** @param {string} file */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

const available = availableMemory();
const skip =
  available < NEEDED &&
  `needs ${NEEDED / GIBIBYTE} GiB of memory, of which ${(available / GIBIBYTE).toFixed(1)} GiB can be had`;

/** Whatever `act` does, the pool's only worker is the same one before and after. */
async function survives(pool, act) {
  const who = () =>
    within(pool.apply(() => `${process.pid}:${require('node:worker_threads').threadId}`), 'the worker', DEADLINE);
  const before = await who();
  await act((promise) => within(promise, 'a large call', DEADLINE));
  assert.equal(await who(), before, 'the worker is the same');
  assert.equal(pool.stats().restarts, 0);
}

/** The largest resident set that a process of this number has had, in bytes. */
const peakOf = (pid) => Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

// Together they are more than a message was once allowed to have, 1 GiB. One pool at a time, as each takes gigabytes.
for (const mode of modes) {
  describe(mode.name, { concurrency: 1, skip }, () => {
    const onePool = (t, options) => makePool(t, mode, { processes: mode.hasWorkers ? 1 : 0, ...options });
    const large = () => 'x'.repeat(64 * MEBIBYTE);
    const noFrames = !mode.hasProcess && `mode '${mode.name}' has no frames that could get too long`;

    test('a call and a result of more than 1 GiB in strings travel', async (t) => {
      const pool = onePool(t);
      await survives(pool, async (settled) => {
        const strings = Array(17).fill(large());
        const ends = (list) => [list.length, list[0].length, list[16].slice(-3)];
        assert.deepEqual(await settled(pool.apply(ends, [strings])), [17, 64 * MEBIBYTE, 'xxx']);
        const result = await settled(pool.apply(() => Array(17).fill('x'.repeat(64 * 2 ** 20))));
        assert.deepEqual(ends(result), [17, 64 * MEBIBYTE, 'xxx']);
      });
    });

    test('calls and results that are too much together only all arrive', { skip: noFrames }, async (t) => {
      const pool = onePool(t);
      await survives(pool, async (settled) => {
        const lengths = (list) => list.map(({ length }) => length);
        const results = pool.map(() => 'x'.repeat(64 * 2 ** 20), Array(17).fill(0), { chunkSize: 17 });
        assert.deepEqual(lengths(await settled(results)), Array(17).fill(64 * MEBIBYTE));
        // The first ones are small: they say nothing of those that follow.
        const items = [...Array(300).fill('small'), ...Array(17).fill(large())];
        const echoed = await settled(pool.map((text) => text.length, items, { chunkSize: items.length }));
        assert.deepEqual(echoed, lengths(items));
      });
    });

    test('a value that V8 writes as bytes, of 1.1 GiB, with two bytes per character', { skip: noFrames }, async (t) => {
      const pool = onePool(t);
      await survives(pool, async (settled) => {
        const map = new Map(Array.from({ length: 5 }, (_, key) => [key, 'ξ'.repeat(112 * MEBIBYTE)]));
        const read = (given) => [given.size, given.get(4).length, given.get(4).slice(-2)];
        assert.deepEqual(await settled(pool.apply(read, [map])), [5, 112 * MEBIBYTE, 'ξξ']);
      });
    });

    test('a call that cannot be encoded fails alone, between others that arrive', async (t) => {
      // As JSON all of it would have to be one string.
      const pool = onePool(t, { serialization: 'json' });
      await survives(pool, async (settled) => {
        const tooMuch = Array(9).fill(large());
        const items = [[1], tooMuch, [1, 2]];
        const outcomes = await settled(
          pool.map((list) => list.length, items, { onError: 'collect', chunkSize: items.length }),
        );
        assert.deepEqual([outcomes[0].value, outcomes[2].value], [1, 2]);
        assert.equal(outcomes[1].reason.code, 'ERR_PARALLELIZER_SERIALIZATION');
        assert.match(outcomes[1].reason.message, /there is too much of it/);
        assert.deepEqual(outcomes[1].reason.records, [1]);
        const result = await settled(pool.apply(() => Array(9).fill('x'.repeat(64 * 2 ** 20))).catch((error) => error));
        assert.equal(result.code, 'ERR_PARALLELIZER_SERIALIZATION', String(result));
        assert.match(result.message, /there is too much of it/);
      });
    });

    test('an error whose properties are too much says what was thrown', async (t) => {
      const pool = onePool(t);
      await survives(pool, async (settled) => {
        const thrown = await settled(
          pool.apply(() => {
            const details = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`d${i}`, 'x'.repeat(2 ** 26)]));
            throw Object.assign(new RangeError('large'), details);
          }).catch((error) => error),
        );
        assert.ok(thrown.message === 'large' || thrown.code === 'ERR_PARALLELIZER_SERIALIZATION', thrown.stack);
        assert.match(thrown.message, /large/);
      });
    });

    test('a message that is too long to be printed does not fail its call', { skip: noFrames }, async (t) => {
      const pool = onePool(t, { stdio: 'forward' });
      const shown = [];
      t.mock.method(console, 'log', (...text) => shown.push(text.join(' ')));
      await survives(pool, async (settled) => {
        // Each of its characters is two in JSON.
        const act = () => void console.log('"'.repeat(2 ** 28 + 2 ** 20));
        assert.equal(await settled(pool.apply(act)), undefined);
      });
      assert.equal(shown.length, 1);
      assert.match(shown[0].slice(-100), /269484032 characters, which are too many to be printed/);
    });

    test('several calls at a time', { skip: noFrames }, async (t) => {
      const pool = onePool(t, { concurrency: 4 });
      await survives(pool, async (settled) => {
        const act = async (text) => {
          await null;
          return text + text;
        };
        const results = await settled(pool.map(act, Array(8).fill('x'.repeat(80 * MEBIBYTE)), { chunkSize: 8 }));
        assert.deepEqual(results.map(({ length }) => length), Array(8).fill(160 * MEBIBYTE));
      });
    });

    test('the arguments of an initializer, for each of its workers', async (t) => {
      const pool = onePool(t, {
        processes: mode.hasWorkers ? 2 : 0,
        initializer: (list, bytes) => (globalThis.given = [list.length, list[16].length, bytes[bytes.length - 1]]),
        initArgs: [Array(17).fill(large()), Buffer.alloc(MEBIBYTE, 7)],
      });
      const given = await within(pool.apply(() => globalThis.given), 'the call', DEADLINE);
      assert.deepEqual(given, [17, 64 * MEBIBYTE, 7]);
    });
  });
}

for (const mode of modes.filter(({ hasProcess }) => hasProcess)) {
  describe(`${mode.name}: what it costs`, { concurrency: 1, skip }, () => {
    test('buffers of which there are more than descriptors for them', async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      await survives(pool, async (settled) => {
        // Three pages of each are written to: the others cost no memory before they are sent.
        const buffers = Array.from({ length: 24 }, (_, i) => {
          const bytes = Buffer.from(new ArrayBuffer(56 * MEBIBYTE + 1));
          for (const at of [0, MEBIBYTE, bytes.length - 1]) bytes[at] = i;
          return bytes;
        });
        const act = (list) => list.map((bytes) => [bytes.length, bytes[0], bytes[2 ** 20], bytes[bytes.length - 1]]);
        assert.deepEqual(await settled(pool.apply(act, [buffers])), act(buffers));
      });
    });

    test('a run of 1.1 GiB in records, encoded in steps', async (t) => {
      const parallelizer = new Parallelizer({
        type: mode.type,
        filePath: fixture('act.js'),
        processBatchFunctionName: 'act',
        parallelization: 1,
      });
      t.after(() => parallelizer.terminate());
      const text = 'x'.repeat(9000);
      const records = Array.from({ length: 130_000 }, (_, value) => ({ do: 'echo', value, text }));
      const { responses, failures } = await within(parallelizer.run(records), 'the run', DEADLINE);
      assert.deepEqual({ responses, failures }, { responses: [records.length - 1], failures: [] });
      assert.equal(parallelizer.stats().restarts, 0);
    });

    const noProc = !fs.existsSync('/proc/self/status') && 'needs /proc';
    test('one copy between the values of both ends, and none in the parent', { skip: noProc }, async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      const pid = await pool.apply(() => process.pid);
      // One string, many times: as a value it is small here, and large there.
      const strings = Array(16).fill('x'.repeat(64 * MEBIBYTE));
      const before = { parent: process.memoryUsage.rss(), worker: peakOf(pid) };
      fs.writeFileSync('/proc/self/clear_refs', '5');
      assert.equal(await within(pool.apply((list) => list.length, [strings]), 'the call', DEADLINE), 16);
      const grown = { parent: peakOf('self') - before.parent, worker: peakOf(pid) - before.worker };
      t.diagnostic(`1 GiB sent: ${JSON.stringify(grown)} bytes more at most`);
      assert.ok(grown.parent < 0.5 * GIBIBYTE, `the parent has grown by ${grown.parent}`);
      // What was sent, mapped, and the value.
      assert.ok(grown.worker < 2.5 * GIBIBYTE, `the worker has grown by ${grown.worker}`);
    });
  });
}
