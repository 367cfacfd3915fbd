'use strict';
// The option `execPath`: the program that worker processes run.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { echo, make, pidsOf, temporary } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');

/** A Node that says by a variable that it was used. */
function otherNode(t, { name = 'other-node', mark = 'yes' } = {}) {
  const dir = temporary(t);
  const file = path.join(dir, name);
  fs.writeFileSync(file, `#!/bin/sh\nSTARTED_BY='${mark}' exec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  return { dir, file };
}

/** What a worker of such a pool sees. */
async function startedBy(t, options) {
  const pool = new Pool({ processes: 1, ...options });
  t.after(() => pool.terminate());
  return pool.apply(() => process.env.STARTED_BY ?? null);
}

forEachMode((mode) => {
  const { type } = mode;
  const used = mode.hasProcess ? 'yes' : null;

  test(mode.hasProcess ? 'a path' : 'no effect, since nothing is started', async (t) => {
    const { file } = otherNode(t);
    assert.equal(await startedBy(t, { type, execPath: file }), used);
    const parallelizer = make(t, { type, execPath: file, parallelization: 1 });
    assert.deepEqual(await parallelizer.run([echo(1)]), { responses: [1], failures: [] });
  });

  test('what is no path and no name is refused', () => {
    for (const execPath of ['', null, 1, {}, [], true, 'a\0b']) {
      const refusal = { code: 'ERR_PARALLELIZER_OPTION', message: /"execPath"/ };
      assert.throws(() => new Pool({ type, processes: 1, execPath }), refusal);
    }
  });
});

forEachMode(({ type }) => {
  test('a relative path is taken from the working directory', async (t) => {
    const { dir, file } = otherNode(t);
    assert.equal(await startedBy(t, { type, execPath: path.relative(process.cwd(), file) }), 'yes');
    const before = process.cwd();
    process.chdir(dir);
    t.after(() => process.chdir(before));
    const pool = new Pool({ processes: 1, execPath: './other-node', idleTimeout: 1 });
    t.after(() => pool.terminate());
    // Of the constructor, not of a later start.
    process.chdir('/');
    assert.equal(await pool.apply(() => process.env.STARTED_BY), 'yes');
  });

  test('a name is looked up, as fork does it, in the PATH of the workers', async (t) => {
    const { dir } = otherNode(t);
    const env = { ...process.env, PATH: `/none:${dir}:${process.env.PATH}` };
    assert.equal(await startedBy(t, { type, env, execPath: 'other-node' }), 'yes');
    await assert.rejects(startedBy(t, { type, execPath: 'other-node' }), {
      code: 'ERR_PARALLELIZER_WORKER_EXITED',
      message: /other-node.*execPath/,
    });
  });

  test('one that is not there, and one that cannot be run, fail the calls, by name', async (t) => {
    await assert.rejects(startedBy(t, { type, execPath: '/none/node' }), /ENOENT.*\/none\/node/s);
    const { file } = otherNode(t);
    fs.chmodSync(file, 0o644);
    await assert.rejects(startedBy(t, { type, execPath: file }), (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.ok(error.message.includes(file) && error.message.includes('execPath'), error.message);
      return true;
    });
  });

  test('one that is no Node fails the calls, with a word of execPath', async (t) => {
    await assert.rejects(startedBy(t, { type, execPath: '/bin/false' }), {
      code: 'ERR_PARALLELIZER_WORKER_EXITED',
      exitCode: 1,
      message: /\/bin\/false.*execPath/s,
    });
  });

  test('workers that are shared are of the same program', withAddon('each instance has its own'), async (t) => {
    const pids = [];
    for (const { file } of [otherNode(t), otherNode(t)]) {
      const options = { type, shared: true, execPath: file, parallelization: 1 };
      const [one, two] = [make(t, options), make(t, options)];
      const [[first], [second]] = [await pidsOf(t, one, 1), await pidsOf(t, two, 1)];
      assert.equal(first, second);
      pids.push(first);
    }
    assert.notEqual(pids[0], pids[1]);
  });

  test('neither workers nor what they start see that they were marked', async (t) => {
    for (const options of [{}, { env: { PATH: process.env.PATH } }]) {
      const pool = new Pool({ type, processes: 1, ...options });
      t.after(() => pool.terminate());
      const [own, inherited] = await pool.apply(() => {
        const { execFileSync } = require('node:child_process');
        const print = 'console.log(JSON.stringify(Object.keys(process.env)))';
        const output = execFileSync(process.execPath, ['-e', print], { encoding: 'utf8' });
        return [Object.keys(process.env), JSON.parse(output)];
      });
      for (const names of [own, inherited]) assert.ok(!names.includes('PARALLELIZER_WORKER'));
    }
  });
}, { needs: 'hasProcess' });
