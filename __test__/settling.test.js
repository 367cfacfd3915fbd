'use strict';
// A module, or an initializer, that waits for what can never come: Node ends a program like that with exit code 13,
// "unsettled top-level await". A worker tells the same as soon as its event loop is empty. One that is slow may be.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { root, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

/** A module file that ends with the test. */
function moduleOf(t, text, name = 'module.mjs') {
  const file = path.join(temporary(t), name);
  fs.writeFileSync(file, text);
  return file;
}

const UNSETTLED = {
  'a promise that nobody settles': 'await new Promise(() => {});\nexport const act = () => 1;',
  'a timer that does not hold': 'await new Promise((resolve) => setTimeout(resolve, 2 ** 30).unref());\nexport const act = () => 1;',
  'a module that it imports': "await import('./never.mjs');\nexport const act = () => 1;",
};

function assertUnsettled(error) {
  assert.equal(error.code, 'ERR_PARALLELIZER_MODULE', error.stack ?? String(error));
  assert.match(error.message, /unsettled top-level await/);
}

forEachMode((mode) => {
  for (const [what, text] of Object.entries(UNSETTLED)) {
    test(`a module: ${what}`, async (t) => {
      const file = moduleOf(t, text);
      fs.writeFileSync(path.join(path.dirname(file), 'never.mjs'), 'await new Promise(() => {});');
      const parallelizer = new Parallelizer({ type: mode.type, filePath: file, processBatchFunctionName: 'act', parallelization: 2 });
      t.after(() => parallelizer.terminate());
      if (mode.loadsFirst) {
        assertUnsettled(await within(parallelizer.ready().catch((error) => error), 'ready()'));
      }
      const { errors, responses } = await within(parallelizer.run([1, 2]), 'the run');
      assert.deepEqual(responses, []);
      for (const error of errors) assertUnsettled(error);
    });
  }

  test('a task of a pool that stands in such a module', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const file = moduleOf(t, UNSETTLED['a promise that nobody settles']);
    for (let i = 0; i < 2; i++) {
      const promise = pool.map({ filePath: file, name: 'act' }, [1]);
      assertUnsettled(await within(promise.catch((error) => error), 'the call'));
      assert.equal(await pool.apply((n) => n + 1, [1]), 2, 'the worker goes on');
    }
  });

  test('an initializer', async (t) => {
    const pool = new Pool({ type: mode.type, processes: 1, initializer: () => new Promise(() => {}) });
    t.after(() => pool.terminate());
    const error = await within(pool.apply(() => 1).catch((thrown) => thrown), 'the call');
    assert.equal(error.code, 'ERR_PARALLELIZER_MODULE');
    assert.match(error.message, /the initializer never settles/);
  });

  test('what is slow, and holds its loop, is waited for', async (t) => {
    const file = moduleOf(t, [
      "import { setTimeout as sleep } from 'node:timers/promises';",
      "import fs from 'node:fs';",
      "import net from 'node:net';",
      'await sleep(1500);',
      "await fs.promises.readFile(new URL(import.meta.url), 'utf8');",
      // A server that answers itself.
      'await new Promise((resolve) => {',
      '  const server = net.createServer((socket) => socket.end()).listen(0, () => {',
      '    net.connect(server.address().port).resume().on("close", () => server.close(resolve));',
      '  });',
      '});',
      'export const act = ({ batch }) => batch.length;',
      'export const double = (n) => n * 2;',
    ].join('\n'));
    const parallelizer = new Parallelizer({ type: mode.type, filePath: file, processBatchFunctionName: 'act', parallelization: 1 });
    t.after(() => parallelizer.terminate());
    await within(parallelizer.ready(), 'ready()');
    assert.deepEqual((await parallelizer.run([1, 2])).responses, [2]);
    assert.equal(parallelizer.stats().restarts, 0);
    const initializer = () => new Promise((resolve) => setTimeout(resolve, 300));
    const pool = makePool(t, mode, { processes: 1, initializer });
    assert.equal(await pool.apply({ filePath: file, name: 'double' }, [2]), 4);
    assert.equal(await pool.apply((n) => n, [1]), 1);
  });

  test('a pool that is closed while its module waits, closes', async (t) => {
    const file = moduleOf(t, "setInterval(() => {}, 1000);\nawait new Promise(() => {});\nexport const act = () => 1;");
    const parallelizer = new Parallelizer({ type: mode.type, filePath: file, processBatchFunctionName: 'act', parallelization: 1 });
    await within(parallelizer.close(), 'close()');
  });

  test('a module without anything that holds the loop stays up once it is loaded', async (t) => {
    const file = moduleOf(t, 'export const act = ({ batch }) => [process.pid, batch.length];');
    const parallelizer = new Parallelizer({ type: mode.type, filePath: file, processBatchFunctionName: 'act', parallelization: 1 });
    t.after(() => parallelizer.terminate());
    const { responses: [[pid]] } = await parallelizer.run([1]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { responses: [[later]] } = await parallelizer.run([1]);
    assert.equal(later, pid);
  });
}, { needs: 'hasWorkers' });

/** The output of a program that does this with an instance whose module is at `file`. */
async function program(t, file, body) {
  const { messages } = await run(t, asynchronous(`
    const { Parallelizer, Pool, PARALLELIZER_INLINE } = require(${JSON.stringify(root)});
    const told = (error) => [error.code, /unsettled top-level await|never settles/.test(error.message)];
    const file = ${JSON.stringify(file)};
    ${body}
  `));
  return messages;
}

test('inline: a module that nothing is left for is told, and the process ends', async (t) => {
  for (const text of Object.values(UNSETTLED)) {
    const file = moduleOf(t, text);
    fs.writeFileSync(path.join(path.dirname(file), 'never.mjs'), 'await new Promise(() => {});');
    const messages = await program(t, file, `
      const parallelizer = new Parallelizer({ type: PARALLELIZER_INLINE, filePath: file, processBatchFunctionName: 'act', parallelization: 2 });
      const { errors } = await parallelizer.run([1, 2]);
      console.log(JSON.stringify(errors.map(told)));
      console.log(JSON.stringify(await parallelizer.ready().then(() => 'ready', told)));
      await parallelizer.close();`);
    const expected = ['ERR_PARALLELIZER_MODULE', true];
    assert.deepEqual(messages, [[expected, expected], expected]);
  }
});

test('inline: an initializer that never settles is told', async (t) => {
  const messages = await program(t, null, `
    const pool = new Pool({ type: PARALLELIZER_INLINE, initializer: () => new Promise(() => {}) });
    console.log(JSON.stringify(await pool.apply(() => 1).catch(told)));
    await pool.terminate();`);
  assert.deepEqual(messages, [['ERR_PARALLELIZER_MODULE', true]]);
});

test('inline: what is slow, and holds the loop, is waited for; afterwards calls hold it again', async (t) => {
  const file = moduleOf(t, [
    "import { setTimeout as sleep } from 'node:timers/promises';",
    'await sleep(1500);',
    'let release;',
    'export const act = () => new Promise((resolve) => { release = resolve; setTimeout(resolve, 1000, 7); });',
  ].join('\n'));
  const messages = await program(t, file, `
    const parallelizer = new Parallelizer({ type: PARALLELIZER_INLINE, filePath: file, processBatchFunctionName: 'act', parallelization: 1 });
    console.log(JSON.stringify((await parallelizer.run([1])).responses));
    await parallelizer.close();`);
  assert.deepEqual(messages, [[7]]);
});
