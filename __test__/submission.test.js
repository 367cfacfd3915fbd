'use strict';
// `Pool`: what is submitted, in which order it runs, and that what the caller does next does not change it.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { gather } = require('./support/streams');

/** Which of the calls in its worker this is. */
const count = () => (globalThis.count = (globalThis.count ?? 0) + 1);
const echo = (...args) => args;

forEachMode((mode) => {
  const open = (t) => {
    // Inline, this is where calls are counted.
    delete globalThis.count;
    const pool = new Pool({ type: mode.type, processes: mode.hasWorkers ? 1 : 0 });
    t.after(() => pool.terminate());
    return pool;
  };

  test('calls of one turn run in their order, whatever their options', async (t) => {
    const pool = open(t);
    const { signal } = new AbortController();
    const results = await within(Promise.all([
      pool.apply(count),
      pool.apply(count, [], { signal }),
      pool.apply(count),
      pool.apply(count, [], { onMessage() {} }),
      pool.applyAsync(count),
      pool.map(count, [0]).then(([n]) => n),
      pool.broadcast(count).then(([n]) => n),
      pool.apply(count),
    ]), 'all of them');
    assert.deepEqual(results, results.map((_, i) => i + 1));
  });

  test('and a stream after the calls before it', async (t) => {
    const pool = open(t);
    const first = gather(pool.stream(function* () {
      yield (globalThis.count = (globalThis.count ?? 0) + 1);
    }));
    assert.deepEqual(await within(Promise.all([first, pool.apply(count)]), 'both'), [{ values: [1] }, 2]);
    const second = pool.apply(count);
    const third = gather(pool.stream((n) => [n, globalThis.count], [7]));
    assert.deepEqual(await within(Promise.all([second, third]), 'both'), [3, { values: [7, 3] }]);
  });

  test('what becomes of a list of arguments afterwards does not matter', async (t) => {
    const pool = open(t);
    const { signal } = new AbortController();
    const submit = {
      apply: (args) => pool.apply(echo, args),
      'apply with a signal': (args) => pool.apply(echo, args, { signal }),
      'apply with a listener': (args) => pool.apply(echo, args, { onMessage() {} }),
      applyAsync: (args) => pool.applyAsync(echo, args, { signal }),
      broadcast: (args) => pool.broadcast(echo, args).then(([first]) => first),
      stream: (args) => gather(pool.stream((...all) => all, args)).then(({ values }) => values),
    };
    for (const [name, act] of Object.entries(submit)) {
      const args = [1, 2];
      const result = act(args);
      args[0] = 9;
      args.push(3);
      assert.deepEqual(await result, [1, 2], name);
    }
  });

  test('a hole is no list of arguments', async (t) => {
    const refused = { code: 'ERR_PARALLELIZER_OPTION', message: /iterable\[0\]/ };
    // eslint-disable-next-line no-sparse-arrays
    await assert.rejects(open(t).starmap(echo, [, [1]]), refused);
  });
});

forEachMode((mode) => {
  const open = (t) => {
    const pool = new Pool({ type: mode.type, processes: mode.hasWorkers ? 2 : 0 });
    t.after(() => pool.terminate());
    return pool;
  };

  for (const ending of ['abort', 'terminate']) {
    for (const collect of [false, true]) {
      test(`${ending} in onProgress${collect ? ', where outcomes are collected' : ''}: each item is told of once`,
        async (t) => {
          const pool = open(t);
          const controller = new AbortController();
          const told = [];
          const onProgress = ({ done, total, failed }) => {
            told.push([done, total, failed]);
            if (done !== 1) return;
            if (ending === 'abort') controller.abort();
            else void pool.terminate();
          };
          const options = { signal: controller.signal, chunkSize: 1, onProgress, onError: collect ? 'collect' : 'throw' };
          const outcome = pool.map((x) => x, [0, 1, 2, 3, 4, 5], collect ? options : { ...options, onError: undefined });
          await within(outcome.catch((error) => assert.match(error.code, /ABORTED|CLOSED/)), 'the outcome');
          assert.deepEqual(told.map(([done]) => done), told.map((_, i) => i + 1));
          assert.ok(told.every(([done, total, failed], i) => total === 6 && failed <= done && failed >= (told[i - 1]?.[2] ?? 0)));
          if (collect) assert.equal(told.length, 6);
        });
    }
  }

  test('a getter in what is to be moved may cancel other work, or its own', async (t) => {
    const pool = open(t);
    if (mode.hasWorkers) await pool.ready();
    for (const own of [false, true]) {
      const other = new AbortController();
      const wait = (x) => new Promise((resolve) => setTimeout(resolve, 30, x));
      const others = pool.map(wait, [1, 2, 3, 4, 5], { signal: other.signal, chunkSize: 1, onError: 'collect' });
      const controller = own ? other : new AbortController();
      let looks = 0;
      const looked = { get a() {
        if (looks++ === 0) other.abort();
        return 1;
      } };
      const bytes = [new ArrayBuffer(8), new ArrayBuffer(8)];
      const options = { onError: 'collect', transferList: bytes, signal: controller.signal, chunkSize: 1 };
      const outcomes = await within(pool.map(() => 1, [bytes[0], looked, 2, bytes[1]], options), 'the outcomes');
      const expected = own ? 'ERR_PARALLELIZER_ABORTED' : 1;
      const [first, ...rest] = outcomes.map(({ value, reason }) => value ?? reason.code);
      assert.deepEqual(rest, Array(3).fill(expected));
      // For a process each is encoded as it is sent: that one may be answered before the next is looked at.
      if (first !== expected) assert.deepEqual([first, mode.hasProcess], [1, true]);
      await within(others, 'the others');
    }
    assert.deepEqual(await pool.map((x) => x, [1]), [1]);
  });
});
