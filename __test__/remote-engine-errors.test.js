'use strict';
// Engines whose methods reject, as they may, or throw, as they must not: what was called settles all the same, and
// nothing is left behind.

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool, serve } = require('@parallelizer/node');
const { MemoryHub } = require('./support/remote/memory-engine');
const { fixture, gone, lines, root, temporary, waitFor, within } = require('./support/helpers');
const { hostOn, withShortFrames } = require('./support/remote/memory-hosts');
const { start } = require('./support/scripts');

const own = (name) => ({ filePath: fixture('remote.js'), name });

/** An engine whose hosts' connections have other methods. */
const withHostLink = (hub, change) => {
  const engine = hub.engine();
  return { ...engine, listen: (side) => ({ ...engine.listen(side), ...change }) };
};

/** A pool with another method of its connection, once `faulty.now` is set. */
function poolOn(t, hub, method, faulty, options) {
  const engine = hub.engine();
  const connect = (side) => {
    const link = engine.connect(side);
    const act = (...values) => {
      if (faulty.now) throw new Error(`${method} is broken`);
      return link[method](...values);
    };
    return { ...link, [method]: act };
  };
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: { ...engine, connect }, root, ...options });
  t.after(() => {
    faulty.now = false;
    return pool.terminate();
  });
  return pool;
}

/** Runs a program with a host over memory, which has to end by itself without an error. */
async function ends(t, source) {
  const program = start(t, `
    const { MemoryHub } = require(${JSON.stringify(path.join(__dirname, 'support', 'remote', 'memory-engine.js'))});
    const { Pool, serve } = require(${JSON.stringify(root)});
    const root = ${JSON.stringify(root)};
    const square = { filePath: fixture('remote.js'), name: 'square' };
    const hub = new MemoryHub();
    (async () => {${source}})();
  `);
  const { code, stderr } = await within(program.exited, 'the program to end');
  assert.deepEqual([code, stderr], [0, '']);
  return program.stdout;
}

describe("a host's connection", () => {
  test('that never stands: serve() rejects, and holds nothing', async (t) => {
    const said = await ends(t, `
      const engine = hub.engine();
      const listen = (side) => ({ ...engine.listen(side), ready: async () => { throw new Error('not there'); } });
      await serve({ engine: { ...engine, listen }, root, processes: 1 }).catch(({ message }) => console.log(message));
    `);
    assert.equal(said, 'not there\n');
  });

  const REJECTS = async () => {
    throw new Error('not in order');
  };
  const THROWS = () => {
    throw new Error('not in order');
  };
  for (const [name, change] of Object.entries({ close: { close: REJECTS }, pause: { pause: THROWS, close: REJECTS } })) {
    test(`that does not end in order (${name}): close() says so, and the processes end`, async (t) => {
      const hub = new MemoryHub();
      const host = await serve({ engine: withHostLink(hub, change), root, processes: 1 });
      t.after(() => host.terminate());
      const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: hub.engine(), root });
      t.after(() => pool.terminate());
      const { pid } = await within(pool.apply(own('whoAmI')), 'a call');
      await within(pool.close(), 'the pool to close');
      await assert.rejects(within(host.close(), 'the host to close'), { message: 'not in order' });
      await gone(pid);
    });
  }

  test('whose terminate() throws: the processes end', async (t) => {
    const hub = new MemoryHub();
    const host = await serve({ engine: withHostLink(hub, { terminate: THROWS }), root, processes: 1 });
    const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: hub.engine(), root });
    t.after(() => pool.terminate());
    const { pid } = await within(pool.apply(own('whoAmI')), 'a call');
    await assert.rejects(within(host.terminate(), 'the host to end'), { message: 'not in order' });
    await gone(pid);
  });

  test('that throws where a chunk ends: the host goes on', async (t) => {
    assert.equal(await ends(t, `
      const engine = hub.engine();
      let isBroken = false;
      const listen = (side) => engine.listen({ ...side, deliver: (delivery) => side.deliver({
        ...delivery,
        end: (how) => {
          if (isBroken) throw new Error('end is broken');
          return delivery.end(how);
        },
      }) });
      const host = await serve({ engine: { ...engine, listen }, root, processes: 1 });
      const pool = new Pool({ type: 'remote', engine, root });
      const idle = async () => {
        while (host.stats().chunks.running > 0) await sleep(5);
      };
      console.log(await pool.apply(square, [2]));
      await idle();
      isBroken = true;
      console.log(await pool.apply(square, [3]));
      await idle();
      isBroken = false;
      console.log(await pool.apply(square, [4]));
      await pool.terminate();
      await host.close();
    `), '4\n9\n16\n');
  });

  test('that throws for a frame, with a secret: the next frame is the next one', async (t) => {
    const hub = new MemoryHub();
    const engine = hub.engine();
    const secret = 'of both sides';
    const options = { engine: withShortFrames(engine, 50_000), root, processes: 1, allowFunctions: true, secret };
    const host = await serve(options);
    t.after(() => host.terminate());
    const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root, secret });
    t.after(() => pool.terminate());
    const large = within(pool.apply(() => 'x'.repeat(100_000)), 'the call');
    await assert.rejects(large, { code: 'ERR_PARALLELIZER_SERIALIZATION' });
  });
});

