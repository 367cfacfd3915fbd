'use strict';

// Whatever is thrown in a worker reaches the parent, as close to the original as data can be.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const util = require('node:util');
const vm = require('node:vm');
const { flattenError } = require('../lib/codec/error-flattener');
const { restoreError } = require('../lib/codec/error-restorer');
const { ParallelizerError, workerExited } = require('../lib/errors');

/** From a worker to the parent, by way of JSON. */
const travel = (thrown) => restoreError(JSON.parse(JSON.stringify(flattenError(thrown))));
const textOf = (thrown) => flattenError(thrown).text;
const fails = () => {
  throw new Error('hands off');
};

/** @param {() => unknown} run */
function caught(run) {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('built-in classes arrive as themselves, with the stack of the worker', () => {
  for (const Class of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
    const error = new Class('what happened');
    const arrived = travel(error);
    assert.equal(Object.getPrototypeOf(arrived), Class.prototype);
    assert.ok(util.types.isNativeError(arrived));
    assert.equal(arrived.message, 'what happened');
    assert.equal(arrived.stack, error.stack);
    assert.deepEqual(Object.keys(arrived), []);
    assert.deepEqual(arrived, error);
    assert.deepEqual(Object.getOwnPropertyNames(arrived).sort(), Object.getOwnPropertyNames(error).sort());
  }
});

test('DOMException and the abort errors of the platform', () => {
  const error = new DOMException('gone', 'AbortError');
  const arrived = travel(error);
  assert.ok(arrived instanceof DOMException);
  assert.deepEqual([arrived.name, arrived.message, arrived.code], ['AbortError', 'gone', 20]);
  assert.equal(arrived.stack, error.stack);
  const reason = travel(AbortSignal.abort().reason);
  assert.ok(reason instanceof DOMException && reason.name === 'AbortError');
  const nodes = travel(Object.assign(new Error('aborted', { cause: 1 }), { name: 'AbortError', code: 'ABORT_ERR' }));
  assert.deepEqual(
    [nodes.name, nodes.code, nodes.cause, String(nodes)],
    ['AbortError', 'ABORT_ERR', 1, 'AbortError: aborted'],
  );
});

test('AggregateError, with its errors', () => {
  const arrived = travel(new AggregateError([new TypeError('one'), 'two', undefined], 'several'));
  assert.ok(arrived instanceof AggregateError);
  assert.ok(arrived.errors[0] instanceof TypeError);
  assert.deepEqual(arrived.errors.slice(1), ['two', undefined]);
  assert.equal(Object.getOwnPropertyDescriptor(arrived, 'errors').enumerable, false);
});

test("a user's class arrives as its nearest built-in class, under its own name", () => {
  class ValidationError extends TypeError {
    constructor(message, field) {
      super(message);
      this.name = 'ValidationError';
      this.field = field;
    }
  }
  const arrived = travel(new ValidationError('bad', 'email'));
  assert.ok(arrived instanceof TypeError);
  assert.equal(arrived.constructor.name, 'ValidationError');
  assert.ok(!Object.keys(arrived).includes('constructor'));
  assert.deepEqual({ ...arrived }, { name: 'ValidationError', field: 'email' });
  assert.equal(travel(new ValidationError('bad')).constructor, arrived.constructor, 'one class for all of its errors');
  assert.equal(util.inspect(travel(new (class Quiet extends Error {})('x'))).split('\n')[0], 'Quiet [Error]: x');
});

test('a name, a message and a code that the class defines', () => {
  class HttpError extends Error {
    get name() {
      return 'HttpError';
    }
    get message() {
      return 'from a getter';
    }
    get code() {
      return 'E_HTTP';
    }
  }
  const arrived = travel(new HttpError());
  assert.deepEqual([arrived.name, arrived.message, arrived.code], ['HttpError', 'from a getter', 'E_HTTP']);
  assert.deepEqual(Object.keys(arrived), []);
});

test('classes from before the class syntax, and from another realm', () => {
  function OldError(message) {
    this.message = message;
  }
  OldError.prototype = Object.create(Error.prototype, { constructor: { value: OldError } });
  OldError.prototype.name = 'OldError';
  const old = travel(new OldError('creaks'));
  assert.ok(old instanceof Error);
  assert.equal(String(old), 'OldError: creaks');
  assert.ok(!String(old.stack).includes('error-codec'), 'no stack is invented');
  assert.ok(travel(vm.runInNewContext('new RangeError("far away")')) instanceof RangeError);
});

test("Node's errors keep what programs check", () => {
  const arrived = travel(caught(() => fs.readFileSync('/no/such/file')));
  const { code, errno, syscall, path } = arrived;
  assert.deepEqual(
    { code, errno, syscall, path },
    { code: 'ENOENT', errno: -2, syscall: 'open', path: '/no/such/file' },
  );
  const assertion = travel(caught(() => assert.deepEqual({ a: 1 }, { a: 2 })));
  assert.equal(assertion.code, 'ERR_ASSERTION');
  assert.deepEqual([assertion.actual, assertion.expected], [{ a: 1 }, { a: 2 }]);
});

test("errors of this library stay instances of their class", () => {
  const error = workerExited({ pid: 7, exitCode: 1, stderr: 'last words' });
  const arrived = travel(error);
  assert.ok(arrived instanceof ParallelizerError);
  assert.deepEqual(arrived, error);
  const lookalike = Object.assign(new Error('x'), { name: 'ParallelizerError', code: 'ERR_PARALLELIZER_CLOSED' });
  assert.ok(!(travel(lookalike) instanceof ParallelizerError));
});

test('own properties, including what JSON would lose', () => {
  const properties = {
    undefined,
    null: null,
    nan: NaN,
    infinite: -Infinity,
    zero: -0,
    big: -(2n ** 100n),
    date: new Date(1e12),
    nested: { list: [1, undefined, { deep: NaN }] },
  };
  const arrived = travel(Object.assign(new Error('x'), properties));
  assert.deepEqual({ ...arrived }, properties);
  assert.ok(Object.is(arrived.zero, -0));
  const { never } = travel(Object.assign(new Error('x'), { never: new Date(NaN) }));
  assert.ok(never instanceof Date && Number.isNaN(never.getTime()));
});

test('what cannot travel is left out without affecting the rest', () => {
  const error = Object.assign(new Error('kept'), {
    call: () => {},
    symbol: Symbol('s'),
    [Symbol('key')]: 1,
    weak: new WeakMap(),
    callback: new Map([[1, () => {}]]),
    promise: Promise.resolve(),
    list: [1, () => {}, 3],
    code: 'E_KEPT',
  });
  Object.defineProperty(error, 'trap', { enumerable: true, get: fails });
  Object.defineProperty(error, 'hidden', { value: 1 });
  assert.deepEqual({ ...travel(error) }, { list: [1, undefined, 3], code: 'E_KEPT' });
});

test('objects whose content is not in properties', () => {
  const properties = {
    map: new Map([[1, new Set([2n])]]),
    bytes: Buffer.from('x'),
    numbers: new Float32Array([1.5]),
    pattern: /a/g,
  };
  assert.deepEqual({ ...travel(Object.assign(new Error('x', { cause: properties.map }), properties)) }, properties);
  assert.deepEqual(travel(new Error('x', { cause: properties.map })).cause, properties.map);
  for (const thrown of Object.values(properties)) assert.deepEqual(travel(thrown), thrown);
});

test('causes: nested, not an error, explicitly undefined, none', () => {
  const arrived = travel(new Error('top', { cause: new TypeError('middle', { cause: { status: 404 } }) }));
  assert.ok(arrived.cause instanceof TypeError);
  assert.deepEqual(arrived.cause.cause, { status: 404 });
  assert.equal(Object.getOwnPropertyDescriptor(arrived, 'cause').enumerable, false);
  assert.ok('cause' in travel(new Error('x', { cause: undefined })));
  assert.ok(!('cause' in travel(new Error('x'))));
});

test('cycles and shared objects keep their shape', () => {
  const error = new Error('x');
  const shared = { n: 1 };
  error.cause = error;
  error.one = shared;
  error.two = [shared];
  shared.back = error;
  const arrived = travel(error);
  assert.equal(arrived.cause, arrived);
  assert.equal(arrived.one, arrived.two[0]);
  assert.equal(arrived.one.back, arrived);
});

test('keys that could pollute a prototype are just keys', () => {
  const error = Object.assign(new Error('x'), { details: JSON.parse('{"__proto__":{"polluted":1},"constructor":2}') });
  Object.defineProperty(error, '__proto__', { value: { polluted: 1 }, enumerable: true });
  const arrived = travel(error);
  assert.ok(arrived instanceof Error);
  assert.equal(arrived.polluted, undefined);
  assert.deepEqual(Object.keys(arrived.details), ['__proto__', 'constructor']);
  assert.equal({}.polluted, undefined);
});

test('a thrown value that is not an error arrives as thrown', () => {
  for (const thrown of [undefined, null, 'text', '', 42, NaN, -0, true, 10n, { a: [{ b: undefined }] }, [1, [2]]]) {
    const arrived = travel(thrown);
    assert.deepEqual(arrived, thrown);
    assert.ok(typeof thrown === 'object' || Object.is(arrived, thrown));
  }
  const long = 'x'.repeat(2 ** 24);
  assert.equal(travel(long), long);
});

test('what cannot arrive as thrown is described', () => {
  assert.equal(travel(Symbol('thrown')), 'Symbol(thrown)');
  assert.match(travel(() => 'thrown'), /thrown/);
  assert.equal(travel(new WeakMap()), '[object WeakMap]');
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(travel(proxy), 'a value that cannot be shown');
});

test('the text is made in the worker, by the toString of the error itself', () => {
  class Loud extends Error {
    toString() {
      return `LOUD! ${this.message}`;
    }
  }
  assert.equal(textOf(new Loud('x')), 'LOUD! x');
  assert.equal(textOf(new TypeError('x')), 'TypeError: x');
  assert.equal(textOf('thrown'), 'thrown');
  assert.equal(textOf(undefined), 'undefined');
  assert.equal(textOf(Symbol('s')), 'Symbol(s)');
  assert.equal(textOf(Object.create(null)), '[object Object]');
  assert.equal(textOf(Object.assign(new RangeError('x'), { toString: fails })), 'RangeError: x');
  assert.equal(textOf({ toString: () => ({}), valueOf: () => ({}) }), '[object Object]');
  assert.equal('text' in flattenError(new Error('x'), { text: false }), false);
});

test('hostile objects', () => {
  const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((name) => [name, fails]));
  for (const thrown of [
    new Proxy({}, traps),
    new Proxy(new Error('x'), traps),
    new Proxy([], traps),
    new Proxy(() => {}, traps),
    Object.assign(new Error('x'), { inner: new Proxy({}, traps), cause: new Proxy([1], traps) }),
    Object.setPrototypeOf(new Error('x'), new Proxy(Error.prototype, traps)),
    Object.setPrototypeOf(new Error('x'), null),
    Object.defineProperties(new Error('x'), {
      stack: { get: fails },
      name: { get: fails },
      message: { get: fails },
      cause: { get: fails },
    }),
    Object.assign(new Error('x'), { name: Symbol('n'), message: {}, stack: 5 }),
    Object.freeze(new Error('x')),
  ]) {
    assert.doesNotThrow(() => travel(thrown));
    assert.equal(typeof textOf(thrown), 'string');
  }
  const behind = travel(new Proxy(new TypeError('behind a proxy'), {}));
  assert.ok(behind instanceof TypeError && behind.message === 'behind a proxy');
  const endless = new Proxy(new Error('x'), { getPrototypeOf: () => endless });
  assert.doesNotThrow(() => flattenError(endless));
});

