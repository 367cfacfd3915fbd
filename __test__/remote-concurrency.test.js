'use strict';
// `concurrency` with hosts: each of their processes runs so many calls at once, as on one machine, also where these come
// one by one; and an open stream holds one of these places.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { MemoryHub } = require('./support/remote/memory-engine');
const { fixture, lines, temporary, waitFor, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn } = require('./support/remote/memory-hosts');
const { poolOn } = require('./support/remote/pools');
const { gather } = require('./support/streams');

const own = (name) => ({ filePath: fixture('remote.js'), name });

/** Calls that begin, and go on until `open()`. */
function gatedIn(t, pool) {
  const file = path.join(temporary(t), 'file');
  const calls = [];
  return {
    calls,
    begun: () => lines(file).length,
    add: () => calls.push(pool.apply(own('gated'), [file, `${file}.gate`])),
    open: () => fs.writeFileSync(`${file}.gate`, ''),
  };
}

describe('concurrency of hosts', () => {
  test('calls that come one by one run as many at once as a process may', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { concurrency: 8 });
    const gated = gatedIn(t, pool);
    for (let count = 1; count <= 8; count++) {
      gated.add();
      await waitFor(() => gated.begun() === count, `call ${count} to begin`);
    }
    gated.add();
    // It is there, and waits.
    await waitFor(() => host.stats().chunks.running === 9, 'the ninth call to come');
    assert.equal(gated.begun(), 8);
    gated.open();
    await within(Promise.all(gated.calls), 'all calls');
    assert.equal(await within(pool.apply(own('square'), [3]), 'the next call'), 9);
    await waitFor(() => pool.stats().workers.length === 2, 'as many lanes as before');
  });

  test('what is left of a chunk with many calls leaves room for others', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { concurrency: 4 });
    const file = path.join(temporary(t), 'file');
    // Two chunks of four: one call goes on in each.
    const gates = range(8).map((i) => (i % 4 === 0 ? `${file}.gate` : __filename));
    const many = pool.starmap(own('gated'), gates.map((gate) => [file, gate]));
    await waitFor(() => lines(file).length === 8, 'all calls to begin or end');
    assert.equal(await within(pool.apply(own('square'), [3]), 'another call'), 9);
    fs.writeFileSync(`${file}.gate`, '');
    await within(many, 'the calls');
  });

  test('open streams hold as many places as they are, and what comes behind them runs', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { concurrency: 8 });
    const folder = temporary(t);
    const streams = [];
    for (let i = 0; i < 7; i++) {
      const stream = pool.stream(own('written'), [path.join(folder, `${i}`), 50], { highWaterMark: 4 });
      streams.push(stream);
      assert.deepEqual(await within(stream.next(), `the first value of stream ${i}`), { value: 0, done: false });
    }
    assert.equal(await within(pool.apply(own('square'), [3]), 'a call'), 9);
    const rest = await within(Promise.all(streams.map(gather)), 'the rest');
    assert.deepEqual(rest, range(7).map(() => ({ values: range(49).map((i) => i + 1) })));
  });

  test('chunks with as many calls as a process runs at once are no more than without', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { concurrency: 2 });
    let most = 0;
    const slow = pool.map(own('busy'), range(400), { chunkSize: 4 });
    const watching = setInterval(() => (most = Math.max(most, host.stats().chunks.running)), 1);
    t.after(() => clearInterval(watching));
    await within(slow, 'all calls', 60_000);
    assert.ok(most >= 1 && most <= 4, `${most} chunks at once`);
  });

  test('where the engine does not ask hosts what they take, there are two chunks for each process', async (t) => {
    const hub = new MemoryHub();
    const engine = { ...hub.engine(), sharesLanes: false };
    await hostOn(t, { ...hub, engine: () => engine }, { processes: 1 });
    const pool = poolOn(t, hub, { concurrency: 8 });
    const gated = gatedIn(t, pool);
    gated.add();
    gated.add();
    await waitFor(() => gated.begun() === 2, 'both to begin');
    assert.equal(pool.stats().workers.length, 2);
    gated.open();
    await within(Promise.all(gated.calls), 'both calls');
  });
});
