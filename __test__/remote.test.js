'use strict';
// Calls on other machines, over an engine in memory: what a user is promised, whatever becomes of hosts.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { Parallelizer, PARALLELIZER_REMOTE, Pool, serve, task } = require('@parallelizer/node');
const { FORMAT } = require('../lib/remote/chunk-bytes');
const { MemoryHub } = require('./support/remote/memory-engine');
const { echo, fixture, lines, root, sleep, temporary, waitFor, within } = require('./support/helpers');
const { range } = require('./support/pool');
const { hostOn } = require('./support/remote/memory-hosts');
const { poolOn } = require('./support/remote/pools');

const rejection = (promise, what = 'a rejection') =>
  within(promise.then(() => assert.fail('it succeeded'), (error) => error), what);

/** Writes a line when it begins, and one when it has ended. */
async function slowly({ file, id, ms }) {
  const { appendFileSync } = require('node:fs');
  appendFileSync(file, `begin ${id}\n`);
  await new Promise((resolve) => setTimeout(resolve, ms));
  appendFileSync(file, `end ${id}\n`);
  return id;
}

/** Writes a line when it begins, is busy for a moment, and ends once its gate is there. */
async function gated({ file, id, gate }) {
  const { appendFileSync, existsSync } = require('node:fs');
  for (const end = performance.now() + 3; performance.now() < end; );
  appendFileSync(file, `${id}\n`);
  while (gate && !existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5));
  return id;
}

