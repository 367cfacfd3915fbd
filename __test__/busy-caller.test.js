'use strict';
// A caller whose thread is busy with other things: its workers go on, with everything else as it is with a free one.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { lines, root, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');
const { list, makePool, range } = require('./support/pool');
const { run } = require('./support/scripts');

/** Takes a millisecond, whatever the machine. */
const spin = (x) => {
  const end = performance.now() + 1;
  while (performance.now() < end);
  return x;
};
const identity = (x) => x;

const never = new Int32Array(new SharedArrayBuffer(4));
/** Blocks this thread without taking the CPU from others. */
const block = (ms) => Atomics.wait(never, 0, 0, ms);

/** Blocks this thread again and again, with a turn of the loop in between, until the promise settles; how often. */
async function blockedUntil(promise, ms) {
  let isOver = false;
  let count = 0;
  const again = () => {
    if (isOver) return;
    block(ms);
    count++;
    setImmediate(again);
  };
  setImmediate(again);
  try {
    return { value: await promise, count };
  } finally {
    isOver = true;
  }
}

const measured = withAddon('only the addon measures how late the caller is, and sends more ahead then');

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, options);

    test('workers have work for as long as the caller stays away', measured, async (t) => {
      const pool = on(t);
      // What such an item costs is known from then on.
      await within(pool.map(spin, range(20)), 'the first items');
      const { value, count } = await within(blockedUntil(pool.map(spin, range(400)), 50), 'map', 60_000);
      assert.deepEqual(value, range(400));
      t.diagnostic(`${count} times 50 ms for 2 workers with 200 items of 1 ms each`);
      // With two items each time it would be 100 times; on a machine with nothing else to do it is 6 times.
      assert.ok(count <= 40, `blocked ${count} times`);
    });

    test('the same where the loop has never slept', measured, async (t) => {
      const { messages } = await run(t, `
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool(2, { type: process.env.TEST_MODE_TYPE });
        const never = new Int32Array(new SharedArrayBuffer(4));
        let count = 0;
        let isOver = false;
        const again = () => {
          if (isOver) return;
          Atomics.wait(never, 0, 0, 50);
          count++;
          setImmediate(again);
        };
        setImmediate(again);
        const spin = ${spin};
        const items = Array.from({ length: 400 }, (_, i) => i);
        pool.map(spin, items.slice(0, 20)).then(() => (count = 0)).then(() => pool.map(spin, items)).then(() => {
          isOver = true;
          console.log(JSON.stringify([count]));
          return pool.terminate();
        });
      `, { mode, deadline: 60_000 });
      const [[count]] = messages;
      t.diagnostic(`${count} times 50 ms`);
      assert.ok(count <= 40, `blocked ${count} times`);
    });

    test('each item runs once, though some take longer than others of what was sent ahead', async (t) => {
      const file = `${temporary(t)}/begun`;
      const uneven = ([path, i]) => {
        require('node:fs').appendFileSync(path, `${i}\n`);
        const end = performance.now() + (i % 23 === 0 ? 12 : 0.5);
        while (performance.now() < end);
        return i;
      };
      const items = range(300).map((i) => [file, i]);
      const { value } = await within(blockedUntil(on(t).map(uneven, items), 20), 'map', 60_000);
      assert.deepEqual(value, range(300));
      assert.deepEqual(lines(file).map(Number).sort((one, two) => one - two), range(300));
    });

    test('a time limit counts from the beginning of an item, not from when it was sent', async (t) => {
      const slow = (x) => new Promise((resolve) => setTimeout(resolve, 20, x));
      const pool = on(t);
      await within(pool.map(slow, range(4)), 'the first items');
      // The last of them waits for a second.
      const running = pool.map(slow, range(100), { timeout: 800 });
      const { value } = await within(blockedUntil(running, 100), 'map', 60_000);
      assert.deepEqual(value, range(100));
    });

    test('stats() says how late the caller is, and what is in flight', measured, async (t) => {
      const pool = on(t);
      await within(pool.map(spin, range(20)), 'the first items');
      let seen = { lag: 0, bytesInFlight: 0 };
      let isOver = false;
      // They take 200 ms at least: however quick the machine, the caller is away several times before they are done.
      const slowly = (text) => {
        const end = performance.now() + 0.02;
        while (performance.now() < end);
        return text.length;
      };
      const running = pool.map(slowly, Array(20_000).fill('x'.repeat(1000))).finally(() => {
        isOver = true;
      });
      const look = () => {
        block(20);
        const { lag, bytesInFlight } = pool.stats();
        seen = { lag: Math.max(seen.lag, lag), bytesInFlight: Math.max(seen.bytesInFlight, bytesInFlight) };
        if (!isOver) setImmediate(look);
      };
      setImmediate(look);
      await within(running, 'map', 60_000);
      const [least, most] = mode.measuresLag ? [15, 250] : [0, 0];
      assert.ok(seen.lag >= least && seen.lag <= most, `a lag of ${seen.lag} ms`);
      // A worker has 2 MiB at most before it is given a last frame, and results are next to nothing.
      assert.ok(seen.bytesInFlight >= 1000 && seen.bytesInFlight <= 2 * 3 * 2 ** 20, `${seen.bytesInFlight} bytes`);
      assert.equal(pool.stats().bytesInFlight, 0);
    });

    test('imap: the loop turns while the consumer works on one result after another', async (t) => {
      const pool = on(t);
      await within(pool.map(identity, range(2000)), 'the first items');
      let turns = 0;
      let isOver = false;
      const turn = () => {
        turns++;
        if (!isOver) setImmediate(turn);
      };
      setImmediate(turn);
      const values = [];
      for await (const value of pool.imap(identity, range(300))) {
        block(1);
        values.push(value);
      }
      isOver = true;
      assert.deepEqual(values, range(300));
      // A result takes a millisecond, and a turn ends after five.
      assert.ok(turns >= 20, `${turns} turns`);
    });

    test('imap: a consumer that is slower than the workers does not have its source read without limit', async (t) => {
      const pool = on(t);
      await within(pool.map(identity, range(2000)), 'the first items');
      let read = 0;
      function* source() {
        for (;;) yield read++;
      }
      let taken = 0;
      let ahead = 0;
      for await (const value of pool.imap(identity, source())) {
        assert.equal(value, taken++);
        block(10);
        ahead = read - taken;
        if (taken === 60) break;
      }
      t.diagnostic(`${ahead} items were read ahead in the end`);
      // Items that cost nothing: 2,048 for each worker, and four times as many while one is waited for that is late.
      assert.ok(ahead <= 4 * 2 * 2048, `${ahead} items`);
    });

    test('imap: results come in order from a consumer that works on each', async (t) => {
      const values = [];
      const results = on(t).imap(spin, range(200));
      for await (const value of results) {
        block(0.5);
        values.push(value);
      }
      assert.deepEqual(values, range(200));
      const unordered = await within(list(on(t).imapUnordered(spin, range(200))), 'imapUnordered');
      assert.deepEqual(unordered.sort((one, two) => one - two), range(200));
    });

    test('imap: who asked before return() still gets its result', async (t) => {
      let done = 0;
      const onProgress = (progress) => (done = progress.done);
      const iterator = on(t).imap(identity, range(100), { onProgress });
      assert.deepEqual(await within(iterator.next(), 'the first'), { value: 0, done: false });
      await waitFor(() => done >= 3, 'three results');
      assert.deepEqual(await within(iterator.next(), 'the second'), { value: 1, done: false });
      // It has had its turn, so that the next one has to wait.
      block(10);
      const results = await within(Promise.all([iterator.next(), iterator.return('over')]), 'the others');
      assert.deepEqual(results, [{ value: 2, done: false }, { value: 'over', done: true }]);
    });
  },
  { needs: ['hasWorkers'] },
);
