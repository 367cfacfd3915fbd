'use strict';
// Each error that arises on a host names the host, whichever method of a pool or a Parallelizer it comes from. What
// arises here, and what the user's own functions throw, names none.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { Parallelizer, PARALLELIZER_REMOTE, Pool, serve } = require('@parallelizer/node');
const { MemoryHub } = require('./support/remote/memory-engine');
const { withShortFrames } = require('./support/remote/memory-hosts');
const { appeared, fixture, root, temporary, within } = require('./support/helpers');
const { list } = require('./support/pool');

const HOST = 'alpha';
const square = { filePath: fixture('remote.js'), name: 'square' };

/** A pool, and a host for it. */
async function poolOn(t, options = {}, hostOptions = {}) {
  const engine = new MemoryHub().engine();
  const defaults = { engine, root, processes: 1, allowFunctions: true, stdio: 'ignore', name: HOST };
  const host = await serve({ ...defaults, ...hostOptions });
  t.after(() => host.terminate());
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root, gracePeriod: 50, ...options });
  t.after(() => pool.terminate());
  return pool;
}

const rejection = (promise) => within(promise.then(() => assert.fail('it succeeded'), (error) => error), 'a rejection');

const loop = () => {
  for (;;);
};

/** The ways to run a task for one item; each gives the error. */
const METHODS = {
  apply: (pool, run, options) => rejection(pool.apply(run, [1], options)),
  applyAsync: (pool, run, options) => rejection(pool.applyAsync(run, [1], options).get()),
  map: (pool, run, options) => rejection(pool.map(run, [1], options)),
  'map with onError: collect': async (pool, run, options) =>
    (await within(pool.map(run, [1], { ...options, onError: 'collect' }), 'the outcomes'))[0].reason,
  starmap: (pool, run, options) => rejection(pool.starmap(run, [[1]], options)),
  imap: (pool, run, options) => rejection(list(pool.imap(run, [1], options))),
  imapUnordered: (pool, run, options) => rejection(list(pool.imapUnordered(run, [1], options))),
};

describe('a timeout', () => {
  for (const [name, act] of Object.entries(METHODS)) {
    test(`of ${name}`, async (t) => {
      const error = await act(await poolOn(t), loop, { timeout: 200 });
      assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_TIMEOUT', HOST]);
    });
  }
});

/** What goes wrong on a host: code of the error, and the call. */
const FAULTS = {
  'a process that exits': ['WORKER_EXITED', (pool) => pool.apply(() => process.exit(3))],
  'a process that is killed': ['WORKER_EXITED', (pool) => pool.apply(() => process.kill(process.pid, 'SIGKILL'))],
  'a process that dies before it is ready': ['WORKER_EXITED', (pool) => pool.apply(() => 1), {
    initializer: () => process.exit(4),
  }],
  'a module that is not there': ['MODULE', (pool) => pool.apply({ filePath: fixture('not-there.js'), name: 'f' })],
  'a function that its module lacks': ['MODULE', (pool) => pool.apply({ ...square, name: 'none' })],
  'a result that cannot travel': ['SERIALIZATION', (pool) => pool.apply(() => new WeakMap()), {
    serialization: 'advanced',
  }],
  'a function where none is allowed': ['OPTION', (pool) => pool.apply(() => 1), {}, { allowFunctions: false }],
  'an initializer where none is allowed': ['OPTION', (pool) => pool.apply(square, [1]), { initializer: () => {} }, {
    allowFunctions: false,
  }],
  'a chunk that no host takes': ['PROTOCOL', (pool) => pool.apply(() => 1), { secret: 'one', hostTimeout: 100 }, {
    secret: 'another',
  }],
};

