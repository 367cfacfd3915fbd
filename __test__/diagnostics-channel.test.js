'use strict';
// The channels of node:diagnostics_channel: parallelizer:run, parallelizer:call, parallelizer:worker.

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { spawnSync } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const { test } = require('node:test');

const { echo, make, root, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { gateIn, list, makePool, range, task } = require('./support/pool');

const STAGES = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];

/** Subscribes to a tracing channel for the time of a test: what comes, in order, as [stage, message]. */
function subscribe(t, name) {
  const seen = [];
  const subscribers = Object.fromEntries(STAGES.map((stage) => [stage, (message) => seen.push([stage, message])]));
  const channel = diagnostics.tracingChannel(name);
  channel.subscribe(subscribers);
  t.after(() => channel.unsubscribe(subscribers));
  return seen;
}

const stagesOf = (seen, message) => seen.filter(([, each]) => each === message).map(([stage]) => stage);
const messages = (seen) => [...new Set(seen.map(([, message]) => message))];

const VERSION_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

forEachMode((mode) => {
  const run = (t, options) => make(t, { type: mode.type, ...options });

  test('a run is one message from its start to its end', async (t) => {
    const parallelizer = run(t);
    const seen = subscribe(t, 'parallelizer:run');
    const result = await parallelizer.run([echo(1), echo(2), { do: 'throws' }]);
    const [message, ...others] = messages(seen);
    assert.deepEqual(others, []);
    assert.deepEqual(stagesOf(seen, message), ['start', 'end', 'asyncStart', 'asyncEnd']);
    const { method, task: name, calls, failed, type, id } = message;
    const sent = 2;
    assert.deepEqual({ method, name, calls, failed, type, id },
      { method: 'run', name: 'act', calls: sent, failed: 1, type: mode.type, id: 'single-process' });
    assert.match(message.runId, VERSION_7);
    assert.equal(message.runId, result.errors[0].runId);
    assert.equal(message.result, result);
    assert.ok(message.wait >= 0);
  });

  test('broadcasts and streams are runs, whose end is told before the caller knows', async (t) => {
    const pool = makePool(t, mode);
    const seen = subscribe(t, 'parallelizer:run');
    const stages = () => seen.map(([stage, { method }]) => `${method} ${stage}`);
    const whole = (method, ...more) => ['start', 'end', ...more, 'asyncStart', 'asyncEnd'].map((stage) => `${method} ${stage}`);
    const broadcast = await pool.broadcast(() => 1);
    assert.deepEqual(stages(), whole('broadcast'));
    const [[, { calls, result }]] = seen.splice(0);
    assert.deepEqual([calls, result], [broadcast.length, broadcast]);

    const values = [];
    for await (const value of pool.stream(function* two() { yield 1; yield 2; })) values.push(value);
    assert.deepEqual([values, stages()], [[1, 2], whole('stream')]);
    assert.deepEqual([seen[0][1].task, seen[0][1].calls, seen.splice(0)[0][1].failed], ['two', 1, 0]);

    const failing = pool.stream(function* fails() { yield 1; throw new RangeError('no more'); });
    await failing.next();
    await assert.rejects(failing.next(), RangeError);
    assert.deepEqual(stages(), whole('stream', 'error'));
    assert.equal(seen.splice(0)[0][1].error.message, 'no more');

    for await (const value of pool.stream(function* endless() { for (;;) yield 1; })) {
      assert.equal(value, 1);
      break;
    }
    assert.deepEqual(stages(), whole('stream'));
    seen.splice(0);
    assert.throws(() => pool.stream(() => 1, 'no list'), { code: 'ERR_PARALLELIZER_OPTION' });
    assert.deepEqual(stages(), ['stream start', 'stream error', 'stream end']);
  });

  test('every method of a pool is a run', async (t) => {
    const pool = makePool(t, mode);
    const seen = subscribe(t, 'parallelizer:run');
    const double = (x) => x * 2;
    assert.equal(await pool.apply(double, [1]), 2);
    assert.equal(await pool.applyAsync(double, [2]), 4);
    assert.deepEqual(await pool.map(double, [1, 2]), [2, 4]);
    assert.deepEqual(await pool.mapAsync(double, [1, 2]), [2, 4]);
    assert.deepEqual(await pool.starmap((x, y) => x + y, [[1, 2]]), [3]);
    assert.deepEqual(await pool.starmapAsync((x, y) => x + y, [[1, 2]]), [3]);
    assert.deepEqual(await list(pool.imap(double, [1, 2, 3])), [2, 4, 6]);
    assert.deepEqual((await list(pool.imapUnordered(double, [1, 2, 3]))).sort(), [2, 4, 6]);
    const methods = ['apply', 'applyAsync', 'map', 'mapAsync', 'starmap', 'starmapAsync', 'imap', 'imapUnordered'];
    assert.deepEqual(messages(seen).map(({ method }) => method), methods);
    for (const message of messages(seen)) {
      assert.deepEqual(stagesOf(seen, message), ['start', 'end', 'asyncStart', 'asyncEnd'], message.method);
      assert.match(message.runId, VERSION_7);
    }
    assert.deepEqual(messages(seen).map(({ calls }) => calls), [1, 1, 2, 2, 1, 1, 3, 3]);
    assert.equal(messages(seen)[0].task, 'double');
    assert.equal(new Set(messages(seen).map(({ runId }) => runId)).size, methods.length);
  });

  test('the id of a run is there at its start, and is that of its AsyncResult', async (t) => {
    const pool = makePool(t, mode);
    const ids = [];
    const start = ({ runId }) => ids.push(runId);
    diagnostics.subscribe('tracing:parallelizer:run:start', start);
    t.after(() => diagnostics.unsubscribe('tracing:parallelizer:run:start', start));
    const results = [pool.applyAsync((x) => x, [1]), pool.mapAsync((x) => x, [1, 2])];
    await Promise.all(results);
    assert.deepEqual(results.map(({ id }) => id), ids);
  });

  test('asyncEnd is published before the caller’s promise settles', async (t) => {
    const pool = makePool(t, mode);
    const order = [];
    const asyncEnd = ({ method }) => order.push(`asyncEnd ${method}`);
    diagnostics.subscribe('tracing:parallelizer:run:asyncEnd', asyncEnd);
    t.after(() => diagnostics.unsubscribe('tracing:parallelizer:run:asyncEnd', asyncEnd));
    await pool.apply((x) => x, [1]).then(() => order.push('apply'));
    await pool.map((x) => x, [1]).then(() => order.push('map'));
    await pool.apply(() => { throw new Error('no'); }).catch(() => order.push('failed'));
    const stream = pool.imap((x) => x, [1]);
    await stream.next();
    await stream.next().then(() => order.push('imap'));
    const left = pool.imap((x) => x, range(50));
    await left.next();
    await left.return().then(() => order.push('left'));
    assert.deepEqual(order, [
      'asyncEnd apply', 'apply', 'asyncEnd map', 'map', 'asyncEnd apply', 'failed', 'asyncEnd imap', 'imap',
      'asyncEnd imap', 'left',
    ]);
  });

  test('a run that fails has an error, whatever the reason', async (t) => {
    const pool = makePool(t, mode);
    const seen = subscribe(t, 'parallelizer:run');
    const fail = () => { throw new TypeError('no'); };
    await assert.rejects(pool.map(fail, [1]), TypeError);
    await assert.rejects(pool.apply(fail), TypeError);
    await assert.rejects(pool.map(fail, 7), { code: 'ERR_PARALLELIZER_OPTION' });
    assert.throws(() => pool.mapAsync(fail, 7), { code: 'ERR_PARALLELIZER_OPTION' });
    assert.throws(() => pool.imap(fail, 7), { code: 'ERR_PARALLELIZER_OPTION' });
    await assert.rejects(list(pool.imap(fail, [1])), TypeError);
    const signal = AbortSignal.abort();
    await assert.rejects(pool.map((x) => x, [1], { signal }), { code: 'ERR_PARALLELIZER_ABORTED' });
    for (const message of messages(seen)) {
      assert.ok(message.error instanceof Error, message.method);
      assert.ok(stagesOf(seen, message).includes('error'), message.method);
    }
    assert.equal(messages(seen).length, 7);
    assert.deepEqual(messages(seen).slice(0, 2).map(({ failed }) => failed), [1, 1]);
  });

  test('a store that is bound to the start of runs is seen by what the run calls back', async (t) => {
    const store = new AsyncLocalStorage();
    const { start } = diagnostics.tracingChannel('parallelizer:run');
    start.bindStore(store, ({ runId }) => runId);
    t.after(() => start.unbindStore(store));
    const pool = makePool(t, mode);
    const seen = [];
    const result = pool.mapAsync((x) => x, [1], { onProgress: () => seen.push(store.getStore()) });
    await result;
    assert.deepEqual(seen, [result.id]);
    assert.equal(store.getStore(), undefined);
  });

  test('each sub-batch is a call', async (t) => {
    const parallelizer = run(t, { batchSize: 1 });
    const runs = subscribe(t, 'parallelizer:run');
    const calls = subscribe(t, 'parallelizer:call');
    await parallelizer.run([echo(1), echo(2), { do: 'rejects' }, { do: 'sleep', ms: 30 }]);
    const [parent] = messages(runs);
    const sent = messages(calls);
    assert.deepEqual(sent.map(({ first }) => first).sort(), [0, 1, 2, 3]);
    for (const message of sent) {
      assert.deepEqual([message.runId, message.parent, message.method, message.task, message.calls],
        [parent.runId, parent, 'run', 'act', 1]);
      const stages = message.first === 2 ? ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
        : ['start', 'end', 'asyncStart', 'asyncEnd'];
      assert.deepEqual(stagesOf(calls, message), stages);
      assert.equal(message.failed, message.first === 2 ? 1 : 0);
      assert.ok(message.bytes > 0 || mode.name === 'inline');
      assert.ok(message.wait >= 0);
      assert.equal(typeof message.worker[mode.name === 'threads' ? 'threadId' : 'pid'], 'number');
    }
    const [failed, slept] = [2, 3].map((first) => sent.find((message) => message.first === first));
    assert.ok(failed.error instanceof TypeError);
    assert.ok(slept.run >= 25 && slept.run < 20_000, String(slept.run));
    const end = runs.findIndex(([stage]) => stage === 'asyncEnd');
    assert.ok(end >= 0 && calls.every(([stage]) => stage !== undefined));
  });

  test('items are a call for each chunk', async (t) => {
    const pool = makePool(t, mode);
    const calls = subscribe(t, 'parallelizer:call');
    assert.deepEqual(await pool.map((x) => -x, range(100), { chunkSize: 25 }), range(100).map((x) => -x));
    // One that was taken back from a worker may be sent with others.
    const sent = messages(calls).filter(({ settled }) => settled > 0);
    assert.equal(sent.reduce((sum, message) => sum + message.settled, 0), 100);
    assert.deepEqual(sent.map(({ first }) => first).sort((one, other) => one - other), [0, 25, 50, 75]);
    assert.equal(new Set(sent.map(({ runId }) => runId)).size, 1);
  });

  test('what was subscribed to in the middle is told from then on, and after unsubscribing nothing is', async (t) => {
    const pool = makePool(t, mode);
    const gate = gateIn(t);
    const before = pool.apply(task('gate'), [gate.file, 'value']);
    await gate.started();
    const seen = [];
    const subscriber = (message) => seen.push(message.method);
    diagnostics.subscribe('tracing:parallelizer:run:start', subscriber);
    const during = pool.map((x) => x, [1, 2]);
    diagnostics.unsubscribe('tracing:parallelizer:run:start', subscriber);
    const after = pool.map((x) => x, [1, 2]);
    gate.open();
    assert.deepEqual(await Promise.all([before, during, after]), ['value', [1, 2], [1, 2]]);
    assert.deepEqual(seen, ['map']);
  });

  test('the channel of workers has what listeners have', async (t) => {
    const seen = [];
    const subscriber = (message) => seen.push(message);
    diagnostics.subscribe('parallelizer:worker', subscriber);
    t.after(() => diagnostics.unsubscribe('parallelizer:worker', subscriber));
    const pool = makePool(t, mode, { processes: 1 });
    await pool.apply((x) => x, [1]);
    await waitFor(() => seen.length >= 2, 'its worker to be ready');
    pool.close();
    await pool.join();
    assert.deepEqual(seen.map(({ event }) => event), ['workerStart', 'workerReady', 'workerExit']);
    assert.equal(seen[2].reason, 'closed');
  });

  test('the first sub-batches, which are encoded before their workers run, say which those are', async (t) => {
    const parallelizer = run(t, { parallelization: 2 });
    const calls = subscribe(t, 'parallelizer:call');
    await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);
    const name = mode.name === 'threads' ? 'threadId' : 'pid';
    assert.deepEqual(messages(calls).map(({ worker }) => typeof worker[name]), ['number', 'number']);
  });

  test('a sub-batch that is run again goes on in its message', async (t) => {
    if (!mode.hasWorkers) return t.skip('inline has no worker that dies');
    const parallelizer = run(t, { parallelization: 1, retries: 1 });
    const calls = subscribe(t, 'parallelizer:call');
    const file = `${gateIn(t).dir}/attempts`;
    const signal = mode.hasProcess ? 'SIGKILL' : undefined;
    if (signal === undefined) return t.skip('a thread cannot be killed by a signal of its own');
    const { responses } = await parallelizer.run([{ do: 'dieAtFirst', file, value: 'done' }]);
    assert.deepEqual(responses, ['done']);
    assert.deepEqual(messages(calls).map(({ first, settled, isRepeated }) => [first, settled, isRepeated]), [[0, 1, true]]);
    assert.deepEqual(stagesOf(calls, messages(calls)[0]), ['start', 'end', 'asyncStart', 'asyncEnd']);
    assert.deepEqual([messages(calls)[0].worker.pid], parallelizer.stats().workers.map(({ pid }) => pid));
  });

  test('a subscriber that freezes what it is told, or hands on what cannot be read, breaks nothing', async (t) => {
    for (const stage of ['start', 'end', 'asyncEnd']) {
      for (const freeze of [Object.freeze, Object.seal]) {
        const subscriber = (message) => freeze(message);
        diagnostics.subscribe(`tracing:parallelizer:call:${stage}`, subscriber);
        const pool = makePool(t, mode, { processes: 1 });
        assert.deepEqual(await within(pool.map((x) => x, [1, 2, 3]), `${stage}, ${freeze.name}`), [1, 2, 3]);
        await assert.rejects(within(pool.apply(() => { throw new RangeError('own'); }), stage), RangeError);
        diagnostics.unsubscribe(`tracing:parallelizer:call:${stage}`, subscriber);
      }
    }
  });

  test('a carrier that cannot be read is an uncaught exception, and breaks nothing', () => {
    const program = `
      const { Pool } = require('@parallelizer/node');
      const carrier = { get traceparent() { throw new TypeError('not now'); } };
      require('node:diagnostics_channel').subscribe('tracing:parallelizer:call:start', (message) => (message.carrier = carrier));
      const caught = [];
      process.on('uncaughtException', (error) => caught.push(String(error)));
      (async () => {
        const pool = new Pool({ processes: 1, type: ${JSON.stringify(mode.type)} });
        const value = await pool.apply((x) => x, [1]);
        await pool.terminate();
        console.log(JSON.stringify([value, caught]));
      })();
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
    assert.deepEqual(JSON.parse(stdout), [1, ['TypeError: not now']], stderr);
  });

  test('a subscriber that throws is an uncaught exception, and breaks nothing', () => {
    const program = `
      const diagnostics = require('node:diagnostics_channel');
      const { Pool } = require('@parallelizer/node');
      let caught = 0;
      process.on('uncaughtException', () => caught++);
      for (const stage of ['start', 'end', 'asyncStart', 'asyncEnd']) {
        for (const name of ['run', 'call']) {
          diagnostics.subscribe(\`tracing:parallelizer:\${name}:\${stage}\`, () => { throw new Error(name + stage); });
        }
      }
      (async () => {
        const pool = new Pool({ type: '${mode.type}', processes: 1 });
        const result = await pool.apply((x) => x + 1, [1]);
        await pool.terminate();
        setTimeout(() => console.log(JSON.stringify({ result, caught })), 20);
      })();
    `;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { result: 2, caught: 8 });
  });
});

test('nothing is made while nobody subscribes: not even the modules for it are loaded', () => {
  const program = `
    const { Pool } = require('@parallelizer/node');
    (async () => {
      const pool = new Pool(1);
      await pool.map((x) => x, [1, 2, 3]);
      await pool.terminate();
      const loaded = Object.keys(require.cache).map((file) => require('node:path').basename(file));
      console.log(JSON.stringify(loaded.filter((name) => /tracing|timeline|trace|run-meter/.test(name))));
    })();
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
  assert.equal(stdout, '[]\n', stderr);
});
