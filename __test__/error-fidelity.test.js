'use strict';
// What the function throws arrives as thrown, through run's `errors`.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');

const { fixture, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { kinds } = require('./fixtures/errors');

forEachMode((mode) => {
  test('lists that belong to it keep their empty values, and so does a list that is thrown', async (t) => {
    const pool = new Pool({ processes: 1, type: mode.type });
    t.after(() => pool.terminate());
    const error = await within(
      pool.apply(() => { throw Object.assign(new Error('x'), { path: ['rows', null, undefined, 3], deep: [[null]] }); }).catch((thrown) => thrown),
      'its error',
    );
    assert.deepEqual([error.path, error.deep], [['rows', null, undefined, 3], [[null]]]);
    const all = await within(pool.apply(() => { throw new AggregateError([null, 1]); }).catch((thrown) => thrown), 'its error');
    assert.deepEqual(all.errors, [null, 1]);
    assert.deepEqual(await within(pool.apply(() => { throw [1, null]; }).catch((thrown) => thrown), 'a list'), [1, null]);
  });

  // One instance for the whole table; each case checks that the worker survives.
  const fail = async (t, kind, name = 'fail') => {
    const parallelizer = make(t, { type: mode.type, filePath: fixture('errors.js'), processBatchFunctionName: name });
    const result = await within(parallelizer.run([kind, 'fine']), kind);
    assert.deepEqual(result.responses, ['fine']);
    assert.equal(result.failures.length, 1);
    assert.equal(result.errors.length, 1);
    const [error] = result.errors;
    assert.ok(error instanceof Error);
    assert.equal(error.batchIndex, 0);
    assert.deepEqual([...error.records], [0]);
    return { error, failure: result.failures[0] };
  };

  for (const name of ['Error', 'TypeError', 'RangeError', 'SyntaxError', 'ReferenceError', 'EvalError', 'URIError']) {
    test(`${name} arrives as that class`, async (t) => {
      const { error, failure } = await fail(t, name);
      assert.equal(Object.getPrototypeOf(error), globalThis[name].prototype);
      assert.equal(error.name, name);
      assert.equal(failure, String(error));
      assert.match(failure, new RegExp(`^${name}: `));
      assert.ok(!Object.keys(error).includes('message') && !Object.keys(error).includes('stack'));
    });
  }

  test('the stack is the one from the worker', async (t) => {
    for (const name of ['fail', 'failLater']) {
      const { error } = await fail(t, 'TypeError', name);
      assert.match(error.stack, /^TypeError: of type\n/);
      assert.match(error.stack, /at throwHere \(.*errors\.js:\d+:\d+\)/);
    }
  });

  test('a user-defined class: name, code, own properties and cause', async (t) => {
    const { error, failure } = await fail(t, 'payment');
    assert.equal(error.name, 'PaymentError');
    assert.equal(error.message, 'card refused');
    assert.equal(error.code, 'E_PAYMENT');
    assert.equal(error.amount, 12.5);
    assert.deepEqual(error.details, { order: 'o-1', lines: [1, 2] });
    assert.ok(error.cause instanceof RangeError);
    assert.equal(error.cause.message, 'limit reached');
    assert.equal(failure, 'PaymentError: card refused');
    assert.equal(String(error), failure);
  });

  test('a subclass of a built-in class arrives as an instance of that class', async (t) => {
    const { error, failure } = await fail(t, 'quietSubclass');
    assert.ok(error instanceof TypeError);
    assert.equal(error.message, 'quiet');
    assert.equal(failure, 'TypeError: quiet');
  });

  test('failures are made by the toString of the error itself', async (t) => {
    assert.equal((await fail(t, 'loud')).failure, 'LOUD! hear me');
  });

  test('a chain of causes', async (t) => {
    const { error } = await fail(t, 'chain');
    assert.ok(error.cause instanceof TypeError);
    assert.equal(error.cause.message, 'middle');
    assert.equal(error.cause.cause.message, 'bottom');
    assert.equal(error.cause.cause.code, 'E_BOTTOM');
    assert.match(error.cause.cause.stack, /errors\.js/);
  });

  test('a cause that is not an error', async (t) => {
    assert.deepEqual((await fail(t, 'plainCause')).error.cause, { status: 404, why: 'gone' });
    assert.equal((await fail(t, 'textCause')).error.cause, 'because');
    assert.ok(!('cause' in (await fail(t, 'Error')).error), 'none where there was none');
  });

  test('AggregateError with its errors and its cause', async (t) => {
    const { error, failure } = await fail(t, 'aggregate');
    assert.ok(error instanceof AggregateError);
    assert.equal(failure, 'AggregateError: several');
    const [one, two, three] = error.errors;
    assert.ok(one instanceof TypeError && one.message === 'one');
    assert.ok(two.message === 'two' && two.code === 'E_TWO');
    assert.equal(three, 'three');
    assert.equal(error.cause.message, 'root');
  });

  test('thousands of errors, and lists that are long', async (t) => {
    const { errors } = (await fail(t, 'many')).error;
    assert.deepEqual(errors.map(({ message }) => message), Array.from({ length: 6000 }, (_, i) => `number ${i}`));
    assert.ok(errors.every(({ stack }) => stack.includes('errors.js')));
    const { error } = await fail(t, 'ids');
    assert.deepEqual([error.ids.length, error.ids.at(-1), error.code], [10_000, 9999, 'E_KEPT']);
  });

  test('one that drags more along than is carried keeps what it is', async (t) => {
    const { error } = await fail(t, 'program');
    assert.deepEqual([error.message, error.code, error.cause.message], ['drags a program along', 'E_KEPT', 'the cause']);
    assert.ok(error.parts.length > 1000 && error.parts.length < 20_000);
  });

  test("Node's own errors", async (t) => {
    const { error } = await fail(t, 'system');
    const { code, syscall, path, errno } = error;
    assert.deepEqual({ code, syscall, path }, { code: 'ENOENT', syscall: 'open', path: '/no/such/file' });
    assert.ok(errno < 0);
    const assertion = (await fail(t, 'assertion')).error;
    assert.equal(assertion.code, 'ERR_ASSERTION');
    assert.match(assertion.message, /^one is not two/);
    assert.equal(assertion.actual, 1);
    assert.equal(assertion.expected, 2);
    const abort = (await fail(t, 'abort')).error;
    assert.equal(abort.name, 'AbortError');
    assert.equal(abort.message, 'stopped');
  });

  test('odd messages', async (t) => {
    assert.equal((await fail(t, 'noMessage')).failure, 'Error');
    assert.equal((await fail(t, 'noMessage')).error.message, '');
    assert.equal((await fail(t, 'unicode')).error.message, 'Größe 漢字 🎈 \u0000 \ud800');
    assert.equal((await fail(t, 'multiline')).error.message, 'first\n    at second (not a frame)\nthird');
    assert.equal((await fail(t, 'long')).error.message.length, 2_000_000);
    assert.equal((await fail(t, 'noStack')).error.message, 'without a stack');
  });

  test('a frozen error', async (t) => {
    const { error } = await fail(t, 'frozen');
    assert.equal(error.message, 'frozen');
    assert.equal(error.code, 'E_FROZEN');
  });

  for (const kind of ['function', 'bigint', 'cycle', 'socket', 'badGetter']) {
    test(`a property that cannot travel (${kind}) is left out, and the error arrives`, async (t) => {
      const { error } = await fail(t, kind);
      assert.match(error.message, /^with a /);
      assert.equal(error.code, 'E_KEPT');
    });
  }

  test('an error that is its own cause', async (t) => {
    const { error } = await fail(t, 'selfCause');
    assert.equal(error.message, 'my own cause');
  });

  for (const [kind, value, text] of [
    ['object', { status: 500, body: 'thrown' }, '[object Object]'],
    ['array', [1, 2], '1,2'],
    ['string', 'thrown text', 'thrown text'],
    ['number', 42, '42'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
  ]) {
    test(`thrown ${kind} is the cause of the error`, async (t) => {
      for (const name of ['fail', 'failLater']) {
        const { error, failure } = await fail(t, kind, name);
        assert.equal(failure, text);
        assert.ok('cause' in error);
        assert.deepEqual(error.cause, value);
      }
    });
  }

  for (const kind of kinds) {
    test(`thrown ${kind}: one failure, a string, and the worker survives`, async (t) => {
      const { failure } = await fail(t, kind, 'failLater');
      assert.equal(typeof failure, 'string');
    });
  }

  test('errors of one run do not share anything with those of the next', async (t) => {
    const parallelizer = make(t, { type: mode.type, filePath: fixture('errors.js'), processBatchFunctionName: 'fail' });
    const all = await Promise.all(Array.from({ length: 10 }, () => parallelizer.run(['payment', 'payment'])));
    const errors = all.flatMap((result) => result.errors);
    assert.equal(new Set(errors).size, 20);
    assert.deepEqual(errors.map(({ batchIndex }) => batchIndex), Array.from({ length: 20 }, (_, i) => i % 2));
  });
});
