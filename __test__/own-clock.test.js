'use strict';
// The library keeps running while tests or user code have replaced the timers and schedulers.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool, range } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

/** Replaces all that can be replaced by what never calls back. */
const FAKE = `
  const timers = require('node:timers');
  const never = () => ({ ref() {}, unref() {}, hasRef: () => false });
  const names = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];
  for (const name of names) globalThis[name] = timers[name] = never;
  const promises = require('node:timers/promises');
  promises.setTimeout = promises.setImmediate = () => new Promise(() => {});
  globalThis.queueMicrotask = () => {};
  process.nextTick = () => {};
  globalThis.Date = class { static now() { return 0; } };
  require('node:perf_hooks').performance.now = () => 0;
  globalThis.performance = { now: () => 0 };
`;

forEachMode((mode) => {
  for (const when of ['before it is used', 'once workers are ready']) {
    test(`in the parent, ${when}: pools, batches, events, limits`, async (t) => {
      const script = asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const { createHandler } = require(${JSON.stringify(path.join(root, 'lambda.js'))});
        const type = process.env.TEST_MODE_TYPE;
        const keep = { exit: process.exit, write: process.stdout.write.bind(process.stdout) };
        let pool, parallelizer, handler;
        const start = () => {
          pool = new Pool({ processes: 1, type });
          parallelizer = make({ parallelization: 1 });
          handler = createHandler({ type, filePath: fixture('lambda-worker.js'), recordFunctionName: 'plainTrace', parallelization: 1 });
        };
        const isEarly = ${JSON.stringify(when)} !== 'before it is used';
        if (isEarly) {
          start();
          await Promise.all([pool.ready?.() ?? pool.apply(() => 1), parallelizer.ready(), handler.parallelizer.ready()]);
        }
        ${FAKE}
        if (!isEarly) start();
        const out = [];
        out.push(await pool.map((n) => n * 2, [1, 2, 3]));
        out.push((await parallelizer.run([{ do: 'echo', value: 7 }])).responses);
        const result = pool.applyAsync((n) => n + 1, [4]);
        out.push(await result.get(20_000));
        const event = { Records: [{ messageId: '1', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:x:1:q' }] };
        out.push(await handler(event, { getRemainingTimeInMillis: () => 20_000 }));
        pool.close();
        await pool.join();
        await parallelizer.close();
        await handler.parallelizer.close();
        keep.write(JSON.stringify(out) + '\\n', () => keep.exit(0));
      `);
      const { messages } = await run(t, script, { mode });
      assert.deepEqual(messages[0], [[2, 4, 6], [7], 5, { batchItemFailures: [] }]);
    });
  }

  if (!mode.hasWorkers) return;

  for (const concurrency of [1, 3]) {
    test(`in a worker that runs ${concurrency} at a time: later calls run, also those that are waited for`, async (t) => {
      const pool = makePool(t, mode, { processes: 1, concurrency });
      const broken = `(() => { ${FAKE}; for (const name of ['Promise', 'AbortController', 'AbortSignal']) globalThis[name] = null; })`;
      await pool.apply((0, eval)(broken));
      assert.deepEqual(await pool.map(async (n) => n * 2, range(50), { chunkSize: 10 }), range(50).map((n) => n * 2));
      const given = await pool.apply(function () {
        return typeof this.signal.aborted;
      });
      assert.equal(given, 'boolean');
      const failure = await pool.apply(() => missing).catch((error) => error); // eslint-disable-line no-undef
      assert.match(failure.message, /missing is not defined in a worker/);
    });
  }
});
