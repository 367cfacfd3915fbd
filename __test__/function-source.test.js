'use strict';
// Functions by their source: what `import()` resolves from, and what tools have put into their text.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool } = require('./support/pool');
const { asynchronous, run } = require('./support/scripts');

const built = (source) => (0, eval)(`(${source})`);

forEachMode((mode) => {
  for (const execArgv of [[], ['--disallow-code-generation-from-strings']]) {
    test(`import() resolves from the working directory ${execArgv}`, async (t) => {
      const dir = fs.realpathSync(temporary(t));
      const module = 'export const twice = (n) => 2 * n;';
      fs.mkdirSync(path.join(dir, 'node_modules', 'doubler'), { recursive: true });
      fs.writeFileSync(path.join(dir, 'double.mjs'), module);
      fs.writeFileSync(path.join(dir, 'node_modules', 'doubler', 'index.mjs'), module);
      fs.writeFileSync(path.join(dir, 'node_modules', 'doubler', 'package.json'), '{ "exports": "./index.mjs" }');
      const { messages, stderr } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
        const results = [];
        for (const from of ['./double.mjs', ${JSON.stringify(path.join(dir, 'double.mjs'))}, 'doubler']) {
          results.push(await pool.apply(async (specifier) => (await import(specifier)).twice(2), [from]));
        }
        results.push(await pool.apply(async () => typeof (await import('node:fs')).readFileSync));
        results.push(await pool.apply(() => import('./none.mjs')).catch((error) => error.code));
        results.push(await pool.apply(() => [typeof exports, typeof module, typeof __filename, typeof require].join()));
        await pool.terminate();
        console.log(JSON.stringify(results));
      `), { mode, cwd: dir, execArgv });
      const expected = [4, 4, 4, 'function', 'ERR_MODULE_NOT_FOUND', 'undefined,undefined,undefined,function'];
      assert.deepEqual(messages, [expected]);
      // A way of Node's that is experimental has to be announced, and is taken only where there is no other.
      if (execArgv.length === 0) assert.equal(stderr, '');
    });
  }

  for (const [what, source] of Object.entries({
    'counters of Istanbul': '(a) => { cov_1x2y3z().f[0]++; cov_1x2y3z().s[1]++; return a ? (cov_1x2y3z().b[0][0]++, a) : 0; }',
    'counters as they once were': "(a) => { __cov_Xy$1_.s['1']++; __cov_Xy$1_.f['1']++; return a; }",
    'mutants that are not active': '(a) => stryMutAct_9fa48("0") ? 0 : (stryCov_9fa48("0"), a)',
  })) {
    test(`stand-ins: ${what}`, async (t) => {
      assert.deepEqual(await makePool(t, mode, { processes: 1 }).map(built(source), [3, 4]), [3, 4]);
    });
  }

  test('what only looks like a counter is missing as ever', async (t) => {
    const error = await makePool(t, mode, { processes: 1 }).apply(built('() => cov_matrix[0][1]')).catch((thrown) => thrown);
    assert.match(error.message, /^cov_matrix is not defined in a worker: /);
  });

  test('the error about a helper names the tool', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    for (const [name, tool] of Object.entries({
      __awaiter: 'TypeScript', tslib_1: 'TypeScript', tools_1: 'TypeScript', __spreadArray: 'TypeScript',
      __spreadValues: 'esbuild', import_lodash: 'esbuild', _asyncToGenerator: 'Babel', _objectSpread2: 'Babel',
      _async_to_generator: 'SWC', __vite_ssr_import_0__: 'Vite', __webpack_require__: 'webpack', _optionalChain: 'Sucrase',
      __TURBOPACK__imported__module__1__: 'Turbopack',
    })) {
      const error = await pool.apply(built(`() => ${name}()`)).catch((thrown) => thrown);
      assert.equal(error.name, 'ReferenceError');
      assert.ok(error.message.startsWith(`${name} is not defined in a worker: it is `) && error.message.includes(tool), error.message);
      assert.match(error.message, /\{ filePath, name \}/);
    }
  });
});
