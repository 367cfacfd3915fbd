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
