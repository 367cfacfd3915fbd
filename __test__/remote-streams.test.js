'use strict';
// Streams of calls on other machines, over an engine in memory: what becomes of them when hosts, messages, readers or
// producers are lost.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { MemoryHub } = require('./support/remote/memory-engine');
const { lines, root, sleep, temporary, waitFor, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn: anyHostOn } = require('./support/remote/memory-hosts');
const { gather } = require('./support/streams');

const FILE = path.join(__dirname, 'fixtures', 'yielding.js');
const own = (name) => ({ filePath: FILE, name });

/** A host with one process. */
const hostOn = (t, hub, options = {}) => anyHostOn(t, hub, { processes: 1, ...options });

/** A pool, and its connection with the engine. */
function poolOn(t, hub, options = {}) {
  const engine = hub.engine();
  let link = null;
  const connect = (side) => (link = engine.connect(side));
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: { ...engine, connect }, root, ...options });
  t.after(() => pool.terminate());
  return Object.assign(pool, { link: () => link });
}

/** Writes each value down before it is yielded, and the end. */
async function* written(file, to, ms) {
  const { appendFileSync } = require('node:fs');
  try {
    for (let i = 0; i < to; i++) {
      appendFileSync(file, `${i}\n`);
      yield i;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    }
  } finally {
    appendFileSync(file, 'end\n');
  }
}

