'use strict';
// imap and imapUnordered: how far they read ahead, what ends them, and what becomes of the source then. (The values and
// the order that users of Python know are in pool-python-parity.test.js.)

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { getEventListeners } = require('node:events');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { appeared, fixture, lines, read, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

/**
 * How many items of 5 ms two workers may have ahead of a caller who is late, as one is on a busy machine: a quarter of a
 * second of work each. A caller who is in time is far below it.
 */
const AHEAD_OF_A_LATE_CALLER = 2 * (250 / 5);
const PATIENCE = 60_000; // A grace period that no case is meant to reach.
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

const closed = { code: 'ERR_PARALLELIZER_CLOSED' };
const timedOut = { code: 'ERR_PARALLELIZER_TIMEOUT' };
const end = { value: undefined, done: true };

const task = (name) => ({ filePath: fixture('pool-tasks.js'), name });
const range = (count) => Array.from({ length: count }, (_, i) => i);

const identity = (x) => x;
const square = (x) => x * x;
/** Takes a measurable time, so that chunks stay small. */
const later = (x) => new Promise((resolve) => setTimeout(resolve, 5, x));
const never = () => new Promise(() => setInterval(() => {}, 1000).unref());
const firstOnly = (x) => (x === 0 ? x : new Promise(() => setInterval(() => {}, 1000).unref()));
const picky = (x) => {
  if (x < 0) throw new RangeError(`bad ${x}`);
  return x;
};
/** Notes in FILE.started that it runs, and in FILE that it was told to stop. */
const untilTold = function (file) {
  const { signal } = this;
  require('node:fs').appendFileSync(`${file}.started`, 'x\n');
  return new Promise((resolve) => {
    const held = setInterval(() => {}, 1000).unref();
    signal.addEventListener('abort', () => {
      clearInterval(held);
      require('node:fs').appendFileSync(file, 'told\n');
      resolve('too late');
    });
  });
};

function make(t, mode, options) {
  const pool = new Pool({ type: mode.type, processes: 2, ...options });
  t.after(() => pool.terminate());
  return pool;
}

async function list(iterable) {
  const all = [];
  for await (const value of iterable) all.push(value);
  return all;
}

const settled = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));

/** A source that is endless, or has these items, and counts what is done to it. */
function source(items = null, { isAsync = false, value = (i) => i, fail = null } = {}) {
  const seen = { opened: 0, read: 0, closed: 0, overlapping: 0 };
  let reading = 0;
  const next = () => {
    if (fail !== null && seen.read === fail.at) throw fail.error;
    if (items !== null && seen.read === items.length) return { value: undefined, done: true };
    const i = seen.read++;
    return { value: items === null ? value(i) : items[i], done: false };
  };
  const close = () => {
    seen.closed++;
    return { value: undefined, done: true };
  };
  if (!isAsync) return Object.assign(seen, { [Symbol.iterator]: () => (seen.opened++, { next, return: close }) });
  const nextLater = async () => {
    if (reading++ > 0) seen.overlapping++;
    await null;
    reading--;
    return next();
  };
  return Object.assign(seen, {
    [Symbol.asyncIterator]: () => (seen.opened++, { next: nextLater, return: async () => close() }),
  });
}

/** Waits until a number no longer changes. */
async function settles(count) {
  for (let before = -1, now = count(); before !== now; now = count()) {
    before = now;
    await sleep(100);
  }
  return count();
}

