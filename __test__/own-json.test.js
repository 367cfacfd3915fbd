'use strict';
// The JSON that the library talks to itself in passes through nothing that others can replace; what becomes of whole
// programs is in patched-prototypes.test.js.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fromJson, toJson } = require('../lib/intrinsics/json');

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
