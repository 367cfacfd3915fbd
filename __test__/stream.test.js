'use strict';
// `stream`: a call with many results.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');

const { Pool } = require('@parallelizer/node');
const { root, sleep, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { gather } = require('./support/streams');

const FILE = path.join(__dirname, 'fixtures', 'yielding.js');
const own = (name) => ({ filePath: FILE, name });
const numbers = (to) => Array.from({ length: to }, (_, i) => i);

const open = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
};

const temporary = (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'stream-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return path.join(folder, 'file');
};

forEachMode((mode) => {
  const one = { type: mode.type, processes: mode.hasWorkers ? 1 : 0 };

  test('generators and iterables: all values in order', async (t) => {
    const pool = open(t, one);
    for (const to of [0, 1, 15, 16, 17, 200]) {
      for (const name of ['count', 'list', 'promised']) {
        assert.deepEqual(await gather(pool.stream(own(name), [to])), { values: numbers(to) }, `${name} ${to}`);
      }
      const { values } = await gather(pool.stream(own('countAsync'), [to]));
      assert.deepEqual(values, numbers(to).map((i) => ({ i, index: 0 })));
    }
    assert.deepEqual(await gather(pool.stream(own('text'))), { values: ['a', 'b', 'c'] });
    assert.deepEqual(await gather(pool.stream(own('nothing'))), { values: [] });
  });

  test('a function by its source, and the value that a generator returns', async (t) => {
    const pool = open(t, one);
    const stream = pool.stream(function* (from, to) {
      for (let i = from; i < to; i++) yield i;
      return this.workerIndex;
    }, [3, 5]);
    assert.equal(stream[Symbol.asyncIterator](), stream);
    assert.deepEqual(await stream.next(), { value: 3, done: false });
    assert.deepEqual(await Promise.all([stream.next(), stream.next(), stream.next()]), [
      { value: 4, done: false }, { value: 0, done: true }, { value: undefined, done: true },
    ]);
    const asynchronous = pool.stream(async function* () { yield 'a'; }, []);
    assert.deepEqual(await gather(asynchronous), { values: ['a'] });
    assert.deepEqual(await gather(pool.stream((n) => Array(n).fill(n), [2])), { values: [2, 2] });
  });

  test('the worker is at most highWaterMark values ahead', async (t) => {
    const pool = open(t, one);
    for (const highWaterMark of [1, 4, undefined]) {
      let produced = -1;
      const onMessage = (i) => (produced = i);
      const stream = pool.stream(own('ahead'), [1000], { highWaterMark, onMessage });
      const limit = highWaterMark ?? 16;
      for (let taken = 1; taken <= 40; taken++) {
        assert.deepEqual(await stream.next(), { value: taken - 1, done: false });
        if (taken % 8 !== 0) continue;
        await sleep(10);
        // It is about to yield one more.
        assert.ok(produced <= taken + limit, `${produced} after ${taken} were taken`);
      }
      await stream.return();
    }
  });

  for (const isSlow of [false, true]) {
    test(`leaving the loop runs the finally of a generator that is ${isSlow ? 'busy' : 'ahead'}`, async (t) => {
      const pool = open(t, one);
      const file = temporary(t);
      for await (const value of pool.stream(own('cleansUp'), [file, isSlow])) if (value === 5) break;
      assert.equal(fs.readFileSync(file, 'utf8'), 'aborted: true');
      assert.deepEqual(await within(gather(pool.stream(own('count'), [3])), 'the next one'), { values: [0, 1, 2] });
      assert.equal(pool.stats().restarts, 0);
    });
  }

  test('leaving before the first value, and twice', async (t) => {
    const pool = open(t, one);
    const file = temporary(t);
    const stream = pool.stream(own('cleansUp'), [file, false]);
    assert.deepEqual(await stream.return('x'), { value: 'x', done: true });
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
    assert.deepEqual(await stream.return(), { value: undefined, done: true });
    assert.equal(fs.existsSync(file), false, 'it has not begun');
    const other = pool.stream(own('count'), [100]);
    await other.next();
    await assert.rejects(other.throw(new Error('mine')), /mine/);
    assert.deepEqual(await other.next(), { value: undefined, done: true });
  });

  test('an error comes after the values before it, and nothing after it', async (t) => {
    const pool = open(t, one);
    for (const count of [0, 1, 40]) {
      const stream = pool.stream(own('failsAfter'), [count]);
      const { values, error } = await gather(stream);
      assert.deepEqual(values, numbers(count));
      assert.equal(error.name, 'RangeError');
      assert.deepEqual(await stream.next(), { value: undefined, done: true });
    }
    assert.match((await gather(pool.stream(own('failsAtOnce')))).error.message, /at once/);
  });

  test('a value that cannot travel ends it, with its place', async (t) => {
    const pool = open(t, one);
    const { values, error } = await gather(pool.stream(own('untravelling')));
    assert.deepEqual(values, [1]);
    assert.equal(error.code, 'ERR_PARALLELIZER_SERIALIZATION');
    assert.match(error.message, /deep\.fn/);
  });

  test('what cannot be iterated over is an error that says so', async (t) => {
    const pool = open(t, one);
    const { error } = await gather(pool.stream(own('number')));
    assert.match(error.message, /stream\(\).*iterable.*number/);
  });

  test('time that is spent waiting for the reader does not count for timeout', async (t) => {
    const pool = open(t, one);
    const stream = pool.stream(own('count'), [60], { timeout: 600, highWaterMark: 2 });
    const values = [];
    for await (const value of stream) {
      values.push(value);
      if (value % 20 === 0) await sleep(700);
    }
    assert.deepEqual(values, numbers(60));
  });

  test('a generator that takes too long times out, after its values', async (t) => {
    const pool = open(t, { ...one, gracePeriod: 50 });
    const { values, error } = await within(gather(pool.stream(own('hangsAfter'), [3], { timeout: 1000 })), 'it');
    assert.deepEqual(values, [0, 1, 2]);
    assert.equal(error.code, 'ERR_PARALLELIZER_TIMEOUT');
    assert.deepEqual(await within(gather(pool.stream(own('count'), [2])), 'the next one'), { values: [0, 1] });
  });

  test('an abort in the middle, and one before', async (t) => {
    const pool = open(t, { ...one, gracePeriod: 50 });
    const controller = new AbortController();
    const stream = pool.stream(own('hangsAfter'), [3], { signal: controller.signal });
    for (let i = 0; i < 3; i++) await stream.next();
    setTimeout(() => controller.abort(), 10);
    await assert.rejects(within(stream.next(), 'it'), { code: 'ERR_PARALLELIZER_ABORTED' });
    const late = pool.stream(own('count'), [3], { signal: controller.signal });
    await assert.rejects(late.next(), { code: 'ERR_PARALLELIZER_ABORTED' });
    assert.deepEqual(await within(gather(pool.stream(own('count'), [2])), 'the next one'), { values: [0, 1] });
  });

  test('closing in the middle: the rest comes; terminating: it is an error', async (t) => {
    const pool = open(t, one);
    const stream = pool.stream(own('count'), [100]);
    await stream.next();
    pool.close();
    assert.throws(() => pool.stream(own('count'), [1]), { code: 'ERR_PARALLELIZER_CLOSED' });
    assert.deepEqual(await gather(stream), { values: numbers(100).slice(1) });
    await within(pool.join(), 'the end');

    const unread = open(t, one);
    const kept = unread.stream(own('count'), [100]);
    await kept.next();
    unread.close();
    await within(unread.join(), 'the end, although nobody reads');
    assert.deepEqual(await gather(kept), { values: numbers(100).slice(1) });

    const other = open(t, one);
    const lost = other.stream(own('hangsAfter'), [1]);
    await lost.next();
    await Promise.all([assert.rejects(lost.next(), { code: 'ERR_PARALLELIZER_CLOSED' }), other.terminate()]);
  });

  test('large values, more than may be under way', async (t) => {
    const pool = open(t, one);
    const { values } = await within(gather(pool.stream(own('large'), [30, 200_000])), 'the values', 60_000);
    assert.deepEqual(values.map(({ i, text }) => [i, text.length]), numbers(30).map((i) => [i, 200_000]));
  });

  test('several at the same time, on one worker and beside other calls', async (t) => {
    const pool = open(t, { ...one, concurrency: 4 });
    const streams = [50, 60, 70].map((to) => gather(pool.stream(own('countAsync'), [to], { highWaterMark: 3 })));
    const [all, single] = await within(Promise.all([Promise.all(streams), pool.apply(own('list'), [2])]), 'all');
    assert.deepEqual(all.map(({ values }) => values.length), [50, 60, 70]);
    assert.deepEqual(single, [0, 1]);
  });
});