describe('on a host', () => {
  for (const [name, [code, call, options, hostOptions]] of Object.entries(FAULTS)) {
    test(name, async (t) => {
      const error = await rejection(call(await poolOn(t, options, hostOptions)));
      assert.deepEqual([error.code, error.host], [`ERR_PARALLELIZER_${code}`, HOST]);
    });
  }

  test('a result that is too large for a frame of its engine', async (t) => {
    const hub = new MemoryHub();
    const engine = withShortFrames(hub.engine(), 50_000);
    const host = await serve({ engine, root, processes: 1, allowFunctions: true, name: HOST });
    t.after(() => host.terminate());
    const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: hub.engine(), root });
    t.after(() => pool.terminate());
    const error = await rejection(pool.apply(() => 'x'.repeat(100_000)));
    assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_SERIALIZATION', HOST]);
    assert.equal(await within(pool.apply(() => 'y'), 'the next call'), 'y');
  });

  test('sub-batches of a run', async (t) => {
    const engine = new MemoryHub().engine();
    const host = await serve({ engine, root, processes: 2, stdio: 'ignore', name: HOST });
    t.after(() => host.terminate());
    const parallelizer = new Parallelizer({
      type: PARALLELIZER_REMOTE, engine, root, filePath: fixture('act.js'), processBatchFunctionName: 'act',
      batchSize: 1, gracePeriod: 50, timeout: 500,
    });
    t.after(() => parallelizer.terminate());
    const run = parallelizer.run([{ do: 'exit', code: 5 }, { do: 'loop' }, { do: 'throw' }], {});
    const { errors } = await within(run, 'the run');
    const seen = errors.map(({ code, host: name, batchIndex }) => [batchIndex, code, name]);
    assert.deepEqual(seen.slice(0, 2), [
      [0, 'ERR_PARALLELIZER_WORKER_EXITED', HOST],
      [1, 'ERR_PARALLELIZER_TIMEOUT', HOST],
    ]);
    assert.equal(Object.hasOwn(errors[2], 'host'), false);
  });
});

describe('not of a host', () => {
  test('an abort', async (t) => {
    const pool = await poolOn(t);
    const file = `${temporary(t)}/begun`;
    const controller = new AbortController();
    const task = (path) => {
      require('node:fs').writeFileSync(path, '');
      for (;;);
    };
    const aborted = rejection(pool.apply(task, [file], { signal: controller.signal }));
    await appeared(file);
    controller.abort();
    const error = await aborted;
    assert.deepEqual([error.code, Object.hasOwn(error, 'host')], ['ERR_PARALLELIZER_ABORTED', false]);
  });

  test('an answer that the engine does not take is a call that is lost, and costs its host no lane', async (t) => {
    const hub = new MemoryHub();
    hub.maxFrameBytes = 100_000;
    const pool = await poolOn(t, { engine: hub.engine() }, { engine: hub.engine() });
    const large = (size) => 'x'.repeat(size);
    for (let i = 0; i < 5; i++) {
      const error = await rejection(pool.apply(large, [200_000]));
      assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    }
    assert.equal((await within(pool.apply(large, [1000]), 'a call after them')).length, 1000);
    assert.equal(pool.stats().remote.chunks.lost, 5);
  });

  test('the end of the pool', async (t) => {
    const pool = await poolOn(t);
    const file = `${temporary(t)}/begun`;
    const ended = rejection(pool.apply((path) => {
      require('node:fs').writeFileSync(path, '');
      for (;;);
    }, [file]));
    await appeared(file);
    await within(pool.terminate(), 'terminate');
    const error = await ended;
    assert.deepEqual([error.code, Object.hasOwn(error, 'host')], ['ERR_PARALLELIZER_CLOSED', false]);
  });

  test("what the user's function throws", async (t) => {
    const pool = await poolOn(t);
    const error = await rejection(pool.apply(() => {
      throw Object.assign(new Error('own'), { code: 'E_OWN' });
    }));
    assert.deepEqual([error.code, Object.hasOwn(error, 'host')], ['E_OWN', false]);
  });

  test('a value that cannot be sent', async (t) => {
    const pool = await poolOn(t);
    const error = await rejection(pool.apply((value) => value, [new WeakMap()]));
    assert.deepEqual([error.code, Object.hasOwn(error, 'host')], ['ERR_PARALLELIZER_SERIALIZATION', false]);
  });
});