describe('streams on other machines', () => {
  test('the death of a host comes after the values before it, with the name of the host', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { name: 'victim' });
    const pool = poolOn(t, hub, { retries: 3 });
    const stream = pool.stream(written, [path.join(temporary(t), 'file'), 1e6, 0], { highWaterMark: 4 });
    assert.deepEqual(await within(stream.next(), 'the first value'), { value: 0, done: false });
    await sleep(50);
    void host.kill();
    const { values, error } = await within(gather(stream), 'the end');
    assert.deepEqual(values, range(values.length).map((i) => i + 1));
    assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'victim']);
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
  });

  test('one whose host dies before its first value is run again elsewhere', async (t) => {
    const hub = new MemoryHub();
    const file = path.join(temporary(t), 'file');
    const host = await hostOn(t, hub);
    const pool = poolOn(t, hub, { retries: 1 });
    async function* held(begun, gate) {
      const { appendFileSync, existsSync } = require('node:fs');
      appendFileSync(begun, 'begun\n');
      while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
      yield* [1, 2];
    }
    const gathered = gather(pool.stream(held, [file, `${file}.gate`]));
    await waitFor(() => lines(file).length === 1, 'it to begin');
    void host.kill();
    fs.writeFileSync(`${file}.gate`, '');
    await hostOn(t, hub);
    assert.deepEqual(await within(gathered, 'the values'), { values: [1, 2] });
    assert.equal(lines(file).length, 2);
  });

  test('no host is more than highWaterMark values ahead, however long the reader takes', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const file = path.join(temporary(t), 'file');
    const stream = pool.stream(written, [file, 100, 0], { highWaterMark: 5 });
    for (let taken = 1; taken <= 30; taken++) {
      assert.deepEqual(await within(stream.next(), 'a value'), { value: taken - 1, done: false });
      if (taken % 10 === 0) await sleep(50);
      assert.ok(lines(file).length <= taken + 5, `${lines(file).length} when ${taken} were taken`);
    }
    await within(stream.return(), 'the end');
    assert.equal(lines(file).at(-1), 'end');
  });

  test('messages that are lost are said again, also with a secret', async (t) => {
    for (const secret of [undefined, 'of both sides']) {
      const hub = new MemoryHub();
      await hostOn(t, hub, { secret });
      const pool = poolOn(t, hub, { secret });
      const stream = pool.stream(written, [path.join(temporary(t), 'file'), 40, 0], { highWaterMark: 2 });
      assert.equal((await within(stream.next(), 'the first value')).value, 0);
      const { cancel } = pool.link();
      let lost = 0;
      pool.link().cancel = (...message) => (lost++ < 3 ? undefined : cancel(...message));
      assert.deepEqual(await within(gather(stream), 'the rest', 60_000), { values: range(39).map((i) => i + 1) });
      assert.ok(lost > 3);
    }
  });

  test('an abort that is lost ends the generator all the same', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const file = path.join(temporary(t), 'file');
    const controller = new AbortController();
    const stream = pool.stream(written, [file, 1e6, 0], { signal: controller.signal });
    await within(stream.next(), 'the first value');
    const { cancel } = pool.link();
    let lost = 0;
    pool.link().cancel = (...message) => (lost++ < 1 ? undefined : cancel(...message));
    controller.abort();
    await assert.rejects(within(stream.next(), 'the abort'), { code: 'ERR_PARALLELIZER_ABORTED' });
    await waitFor(() => lines(file).at(-1) === 'end', 'the generator to end', 30_000);
    assert.equal(await within(pool.apply(() => 7), 'the next call'), 7);
  });

  test('a host ends the streams of a producer that is gone, and finishes its other calls', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 2 });
    const pool = poolOn(t, hub);
    const folder = temporary(t);
    const file = path.join(folder, 'stream');
    await within(pool.stream(written, [file, 1e6, 0]).next(), 'the first value');
    const call = path.join(folder, 'call');
    pool.apply(async (name, gate) => {
      const { appendFileSync, existsSync } = require('node:fs');
      appendFileSync(name, 'begun\n');
      while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
      appendFileSync(name, 'done\n');
    }, [call, `${call}.gate`]).catch(() => {});
    await waitFor(() => lines(call).length === 1, 'the call to begin');
    hub.silence(pool.link());
    await waitFor(() => lines(file).at(-1) === 'end', 'the stream to end');
    fs.writeFileSync(`${call}.gate`, '');
    await waitFor(() => lines(call).length === 2, 'the call to be finished');
    await within(host.close(), 'the host to close');
  });

  test('close() of a host waits for what the readers of its streams take, and terminate() does not', async (t) => {
    const hub = new MemoryHub();
    const [closing, ending] = [await hostOn(t, hub, { name: 'closing' }), await hostOn(t, hub, { name: 'ending' })];
    const pool = poolOn(t, hub);
    await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
    const streams = range(2).map(() => pool.stream(written, [path.join(temporary(t), 'file'), 100, 0]));
    for (const stream of streams) await within(stream.next(), 'a value');
    assert.deepEqual([closing, ending].map((host) => host.stats().streams), [1, 1]);
    let isClosed = false;
    const closed = closing.close().then(() => (isClosed = true));
    await sleep(50);
    assert.equal(isClosed, false);
    await ending.terminate();
    const outcomes = await within(Promise.all(streams.map(gather)), 'both ends');
    assert.deepEqual(outcomes.filter(({ error }) => error === undefined).map(({ values }) => values.length), [99]);
    const [{ error }] = outcomes.filter((outcome) => outcome.error !== undefined);
    assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'ending']);
    await within(closed, 'the host to close');
    assert.equal(closing.stats().streams, 0);
  });

  test('what waits for a place that a stream holds goes to a host that has one', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { name: 'full' });
    const pool = poolOn(t, hub);
    const first = pool.stream(written, [path.join(temporary(t), 'file'), 40, 0]);
    assert.equal((await within(first.next(), 'a value')).value, 0);
    const second = pool.stream(written, [path.join(temporary(t), 'file'), 40, 0]);
    const waiting = [second.next(), pool.apply((x) => x + 1, [1]), pool.map((x) => 2 * x, range(50))];
    await waitFor(() => pool.stats().remote.chunks.returned > 0, 'one of them to come back');
    await hostOn(t, hub, { name: 'free', processes: 2 });
    const [value, ...results] = await within(Promise.all(waiting), 'what waits');
    assert.equal(value.value, 0);
    assert.deepEqual(results, [2, range(50).map((x) => 2 * x)]);
    assert.equal((await within(gather(first), 'the first stream')).values.length, 39);
    assert.equal((await within(gather(second), 'the second stream')).values.length, 39);
  });

  test('what waits for a place begins once the stream is over, however long that takes', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub, { hostTimeout: 500 });
    const stream = pool.stream(written, [path.join(temporary(t), 'file'), 3, 0]);
    await within(stream.next(), 'a value');
    const call = pool.apply((x) => x + 1, [1]);
    await sleep(1500);
    assert.deepEqual(await gather(stream), { values: [1, 2] });
    assert.equal(await within(call, 'the call'), 2);
  });

  test('one that is left before it has begun does not begin', async (t) => {
    const hub = new MemoryHub();
    const pool = poolOn(t, hub, { gracePeriod: 20 });
    const file = path.join(temporary(t), 'file');
    const stream = pool.stream(written, [file, 1e6, 0]);
    const next = stream.next();
    assert.deepEqual(await within(stream.return(), 'the return'), { value: undefined, done: true });
    assert.deepEqual(await within(next, 'the value'), { value: undefined, done: true });
    await hostOn(t, hub);
    assert.equal(await within(pool.apply(() => 7), 'the next call'), 7);
    assert.equal(fs.existsSync(file), false);
  });

  test('errors of the library have the host, and those of the user are as they were thrown', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { name: 'far' });
    const pool = poolOn(t, hub, { gracePeriod: 20 });
    const thrown = await within(gather(pool.stream(own('failsAfter'), [20])), 'the error');
    assert.deepEqual([thrown.values.length, thrown.error.name], [20, 'RangeError']);
    assert.equal(Object.hasOwn(thrown.error, 'host'), false);
    assert.match(thrown.error.stack, /yielding\.js/);
    const timed = await within(gather(pool.stream(own('hangsAfter'), [3], { timeout: 100 })), 'the timeout');
    assert.deepEqual([timed.values.length, timed.error.code, timed.error.host], [3, 'ERR_PARALLELIZER_TIMEOUT', 'far']);
    const untold = await within(gather(pool.stream(own('untravelling'))), 'the refusal');
    assert.deepEqual(untold.values, [1]);
    assert.deepEqual([untold.error.code, untold.error.host], ['ERR_PARALLELIZER_SERIALIZATION', 'far']);
  });

  test('an engine that loses its data ends them', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const file = path.join(temporary(t), 'file');
    const stream = pool.stream(written, [file, 1e6, 0]);
    await within(stream.next(), 'a value');
    hub.loseData();
    const { error } = await within(gather(stream), 'the end');
    assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    await waitFor(() => lines(file).at(-1) === 'end', 'the generator to end');
  });
});
