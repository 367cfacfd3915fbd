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

/** As a build would leave it: the source is all that there is. */
const built = (source) => (0, eval)(`(${source})`);

/** A working directory with modules and packages. */
function workplace(t) {
  const dir = fs.realpathSync(temporary(t));
  for (const [name, text] of Object.entries({
    'package.json': '{ "name": "workplace", "imports": { "#own": "./sub/own.mjs" } }',
    'esm.mjs': 'export const twice = (n) => n * 2;',
    'common.cjs': 'exports.twice = (n) => n * 2;',
    'sub/own.mjs': "export { twice } from '../esm.mjs';",
    'node_modules/of-modules/package.json':
      '{ "type": "module", "exports": { ".": "./index.js", "./sub": "./sub.js" } }',
    'node_modules/of-modules/index.js': 'export const name = import.meta.url.split("/").at(-2);',
    'node_modules/of-modules/sub.js': 'export default "sub";',
    'node_modules/of-commons/package.json': '{ "name": "of-commons" }',
    'node_modules/of-commons/index.js': 'exports.name = "of-commons";',
  })) {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), text);
  }
  return dir;
}

/** What a function imports, and what comes of it. */
const IMPORTS = {
  'a relative path': ["async () => (await import('./esm.mjs')).twice(2)", 4],
  'a relative path of CommonJS': ["async () => (await import('./common.cjs')).twice(2)", 4],
  'an absolute path': ["async () => (await import(process.cwd() + '/esm.mjs')).twice(2)", 4],
  'a URL': ["async () => (await import(require('node:url').pathToFileURL('esm.mjs').href)).twice(2)", 4],
  'a package of ES modules': ["async () => (await import('of-modules')).name", 'of-modules'],
  'an entry of a package': ["async () => (await import('of-modules/sub')).default", 'sub'],
  'a package of CommonJS': ["async () => (await import('of-commons')).name", 'of-commons'],
  'an import of the package itself': ["async () => (await import('#own')).twice(2)", 4],
  'a built-in module': ["async () => typeof (await import('node:fs')).readFileSync", 'function'],
  'one within a helper': [
    "async () => { const load = (name) => import(name); return (await load('./esm.mjs')).twice(2); }", 4,
  ],
  'one that is not there': ["() => import('./none.mjs').catch((error) => error.code)", 'ERR_MODULE_NOT_FOUND'],
  'what a module would have': [
    "() => [typeof exports, typeof module, typeof __filename, typeof require].join()",
    'undefined,undefined,undefined,function',
  ],
};

const tasks = Object.entries(IMPORTS).map(([name, [source]]) => `${JSON.stringify(name)}: ${source}`).join(', ');