describe('calls and their results', () => {
  test('every method of a Pool', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    await within(pool.ready(), 'ready');
    assert.deepEqual(await pool.map((x) => x * x, range(1000)), range(1000).map((x) => x * x));
    assert.deepEqual(await pool.starmap((a, b) => a - b, [[3, 1], [10, 4]]), [2, 6]);
    assert.equal(await pool.apply((a, b) => a + b, ['x', 'y']), 'xy');
    const streamed = [];
    for await (const value of pool.imap((x) => -x, range(300))) streamed.push(value);
    assert.deepEqual(streamed, range(300).map((x) => -x));
    assert.deepEqual(await pool.map(task(fixture('remote.js'), 'square'), [1, 2, 3]), [1, 4, 9]);
    const stats = pool.stats();
    assert.equal(stats.remote.engine, 'memory');
    assert.deepEqual([stats.remote.slots, stats.remote.lanes, stats.remote.hosts.length], [2, 4, 1]);
    assert.ok(stats.remote.chunks.sent > 0 && stats.bytesSent > 0 && stats.bytesReceived > 0);
    assert.ok(stats.workers.every(({ pid }) => pid === null));
  });

  test('a Parallelizer cuts a batch for as many processes as its hosts have', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 2 });
    await hostOn(t, hub, { processes: 1 });
    const parallelizer = new Parallelizer({
      type: PARALLELIZER_REMOTE, engine: hub.engine(), root, filePath: fixture('act.js'), processBatchFunctionName: 'act',
    });
    t.after(() => parallelizer.terminate());
    await waitFor(() => parallelizer.stats().remote.slots === 3, 'both hosts to be seen');
    const { responses, failures } = await within(parallelizer.run(range(6).map(echo)), 'the run');
    assert.deepEqual(failures, []);
    assert.equal(responses.length, 3);
  });

  test('a batch that waits for hosts is accepted before close, ended by terminate, and given up at an abort', async (t) => {
    const hub = new MemoryHub();
    const make = () => {
      const parallelizer = new Parallelizer({
        type: PARALLELIZER_REMOTE, engine: hub.engine(), root, filePath: fixture('act.js'), processBatchFunctionName: 'act',
      });
      t.after(() => parallelizer.terminate());
      return parallelizer;
    };
    const [closing, ending, open] = [make(), make(), make()];
    const accepted = closing.run([echo(1)]);
    const closed = closing.close();
    const refused = rejection(closing.run([echo(2)]));
    const ended = ending.run([echo(3)]);
    const terminated = ending.terminate();
    const controller = new AbortController();
    const aborted = open.run([echo(4)], {}, { signal: controller.signal });
    controller.abort();
    assert.match((await within(aborted, 'the abort')).failures.join(), /^AbortError/);
    assert.equal((await refused).code, 'ERR_PARALLELIZER_CLOSED');
    assert.match((await within(ended, 'the end')).failures.join(), /^ParallelizerError: .* closed/);
    await within(terminated, 'terminate');
    await hostOn(t, hub);
    assert.deepEqual((await within(accepted, 'the run')).failures, []);
    await within(closed, 'close');
  });

  test('runs that are aborted before any host is there settle at once, and nothing of them runs later', async (t) => {
    const hub = new MemoryHub();
    const parallelizer = new Parallelizer({
      type: PARALLELIZER_REMOTE, engine: hub.engine(), root, filePath: fixture('act.js'), processBatchFunctionName: 'act',
    });
    t.after(() => parallelizer.terminate());
    const pool = poolOn(t, hub);
    const file = `${temporary(t)}/touched`;
    const batch = range(3).map(() => ({ do: 'touch', file }));
    const touch = (path) => require('node:fs').appendFileSync(path, 'item\n');
    const controller = new AbortController();
    const { signal } = controller;
    const runs = [
      parallelizer.run(batch, {}, { signal: AbortSignal.abort('before') }),
      parallelizer.run(batch, {}, { signal, groupBy: () => 'key' }),
      parallelizer.run(batch, {}, { signal }),
    ];
    const calls = [
      pool.apply(touch, [file], { signal: AbortSignal.abort('before') }),
      pool.apply(touch, [file], { signal }),
      pool.map(touch, [file, file], { signal }),
    ].map((call) => rejection(call));
    controller.abort('meanwhile');
    const results = await within(Promise.all(runs), 'the runs');
    // Nobody has said for how many processes the batch is to be cut: it is one sub-batch.
    const outcomes = results.map(({ responses, errors }) => [responses, errors.map(({ name, cause }) => [name, cause])]);
    assert.deepEqual(outcomes, ['before', 'meanwhile', 'meanwhile'].map((cause) => [[], [['AbortError', cause]]]));
    const errors = await Promise.all(calls);
    assert.deepEqual(errors.map(({ name }) => name), range(3).map(() => 'AbortError'));
    assert.deepEqual(errors.map(({ code }) => code), range(3).map(() => 'ERR_PARALLELIZER_ABORTED'));
    await hostOn(t, hub, { processes: 1 });
    // What was before these has run by then, if it does.
    assert.deepEqual((await within(parallelizer.run([echo(1)]), 'the next run')).responses, [1]);
    assert.equal(await within(pool.apply((x) => x, [5]), 'the next call'), 5);
    assert.deepEqual(lines(file), []);
  });

  test('a batch that waits for hosts is copied, and checked, at the call', async (t) => {
    const hub = new MemoryHub();
    const parallelizer = new Parallelizer({
      type: PARALLELIZER_REMOTE, engine: hub.engine(), root, filePath: fixture('act.js'), processBatchFunctionName: 'act',
    });
    t.after(() => parallelizer.terminate());
    const batch = [echo('first')];
    const run = parallelizer.run(batch);
    batch[0] = echo('changed');
    batch.push(echo('added'));
    assert.equal((await rejection(parallelizer.run('no batch'))).code, 'ERR_PARALLELIZER_OPTION');
    await hostOn(t, hub);
    assert.deepEqual((await within(run, 'the run')).responses, ['first']);
  });

  test('a batch that has waited for a host in vain does not wait again', async (t) => {
    const make = (options) => {
      const parallelizer = new Parallelizer({
        type: PARALLELIZER_REMOTE, engine: new MemoryHub().engine(), root, filePath: fixture('act.js'),
        processBatchFunctionName: 'act', hostTimeout: 600, ...options,
      });
      t.after(() => parallelizer.terminate());
      return parallelizer;
    };
    const first = make();
    const order = [];
    const progress = [];
    const waited = first.run([echo(1), echo(2)], {}, { onProgress: (value) => progress.push(value) });
    const settled = waited.then(() => order.push('first'));
    await rejection(first.ready());
    const later = make({ hostTimeout: 300, batchSize: 1 }).run([echo(3)]).then(() => order.push('later'));
    await within(Promise.all([settled, later]), 'both runs');
    assert.deepEqual(order, ['first', 'later']);
    const { responses, errors } = await waited;
    assert.deepEqual([responses, errors.map(({ code, records }) => [code, records])], [[], [
      ['ERR_PARALLELIZER_NO_HOST', [0, 1]],
    ]]);
    assert.deepEqual(progress, [{ done: 1, total: 1, failed: 1 }]);
  });

  test('values arrive as they are', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const cycle = { name: 'cycle' };
    cycle.self = cycle;
    const values = [
      undefined, null, -0, Number.NaN, 12n, 'é€😀', new Date(5), /x/gi, new Map([[1, new Set([2])]]), cycle,
      Buffer.from('bytes'), new Uint8Array(300_000).fill(7), 'long '.repeat(50_000), [{ a: 1 }, { a: 2 }],
    ];
    assert.deepEqual(await pool.map((x) => x, values), values);
    const records = range(20_000).map((id) => ({ id, name: `n${id}`, ok: id % 2 === 0 }));
    assert.deepEqual(await pool.apply((list) => list.filter(({ ok }) => ok).length, [records]), 10_000);
  });

  test('what calls emit arrives in order, before their results', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const received = [];
    const talk = async function (id) {
      for (let i = 0; i < 3; i++) await this.emit({ id, i });
      return id;
    };
    let result = null;
    const onMessage = (value, info) => received.push({ value, info, result });
    result = await within(pool.apply(talk, [7], { onMessage }), 'the result');
    assert.deepEqual(received.map(({ value }) => value), range(3).map((i) => ({ id: 7, i })));
    assert.ok(received.every((message) => message.result === null), 'none of them came after the result');
    assert.ok(received.every(({ info }) => info.attempt === 1 && info.workerIndex < 2));
    received.length = 0;
    assert.deepEqual(await within(pool.map(talk, range(20), { onMessage }), 'all items'), range(20));
    assert.deepEqual(received.map(({ value }) => value.id).sort((a, b) => a - b), range(60).map((i) => Math.floor(i / 3)));
    assert.deepEqual(await within(pool.map(talk, [1, 2]), 'all items'), [1, 2], 'nobody listens');
  });

  test('what an engine cannot carry is refused by name', async (t) => {
    const engine = new MemoryHub().engine({ canTell: false, canAddress: undefined });
    const pool = poolOn(t, null, { engine });
    const refusal = (method) => ({ code: 'ERR_PARALLELIZER_OPTION', message: new RegExp(`${method}\\(\\).*engine memory`) });
    await assert.rejects(pool.broadcast(() => 1), refusal('broadcast'));
    assert.throws(() => pool.stream(function* () { yield 1; }), refusal('stream'));
  });

  test("errors of the user's arrive as they were thrown", async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const error = await rejection(pool.apply(() => {
      throw Object.assign(new RangeError('too far', { cause: new Error('why') }), { code: 'E_FAR' });
    }));
    assert.ok(error instanceof RangeError);
    assert.deepEqual([error.message, error.code, error.cause.message], ['too far', 'E_FAR', 'why']);
    assert.equal(Object.hasOwn(error, 'host'), false);
    assert.equal(await pool.apply(() => { throw 'a text'; }).catch((thrown) => thrown), 'a text');
  });

  test('an initializer runs once in each process, and pools with different ones do not meet', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { processes: 1 });
    const pools = ['a', 'b'].map((name) =>
      poolOn(t, hub, { initializer: (value) => { globalThis.name = value; }, initArgs: [name] }));
    for (const [i, pool] of pools.entries()) {
      assert.deepEqual(await pool.map(() => globalThis.name, [1, 2, 3]), Array(3).fill('ab'[i]));
    }
  });

  test('more pools than a host keeps: those that were used longest ago go', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 1, maxPools: 2 });
    for (const name of range(4)) {
      const pool = poolOn(t, hub, { initializer: () => {}, initArgs: [name] });
      assert.equal(await pool.apply((x) => x, [name]), name);
    }
    await waitFor(() => host.stats().pools.length <= 2, 'the others to be closed');
  });
});