test('Error.prepareStackTrace that throws or does not return text', () => {
  const original = Error.prepareStackTrace;
  try {
    for (const prepare of [(_, frames) => frames, fails]) {
      Error.prepareStackTrace = prepare;
      const arrived = travel(new TypeError('x'));
      assert.equal(arrived.message, 'x');
      assert.equal(typeof arrived.stack, 'string');
    }
  } finally {
    Error.prepareStackTrace = original;
  }
});

test('restoring leaves Error.stackTraceLimit as it was', () => {
  const limit = Error.stackTraceLimit;
  travel(new Error('x'));
  assert.equal(Error.stackTraceLimit, limit);
});

test('depth and size are bounded, in space and in time', () => {
  let deep = new Error('the root');
  for (let i = 0; i < 100_000; i++) deep = new Error(`level ${i}`, { cause: deep });
  let nested = {};
  for (let i = 0; i < 100_000; i++) nested = { nested };
  const huge = Object.assign(new Error('x'.repeat(2 ** 25)), {
    code: 'E_HUGE',
    items: Array.from({ length: 1e6 }, (_, i) => i),
    sparse: new Array(2 ** 32 - 1),
  });
  for (const thrown of [
    deep,
    Object.assign(new Error('x'), { nested }),
    huge,
    new AggregateError(Array.from({ length: 50_000 }, (_, i) => new Error(String(i))), 'many'),
    new Proxy({}, { ownKeys: () => Array.from({ length: 1e5 }, (_, i) => `key${i}`) }),
  ]) {
    const began = process.cpuUsage();
    const json = JSON.stringify(flattenError(thrown));
    restoreError(JSON.parse(json));
    const { user } = process.cpuUsage(began);
    assert.ok(json.length < 40 * 2 ** 20, `${json.length} characters`);
    // CPU time, which other processes cannot lengthen.
    assert.ok(user < 2_000_000, `${user / 1000} ms`);
  }
  assert.equal(travel(deep).cause.cause.message, 'level 99997');
  assert.ok(travel(huge).message.startsWith('xxxx'));
});

test('class names do not fill the memory', () => {
  for (let i = 0; i < 2000; i++) {
    const { Class } = { Class: { [`Class${i}`]: class extends Error {} }[`Class${i}`] };
    const arrived = travel(new Class('x'));
    assert.ok(arrived instanceof Error && arrived.message === 'x');
  }
});
