'use strict';
// Every run has a name: a UUID that sorts by the time of the call, the same in errors, results and lines of `debug`.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { ParallelizerError, Pool } = require('@parallelizer/node');
const { echo, make, sleep, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const UUID_7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** When the run of that name was submitted, in milliseconds. */
const timeOf = (name) => parseInt(name.replace('-', '').slice(0, 12), 16);

const never = () => new Promise(() => {});

forEachMode((mode) => {
  const { type } = mode;
  const pool = (t, options) => {
    const made = new Pool({ processes: 1, type, gracePeriod: 0, ...options });
    t.after(() => made.terminate());
    return made;
  };

  test('an AsyncResult is named by a UUID of version 7, of the time of its call', async (t) => {
    const before = Date.now();
    const made = pool(t);
    const results = [
      made.applyAsync((n) => n, [1]),
      made.applyAsync((n, m) => n + m, [1, 2]),
      made.applyAsync((n) => n, [1], { signal: new AbortController().signal }),
      made.mapAsync((n) => n, [1, 2]),
      made.starmapAsync((n) => n, [[1]]),
      made.mapAsync((n) => n, []),
    ];
    const after = Date.now();
    await sleep(20);
    for (const { id } of results) {
      assert.match(id, UUID_7);
      // A name may be of the next milliseconds, if the clock was set back or many runs were submitted in one.
      assert.ok(timeOf(id) >= before && timeOf(id) <= after + 100, `${timeOf(id)}, from ${before} to ${after}`);
    }
    const ids = results.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(results.map(({ id }) => id), ids, 'asked again');
    await Promise.all(results);
    assert.deepEqual(results.map(({ id }) => id), ids, 'asked when settled');
  });

  test('names sort by the order of the calls, in whichever order they are asked for', async (t) => {
    const [one, two] = [pool(t), pool(t)];
    const results = [];
    for (let i = 0; i < 300; i++) {
      // Gathered with the one before it, or not.
      if (i % 7 === 0) results.push(two.mapAsync((n) => n, [i]));
      else if (i % 50 === 1) results.push(one.applyAsync((n) => n, [i], { timeout: 60_000 }));
      else results.push(one.applyAsync((n) => n, [i]));
      if (i % 100 === 99) await results.at(-1);
    }
    const named = results.map((_, i) => i).reverse().map((i) => [i, results[i].id]).reverse();
    const ids = named.map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
    const maps = ids.filter((_, i) => i % 7 === 0);
    assert.deepEqual([...maps].sort(), maps);
    const single = ids.filter((_, i) => i % 7 !== 0);
    assert.deepEqual([...single].sort(), single);
    await Promise.all(results);
  });

  /** Awaits an error with this code and the name of the run. */
  const check = async (result, code) => {
    const error = await within(result.get().then(() => null, (reason) => reason), code);
    assert.equal(error?.code, code);
    assert.equal(error.runId, result.id);
    assert.ok(Object.keys(error).includes('runId'), 'it shows in logs');
  };

  test("an error about a run has the run's name", async (t) => {
    const made = pool(t);
    const aborter = new AbortController();
    await check(made.applyAsync(never, [1], { timeout: 30 }), 'ERR_PARALLELIZER_TIMEOUT');
    await check(made.mapAsync(never, [1], { timeout: 30 }), 'ERR_PARALLELIZER_TIMEOUT');
    const aborted = made.applyAsync(never, [1], { signal: aborter.signal });
    setTimeout(() => aborter.abort(), 20);
    await check(aborted, 'ERR_PARALLELIZER_ABORTED');
    await check(made.mapAsync((value) => value, [1, () => {}]), 'ERR_PARALLELIZER_SERIALIZATION');
    await check(made.applyAsync((value) => value, [() => {}]), 'ERR_PARALLELIZER_SERIALIZATION');
    await check(made.applyAsync(() => () => {}, [1]), 'ERR_PARALLELIZER_SERIALIZATION');
    await check(made.applyAsync({ filePath: '/none.js', name: 'none' }, []), 'ERR_PARALLELIZER_MODULE');
  });

  test("so have a full queue's, a closed pool's, and that of a result which is not there yet", async (t) => {
    const made = pool(t, { maxQueue: 1 });
    const late = made.applyAsync(never, [1]);
    await assert.rejects(late.get(20), { code: 'ERR_PARALLELIZER_TIMEOUT', runId: late.id });
    const waiting = made.applyAsync((n) => n, [1]);
    await check(made.applyAsync((n) => n, [2]), 'ERR_PARALLELIZER_QUEUE_FULL');
    let refused;
    assert.throws(() => made.mapAsync((n) => n, [1, 2]), (error) => {
      refused = error;
      return error.code === 'ERR_PARALLELIZER_QUEUE_FULL';
    });
    assert.match(refused.runId, UUID_7);
    void made.terminate();
    await check(late, 'ERR_PARALLELIZER_CLOSED');
    await check(waiting, 'ERR_PARALLELIZER_CLOSED');
    for (const call of [() => made.apply((n) => n, [1]), () => made.map((n) => n, [1])]) {
      const error = await call().catch((reason) => reason);
      assert.equal(error.code, 'ERR_PARALLELIZER_CLOSED');
      assert.match(error.runId, UUID_7);
    }
  });

  test('what is about no run has none, and what a task throws stays as it was thrown', async (t) => {
    const made = pool(t);
    const [option, thrown, rejected] = await Promise.all([
      made.apply(1).catch((error) => error),
      made.apply(() => { throw new RangeError('mine'); }).catch((error) => error),
      made.join().catch((error) => error),
    ]);
    for (const error of [option, rejected]) {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.equal('runId' in error, false);
    }
    assert.equal('runId' in thrown, false);
    void made.terminate();
    const notReady = await made.ready().catch((error) => error);
    assert.deepEqual([notReady.code, 'runId' in notReady], ['ERR_PARALLELIZER_CLOSED', false]);
  });

  test('a stream is one run, whichever of its items fails', async (t) => {
    const made = pool(t);
    const items = Array.from({ length: 40 }, (_, i) => i);
    const names = new Set();
    for await (const result of made.imap(never, items.slice(0, 3), { timeout: 20, onError: 'collect' })) {
      names.add(result.reason.runId);
    }
    assert.equal(names.size, 1);
    assert.match([...names][0], UUID_7);
    const aborter = new AbortController();
    const stream = made.imapUnordered(never, items, { signal: aborter.signal });
    const next = stream.next();
    aborter.abort();
    const error = await next.catch((reason) => reason);
    assert.equal(error.code, 'ERR_PARALLELIZER_ABORTED');
    assert.match(error.runId, UUID_7);
    assert.ok(!names.has(error.runId));
  });

  test('all errors of one run have its name, and those of another one another', async (t) => {
    const parallelizer = make(t, { type, batchSize: 1, timeout: 200, gracePeriod: 0 });
    const batch = [{ do: 'throws' }, { do: 'sleep', ms: 60_000 }, () => {}, echo(1)];
    const before = Date.now();
    const [first, second] = await Promise.all([parallelizer.run(batch), parallelizer.run(batch)]);
    for (const { errors } of [first, second]) {
      assert.equal(errors.length, 3);
      assert.equal(new Set(errors.map(({ runId }) => runId)).size, 1);
      assert.match(errors[0].runId, UUID_7);
      assert.ok(timeOf(errors[0].runId) >= before);
      for (const error of errors) {
        const isOwn = error instanceof ParallelizerError;
        assert.equal(Object.keys(error).includes('runId'), isOwn, 'errors of the user show what they were thrown with');
      }
    }
    assert.ok(first.errors[0].runId < second.errors[0].runId);
    await parallelizer.close();
    const closed = await parallelizer.run([echo(1)]).catch((error) => error);
    assert.equal(closed.code, 'ERR_PARALLELIZER_CLOSED');
    assert.match(closed.runId, UUID_7);
  });

  test('what is thrown that is no error has one with the name; the value is left alone', async (t) => {
    const parallelizer = make(t, { type, parallelization: 1 });
    const { errors: [error] } = await parallelizer.run([{ do: 'throwString', value: 'a text' }]);
    assert.match(error.runId, UUID_7);
    assert.equal(error.cause, 'a text');
  });

  test('debug: a run is submitted, its chunks are sent, it settles, all under its name', async (t) => {
    const { messages: [{ ids, runId }], stderr } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(require.resolve('@parallelizer/node'))});
      const type = process.env.TEST_MODE_TYPE;
      const pool = new Pool({ processes: 1, type, debug: true });
      const results = [pool.applyAsync((n) => n, [1]), pool.applyAsync((n) => n, [2])];
      await Promise.all(results);
      const mapped = pool.mapAsync((n) => n, [1, 2, 3], { chunkSize: 2 });
      await mapped;
      const parallelizer = make({ debug: true, batchSize: 1, parallelization: 1 });
      const { errors } = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'throws' }]);
      console.log(JSON.stringify({ ids: [...results, mapped].map(({ id }) => id), runId: errors[0].runId }));
      await pool.terminate();
      await parallelizer.terminate();
    `), { mode });
    const events = stderr.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    const of = (name) => events.filter((event) => event.runId === name);
    const [submitted, ...sent] = of(ids[0]);
    const { event, what, calls } = submitted;
    assert.deepEqual([event, what, calls], ['submitted', 'applyAsync()', 2]);
    assert.equal(sent[0].chunk, `${ids[0]}#0`);
    assert.deepEqual(
      of(ids[2]).map(({ event, chunk, calls, failed }) => ({ event, chunk, calls, failed })),
      [
        { event: 'submitted', chunk: undefined, calls: 3, failed: undefined },
        { event: 'sent', chunk: `${ids[2]}#0`, calls: 2, failed: undefined },
        { event: 'sent', chunk: `${ids[2]}#2`, calls: 1, failed: undefined },
        { event: 'settled', chunk: undefined, calls: 3, failed: 0 },
      ],
    );
    const [begin, end] = [of(runId)[0], of(runId).at(-1)];
    assert.deepEqual([begin.event, begin.what, begin.calls], ['submitted', 'run()', 2]);
    assert.deepEqual([end.event, end.calls, end.failed], ['settled', 2, 1]);
  });
});

