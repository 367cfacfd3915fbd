'use strict';
// Within a `vm` context that has modules of its own, as in a sandbox of Jest: what is decoded belongs to the realm in
// which the library was loaded, so that `instanceof` says what it would say in a worker.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { test } = require('node:test');
const vm = require('node:vm');

const { root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

/** Globals that are no part of the language, as Jest hands them on. Buffers are of the outer `Uint8Array`. */
const SHARED_GLOBALS = [
  'AbortController', 'AbortSignal', 'ArrayBuffer', 'Blob', 'Buffer', 'DOMException', 'Event', 'EventTarget',
  'TextDecoder', 'TextEncoder', 'URL', 'Uint8Array', 'clearImmediate', 'clearInterval', 'clearTimeout', 'console',
  'performance', 'process', 'queueMicrotask', 'setImmediate', 'setInterval', 'setTimeout', 'structuredClone',
];

/** A context, and a `require` whose modules are evaluated within it. */
function sandbox() {
  const context = vm.createContext({});
  context.global = context.globalThis = vm.runInContext('this', context);
  for (const name of SHARED_GLOBALS) context[name] = globalThis[name];
  const modules = new Map();
  const requireFrom = (from) => {
    const resolver = Module.createRequire(from);
    const requireIn = (name) => {
      if (Module.isBuiltin(name)) {
        // As Jest does it: a `require` made by `createRequire` stays within the sandbox.
        const isModule = name === 'node:module' || name === 'module';
        return isModule ? { ...Module, createRequire: (file) => requireFrom(file) } : require(name);
      }
      const file = resolver.resolve(name);
      if (file.endsWith('.node')) return require(file);
      let module = modules.get(file);
      if (module === undefined) {
        modules.set(file, (module = { exports: {} }));
        const text = fs.readFileSync(file, 'utf8');
        if (file.endsWith('.json')) {
          module.exports = vm.runInContext(`(${text})`, context);
        } else {
          const source = `(function (exports, require, module, __filename, __dirname) {${text}\n})`;
          const wrapper = vm.runInContext(source, context, { filename: file });
          wrapper(module.exports, requireFrom(file), module, file, path.dirname(file));
        }
      }
      return module.exports;
    };
    return Object.assign(requireIn, { resolve: resolver.resolve });
  };
  return requireFrom(path.join(root, 'index.js'));
}

/** A module for both sides: makes values, and tells of them what `instanceof` says there. */
const MODULE = `
const make = () => {
  const value = {
    Date: new Date(5), Map: new Map([[{ key: new Date(1) }, new Set([new Map()])]]), Set: new Set([[new Date(2)]]),
    RegExp: /a/g,
    Error: new Error('e', { cause: new Map() }), RangeError: new RangeError('r'), Uint8Array: new Uint8Array([1]),
    Float64Array: new Float64Array([1]), DataView: new DataView(new ArrayBuffer(8)), ArrayBuffer: new ArrayBuffer(8),
    BigInt64Array: new BigInt64Array(2), Array: [[undefined]], Number: Object(1), String: Object('s'),
    Boolean: Object(true), undefined, buffer: Buffer.from('bytes'), big: new Float32Array(5000),
  };
  value.self = value;
  value.again = value.Map;
  return value;
};
const classes = {
  Array, Date, Map, Set, RegExp, RangeError, Error, Uint8Array, Float64Array, DataView, ArrayBuffer, BigInt64Array,
  Number, String, Boolean,
};
/** What is not as it should be. */
const wrongWith = (value) => {
  const wrong = Object.keys(classes).filter((name) => !(value[name] instanceof classes[name]));
  const [[key, set]] = value.Map;
  const checks = {
    object: value instanceof Object && Object.getPrototypeOf(value) === Object.prototype,
    constructor: value.constructor === Object && value.Date.constructor === Date,
    self: value.self === value, again: value.again === value.Map,
    key: key instanceof Object && key.key instanceof Date, set: set instanceof Set && [...set][0] instanceof Map,
    inSet: [...value.Set][0] instanceof Array && [...value.Set][0][0] instanceof Date,
    list: value.Array[0] instanceof Array,
    cause: value.Error.cause instanceof Map, buffer: Buffer.isBuffer(value.buffer),
    big: value.big instanceof Float32Array,
  };
  return [...wrong, ...Object.keys(checks).filter((name) => !checks[name])];
};
const thrown = () => {
  const error = new RangeError('thrown', { cause: new TypeError('why') });
  return Object.assign(error, { at: new Date(3), map: new Map([[1, new Date(4)]]), list: [{}] });
};
const wrongWithThrown = (error) => {
  const checks = {
    error: error instanceof RangeError && error instanceof Error, cause: error.cause instanceof TypeError,
    at: error.at instanceof Date, map: error.map instanceof Map && error.map.get(1) instanceof Date,
    list: error.list instanceof Array && error.list[0] instanceof Object,
  };
  return Object.keys(checks).filter((name) => !checks[name]);
};
exports.make = make;
exports.wrongWith = wrongWith;
exports.wrongWithThrown = wrongWithThrown;
exports.visit = (value) => ({ wrong: wrongWith(value), value });
exports.fail = async () => { throw thrown(); };
const isPlain = (record) => Object.getPrototypeOf(record) === Object.prototype;
exports.records = (list) => list.map((record) => ({ ...record, isPlain: isPlain(record) }));
exports.batch = ({ batch, params }) => ({ wrong: wrongWith(params), isList: batch instanceof Array, params });
exports.share = (value) => ({
  isShared: value.memory instanceof SharedArrayBuffer && value.view instanceof Int32Array,
  ...value,
});
`;

forEachMode((mode) => {
  const setUp = (t) => {
    const file = path.join(temporary(t), 'module.js');
    fs.writeFileSync(file, MODULE);
    const requireIn = sandbox();
    const library = requireIn(path.join(root, 'index.js'));
    const pool = new library.Pool(1, { type: mode.type });
    t.after(() => pool.terminate());
    return { file, library, pool, requireIn, inside: requireIn(file), task: (name) => ({ filePath: file, name }) };
  };

  test('arguments and results', async (t) => {
    const { inside, pool, task } = setUp(t);
    const { wrong, value } = await pool.apply(task('visit'), [inside.make()]);
    assert.deepEqual([...wrong], [], 'what the function was given');
    assert.deepEqual([...inside.wrongWith(value)], [], 'what came back');
    // The sandbox is another realm indeed.
    assert.ok(!(value.Date instanceof Date) && !(value instanceof Object));
  });

  test('lists of records, and values that go as JSON', async (t) => {
    const { inside, pool, task } = setUp(t);
    const Outer = inside.make().constructor;
    for (const list of [[{ a: 1 }], Array.from({ length: 1000 }, (_, id) => ({ id, text: `text ${id}` }))]) {
      const records = await pool.apply(task('records'), [list]);
      assert.ok(records.every((record) => record.isPlain && record instanceof Outer));
    }
  });

  test('thrown errors, with what they hold', async (t) => {
    const { inside, library, pool, task } = setUp(t);
    const error = await pool.apply(task('fail'), []).then(() => assert.fail('did not throw'), (thrown) => thrown);
    assert.deepEqual([...inside.wrongWithThrown(error)], []);
    const refused = await pool.apply(task('visit'), [() => 1]).catch((thrown) => thrown);
    assert.ok(refused instanceof library.ParallelizerError);
  });

  test('sub-batches', async (t) => {
    const { file, inside, library } = setUp(t);
    const options = { type: mode.type, parallelization: 1, filePath: file, processBatchFunctionName: 'batch' };
    const parallelizer = new library.Parallelizer(options);
    t.after(() => parallelizer.terminate());
    const { responses, failures } = await parallelizer.run([1, 2], inside.make());
    assert.deepEqual([...failures], []);
    assert.deepEqual([[...responses[0].wrong], responses[0].isList], [[], true]);
    assert.deepEqual([...inside.wrongWith(responses[0].params)], []);
  });

  test('a function by its source says what a variable is that is not there', async (t) => {
    const { pool } = setUp(t);
    // eslint-disable-next-line no-undef
    const task = () => notThere;
    await assert.rejects(async () => pool.apply(task, []), /notThere is not defined in a worker: a function travels/);
  });

  test('shared memory', async (t) => {
    if (mode.hasProcess) return t.skip('processes share no memory of JavaScript');
    const { pool, task } = setUp(t);
    const memory = new SharedArrayBuffer(8);
    const shared = await pool.apply(task('share'), [{ memory, view: new Int32Array(memory) }]);
    assert.ok(shared.isShared);
  });
});
