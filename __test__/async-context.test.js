'use strict';
// Wherever the library calls back, the caller's AsyncLocalStorage is in effect.

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { test } = require('node:test');

const { echo, make } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

forEachMode((mode) => {
  const storage = new AsyncLocalStorage();

  test('after an awaited run', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        storage.run(i, async () => {
          await parallelizer.run([{ do: 'sleep', ms: (i * 7) % 11 }, echo(i)]);
          return storage.getStore();
        }),
      ),
    );
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, i) => i));
    assert.equal(storage.getStore(), undefined);
  });

  test('in then, catch and finally', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    const seen = [];
    await storage.run('mine', () =>
      parallelizer
        .run([echo(1)])
        .then(() => seen.push(storage.getStore()))
        .finally(() => seen.push(storage.getStore())),
    );
    await storage.run('mine', () => parallelizer.run('bad').catch(() => seen.push(storage.getStore())));
    assert.deepEqual(seen, ['mine', 'mine', 'mine']);
  });

  test('in onProgress', async (t) => {
    const parallelizer = make(t, { type: mode.type, batchSize: 1 });
    const seen = {};
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        storage.run(name, () =>
          parallelizer.run([echo(1), echo(2), echo(3)], null, {
            onProgress: () => (seen[name] ??= new Set()).add(storage.getStore()),
          }),
        ),
      ),
    );
    assert.deepEqual(seen, { a: new Set(['a']), b: new Set(['b']), c: new Set(['c']) });
  });

  test('in ready and close', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    await storage.run('mine', async () => {
      await parallelizer.ready();
      assert.equal(storage.getStore(), 'mine');
      await parallelizer.close();
      assert.equal(storage.getStore(), 'mine');
    });
  });

  test('in what mainLogger prints', async (t) => {
    const { messages } = await run(
      t,
      asynchronous(`
        const storage = new (require('node:async_hooks').AsyncLocalStorage)();
        const seen = [];
        console.log = (text) => seen.push([storage.getStore() ?? null, JSON.parse(text).message]);
        const parallelizer = make();
        await Promise.all([1, 2, 3, 4].map((request) => storage.run(request, () =>
          parallelizer.run([{ do: 'logs', logs: [{ message: 'of ' + request }] }]))));
        await parallelizer.close();
        process.stdout.write(JSON.stringify(seen) + '\\n');`),
      { mode },
    );
    assert.deepEqual(messages[0].sort(), [1, 2, 3, 4].map((request) => [request, `of ${request}`]));
  });
});

forEachMode(
  (mode) => {
    test('not in what mainLogger prints after its call: that is not taken for the call that runs then', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const storage = new (require('node:async_hooks').AsyncLocalStorage)();
          const seen = [];
          console.log = (text) => seen.push([storage.getStore() ?? null, JSON.parse(text).message]);
          const parallelizer = make({ parallelization: 1 });
          await storage.run('first', () => parallelizer.run([{ do: 'keepsLogger' }]));
          await storage.run('second', () => parallelizer.run([{ do: 'logsWithKept', message: 'of the first' }]));
          await parallelizer.close();
          process.stdout.write(JSON.stringify(seen) + '\\n');`),
        { mode },
      );
      assert.deepEqual(messages[0], [[null, 'of the first']]);
    });

    test("in forwarded logs: the context of the call that was running", async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const storage = new (require('node:async_hooks').AsyncLocalStorage)();
          const seen = [];
          console.log = (text) => seen.push([storage.getStore() ?? null, text.trim()]);
          const parallelizer = make({ stdio: 'forward' });
          for (const request of [1, 2, 3]) {
            await storage.run(request, () => parallelizer.run([{ do: 'prints', text: 'of ' + request }, { do: 'prints', text: 'of ' + request }]));
          }
          await parallelizer.close();
          process.stdout.write(JSON.stringify(seen) + '\\n');`),
        { mode },
      );
      assert.deepEqual(messages[0], [1, 1, 2, 2, 3, 3].map((request) => [request, `of ${request}`]));
    });
  },
  { needs: ['hasWorkers'] },
);