describe('calls that wait on a host', () => {
  test('go to another one if they are stuck there, and run once', async (t) => {
    const hub = new MemoryHub();
    const dir = temporary(t);
    const [file, gate] = [`${dir}/ledger`, `${dir}/gate`];
    await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub);
    // What they cost is known, so that they travel together.
    await within(pool.map(gated, range(60).map((id) => ({ file: `${dir}/known`, id }))), 'the first items');
    const items = range(20).map((id) => ({ file, id, gate: id === 0 ? gate : null }));
    const results = pool.map(gated, items);
    await waitFor(() => lines(file).includes('0'), 'the first one to begin');
    await hostOn(t, hub, { processes: 1 });
    // What had begun with the first one stays there: some 10 ms of work.
    await waitFor(() => lines(file).length >= 13, 'those behind it to run on the other host');
    fs.writeFileSync(gate, '');
    assert.deepEqual(await within(results, 'all items'), range(20));
    assert.deepEqual(lines(file).map(Number).sort((a, b) => a - b), range(20));
  });

  test('are overtaken by those of a higher priority, and run once', async (t) => {
    const hub = new MemoryHub();
    const dir = temporary(t);
    const [file, gate] = [`${dir}/ledger`, `${dir}/gate`];
    await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub);
    await within(pool.map(gated, range(60).map((id) => ({ file: `${dir}/known`, id }))), 'the first items');
    const items = range(40).map((id) => ({ file, id, gate: id === 0 ? gate : null }));
    const results = pool.map(gated, items);
    await waitFor(() => lines(file).includes('0'), 'the first one to begin');
    const urgent = pool.map(gated, range(5).map((i) => ({ file, id: 100 + i })), { priority: 5 });
    fs.writeFileSync(gate, '');
    assert.deepEqual(await within(urgent, 'the urgent items'), range(5).map((i) => 100 + i));
    assert.deepEqual(await within(results, 'all items'), range(40));
    const all = [...range(40), ...range(5).map((i) => 100 + i)];
    assert.deepEqual(lines(file).map(Number).sort((a, b) => a - b), all);
  });

  test('hear of an abort that came while no host had them', async (t) => {
    const hub = new MemoryHub();
    const gate = `${temporary(t)}/gate`;
    const host = await hostOn(t, hub, { processes: 1 });
    const [first, second] = [poolOn(t, hub), poolOn(t, hub, { gracePeriod: 50 })];
    await within(second.ready(), 'ready');
    const held = first.map(gated, range(2).map((id) => ({ file: `${gate}.begun`, id, gate })), { chunkSize: 1 });
    await waitFor(() => host.stats().chunks.running === 2, 'the host to have all that it takes');
    const controller = new AbortController();
    const aborted = rejection(second.apply(() => {
      for (;;);
    }, [], { signal: controller.signal }));
    await waitFor(() => second.stats().running === 1, 'the call to be sent');
    controller.abort();
    assert.equal((await aborted).code, 'ERR_PARALLELIZER_ABORTED');
    fs.writeFileSync(gate, '');
    assert.deepEqual(await within(held, 'what was held'), [0, 1]);
    assert.equal(await within(second.apply((x) => x, [5]), 'the next call'), 5);
  });
});

