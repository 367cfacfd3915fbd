'use strict';
// What somebody has put onto the prototypes of built-in classes (Prototype.js and its like) changes neither what workers
// are told nor the values that travel, whichever side it is on.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

/** Evaluated in the parent before the library is used, or in a worker by a task. */
const PATCHES = {
  'Array.prototype.toJSON': "Array.prototype.toJSON = function () { return '[patched]'; };",
  'Object.prototype.toJSON':
    "Object.defineProperty(Object.prototype, 'toJSON', { configurable: true, writable: true, value: () => 'patched' });",
  // Which makes an accessor of whatever is described by a plain object.
  'Object.prototype.get': "Object.defineProperty(Object.prototype, 'get', { value: () => 1, configurable: true });",
  'toJSON of text, numbers and booleans':
    "for (const each of [String, Number, Boolean]) each.prototype.toJSON = function () { return 'patched'; };",
  'an enumerable method on Array.prototype': 'Array.prototype.last = function () { return this[this.length - 1]; };',
  'an enumerable method on Object.prototype': 'Object.prototype.tap = function (f) { f(this); return this; };',
  // Not of names that Node itself assigns (`id`, `name`, `code`): nothing could be required any more.
  'setters on Object.prototype': `
    const names = ['filePath', 'args', 'calls', 'worker', 'source', 'options', 'jobId', 'type', 'error', 'values', 'cause'];
    for (const name of names) {
      Object.defineProperty(Object.prototype, name, {
        configurable: true, get() { return undefined; }, set() { throw new Error('set'); },
      });
    }`,
  'JSON that wraps': `
    JSON.stringify = (value) => stringify({ wrapped: value });
    JSON.parse = (text) => { const value = parse(text); return value?.wrapped ?? value; };`,
  'JSON.stringify': "JSON.stringify = () => 'patched';",
  'JSON.parse': 'JSON.parse = () => null;',
};

const VALUES = [[1, 'a', null], { list: [1, 2], text: 't' }, 'text', [], {}, [{ a: 1 }, { a: 2 }], { deep: { list: [[1]] } }];

const body = (patch, where) => asynchronous(`
  const { Pool } = require(${JSON.stringify(root)});
  const { stringify, parse } = JSON;
  const { isDeepStrictEqual, inspect } = require('node:util');
  const type = process.env.TEST_MODE_TYPE;
  const VALUES = parse(${JSON.stringify(JSON.stringify(VALUES))});
  const RECORDS = [];
  for (let i = 0; i < 200; i++) RECORDS[i] = { do: 'echo', value: i, list: [i, 'x'.repeat(100)] };
  const out = [];
  const check = (name, right) => { out[out.length] = name + ': ' + (right ? 'ok' : 'WRONG'); };
  ${where === 'parent' ? patch : ''}
  try {
    const pool = new Pool({ processes: 1, type, env: { PATH: process.env.PATH }, initializer: (a) => void (globalThis.initialized = a), initArgs: [[1, 2]] });
    ${where === 'worker' ? `await pool.apply(() => { const { stringify, parse } = JSON; ${patch} });` : ''}
    check('initArgs', isDeepStrictEqual(await pool.apply(() => globalThis.initialized), [1, 2]));
    for (let i = 0; i < VALUES.length; i++) {
      const back = await pool.apply((value) => value, [VALUES[i]]);
      check('value ' + i, isDeepStrictEqual(back, VALUES[i]));
      const seen = await pool.apply((value) => require('node:util').inspect(value, { depth: 9, breakLength: Infinity }), [VALUES[i]]);
      check('as seen ' + i, seen === inspect(VALUES[i], { depth: 9, breakLength: Infinity }));
    }
    check('map', isDeepStrictEqual(await pool.map((value) => value, VALUES), VALUES));
    check('records', isDeepStrictEqual(await pool.apply((value) => value, [RECORDS]), RECORDS));
    const error = await pool.apply(() => { throw Object.assign(new RangeError('no'), { list: [1, 2], code: 'E' }); }).catch((thrown) => thrown);
    check('error', error instanceof RangeError && error.message === 'no' && isDeepStrictEqual(error.list, [1, 2]) && error.code === 'E');
    await pool.terminate();
    const printing = new Pool({ processes: 1, type, stdio: 'forward' });
    ${where === 'worker' ? `await printing.apply(() => { const { stringify, parse } = JSON; ${patch} });` : ''}
    await printing.apply(() => console.log('printed'));
    printing.close();
    await printing.join();
    const parallelizer = make({ parallelization: 2 });
    const { responses, failures } = await parallelizer.run(RECORDS, { params: [1] });
    check('run', isDeepStrictEqual(responses, [99, 199]) && failures.length === 0);
    parallelizer.stats();
    await parallelizer.close();
  } catch (error) {
    out[out.length] = 'thrown: ' + (error.stack ?? error);
  }
  process.stdout.write(out.join('\\n') + '\\n');
`);

forEachMode((mode) => {
  for (const where of ['parent', 'worker']) {
    if (where === 'worker' && !mode.hasWorkers) continue;
    for (const [what, patch] of Object.entries(PATCHES)) {
      test(`${what}, in the ${where}`, async (t) => {
        const { stdout, stderr } = await run(t, body(patch, where), { mode });
        const wrong = stdout.split('\n').filter((line) => line !== '' && !line.endsWith(': ok'));
        assert.deepEqual(wrong, ['printed'], stderr);
        assert.ok(stdout.includes('run: ok'), stdout);
      });
    }
  }
});
