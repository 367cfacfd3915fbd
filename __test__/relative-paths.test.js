'use strict';
// Flags that name files relatively mean the directory that Node was started in, also after `process.chdir`; and what
// `--env-file` has set is there in workers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { fixture, root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const MAJOR = Number.parseInt(process.versions.node, 10);

/** A directory with hooks, each of which marks the process, and one beside it to change to. */
function workplace(t) {
  const dir = fs.realpathSync(temporary(t));
  const write = (name, text) => fs.writeFileSync(path.join(dir, name), text);
  write('required.cjs', 'globalThis.marks = [...(globalThis.marks ?? []), "required"];');
  write('imported.mjs', 'globalThis.marks = [...(globalThis.marks ?? []), "imported"];');
  write('.env', 'FROM_FILE=one\n');
  write('second.env', 'FROM_SECOND=two\n');
  fs.mkdirSync(path.join(dir, 'node_modules', 'hook'), { recursive: true });
  write('node_modules/hook/index.js', 'globalThis.marks = [...(globalThis.marks ?? []), "package"];');
  fs.mkdirSync(path.join(dir, 'else where'));
  // There under the same name: it is not meant.
  fs.writeFileSync(path.join(dir, 'else where', '.env'), 'FROM_FILE=wrong\n');
  return dir;
}

const FLAGS = {
  '--require': ['--require', './required.cjs'],
  '-r': ['-r', './required.cjs'],
  '--require=': ['--require=./required.cjs'],
  '--import': ['--import', './imported.mjs'],
  '--import=': ['--import=./imported.mjs'],
  '--env-file': ['--env-file=.env'],
  '--env-file twice': ['--env-file', '.env', '--env-file=./second.env'],
  'an absolute path': (dir) => ['--require', path.join(dir, 'required.cjs')],
  'a package': ['-r', 'hook'],
  'several': ['-r', './required.cjs', '--require', 'hook', '--import', './imported.mjs', '--env-file=.env'],
};
if (MAJOR >= 22) FLAGS['--env-file-if-exists'] = ['--env-file-if-exists=.env', '--env-file-if-exists=none.env'];

/** What there is in the parent, and then in a worker, which is asked by its source. */
const program = (when, options = '{}') => asynchronous(`
  ${when === 'before it is loaded' ? "process.chdir('else where');" : ''}
  const { Pool } = require(process.env.LIBRARY);
  ${when === 'after it is loaded' ? "process.chdir('else where');" : ''}
  const seen = () => ({ marks: globalThis.marks ?? [], file: process.env.FROM_FILE, second: process.env.FROM_SECOND });
  const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, ...${options} });
  const inWorker = await pool.apply(seen);
  await pool.terminate();
  console.log(JSON.stringify({ parent: seen(), worker: inWorker }));
`);