describe('deaths', () => {
  test('5,000 items in order over two hosts, one of which is killed in the middle', async (t) => {
    const hub = new MemoryHub();
    const [victim] = [await hostOn(t, hub, { name: 'victim' }), await hostOn(t, hub, { name: 'survivor' })];
    const pool = poolOn(t, hub, { retries: 1 });
    let done = 0;
    const results = pool.map((x) => {
      for (let i = 0; i < 20_000; i++) Math.sqrt(i);
      return x * 2;
    }, range(5000), { onProgress: (progress) => (done = progress.done) });
    await waitFor(() => done > 500, 'some of them to be done');
    await victim.kill();
    assert.deepEqual(await within(results, 'all items'), range(5000).map((x) => x * 2));
  });

  test('without retries only what had begun there fails, with the host', async (t) => {
    const hub = new MemoryHub();
    const file = path.join(temporary(t), 'ledger');
    const victim = await hostOn(t, hub, { name: 'victim' });
    const pool = poolOn(t, hub);
    const results = pool.map(slowly, range(60).map((id) => ({ file, id, ms: 40 })), { onError: 'collect' });
    await waitFor(() => lines(file).filter((line) => line.startsWith('end')).length >= 10, 'some to be done');
    const other = hostOn(t, hub, { name: 'survivor' });
    await victim.kill();
    const settled = await within(results, 'all items');
    const failed = settled.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
    assert.ok(failed.length > 0 && failed.length <= 8, `${failed.length} failed: a window of each process`);
    for (const error of failed) {
      assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.deepEqual([error.host, error.pid, error.signal], ['victim', undefined, undefined]);
    }
    const begun = lines(file).filter((line) => line.startsWith('begin'));
    assert.equal(new Set(begun).size, begun.length, 'nothing began twice');
    await other;
  });

  test('a process that dies is that of one call, with its host and the end of its stderr', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { name: 'alpha', stdio: 'ignore' });
    const pool = poolOn(t, hub);
    const settled = await within(pool.map((x) => {
      if (x === 3) {
        console.error('the last words');
        process.kill(process.pid, 'SIGKILL');
      }
      return x;
    }, range(8), { onError: 'collect' }), 'all items');
    assert.deepEqual(settled.map(({ status }) => status === 'fulfilled'), range(8).map((x) => x !== 3));
    const { reason } = settled[3];
    assert.deepEqual([reason.code, reason.host, reason.signal], ['ERR_PARALLELIZER_WORKER_EXITED', 'alpha', 'SIGKILL']);
    assert.ok(reason.pid > 0);
    assert.deepEqual(reason.records, [3]);
  });

  test('a process that dies is tried again as often as retries say, and no more', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const file = path.join(temporary(t), 'tries');
    const die = (path) => {
      require('node:fs').appendFileSync(path, 'x\n');
      process.exit(1);
    };
    const pool = poolOn(t, hub, { retries: 2 });
    const error = await rejection(pool.apply(die, [file]));
    assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.equal(lines(file).length, 3);
  });

  test('an engine that loses its data settles everything', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub, { retries: 3 });
    let done = 0;
    const results = pool.map(async (x) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return x;
    }, range(400), { onProgress: (progress) => (done = progress.done) });
    await waitFor(() => done > 20, 'some of them to be done');
    hub.loseData();
    assert.deepEqual(await within(results, 'all items'), range(400));
    assert.ok(pool.stats().remote.chunks.lost > 0);
  });

  test('a host that was cut off ends what it has, and goes on', async (t) => {
    const hub = new MemoryHub();
    const file = path.join(temporary(t), 'ledger');
    const host = await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const result = rejection(pool.apply(slowly, [{ file, id: 1, ms: 60_000 }]));
    await waitFor(() => lines(file).length === 1, 'it to begin');
    host.cutOff();
    assert.equal((await result).code, 'ERR_PARALLELIZER_WORKER_EXITED');
    await waitFor(() => host.stats().pools.length === 0, 'its processes to be ended');
  });
});