forEachMode((mode) => {
  for (const execArgv of [[], ['--disallow-code-generation-from-strings']]) {
    test(`import() resolves from the working directory ${execArgv}`, async (t) => {
      const { messages: [found], stderr } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool({
          processes: 1,
          type: process.env.TEST_MODE_TYPE,
          initializer: async () => { globalThis.quadruple = async (n) => (await import('./esm.mjs')).twice(2 * n); },
        });
        const found = { initializer: await pool.apply(() => globalThis.quadruple(4)) };
        for (const [name, task] of Object.entries({ ${tasks} })) {
          found[name] = await pool.apply(task).catch((error) => error.code + ': ' + error.message);
        }
        await pool.terminate();
        console.log(JSON.stringify(found));
      `), { mode, cwd: workplace(t), execArgv });
      const expected = Object.entries(IMPORTS).map(([name, [, value]]) => [name, value]);
      assert.deepEqual(found, { initializer: 16, ...Object.fromEntries(expected) });
      // A way of Node's that is experimental has to be announced, and is taken only where there is no other.
      if (execArgv.length === 0) assert.equal(stderr, '');
    });
  }

  test('without a working directory, functions that need none of it run', async (t) => {
    if (mode.name === 'threads') return t.skip('Node starts no thread without a working directory');
    const dir = workplace(t);
    const { messages: [results] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      require('node:fs').rmSync(process.cwd(), { recursive: true });
      const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
      const results = [await pool.apply((n) => n + 1, [1]), await pool.apply(() => require('node:path').sep)];
      await pool.terminate();
      console.log(JSON.stringify(results));
    `), { mode, cwd: dir });
    assert.deepEqual(results, [2, '/']);
  });

  test('an error after an import still says which variable is missing, and why', async (t) => {
    const { messages: [[message]] } = await run(t, asynchronous(`
      const { Pool } = require(${JSON.stringify(root)});
      const outer = 1;
      const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE });
      const task = async () => { await import('./esm.mjs'); return outer; };
      const error = await pool.apply(task).catch((thrown) => thrown);
      await pool.terminate();
      console.log(JSON.stringify([error.message]));
    `), { mode, cwd: workplace(t) });
    assert.match(message, /^outer is not defined in a worker: a function travels by its source/);
  });

  for (const [what, source] of Object.entries({
    'counters of Istanbul, in branches':
      '(a) => { cov_2k3x9q().f[0]++; return a > 9 ? (cov_2k3x9q().b[0][0]++, 0) : (cov_2k3x9q().b[0][1]++, a * 2); }',
    'in an asynchronous function':
      'async (a) => { cov_1abc().f[0]++; cov_1abc().s[0]++; await null; cov_1abc().s[1]++; return a * 2; }',
    'in a helper within':
      'function work(a) { const twice = (n) => { cov_77().f[2]++; cov_77().s[3]++; return n * 2; }; return twice(a); }',
    'of two files': '(a) => { cov_a1().s[0]++; return cov_b2().s[0]++, a * 2; }',
    'at a short circuit':
      '(a) => (cov_z().b[0][0]++, a) && (cov_z().b[0][1]++, a * 2) ? a * 2 : cov_z().bT?.[0]',
    'without a call': '(a) => { cov_q1w2e3.s[0]++; cov_q1w2e3.f[0]++; return a * 2; }',
    'as they once were': "(a) => { __cov_Xy$1_.s['1']++; __cov_Xy$1_.f['1']++; return a * 2; }",
    'mutants that are not active': '(a) => stryMutAct_9fa48("0") ? 0 : (stryCov_9fa48("0"), a * 2)',
  })) {
    test(`stand-ins: ${what}`, async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      assert.equal(await pool.apply(built(source), [4]), 8);
      assert.deepEqual(await pool.map(built(source), [3, 4]), [6, 8]);
    });
  }

  test('stand-ins in an initializer', async (t) => {
    const initializer = built('(n) => { cov_i().s[0]++; globalThis.initialized = n; }');
    const pool = makePool(t, mode, { processes: 1, initializer, initArgs: [5] });
    assert.equal(await pool.apply(() => globalThis.initialized), 5);
  });

  test('a variable of the function itself is its own, whatever it is called', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    assert.equal(await pool.apply(built('(a) => { const cov_mine = () => a; return cov_mine(); }'), [3]), 3);
  });

  test('what only looks like a counter is missing as ever', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const error = await pool.apply(built('() => cov_matrix[0][1]')).catch((thrown) => thrown);
    assert.match(error.message, /^cov_matrix is not defined in a worker: /);
    const why = /^ReferenceError: coverage is not defined in a worker: a function/;
    await assert.rejects(pool.apply(built('() => coverage()')), why);
  });

  test('the error about a helper names the tool', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    for (const [name, tool] of Object.entries({
      __awaiter: 'TypeScript', tslib_1: 'TypeScript', tools_1: 'TypeScript', __spreadArray: 'TypeScript',
      __spreadValues: 'esbuild', __spreadProps: 'esbuild', import_lodash: 'esbuild', _asyncToGenerator: 'Babel',
      _objectSpread2: 'Babel', _async_to_generator: 'SWC', __vite_ssr_import_0__: 'Vite', __vi_import_0__: 'Vite',
      __webpack_require__: 'webpack', _lodash__WEBPACK_IMPORTED_MODULE_0__: 'webpack', _optionalChain: 'Sucrase',
      __TURBOPACK__imported__module__1__: 'Turbopack',
    })) {
      const error = await pool.apply(built(`() => ${name}()`)).catch((thrown) => thrown);
      assert.equal(error.name, 'ReferenceError');
      assert.ok(error.message.startsWith(`${name} is not defined in a worker: it is `), error.message);
      assert.ok(error.message.includes(tool), error.message);
      assert.match(error.message, /\{ filePath, name \}/);
    }
  });

  test('a helper that has lost its name is known by how it is called', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    for (const source of [
      '(n)=>{const i=r(m=>m*2,"twice");return i(n)}', '(n)=>{function i(m){return m*2}r(i,"twice");return i(n)}',
      '(n)=>{class A{static{r(this,"Own")}}return new A}', 'async n=>{const i=r(async()=>n,"own");return i()}',
    ]) {
      const error = await pool.apply(built(source), [1]).catch((thrown) => thrown);
      assert.match(error.message, /^r is not defined in a worker: it looks like the helper .*esbuild.*keepNames/);
    }
    for (const source of ['(n) => r + n', '() => rest(() => 1, "a")', '() => r(1, "a")']) {
      const error = await pool.apply(built(source), [1]).catch((thrown) => thrown);
      assert.match(error.message, /is not defined in a worker: a function travels by its source/, source);
    }
  });
});
