'use strict';
// Calls that talk, as the timeline shows them: messages, what streams yield, broadcasts.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Spans } = require('../lib/jobs/spans');
const { make, waitFor } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { list, makePool, range } = require('./support/pool');
const { assertWellFormed, of } = require('./support/timeline');

/** The lane on which a worker's chunks are. */
const laneOf = (events, index) =>
  events.find(({ ph, name, args }) => ph === 'M' && name === 'thread_name' && args.workerIndex === index)?.tid;

forEachMode((mode) => {
  test('a message is a moment on the lane of its worker, with its run and its call', async (t) => {
    const pool = makePool(t, mode, { trace: true });
    const seen = [];
    const result = pool.mapAsync(function speaks(x) {
      this.emit({ x });
      this.emit('again');
      return x;
    }, range(6), { chunkSize: 2, onMessage: (value, about) => seen.push([value, about]) });
    await result;
    assert.equal(seen.length, 12);
    const events = assertWellFormed(pool.trace());
    const messages = of(events, 'message');
    assert.deepEqual(messages.map(({ ph, name, args: { runId, attempt } }) => [ph, name, runId, attempt]),
      range(12).map(() => ['i', 'message', result.id, 1]));
    assert.deepEqual(messages.map(({ args }) => args.call), seen.map(([, { index }]) => index));
    const chunks = of(events, 'chunk');
    for (const { tid, ts, args } of messages) {
      assert.equal(tid, laneOf(events, args.workerIndex));
      assert.ok(args.bytes > 0);
      // It may have been recalled from another one, which has not run it.
      const its = chunks.filter(({ args: { first, calls } }) => first <= args.call && args.call < first + calls);
      assert.ok(its.some((chunk) => chunk.tid === tid && chunk.args.sent <= ts), 'none comes before its call is sent');
    }
    assert.equal(chunks.reduce((sum, { args }) => sum + (args.messages ?? 0), 0), 12);
  });

  test('messages of apply and of run name the run that their results name', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    const speaks = function speaks() {
      this.emit(1);
      throw new TypeError('no');
    };
    const results = range(3).map(() => pool.applyAsync(speaks, [], { onMessage: () => {} }));
    await Promise.allSettled(results);
    const ids = of(assertWellFormed(pool.trace()), 'message').map(({ args }) => args.runId);
    assert.deepEqual(ids, results.map(({ id }) => id));
    const parallelizer = make(t, { type: mode.type, parallelization: 1, trace: true });
    const { errors: [error] } = await parallelizer.run([{ do: 'throws' }], null, { onMessage: () => {} });
    const events = assertWellFormed(parallelizer.trace());
    assert.deepEqual(of(events, 'message'), [], 'it says nothing');
    assert.equal(of(events, 'chunk')[0].args.runId, error.runId);
  });

  test('to whom nobody listens, nothing is noted', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    await pool.apply(function speaks() { return this.emit(1); });
    assert.deepEqual(of(assertWellFormed(pool.trace()), 'message'), []);
  });

  test('of many messages the latest are kept', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    let count = 0;
    const speaks = async function speaks() {
      for (let i = 0; i < 5000; i++) await this.emit(i);
    };
    await pool.apply(speaks, [], { onMessage: () => count++ });
    await pool.apply(function last() { this.emit(1); }, [], { onMessage: () => count++ });
    assert.equal(count, 5001);
    const events = assertWellFormed(pool.trace());
    assert.equal(of(events, 'message').length, 4096);
    const runs = of(events, 'message').map(({ args }) => args.runId);
    assert.deepEqual([runs.indexOf(runs.at(-1)), new Set(runs).size], [4095, 2]);
  });

  test('what a stream yields lies within its call, a slice per burst, and the run says how much it was', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    const rows = async function* rows(count) {
      for (let i = 0; i < count; i++) {
        if (i === 20) await new Promise((resolve) => setTimeout(resolve, 60));
        yield i;
      }
    };
    assert.deepEqual(await list(pool.stream(rows, [40])), range(40));
    const events = assertWellFormed(pool.trace());
    const [chunk, ...others] = of(events, 'chunk');
    assert.deepEqual(others, []);
    assert.deepEqual([chunk.name, chunk.args.method, chunk.args.yields], ['rows', 'stream', 40]);
    const slices = of(events, 'yield');
    assert.ok(slices.length >= 2 && slices.length <= 40, 'apart, where time passes in between');
    let next = 0;
    for (const { ph, tid, ts, dur, args } of slices) {
      assert.deepEqual([ph, tid, args.first, args.runId], ['X', chunk.tid, next, chunk.args.runId]);
      assert.ok(chunk.ts <= ts && ts + dur <= chunk.ts + chunk.dur + 0.5, 'within its call');
      next += args.values;
    }
    assert.equal(next, 40);
    const late = slices.find(({ args: { first, values } }) => first <= 20 && 20 < first + values);
    assert.equal(late.args.first, 20, 'a pause of its own is not hidden');
  });

  test('a stream that is far ahead of its reader pauses, and so long as it is read shows so', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    const endless = function* endless() {
      for (let i = 0; ; i++) yield i;
    };
    const stream = pool.stream(endless, [], { highWaterMark: 4 });
    assert.deepEqual(await stream.next(), { value: 0, done: false });
    const paused = () => of(assertWellFormed(pool.trace()), 'pause');
    await waitFor(() => paused().length === 1, 'its pause');
    assert.equal(paused()[0].ph, 'b');
    for (let i = 1; i < 12; i++) await stream.next();
    await stream.return();
    const events = assertWellFormed(pool.trace());
    const [begin, end] = of(events, 'pause');
    assert.deepEqual([begin.ph, end.ph, begin.tid], ['b', 'e', 0]);
    const [chunk] = of(events, 'chunk');
    assert.deepEqual([begin.id, begin.args.runId], [chunk.args.chunk, chunk.args.runId]);
    assert.ok(chunk.args.paused > 0 && chunk.args.yields >= 12, JSON.stringify(chunk.args));
    assert.equal(of(events, 'pause').filter(({ ph }) => ph === 'b').length, of(events, 'pause').length / 2);
  });

  test('a broadcast is a slice for each worker', async (t) => {
    const pool = makePool(t, mode, { trace: true });
    const busy = pool.mapAsync((x) => x, range(2000));
    const found = await pool.broadcast(function configure() { return this.workerIndex; });
    await busy;
    const events = assertWellFormed(pool.trace());
    const slices = of(events, 'chunk').filter(({ args }) => args.method === 'broadcast');
    assert.deepEqual(slices.map(({ args }) => args.workerIndex).sort(), found);
    for (const { name, tid, args } of slices) {
      assert.deepEqual([name, args.calls, args.outcome], ['configure', 1, 'answered']);
      assert.equal(args.first, args.workerIndex);
      assert.equal(tid, laneOf(events, args.workerIndex));
    }
    assert.equal(new Set(slices.map(({ args }) => args.runId)).size, 1);
    const [begin, end] = of(events, 'run').filter(({ name }) => name === 'broadcast configure');
    assert.deepEqual([begin.ph, end.ph, begin.args.calls], ['b', 'e', found.length]);
  });
});