describe('hosts come and go', () => {
  test('calls wait for a host', async (t) => {
    const hub = new MemoryHub();
    const pool = poolOn(t, hub);
    const results = pool.map((x) => x + 1, range(10));
    await hostOn(t, hub);
    assert.deepEqual(await within(results, 'all items'), range(10).map((x) => x + 1));
  });

  test('without one, ready() and what waits fail after hostTimeout, and later calls may succeed', async (t) => {
    const hub = new MemoryHub();
    const pool = poolOn(t, hub, { hostTimeout: 300 });
    const errors = await Promise.all([rejection(pool.ready()), rejection(pool.map((x) => x, [1, 2]))]);
    for (const error of errors) {
      assert.equal(error.code, 'ERR_PARALLELIZER_NO_HOST');
      assert.match(error.message, /no host of memory was there for 300 ms \(none has ever been seen\)/);
    }
    await hostOn(t, hub);
    assert.deepEqual(await within(pool.map((x) => x, [1, 2]), 'all items'), [1, 2]);
  });

  test('all hosts leave in the middle: what has not begun waits, then says how many there were', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub);
    const pool = poolOn(t, hub, { hostTimeout: 300 });
    assert.equal(await pool.apply((x) => x, [1]), 1);
    await host.close();
    await waitFor(() => pool.stats().remote.slots === 0, 'the host to be gone');
    const error = await rejection(pool.apply((x) => x, [1]));
    assert.equal(error.code, 'ERR_PARALLELIZER_NO_HOST');
    assert.match(error.message, /1 was seen/);
  });

  test('a host that drains holds up nobody: the others have as many chunks as before', async (t) => {
    const hub = new MemoryHub();
    const leaving = await hostOn(t, hub, { name: 'leaving', processes: 2 });
    const pool = poolOn(t, hub);
    const file = `${temporary(t)}/file`;
    const gate = `${file}.gate`;
    const held = pool.map(gated, range(4).map((id) => ({ file, id, gate })), { chunkSize: 1 });
    await waitFor(() => lines(file).length === 2 && leaving.stats().chunks.running === 4, 'it to have what it takes');
    const staying = await hostOn(t, hub, { name: 'staying', processes: 1 });
    await waitFor(() => pool.stats().remote.slots === 3, 'the other one to be seen');
    assert.equal(await within(pool.apply((x) => x, [5]), 'a call of the other one'), 5);
    const closed = leaving.close();
    await waitFor(() => pool.stats().remote.slots === 1, 'it to be seen to drain');
    const other = `${file}.other`;
    const later = pool.map(gated, range(3).map((id) => ({ file: other, id, gate })), { chunkSize: 1 });
    await waitFor(() => staying.stats().chunks.running === 2, 'two chunks at the other one, for its process');
    assert.equal(pool.stats().waiting, 1);
    fs.writeFileSync(gate, '');
    assert.deepEqual(await within(Promise.all([held, later]), 'all calls'), [range(4), range(3)]);
    await within(closed, 'the end of the one that drains');
    await waitFor(() => pool.stats().workers.length === 2, 'as many lanes as the other one has');
    assert.deepEqual(await within(pool.map((x) => -x, range(50)), 'calls after it'), range(50).map((x) => -x));
  });

  test('a host drains for longer than hostTimeout: what it has is finished, what waits is told', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub, { processes: 1 });
    const pool = poolOn(t, hub, { hostTimeout: 200 });
    const file = `${temporary(t)}/file`;
    const held = pool.apply(gated, [{ file, id: 'held', gate: `${file}.gate` }]);
    await waitFor(() => lines(file).length === 1, 'it to begin');
    const closed = host.close();
    await waitFor(() => pool.stats().remote.slots === 0, 'the host to be seen to drain');
    const waiting = pool.map((x) => x, range(3), { chunkSize: 1, onError: 'collect' });
    await sleep(600);
    fs.writeFileSync(`${file}.gate`, '');
    assert.equal(await within(held, 'what it had'), 'held');
    const told = await within(waiting, 'what waits');
    assert.deepEqual(told.map(({ reason }) => reason?.code), range(3).map(() => 'ERR_PARALLELIZER_NO_HOST'));
    await within(closed, 'the end');
  });

  test('a host drains: what it has is finished, what waits goes to others', async (t) => {
    const hub = new MemoryHub();
    const first = await hostOn(t, hub);
    const pool = poolOn(t, hub);
    let done = 0;
    const results = pool.map(async (x) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      return x;
    }, range(200), { onProgress: (progress) => (done = progress.done) });
    await waitFor(() => done > 10, 'some of them to be done');
    await hostOn(t, hub);
    await within(Promise.all([first.close(), first.close()]), 'the host to drain');
    assert.equal(first.stats().chunks.lost, 0);
    assert.deepEqual(await within(results, 'all items'), range(200));
  });

  test('hosts of another version are left alone, and named where there are no others', async (t) => {
    const hub = new MemoryHub();
    const other = hub.engine().listen({
      host: { id: 'other', name: 'other', slots: 4, format: FORMAT.major + 1 },
      deliver: () => assert.fail('it was given a chunk'),
      leaseLost() {}, cancelled() {}, dropped() {}, failed() {},
    });
    await other.ready();
    other.pause();
    const pool = poolOn(t, hub, { hostTimeout: 200 });
    const error = await rejection(pool.apply((x) => x, [1]));
    assert.equal(error.code, 'ERR_PARALLELIZER_PROTOCOL');
    assert.match(error.message, new RegExp(`version ${FORMAT.major}\\.0 .* version ${FORMAT.major + 1}\\.0`));
    other.terminate();
  });
});

