'use strict';
// Fake clocks and schedulers, as test runners put them in place of the real ones, hold nothing of the library up: it has
// taken its own before. And a task that replaces a global in its worker harms itself only.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fixture, root, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool, range } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

/** What stands still: each replaces globals by functions that never call back. */
const FAKES = {
  'timers of node:test': `
    const { mock } = require('node:test');
    const fake = () => mock.timers.enable();
    const restore = () => mock.timers.reset();`,
  'every scheduler and clock that is a global': `
    const kept = {};
    const names = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask', 'Date'];
    const fake = () => {
      for (const name of names) {
        kept[name] = globalThis[name];
        globalThis[name] = name === 'Date' ? class extends Date { static now() { return 0; } } : () => ({ unref() {}, ref() {} });
      }
    };
    const restore = () => Object.assign(globalThis, kept);`,
  'the methods of node:timers': `
    const timers = require('node:timers');
    const promises = require('node:timers/promises');
    const { promises: _, ...kept } = timers;
    const { scheduler, ...keptPromises } = promises;
    const fake = () => {
      for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearImmediate']) {
        timers[name] = globalThis[name] = () => ({ unref() {}, ref() {} });
      }
      for (const name of ['setTimeout', 'setImmediate']) promises[name] = () => new Promise(() => {});
    };
    const restore = () => {
      Object.assign(timers, kept);
      Object.assign(globalThis, { setTimeout: kept.setTimeout, setInterval: kept.setInterval, setImmediate: kept.setImmediate });
      Object.assign(promises, keptPromises);
    };`,
  'process.nextTick and queueMicrotask': `
    const { nextTick } = process;
    const { queueMicrotask: microtask } = globalThis;
    const fake = () => { process.nextTick = () => {}; globalThis.queueMicrotask = () => {}; };
    const restore = () => { process.nextTick = nextTick; globalThis.queueMicrotask = microtask; };`,
  'performance and process.hrtime': `
    const { performance: clock } = globalThis;
    const { now } = clock;
    const { hrtime } = process;
    const fake = () => {
      clock.now = () => 0;
      Object.defineProperty(globalThis, 'performance', { value: { now: () => 0 }, configurable: true, writable: true });
      process.hrtime = Object.assign(() => [0, 0], { bigint: () => 0n });
    };
    const restore = () => {
      clock.now = now;
      Object.defineProperty(globalThis, 'performance', { value: clock, configurable: true, writable: true });
      process.hrtime = hrtime;
    };`,
};
FAKES['all of these at once'] = `
  const all = [${Object.values(FAKES).map((fake) => `(() => { ${fake} return { fake, restore }; })()`).join(', ')}];
  const fake = () => { for (const each of all) each.fake(); };
  const restore = () => { for (const each of [...all].reverse()) each.restore(); };`;

/** Evaluated with everything real: the package is required before, and nothing else. */
const BODIES = {
  'a pool made after it': `
    fake();
    const pool = new Pool({ processes: 1, type });
    const results = [
      await pool.map((n) => n * 2, [1, 2]),
      await pool.apply(async (n) => n + 1, [1]),
      await pool.applyAsync((n) => n + 1, [2]).get(20_000),
    ];
    for await (const value of pool.imap((n) => n * 3, [1, 2])) results.push(value);
    pool.close();
    await pool.join();
    restore();
    say(results);`,
  'a pool made before it': `
    const pool = new Pool({ processes: 1, type });
    await pool.map((n) => n * 2, [1, 2]);
    fake();
    const results = [
      await pool.map((n) => n * 2, [1, 2]),
      await pool.apply(async (n) => n + 1, [1]),
      await pool.applyAsync((n) => n + 1, [2]).get(20_000),
    ];
    for await (const value of pool.imap((n) => n * 3, [1, 2])) results.push(value);
    pool.close();
    await pool.join();
    restore();
    say(results);`,
};
const RESULTS = [[2, 4], 2, 3, 3, 6];

const prelude = `
  const { Parallelizer, Pool } = require(${JSON.stringify(root)});
  const lambda = require(${JSON.stringify(`${root}/lambda`)});
  const type = process.env.TEST_MODE_TYPE;
  const say = (value) => process.stdout.write(JSON.stringify([value]) + '\\n');
`;
// The prelude of a program has required the package already, and used nothing of it.
const program = (fake, body) => `${fake}\n${asynchronous(`${prelude}\n${body}`)}`;