forEachMode((mode) => {
  test('messages of a retried call say which attempt they are of, each on the lane of its worker', async (t) => {
    const pool = makePool(t, mode, { trace: true, processes: 1 });
    const seen = [];
    await assert.rejects(pool.apply(async function dies() {
      await this.emit('before');
      process.exit(3);
    }, [], { retries: 1, onMessage: (value, { attempt }) => seen.push(attempt) }), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
    assert.deepEqual(seen, [1, 2]);
    const events = assertWellFormed(pool.trace());
    const messages = of(events, 'message');
    assert.deepEqual(messages.map(({ args }) => [args.call, args.attempt]), [[0, 1], [0, 2]]);
    assert.deepEqual(of(events, 'chunk').map(({ args }) => args.messages), [1, 1]);
  });
}, { needs: ['hasWorkers'] });

test('of too many spans those become one that are nearest to each other', () => {
  const spans = new Spans();
  // 32 pairs, 5 ms within and 100 ms between them; then far more.
  for (let i = 0; i < 64; i++) spans.add((i >> 1) * 100 + (i & 1) * 5, (i >> 1) * 100 + (i & 1) * 5);
  assert.equal(spans.list.length, 64);
  for (let i = 32; i < 64; i++) spans.add(i * 100, i * 100 + 1);
  assert.deepEqual(spans.list.map(({ from, count }) => [from, count]), range(64).map((i) => [i * 100, i < 32 ? 2 : 1]));
  spans.add(6400.5, 6401);
  spans.add(6401.2, 6402);
  assert.equal(spans.list.length, 64);
  assert.deepEqual(spans.list.at(-1), { from: 6400.5, to: 6402, count: 2 }, 'at once is together');
  assert.equal(spans.count, 98);
});