forEachMode((mode) => {
  for (const when of ['never', 'after it is loaded', 'before it is loaded']) {
    for (const [what, flags] of Object.entries(FLAGS)) {
      test(`the parent's ${what}, chdir ${when}`, async (t) => {
        const dir = workplace(t);
        const execArgv = typeof flags === 'function' ? flags(dir) : flags;
        const { messages: [{ parent, worker }], stderr } = await run(t, program(when), {
          mode, cwd: dir, execArgv, env: { LIBRARY: root, PWD: dir },
        });
        assert.deepEqual(worker, parent, stderr);
        assert.notEqual(JSON.stringify(parent), '{"marks":[]}');
      });
    }

    test(`those in NODE_OPTIONS, chdir ${when}`, async (t) => {
      const dir = workplace(t);
      const { messages: [{ parent, worker }] } = await run(t, program(when), {
        mode, cwd: dir,
        env: { LIBRARY: root, PWD: dir, NODE_OPTIONS: '--require ./required.cjs -r hook --import ./imported.mjs' },
      });
      assert.deepEqual(worker, parent);
      assert.deepEqual(parent.marks, ['required', 'package', 'imported']);
    });
  }

  for (const [how, place] of Object.entries({ 'in the command line': 'execArgv', 'in NODE_OPTIONS': 'env' })) {
    test(`packages that are preloaded by import, ${how}`, async (t) => {
      const dir = fs.realpathSync(temporary(t));
      const there = path.join(dir, 'elsewhere');
      const install = (folder, name, exports, files) => {
        const home = path.join(folder, 'node_modules', name);
        fs.mkdirSync(home, { recursive: true });
        fs.writeFileSync(path.join(home, 'package.json'), JSON.stringify({ name, version: '1.0.0', exports }));
        for (const file of files) {
          const mark = JSON.stringify(`${path.relative(dir, folder)} ${name} ${file}`);
          fs.writeFileSync(path.join(home, file), `globalThis.marks = [...(globalThis.marks ?? []), ${mark}];`);
        }
      };
      install(dir, 'dual', { import: './for-import.mjs', require: './for-require.cjs' }, ['for-import.mjs', 'for-require.cjs']);
      install(dir, 'import-only', { './sub': { import: './only.mjs' } }, ['only.mjs']);
      install(dir, 'both-places', './index.mjs', ['index.mjs']);
      install(there, 'both-places', './index.mjs', ['index.mjs']);
      const flags = ['--import', 'dual', '--import=import-only/sub', '--import', 'both-places', '-r', 'dual'];
      const { messages } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        process.chdir('elsewhere');
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
        const marks = await pool.apply(() => globalThis.marks ?? []);
        await pool.terminate();
        console.log(JSON.stringify([marks.sort(), globalThis.marks.sort()]));
      `), { mode, cwd: dir, ...(place === 'env' ? { env: { NODE_OPTIONS: flags.join(' ') } } : { execArgv: flags }) });
      const [seen, expected] = messages[0];
      assert.deepEqual(expected, [
        ' both-places index.mjs', ' dual for-import.mjs', ' dual for-require.cjs', ' import-only only.mjs',
      ]);
      assert.deepEqual(seen, expected);
    });
  }

  for (const [how, given] of Object.entries({ inherited: false, 'given to the pool': true })) {
    test(`relative flags that are ${how}: a worker is replaced after the program has gone elsewhere`, async (t) => {
      const dir = fs.realpathSync(temporary(t));
      fs.mkdirSync(path.join(dir, 'elsewhere'));
      fs.writeFileSync(path.join(dir, 'hook.js'), 'globalThis.marks = [...(globalThis.marks ?? []), "file"];');
      fs.writeFileSync(path.join(dir, 'hook.mjs'), 'globalThis.marks = [...(globalThis.marks ?? []), "module"];');
      const flags = ['--require', './hook.js', '--import', './hook.mjs'];
      const { messages } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool({
          processes: 1, maxTasksPerChild: 1, type: process.env.TEST_MODE_TYPE,
          ...(${given} ? { execArgv: ${JSON.stringify(flags)} } : {}),
        });
        const before = await pool.apply(() => globalThis.marks ?? []);
        process.chdir('elsewhere');
        // The worker of the first of these may have been started before.
        await pool.apply(() => 1);
        const after = await pool.apply(() => globalThis.marks ?? []);
        await pool.terminate();
        console.log(JSON.stringify([before, after]));
      `), { mode, cwd: dir, execArgv: given ? [] : flags });
      assert.deepEqual(messages, [[['file', 'module'], ['file', 'module']]]);
    });
  }

  test('variables of a file that was changed since are those that the parent has', async (t) => {
    const dir = workplace(t);
    const source = program('never').replace('const seen', "require('node:fs').writeFileSync('.env', 'FROM_FILE=changed\\n');\n  process.env.FROM_SECOND = 'set';\n  const seen");
    const { messages: [{ parent, worker }] } = await run(t, source, {
      mode, cwd: dir, execArgv: ['--env-file=.env'], env: { LIBRARY: root },
    });
    assert.deepEqual(parent, { marks: [], file: 'one', second: 'set' });
    assert.deepEqual(worker, parent);
  });

  for (const when of ['never', 'after it is loaded']) {
    test(`a file of variables that is gone since keeps no worker from starting, chdir ${when}`, async (t) => {
      const dir = workplace(t);
      const gone = `require('node:fs').unlinkSync(${JSON.stringify(path.join(dir, 'second.env'))});`;
      const source = program(when).replace('const seen', `${gone}\n  const seen`);
      const { messages: [{ worker }] } = await run(t, source, {
        mode, cwd: dir, execArgv: ['--env-file=.env', '--env-file=second.env'], env: { LIBRARY: root },
      });
      assert.deepEqual([worker.file, worker.second], ['one', 'two']);
    });
  }
}, { needs: 'hasWorkers' });

forEachMode((mode) => {
  test('a relative filePath means the directory at the call, as it always has', async (t) => {
    const dir = workplace(t);
    fs.copyFileSync(fixture('act.js'), path.join(dir, 'else where', 'act.js'));
    const { messages } = await run(t, asynchronous(`
      process.chdir('else where');
      const parallelizer = make({ filePath: './act.js', parallelization: 1 });
      const { responses } = await parallelizer.run([{ do: 'echo', value: 1 }]);
      await parallelizer.close();
      console.log(JSON.stringify(responses));
    `), { mode, cwd: dir });
    assert.deepEqual(messages, [[1]]);
  });
});
