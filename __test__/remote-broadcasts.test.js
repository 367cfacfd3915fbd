'use strict';
// Broadcasts to the processes of other machines, over an engine in memory.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { serve } = require('@parallelizer/node');
const { HostWatch } = require('../lib/remote/host-watch');
const { MemoryHub } = require('./support/remote/memory-engine');
const { lines, root, sleep, temporary, waitFor, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn } = require('./support/remote/memory-hosts');
const { poolOn } = require('./support/remote/pools');

const FILE = path.join(__dirname, 'fixtures', 'ordered.js');
const own = (name) => ({ filePath: FILE, name });

const hostsSeen = (pool, count) => {
  const seen = () => pool.stats().remote.hosts.filter(({ slots }) => slots > 0);
  return waitFor(() => seen().length === count, `${count} hosts to be seen`);
};

/** The processes that a host runs. */
const pidsOf = (host) => host.stats().pools.flatMap(({ workers }) => workers.map(({ pid }) => pid));

function whoAmI() {
  return { pid: process.pid, index: this.workerIndex };
}

/** Notes that it begins, and ends once its gate is there. */
async function noted(file, gate) {
  const { appendFileSync, existsSync } = require('node:fs');
  appendFileSync(file, `${process.pid}\n`);
  while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
  return process.pid;
}