describe("a producer's connection", () => {
  for (const how of ['async () => { throw new Error("late"); }', '() => { throw new Error("at once"); }']) {
    test(`that does not end in order: close() of the pool does (${how})`, async (t) => {
      assert.equal(await ends(t, `
        const engine = hub.engine();
        const host = await serve({ engine, root, processes: 1 });
        const connect = (side) => ({ ...engine.connect(side), close: ${how} });
        const pool = new Pool({ type: 'remote', engine: { ...engine, connect }, root });
        console.log(await pool.apply(square, [3]));
        await pool.close();
        await pool.join();
        await host.close();
      `), '9\n');
    });
  }

  test('whose cancel() throws: an aborted call settles', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const faulty = { now: true };
    const pool = poolOn(t, hub, 'cancel', faulty);
    const file = path.join(temporary(t), 'file');
    const controller = new AbortController();
    const call = pool.apply(own('heard'), [{ file }], { signal: controller.signal });
    await waitFor(() => lines(file).length === 1, 'it to begin');
    controller.abort();
    await assert.rejects(within(call, 'the abort'), { code: 'ERR_PARALLELIZER_ABORTED' });
    assert.equal(pool.stats().remote.problem, 'cancel is broken');
    faulty.now = false;
    await waitFor(() => lines(file).at(-1) === 'aborted', 'the function to hear of it');
  });

  test('whose release() throws: lost calls settle', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, 'release', { now: true });
    const file = path.join(temporary(t), 'file');
    const call = pool.apply(own('heard'), [{ file }]);
    await waitFor(() => lines(file).length === 1, 'it to begin');
    void host.kill();
    await assert.rejects(within(call, 'the loss'), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
    await hostOn(t, hub, { processes: 1 });
    assert.equal(await within(pool.apply(own('square'), [3]), 'the next call'), 9);
  });

  test('whose send() throws: calls wait until it does not, and fail in the end', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const faulty = { now: true };
    const pool = poolOn(t, hub, 'send', faulty, { hostTimeout: 2000 });
    const call = pool.apply(own('square'), [3]);
    await waitFor(() => pool.stats().remote.chunks.returned > 0, 'it to come back');
    faulty.now = false;
    assert.equal(await within(call, 'the call'), 9);
    faulty.now = true;
    await assert.rejects(within(pool.apply(own('square'), [4]), 'the next call'), ({ code, message }) => {
      assert.equal(code, 'ERR_PARALLELIZER_PROTOCOL');
      assert.match(message, /could not be sent: send is broken/);
      return true;
    });
  });
});
