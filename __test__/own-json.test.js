'use strict';
// What the library says to itself does not pass through what others have put on prototypes or in the place of JSON.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fromJson, toJson } = require('../lib/intrinsics/json');
const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

test('the text is the one that JSON.stringify makes', () => {
  for (const value of [
    null, true, 0, -0, 1.5e300, NaN, -Infinity, '', 'Größe "quoted" \u2028 \ud800', [], {}, [undefined, null, [1]],
    { a: undefined, b: null, 'with "quotes"': [{ c: 1 }], __proto__: null }, JSON.parse('{"__proto__":1}'),
  ]) {
    assert.equal(toJson(value), JSON.stringify(value));
  }
});

test('what is not said is undefined, whatever objects inherit', (t) => {
  Object.defineProperty(Object.prototype, 'inherited', { value: 1, configurable: true });
  t.after(() => Reflect.deleteProperty(Object.prototype, 'inherited'));
  assert.equal(fromJson('{"own":2}').inherited, undefined);
  assert.equal(fromJson('{"own":2}').own, 2);
  assert.deepEqual(fromJson('[1]'), [1]);
});

const PATCHES = {
  'Array.prototype.toJSON': "Array.prototype.toJSON = () => 'patched';",
  'Object.prototype.toJSON': "Object.defineProperty(Object.prototype, 'toJSON', { value: () => 'patched', configurable: true });",
  'Object.prototype.get': "Object.defineProperty(Object.prototype, 'get', { value: () => 1, configurable: true });",
  'JSON.stringify': "JSON.stringify = () => 'patched';",
  'JSON.parse': 'JSON.parse = () => null;',
};

forEachMode((mode) => {
  for (const [what, patch] of Object.entries(PATCHES)) {
    test(`${what}, patched in the parent: workers start, run and tell what went wrong`, async (t) => {
      const { stdout } = await run(t, asynchronous(`
        const library = require(${JSON.stringify(root)});
        ${patch}
        const pool = new library.Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
        const ran = await pool.apply(() => 1 + 1);
        const thrown = await pool.apply(() => { throw new RangeError('no'); }).catch((error) => error);
        await pool.terminate();
        process.stdout.write([ran, thrown instanceof RangeError, thrown.message].join(' ') + '\\n');
      `), { mode });
      assert.equal(stdout, '2 true no\n');
    });

    if (!mode.hasWorkers) continue;
    test(`${what}, patched in a worker: what it prints and throws arrives`, async (t) => {
      const { stdout } = await run(t, asynchronous(`
        const { Pool } = require(${JSON.stringify(root)});
        const pool = new Pool({ processes: 1, type: process.env.TEST_MODE_TYPE, stdio: 'forward' });
        await pool.apply((0, eval)(${JSON.stringify(`(() => { ${patch} })`)}));
        await pool.apply(() => console.log('printed'));
        const thrown = await pool.apply(() => { throw new RangeError('no'); }).catch((error) => error);
        pool.close();
        await pool.join();
        process.stdout.write([thrown instanceof RangeError, thrown.message].join(' ') + '\\n');
      `), { mode });
      assert.equal(stdout, 'printed\ntrue no\n');
    });
  }
});