forEachMode((mode) => {
  for (const [what, fake] of Object.entries(FAKES)) {
    for (const [when, body] of Object.entries(BODIES)) {
      test(`${what}: ${when}`, async (t) => {
        const { messages } = await run(t, program(fake, body), { mode });
        assert.deepEqual(messages, [[RESULTS]]);
      });
    }

    test(`${what}: a Parallelizer and a handler for Lambda`, async (t) => {
      const { messages } = await run(t, program(fake, `
        fake();
        const parallelizer = new Parallelizer({
          type, filePath: ${JSON.stringify(fixture('act.js'))}, processBatchFunctionName: 'act', parallelization: 2,
        });
        const { responses } = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);
        const failing = await parallelizer.run([{ do: 'rejects', message: 'on purpose' }]);
        const handler = lambda.createHandler({
          type, filePath: ${JSON.stringify(fixture('lambda-worker.js'))}, recordFunctionName: 'record', parallelization: 2,
          params: { log: '/dev/null' },
        });
        const event = { Records: [1, 2, 3].map((id) => ({ eventSource: 'aws:sqs', eventSourceARN: 'arn:q', messageId: 'm' + id, body: JSON.stringify({ id }) })) };
        const answer = await handler(event, { getRemainingTimeInMillis: () => 30_000 });
        await parallelizer.close();
        await handler.parallelizer.close();
        restore();
        say([responses, failing.failures, answer]);
      `), { mode });
      assert.deepEqual(messages, [[[[1, 2], ['TypeError: on purpose'], { batchItemFailures: [] }]]]);
    });
  }

  test('an abort and a timeout come by the real clock', async (t) => {
    const { messages } = await run(t, program(FAKES['every scheduler and clock that is a global'], `
      const real = setTimeout;
      const controller = new AbortController();
      fake();
      const pool = new Pool({ processes: 2, type });
      real(() => controller.abort(), 200);
      const forever = () => new Promise(() => {});
      const codes = await Promise.all([
        pool.map(forever, [1], { signal: controller.signal }).catch(({ code }) => code),
        pool.map(forever, [1], { timeout: 100 }).catch(({ code }) => code),
        pool.applyAsync(forever, []).get(50).catch(({ code }) => code),
      ]);
      restore();
      say(codes);
      process.exit();
    `), { mode });
    assert.deepEqual(messages, [[['ERR_PARALLELIZER_ABORTED', 'ERR_PARALLELIZER_TIMEOUT', 'ERR_PARALLELIZER_TIMEOUT']]]);
  });
});

/** What a task may do to the globals of its worker. */
const SPOILERS = {
  setImmediate: () => void (globalThis.setImmediate = () => ({ unref() {} })),
  setTimeout: () => void (globalThis.setTimeout = () => ({ unref() {} })),
  queueMicrotask: () => void (globalThis.queueMicrotask = () => {}),
  'process.nextTick': () => void (process.nextTick = () => {}),
  performance: () => void Object.defineProperty(globalThis, 'performance', { value: undefined, configurable: true, writable: true }),
  'performance.now': () => void (globalThis.performance.now = () => Number.NaN),
  Date: () => void (globalThis.Date = class {}),
  Promise: () => void (globalThis.Promise = class {}),
  AbortController: () => void (globalThis.AbortController = undefined),
  'timers of node:test': () => void require('node:test').mock.timers.enable(),
};

forEachMode((mode) => {
  for (const [name, spoil] of Object.entries(SPOILERS)) {
    for (const concurrency of [1, 4]) {
      test(`a task replaces ${name}: the later ones run, concurrency ${concurrency}`, async (t) => {
        const pool = makePool(t, mode, { processes: 1, concurrency });
        await pool.apply(spoil);
        // What takes a turn of the event loop or more, and no clock.
        const results = await within(pool.map(async (n) => {
          await require('node:fs').promises.stat('.');
          return n * 2;
        }, [1, 2, 3, 4, 5, 6, 7, 8]), 'the later calls');
        assert.deepEqual(results, [2, 4, 6, 8, 10, 12, 14, 16]);
        assert.equal(await pool.apply((n) => n + 1, [1]), 2);
        assert.equal(pool.stats().restarts, 0);
      });
    }
  }

  for (const concurrency of [1, 3]) {
    test(`a task replaces all of it at once: the later ones run as ever, concurrency ${concurrency}`, async (t) => {
      const pool = makePool(t, mode, { processes: 1, concurrency });
      const globals = ['Promise', 'AbortController', 'AbortSignal', 'performance'];
      await pool.apply((0, eval)(`(() => {
        ${FAKES['all of these at once']}
        fake();
        for (const name of ${JSON.stringify(globals)}) Object.defineProperty(globalThis, name, { value: null, configurable: true });
      })`));
      const doubled = pool.map(async (n) => n * 2, range(50), { chunkSize: 10 });
      assert.deepEqual(await within(doubled, 'the later calls'), range(50).map((n) => n * 2));
      const given = await pool.apply(function () {
        return typeof this.signal.aborted;
      });
      assert.equal(given, 'boolean');
      const failure = await pool.apply(() => missing).catch((error) => error); // eslint-disable-line no-undef
      assert.match(failure.message, /missing is not defined in a worker/);
    });
  }
}, { needs: 'hasWorkers' });
