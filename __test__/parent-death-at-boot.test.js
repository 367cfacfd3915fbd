'use strict';
// A worker that is still booting (in a hook of the user's, or waiting for a debugger) ends with its parent as well:
// "no worker outlives its parent" holds from its first instruction on.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { appeared, childrenOf, gone, isRunning, lines, temporary, waitFor } = require('./support/helpers');
const { start } = require('./support/scripts');

const DEAF = "for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => {}); for (;;);";

/** Ways to block before the first line of the library runs; each tells its pid in FILE, if it can. */
const HOOKS = {
  'a hook in an endless loop': (dir) => ['--require', hook(dir, 'loop.cjs', 'for (;;);')],
  'a hook that is blocked in a system call': (dir) =>
    ['--require', hook(dir, 'wait.cjs', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);')],
  'an imported hook that never settles': (dir) =>
    ['--import', hook(dir, 'never.mjs', 'setInterval(() => {}, 1000); await new Promise(() => {});')],
  'a hook that listens to signals, in an endless loop': (dir) => ['--require', hook(dir, 'deaf.cjs', DEAF)],
};

/** A hook file that writes the pid first. */
function hook(dir, name, body) {
  const file = path.join(dir, name);
  const tell = name.endsWith('.mjs')
    ? `import fs from 'node:fs'; fs.appendFileSync(${JSON.stringify(`${dir}/pids`)}, process.pid + '\\n');\n`
    : `require('node:fs').appendFileSync(${JSON.stringify(`${dir}/pids`)}, process.pid + '\\n');\n`;
  fs.writeFileSync(file, tell + body);
  return file;
}

const program = (options) => `
  const parallelizer = make(${JSON.stringify(options)});
  parallelizer.run([{ do: 'echo', value: 1 }]);
  setInterval(() => {}, 1000);
  console.log('started');
`;

/** Ends workers that a failing case would leave. */
function sweep(t, pids) {
  t.after(() => {
    for (const pid of pids()) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
}

const ENDS = {
  SIGKILL: (parent) => parent.kill('SIGKILL'),
  SIGABRT: (parent) => parent.kill('SIGABRT'),
};

for (const [what, args] of Object.entries(HOOKS)) {
  for (const end of Object.keys(ENDS)) {
    test(`${what}, ${end}`, async (t) => {
      const dir = temporary(t);
      const parent = start(t, program({ execArgv: args(dir), parallelization: 2 }));
      const pids = () => lines(`${dir}/pids`).map(Number);
      sweep(t, pids);
      await waitFor(() => pids().length >= 2, 'two workers to boot');
      ENDS[end](parent);
      await parent.exited;
      for (const pid of pids()) await gone(pid);
    });
  }
}

test('a hook by NODE_OPTIONS', async (t) => {
  const dir = temporary(t);
  const file = hook(dir, 'loop.cjs', 'for (;;);');
  const env = { ...process.env, NODE_OPTIONS: `--require ${file}` };
  const parent = start(t, `const env = ${JSON.stringify(env)};\n` + program({}).replace('make({})', 'make({ env })'));
  const pids = () => lines(`${dir}/pids`).map(Number);
  sweep(t, pids);
  await waitFor(() => pids().length >= 2, 'two workers to boot');
  parent.kill('SIGKILL');
  await parent.exited;
  for (const pid of pids()) await gone(pid);
});

test('a worker that waits for a debugger', async (t) => {
  const parent = start(t, program({ execArgv: ['--inspect-brk=0'], parallelization: 1 }));
  const waiting = /Debugger listening on ws:/;
  await waitFor(() => waiting.test(parent.stderr), 'the worker to listen');
  const pids = childrenOf(parent.pid);
  sweep(t, () => pids);
  assert.equal(pids.length, 1);
  parent.kill('SIGKILL');
  await parent.exited;
  for (const pid of pids) await gone(pid);
});

test('a worker that a worker starts', async (t) => {
  const dir = temporary(t);
  const file = hook(dir, 'loop.cjs', 'if (process.env.BLOCKS) for (;;);');
  // The hook blocks in the innermost only.
  const parent = start(t, `
    const { Pool } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const pool = new Pool(1);
    pool.apply((library, file) => {
      const { Pool } = require(library);
      const inner = new Pool({ processes: 1, execArgv: ['--require', file], env: { ...process.env, BLOCKS: '1' } });
      return inner.apply(() => 1);
    }, [${JSON.stringify(path.join(__dirname, '..'))}, ${JSON.stringify(file)}]).catch(() => {});
    setInterval(() => {}, 1000);
  `);
  const pids = () => lines(`${dir}/pids`).map(Number);
  sweep(t, pids);
  await appeared(`${dir}/pids`);
  parent.kill('SIGKILL');
  await parent.exited;
  for (const pid of pids()) await gone(pid);
});
