'use strict';
// What is different on Windows: paths, names of variables and of programs, exit codes. The first part runs everywhere,
// the rest on Windows only (npm run test:windows).

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { pathToFileURL } = require('node:url');

const { Pool } = require('@parallelizer/node');
const { findProgram, isCalledNode } = require('../lib/host/program');
const { inheritedEnv } = require('../lib/host/exec-argv');
const { variable, variableName } = require('../lib/host/variables');
const {
  appeared, echo, fixture, gone, isKnown, isWindows, make, temporary, waitFor, within,
} = require('./support/helpers');
const { asynchronous, start } = require('./support/scripts');

const onlyThere = isWindows ? {} : { skip: 'this is not Windows: npm run test:windows' };

/** A pool of one process that ends with the test. */
function poolFor(t, options = {}) {
  const pool = new Pool({ type: 'child-process', processes: 1, ...options });
  t.after(() => pool.terminate());
  return pool;
}

test('names of variables have no case on Windows, and have one elsewhere', () => {
  const env = { Path: 'a', node_options: '--no-warnings' };
  assert.equal(variable(env, 'PATH', 'win32'), 'a');
  assert.equal(variable({ PATH: 'b', ...env }, 'PATH', 'win32'), 'b', 'the exact name first');
  assert.equal(variableName(env, 'NODE_OPTIONS', 'win32'), 'node_options');
  assert.equal(variable(env, 'HOME', 'win32'), undefined);
  assert.equal(variable(env, 'PATH', 'linux'), undefined);
});

test('a program is Node by its name, with the ending that it has on Windows or without', () => {
  for (const name of ['node', 'node.exe', 'Node.EXE', 'nodejs']) assert.ok(isCalledNode(name), name);
  for (const name of ['node.js', 'electron.exe', 'node2']) assert.ok(!isCalledNode(name), name);
});

describe('on Windows', onlyThere, () => {
  const file = fixture('act.js');

  test('a module is found by drive letter in either case, slashes of either kind, and file: URLs', async (t) => {
    const forward = file.replaceAll('\\', '/');
    const drive = file[0];
    const paths = [
      file, forward, drive.toLowerCase() + file.slice(1), drive.toUpperCase() + file.slice(1),
      pathToFileURL(file).href, pathToFileURL(file), `file:///${forward}`,
      path.relative(process.cwd(), file), `.\\${path.relative(process.cwd(), file)}`,
    ];
    for (const type of ['child-process', 'worker-threads', 'inline']) {
      for (const filePath of paths) {
        const parallelizer = make(t, { type, filePath, parallelization: 1 });
        assert.deepEqual(await parallelizer.run([echo(1)]), { responses: [1], failures: [] }, `${type} ${filePath}`);
        await parallelizer.close();
      }
    }
  });

  test('a path of a share is one, as text and as a URL; one that is not there fails with its name', async (t) => {
    const share = '\\\\none.invalid\\share\\work.js';
    for (const filePath of [share, 'file://none.invalid/share/work.js', share.replaceAll('\\', '/')]) {
      const parallelizer = make(t, { type: 'child-process', filePath, parallelization: 1 });
      const { errors } = await parallelizer.run([echo(1)]);
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_MODULE');
      assert.ok(errors[0].message.includes(share), errors[0].message);
    }
  });

  test('a task by reference, and an ES module on a path with blanks and marks', async (t) => {
    const folder = path.join(temporary(t), 'a b #1 %20 é');
    fs.mkdirSync(folder);
    const module = path.join(folder, 'task.mjs');
    fs.writeFileSync(module, 'export const twice = (x) => 2 * x; export default (x) => -x;');
    const pool = poolFor(t);
    assert.equal(await pool.apply({ filePath: module, name: 'twice' }, [4]), 8);
    assert.equal(await pool.apply({ filePath: pathToFileURL(module), name: 'default' }, [4]), -4);
  });

  test('variables reach workers in whatever case they are written', async (t) => {
    const pool = poolFor(t, { env: { ...process.env, Some_Name: 'value' } });
    assert.deepEqual(await pool.apply(() => [process.env.SOME_NAME, process.env.some_name]), ['value', 'value']);
    assert.equal(inheritedEnv({ Node_Options: '--inspect --no-warnings' }).Node_Options, '--no-warnings');
  });

  test('a program is found by name in Path, without its ending', (t) => {
    const folder = temporary(t);
    fs.writeFileSync(path.join(folder, 'other.exe'), '');
    assert.equal(findProgram('other', { Path: `C:\\none;${folder}` }), path.join(folder, 'other.exe'));
    assert.equal(findProgram('other.exe', { Path: folder }), path.join(folder, 'other.exe'));
    assert.equal(findProgram('absent', { Path: folder }), 'absent');
    assert.equal(findProgram('C:\\some\\node.exe', { Path: folder }), 'C:\\some\\node.exe');
  });

  test('a worker runs by another path to the same program', async (t) => {
    const pool = poolFor(t, { execPath: process.execPath.replaceAll('\\', '/') });
    assert.equal(await pool.apply((x) => x + 1, [1]), 2);
  });

  test('a worker ignores Ctrl+C, which reaches all processes of a console, unless it listens', async (t) => {
    const pool = poolFor(t);
    const counts = await pool.apply(() => ['SIGINT', 'SIGBREAK'].map((signal) => process.listenerCount(signal)));
    assert.deepEqual(counts, [1, 1]);
  });

  test('exit codes arrive as they are, up to those of 32 bits', async (t) => {
    for (const code of [3, 255, 256, 0xc0000005]) {
      const pool = poolFor(t, { stdio: 'ignore' });
      const error = await pool.apply((exitCode) => process.exit(exitCode), [code]).catch((thrown) => thrown);
      assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.deepEqual([error.exitCode >>> 0, error.signal], [code, null]);
      await pool.terminate();
    }
  });

  test('a time limit is not passed by an answer that came while the parent was busy', async (t) => {
    const pool = poolFor(t, { timeout: 2000 });
    const flag = path.join(temporary(t), 'answered');
    await pool.apply(() => 0);
    const call = pool.apply((where) => {
      setImmediate(() => require('node:fs').writeFileSync(where, ''));
      return 'in time';
    }, [flag]);
    // Until it is sent.
    while (pool.stats().running === 0) await new Promise(setImmediate);
    const end = Date.now() + 3000;
    while (Date.now() < end);
    assert.equal(await within(call, 'the call'), 'in time');
    await appeared(flag);
  });

  test('workers end with a parent that is ended, whatever they do', async (t) => {
    const program = start(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(path.join(__dirname, '..'))});
      const pool = new Pool({ type: 'child-process', processes: 2 });
      await Promise.all([1, 2].map(() => pool.apply(() => 0)));
      void pool.apply(() => { for (;;); });
      void pool.apply(() => new Promise(() => setInterval(() => {}, 1000)));
      while (pool.stats().running < 2) await new Promise(setImmediate);
      console.log(JSON.stringify(pool.stats().workers.map(({ pid }) => pid)));
    `));
    await waitFor(() => program.messages().length > 0, 'the workers');
    const [pids] = program.messages();
    assert.equal(pids.filter(isKnown).length, 2);
    program.kill('SIGKILL');
    await program.exited;
    await Promise.all(pids.map((pid) => gone(pid)));
  });
});
