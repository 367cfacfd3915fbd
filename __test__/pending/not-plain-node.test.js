'use strict';
// `process.execPath` is not always a Node that runs what it is given: a single executable, Electron, a packed program. Such
// a program never starts itself without end; where it is known to be one, the error says what to use instead.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { isRunning, lines, root, temporary, waitFor } = require('../support/helpers');
const { asynchronous, start } = require('../support/scripts');

/** More starts than this are a bomb, which then disarms itself. */
const BOMB = 12;

/**
 * A program whose `execPath` is a script that runs the program again, whatever it is given. Each start writes its pid.
 */
function selfStarter(t, body, env = {}) {
  const dir = temporary(t);
  const starts = path.join(dir, 'starts');
  const wrapper = path.join(dir, 'application');
  const program = start(t, `
    const fs = require('node:fs');
    fs.appendFileSync(${JSON.stringify(starts)}, process.pid + '\\n');
    if (fs.readFileSync(${JSON.stringify(starts)}, 'utf8').split('\\n').length > ${BOMB}) process.exit(42);
    if (!fs.existsSync(${JSON.stringify(wrapper)})) {
      fs.writeFileSync(${JSON.stringify(wrapper)}, '#!/bin/sh\\nexec ' + JSON.stringify(process.execPath) + ' ' + JSON.stringify(__filename) + ' "$@"\\n', { mode: 0o755 });
    }
    const plainNode = process.execPath;
    process.execPath = ${JSON.stringify(wrapper)};
    ${asynchronous(body)}
  `, { env });
  t.after(() => {
    for (const pid of lines(starts).map(Number)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
  return { program, starts: () => lines(starts).length };
}

test('a program that starts itself does so once per worker at most, and hears of it', async (t) => {
  const { program, starts } = selfStarter(t, `
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(2);
    const outcome = await pool.apply(() => 1).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
    console.log(JSON.stringify(outcome));
    await pool.terminate();
  `);
  await waitFor(() => program.messages().length > 0 || starts() >= BOMB, 'an outcome', 60_000);
  assert.ok(starts() < BOMB, `started ${starts()} times`);
  const [{ code, message }] = program.messages();
  assert.match(String(code), /ERR_PARALLELIZER_(PLATFORM|WORKER_EXITED)/);
  assert.match(message, /execPath/);
});

for (const options of ['{}', "{ env: { PATH: process.env.PATH } }", "{ execArgv: ['--no-warnings'] }"]) {
  test(`nor with ${options}`, async (t) => {
    const { program, starts } = selfStarter(t, `
      const { Pool } = require(${JSON.stringify(root)});
      const pool = new Pool({ processes: 2, ...${options} });
      const outcome = await pool.apply(() => 1).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
      console.log(JSON.stringify(outcome));
      await pool.terminate();
    `);
    await waitFor(() => program.messages().length > 0 || starts() >= BOMB, 'an outcome', 60_000);
    assert.ok(starts() < BOMB, `started ${starts()} times`);
  });
}

test('the option execPath names the Node to use', async (t) => {
  const { program, starts } = selfStarter(t, `
    const { Pool, Parallelizer } = require(${JSON.stringify(root)});
    const pool = new Pool({ processes: 1, execPath: plainNode });
    const parallelizer = make({ parallelization: 1, execPath: plainNode });
    const { responses, failures } = await parallelizer.run([{ do: 'echo', value: 2 }]);
    console.log(JSON.stringify([await pool.apply((n) => n + 1, [1]), responses, failures]));
    await pool.terminate();
    await parallelizer.terminate();
  `);
  await program.exited;
  assert.deepEqual(program.messages(), [[2, [2], []]]);
  assert.equal(starts(), 1);
});

test('an execPath that is none is an option error', () => {
  const { Pool } = require('@parallelizer/node');
  for (const execPath of ['', 1, {}, [], 'a\0b']) {
    assert.throws(() => new Pool({ processes: 1, execPath }), { code: 'ERR_PARALLELIZER_OPTION', message: /execPath/ });
  }
});

test('one that is not there fails the calls, by its name', async (t) => {
  const { Pool } = require('@parallelizer/node');
  const pool = new Pool({ processes: 1, execPath: '/none/node' });
  t.after(() => pool.terminate());
  await assert.rejects(pool.apply(() => 1), /\/none\/node/);
});

/** What tells that this is no plain Node. */
const KINDS = {
  Electron: "Object.defineProperty(process.versions, 'electron', { value: '45.5.0' });",
  pkg: "process.pkg = { entrypoint: '/snapshot/app.js' };",
  nexe: 'process.__nexe = {};',
};

for (const [kind, prelude] of Object.entries(KINDS)) {
  test(`${kind}: refused before anything is started`, async (t) => {
    const { program, starts } = selfStarter(t, `
      ${prelude}
      const { Pool, PARALLELIZER_THREADS } = require(${JSON.stringify(root)});
      let outcome;
      try {
        outcome = await new Pool(1).apply(() => 1);
      } catch ({ code, message }) {
        outcome = { code, message };
      }
      const threads = new Pool({ processes: 1, type: PARALLELIZER_THREADS });
      const inline = new Pool(0);
      console.log(JSON.stringify([outcome, await threads.apply(() => 1), await inline.apply(() => 1)]));
      await threads.terminate();
    `);
    await program.exited;
    const [[{ code, message }, ...others]] = program.messages();
    assert.equal(code, 'ERR_PARALLELIZER_PLATFORM');
    assert.match(message, new RegExp(kind, 'i'));
    assert.match(message, /threads/i);
    assert.match(message, /execPath/);
    assert.deepEqual(others, [1, 1]);
    assert.equal(starts(), 1);
  });
}

test('Electron that runs as Node is a Node', async (t) => {
  const program = start(t, asynchronous(`
    Object.defineProperty(process.versions, 'electron', { value: '45.5.0' });
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(1);
    console.log(JSON.stringify([await pool.apply(() => process.env.ELECTRON_RUN_AS_NODE)]));
    await pool.terminate();
  `), { env: { ELECTRON_RUN_AS_NODE: '1' } });
  await program.exited;
  assert.deepEqual(program.messages(), [['1']]);
});

test('a Node under another name, and one that is a link, work', async (t) => {
  const dir = temporary(t);
  fs.symlinkSync(process.execPath, path.join(dir, 'linked'));
  for (const name of ['linked']) {
    const program = start(t, asynchronous(`
      process.execPath = ${JSON.stringify(path.join(dir, name))};
      const { Pool } = require(${JSON.stringify(root)});
      const pool = new Pool(1);
      console.log(JSON.stringify([await pool.apply(() => 1)]));
      await pool.terminate();
    `));
    await program.exited;
    assert.deepEqual(program.messages(), [[1]]);
  }
});
