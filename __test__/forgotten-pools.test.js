'use strict';
// Pools that are made again and again, and never closed: the process says so once, with how many there are and where
// they were made; and what nobody can reach any more is stopped.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const shared = withAddon('no workers are shared');
const errors = withAddon('Node itself makes errors of pipes that end, and calls what the user has put there');

const prelude = `
  const { Pool } = require(${JSON.stringify(root)});
  const type = process.env.TEST_MODE_TYPE;
  const warnings = [];
  process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }));
  function handleRequest() { return new Pool({ processes: 1, type }); }
`;

forEachMode((mode) => {
  test('a warning, once', async (t) => {
    const { messages: [{ warnings }] } = await run(t, asynchronous(`${prelude}
      const kept = [];
      for (let i = 0; i < 24; i++) {
        const pool = handleRequest();
        kept.push(pool);
        await pool.apply(() => 1);
      }
      await new Promise(setImmediate);
      console.log(JSON.stringify({ warnings }));
      await Promise.all(kept.map((pool) => pool.terminate()));
    `), { mode });
    assert.equal(warnings.length, 1, JSON.stringify(warnings));
    const [{ name, code, message }] = warnings;
    assert.deepEqual([name, code], ['ParallelizerWarning', 'PARALLELIZER_OPEN_INSTANCES']);
    // As with listeners, the eleventh is one too many; the first three are not looked at.
    assert.match(message, /^14 instances /, 'how many');
    assert.ok(message.includes(` with ${mode.hasWorkers ? 14 : 0} workers`), message);
    assert.match(message, /program\.js:\d+:\d+ \(11\)/, 'where they were made');
    assert.match(message, /close\(\)/, 'what to do');
  });

  test('instances of Parallelizer, of a class of the user and of handlers, by their places', async (t) => {
    const { messages } = await run(t, asynchronous(`${prelude}
      const { createHandler } = require(${JSON.stringify(`${root}/lambda`)});
      class Own extends Parallelizer {}
      const options = { type, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 2 };
      const lines = require('node:fs').readFileSync(__filename, 'utf8').split('\\n');
      const lineOf = (mark) => lines.findIndex((line) => line.includes('// ' + mark)) + 1;
      const kept = [];
      for (let i = 0; i < 11; i++) {
        kept.push(make({ parallelization: 2 }));
        kept.push(new Own(options)); // own
        kept.push(createHandler(options).parallelizer); // handler
      }
      await new Promise(setImmediate);
      console.log(JSON.stringify([warnings.length, warnings[0].message, lineOf('own'), lineOf('handler')]));
      await Promise.all(kept.map((instance) => instance.terminate()));
    `), { mode });
    const [[count, message, own, handler]] = messages;
    assert.equal(count, 1);
    assert.match(message, /^21 instances /, 'more than twenty in all');
    for (const line of [own, handler]) assert.match(message, new RegExp(`program\\.js:${line}:\\d+ \\(6\\)`));
  });

  test('no warning for a dozen that are made at different places, or share their workers', shared, async (t) => {
    const { messages: [{ warnings }] } = await run(t, asynchronous(`${prelude}
      const kept = [
        ${Array.from({ length: 12 }, () => 'new Pool({ processes: 1, type }),').join('\n')}
      ];
      for (let i = 0; i < 24; i++) kept.push(new Pool({ processes: 1, type, shared: true }));
      await new Promise(setImmediate);
      console.log(JSON.stringify({ warnings }));
      await Promise.all(kept.map((pool) => pool.terminate()));
    `), { mode });
    assert.deepEqual(warnings, []);
  });

  test('environments are counted by themselves', async (t) => {
    const { messages: [{ warnings }] } = await run(t, asynchronous(`${prelude}
      const { Worker } = require('node:worker_threads');
      const source = 'const { Pool } = require(' + JSON.stringify(${JSON.stringify(root)}) + ');'
        + 'const type = process.env.TEST_MODE_TYPE;'
        + 'const pools = Array.from({ length: 4 }, () => new Pool({ processes: 1, type }));'
        + 'const all = (act) => Promise.all(pools.map(act));'
        + 'all((pool) => pool.apply((n) => n, [1])).then(() => all((pool) => pool.terminate()));';
      const ended = Array.from({ length: 6 }, () => new Promise((resolve, reject) => {
        const worker = new Worker(source, { eval: true });
        worker.once('exit', resolve);
        worker.once('error', reject);
      }));
      await Promise.all(ended);
      console.log(JSON.stringify({ warnings }));
    `), { mode });
    assert.deepEqual(warnings, []);
  });

  test('what Error.prepareStackTrace does is its own affair', mode.hasProcess ? errors : {}, async (t) => {
    const { messages } = await run(t, asynchronous(`${prelude}
      Error.prepareStackTrace = () => { throw new Error('not now'); };
      const limit = Error.stackTraceLimit;
      const kept = Array.from({ length: 16 }, handleRequest);
      await new Promise(setImmediate);
      console.log(JSON.stringify([warnings.length, Error.stackTraceLimit === limit]));
      await Promise.all(kept.map((pool) => pool.terminate()));
    `), { mode });
    assert.deepEqual(messages, [[1, true]]);
  });

  test('no warning for pools that are closed, or for a few that stay', async (t) => {
    const { messages: [{ warnings }], stderr } = await run(t, asynchronous(`${prelude}
      const kept = [1, 2, 3, 4].map(handleRequest);
      for (let i = 0; i < 20; i++) {
        const pool = handleRequest();
        await pool.apply(() => 1);
        if (i % 2 === 0) {
          pool.close();
          await pool.join();
        } else {
          await pool.terminate();
        }
      }
      await new Promise(setImmediate);
      console.log(JSON.stringify({ warnings }));
      await Promise.all(kept.map((pool) => pool.terminate()));
    `), { mode });
    assert.deepEqual(warnings, [], stderr);
  });

  test('no warning for one instance of many pools', async (t) => {
    const { messages: [{ warnings }] } = await run(t, asynchronous(`${prelude}
      const list = Array.from({ length: 20 }, (_, i) => ({
        id: 'p' + i, type, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1,
      }));
      const parallelizer = new Parallelizer(list);
      await new Promise(setImmediate);
      console.log(JSON.stringify({ warnings }));
      await parallelizer.terminate();
    `), { mode });
    assert.deepEqual(warnings, []);
  });
});