forEachMode(
  (mode) => {
    test('a death in the middle comes after the values before it', async (t) => {
      const pool = open(t, { type: mode.type, processes: 1 });
      const { values, error } = await within(gather(pool.stream(own('diesAfter'), [3])), 'it');
      assert.deepEqual(values, [0, 1, 2]);
      assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    });

    test('it is run again only as long as it has yielded nothing', async (t) => {
      const pool = open(t, { type: mode.type, processes: 1, retries: 3 });
      const again = await within(gather(pool.stream(own('diesAfter'), [0, temporary(t)])), 'the retry');
      assert.deepEqual(again, { values: numbers(5) });
      const once = await within(gather(pool.stream(own('diesAfter'), [1, temporary(t)])), 'it');
      assert.deepEqual(once.values, [0]);
      assert.equal(once.error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    });
  },
  { needs: ['hasWorkers'] },
);

test('streams that block each other are warned of, once', async (t) => {
  const pool = open(t, { type: 'worker-threads', processes: 2 });
  const warnings = [];
  const listen = (warning) => warnings.push(warning);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  const streams = [1, 2].map(() => pool.stream(own('count'), [1000]));
  for (const stream of streams) await stream.next();
  const waiting = pool.apply(own('list'), [1]);
  await waitFor(() => warnings.length > 0, 'the warning', 30_000);
  assert.equal(warnings[0].code, 'PARALLELIZER_BLOCKED_STREAMS');
  await streams[0].return();
  assert.deepEqual(await within(waiting, 'the call'), [0]);
  assert.equal(warnings.length, 1);
  await streams[1].return();
});

test('one that was left holds no process up', async () => {
  const script = `
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool({ processes: 1, gracePeriod: 3_600_000 });
    (async () => {
      for await (const value of pool.stream(${JSON.stringify(own('count'))}, [1e9])) if (value === 2) break;
      await pool.close();
    })();`;
  await within(promisify(execFile)(process.execPath, ['-e', script]), 'the process to end', 60_000);
});

test('bad options are named, and generators are for streams only', async (t) => {
  const pool = open(t, 0);
  const refused = (name) => ({ code: 'ERR_PARALLELIZER_OPTION', message: new RegExp(name) });
  for (const highWaterMark of [0, -1, 1.5, '4', null]) {
    assert.throws(() => pool.stream(own('count'), [1], { highWaterMark }), refused('highWaterMark'));
  }
  assert.throws(() => pool.stream(own('count'), 1), refused('args'));
  assert.throws(() => pool.stream(own('count'), [], { chunkSize: 1 }), refused('chunkSize'));
  assert.throws(() => pool.stream(42), refused('task'));
  function* some() {
    yield 1;
  }
  assert.deepEqual(await gather(pool.stream(some)), { values: [1] });
  await assert.rejects(pool.map(some, [1]), refused('generator'));
  await assert.rejects(pool.apply(some), refused('stream'));
});
