'use strict';
// `process.execPath` is not always a Node that runs what it is given: a single executable, Electron, a packed program.
// Such a program never starts itself without end; where it is known to be one, the error says what to use instead.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { isRunning, lines, root, temporary, waitFor } = require('./support/helpers');
const { asynchronous, start } = require('./support/scripts');

/** More starts than this are a bomb, which then disarms itself. */
const BOMB = 12;

/**
 * A program whose `execPath` is a script that runs the program again, whatever it is given, by the command `by`. Each
 * start writes its pid, and how many starts it descends from.
 */
function selfStarter(t, body, { env = {}, by = 'exec' } = {}) {
  const dir = temporary(t);
  const starts = path.join(dir, 'starts');
  const wrapper = path.join(dir, 'application');
  const program = start(t, `
    const fs = require('node:fs');
    const generation = Number(process.argv[2] ?? 0);
    fs.appendFileSync(${JSON.stringify(starts)}, process.pid + ' ' + generation + '\\n');
    if (fs.readFileSync(${JSON.stringify(starts)}, 'utf8').split('\\n').length > ${BOMB}) process.exit(42);
    if (!fs.existsSync(${JSON.stringify(wrapper)})) {
      const command = [${JSON.stringify(by)}, JSON.stringify(process.execPath), JSON.stringify(__filename)].join(' ');
      for (const [name, next] of [['', 1], ['1', 2], ['2', 3]]) {
        const script = '#!/bin/sh\\n' + command + ' ' + next + '\\n';
        fs.writeFileSync(${JSON.stringify(wrapper)} + name, script, { mode: 0o755 });
      }
    }
    const plainNode = process.execPath;
    process.execPath = ${JSON.stringify(wrapper)} + (generation || '');
    ${asynchronous(body)}
  `, { env });
  const started = () => lines(starts).map((line) => line.split(' ').map(Number));
  t.after(() => {
    for (const pid of started().map(([pid]) => pid)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
  return { program, starts: () => started().length, generations: () => Math.max(...started().map(([, n]) => n)) };
}

test('a program that starts itself does so once per worker at most, and hears of it', async (t) => {
  const { program, starts, generations } = selfStarter(t, `
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(2);
    const outcome = await pool.apply(() => 1).catch(({ code, message }) => ({ code, message }));
    console.log(JSON.stringify(outcome));
    await pool.terminate();
  `);
  await waitFor(() => program.messages().length > 0 || starts() >= BOMB, 'an outcome', 60_000);
  assert.ok(starts() < BOMB, `started ${starts()} times`);
  assert.equal(generations(), 1);
  const [{ code, message }] = program.messages();
  assert.equal(code, 'ERR_PARALLELIZER_WORKER_EXITED');
  assert.match(message, /execPath/);
});

const VARIANTS = {
  'with an environment of its own': ['{ env: { PATH: process.env.PATH } }'],
  'with arguments': ["{ execArgv: ['--no-warnings'] }"],
  'with a list of threads besides': ["{ type: 'worker-threads' }", '{}'],
  'through a program that stays its parent': ['{}'],
};

for (const [variant, pools] of Object.entries(VARIANTS)) {
  test(`nor does one ${variant}`, async (t) => {
    const body = `
      const { Pool } = require(${JSON.stringify(root)});
      const pools = [${pools}].map((options) => new Pool({ processes: 2, ...options }));
      const outcomes = [];
      for (const pool of pools) outcomes.push(await pool.apply(() => 1).catch(({ code }) => code));
      console.log(JSON.stringify(outcomes));
      for (const pool of pools) await pool.terminate();
    `;
    const { program, starts, generations } = selfStarter(t, body, { by: variant.includes('parent') ? '' : 'exec' });
    await waitFor(() => program.messages().length > 0 || starts() >= BOMB, 'an outcome', 60_000);
    assert.equal(generations(), 1);
    assert.equal(program.messages()[0].at(-1), 'ERR_PARALLELIZER_WORKER_EXITED');
  });
}

test('the error of the second one says what happened', async (t) => {
  const program = start(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    for (const type of ['child-process', 'worker-threads']) {
      try {
        new Pool({ processes: 1, type });
      } catch ({ code, message }) {
        console.log(JSON.stringify([code, message]));
      }
    }
    console.log(JSON.stringify([await new Pool(0).apply(() => 1)]));
  `), { env: { PARALLELIZER_WORKER: '1' } });
  assert.equal((await program.exited).code, 0);
  const [[code, message], [ofThreads], inline] = program.messages();
  assert.deepEqual([code, ofThreads, inline], ['ERR_PARALLELIZER_PLATFORM', 'ERR_PARALLELIZER_PLATFORM', [1]]);
  assert.match(message, /PARALLELIZER_WORKER.*threads.*execPath/s);
});

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

/** What tells that this is no plain Node. */
const KINDS = {
  Electron: "Object.defineProperty(process.versions, 'electron', { value: '45.5.0' });",
  pkg: "process.pkg = { entrypoint: '/snapshot/app.js' };",
  nexe: 'process.__nexe = {};',
  boxednode: 'process.boxednode = { markTime() {} };',
  'NW.js': "Object.defineProperty(process.versions, 'nw', { value: '0.95.0' });",
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

test('a Node under another name works', async (t) => {
  const dir = temporary(t);
  for (const name of ['node', 'node22', 'application']) {
    fs.symlinkSync(process.execPath, path.join(dir, name));
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

for (const [scope, flag, type] of [
  ['child', '--allow-child-process', 'child-process'],
  ['worker', '--allow-worker', 'worker-threads'],
]) {
  test(`without the permission for it nothing is started, and ${flag} is named`, async (t) => {
    const program = start(t, asynchronous(`
      Object.defineProperty(process, 'permission', { value: { has: (scope) => scope !== '${scope}' } });
      const { Pool } = require(${JSON.stringify(root)});
      for (const type of ['child-process', 'worker-threads', 'inline']) {
        try {
          const pool = new Pool({ processes: 1, type });
          console.log(JSON.stringify([type, await pool.apply(() => 1)]));
          await pool.terminate();
        } catch ({ code, message }) {
          console.log(JSON.stringify([type, code, message]));
        }
      }
    `));
    await program.exited;
    const outcomes = program.messages();
    const refused = outcomes.find(([refusedType]) => refusedType === type);
    assert.equal(refused[1], 'ERR_PARALLELIZER_PLATFORM');
    assert.ok(refused[2].includes(flag), refused[2]);
    for (const outcome of outcomes) if (outcome !== refused) assert.equal(outcome[1], 1, outcome[0]);
  });
}
