'use strict';
// Pool and Parallelizer are EventEmitters: what happens to their workers and queues.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const { EventEmitter, once } = require('node:events');
const { test } = require('node:test');
const { setImmediate } = require('node:timers/promises');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { echo, fixture, make, root, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { gateIn, makePool, task } = require('./support/pool');

const EVENTS = ['workerStart', 'workerReady', 'workerExit', 'restart', 'saturated', 'drain'];

/** All that an instance emits, in order, as [name, payload]. */
function record(instance) {
  const seen = [];
  for (const name of EVENTS) instance.on(name, (...args) => seen.push([name, ...args]));
  return seen;
}

/** Keeps this thread from doing anything. */
const blockFor = (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const named = (seen, wanted) => seen.filter(([name]) => name === wanted).map(([, payload]) => payload);

forEachMode((mode) => {
  /** What a worker is known by in this mode. */
  const key = mode.name === 'threads' ? 'threadId' : 'pid';

  test('an instance is an EventEmitter', async (t) => {
    for (const instance of [makePool(t, mode), make(t, { type: mode.type })]) {
      assert.ok(instance instanceof EventEmitter);
      const listener = () => {};
      assert.equal(instance.on('drain', listener), instance);
      assert.equal(instance.listenerCount('drain'), 1);
      assert.equal(instance.off('drain', listener), instance);
      assert.equal(instance.listenerCount('drain'), 0);
      for (const add of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener']) {
        instance[add]('something', listener);
      }
      assert.equal(instance.listenerCount('something'), 5, 'events of the user’s own');
      assert.ok(instance.emit('something'));
    }
  });

  test('each worker starts, gets ready, and ends as closed', async (t) => {
    const pool = makePool(t, mode, { processes: 2 });
    const seen = record(pool);
    await pool.ready();
    await pool.apply((x) => x, [1]);
    const workers = 2;
    await waitFor(() => named(seen, 'workerReady').length === workers, 'all workers to be ready');
    pool.close();
    await pool.join();
    const [starts, readies, exits] = ['workerStart', 'workerReady', 'workerExit'].map((name) => named(seen, name));
    assert.deepEqual([starts.length, readies.length, exits.length], [workers, workers, workers]);
    const ids = (list) => list.map((worker) => worker[key]).sort();
    assert.deepEqual(ids(readies), ids(starts));
    assert.deepEqual(ids(exits), ids(starts));
    for (const start of starts) assert.equal(typeof start[key], 'number');
    assert.deepEqual(starts.map(({ workerIndex }) => workerIndex).sort(), [0, 1]);
    for (const { uptime } of readies) assert.ok(uptime > 0 || mode.name === 'inline');
    for (const exit of exits) {
      assert.equal(exit.reason, 'closed');
      assert.equal(exit.signal, null);
      assert.ok(exit.uptime >= 0);
    }
    assert.equal(exits.reduce((sum, { calls }) => sum + calls, 0), 1);
    assert.deepEqual(named(seen, 'restart'), []);
    // Inline workers are all this very process.
    for (const start of mode.hasWorkers ? starts : []) {
      const own = seen.filter(([, worker]) => worker[key] === start[key]).map(([name]) => name);
      assert.deepEqual(own, ['workerStart', 'workerReady', 'workerExit']);
    }
  });

  test('workers have their names from the first, also where the caller hears of them after their answers', async (t) => {
    const pool = makePool(t, mode, { processes: 2 });
    const seen = record(pool);
    const calls = [];
    const subscriber = ({ worker }) => calls.push(worker);
    diagnostics.subscribe('tracing:parallelizer:call:start', subscriber);
    t.after(() => diagnostics.unsubscribe('tracing:parallelizer:call:start', subscriber));
    const values = pool.map((x) => x, [1, 2, 3, 4], { chunkSize: 1 });
    // Longer than it takes a worker to start, and several times: what comes first is up to the system.
    for (let turn = 0; turn < 4; turn++) {
      blockFor(80);
      await setImmediate();
    }
    assert.deepEqual(await values, [1, 2, 3, 4]);
    await waitFor(() => named(seen, 'workerReady').length === 2, 'both workers to be ready');
    const workers = [...named(seen, 'workerStart'), ...named(seen, 'workerReady'), ...calls];
    assert.ok(calls.length >= 4, String(calls.length));
    assert.deepEqual(workers.filter((worker) => typeof worker[key] !== 'number'), []);
  });

  test('a listener that is added in the turn of the constructor misses nothing', async (t) => {
    const parallelizer = make(t, { type: mode.type, parallelization: 1 });
    const seen = record(parallelizer);
    await parallelizer.run([echo(1)]);
    await waitFor(() => named(seen, 'workerReady').length === 1, 'its worker to be ready');
    assert.equal(named(seen, 'workerStart').length, 1);
  });

  test('terminate() and removeChildThreads() end workers as closed', async (t) => {
    const parallelizer = make(t, { type: mode.type, parallelization: 1 });
    const seen = record(parallelizer);
    await parallelizer.run([echo(1)]);
    parallelizer.removeChildThreads();
    await waitFor(() => named(seen, 'workerExit').length === 1, 'the worker to be gone');
    await parallelizer.run([echo(1)]);
    await parallelizer.terminate();
    assert.deepEqual(named(seen, 'workerExit').map(({ reason }) => reason), ['closed', 'closed']);
    assert.deepEqual(named(seen, 'restart'), []);
  });

  test('events of a list say which pool they are about', async (t) => {
    const lists = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    const seen = record(lists);
    await lists.ready();
    await waitFor(() => named(seen, 'workerReady').length === 2, 'both to be ready');
    assert.deepEqual(named(seen, 'workerReady').map(({ id }) => id).sort(), ['a', 'b']);
  });

  test('saturated once maxQueue is reached, and drain once nothing waits any more', async (t) => {
    const pool = makePool(t, mode, { processes: 1, maxQueue: 2 });
    const seen = record(pool);
    const gate = gateIn(t);
    const running = pool.apply(task('gate'), [gate.file, 0]);
    await gate.started();
    const waiting = [1, 2].map((x) => pool.apply((value) => value, [x]));
    await assert.rejects(pool.apply((value) => value, [3]), { code: 'ERR_PARALLELIZER_QUEUE_FULL' });
    await waitFor(() => named(seen, 'saturated').length > 0, 'saturated');
    assert.deepEqual(named(seen, 'saturated'), [{ waiting: 2, maxQueue: 2 }]);
    // Before that its first call may have waited for the worker to start.
    seen.length = 0;
    gate.open();
    assert.deepEqual(await Promise.all([running, ...waiting]), [0, 1, 2]);
    await waitFor(() => named(seen, 'drain').length > 0, 'drain');
    assert.deepEqual(named(seen, 'drain'), [{ waiting: 0 }]);
    assert.deepEqual(named(seen, 'saturated'), []);
  });

  test('saturated also without a refusal, so that who limits itself sees it in time', async (t) => {
    const pool = makePool(t, mode, { processes: 1, maxQueue: 1 });
    const saturated = once(pool, 'saturated');
    const gate = gateIn(t);
    const running = pool.apply(task('gate'), [gate.file, 0]);
    await gate.started();
    const waiting = pool.apply((value) => value, [1]);
    const [payload] = await within(saturated, 'saturated');
    assert.deepEqual(payload, { waiting: 1, maxQueue: 1 });
    const drained = once(pool, 'drain');
    gate.open();
    assert.deepEqual(await Promise.all([running, waiting]), [0, 1]);
    await within(drained, 'drain');
  });

  test('what a listener throws is an uncaught exception, and breaks nothing', () => {
    const program = `
      const { Pool } = require('@parallelizer/node');
      const caught = [];
      process.on('uncaughtException', (error) => caught.push(error.message));
      process.on('unhandledRejection', (error) => caught.push('unhandled rejection: ' + error.message));
      (async () => {
        const pool = new Pool({ type: '${mode.type}', processes: 1 });
        for (const name of ['workerStart', 'workerReady', 'workerExit']) pool.on(name, () => { throw new Error(name); });
        const later = [];
        pool.on('workerExit', () => later.push('exit'));
        const results = await pool.map((x) => x + 1, [1, 2, 3]);
        pool.close();
        await pool.join();
        setTimeout(() => console.log(JSON.stringify({ results, caught })), 20);
      })();
    `;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const { results, caught } = JSON.parse(stdout);
    assert.deepEqual(results, [2, 3, 4]);
    assert.deepEqual(caught, ['workerStart', 'workerReady', 'workerExit']);
  });

  test('a listener may do with the instance what it likes', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const done = new Promise((resolve) => {
      pool.once('workerReady', () => resolve(pool.apply((x) => x * 2, [21])));
    });
    const ended = once(pool, 'workerExit');
    assert.equal(await within(done, 'a call out of a listener'), 42);
    pool.on('workerExit', () => void pool.terminate());
    await pool.terminate();
    await within(ended, 'workerExit');
  });
});

forEachMode((mode) => {
  const only = (seen) => {
    const exits = named(seen, 'workerExit');
    assert.equal(exits.length, 1, JSON.stringify(seen));
    return exits[0];
  };

  test('a worker that exits has crashed, and is replaced', async (t) => {
    const parallelizer = make(t, { type: mode.type, parallelization: 1 });
    const seen = record(parallelizer);
    const { failures } = await parallelizer.run([{ do: 'exit', code: 3 }]);
    assert.equal(failures.length, 1);
    await waitFor(() => named(seen, 'restart').length === 1, 'restart');
    const exit = only(seen);
    assert.deepEqual([exit.reason, exit.exitCode, exit.signal], ['crashed', 3, null]);
    const [restart] = named(seen, 'restart');
    assert.deepEqual([restart.reason, restart.restarts, restart.workerIndex], ['crashed', 1, exit.workerIndex]);
    assert.ok(seen.findIndex(([name]) => name === 'workerExit') < seen.findIndex(([name]) => name === 'restart'));
    assert.deepEqual((await parallelizer.run([echo(1)])).responses, [1]);
  });

  test('one whose call does not stop in time is killed', async (t) => {
    const parallelizer = make(t, { type: mode.type, parallelization: 1, gracePeriod: 10 });
    const seen = record(parallelizer);
    const { errors } = await parallelizer.run([{ do: 'loop' }], null, { timeout: 50 });
    assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
    await waitFor(() => named(seen, 'workerExit').length === 1, 'its end');
    const exit = only(seen);
    assert.equal(exit.reason, 'killed');
    assert.equal(exit.signal, mode.hasProcess ? 'SIGKILL' : null);
  });

  test('one that has had as many calls as it may is recycled', async (t) => {
    const pool = makePool(t, mode, { processes: 1, maxTasksPerChild: 2 });
    const seen = record(pool);
    for (const x of [1, 2, 3]) await pool.apply((value) => value, [x]);
    await waitFor(() => named(seen, 'workerExit').length === 1, 'its end');
    const exit = only(seen);
    assert.deepEqual([exit.reason, exit.calls], ['recycled', 2]);
    assert.equal(named(seen, 'restart')[0].reason, 'recycled');
  });

  test('one without work is idle after idleTimeout', async (t) => {
    const pool = makePool(t, mode, { processes: 1, idleTimeout: 20 });
    const seen = record(pool);
    // Whoever awaits something that is not of the pool does not hold it.
    const held = setInterval(() => {}, 1000);
    t.after(() => clearInterval(held));
    await pool.apply((value) => value, [1]);
    await waitFor(() => named(seen, 'workerExit').length === 1, 'its end');
    assert.deepEqual([only(seen).reason, only(seen).calls], ['idle', 1]);
    assert.deepEqual(named(seen, 'restart'), []);
  });

  test('one whose module does not load has failed to boot', async (t) => {
    const options = { type: mode.type, filePath: fixture('throws-at-load.js'), parallelization: 1 };
    const parallelizer = make(t, options);
    const seen = record(parallelizer);
    await assert.rejects(parallelizer.ready(), { code: 'ERR_PARALLELIZER_MODULE' });
    await waitFor(() => named(seen, 'workerExit').length > 0, 'its end');
    assert.equal(named(seen, 'workerExit')[0].reason, 'boot-failed');
    assert.deepEqual(named(seen, 'workerReady'), []);
  });
}, { needs: ['hasWorkers'] });

test('a process that is killed from outside has crashed', async (t) => {
  const parallelizer = make(t, { parallelization: 1 });
  const seen = record(parallelizer);
  const { responses: [pid] } = await parallelizer.run([{ do: 'pid' }]);
  process.kill(pid, 'SIGKILL');
  await waitFor(() => named(seen, 'workerExit').length === 1, 'its end');
  const [exit] = named(seen, 'workerExit');
  assert.deepEqual([exit.pid, exit.reason, exit.exitCode, exit.signal], [pid, 'crashed', null, 'SIGKILL']);
});

test('a program that cannot be started has failed to boot', async (t) => {
  const parallelizer = make(t, { parallelization: 1, execPath: `${temporary(t)}/nothing` });
  const seen = record(parallelizer);
  await assert.rejects(parallelizer.ready());
  await waitFor(() => named(seen, 'workerExit').length > 0, 'its end');
  const [exit] = named(seen, 'workerExit');
  assert.deepEqual([exit.pid, exit.reason, exit.calls], [null, 'boot-failed', 0]);
  assert.deepEqual(named(seen, 'workerStart'), []);
});

test('two instances at once each tell of their own workers', async (t) => {
  const [one, other] = [new Pool(1), new Parallelizer({
    filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1,
  })];
  t.after(() => Promise.all([one.terminate(), other.terminate()]));
  const seen = [record(one), record(other)];
  await Promise.all([one.ready(), other.ready()]);
  await waitFor(() => seen.every((list) => named(list, 'workerReady').length === 1), 'both to be ready');
  const pids = seen.map((list) => named(list, 'workerStart').map(({ pid }) => pid));
  assert.deepEqual([one, other].map((instance) => instance.stats().workers.map(({ pid }) => pid)), pids);
});
