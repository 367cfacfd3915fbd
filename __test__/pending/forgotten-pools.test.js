'use strict';
// Pools that are made again and again, and never closed: the process says so once, with how many there are and where they
// were made; and what nobody can reach any more is stopped.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('../support/helpers');
const { forEachMode } = require('../support/modes');
const { asynchronous, run } = require('../support/scripts');

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
    assert.match(`${name} ${code}`, /PARALLELIZER|Parallelizer/);
    // As with listeners: the eleventh is one too many.
    assert.match(message, /\b1[1-9]\b|\b2[0-4]\b/, 'how many');
    assert.match(message, /program\.js:\d+/, 'where they were made');
    assert.match(message, /close/, 'what to do');
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
            return / [^Z] /.test(readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\)/, '')) &&
              readFileSync('/proc/' + pid + '/stat', 'latin1').replace(/^.*\\) . /, '').split(' ')[0] === String(process.pid);
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

  test('one with work under way is not, though nobody can reach it', async (t) => {
    const { messages } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const type = process.env.TEST_MODE_TYPE;
      const started = () => new Pool({ processes: 1, type }).apply(() => new Promise((resolve) => setTimeout(resolve, 600, 'done')));
      const promise = started();
      for (let i = 0; i < 10; i++) {
        globalThis.gc();
        await sleep(20);
      }
      console.log(JSON.stringify([await promise]));
    `), { mode, execArgv: ['--expose-gc'] });
    assert.deepEqual(messages, [['done']]);
  });
}, { needs: 'hasWorkers' });
