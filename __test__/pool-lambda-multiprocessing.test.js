'use strict';
// What users of Python's lambda_multiprocessing rely on (its own cases, in its order), and then what it does not have:
// imap, chunks, callbacks, initializers, replaced workers, and an answer when a child has died.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { store } = require('./fixtures/pool-tasks');
const { appeared, fixture, lines, pidIn, root, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const MEGABYTE = 2 ** 20;
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

const closed = { code: 'ERR_PARALLELIZER_CLOSED' };
const timeout = { code: 'ERR_PARALLELIZER_TIMEOUT' };
const option = { code: 'ERR_PARALLELIZER_OPTION' };
const exited = { code: 'ERR_PARALLELIZER_WORKER_EXITED' };

const task = (name) => ({ filePath: fixture('pool-tasks.js'), name });

const square = (x) => x * x;
const sum = (a, b) => a + b;
const divide = (a, b) => a / b;
const fail = () => require('node:assert').fail('deliberate fail');
const identity = (value) => value;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const range = (end) => Array.from({ length: end }, (_, i) => i);

function make(t, mode, options) {
  const pool = new Pool({ type: mode.type, processes: 2, ...options });
  t.after(() => pool.terminate());
  return pool;
}

/** A gate of fixtures/pool-tasks.js. */
function gateIn(t) {
  const file = `${temporary(t)}/gate`;
  return { file, started: () => appeared(`${file}.started`), open: () => fs.writeFileSync(`${file}.go`, '') };
}

async function list(iterable) {
  const all = [];
  for await (const value of iterable) all.push(value);
  return all;
}

// Texts that differ everywhere, so that mixing up two of them cannot go unnoticed.
const big = (index, size) => String.fromCharCode(97 + index) + `${index},`.repeat(size / 3).slice(0, size - 1);

function assertSameTexts(actual, expected) {
  assert.equal(actual.length, expected.length);
  // No deepEqual: its message would print megabytes.
  for (const [i, text] of expected.entries()) assert.ok(actual[i] === text, `item ${i}`);
}

forEachMode((mode) => {
  const on = (t, options) => make(t, mode, options);

  describe('apply', () => {
    test('resolves to what the function returns', async (t) => {
      const pool = on(t);
      for (const x of range(5)) assert.equal(await pool.apply(square, [x]), x * x);
    });

    test('passes two arguments', async (t) => assert.equal(await on(t).apply(sum, [3, 4]), 7));

    test('passes as an object what Python would pass by name', async (t) => {
      const received = await on(t).apply((...args) => args, [1, 2, { x: 'X', y: 'Y' }]);
      assert.deepEqual(received, [1, 2, { x: 'X', y: 'Y' }]);
    });
  });

  describe('applyAsync', () => {
    test('get resolves to the result', async (t) => assert.equal(await on(t).applyAsync(square, [2]).get(20_000), 4));

    test('two rounds on one pool', async (t) => {
      const pool = on(t);
      const results = [...range(5), ...range(5)].map((x) => pool.applyAsync(square, [x]));
      const values = [];
      for (const result of results) values.push(await result.get());
      assert.deepEqual(values, [0, 1, 4, 9, 16, 0, 1, 4, 9, 16]);
    });

    test('an AsyncResult can be awaited as it is', async (t) => {
      const pool = on(t);
      assert.equal(await pool.applyAsync(square, [3]), 9);
      await assert.rejects(async () => await pool.applyAsync(fail), /deliberate fail/);
      assert.equal(await pool.applyAsync(fail).catch(({ message }) => message), 'deliberate fail');
      let ended = 0;
      assert.equal(await pool.applyAsync(square, [4]).finally(() => ended++), 16);
      assert.equal(ended, 1);
      assert.match(pool.applyAsync(square, [1]).id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    });

    test('a result can still be read after the pool was disposed of', async (t) => {
      const pool = on(t);
      const result = pool.applyAsync(square, [5]);
      await within(pool[asyncDispose](), 'dispose');
      assert.equal(await result.get(), 25);
      assert.equal(await result.get(1_000), 25);
    });

    test('after terminate, a result that never came says so, with and without a timeout', async (t) => {
      const pool = on(t);
      const { file, started } = gateIn(t);
      const result = pool.applyAsync(task('gate'), [file]);
      await started();
      await within(pool.terminate(), 'terminate');
      await assert.rejects(within(result.get(), 'get'), closed);
      await assert.rejects(within(result.get(1_000), 'get'), closed);
    });

    test('get before the result is there rejects with a timeout, and can be called again', async (t) => {
      const { file, open } = gateIn(t);
      const result = on(t).applyAsync(task('gate'), [file, 'there']);
      await assert.rejects(result.get(50), timeout);
      await assert.rejects(result.get(50), (error) => error instanceof Error && error.code === timeout.code);
      open();
      assert.equal(await within(result.get(), 'get'), 'there');
    });

    test('ready tells whether the result is there', async (t) => {
      const { file, started, open } = gateIn(t);
      const result = on(t).applyAsync(task('gate'), [file]);
      await started();
      assert.equal(result.ready(), false);
      open();
      await waitFor(() => result.ready(), 'the result');
    });

    test('wait waits for the result, or for that long', async (t) => {
      const pool = on(t);
      const quick = pool.applyAsync(square, [1]);
      assert.equal(await within(quick.wait(), 'wait'), undefined);
      assert.equal(quick.ready(), true);
      assert.equal(await quick.get(0), 1);
      await assert.rejects(quick.wait(-1), { code: 'ERR_PARALLELIZER_OPTION' });

      const { file, started, open } = gateIn(t);
      const held = pool.applyAsync(task('gate'), [file]);
      assert.equal(held.ready(), false);
      await started();
      assert.equal(await held.wait(100), undefined);
      assert.equal(held.ready(), false);
      const waiting = held.wait(60_000);
      open();
      await within(waiting, 'a wait that is longer than the task');
      assert.equal(held.ready(), true);
      await held.get(0);
    });

    test('a wait that is over does not keep the process alive', async (t) => {
      const { stdout } = await run(
        t,
        asynchronous(`
          const { Pool } = require(${JSON.stringify(root)});
          const result = new Pool({ type: process.env.TEST_MODE_TYPE, processes: 1 }).applyAsync((x) => x, [1]);
          await Promise.all([result.wait(600000), result.get(600000)]);
          console.log('done');`),
        { mode },
      );
      assert.equal(stdout, 'done\n');
    });

    test('get twice', async (t) => {
      const result = on(t).applyAsync(square, [2]);
      assert.equal(await result.get(), 4);
      assert.equal(await result.get(), 4);
    });

    test('successful: whether it succeeded, and an error while that is not known', async (t) => {
      const pool = on(t);
      const good = pool.applyAsync(square, [1]);
      await good.wait();
      assert.equal(good.successful(), true);

      const { file, open } = gateIn(t);
      const held = pool.applyAsync(task('gate'), [file]);
      assert.throws(() => held.successful(), option);
      open();
      await held.wait();
      assert.equal(held.successful(), true);

      const bad = pool.applyAsync(fail, [1]);
      await bad.wait();
      assert.equal(bad.successful(), false);
    });

    test('passes two arguments', async (t) => {
      const result = on(t).applyAsync(sum, [1, 2]);
      await result.wait();
      assert.equal(await result.get(), 3);
    });

    test('passes as an object what Python would pass by name', async (t) => {
      const received = await on(t).applyAsync((...args) => args, [1, 2, { x: 'X', y: 'Y' }]).get();
      assert.deepEqual(received, [1, 2, { x: 'X', y: 'Y' }]);
    });

    test('get rejects with what the function threw', async (t) => {
      await assert.rejects(on(t).applyAsync(fail, [1]).get(), {
        name: 'AssertionError',
        code: 'ERR_ASSERTION',
        message: 'deliberate fail',
      });
    });
  });

  describe('map', () => {
    test('resolves to an array in the order of the items', async (t) => {
      const values = await on(t).map(square, range(5));
      assert.ok(Array.isArray(values));
      assert.deepEqual(values, [0, 1, 4, 9, 16]);
    });

    test('rejects with what the function threw', async (t) => {
      await assert.rejects(on(t).map(fail, range(2)), { name: 'AssertionError', message: 'deliberate fail' });
    });

    test('a thousand items', async (t) =>
      assert.deepEqual(await on(t).map(square, range(1_000)), range(1_000).map(square)));

    test('without a block: map, close, join', async (t) => {
      const pool = on(t, { processes: 3 });
      assert.deepEqual(await pool.map(square, [1, 2]), [1, 4]);
      assert.equal(pool.close(), undefined);
      assert.equal(await within(pool.join(), 'join'), undefined);
    });
  });

  describe('mapAsync', () => {
    for (const processes of [6, 4]) {
      test(`5 items on ${processes} workers`, async (t) => {
        const result = on(t, { processes }).mapAsync(square, range(5));
        for (const method of ['get', 'wait', 'ready', 'successful', 'then'])
          assert.equal(typeof result[method], 'function');
        assert.deepEqual(await result.get(), [0, 1, 4, 9, 16]);
      });
    }

    test('returns before the work is done, with more items than workers', async (t) => {
      const { file, open } = gateIn(t);
      const result = on(t).mapAsync(task('gateAsItem'), range(6).map((i) => [file, i]));
      assert.equal(result.ready(), false);
      open();
      assert.deepEqual(await within(result.get(), 'get'), range(6));
    });

    test('get rejects with what the function threw', async (t) => {
      await assert.rejects(on(t).mapAsync(fail, range(2)).get(), { name: 'AssertionError' });
    });

    test('of two errors the first in the order of the items is reported', async (t) => {
      const items = [null, new TypeError('task 1'), null, new RangeError('task 3')];
      const throwIt = (error) => {
        if (error) throw error;
      };
      await assert.rejects(
        on(t).mapAsync(throwIt, items).get(),
        (error) => error instanceof TypeError && error.message === 'task 1',
      );
    });
  });

  describe('starmap', () => {
    const pairs = [[1, 2], [3, 4]];
    const byZero = [[1n, 2n], [3n, 0n]];

    test('passes each item as the arguments', async (t) => assert.deepEqual(await on(t).starmap(sum, pairs), [3, 7]));

    test('rejects with what the function threw', async (t) => {
      await assert.rejects(on(t).starmap(divide, byZero), { name: 'RangeError', message: 'Division by zero' });
    });

    test('starmapAsync passes each item as the arguments', async (t) => {
      const result = on(t).starmapAsync(sum, pairs);
      assert.equal(typeof result.get, 'function');
      assert.deepEqual(await result.get(), [3, 7]);
    });

    test('starmapAsync: get rejects with what the function threw', async (t) => {
      const result = on(t).starmapAsync(divide, byZero);
      await assert.rejects(result.get(), { name: 'RangeError', message: 'Division by zero' });
    });
  });

  describe('the end', () => {
    test('dispose waits for what was submitted', async (t) => {
      const pool = on(t);
      const { file, started, open } = gateIn(t);
      const result = pool.applyAsync(task('gate'), [file, 'kept']);
      await started();
      let left = false;
      const leaving = pool[asyncDispose]().then(() => (left = true));
      await sleep(50);
      assert.equal(left, false);
      open();
      await within(leaving, 'dispose');
      assert.equal(result.ready(), true);
      assert.equal(await result, 'kept');
    });

    test('close returns at once, join waits for the work', async (t) => {
      const pool = on(t);
      const { file, started, open } = gateIn(t);
      const result = pool.applyAsync(task('gate'), [file]);
      await started();
      assert.equal(pool.close(), undefined);
      assert.equal(result.ready(), false);
      const joining = pool.join();
      open();
      await within(joining, 'join');
      assert.equal(result.ready(), true);
      assert.equal(pool.stats().workers.length, 0);
    });

    test('submitting after close is refused', async (t) => {
      const pool = on(t);
      pool.close();
      assert.throws(() => pool.applyAsync(square, [1]), closed);
      await assert.rejects(pool.apply(square, [1]), closed);
    });

    test('terminate does not wait for the work', async (t) => {
      const pool = on(t);
      const { file, started } = gateIn(t);
      const result = pool.applyAsync(task('gate'), [file]);
      await started();
      await within(pool.terminate(), 'terminate');
      await assert.rejects(result.get(), closed);
    });

    test('submitting after terminate is refused', async (t) => {
      const pool = on(t);
      const ending = pool.terminate();
      assert.throws(() => pool.applyAsync(square, [1]), closed);
      await assert.rejects(pool.map(square, [1]), closed);
      await within(ending, 'terminate');
    });
  });

  // Its issue 17: the parent was still writing arguments while the child was already writing results.
  describe('arguments and results larger than any buffer', () => {
    const echoLater = (value) => new Promise((resolve) => setTimeout(resolve, 10, value));

    test('map on one worker', async (t) => {
      const items = range(6).map((i) => big(i, 16 * MEGABYTE));
      assertSameTexts(await within(on(t, { processes: 1 }).map(echoLater, items), 'map', 120_000), items);
    });

    test('mapAsync on one worker', async (t) => {
      const items = range(3).map((i) => big(i, 16 * MEGABYTE));
      const result = on(t, { processes: 1 }).mapAsync(echoLater, items);
      assertSameTexts(await within(result.get(), 'mapAsync', 120_000), items);
    });

    test('mapAsync returns before anything has moved, and the loop turns while it moves', async (t) => {
      const { file, open } = gateIn(t);
      const value = big(0, 16 * MEGABYTE);
      const result = on(t).starmapAsync(task('gate'), Array(6).fill([file, value]));
      assert.equal(result.ready(), false);
      await sleep(1);
      assert.equal(result.ready(), false);
      open();
      assertSameTexts(await within(result.get(), 'starmapAsync', 120_000), Array(6).fill(value));
    });

    const twelve = range(12).map((i) => big(i, 3 * MEGABYTE));

    for (const options of [{}, { chunkSize: 1 }, { chunkSize: 5 }, { chunkSize: 12 }]) {
      test(`map of 12 x 3 MB both ways ${JSON.stringify(options)}`, async (t) => {
        assertSameTexts(await within(on(t).map(identity, twelve, options), 'map', 120_000), twelve);
      });
    }

    test('12 x 3 MB both ways: starmap, apply and both kinds of imap at once', async (t) => {
      const pool = on(t);
      const [star, applied, ordered, unordered] = await within(
        Promise.all([
          pool.starmap(identity, twelve.map((text) => [text])),
          Promise.all(twelve.map((text) => pool.apply(identity, [text]))),
          list(pool.imap(identity, twelve)),
          list(pool.imapUnordered(identity, twelve)),
        ]),
        'all of it',
        180_000,
      );
      assertSameTexts(star, twelve);
      assertSameTexts(applied, twelve);
      assertSameTexts(ordered, twelve);
      assertSameTexts(unordered.sort(), [...twelve].sort());
    });

    test('12 x 3 MB both ways, as Buffers', async (t) => {
      const buffers = twelve.map((text) => Buffer.from(text));
      const values = await within(on(t).map(identity, buffers), 'map', 120_000);
      assert.equal(values.length, 12);
      for (const [i, value] of values.entries())
        assert.ok(Buffer.isBuffer(value) && value.equals(buffers[i]), `item ${i}`);
    });
  });

  describe('a mocked client', () => {
    test('with 0 processes the work is done in the calling process', async (t) => {
      const pool = new Pool(0);
      t.after(() => pool.terminate());
      assert.equal(await pool.apply(() => process.pid), process.pid);
      const result = pool.applyAsync(wait, [10]);
      await within(pool[asyncDispose](), 'dispose');
      assert.equal(result.successful(), true);
    });

    test('what a worker uploads is not in the mock of this process; with 0 processes it is', async (t) => {
      store.clear();
      const pool = on(t);
      assert.equal(await pool.apply(task('upload'), ['key', '123']), 1);
      assert.equal(store.get('key'), mode.hasWorkers ? undefined : '123');

      store.clear();
      const none = new Pool(0);
      t.after(() => none.terminate());
      await none.apply(task('upload'), ['key', Buffer.from('123')]);
      assert.equal(String(store.get('key')), '123');
    });
  });

  test('pools that were made and left leave no descriptor, thread or process', async (t) => {
    const { messages } = await run(
      t,
      asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const fs = require('node:fs');
        const count = () => {
          const parent = (pid) => {
            try { return fs.readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\) . /s, '').split(' ')[0]; } catch { return ''; }
          };
          return {
            descriptors: fs.readdirSync('/proc/self/fd').length,
            threads: fs.readdirSync('/proc/self/task').length,
            children: fs.readdirSync('/proc').filter((pid) => /^\\d+$/.test(pid) && parent(pid) === String(process.pid)).length,
          };
        };
        const round = async () => {
          const pool = new Pool({ type: process.env.TEST_MODE_TYPE, processes: 2 });
          for (let i = 0; i < 5; i++) await pool.map((x) => x * x, Array.from({ length: 1000 }, (_, x) => x));
          for await (const value of pool.imap((x) => x, [1, 2, 3])) if (value === 2) break;
          pool.close();
          await pool.join();
        };
        for (let i = 0; i < 8; i++) await round();
        await sleep(300);
        const before = count();
        for (let i = 0; i < 20; i++) await round();
        // Things may be freed a moment later.
        let after = count();
        for (const end = Date.now() + 15000; Date.now() < end && Object.keys(after).some((key) => after[key] > before[key]); await sleep(50)) after = count();
        console.log(JSON.stringify([before, after]));`),
      { mode, deadline: 180_000 },
    );
    const [[before, after]] = messages;
    for (const key of Object.keys(before))
      assert.ok(after[key] <= before[key] + 1, `${key}: ${before[key]} → ${after[key]}`);
  });

  // Lambda has none, which is why lambda_multiprocessing exists.
  test('works without /dev/shm', (t) => {
    const inside = (command) =>
      spawnSync('unshare', ['-Urm', 'sh', '-c', `mount -t tmpfs -o ro none /dev/shm && ${command}`], {
        encoding: 'utf8',
      });
    if (inside('true').status !== 0) return t.skip('a mount namespace cannot be had here');
    const program = `
      const { Pool } = require(${JSON.stringify(root)});
      const pool = new Pool({ type: '${mode.type}', processes: 2 });
      pool.map((x) => x * x, [0, 1, 2, 3, 4], { timeout: 20000 }).then((values) => console.log(JSON.stringify(values)));
    `;
    const file = `${temporary(t)}/program.js`;
    fs.writeFileSync(file, program);
    const { stdout, stderr } = inside(`'${process.execPath}' '${file}'`);
    assert.equal(stdout, '[0,1,4,9,16]\n', stderr);
  });

  describe('imap', () => {
    test('yields the values in the order of the items', async (t) => {
      const { file, open } = gateIn(t);
      const iterator = on(t).imap(task('gateAsItem'), [[file, 0], [null, 1], [null, 2]]);
      const first = iterator.next();
      await sleep(50);
      open();
      assert.deepEqual(await within(first, 'next'), { value: 0, done: false });
      assert.deepEqual(await within(list(iterator), 'the rest'), [1, 2]);
      assert.deepEqual(await iterator.next(), { value: undefined, done: true });
    });

    test('imapUnordered yields each value once', async (t) => {
      const values = await within(list(on(t).imapUnordered(square, range(100))), 'the values');
      assert.deepEqual(values.sort((a, b) => a - b), range(100).map(square));
    });

    test('accepts an asynchronous source', async (t) => {
      async function* source() {
        for (const x of range(20)) {
          if (x % 5 === 0) await sleep(1);
          yield x;
        }
      }
      const pool = on(t);
      assert.deepEqual(await within(list(pool.imap(square, source())), 'imap'), range(20).map(square));
      const unordered = await within(list(pool.imapUnordered(square, source())), 'imapUnordered');
      assert.deepEqual(unordered.sort((a, b) => a - b), range(20).map(square));
    });

    test('map refuses such a source, and suggests imap', async (t) => {
      async function* source() {
        yield 1;
      }
      const pool = on(t);
      await assert.rejects(
        pool.map(square, source()),
        (error) => error.code === option.code && /imap/.test(error.message),
      );
      assert.throws(
        () => pool.mapAsync(square, source()),
        (error) => error.code === option.code && /imap/.test(error.message),
      );
    });

    test('reads an endless source only as far as the pool can use, and closes it when the loop is left', async (t) => {
      let count = 0;
      let ended = false;
      function* endless() {
        try {
          for (;;) yield count++;
        } finally {
          ended = true;
        }
      }
      const seen = [];
      const iterator = on(t).imap(square, endless());
      await sleep(20);
      assert.equal(count, 0, 'nothing is read before the first next()');
      for await (const value of iterator) {
        seen.push(value);
        if (seen.length === 10) break;
      }
      assert.deepEqual(seen, range(10).map(square));
      assert.ok(ended, 'the source was told');
      const readSoFar = count;
      await sleep(50);
      assert.equal(count, readSoFar, 'nothing is read after that');
      assert.ok(count < 100_000, `${count} items were read`);
    });

    test('an error ends the iteration at its place; the pool goes on', async (t) => {
      const pool = on(t);
      const source = [1, 2, -3, 4].values();
      const seen = [];
      const throwAt = (x) => {
        if (x < 0) throw new RangeError(`bad ${x}`);
        return x;
      };
      await assert.rejects(
        within((async () => {
          for await (const value of pool.imap(throwAt, source)) seen.push(value);
        })(), 'the loop'),
        { name: 'RangeError', message: 'bad -3' },
      );
      assert.deepEqual(seen, [1, 2]);
      assert.deepEqual(await list(pool.imap(square, [5])), [25]);
    });

    test("onError 'collect' yields each item's outcome instead", async (t) => {
      const throwAt = (x) => {
        if (x < 0) throw new RangeError(`bad ${x}`);
        return x;
      };
      const brief = ({ status, value, reason }) => [status, value ?? reason.message];
      const expected = [['fulfilled', 1], ['rejected', 'bad -2'], ['fulfilled', 3]];
      const pool = on(t);
      assert.deepEqual((await list(pool.imap(throwAt, [1, -2, 3], { onError: 'collect' }))).map(brief), expected);
      assert.deepEqual((await pool.map(throwAt, [1, -2, 3], { onError: 'collect' })).map(brief), expected);
    });
  });

  describe('chunkSize', () => {
    for (const chunkSize of [1, 2, 7, 50, 51, 10_000]) {
      test(`${chunkSize}: the same values, with each method`, async (t) => {
        const pool = on(t);
        const expected = range(50).map(square);
        assert.deepEqual(await pool.map(square, range(50), { chunkSize }), expected);
        assert.deepEqual(await pool.mapAsync(square, range(50), { chunkSize }).get(), expected);
        assert.deepEqual(await pool.starmap(square, range(50).map((x) => [x]), { chunkSize }), expected);
        assert.deepEqual(await list(pool.imap(square, range(50), { chunkSize })), expected);
        const unordered = await list(pool.imapUnordered(square, range(50), { chunkSize }));
        assert.deepEqual(unordered.sort((a, b) => a - b), expected);
      });
    }

    for (const chunkSize of [0, -1, 1.5, NaN, '2', 2n]) {
      test(`${typeof chunkSize} ${chunkSize} is refused, and named`, async (t) => {
        const pool = on(t);
        const refused = (error) => error.code === option.code && /chunkSize/.test(error.message);
        await assert.rejects(pool.map(square, [1], { chunkSize }), refused);
        assert.throws(() => pool.mapAsync(square, [1], { chunkSize }), refused);
        assert.throws(() => pool.imap(square, [1], { chunkSize }), refused);
        assert.deepEqual(await pool.map(square, [2]), [4]);
      });
    }
  });

  describe('callbacks', () => {
    test('callback gets the value, once, before get resolves to it', async (t) => {
      const pool = on(t);
      const seen = [];
      const callbacks = { callback: (value) => seen.push(value), errorCallback: () => seen.push('wrong') };
      seen.push(['get', await pool.applyAsync(square, [3], callbacks).get()]);
      seen.push(['get', await pool.mapAsync(square, [1, 2], callbacks).get()]);
      seen.push(['get', await pool.starmapAsync(sum, [[1, 2]], callbacks)]);
      assert.deepEqual(seen, [9, ['get', 9], [1, 4], ['get', [1, 4]], [3], ['get', [3]]]);
    });

    test('errorCallback gets the error, once, before get rejects with it', async (t) => {
      const pool = on(t);
      const seen = [];
      const callbacks = { callback: () => seen.push('wrong'), errorCallback: (error) => seen.push(error) };
      const submits = [() => pool.applyAsync(fail, [], callbacks), () => pool.mapAsync(fail, [1, 2, 3], callbacks)];
      for (const submit of submits) seen.push(await submit().get().catch((error) => error));
      assert.equal(seen.length, 4);
      assert.equal(seen[0].message, 'deliberate fail');
      assert.equal(seen[1], seen[0]);
      assert.equal(seen[3], seen[2]);
    });

    test('a callback alone is enough: nobody has to await the result', async (t) => {
      const pool = on(t);
      const seen = [];
      pool.applyAsync(square, [2], { callback: (value) => seen.push(value) });
      pool.applyAsync(fail, [], { errorCallback: ({ message }) => seen.push(message) });
      pool.applyAsync(fail);
      pool.close();
      await within(pool.join(), 'join');
      assert.deepEqual(seen.sort(), [4, 'deliberate fail']);
    });

    test('errorCallback is called for what terminate ended', async (t) => {
      const pool = on(t);
      const { file, started } = gateIn(t);
      const seen = [];
      pool.applyAsync(task('gate'), [file], { errorCallback: ({ code }) => seen.push(code) });
      await started();
      await within(pool.terminate(), 'terminate');
      await waitFor(() => seen.length > 0, 'the callback');
      assert.deepEqual(seen, [closed.code]);
    });

    test('what a callback throws is an uncaught exception; the result and the pool are unaffected', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const { Pool } = require(${JSON.stringify(root)});
          const uncaught = [];
          process.on('uncaughtException', (error) => uncaught.push(error.message));
          const pool = new Pool({ type: process.env.TEST_MODE_TYPE, processes: 1 });
          const callback = () => { throw new Error('in the callback'); };
          const values = [await pool.applyAsync((x) => x, [1], { callback }).get(), await pool.mapAsync((x) => x, [2], { callback })];
          values.push(await pool.apply((x) => x, [3]));
          await sleep(20);
          pool.close();
          await pool.join();
          console.log(JSON.stringify([values, uncaught]));`),
        { mode },
      );
      assert.deepEqual(messages, [[[1, [2], 3], ['in the callback', 'in the callback']]]);
    });

    for (const name of ['callback', 'errorCallback']) {
      test(`${name} that is not a function is refused, and named`, async (t) => {
        const pool = on(t);
        const refused = (error) => error.code === option.code && error.message.includes(name);
        assert.throws(() => pool.applyAsync(square, [1], { [name]: 5 }), refused);
        assert.throws(() => pool.mapAsync(square, [1], { [name]: 'text' }), refused);
      });
    }
  });

  describe('initializer', () => {
    test('runs before the first task, with its arguments', async (t) => {
      const pool = on(t, { initializer: task('setUp'), initArgs: ['table', { size: 3 }] });
      assert.deepEqual(await pool.map(task('configured'), range(6)), Array(6).fill(['table', { size: 3 }]));
    });

    test('may be a function that is sent as its source', async (t) => {
      t.after(() => delete globalThis.seenByPoolTest);
      const initializer = (value) => {
        globalThis.seenByPoolTest = value;
      };
      assert.equal(await on(t, { initializer, initArgs: ['here'] }).apply(() => globalThis.seenByPoolTest), 'here');
    });

    test('is awaited', async (t) => {
      const file = `${temporary(t)}/log`;
      const pool = on(t, { processes: 1, initializer: task('setUpSlowly'), initArgs: [file, 'slow'] });
      await within(pool.ready(), 'ready');
      assert.equal(lines(file).length, 1);
      assert.equal(await pool.apply(task('configured')), 'slow');
      assert.equal(lines(file).length, 1, 'once per worker');
    });

    test('that throws fails waiting calls, later calls and ready with its own error', async (t) => {
      const initializer = (text) => {
        throw new TypeError(text);
      };
      const pool = on(t, { stdio: 'ignore', initializer, initArgs: ['no database'] });
      const own = { name: 'TypeError', message: 'no database' };
      const early = [
        pool.apply(square, [1]),
        pool.map(square, [1, 2]),
        pool.applyAsync(square, [1]).get(),
        list(pool.imap(square, [1])),
      ];
      for (const one of early) await assert.rejects(within(one, 'what waits'), own);
      if (mode.loadsFirst) await assert.rejects(within(pool.ready(), 'ready'), own);
      await assert.rejects(within(pool.apply(square, [1]), 'what comes later'), own);
      pool.close();
      await within(pool.join(), 'join');
    });

    test('initArgs without an initializer are refused, and so is what is not a function', () => {
      assert.throws(() => new Pool({ type: mode.type, initArgs: [1] }), option);
      assert.throws(
        () => new Pool({ type: mode.type, initializer: 5 }),
        (error) => error.code === option.code && /initializer/.test(error.message),
      );
    });
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, mode, options);

    test('applyAsync: as many calls as workers are under way at the same time', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { processes: 4 });
      const results = range(4).map((i) => pool.applyAsync(task('meet'), [dir, i, 4]));
      assert.deepEqual(results.map((result) => result.ready()), Array(4).fill(false));
      assert.deepEqual(await within(Promise.all(results), 'four calls at once'), range(4));
    });

    test('map: as many items as workers are under way at the same time', async (t) => {
      const dir = temporary(t);
      const items = range(2).map((i) => [dir, i, 2]);
      assert.deepEqual(await within(on(t).map(task('meetAsItem'), items), 'two items at once'), range(2));
    });

    test('imapUnordered yields first what is done first', async (t) => {
      const { file, open } = gateIn(t);
      const iterator = on(t).imapUnordered(task('gateAsItem'), [[file, 'slow'], [null, 'quick']]);
      assert.deepEqual(await within(iterator.next(), 'next'), { value: 'quick', done: false });
      open();
      assert.deepEqual(await within(list(iterator), 'the rest'), ['slow']);
    });

    test('a chunk is run by one worker', async (t) => {
      const workers = await on(t).map(task('whoSlowly'), range(12), { chunkSize: 3 });
      for (let i = 0; i < 12; i += 3) assert.equal(new Set(workers.slice(i, i + 3)).size, 1, `${workers}`);
    });
  },
  { needs: ['isParallel'] },
);

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, mode, options);

    describe('a dead child', () => {
      test('apply rejects at once, whatever the timeout of get; the pool goes on', async (t) => {
        const pool = on(t);
        await assert.rejects(within(pool.apply(task('exitAt'), [-3]), 'apply'), {
          ...exited,
          exitCode: 3,
          signal: null,
        });
        await assert.rejects(within(pool.applyAsync(task('exitAt'), [-4]).get(600_000), 'get'), {
          ...exited,
          exitCode: 4,
        });
        assert.deepEqual(await within(pool.map(square, range(20)), 'map'), range(20).map(square));
      });

      test('map says which item it was', async (t) => {
        await assert.rejects(within(on(t).map(task('exitAt'), [0, 1, -7, 3]), 'map'), (error) => {
          assert.equal(error.code, exited.code);
          assert.equal(error.exitCode, 7);
          assert.deepEqual([...error.records], [2]);
          return true;
        });
      });

      for (const chunkSize of [undefined, 1, 10]) {
        test(`the other items keep their results (chunkSize ${chunkSize})`, async (t) => {
          const pool = on(t);
          const settled = await within(
            pool.map(task('exitAt'), [0, 1, -7, 3, 4, -8, 6], { onError: 'collect', chunkSize }),
            'map',
          );
          assert.deepEqual(
            settled.map(({ value, reason }) => value ?? [reason.code, reason.exitCode, ...reason.records]),
            [0, 1, [exited.code, 7, 2], 3, 4, [exited.code, 8, 5], 6],
          );
        });
      }

      test('imap yields the values before it, and then the error', async (t) => {
        const iterator = on(t).imap(task('exitAt'), [0, 1, -7, 3]);
        assert.deepEqual([(await iterator.next()).value, (await iterator.next()).value], [0, 1]);
        await assert.rejects(within(iterator.next(), 'next'), { ...exited, exitCode: 7 });
        assert.deepEqual(await iterator.next(), { value: undefined, done: true });
      });

      test('with retries its item is run again', async (t) => {
        const file = `${temporary(t)}/attempts`;
        const pool = on(t, { retries: 1 });
        assert.equal(await within(pool.apply(task('dieAtFirst'), [file, 1, 'alive']), 'apply'), 'alive');
        assert.equal(lines(file).length, 2);
        await assert.rejects(within(pool.apply(task('dieAtFirst'), [`${file}2`, 9, 'alive']), 'apply'), exited);
        assert.equal(lines(`${file}2`).length, 2);
      });

      test('errorCallback is called; close and join end', async (t) => {
        const pool = on(t);
        const seen = [];
        pool.applyAsync(task('exitAt'), [-3], { errorCallback: ({ code }) => seen.push(code) });
        const other = pool.applyAsync(square, [3]);
        pool.close();
        await within(pool.join(), 'join');
        assert.deepEqual(seen, [exited.code]);
        assert.equal(await other, 9);
      });
    });

    describe('maxTasksPerChild', () => {
      const workersOf = async (pool, count) => {
        const seen = [];
        for (let i = 0; i < count; i++) seen.push(await within(pool.apply(task('who')), 'apply'));
        return seen;
      };

      test('a worker is replaced after that many tasks', async (t) => {
        const each = await workersOf(on(t, { processes: 1, maxTasksPerChild: 1 }), 4);
        assert.equal(new Set(each).size, 4, `${each}`);
        const pairs = await workersOf(on(t, { processes: 1, maxTasksPerChild: 2 }), 6);
        assert.equal(new Set(pairs).size, 3, `${pairs}`);
        assert.deepEqual([pairs[1], pairs[3], pairs[5]], [pairs[0], pairs[2], pairs[4]]);
        const same = await workersOf(on(t, { processes: 1 }), 4);
        assert.equal(new Set(same).size, 1);
      });

      test('no item is lost or run twice when workers are replaced', async (t) => {
        const file = `${temporary(t)}/ran`;
        const pool = on(t, { maxTasksPerChild: 3 });
        const items = range(60).map((i) => [file, i]);
        assert.deepEqual(
          await within(pool.starmap(task('note'), items, { chunkSize: 2 }), 'starmap', 60_000),
          range(60),
        );
        assert.deepEqual(
          lines(file)
            .map(Number)
            .sort((a, b) => a - b),
          range(60),
        );
      });

      test('module state is new, and the initializer has run again', async (t) => {
        const pool = on(t, { processes: 1, maxTasksPerChild: 1, initializer: task('setUp'), initArgs: ['again'] });
        for (let i = 0; i < 3; i++) assert.equal(await pool.apply(task('count')), 1);
        assert.deepEqual(await pool.apply(task('configured')), ['again']);
      });

      for (const maxTasksPerChild of [0, -1, 1.5, '3']) {
        test(`${typeof maxTasksPerChild} ${maxTasksPerChild} is refused, and named`, () => {
          assert.throws(
            () => new Pool({ type: mode.type, maxTasksPerChild }),
            (error) => error.code === option.code && /maxTasksPerChild/.test(error.message),
          );
        });
      }
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('a child that is killed from outside fails only its own task', async (t) => {
      const pool = make(t, mode);
      const { file, started } = gateIn(t);
      const held = pool.applyAsync(task('gate'), [file]);
      await started();
      process.kill(await pidIn(`${file}.started`), 'SIGKILL');
      await assert.rejects(within(held.get(), 'get'), { ...exited, signal: 'SIGKILL' });
      assert.deepEqual(await within(pool.map(square, range(10)), 'map'), range(10).map(square));
    });

    test('all children killed at once: each task rejects, later ones succeed', async (t) => {
      const pool = make(t, mode);
      const dir = temporary(t);
      const held = range(2).map((i) => pool.applyAsync(task('gate'), [`${dir}/${i}`]));
      for (const i of range(2)) await appeared(`${dir}/${i}.started`);
      const next = pool.map(square, range(10));
      for (const i of range(2)) process.kill(await pidIn(`${dir}/${i}.started`), 'SIGKILL');
      for (const one of held) await assert.rejects(within(one.get(), 'get'), { ...exited, signal: 'SIGKILL' });
      assert.deepEqual(await within(next, 'map'), range(10).map(square));
    });
  },
  { needs: ['hasProcess'] },
);
