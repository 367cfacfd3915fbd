'use strict';
// Each worker has an index, which no other worker has until it is gone, and `current()` gives the call that runs.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { Pool, Parallelizer, current } = require('@parallelizer/node');
const { make, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const FILE = path.join(__dirname, 'fixtures', 'talking.js');
const own = (name) => ({ filePath: FILE, name });

/** @param {import('node:test').TestContext} t */
const open = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
};

forEachMode((mode) => {
  const processes = mode.hasWorkers ? 3 : 0;
  const indices = mode.hasWorkers ? [0, 1, 2] : [0];

  test('a task knows its worker by `this`, by current() and before its module is loaded', async (t) => {
    const pool = open(t, { type: mode.type, processes });
    const seen = new Set();
    await waitFor(async () => {
      for (const one of await pool.map(own('whichWorker'), Array(12).fill(20), { chunkSize: 1 })) {
        assert.equal(one.byThis, one.byCurrent);
        assert.equal(one.deep, one.byThis);
        if (mode.hasWorkers) {
          assert.equal(one.atLoad, String(one.byThis));
          assert.equal(one.now, one.atLoad);
        }
        seen.add(one.byThis);
      }
      return seen.size === indices.length;
    }, 'each worker to have had an item');
    assert.deepEqual([...seen].sort(), indices);
  });

  test('a batch function has it in its argument, and current() has the context', async (t) => {
    const parallelizer = make(t, {
      type: mode.type, parallelization: processes, filePath: FILE, processBatchFunctionName: 'whichBatch',
    });
    const { responses, failures } = await parallelizer.run([1, 2, 3], null, { context: { request: 'r' } });
    assert.deepEqual(failures, []);
    for (const { given, byCurrent, context, later } of responses) {
      assert.equal(given, byCurrent);
      assert.ok(indices.includes(given));
      assert.deepEqual(context, { request: 'r' });
      assert.deepEqual(later, { request: 'r' });
    }
  });

  test('the calls of one worker that run at the same time are told apart', async (t) => {
    const pool = open(t, { type: mode.type, processes: mode.hasWorkers ? 1 : 0, concurrency: 4 });
    const results = await pool.map(own('sameCall'), Array.from({ length: 16 }, (_, i) => (i * 7) % 5));
    assert.deepEqual(results, Array(16).fill(true));
    const text = `async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      const { current } = require('@parallelizer/node');
      return current().workerIndex;
    }`;
    assert.deepEqual(await pool.map((0, eval)(text), [3, 1, 2, 0]), [0, 0, 0, 0]);
  });

  test('outside of a call there is none', async (t) => {
    const pool = open(t, { type: mode.type, processes });
    assert.equal(current(), undefined);
    const running = pool.apply(own('sameCall'), [20]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(current(), undefined, 'also while one is running elsewhere');
    assert.equal(await running, true);
    const single = open(t, { type: mode.type, processes: mode.hasWorkers ? 1 : 0 });
    assert.equal(await single.apply(own('afterTheCall'), []), 'started');
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await single.apply(own('seenAfter'), []), 'undefined');
  });
});

forEachMode(
  (mode) => {
    test('a successor loads nothing before its predecessor is gone', async (t) => {
      // Each worker holds the port of its index for as long as it lives.
      const base = 20_000 + (process.pid % 20_000);
      const pool = open(t, { type: mode.type, processes: 2, maxTasksPerChild: 3, env: { ...process.env, PORT_BASE: String(base) } });
      const answers = await within(pool.map(own('holdsPort'), Array(24).fill(null), { chunkSize: 1 }), 'the items', 60_000);
      for (const { index, port } of answers) assert.equal(port, base + index);
      assert.ok(new Set(answers.map(({ id }) => id)).size >= 8);
    });

    test('one that dies is succeeded under the same index', async (t) => {
      const pool = open(t, { type: mode.type, processes: 2 });
      for (let i = 0; i < 4; i++) {
        await assert.rejects(pool.apply(own('dies'), []), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
        const { byThis } = await pool.apply(own('whichWorker'), [0]);
        assert.ok(byThis === 0 || byThis === 1);
      }
      await waitFor(() => {
        const found = pool.stats().workers.filter(({ state }) => state === 'ready').map(({ workerIndex }) => workerIndex);
        return found.sort().join() === '0,1';
      }, 'both indices to be taken again');
    });

    test('a worker that was warmed up and is not needed ends with its pool', async (t) => {
      const pool = open(t, { type: mode.type, processes: 1, maxTasksPerChild: 50 });
      // It is started once the calls that are left will soon be done: how many that are depends on the machine.
      await waitFor(async () => {
        await pool.apply(own('whichWorker'), [0]);
        return pool.stats().workers.length === 2;
      }, 'the successor to be started');
      assert.deepEqual(pool.stats().workers.map(({ workerIndex }) => workerIndex), [0, null]);
      pool.close();
      await within(pool.join(), 'both to end');
    });

    test('the initializer knows its worker', async (t) => {
      const pool = open(t, { type: mode.type, processes: 2, initializer: own('rememberIndex') });
      for (const [atStart, now] of await pool.map(own('compareIndex'), Array(6).fill(5), { chunkSize: 1 })) {
        assert.equal(atStart, now);
      }
    });
  },
  { needs: ['hasWorkers'] },
);

test('SHARE_ENV: threads have the environment of their parent, live', async (t) => {
  const { SHARE_ENV } = require('node:worker_threads');
  const pool = open(t, { type: 'worker-threads', processes: 1, env: SHARE_ENV });
  const read = (name) => process.env[name];
  process.env.PARALLELIZER_TEST_LIVE = 'one';
  t.after(() => delete process.env.PARALLELIZER_TEST_LIVE);
  assert.equal(await pool.apply(read, ['PARALLELIZER_TEST_LIVE']), 'one');
  process.env.PARALLELIZER_TEST_LIVE = 'two';
  assert.equal(await pool.apply(read, ['PARALLELIZER_TEST_LIVE']), 'two');
  assert.equal(await pool.apply(read, ['PARALLELIZER_WORKER_INDEX']), undefined);
  assert.equal(process.env.PARALLELIZER_WORKER_INDEX, undefined);
  await pool.apply((value) => void (process.env.PARALLELIZER_TEST_LIVE = value), ['three']);
  assert.equal(process.env.PARALLELIZER_TEST_LIVE, 'three');
});

test('SHARE_ENV is refused for processes by its name, and means nothing inline', async (t) => {
  const { SHARE_ENV } = require('node:worker_threads');
  const refused = { code: 'ERR_PARALLELIZER_OPTION', message: /env.*SHARE_ENV/ };
  assert.throws(() => new Pool({ processes: 1, env: SHARE_ENV }), refused);
  assert.throws(() => new Parallelizer({ filePath: FILE, processBatchFunctionName: 'whichBatch', env: SHARE_ENV }), refused);
  const pool = open(t, { processes: 0, env: SHARE_ENV });
  assert.equal(await pool.apply(() => 1), 1);
});
