'use strict';
// ready(): the workers are up and the user's module is loaded.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { echo, fixture, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

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