/** Notes that it begins, and ends once there is a gate for its process. */
async function gatedByProcess(file) {
  const { appendFileSync, existsSync } = require('node:fs');
  appendFileSync(file, `${process.pid}\n`);
  while (!existsSync(`${file}.${process.pid}`)) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('broadcasts to other machines', () => {
  test('once on each process of each host, in the order of the names of hosts and of the indices', async (t) => {
    const hub = new MemoryHub();
    const options = { secret: 'of both sides' };
    const hosts = [];
    for (const [name, processes] of [['b', 2], ['c', 1], ['a', 3]]) {
      hosts.push(await hostOn(t, hub, { ...options, name, processes }));
    }
    const pool = poolOn(t, hub, options);
    await hostsSeen(pool, 3);
    assert.deepEqual(pool.stats().remote.hosts.map(({ name }) => name), ['a', 'b', 'c']);
    const seen = await within(pool.broadcast(whoAmI), 'it');
    assert.deepEqual(seen.map(({ index }) => index), [0, 1, 2, 0, 1, 0]);
    const [b, c, a] = hosts.map(pidsOf);
    const pids = seen.map(({ pid }) => pid);
    const sorted = (lists) => lists.map((list) => list.sort());
    assert.deepEqual(sorted([pids.slice(0, 3), pids.slice(3, 5), pids.slice(5)]), sorted([a, b, c]));
    assert.equal(new Set(pids).size, 6);
    const again = await within(pool.broadcast(whoAmI), 'the next one');
    assert.deepEqual(again.map(({ pid }) => pid), seen.map(({ pid }) => pid), 'these are the same processes');
  });

  test('calls after it find what it has set, and a host that comes later has not heard of it', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { name: 'a' });
    const pool = poolOn(t, hub);
    const heard = [];
    const onMessage = (value, info) => heard.push({ value, ...info });
    await within(pool.broadcast(own('configure'), ['set'], { onMessage }), 'it');
    assert.deepEqual(heard.map(({ value, index, workerIndex, attempt }) => [value, index, workerIndex, attempt])
      .sort(([, one], [, other]) => one - other), [['set', 0, 0, 1], ['set', 1, 1, 1]]);
    const found = await within(pool.map(own('configured'), Array(20).fill(1)), 'calls after it');
    assert.deepEqual(new Set(found.map(({ config }) => config)), new Set(['set']));
    await hostOn(t, hub, { name: 'b' });
    await hostsSeen(pool, 2);
    await waitFor(async () => {
      const all = await pool.broadcast(own('configured'), [0]);
      return all.map(({ config }) => config).join() === 'set,set,,';
    }, 'the new host to be asked');
  });

  test('it goes to the pool that the calls of its producer go to', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const initializer = (value) => (globalThis.initial = value);
    const [one, two] = ['one', 'two'].map((name) => poolOn(t, hub, { initializer, initArgs: [name] }));
    const tell = (value) => [globalThis.initial, (globalThis.told = value)];
    assert.deepEqual(await within(one.broadcast(tell, [1]), 'the first'), [['one', 1], ['one', 1]]);
    assert.deepEqual(await within(two.broadcast(tell, [2]), 'the second'), [['two', 2], ['two', 2]]);
    assert.deepEqual(new Set(await within(one.map(() => globalThis.told, range(20)), 'its calls')), new Set([1]));
  });

  test('it waits for a host, for as long as hostTimeout says', async (t) => {
    const hub = new MemoryHub();
    const impatient = poolOn(t, hub, { hostTimeout: 100 });
    await assert.rejects(within(impatient.broadcast(whoAmI), 'the refusal'), (error) => {
      assert.deepEqual([error.code, typeof error.runId], ['ERR_PARALLELIZER_NO_HOST', 'string']);
      return true;
    });
    const pools = range(4).map(() => poolOn(t, hub));
    const [open, closing, ending, aborted] = pools;
    const controller = new AbortController();
    const optionsOf = (pool) => (pool === aborted ? { signal: controller.signal } : {});
    const running = pools.map((pool) => pool.broadcast(own('whichWorker'), [], optionsOf(pool)));
    closing.close();
    const refused = [
      assert.rejects(running[2], { code: 'ERR_PARALLELIZER_CLOSED' }),
      assert.rejects(running[3], { code: 'ERR_PARALLELIZER_ABORTED' }),
      assert.rejects(closing.broadcast(whoAmI), { code: 'ERR_PARALLELIZER_CLOSED' }),
    ];
    controller.abort();
    await within(Promise.all([ending.terminate(), ...refused]), 'the refusals');
    await hostOn(t, hub, { processes: 1 });
    assert.deepEqual(await within(Promise.all([running[0], running[1]]), 'both'), [[0], [0]]);
    await within(closing.join(), 'the end');
    assert.equal(await within(open.apply(() => 7), 'the next call'), 7);
  });

  test('a host that dies in the middle fails its entries, and no others', async (t) => {
    const hub = new MemoryHub();
    const victim = await hostOn(t, hub, { name: 'a-victim' });
    const survivor = await hostOn(t, hub, { name: 'b-survivor' });
    const pool = poolOn(t, hub, { retries: 2 });
    await hostsSeen(pool, 2);
    const file = path.join(temporary(t), 'file');
    const gate = `${file}.gate`;
    const settled = pool.broadcast(noted, [file, gate], { onError: 'collect' });
    await waitFor(() => lines(file).length === 4, 'all to begin');
    const survivors = pidsOf(survivor);
    void victim.kill();
    await hostsSeen(pool, 1);
    fs.writeFileSync(gate, '');
    const outcomes = await within(settled, 'all of them');
    assert.deepEqual(outcomes.map(({ status }) => status), ['rejected', 'rejected', 'fulfilled', 'fulfilled']);
    for (const { reason } of outcomes.slice(0, 2)) {
      assert.deepEqual([reason.code, reason.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'a-victim']);
    }
    assert.deepEqual(outcomes.slice(2).map(({ value }) => value).sort(), survivors.sort());
    assert.equal(lines(file).length, 4, 'none of them was run elsewhere');
  });

  test('a process that dies fails its own, and a retry goes to its successor', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { name: 'only', processes: 3 });
    const pool = poolOn(t, hub);
    const settled = await within(pool.broadcast(own('diesOn'), [1], { onError: 'collect' }), 'it');
    assert.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
    assert.deepEqual([settled[1].reason.code, settled[1].reason.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'only']);
    const marker = path.join(temporary(t), 'once');
    assert.deepEqual(await within(pool.broadcast(own('diesOn'), [2, marker], { retries: 1 }), 'the retry'), [0, 1, 2]);
  });

  test('a process that a stream holds gets it after the stream, the others do not wait', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const stream = pool.stream(function* () {
      for (let i = 0; i < 100; i++) yield this.workerIndex;
    });
    const busy = (await within(stream.next(), 'a value')).value;
    const heard = [];
    const onMessage = (_value, { workerIndex }) => heard.push(workerIndex);
    const told = pool.broadcast(own('configure'), ['x'], { onMessage });
    await waitFor(() => heard.length === 1, 'the other one');
    assert.deepEqual(heard, [1 - busy]);
    assert.equal(await within(pool.apply(() => 7), 'another call'), 7);
    assert.deepEqual(heard, [1 - busy]);
    await within(stream.return(), 'the end of the stream');
    assert.deepEqual((await within(told, 'both')).map(({ index }) => index), [0, 1]);
  });

  test('a host that drains is not asked', async (t) => {
    const hub = new MemoryHub();
    const leaving = await hostOn(t, hub, { name: 'leaving', processes: 1 });
    const pool = poolOn(t, hub);
    const file = path.join(temporary(t), 'file');
    const call = pool.apply(noted, [file, `${file}.gate`]);
    await waitFor(() => lines(file).length === 1, 'it to have something');
    const closed = leaving.close();
    await hostOn(t, hub, { name: 'staying', processes: 2 });
    await hostsSeen(pool, 1);
    await waitFor(() => pool.stats().remote.slots === 2, 'the other one to be seen');
    assert.deepEqual(await within(pool.broadcast(own('whichWorker')), 'it'), [0, 1]);
    fs.writeFileSync(`${file}.gate`, '');
    await within(Promise.all([call, closed]), 'the end');
  });

  test('where streams hold every process, it waits at the host, and is not sent back', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const streams = range(2).map(() => pool.stream(function* () {
      for (let i = 0; i < 1e6; i++) yield this.workerIndex;
    }));
    const firsts = await within(Promise.all(streams.map((stream) => stream.next())), 'both streams');
    assert.deepEqual(firsts.map(({ value }) => value).sort(), [0, 1]);
    const told = pool.broadcast(own('whichWorker'));
    await waitFor(() => host.stats().chunks.running === 4, 'the host to have all of it');
    // A call that may run anywhere would go back after a quarter of a second.
    await sleep(400);
    for (const stream of streams) await within(stream.return(), 'its end');
    assert.deepEqual(await within(told, 'it'), [0, 1]);
    assert.equal(pool.stats().remote.chunks.returned, 0);
  });

  test('entries that wait here while their host begins to drain fail, and the others run', async (t) => {
    const hub = new MemoryHub();
    const [leaving, staying] = [
      await hostOn(t, hub, { name: 'a-leaving', processes: 1 }), await hostOn(t, hub, { name: 'b-staying', processes: 1 }),
    ];
    const pool = poolOn(t, hub, { retries: 1 });
    await hostsSeen(pool, 2);
    const file = path.join(temporary(t), 'file');
    const gateOf = (host) => `${file}.${pidsOf(host)[0]}`;
    const held = pool.map(gatedByProcess, range(4).map(() => file), { chunkSize: 1 });
    await waitFor(() => lines(file).length === 2 && [leaving, staying].every((host) => host.stats().chunks.running === 2),
      'each host to have what it takes');
    const told = pool.broadcast(own('whichWorker'), [], { onError: 'collect' });
    const gate = gateOf(leaving);
    const closed = leaving.close();
    await hostsSeen(pool, 1);
    fs.writeFileSync(gateOf(staying), '');
    const [one, other] = await within(told, 'it, while the one that leaves has its calls still');
    assert.deepEqual([one.reason?.code, one.reason?.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'a-leaving']);
    assert.deepEqual(other, { status: 'fulfilled', value: 0 });
    fs.writeFileSync(gate, '');
    await within(Promise.all([held, closed]), 'the end');
  });

  test('a host that says that it has more processes than it has refuses what is for the others', async (t) => {
    const hub = new MemoryHub();
    const engine = hub.engine();
    const boasting = { ...engine, listen: (side) => engine.listen({ ...side, host: { ...side.host, slots: 3 } }) };
    const host = await serve({ engine: boasting, root, processes: 2, allowFunctions: true, name: 'boasting' });
    t.after(() => host.terminate());
    const pool = poolOn(t, hub);
    const settled = await within(pool.broadcast(own('whichWorker'), [], { onError: 'collect' }), 'it');
    assert.deepEqual(settled.map(({ value }) => value), [0, 1, undefined]);
    assert.match(settled[2].reason.message, /worker 2 of 2/);
  });

  test('an entry that fails keeps no later one from being run', async (t) => {
    const hub = new MemoryHub();
    const [a, b] = [
      await hostOn(t, hub, { name: 'a', processes: 1 }), await hostOn(t, hub, { name: 'b', processes: 1 }),
    ];
    const pool = poolOn(t, hub);
    await hostsSeen(pool, 2);
    const streams = range(2).map(() => pool.stream(function* () {
      for (;;) yield process.pid;
    }));
    const holders = await within(Promise.all(streams.map((stream) => stream.next())), 'a stream on each');
    const streamOf = (host) => streams[holders.findIndex(({ value }) => value === pidsOf(host)[0])];
    await within(streamOf(a).return(), 'the end of the first');
    const file = path.join(temporary(t), 'file');
    const told = pool.broadcast((path) => {
      require('node:fs').appendFileSync(path, `${process.pid}\n`);
      throw new Error('refused here');
    }, [file]);
    const refused = assert.rejects(within(told, 'both entries'), { message: 'refused here' });
    await waitFor(() => lines(file).length === 1, 'the free process to run it');
    assert.deepEqual(lines(file).map(Number), pidsOf(a));
    await within(streamOf(b).return(), 'the end of the other');
    await refused;
    assert.deepEqual(lines(file).map(Number), [...pidsOf(a), ...pidsOf(b)]);
  });

  test('hosts of one name are in the order of their ids', () => {
    const watch = new HostWatch(1, () => {});
    watch.update(['c', 'a', 'b'].map((id) => ({ id, name: 'same', slots: 1 })));
    assert.deepEqual(watch.places.map(({ hostId }) => hostId), ['a', 'b', 'c']);
  });
});