describe('reading ahead', () => {
  test('imap reads as far as all hosts need, whatever this machine has', async (t) => {
    const hub = new MemoryHub();
    const slots = 300;
    // It takes everything, and answers nothing.
    const host = hub.engine().listen({
      host: { id: 'large', name: 'large', slots, format: FORMAT.major },
      deliver() {}, leaseLost() {}, cancelled() {}, dropped() {}, failed() {},
    });
    t.after(() => host.terminate());
    const pool = poolOn(t, hub);
    await within(pool.ready(), 'ready');
    let read = 0;
    const source = (function* count() {
      for (;;) yield (read += 1);
    })();
    const first = rejection(pool.imap((x) => x, source).next());
    await waitFor(() => read >= 2 * slots, 'the source to be read');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(read, 2 * slots, 'what a call costs is not known: two for each that can run');
    await pool.terminate();
    assert.equal((await first).code, 'ERR_PARALLELIZER_CLOSED');
  });
});

describe('limits and order', () => {
  test('a timeout out of an endless loop, and its neighbours', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    const pool = poolOn(t, hub);
    const settled = await within(pool.map((x) => {
      if (x === 1) for (;;);
      return x;
    }, range(4), { timeout: 300, onError: 'collect' }), 'all items');
    assert.deepEqual(settled.map(({ status }) => status === 'fulfilled'), [true, false, true, true]);
    assert.equal(settled[1].reason.code, 'ERR_PARALLELIZER_TIMEOUT');
    assert.match(settled[1].reason.message, /within 300 ms/);
  });

  test('an abort reaches the task, and ends one that does not listen', async (t) => {
    const hub = new MemoryHub();
    const host = await hostOn(t, hub);
    const pool = poolOn(t, hub, { gracePeriod: 100 });
    const file = path.join(temporary(t), 'ledger');
    const listening = function (path) {
      require('node:fs').appendFileSync(path, 'begin\n');
      return new Promise((_, reject) => {
        this.signal.addEventListener('abort', () => {
          require('node:fs').appendFileSync(path, 'heard\n');
          reject(new Error('heard'));
        });
      });
    };
    const controller = new AbortController();
    const heard = rejection(pool.apply(listening, [file], { signal: controller.signal }));
    await waitFor(() => lines(file).length === 1, 'it to begin');
    controller.abort();
    assert.equal((await heard).code, 'ERR_PARALLELIZER_ABORTED');
    await waitFor(() => lines(file).includes('heard'), 'the task to hear of it');

    const second = new AbortController();
    const deaf = (path) => {
      require('node:fs').appendFileSync(path, 'deaf\n');
      for (;;);
    };
    const stopped = rejection(pool.apply(deaf, [file], { signal: second.signal }));
    await waitFor(() => lines(file).includes('deaf'), 'it to begin');
    second.abort();
    assert.equal((await stopped).code, 'ERR_PARALLELIZER_ABORTED');
    await waitFor(() => host.stats().chunks.running === 0, 'its process to be ended');
    assert.equal(await within(pool.apply((x) => x, [5]), 'the next call'), 5);
  });

  test('records of a key in order, one after another, over two hosts', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub);
    await hostOn(t, hub);
    const parallelizer = new Parallelizer({
      type: PARALLELIZER_REMOTE, engine: hub.engine(), root, filePath: fixture('remote.js'),
      processBatchFunctionName: 'inOrder', batchSize: 2,
    });
    t.after(() => parallelizer.terminate());
    const file = path.join(temporary(t), 'ledger');
    const records = range(120).map((id) => ({ id, key: `k${id % 7}` }));
    const run = parallelizer.run(records, { file }, { groupBy: ({ key }) => key });
    assert.deepEqual((await within(run, 'the run')).failures, []);
    for (const key of range(7).map((k) => `k${k}`)) {
      const expected = records.filter((record) => record.key === key)
        .flatMap(({ id }) => [`${key} begin ${id}`, `${key} end ${id}`]);
      assert.deepEqual(lines(file).filter((line) => line.startsWith(`${key} `)), expected);
    }
  });

  test('maxQueue refuses what would wait', async (t) => {
    const hub = new MemoryHub();
    const pool = poolOn(t, hub, { maxQueue: 5 });
    const error = await rejection(pool.map((x) => x, range(50)));
    assert.equal(error.code, 'ERR_PARALLELIZER_QUEUE_FULL');
  });
});