forEachMode((mode) => {
  test('a pool that nobody can reach is stopped, and lets the memory go', async (t) => {
    const { messages: [{ left }] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const type = process.env.TEST_MODE_TYPE;
      const { readdirSync, readFileSync } = require('node:fs');
      // Processes, or threads: what a worker is.
      const count = () => type === 'child-process'
        ? readdirSync('/proc').filter((pid) => {
          try {
            const [state, parent] = readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\) /s, '').split(' ');
            return state !== 'Z' && parent === String(process.pid);
          } catch { return false; }
        }).length
        : readdirSync('/proc/self/task').length;
      async function use() {
        const pool = new Pool({ processes: 1, type });
        await pool.apply(() => 1);
      }
      await use();
      const settled = count();
      for (let i = 0; i < 8; i++) await use();
      let left = count();
      for (let i = 0; i < 400 && left > settled; i++) {
        globalThis.gc();
        await sleep(25);
        left = count();
      }
      console.log(JSON.stringify({ left: left <= settled }));
      process.exit();
    `), { mode, execArgv: ['--expose-gc', '--no-warnings'] });
    assert.equal(left, true);
  });

  test('a closed one keeps nothing that it was given', async (t) => {
    const { messages: [[left]] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const type = process.env.TEST_MODE_TYPE;
      const given = [];
      async function use(end) {
        const own = {};
        const pool = new Pool({ processes: 1, type, initializer: () => {}, initArgs: [own] });
        given.push(new WeakRef(own), new WeakRef(pool));
        await pool.map((x) => x, [1, 2, 3], { onProgress: () => own });
        await pool.apply(() => 'x'.repeat(20_000));
        await pool[end]();
        if (end === 'close') await pool.join();
      }
      for (let i = 0; i < 5; i++) for (const end of ['close', 'terminate']) await use(end);
      const count = () => given.filter((ref) => ref.deref() !== undefined).length;
      // The last one may still be in what V8 keeps of a promise. (What was looked at is kept until the turn ends.)
      for (let i = 0; i < 400 && count() > 2; i++) {
        await sleep(25);
        globalThis.gc();
      }
      console.log(JSON.stringify([count()]));
    `), { mode, execArgv: ['--expose-gc'] });
    assert.ok(left <= 2, `${left} of 20 objects are left`);
  });

  test('one with work under way is not, though nobody can reach it', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const type = process.env.TEST_MODE_TYPE;
      const late = () => new Promise((resolve) => setTimeout(resolve, 600, 'done'));
      const started = () => new Pool({ processes: 1, type }).apply(late);
      const promise = started();
      for (let i = 0; i < 10; i++) {
        globalThis.gc();
        await sleep(20);
      }
      console.log(JSON.stringify([await promise]));
    `), { mode, execArgv: ['--expose-gc'] });
    assert.deepEqual(messages, [['done']]);
  });

  test('nor is one whose results are still being taken', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const type = process.env.TEST_MODE_TYPE;
      async function* source() {
        for (let i = 0; i < 6; i++) {
          await sleep(20);
          yield i;
        }
      }
      const results = [];
      for await (const result of new Pool({ processes: 1, type }).imap((n) => n, source())) {
        globalThis.gc();
        await sleep(20);
        results.push(result);
      }
      console.log(JSON.stringify(results));
    `), { mode, execArgv: ['--expose-gc'] });
    assert.deepEqual(messages, [[0, 1, 2, 3, 4, 5]]);
  });

  test('an instance of Parallelizer with several pools is stopped as well', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const type = process.env.TEST_MODE_TYPE;
      const options = { type, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 };
      let pids;
      async function use() {
        const parallelizer = new Parallelizer([{ id: 'a', ...options }, { id: 'b', ...options }]);
        const batch = [{ do: 'echo', value: 1 }];
        const results = await parallelizer.run([{ id: 'a', batch }, { id: 'b', batch }]);
        pids = Object.values(parallelizer.stats()).flatMap(({ workers }) => workers.map(({ pid }) => pid));
        return results.length;
      }
      const threads = () => require('node:fs').readdirSync('/proc/self/task').length;
      const before = threads();
      const count = await use();
      const isThere = (pid) => { try { process.kill(pid, 0); return true; } catch { return false; } };
      const isLeft = () => type === 'child-process' ? pids.some(isThere) : threads() > before + 2;
      for (let i = 0; i < 400 && isLeft(); i++) {
        globalThis.gc();
        await sleep(25);
      }
      console.log(JSON.stringify([count, isLeft()]));
      process.exit();
    `), { mode, execArgv: ['--expose-gc'] });
    assert.deepEqual(messages, [[2, false]]);
  });
}, { needs: 'hasWorkers' });
