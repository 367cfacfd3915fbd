'use strict';
// What a pool opens is closed with it: once it is closed and joined, every async resource that was made meanwhile has
// been destroyed or says by `hasRef()` that it keeps nothing alive. Tools that list open handles (as Jest does) rely
// on that.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { run } = require('./support/scripts');

/** Prints which async resources of a script are open at its end. */
const listing = (body) => `
const { createHook, AsyncLocalStorage } = require('node:async_hooks');
// Node opens them when they are first touched, and never closes them.
void [process.stdout, process.stderr];
const open = new Map();
const seen = new Set();
const hook = createHook({
  init(id, type, trigger, resource) {
    // napi-rs opens the latter with the addon, once in an environment, and has it keep nothing alive.
    if (type === 'PROMISE' || type === 'CustomGC') return;
    seen.add(type);
    open.set(id, { type, resource: new WeakRef(resource), stack: new Error().stack });
  },
  destroy: (id) => open.delete(id),
}).enable();
const listOpen = async () => {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  hook.disable();
  return [...open.values()].filter(({ resource }) => {
    const object = resource.deref();
    return object !== undefined && (typeof object.hasRef !== 'function' || object.hasRef());
  });
};
const { Pool } = require(${JSON.stringify(root)});
(async () => {
  ${body}
  const left = await listOpen();
  console.log(JSON.stringify({ seen: [...seen], left: left.map(({ type, stack }) => [type, stack]) }));
})().catch((error) => { console.error(error); process.exit(99); });
`;

const leftBy = async (t, body) => {
  const { messages } = await run(t, listing(body), { execArgv: ['--expose-gc'] });
  const [{ seen, left }] = messages;
  return { seen, left: left.filter(([type, stack]) => !(type === 'Timeout' && /listOpen/.test(stack))) };
};

/** Whether a resource is the one that keeps the event loop alive for a pool: the addon's, or a timer. */
const HOLDS = isFallback
  ? (type, stack) => type === 'Timeout' && stack.includes('set_held')
  : (type) => type === 'ParallelizerEvents';

forEachMode((mode) => {
  const options = JSON.stringify({ type: mode.type, processes: 2 });

  test('a pool, after close() and join()', async (t) => {
    const { seen, left } = await leftBy(t, `
      const pool = new Pool(${options});
      await pool.map((n) => n + 1, [1, 2, 3, 4]);
      await pool.apply(() => { throw new Error('thrown'); }).catch(() => {});
      await pool.apply((bytes) => bytes.length, [Buffer.alloc(1e6)]);
      await pool.map((n) => n, [new Map(), undefined], { onProgress() {} });
      for await (const result of pool.imap((n) => n, [1, 2, 3])) void result;
      for await (const result of pool.imapUnordered((n) => n, [1, 2, 3])) { void result; break; }
      pool.close();
      await pool.join();
    `);
    assert.ok(seen.includes('ParallelizerJob'), 'the listing sees ours');
    if (!isFallback) assert.ok(seen.includes('ParallelizerEvents'), 'the listing sees the addon\'s');
    assert.deepEqual(left, []);
  });

  test('what is shared, moved or cloned', async (t) => {
    if (mode.hasProcess) return t.skip('processes share no memory of JavaScript');
    const { seen, left } = await leftBy(t, `
      const pool = new Pool(${options});
      await pool.apply((value) => value, [{ memory: new SharedArrayBuffer(8), blob: new Blob(['text']) }]);
      const bytes = new ArrayBuffer(1e5);
      await pool.map((given) => given.byteLength, [bytes], { transferList: [bytes] });
      const moved = new ArrayBuffer(1e5);
      const controller = new AbortController();
      const slow = () => new Promise((resolve) => setTimeout(resolve, 50));
      // Within a function, so that nothing refers to what it returns.
      await (async () => {
        const more = { transferList: [moved], chunkSize: 1, signal: controller.signal };
        const running = pool.map(slow, [1, 2, 3, moved], more);
        controller.abort();
        await running.catch(() => {});
      })();
      pool.close();
      await pool.join();
    `);
    assert.ok(seen.includes('MESSAGEPORT'), 'the listing sees ports');
    assert.deepEqual(left, []);
  });

  test('what was to be moved by a call that was never sent', async (t) => {
    if (mode.hasProcess) return t.skip('processes share no memory of JavaScript');
    const { seen, left } = await leftBy(t, `
      const pool = new Pool({ ...${options}, processes: 1 });
      await pool.ready();
      const ports = () => [...open.values()].filter(({ type }) => type === 'MESSAGEPORT').length;
      const before = ports();
      await (async () => {
        const list = Array.from({ length: 200 }, () => new ArrayBuffer(8));
        const controller = new AbortController();
        const slow = () => new Promise((resolve) => setTimeout(resolve, 20));
        const running = pool.map(slow, list, { transferList: list, chunkSize: 1, signal: controller.signal });
        setTimeout(() => controller.abort(), 10);
        await running.catch(() => {});
      })();
      await pool.apply(() => 1);
      await listOpenPorts();
      async function listOpenPorts() {
        for (let i = 0; i < 5; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      // Those of the few calls that were with the worker may be left.
      if (ports() - before < 100) seen.add('closed');
      await pool.terminate();
    `);
    assert.ok(seen.includes('closed'), 'the ports of what was never sent are closed');
    assert.deepEqual(left, []);
  });

  test('terminate() amid work, and an instance of Parallelizer', async (t) => {
    const { left } = await leftBy(t, `
      const pool = new Pool(${options});
      const slow = () => new Promise((resolve) => setTimeout(resolve, 10_000).unref());
      await (async () => {
        const running = pool.map(slow, [1, 2, 3]);
        running.catch(() => {});
        await pool.terminate();
      })();
      const filePath = fixture('act.js');
      const parallelizer = new Parallelizer({ type: '${mode.type}', filePath, processBatchFunctionName: 'sum' });
      await parallelizer.run([1, 2, 3]);
      await parallelizer.close();
    `);
    assert.deepEqual(left, []);
  });

  test('an open pool that is idle keeps nothing alive, and one at work does', async (t) => {
    const { left, seen } = await leftBy(t, `
      globalThis.pool = new Pool(${options});
      await pool.map((n) => n, [1, 2]);
      const [{ resource }] = [...open.values()].filter(({ type, stack }) => (${HOLDS})(type, stack));
      let isDone = false;
      const running = pool.apply(() => new Promise((resolve) => setTimeout(resolve, 20))).then(() => (isDone = true));
      while (!isDone) {
        if (resource.deref().hasRef()) seen.add('at work');
        await new Promise(setImmediate);
      }
      await running;
    `);
    assert.ok(seen.includes('at work'));
    const kept = left.filter(([type, stack]) => HOLDS(type, stack) ||
      (type.startsWith('Parallelizer') && type !== 'ParallelizerJob'));
    assert.deepEqual(kept, []);
  });
});