forEachMode((mode) => {
  const on = (t, options) => make(t, mode, options);

  describe('how far it reads', () => {
    for (const isAsync of [false, true]) {
      const kind = isAsync ? 'an async source' : 'a source';

      test(`${kind} is not even opened before the first next()`, async (t) => {
        const one = source(null, { isAsync });
        const iterator = on(t).imap(identity, one);
        await sleep(30);
        assert.deepEqual([one.opened, one.read], [0, 0]);
        await iterator.return();
        assert.deepEqual([one.opened, one.closed], [0, 0], 'what was never opened is not closed');
        assert.deepEqual(await iterator.next(), end);
        assert.deepEqual([one.opened, one.closed], [0, 0]);
      });

      for (const method of ['imap', 'imapUnordered']) {
        test(`${method}: while nothing is finished, ${kind} is read only as far as is useful`, async (t) => {
          const file = `${temporary(t)}/gate`;
          const one = source(null, { isAsync, value: (i) => [file, i] });
          const iterator = on(t)[method](task('gateAsItem'), one);
          const first = iterator.next();
          await appeared(`${file}.started`);
          const count = await settles(() => one.read);
          t.diagnostic(`${count} items were read for 2 workers`);
          assert.ok(count >= 2 && count <= 8, `${count} items were read`);
          fs.writeFileSync(`${file}.go`, '');
          await within(first, 'next');
          await iterator.return();
        });

        test(`${method}: a consumer that stops asking stops the reading of ${kind}`, async (t) => {
          const one = source(null, { isAsync });
          const iterator = on(t)[method](later, one);
          for (let taken = 1; taken <= 12; taken++) await within(iterator.next(), 'next');
          const count = await settles(() => one.read);
          t.diagnostic(`${count - 12} items were read ahead`);
          assert.ok(count - 12 <= 16 + AHEAD_OF_A_LATE_CALLER, `${count - 12} items were read ahead`);
          await within(iterator.next(), 'next');
          await iterator.return();
        });
      }
    }

    test('cheap items are read further ahead, but not without limit', async (t) => {
      const one = source();
      const iterator = on(t).imap(identity, one);
      let ahead = 0;
      for (let taken = 0; taken < 20_000; taken++) {
        assert.equal((await iterator.next()).value, taken);
        ahead = Math.max(ahead, one.read - taken);
      }
      t.diagnostic(`${ahead} items at most were read ahead`);
      assert.ok(ahead < 20_000, `${ahead} items were read ahead`);
      await iterator.return();
    });

    test('cheap items with large results are not read so far ahead that they fill the memory', async (t) => {
      const one = source();
      const large = (i) => `${i} ${'x'.repeat(1_000_000)}`;
      const iterator = on(t).imap(large, one);
      for (let taken = 0; taken < 20; taken++) assert.ok((await iterator.next()).value.startsWith(`${taken} x`));
      const count = await settles(() => one.read);
      t.diagnostic(`${count - 20} items were read ahead`);
      assert.ok(count - 20 <= 64, `${count - 20} items were read ahead`);
      await iterator.return();
    });

    test('concurrency: as far ahead as that many can run', async (t) => {
      const file = `${temporary(t)}/gate`;
      const one = source(null, { value: (i) => [file, i] });
      const iterator = on(t, { concurrency: 5 }).imap(task('gateAsItem'), one);
      const first = iterator.next();
      await waitFor(() => lines(`${file}.started`).length >= 10, 'ten to run at the same time');
      const count = await settles(() => one.read);
      assert.ok(count <= 40, `${count} items were read`);
      fs.writeFileSync(`${file}.go`, '');
      await within(first, 'next');
      await iterator.return();
    });

    test('imap: the items after a slow one go on, but not without limit', async (t) => {
      const file = `${temporary(t)}/gate`;
      const one = source(null, { value: (i) => [i, file] });
      const slowFirst = async ([i, path]) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        while (i === 0 && !require('node:fs').existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
        return i;
      };
      const iterator = on(t).imap(slowFirst, one);
      const first = iterator.next();
      await waitFor(() => one.read > 8, 'others to be read');
      const count = await settles(() => one.read);
      t.diagnostic(`${count} items were read`);
      assert.ok(count <= 64 + AHEAD_OF_A_LATE_CALLER, `${count} items were read`);
      fs.writeFileSync(file, '');
      const values = [(await within(first, 'the first')).value];
      for (let i = 0; i < 40; i++) values.push((await within(iterator.next(), 'next')).value);
      assert.deepEqual(values, range(41));
      await iterator.return();
    });

    test('an async source is asked for one item at a time', async (t) => {
      const one = source(range(300), { isAsync: true });
      assert.deepEqual(await within(list(on(t).imap(identity, one)), 'the values'), range(300));
      assert.equal(one.overlapping, 0);
      assert.equal(one.closed, 0, 'it has ended by itself');
    });

    test('a source that yields an item only after the result of the one before', async (t) => {
      for (const method of ['imap', 'imapUnordered']) {
        let taken = 0;
        async function* patient() {
          for (let i = 0; i < 30; i++) {
            await waitFor(() => taken === i, `result ${i}`);
            yield i;
          }
        }
        const values = [];
        for await (const value of on(t)[method](identity, patient())) {
          values.push(value);
          taken++;
        }
        assert.deepEqual(values, range(30));
      }
    });

    for (const chunkSize of [1, 3, 1000]) {
      test(`chunkSize ${chunkSize} does not hold back what a slow source has yielded`, async (t) => {
        let taken = 0;
        async function* patient() {
          for (let i = 0; i < 5; i++) {
            await waitFor(() => taken === i, `result ${i}`);
            yield i;
          }
        }
        const values = [];
        for await (const value of on(t).imap(identity, patient(), { chunkSize })) {
          values.push(value);
          taken++;
        }
        assert.deepEqual(values, range(5));
      });
    }
  });

  describe('leaving early', () => {
    const breaks = async (iterator, count) => {
      for await (const value of iterator) if (--count === 0) return value;
    };
    const ways = {
      break: (iterator) => breaks(iterator, 3),
      'a throw in the loop': async (iterator) => {
        const body = async () => {
          for await (const value of iterator) throw new Error(`in the body, at ${value}`);
        };
        await assert.rejects(body(), /in the body/);
      },
      'return()': async (iterator) => {
        await iterator.next();
        assert.deepEqual(await iterator.return('given'), { value: 'given', done: true });
      },
      'throw()': async (iterator) => {
        await iterator.next();
        await assert.rejects(iterator.throw(new TypeError('mine')), { name: 'TypeError', message: 'mine' });
      },
      dispose: async (iterator) => {
        await iterator.next();
        if (iterator[asyncDispose]) assert.equal(await iterator[asyncDispose](), undefined);
        else await iterator.return();
      },
    };

    for (const [way, leave] of Object.entries(ways)) {
      for (const method of ['imap', 'imapUnordered']) {
        test(`${method}, ${way}: the source is closed, once, and nothing more is read`, async (t) => {
          const pool = on(t);
          for (const isAsync of [false, true]) {
            const one = source(null, { isAsync });
            const iterator = pool[method](later, one);
            await within(leave(iterator), way);
            assert.equal(one.closed, 1);
            const { read: before } = one;
            assert.deepEqual(await within(iterator.next(), 'next'), end);
            assert.deepEqual(await within(iterator.return(), 'return'), end);
            await sleep(30);
            assert.equal(one.read, before);
            assert.equal(one.closed, 1);
          }
          assert.deepEqual(await within(pool.map(square, range(10)), 'the pool works on'), range(10).map(square));
        });
      }
    }

    test('generators run their finally block, which is awaited', async (t) => {
      const order = [];
      function* plain() {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          order.push('plain');
        }
      }
      async function* slow() {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          await sleep(20);
          order.push('slow');
        }
      }
      const pool = on(t);
      for (const one of [plain(), slow()]) {
        const iterator = pool.imap(later, one);
        await iterator.next();
        // Until it has read as much as it will: a source that is busy reading is not waited for.
        await sleep(100);
        await iterator.return();
        order.push('left');
      }
      assert.deepEqual(order, ['plain', 'left', 'slow', 'left']);
    });

    test('a source without return() is fine', async (t) => {
      let i = 0;
      const one = { [Symbol.iterator]: () => ({ next: () => ({ value: i++, done: false }) }) };
      await within(breaks(on(t).imap(identity, one), 3), 'break');
    });

    test('what closing the source throws reaches whoever leaves the loop', async (t) => {
      const pool = on(t);
      for (const isAsync of [false, true]) {
        const failing = {
          next: () => ({ value: 1, done: false }),
          return: () => {
            throw new Error('will not close');
          },
        };
        const one = { [isAsync ? Symbol.asyncIterator : Symbol.iterator]: () => failing };
        await assert.rejects(within(breaks(pool.imap(identity, one), 2), 'break'), /will not close/);
      }
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });

    test('a source whose read is pending is not waited for', async (t) => {
      async function* stuck() {
        yield 1;
        await new Promise(() => {});
      }
      const pool = on(t);
      const iterator = pool.imap(identity, stuck());
      assert.equal((await within(iterator.next(), 'the first')).value, 1);
      const pending = iterator.next();
      await within(iterator.return(), 'return');
      assert.deepEqual(await within(pending, 'the pending next'), end);
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });

    test('several pending next() all end', async (t) => {
      const iterator = on(t).imap(never, range(5));
      const pending = range(4).map(() => iterator.next());
      await sleep(20);
      await within(iterator.return(), 'return');
      assert.deepEqual(await within(Promise.all(pending), 'the pending ones'), Array(4).fill(end));
    });

    test('in the same turn as the first next()', async (t) => {
      const pool = on(t);
      const one = source();
      const iterator = pool.imap(identity, one);
      const pending = iterator.next();
      const leaving = iterator.return();
      assert.deepEqual(await within(Promise.all([pending, leaving]), 'both'), [end, end]);
      assert.equal(one.closed, 1);
      assert.deepEqual(await within(pool.map(square, [3]), 'map'), [9]);
    });

    test('what runs sees its signal; what has not begun never runs', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { gracePeriod: PATIENCE });
      const files = range(10).map((i) => `${dir}/${i}`);
      const iterator = pool.imapUnordered(untilTold, files);
      const pending = iterator.next();
      await waitFor(() => files.filter((file) => fs.existsSync(`${file}.started`)).length === 2, 'two to run');
      await within(iterator.return(), 'return');
      assert.deepEqual(await pending, end);
      await waitFor(() => files.filter((file) => read(file) === 'told\n').length === 2, 'both to be told');
      assert.deepEqual(await within(pool.map(square, range(10)), 'map'), range(10).map(square));
      assert.equal(files.filter((file) => fs.existsSync(`${file}.started`)).length, 2, 'no other has begun');
    });

    test('results that nobody has taken are dropped, as are errors', async (t) => {
      const pool = on(t);
      const iterator = pool.imap(picky, [1, -2, -3, -4, 5]);
      assert.equal((await iterator.next()).value, 1);
      await sleep(50);
      await iterator.return();
      assert.deepEqual(await iterator.next(), end);
    });
  });

  describe('errors of the source', () => {
    const error = new Error('dry');

    for (const isAsync of [false, true]) {
      const kind = isAsync ? 'an async source' : 'a source';

      for (const at of [0, 1, 7]) {
        test(`${kind} that throws after ${at} items: results first, then its error, then the end`, async (t) => {
          const pool = on(t);
          for (const method of ['imap', 'imapUnordered']) {
            const one = source(null, { isAsync, fail: { at, error } });
            const iterator = pool[method](later, one);
            const values = [];
            for (let i = 0; i < at; i++) values.push((await within(iterator.next(), 'next')).value);
            assert.deepEqual(values.sort((a, b) => a - b), range(at));
            assert.equal((await within(settled(iterator.next()), 'its error')).error, error);
            assert.deepEqual(await iterator.next(), end);
            assert.equal(one.closed, 0, 'one that has thrown is not closed');
          }
          assert.deepEqual(await within(pool.map(square, [3]), 'the pool works on'), [9]);
        });
      }
    }

    test('a source that does not open, or is not an iterator', async (t) => {
      const pool = on(t);
      const opens = {
        'throws at opening': () => { throw error; },
        'is nothing': () => undefined,
        'has no next': () => ({}),
        'gives no result': () => ({ next: () => 5 }),
        'gives nothing': () => ({ next: () => undefined }),
        'cannot be read': () => ({ next: () => ({ get done() { throw error; } }) }),
        'has no value': () => ({ next: () => ({ get value() { throw error; } }) }),
      };
      for (const [what, open] of Object.entries(opens)) {
        for (const symbol of [Symbol.iterator, Symbol.asyncIterator]) {
          const iterator = pool.imap(identity, { [symbol]: open });
          const { error: told } = await within(settled(iterator.next()), what);
          if (['throws at opening', 'cannot be read', 'has no value'].includes(what)) assert.equal(told, error);
          else assert.ok(told instanceof TypeError, `${what}: ${told}`);
          assert.deepEqual(await iterator.next(), end);
        }
      }
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });

    test('undefined, thrown by the source', async (t) => {
      const iterator = on(t).imap(identity, source(null, { fail: { at: 1, error: undefined } }));
      assert.equal((await iterator.next()).value, 0);
      assert.deepEqual(await settled(iterator.next()), { error: undefined });
      assert.deepEqual(await iterator.next(), end);
    });

    test('after the error of an item, that of the source is not reported: the stream is over', async (t) => {
      const iterator = on(t).imap(picky, source([1, -2], { fail: { at: 2, error } }));
      assert.equal((await iterator.next()).value, 1);
      await assert.rejects(iterator.next(), { message: 'bad -2' });
      assert.deepEqual(await iterator.next(), end);
    });

    test('nor after leaving', async (t) => {
      const iterator = on(t).imap(identity, source([1, 2], { fail: { at: 2, error } }));
      assert.equal((await iterator.next()).value, 1);
      await sleep(30);
      assert.deepEqual(await iterator.return(), end);
      assert.deepEqual(await iterator.next(), end);
    });
  });

  describe('errors of items', () => {
    test('the first in the order of the items ends the stream, and closes an endless source, once', async (t) => {
      const pool = on(t);
      for (const isAsync of [false, true]) {
        const one = source(null, { isAsync, value: (i) => (i < 20 ? i : -i) });
        const values = [];
        const loop = async () => {
          for await (const value of pool.imap(picky, one)) values.push(value);
        };
        await assert.rejects(within(loop(), 'the loop'), { name: 'RangeError', message: 'bad -20' });
        assert.deepEqual(values, range(20));
        await waitFor(() => one.closed > 0, 'the source to be closed');
        const { read: before } = one;
        await sleep(30);
        assert.deepEqual([one.read, one.closed], [before, 1]);
      }
      assert.deepEqual(await within(pool.map(square, [3]), 'the pool works on'), [9]);
    });

    test('imapUnordered: the values before it came first', async (t) => {
      const iterator = on(t, { processes: 1 }).imapUnordered(picky, [1, 2, -3, 4], { chunkSize: 1 });
      assert.deepEqual([(await iterator.next()).value, (await iterator.next()).value], [1, 2]);
      await assert.rejects(iterator.next(), { message: 'bad -3' });
      assert.deepEqual(await iterator.next(), end);
    });

    test('one that nobody waits for is not an unhandled rejection, and is reported to whoever asks next', async (t) => {
      const iterator = on(t).imap(picky, [1, -2, -3]);
      assert.equal((await iterator.next()).value, 1);
      await sleep(50);
      await assert.rejects(iterator.next(), { message: 'bad -2' });
      assert.deepEqual(await iterator.next(), end);
    });

    for (const thrown of [undefined, null, 0, 'text']) {
      test(`a thrown ${JSON.stringify(thrown)} is reported as it is`, async (t) => {
        const pool = on(t);
        const throwIt = (value) => {
          throw value;
        };
        assert.deepEqual(await settled(pool.imap(throwIt, [thrown]).next()), { error: thrown });
        const collected = await list(pool.imap(throwIt, [thrown], { onError: 'collect' }));
        assert.deepEqual(collected, [{ status: 'rejected', reason: thrown }]);
      });
    }

    test("onError 'collect': each item's outcome, in order, and the source is read to its end", async (t) => {
      const one = source(range(200).map((i) => (i % 7 === 3 ? -i : i)));
      const all = await within(list(on(t).imap(picky, one, { onError: 'collect' })), 'the outcomes');
      assert.deepEqual(
        all.map(({ status, value, reason }) => (status === 'fulfilled' ? value : reason.message)),
        range(200).map((i) => (i % 7 === 3 ? `bad ${-i}` : i)),
      );
      assert.equal(one.closed, 0);
    });

    test("onError 'collect', unordered", async (t) => {
      const items = range(60).map((i) => (i % 7 === 3 ? -i : i));
      const all = await within(list(on(t).imapUnordered(picky, items, { onError: 'collect' })), 'the outcomes');
      const told = all.map(({ value, reason }) => value ?? reason.message).map(String);
      assert.deepEqual(told.sort(), items.map((x) => (x < 0 ? `bad ${x}` : `${x}`)).sort());
    });

    test('an item that cannot travel fails alone', async (t) => {
      const items = [1, () => {}, 3, Symbol('x'), 5];
      const all = await within(list(on(t).imap(identity, items, { onError: 'collect' })), 'the outcomes');
      assert.deepEqual(
        all.map(({ value, reason }) => value ?? reason.code),
        [1, 'ERR_PARALLELIZER_SERIALIZATION', 3, 'ERR_PARALLELIZER_SERIALIZATION', 5],
      );
    });

    test('a result that cannot travel fails alone', async (t) => {
      const makes = (x) => (x % 2 ? () => x : x);
      const all = await within(list(on(t).imap(makes, [0, 1, 2, 3], { onError: 'collect' })), 'the outcomes');
      assert.deepEqual(
        all.map(({ value, reason }) => value ?? reason.code),
        [0, 'ERR_PARALLELIZER_SERIALIZATION', 2, 'ERR_PARALLELIZER_SERIALIZATION'],
      );
    });

    test('an item that takes too long, with its index; the others arrive', async (t) => {
      const pool = on(t, { gracePeriod: 50 });
      const slowAt = (x) => new Promise((resolve) => setTimeout(resolve, x === 2 ? 600_000 : 1, x).unref());
      const keepsGoing = (x) => (x === 2 ? new Promise(() => setInterval(() => {}, 1000).unref()) : x);
      const all = await within(
        list(pool.imap(keepsGoing, range(6), { timeout: 400, onError: 'collect' })),
        'the outcomes',
      );
      assert.deepEqual(
        all.map(({ value, reason }) => value ?? [reason.code, ...reason.records]),
        [0, 1, [timedOut.code, 2], 3, 4, 5],
      );
      const iterator = pool.imap(
        slowAt,
        range(2).map((i) => i + 2),
        { timeout: 400 },
      );
      await assert.rejects(within(iterator.next(), 'next'), (error) => {
        assert.equal(error.code, timedOut.code);
        assert.deepEqual([...error.records], [0]);
        return true;
      });
      assert.deepEqual(await iterator.next(), end);
    });
  });

  describe('asking', () => {
    test('many next() at once get the values in order, and then the end', async (t) => {
      const iterator = on(t).imap(later, range(20));
      const results = await within(Promise.all(range(30).map(() => iterator.next())), 'all of them');
      assert.deepEqual(
        results.map(({ value, done }) => (done ? 'end' : value)),
        [...range(20), ...Array(10).fill('end')],
      );
    });

    test('many next() at once, unordered: each value once', async (t) => {
      const iterator = on(t).imapUnordered(later, range(20));
      const results = await within(Promise.all(range(30).map(() => iterator.next())), 'all of them');
      assert.deepEqual(results.slice(20), Array(10).fill(end));
      assert.deepEqual(results.slice(0, 20).map(({ value }) => value).sort((a, b) => a - b), range(20));
    });

    test('many next() at once with an error among them: one rejects, those after it end', async (t) => {
      const iterator = on(t).imap(picky, [0, 1, -2, 3, 4]);
      const results = await within(Promise.all(range(7).map(() => settled(iterator.next()))), 'all of them');
      const brief = ({ value, error }) => error?.message ?? (value.done ? 'end' : value.value);
      assert.deepEqual(results.map(brief), [0, 1, 'bad -2', 'end', 'end', 'end', 'end']);
    });

    test('more next() at once than are read ahead', async (t) => {
      const iterator = on(t).imap(later, source());
      const results = await within(Promise.all(range(100).map(() => iterator.next())), 'all of them');
      assert.deepEqual(results.map(({ value }) => value), range(100));
      await iterator.return();
    });

    test('items of random cost: imap in order, imapUnordered each once', async (t) => {
      const items = range(150).map((i) => [i, (i * 7919) % 11]);
      const wait = ([i, ms]) => new Promise((resolve) => setTimeout(resolve, ms, i));
      const pool = on(t);
      assert.deepEqual(await within(list(pool.imap(wait, items)), 'imap'), range(150));
      const unordered = await within(list(pool.imapUnordered(wait, items)), 'imapUnordered');
      assert.deepEqual(unordered.sort((a, b) => a - b), range(150));
    });

    test('values that are undefined, or look like the end, do not end it', async (t) => {
      const values = [undefined, null, { done: true, value: 1 }, 0, '', false];
      assert.deepEqual(await within(list(on(t).imap(identity, values)), 'the values'), values);
    });

    test('100,000 cheap items', async (t) => {
      let sum = 0;
      for await (const value of on(t).imapUnordered(identity, range(100_000))) sum += value;
      assert.equal(sum, 4_999_950_000);
    });
  });

  describe('signal', () => {
    const assertAborted = (error, reason) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_ABORTED');
      assert.equal(error.name, 'AbortError');
      assert.equal(error.cause, reason);
    };

    test('already aborted: the source is not opened', async (t) => {
      const pool = on(t);
      const one = source();
      const iterator = pool.imap(identity, one, { signal: AbortSignal.abort('early') });
      assertAborted((await within(settled(iterator.next()), 'next')).error, 'early');
      assert.deepEqual(await iterator.next(), end);
      assert.equal(one.opened, 0);
      pool.close();
      await within(pool.join(), 'join');
    });

    for (const isAsync of [false, true]) {
      test(`amid ${isAsync ? 'an async' : 'a'} source: the pending next() rejects, the source is closed`, async (t) => {
        const file = `${temporary(t)}/gate`;
        const pool = on(t, { gracePeriod: PATIENCE });
        const one = source(null, { isAsync, value: (i) => (i < 3 ? [null, i] : [file, i]) });
        const controller = new AbortController();
        const iterator = pool.imap(task('gateAsItem'), one, { signal: controller.signal });
        for (const i of range(3)) assert.equal((await within(iterator.next(), 'next')).value, i);
        const pending = range(3).map(() => settled(iterator.next()));
        await appeared(`${file}.started`);
        controller.abort('enough');
        const [first, ...others] = await within(Promise.all(pending), 'the pending ones');
        assertAborted(first.error, 'enough');
        assert.deepEqual(others, [{ value: end }, { value: end }]);
        assert.equal(one.closed, 1);
        fs.writeFileSync(`${file}.go`, '');
        assert.deepEqual(await within(pool.map(square, [3]), 'map'), [9]);
      });
    }

    test('while nobody waits: the next next() rejects, once', async (t) => {
      const controller = new AbortController();
      const iterator = on(t).imap(identity, source(), { signal: controller.signal });
      await iterator.next();
      controller.abort('enough');
      await sleep(10);
      assertAborted((await settled(iterator.next())).error, 'enough');
      assert.deepEqual(await iterator.next(), end);
      assert.deepEqual(await iterator.return(), end);
    });

    test('what runs sees its signal', async (t) => {
      const file = `${temporary(t)}/told`;
      const controller = new AbortController();
      const iterator = on(t, { gracePeriod: PATIENCE }).imap(untilTold, [file], { signal: controller.signal });
      const pending = settled(iterator.next());
      await appeared(`${file}.started`);
      controller.abort('enough');
      assertAborted((await within(pending, 'next')).error, 'enough');
      await waitFor(() => read(file) === 'told\n', 'the function to be told');
    });

    test('after the end it has no effect, and no listener is left', async (t) => {
      const pool = on(t);
      const controller = new AbortController();
      const { signal } = controller;
      assert.deepEqual(await list(pool.imap(square, range(5), { signal })), range(5).map(square));
      for await (const value of pool.imap(square, source(), { signal })) if (value === 4) break;
      await assert.rejects(list(pool.imap(picky, [-1], { signal })), { message: 'bad -1' });
      await assert.rejects(
        list(pool.imap(identity, source(null, { fail: { at: 2, error: new Error('dry') } }), { signal })),
        /dry/,
      );
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      controller.abort();
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });

    test('one signal for many streams: all of them end, other work goes on', async (t) => {
      const warnings = [];
      const note = (warning) => warnings.push(String(warning));
      process.on('warning', note);
      t.after(() => process.off('warning', note));
      const pool = on(t, { gracePeriod: PATIENCE });
      const controller = new AbortController();
      const others = list(pool.imap(later, range(50)));
      const streams = range(15).map(() => pool.imap(later, source(), { signal: controller.signal }));
      await Promise.all(streams.map((stream) => stream.next()));
      controller.abort('enough');
      for (const stream of streams) assertAborted((await settled(stream.next())).error, 'enough');
      assert.deepEqual(await within(others, 'the others'), range(50));
      await sleep(0);
      assert.deepEqual(warnings.filter((text) => /MaxListeners/.test(text)), []);
    });
  });

  describe('the end of the pool', () => {
    test('terminate: the pending next() rejects, the source is closed, and the stream is over', async (t) => {
      for (const isAsync of [false, true]) {
        const pool = on(t);
        const one = source(null, { isAsync });
        const iterator = pool.imap(later, one);
        await within(iterator.next(), 'next');
        const pending = range(20).map(() => settled(iterator.next()));
        const terminating = pool.terminate();
        const results = await within(Promise.all(pending), 'the pending ones');
        await within(terminating, 'terminate');
        const told = results.filter(({ error }) => error !== undefined);
        assert.deepEqual(told.map(({ error }) => error.code), [closed.code]);
        assert.equal(one.closed, 1);
        const { read: before } = one;
        assert.deepEqual(await iterator.next(), end);
        await sleep(20);
        assert.deepEqual([one.read, one.closed], [before, 1]);
      }
    });

    for (const method of ['imap', 'imapUnordered']) {
      test(`terminate, ${method} that collects: nothing more is read, and no rejection is unhandled`, async (t) => {
        const pool = on(t);
        const one = source();
        const iterator = pool[method](firstOnly, one, { onError: 'collect' });
        await within(iterator.next(), 'next');
        const pending = settled(iterator.next());
        const { read: before } = one;
        await within(pool.terminate(), 'terminate');
        assert.equal((await within(pending, 'the pending one')).error.code, closed.code);
        await sleep(20);
        assert.equal(one.read, before);
        assert.equal(one.closed, 1);
      });
    }

    test('terminate with a stream that was not begun', async (t) => {
      const pool = on(t);
      const one = source();
      const iterator = pool.imap(identity, one);
      await within(pool.terminate(), 'terminate');
      await assert.rejects(iterator.next(), closed);
      assert.deepEqual(await iterator.next(), end);
      assert.equal(one.opened, 0);
    });

    test('terminate in the turn of the first next()', async (t) => {
      const pool = on(t);
      const pending = settled(pool.imap(identity, source()).next());
      await within(pool.terminate(), 'terminate');
      assert.equal((await within(pending, 'next')).error.code, closed.code);
    });

    test('close, then the first next(), then leaving, in one turn', async (t) => {
      const pool = on(t);
      const iterator = pool.imap(identity, [1, 2, 3]);
      pool.close();
      const pending = iterator.next();
      const leaving = iterator.return();
      assert.deepEqual(await within(Promise.all([pending, leaving]), 'both'), [end, end]);
      await within(pool.join(), 'join');
    });

    test('close, then an abort in the turn in which items were read', async (t) => {
      const pool = on(t);
      const controller = new AbortController();
      const iterator = pool.imap(identity, [1, 2, 3], { signal: controller.signal });
      pool.close();
      const pending = settled(iterator.next());
      controller.abort();
      assert.equal((await within(pending, 'next')).error.code, 'ERR_PARALLELIZER_ABORTED');
      await within(pool.join(), 'join');
    });

    test('close in the middle: the stream goes on, and then the pool ends by itself', async (t) => {
      const pool = on(t);
      const iterator = pool.imap(later, range(40));
      assert.equal((await iterator.next()).value, 0);
      pool.close();
      assert.deepEqual(await within(list(iterator), 'the rest'), range(40).slice(1));
      await waitFor(() => pool.stats().workers.length === 0, 'the workers to go');
      await within(pool.join(), 'join');
    });

    test('close in the middle, left early or failed: the pool ends', async (t) => {
      for (const items of [range(40), [0, -1]]) {
        const pool = on(t);
        const iterator = pool.imap(picky, items);
        assert.equal((await iterator.next()).value, 0);
        pool.close();
        if (items.length === 2) await assert.rejects(iterator.next(), { message: 'bad -1' });
        else await iterator.return();
        await within(pool.join(), 'join');
      }
    });

    for (const isAsync of [false, true]) {
      for (const method of ['imap', 'imapUnordered']) {
        test(`join reads ${isAsync ? 'an async' : 'a'} source to its end; results can wait (${method})`, async (t) => {
          const pool = on(t);
          const one = source(range(30), { isAsync });
          const iterator = pool[method](later, one);
          pool.close();
          await within(pool.join(), 'join');
          assert.equal(one.read, 30);
          assert.deepEqual((await within(list(iterator), 'the results')).sort((a, b) => a - b), range(30));
        });
      }
    }

    test('join with a stream that was begun and is no longer read', async (t) => {
      const pool = on(t);
      const iterator = pool.imap(square, range(30));
      assert.equal((await iterator.next()).value, 0);
      pool.close();
      await within(pool.join(), 'join');
      assert.deepEqual(await list(iterator), range(30).map(square).slice(1));
    });

    test('join with a stream that fails: its error is reported to whoever asks', async (t) => {
      for (const [items, options, expected] of [
        [source([1, -2, 3]), {}, 'bad -2'],
        [source([1], { fail: { at: 1, error: new Error('dry') } }), {}, 'dry'],
      ]) {
        const pool = on(t);
        const iterator = pool.imap(picky, items, options);
        pool.close();
        await within(pool.join(), 'join');
        assert.equal((await iterator.next()).value, 1);
        await assert.rejects(iterator.next(), { message: expected });
        assert.deepEqual(await iterator.next(), end);
      }
    });

    test("join with a stream that has onError 'collect'", async (t) => {
      const pool = on(t);
      const iterator = pool.imap(picky, [1, -2, 3], { onError: 'collect' });
      pool.close();
      await within(pool.join(), 'join');
      assert.deepEqual((await list(iterator)).map(({ value, reason }) => value ?? reason.message), [1, 'bad -2', 3]);
    });

    test('dispose with a stream that nobody reads any more', async (t) => {
      const pool = on(t);
      await pool.imap(square, range(30)).next();
      await within(pool[asyncDispose](), 'dispose');
      assert.equal(pool.stats().workers.length, 0);
    });

    test('terminate cuts short a join that reads', async (t) => {
      const pool = on(t);
      const iterator = pool.imap(later, source());
      pool.close();
      const joining = pool.join();
      await sleep(30);
      await within(pool.terminate(), 'terminate');
      await within(joining, 'join');
      await settled(iterator.next());
      assert.deepEqual(await iterator.return(), end);
    });
  });

  describe('together with other work', () => {
    test('two streams, maps and single calls at once', async (t) => {
      const pool = on(t);
      const applies = async () => {
        const values = [];
        for (let i = 0; i < 50; i++) values.push(await pool.apply(square, [i]));
        return values;
      };
      const results = await within(
        Promise.all([
          list(pool.imap(later, range(60))),
          list(pool.imapUnordered(square, range(500))).then((values) => values.sort((a, b) => a - b)),
          applies(),
          pool.map(square, range(500)),
          Promise.all(range(50).map((i) => pool.apply(identity, [i]))),
          list(pool.imap((a) => a + 1, source(range(200), { isAsync: true }))),
        ]),
        'all of it',
      );
      const squares = range(500).map(square);
      assert.deepEqual(results, [
        range(60),
        squares,
        range(50).map(square),
        squares,
        range(50),
        range(200).map((a) => a + 1),
      ]);
    });

    test('a single call gets through while an endless stream runs', async (t) => {
      const pool = on(t);
      const iterator = pool.imapUnordered(later, source());
      let stop = false;
      const consuming = (async () => {
        for await (const value of iterator) if (stop) return value;
      })();
      for (let i = 0; i < 10; i++) assert.equal(await within(pool.apply(square, [i]), 'apply'), i * i);
      stop = true;
      await within(consuming, 'the loop');
    });

    test('a stream that nobody reads does not hold up others', async (t) => {
      const pool = on(t);
      const idle = pool.imap(identity, source());
      await idle.next();
      assert.deepEqual(await within(list(pool.imap(square, range(3000))), 'the other'), range(3000).map(square));
      assert.deepEqual(await within(pool.map(square, range(100)), 'map'), range(100).map(square));
      assert.equal((await within(idle.next(), 'next')).value, 1);
      await idle.return();
    });

    test('a stream over the results of another, three deep', async (t) => {
      const pool = on(t);
      const plus = (x) => x + 1;
      const chained = pool.imap(plus, pool.imap(plus, pool.imap(plus, range(500))));
      assert.deepEqual(await within(list(chained), 'the values'), range(500).map((x) => x + 3));
    });

    test('leaving the last stream of a chain leaves all of them', async (t) => {
      const pool = on(t);
      const one = source();
      const inner = pool.imap(later, one);
      for await (const value of pool.imap(later, inner)) if (value === 3) break;
      await waitFor(() => one.closed === 1, 'the first source to be closed');
      assert.deepEqual(await within(inner.next(), 'next of the inner one'), end);
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });
  });

  describe('a source that uses the pool', () => {
    test('to submit more', async (t) => {
      const pool = on(t);
      const more = [];
      function* submits() {
        for (let i = 0; i < 20; i++) {
          more.push(pool.apply(square, [i]), pool.map(square, [i]));
          yield i;
        }
      }
      assert.deepEqual(await within(list(pool.imap(identity, submits())), 'the values'), range(20));
      assert.deepEqual(await within(Promise.all(more), 'the others'), range(20).flatMap((i) => [i * i, [i * i]]));
    });

    test('and waits for it', async (t) => {
      const pool = on(t, { processes: 1 });
      async function* waits() {
        for (let i = 0; i < 20; i++) yield await pool.apply(square, [i]);
      }
      assert.deepEqual(await within(list(pool.imap(identity, waits())), 'the values'), range(20).map(square));
    });

    test('to make another stream', async (t) => {
      const pool = on(t);
      async function* streams() {
        for (let i = 0; i < 5; i++) yield* pool.imap(square, range(i));
      }
      assert.deepEqual(
        await within(list(pool.imap(identity, streams())), 'the values'),
        range(5).flatMap((i) => range(i).map(square)),
      );
    });

    test('to ask its own stream for more', async (t) => {
      const asked = [];
      const one = source(null, { value: (i) => (i < 3 ? asked.push(iterator.next()) : 0, i) });
      const iterator = on(t).imap(identity, one);
      assert.equal((await within(iterator.next(), 'next')).value, 0);
      assert.deepEqual((await within(Promise.all(asked), 'what it asked for')).map(({ value }) => value), [1, 2, 3]);
      await iterator.return();
    });

    test('to leave its own stream', async (t) => {
      const pool = on(t);
      const one = source(null, { value: (i) => (i === 2 ? void iterator.return() : i) });
      const iterator = pool.imap(identity, one);
      const results = await within(Promise.all(range(5).map(() => iterator.next())), 'all of them');
      assert.ok(results.slice(2).every(({ done }) => done));
      assert.equal(one.closed, 1);
      assert.equal(one.read, 3);
      assert.deepEqual(await within(pool.map(square, [3]), 'map'), [9]);
    });

    for (const ending of ['abort', 'terminate', 'leave']) {
      for (const where of ['opening', 'reading', 'its result']) {
        test(`to ${ending} its own stream while ${where}: it is closed`, async (t) => {
          const pool = on(t);
          const controller = new AbortController();
          const end = () => {
            if (ending === 'abort') controller.abort();
            else void (ending === 'leave' ? iterator.return() : pool.terminate());
          };
          let closed = 0;
          const result = { get done() { if (where === 'its result') end(); return false; }, value: 1 };
          const opened = {
            next() { if (where === 'reading') end(); return result; },
            return() { closed++; return {}; },
          };
          const ends = { [Symbol.iterator]() { if (where === 'opening') end(); return opened; } };
          const iterator = pool.imap(identity, ends, { signal: controller.signal });
          const { value, error } = await within(settled(iterator.next()), 'the end');
          if (ending === 'leave') assert.deepEqual(value, { value: undefined, done: true });
          else assert.match(error.code, ending === 'abort' ? /ABORTED/ : /CLOSED/);
          assert.equal(closed, 1);
        });
      }
    }

    test('a generator is closed once it is no longer on the stack', async (t) => {
      const pool = on(t);
      const controller = new AbortController();
      let closed = 0;
      function* ends() {
        try {
          yield 1;
          controller.abort();
          yield 2;
        } finally {
          closed++;
        }
      }
      await assert.rejects(within(list(pool.imap(identity, ends(), { signal: controller.signal })), 'the end'),
        { code: 'ERR_PARALLELIZER_ABORTED' });
      assert.equal(closed, 1);
    });

    for (const ending of ['close', 'terminate']) {
      test(`to ${ending} it`, async (t) => {
        const pool = on(t);
        const one = source(range(6), { isAsync: false });
        const ends = { *[Symbol.iterator]() {
          for (const x of one) {
            if (x === 2) void pool[ending]();
            yield x;
          }
        } };
        const iterator = pool.imap(identity, ends);
        const results = await within(Promise.all(range(8).map(() => settled(iterator.next()))), 'all of them');
        if (ending === 'close') {
          assert.deepEqual(results.map(({ value }) => (value.done ? 'end' : value.value)), [...range(6), 'end', 'end']);
        } else {
          const told = results.filter(({ error }) => error !== undefined);
          assert.deepEqual(told.map(({ error }) => error.code), [closed.code]);
        }
        await within(pool.join(), 'join');
      });
    }
  });

  describe('async context', () => {
    const storage = new AsyncLocalStorage();

    test('the source and onProgress see the context in which the stream was made, the loop its own', async (t) => {
      const pool = on(t);
      const seen = { source: new Set(), closing: new Set(), progress: new Set(), loop: new Set() };
      async function* watched() {
        try {
          for (let i = 0; ; i++) {
            seen.source.add(storage.getStore());
            if (i % 5 === 0) await sleep(1);
            yield i;
          }
        } finally {
          seen.closing.add(storage.getStore());
        }
      }
      const onProgress = () => seen.progress.add(storage.getStore());
      const iterator = storage.run('maker', () => pool.imap(later, watched(), { onProgress }));
      await storage.run('reader', async () => {
        for await (const value of iterator) {
          seen.loop.add(storage.getStore());
          if (value === 20) break;
        }
      });
      // One that is busy reading is not waited for.
      await waitFor(() => seen.closing.size > 0, 'the source is closed');
      assert.deepEqual(
        Object.entries(seen).map(([where, stores]) => [where, ...stores]),
        [['source', 'maker'], ['closing', 'maker'], ['progress', 'maker'], ['loop', 'reader']],
      );
    });
  });

  describe('onProgress', () => {
    test('counts what is done; the total is known once the source has ended', async (t) => {
      for (const method of ['imap', 'imapUnordered']) {
        const seen = [];
        const items = range(40).map((i) => (i % 10 === 3 ? -i : i));
        const onProgress = (progress) => seen.push(progress);
        await list(on(t)[method](picky, source(items), { onProgress, onError: 'collect', chunkSize: 1 }));
        assert.deepEqual(seen.map(({ done }) => done), range(40).map((i) => i + 1));
        assert.deepEqual(seen.at(-1), { done: 40, total: 40, failed: 4 });
        assert.ok(
          seen.every(({ total }) => total === undefined || total === 40),
          JSON.stringify(seen.map(({ total }) => total)),
        );
        assert.equal(seen[0].total, undefined, 'more was to be read then');
        seen.length = 0;
        await list(on(t)[method](picky, source(range(3)), { onProgress, chunkSize: 1 }));
        assert.deepEqual(seen.map(({ total }) => total), [3, 3, 3], 'so few are read at once, with the end');
      }
    });

    test('the last report has the total, also where the source ends long after its items are done', async (t) => {
      const pool = on(t);
      for (const method of ['imap', 'imapUnordered']) {
        const seen = [];
        const onProgress = (progress) => seen.push(progress);
        async function* slow() {
          yield* range(3);
          await waitFor(() => seen.length === 3, 'the reports of all items');
        }
        const values = await within(list(pool[method](square, slow(), { onProgress })), 'the values');
        assert.deepEqual(values.sort(), [0, 1, 4]);
        const reports = [1, 2, 3].map((count) => ({ done: count, total: undefined, failed: 0 }));
        assert.deepEqual(seen, [...reports, { done: 3, total: 3, failed: 0 }]);
      }
    });

    test('the last report has the total, also where the consumer is behind and where the source fails', async (t) => {
      const pool = on(t);
      const seen = [];
      const onProgress = (progress) => seen.push(progress);
      // With some of these, all that may be read ahead are all items, but not the end.
      for (let total = 2; total <= 12; total++) {
        const iterator = pool.imap(square, range(total), { onProgress, chunkSize: 1 });
        assert.equal((await iterator.next()).value, 0);
        await settles(() => seen.length);
        await list(iterator);
        assert.deepEqual(seen.at(-1), { done: total, total, failed: 0 });
      }
      const broken = function* () {
        yield* range(3);
        throw new Error('no more');
      };
      await assert.rejects(list(pool.imap(square, broken(), { onProgress })), /no more/);
      assert.deepEqual(seen.at(-1), { done: 3, total: 3, failed: 0 });
      const count = seen.length;
      assert.deepEqual(await list(pool.imap(square, [], { onProgress })), []);
      assert.equal(seen.length, count, 'nothing to report of an empty source');
    });

    test('may leave the stream', async (t) => {
      const pool = on(t);
      const one = source();
      const onProgress = ({ done }) => done === 5 && void iterator.return();
      const iterator = pool.imap(later, one, { onProgress });
      const values = await within(list(iterator), 'the values');
      assert.ok(values.length <= 5);
      assert.equal(one.closed, 1);
      assert.deepEqual(await pool.map(square, [3]), [9]);
    });
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, mode, options);

    test('leaving early does not cost a worker, however long it continues with what was dropped', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { processes: 1, gracePeriod: 50 });
      const before = await pool.apply(task('who'));
      const iterator = pool.imap(task('gateAsItem'), [[null, 0], [`${dir}/held`, 1]], { chunkSize: 1 });
      assert.equal((await iterator.next()).value, 0);
      await appeared(`${dir}/held.started`);
      await within(iterator.return(), 'return');
      await sleep(300);
      const next = pool.apply(task('who'));
      fs.writeFileSync(`${dir}/held.go`, '');
      assert.equal(await within(next, 'the next call'), before);
    });

    test('an abort does, if it is not heeded', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { processes: 1, gracePeriod: 50 });
      const before = await pool.apply(task('who'));
      const controller = new AbortController();
      const iterator = pool.imap(task('gateAsItem'), [[`${dir}/held`, 0]], { signal: controller.signal });
      const pending = settled(iterator.next());
      await appeared(`${dir}/held.started`);
      controller.abort();
      assert.equal((await within(pending, 'next')).error.code, 'ERR_PARALLELIZER_ABORTED');
      assert.notEqual(await within(pool.apply(task('who')), 'the next call'), before);
    });

    test('an item that loops forever times out; those around it arrive', async (t) => {
      const pool = on(t, { gracePeriod: 50 });
      const loops = (x) => {
        if (x === 3) for (;;);
        return x;
      };
      const all = await within(list(pool.imap(loops, range(8), { timeout: 500, onError: 'collect' })), 'the outcomes');
      assert.deepEqual(
        all.map(({ value, reason }) => value ?? [reason.code, ...reason.records]),
        [0, 1, 2, [timedOut.code, 3], 4, 5, 6, 7],
      );
    });

    test('a worker dies in the middle of each of two streams: each loses its own item', async (t) => {
      const pool = on(t);
      const items = range(30).map((i) => (i === 11 ? -3 : i));
      const [one, two] = await within(
        Promise.all(
          ['imap', 'imapUnordered'].map((method) => list(pool[method](task('exitAt'), items, { onError: 'collect' }))),
        ),
        'both',
      );
      const brief = ({ value, reason }) => value ?? [reason.code, ...reason.records];
      const lost = ['ERR_PARALLELIZER_WORKER_EXITED', 11];
      assert.deepEqual(
        one.map(brief),
        range(30).map((i) => (i === 11 ? lost : i)),
      );
      assert.deepEqual(
        two.map(brief).map(String).sort(),
        range(30)
          .map((i) => (i === 11 ? lost : i))
          .map(String)
          .sort(),
      );
    });
  },
  { needs: ['hasWorkers'] },
);