forEachMode(({ type }) => {
  test('a worker that dies: each of its calls has its own name', async (t) => {
    const pool = new Pool({ processes: 1, type });
    t.after(() => pool.terminate());
    const results = [1, 2, 3].map((n) => pool.applyAsync((m) => (m === 2 ? process.exit(3) : m), [n]));
    const outcomes = await Promise.all(results.map((result) => result.get().catch(({ code, runId }) => [code, runId])));
    assert.deepEqual(outcomes, [1, ['ERR_PARALLELIZER_WORKER_EXITED', results[1].id], 3]);
  });
}, { needs: 'hasWorkers' });

test('a clock that goes back, stands still or is none gives names all the same, in their order', async (t) => {
  // Before the library takes its clock.
  const fake = 'const times = [2e12, 2e12, 1e12, NaN, 0, 2e12]; Date.now = () => times.shift() ?? 2e12;';
  const { messages: [ids] } = await run(t, `
    const { Pool } = require(${JSON.stringify(require.resolve('@parallelizer/node'))});
    const pool = new Pool(0);
    console.log(JSON.stringify(Array.from({ length: 6 }, () => pool.mapAsync((n) => n, [1]).id)));
  `, { execArgv: ['--import', `data:text/javascript,${encodeURIComponent(fake)}`] });
  assert.equal(timeOf(ids[0]), 2e12, 'by the clock of this program');
  for (const id of ids) assert.match(id, UUID_7);
  assert.equal(new Set(ids).size, 6);
  assert.deepEqual([...ids].sort(), ids);
});
