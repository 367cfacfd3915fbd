'use strict';
// Node's flags that name files relatively, once the program has gone elsewhere.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

forEachMode(
  (mode) => {
    for (const [how, place] of Object.entries({ 'in the command line': 'execArgv', 'in NODE_OPTIONS': 'env' })) {
      test(`preloaded modules, ${how}`, async (t) => {
        const dir = fs.realpathSync(temporary(t));
        fs.mkdirSync(path.join(dir, 'else where'));
        fs.mkdirSync(path.join(dir, 'node_modules', 'hook'), { recursive: true });
        fs.writeFileSync(path.join(dir, 'hook.js'), 'globalThis.marks = [...(globalThis.marks ?? []), "file"];');
        fs.writeFileSync(path.join(dir, 'node_modules', 'hook', 'index.js'), 'globalThis.marks = [...(globalThis.marks ?? []), "package"];');
        fs.writeFileSync(path.join(dir, 'hook.mjs'), 'globalThis.marks = [...(globalThis.marks ?? []), "module"];');
        const flags = ['--require', './hook.js', '-r', 'hook', '--import', './hook.mjs'];
        const { messages } = await run(t, asynchronous(`
          const { Pool } = require(${JSON.stringify(root)});
          process.chdir('else where');
          const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
          const marks = await pool.apply(() => globalThis.marks ?? []);
          await pool.terminate();
          console.log(JSON.stringify(marks));
        `), { mode, cwd: dir, ...(place === 'env' ? { env: { NODE_OPTIONS: flags.join(' ') } } : { execArgv: flags }) });
        assert.deepEqual(messages, [['file', 'package', 'module']]);
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

    test('files of variables, also one that is gone', async (t) => {
      const dir = fs.realpathSync(temporary(t));
      fs.mkdirSync(path.join(dir, 'elsewhere'));
      fs.writeFileSync(path.join(dir, '.env'), 'FROM_ONE=1\n');
      fs.writeFileSync(path.join(dir, 'two.env'), 'FROM_TWO=2\n');
      const { messages } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        process.chdir('elsewhere');
        require('node:fs').unlinkSync('../two.env');
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
        const seen = await pool.apply(() => [process.env.FROM_ONE, process.env.FROM_TWO]);
        await pool.terminate();
        console.log(JSON.stringify(seen));
      `), { mode, cwd: dir, execArgv: ['--env-file=.env', '--env-file=two.env'] });
      assert.deepEqual(messages, [['1', '2']]);
    });
  },
  { needs: ['hasWorkers'] },
);