describe('what a host runs', () => {
  const dirs = (t) => {
    const dir = temporary(t);
    fs.mkdirSync(`${dir}/app`);
    fs.writeFileSync(`${dir}/app/work.js`, 'exports.f = (x) => `app ${x}`;');
    fs.writeFileSync(`${dir}/secret.js`, 'exports.f = () => "outside";');
    fs.symlinkSync(`${dir}/secret.js`, `${dir}/app/link.js`);
    return dir;
  };

  test('a path means the same below the root of each', async (t) => {
    const hub = new MemoryHub();
    const [here, there] = [dirs(t), dirs(t)];
    fs.writeFileSync(`${there}/app/work.js`, 'exports.f = (x) => `there ${x}`;');
    await hostOn(t, hub, { root: `${there}/app` });
    const pool = poolOn(t, hub, { root: `${here}/app` });
    assert.equal(await pool.apply({ filePath: `${here}/app/work.js`, name: 'f' }, [1]), 'there 1');
  });

  test('nothing outside of a root, by whichever way', async (t) => {
    const hub = new MemoryHub();
    const dir = dirs(t);
    await hostOn(t, hub, { root: `${dir}/app`, name: 'guard' });
    const pool = poolOn(t, hub, { root: `${dir}/app` });
    assert.throws(() => pool.applyAsync({ filePath: `${dir}/secret.js`, name: 'f' }),
      ({ code, message }) => code === 'ERR_PARALLELIZER_OPTION' && message.includes('"root"'));
    const linked = await rejection(pool.apply({ filePath: `${dir}/app/link.js`, name: 'f' }));
    assert.deepEqual([linked.code, linked.host], ['ERR_PARALLELIZER_OPTION', 'guard']);
    const missing = await rejection(pool.apply({ filePath: `${dir}/app/none.js`, name: 'f' }));
    assert.deepEqual([missing.code, missing.host], ['ERR_PARALLELIZER_MODULE', 'guard']);
    assert.throws(() => new Parallelizer({
      type: PARALLELIZER_REMOTE, engine: hub.engine(), root: `${dir}/app`, filePath: `${dir}/secret.js`,
      processBatchFunctionName: 'f',
    }), { code: 'ERR_PARALLELIZER_OPTION' });
  });

  test('functions by their source only where that is allowed', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { allowFunctions: false, name: 'guard' });
    const pool = poolOn(t, hub);
    const error = await rejection(pool.apply((x) => x, [1]));
    assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_OPTION', 'guard']);
    assert.match(error.message, /allowFunctions/);
    assert.equal(await pool.apply(task(fixture('remote.js'), 'square'), [3]), 9);
    const prepared = await rejection(poolOn(t, hub, { initializer: () => {} })
      .apply(task(fixture('remote.js'), 'square'), [3]));
    assert.match(prepared.message, /allowFunctions/);
  });

  test('with a secret: nothing without it, and nothing with another one', async (t) => {
    const hub = new MemoryHub();
    await hostOn(t, hub, { secret: 'sesame' });
    assert.deepEqual(await poolOn(t, hub, { secret: 'sesame' }).map((x) => x + 1, range(100)), range(100).map((x) => x + 1));
    for (const options of [{}, { secret: 'other' }]) {
      const error = await rejection(poolOn(t, hub, { hostTimeout: 200, ...options }).apply((x) => x, [1]));
      assert.equal(error.code, 'ERR_PARALLELIZER_PROTOCOL');
    }
  });
});

