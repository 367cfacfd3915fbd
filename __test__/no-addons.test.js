'use strict';
// A Node that was told to load no addons: the error says so, and not that something is to be installed.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { asynchronous, run } = require('./support/scripts');

for (const [what, options] of Object.entries({
  '--no-addons': { execArgv: ['--no-addons'] },
  '--no-addons in NODE_OPTIONS': { env: { NODE_OPTIONS: '--no-addons' } },
})) {
  test(what, async (t) => {
    const { messages: [found] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const found = [];
      for (const type of ['child-process', 'worker-threads', 'inline']) {
        try {
          new Pool({ processes: 1, type });
          found.push('made');
        } catch ({ code, message }) {
          found.push({ code, message });
        }
      }
      console.log(JSON.stringify(found));
    `), options);
    for (const { code, message } of found) {
      assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
      assert.match(message, /--no-addons|--allow-addons/);
      assert.doesNotMatch(message, /install|build/i);
    }
  });
}

for (const [what, options] of Object.entries({
  'their own flags': "{ execArgv: ['--no-addons'] }",
  'their own NODE_OPTIONS': "{ env: { ...process.env, NODE_OPTIONS: '--no-addons' } }",
})) {
  test(`workers with --no-addons in ${what}: processes say so, threads need none`, async (t) => {
    const { messages: [[processes, threads]] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const found = [];
      for (const type of ['child-process', 'worker-threads']) {
        const pool = new Pool({ processes: 1, type, ...${options} });
        found.push(await pool.apply(() => 1).catch(({ code, message }) => ({ code, message })));
        await pool.terminate();
      }
      console.log(JSON.stringify(found));
    `));
    assert.equal(processes.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(processes.message, /was told to load no addons.*"execArgv".*NODE_OPTIONS.*threads/);
    assert.equal(threads, 1);
  });
}
