'use strict';
// Functions that a tool has rewritten before they travel by their source: coverage counters work, or the error names the
// tool and what to do.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { forEachMode } = require('../support/modes');
const { makePool } = require('../support/pool');

/** As a build would leave it: the source is all that there is. */
const built = (source) => (0, eval)(`(${source})`);

/** What istanbul (nyc, jest --coverage, babel-plugin-istanbul, vitest's istanbul provider) makes of `(a) => a > 1 ? a * 2 : 0`. */
const COUNTED = {
  'an arrow function': '(a) => { cov_2k3x9q1zp().f[0]++; cov_2k3x9q1zp().s[1]++; return a > 1 ? (cov_2k3x9q1zp().b[0][0]++, a * 2) : (cov_2k3x9q1zp().b[0][1]++, 0); }',
  'an asynchronous one': 'async (a) => { cov_1abc().f[0]++; cov_1abc().s[0]++; await null; cov_1abc().s[1]++; return a * 2; }',
  'one with a helper of its own':
    'function work(a) { cov_77().f[1]++; const twice = (n) => { cov_77().f[2]++; cov_77().s[3]++; return n * 2; }; return twice(a); }',
  'counters of two files': '(a) => { cov_a1().s[0]++; return cov_b2().s[0]++, a * 2; }',
  'short-circuit counters': '(a) => { return (cov_z().b[0][0]++, a) && (cov_z().b[0][1]++, a * 2) ? a * 2 : cov_z().bT?.[0]; }',
  'an older form': '(a) => { cov_q1w2e3.s[0]++; cov_q1w2e3.f[0]++; return a * 2; }',
};

forEachMode((mode) => {
  for (const [what, source] of Object.entries(COUNTED)) {
    test(`coverage counters: ${what}`, async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      assert.equal(await pool.apply(built(source), [4]), 8);
      assert.deepEqual(await pool.map(built(source), [4, 5]), [8, 10]);
    });
  }

  test('coverage counters in an initializer', async (t) => {
    const pool = makePool(t, mode, { processes: 1, initializer: built('(n) => { cov_i().s[0]++; globalThis.initialized = n; }'), initArgs: [5] });
    assert.equal(await pool.apply(() => globalThis.initialized), 5);
  });

  test('what a function calls itself is its own', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    assert.equal(await pool.apply(built('(a) => { const cov_mine = () => a; return cov_mine(); }'), [3]), 3);
    await assert.rejects(pool.apply(built('() => coverage()')), /coverage is not defined in a worker/);
  });

  for (const [source, tool] of [
    ['(a) => __awaiter(this, void 0, void 0, function* () { return a; })', /TypeScript/],
    ['(a) => tslib_1.__assign({}, a)', /TypeScript/],
    ['(a) => _asyncToGenerator(function* () { return a; })()', /Babel|SWC/],
    ['(a) => _async_to_generator(function* () { return a; })()', /Babel|SWC/],
    ['(a) => __vite_ssr_import_0__.twice(a)', /Vite/],
    ['(a) => __vi_import_0__.twice(a)', /Vite/],
    ['(a) => _lodash__WEBPACK_IMPORTED_MODULE_0__.twice(a)', /webpack/],
    ['(a) => __spreadProps(__spreadValues({}, a), {})', /esbuild/],
    ['(a) => import_lodash.twice(a)', /esbuild/],
  ]) {
    test(`an error names the tool: ${source.slice(7, 40)}`, async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      const error = await pool.apply(built(source), [1]).then(() => assert.fail(), (thrown) => thrown);
      assert.equal(error.name, 'ReferenceError');
      assert.match(error.message, /is not defined in a worker/);
      assert.match(error.message, tool);
    });
  }
});