describe('options', () => {
  const hub = new MemoryHub();
  const refused = (make, name) => assert.throws(make, ({ code, message }) => {
    assert.equal(code, 'ERR_PARALLELIZER_OPTION');
    assert.ok(message.includes(`"${name}"`), message);
    return true;
  });

  test('whoever is refused has connected to nothing', async () => {
    const engine = { ...hub.engine(), connect: () => assert.fail('it connected') };
    const initializer = () => {};
    assert.throws(() => new Pool({ type: PARALLELIZER_REMOTE, engine, initializer, initArgs: [new WeakMap()] }),
      { code: 'ERR_PARALLELIZER_SERIALIZATION' });
    assert.throws(() => new Pool({ type: PARALLELIZER_REMOTE, engine, initializer: { filePath: '/x.js', name: 'f' } }),
      { code: 'ERR_PARALLELIZER_OPTION' });
  });

  test("a host's own options are refused by name, and so are those of another type", () => {
    const remote = { type: PARALLELIZER_REMOTE, engine: hub.engine() };
    const local = {
      processes: 2, env: {}, execPath: 'node', execArgv: [], resourceLimits: {}, stdio: 'ignore', spin: false,
      maxWorkerMemory: 5, idleTimeout: 5, shared: true,
    };
    for (const [name, value] of Object.entries(local)) refused(() => new Pool({ ...remote, [name]: value }), name);
    refused(() => new Pool(4, remote), 'processes');
    for (const name of ['parallelization', 'parallelizationPerCPU']) {
      const given = { ...remote, filePath: 'x.js', processBatchFunctionName: 'f', [name]: 2 };
      refused(() => new Parallelizer(given), name);
    }
    const own = { engine: hub.engine(), root: '.', hostTimeout: 5, lease: 500, producerTimeout: 5, secret: 'x' };
    for (const [name, value] of Object.entries(own)) refused(() => new Pool({ [name]: value }), name);
  });

  test('bad values', async () => {
    const bad = {
      engine: [undefined, null, {}, 'redis://'], root: [5, ''], hostTimeout: [0, -1, '5'], lease: [0, 50, 'x'],
      producerTimeout: [0, Number.NaN], secret: ['', 5, new Uint8Array(0)],
    };
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values) {
        const options = { type: PARALLELIZER_REMOTE, engine: hub.engine(), [name]: value };
        assert.throws(() => new Pool(options), ({ code, message }) =>
          code === 'ERR_PARALLELIZER_OPTION' && message.includes(`"${name}`), `${name}: ${String(value)}`);
      }
    }
    for (const options of [{ engine: hub.engine(), type: PARALLELIZER_REMOTE }, {}, { engine: hub.engine(), timeout: 5 }]) {
      await assert.rejects(serve(options), { code: 'ERR_PARALLELIZER_OPTION' });
    }
    const { listen: _, ...starter } = hub.engine();
    await assert.rejects(serve({ engine: starter }), /starts its hosts itself/);
  });
});
