'use strict';
// ready(): the workers are up and the user's module is loaded.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { echo, fixture, make, root, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('resolves, however often it is called', async (t) => {
    const parallelizer = on(t);
    const both = [parallelizer.ready(), parallelizer.ready()];
    await within(Promise.all(both), 'ready');
    await within(parallelizer.ready(), 'ready again');
    await parallelizer.run([echo(1)]);
    await within(parallelizer.ready(), 'ready after a run');
  });

  test('leaves nothing to load for calls of a later turn', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const { Parallelizer, Pool } = require(${JSON.stringify(root)});
      const options = { type: process.env.TEST_MODE_TYPE, parallelization: 2 };
      const parallelizer = new Parallelizer({
        ...options, filePath: ${JSON.stringify(fixture('act.js'))}, processBatchFunctionName: 'act',
      });
      const pool = new Pool(2, { type: options.type });
      await Promise.all([parallelizer.ready(), pool.ready()]);
      await new Promise((resolve) => setImmediate(resolve));
      const before = Object.keys(require.cache).length;
      const { responses } = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);
      const values = [await pool.apply((x) => -x, [1]), ...await pool.map((x) => -x, [2, 3])];
      // Without what a worker loads when it is sent a function, which inline workers do here.
      const loaded = Object.keys(require.cache).slice(before).filter((file) => !/lib.worker/.test(file));
      await Promise.all([parallelizer.terminate(), pool.terminate()]);
      console.log(JSON.stringify({ responses, values, loaded }));
    `), { mode });
    assert.deepEqual(messages, [{ responses: [1, 2], values: [-1, -2, -3], loaded: [] }]);
  });

  test('the list form is ready when all are', async (t) => {
    const lists = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    await within(lists.ready(), 'ready');
  });

  test("rejects with the module's error if that does not load", async (t) => {
    const parallelizer = on(t, { filePath: fixture('throws-at-load.js') });
    for (let i = 0; i < 2; i++) {
      await assert.rejects(within(parallelizer.ready(), 'ready'), (error) => {
        assert.equal(error.code, 'ERR_PARALLELIZER_MODULE');
        assert.ok(error.cause instanceof RangeError);
        assert.equal(error.cause.message, 'this module refuses to load');
        return true;
      });
    }
    const lists = make(t, [
      { id: 'a', type: mode.type },
      { id: 'b', type: mode.type, filePath: fixture('throws-at-load.js') },
    ]);
    await assert.rejects(within(lists.ready(), 'ready'), { code: 'ERR_PARALLELIZER_MODULE' });
  });

  test('a module that does not load causes no unhandled rejection if nobody calls ready()', async (t) => {
    const seen = [];
    const note = (error) => seen.push(error);
    process.on('unhandledRejection', note);
    t.after(() => process.off('unhandledRejection', note));
    const parallelizer = on(t, { filePath: fixture('throws-at-load.js') });
    await parallelizer.run([1]);
    await parallelizer.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(seen, []);
  });

  test('rejects after close, and when closed meanwhile', async (t) => {
    const parallelizer = on(t);
    await parallelizer.close();
    await assert.rejects(within(parallelizer.ready(), 'ready'), { code: 'ERR_PARALLELIZER_CLOSED' });
  });
});

forEachMode(
  (mode) => {
    test('settles when the instance is terminated meanwhile', async (t) => {
      const parallelizer = make(t, {
        type: mode.type,
        filePath: fixture('slow-load.js'),
        env: { ...process.env, SLOW_LOAD_MS: '60000' },
      });
      const ready = parallelizer.ready();
      const settled = assert.rejects(within(ready, 'ready'), { code: 'ERR_PARALLELIZER_CLOSED' });
      await parallelizer.terminate();
      await settled;
    });

    test('means that every worker is up', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 3 });
      await parallelizer.ready();
      assert.deepEqual(parallelizer.stats().workers.map(({ state }) => state), ['ready', 'ready', 'ready']);
    });
  },
  { needs: ['hasProcess'] },
);
