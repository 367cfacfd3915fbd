'use strict';
// A pool's arguments and results arrive as they were sent, in each mode; what cannot travel fails its own item.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');
const { jsonSafe } = require('./fixtures/values');

const SERIALIZATION = 'ERR_PARALLELIZER_SERIALIZATION';
const EXITED = 'ERR_PARALLELIZER_WORKER_EXITED';

const identity = (value) => value;

/** Values that JSON would change. Each function makes a new one, here and in a worker. */
const rich = {
  undefined: () => undefined,
  NaN: () => NaN,
  '-0': () => -0,
  Infinity: () => [Infinity, -Infinity],
  BigInt: () => [0n, -1n, 2n ** 200n],
  Date: () => [new Date(0), new Date(1.7e12)],
  RegExp: () => /a\/b[^\]]+/giu,
  'boxed primitives': () => [Object(1), Object('text'), Object(true), Object(5n)],
  'properties that are undefined': () => ({ a: undefined, b: [undefined, null, undefined] }),
  holes: () => [, 1, , 2, ,], // eslint-disable-line no-sparse-arrays
  'a list with a name': () => Object.assign([1, 2], { name: 'list' }),
  Map: () => new Map([['a', 1], [{ key: 'object' }, new Map([[1n, undefined]])], [NaN, -0]]),
  Set: () => new Set([1, 'two', new Set([3]), undefined]),
  'empty collections': () => [new Map(), new Set(), {}, []],
  Buffer: () => Buffer.from([0, 1, 254, 255]),
  'an empty Buffer': () => Buffer.alloc(0),
  'a large Buffer': () => Buffer.alloc(100_000, 'abc'),
  'a part of a Buffer': () => Buffer.from('0123456789').subarray(3, 6),
  ArrayBuffer: () => Uint8Array.from([1, 2, 3]).buffer,
  DataView: () => new DataView(Uint8Array.from([1, 2, 3, 4]).buffer, 1, 2),
  'typed arrays': () => [
    Int8Array.from([-1]),
    Uint8Array.from([255]),
    Uint8ClampedArray.from([300]),
    Int16Array.from([-2]),
    Uint16Array.from([65535]),
    Int32Array.from([-3]),
    Uint32Array.from([4294967295]),
    Float32Array.from([0.5]),
    Float64Array.from([0.1, -0, NaN]),
    BigInt64Array.from([-1n]),
    BigUint64Array.from([1n]),
  ],
  'large typed arrays': () => [new Float64Array(10_000).fill(0.1), new Uint16Array(30_000).fill(7)],
  nested: () => ({ list: [new Map([['set', new Set([{ date: new Date(5), bytes: Buffer.from('x'), big: 1n }])]])] }),
  errors: () => [new Error('one'), new TypeError('two'), new RangeError('three', { cause: new SyntaxError('four') })],
};

const classes = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

forEachMode((mode) => {
  const on = (t, options) => makePool(t, mode, { processes: 1, ...options });
  const shares = !mode.hasProcess;

  for (const serialization of ['auto', 'advanced']) {
    describe(serialization, () => {
      let pool;
      before(() => (pool = new Pool(1, { type: mode.type, serialization })));
      after(() => pool.terminate());

      for (const [name, make] of Object.entries(rich)) {
        test(name, async () => {
          const same = async (promise, expected, how) => assert.deepEqual(await within(promise, how), expected, how);
          await same(pool.apply(make), make(), 'a result');
          await same(pool.apply(identity, [make()]), make(), 'an argument');
          await same(
            pool.apply(task('received'), [1, make(), { deep: make() }]),
            [1, make(), { deep: make() }],
            'several arguments',
          );
          await same(pool.map(identity, [make(), 1, make()]), [make(), 1, make()], 'items');
          await same(
            pool.starmap(task('received'), [[make()], [make(), make()]]),
            [[make()], [make(), make()]],
            'lists of arguments',
          );
          await same(list(pool.imap(identity, [make(), make()])), [make(), make()], 'imap');
        });
      }
    });
  }

  test('an invalid Date', async (t) => {
    const pool = on(t);
    for (const date of await Promise.all([pool.apply(() => new Date(NaN)), pool.apply(identity, [new Date(NaN)])])) {
      assert.ok(date instanceof Date);
      assert.ok(Number.isNaN(date.getTime()));
    }
  });

  test('plain data of all kinds', async (t) => {
    const values = () => Object.values(jsonSafe).map((make) => make());
    for (const serialization of ['auto', 'json', 'advanced']) {
      const pool = on(t, { serialization });
      assert.deepEqual(await within(pool.map(identity, values()), serialization), values());
      assert.deepEqual(await within(pool.map(identity, values(), { chunkSize: 1 }), serialization), values());
      assert.deepEqual(await within(pool.apply(identity, [values()]), serialization), values());
    }
    assert.equal({}.polluted, undefined);
  });

  test('values of all kinds together', async (t) => {
    const values = () => Object.values({ ...rich, ...jsonSafe }).map((make) => make());
    const pool = on(t, { processes: 2 });
    assert.deepEqual(await within(pool.map(identity, values(), { chunkSize: 100 }), 'map'), values());
    assert.deepEqual(
      await within(Promise.all(values().map((value) => pool.apply(identity, [value]))), 'apply'),
      values(),
    );
  });

  test("the initializer's arguments", async (t) => {
    const values = () => Object.values(rich).map((make) => make());
    const pool = on(t, { initializer: task('setUp'), initArgs: values() });
    assert.deepEqual(await within(pool.apply(task('configured')), 'apply'), values());
  });

  describe('references', () => {
    test('a cycle stays a cycle', async (t) => {
      const pool = on(t);
      const cyclic = { list: [] };
      cyclic.list.push(cyclic, [cyclic]);
      for (const result of [await pool.apply(identity, [cyclic]), ...(await pool.map(identity, [cyclic, cyclic]))]) {
        assert.notEqual(result, cyclic);
        assert.equal(result.list[0], result);
        assert.equal(result.list[1][0], result);
      }
    });

    test('two references to an object stay so within an item and among arguments, not between items', async (t) => {
      const pool = on(t);
      const shared = { a: 1 };
      const [one, two] = await pool.map(identity, [[shared, shared], { shared, again: [shared] }]);
      assert.equal(one[0], one[1]);
      assert.equal(two.shared, two.again[0]);
      assert.equal(await pool.apply((a, b) => a === b, [shared, shared]), true);
      const results = await pool.map(identity, [shared, shared], { chunkSize: 2 });
      assert.deepEqual(results, [{ a: 1 }, { a: 1 }]);
      assert.notEqual(results[0], results[1]);
      const changes = (object) => ++object.a;
      assert.deepEqual(await pool.map(changes, [shared, shared, shared], { chunkSize: 3 }), [2, 2, 2]);
      assert.equal(shared.a, 1);
    });

    test('results are copies, even of a global object of the worker', async (t) => {
      t.after(() => delete globalThis.keptByPoolTest);
      const pool = on(t);
      const keeps = () => (globalThis.keptByPoolTest ??= { list: [1] });
      const first = await pool.apply(keeps);
      first.list.push(2);
      assert.deepEqual(await pool.apply(keeps), { list: [1] });
    });
  });

  describe('what the caller does after the call', () => {
    test('to the list does not matter', async (t) => {
      const pool = on(t);
      const items = [1, 2, 3];
      const mapping = pool.map(identity, items);
      items[0] = 'changed';
      items.push(4);
      const args = ['a', 'b'];
      const several = pool.apply(task('received'), args);
      args[1] = 'changed';
      const single = ['a'];
      const alone = pool.apply(identity, single);
      single[0] = 'changed';
      const lists = [[1], [2]];
      const starmapping = pool.starmap(task('received'), lists);
      lists.length = 0;
      assert.deepEqual(await Promise.all([mapping, several, alone, starmapping]), [
        [1, 2, 3],
        ['a', 'b'],
        'a',
        [[1], [2]],
      ]);
    });

    test('to an item that has been sent does not matter', async (t) => {
      const gate = gateIn(t);
      const value = { text: 'before', bytes: Buffer.alloc(100_000, 'a') };
      const held = on(t).apply(task('gate'), [gate.file, value]);
      await gate.started();
      value.text = 'after';
      value.bytes.fill('b');
      gate.open();
      assert.deepEqual(await held, { text: 'before', bytes: Buffer.alloc(100_000, 'a') });
    });

    test('to an item that waits is seen: items are read when they are sent', async (t) => {
      const gate = gateIn(t);
      const pool = on(t);
      const held = pool.apply(task('gate'), [gate.file, 'held']);
      await gate.started();
      const item = { text: 'before' };
      const mapping = pool.map(identity, [item]);
      item.text = 'after';
      gate.open();
      assert.deepEqual(await Promise.all([held, mapping]), ['held', [{ text: 'after' }]]);
    });
  });

  describe('errors', () => {
    test('arrive as that class, with their properties', async (t) => {
      const pool = on(t);
      for (const { name } of classes) {
        const throws = (which) => {
          const cause = { amount: 1n, at: new Date(5) };
          throw Object.assign(new globalThis[which]('mine', { cause }), {
            code: 'E_MINE',
            detail: { list: [1, undefined] },
          });
        };
        const error = await pool.apply(throws, [name]).then(() => null, (reason) => reason);
        assert.ok(error instanceof globalThis[name]);
        const { message, code, detail, cause, stack } = error;
        const expected = {
          message: 'mine',
          code: 'E_MINE',
          detail: { list: [1, undefined] },
          cause: { amount: 1n, at: new Date(5) },
        };
        assert.deepEqual({ message, code, detail, cause }, expected);
        assert.ok(stack.includes('mine'));
      }
    });

    test('of user-defined classes keep their name', async (t) => {
      const throws = () => {
        class HttpError extends Error {
          constructor(status) {
            super(`status ${status}`);
            this.status = status;
          }
          get name() {
            return 'HttpError';
          }
        }
        throw new AggregateError([new HttpError(404), new TypeError('two')], 'both', { cause: new HttpError(500) });
      };
      const error = await on(t).apply(throws).then(() => null, (reason) => reason);
      assert.ok(error instanceof AggregateError);
      assert.equal(error.message, 'both');
      assert.deepEqual(
        error.errors.map(({ name, message }) => [name, message]),
        [
          ['HttpError', 'status 404'],
          ['TypeError', 'two'],
        ],
      );
      assert.deepEqual([error.cause.name, error.cause.status], ['HttpError', 500]);
    });

    test('that are not errors arrive as thrown', async (t) => {
      const pool = on(t);
      const throws = (value) => {
        throw value;
      };
      const values = [undefined, null, 0, '', 'text', 5n, { a: [1] }, [[NaN, -0]], new Date(5)];
      const outcomes = await pool.map(throws, values, { onError: 'collect' });
      assert.deepEqual(outcomes, values.map((reason) => ({ status: 'rejected', reason })));
      for (const value of values) {
        const outcome = await pool.apply(throws, [value]).then(() => ['resolved'], (reason) => [reason]);
        assert.deepEqual(outcome, [value]);
      }
    });
  });

  test('errors that contain, and thrown values that are, anything that a result may be', async (t) => {
    const pool = on(t);
    const values = () => [new Map([[1, new Set([2])]]), Buffer.from('abc'), Float32Array.from([0.5]), /x/g];
    const fails = (value) => {
      throw Object.assign(new Error('mine', { cause: value }), { detail: value });
    };
    const throws = (value) => {
      throw value;
    };
    const held = await pool.map(fails, values(), { onError: 'collect' });
    assert.deepEqual(held.map(({ reason }) => [reason.cause, reason.detail]), values().map((value) => [value, value]));
    assert.deepEqual((await pool.map(throws, values(), { onError: 'collect' })).map(({ reason }) => reason), values());
  });

  describe('what cannot travel', () => {
    const fn = () => {};
    const throwing = { get trap() { throw new Error('do not look'); } };
    const unfit = {
      'a function': [fn, /./],
      'a symbol': [Symbol('s'), /symbol/i],
      'a function within': [{ deep: [1, { fn }] }, /deep\[1\]\.fn/],
      'a symbol within': [[{ 'odd key': [Symbol('s')] }], /\[0\]\["odd key"\]\[0\]/],
      'a function in a Map': [{ map: new Map([['a', fn]]) }, /map\[0\]/],
      'a promise': [{ later: Promise.resolve(1) }, /later/],
      'a WeakMap': [{ weak: new WeakMap() }, /weak/],
      'a Proxy': [{ proxy: new Proxy({}, {}) }, /proxy/],
      'a getter that throws': [{ throwing }, /throwing/],
    };
    let pool;
    before(() => (pool = new Pool(1, { type: mode.type })));
    after(() => pool.terminate());

    const unfitAt = (says) => (error) => {
      assert.equal(error.code, SERIALIZATION);
      assert.match(error.message, says);
      return true;
    };

    for (const [name, [value, says]] of Object.entries(unfit)) {
      test(`${name}, as an argument: its own call rejects and says where`, async () => {
        const items = [1, { two: 2 }, value, new Map(), 5];
        const expected = [1, { two: 2 }, undefined, new Map(), 5];
        for (const options of [{}, { chunkSize: 5 }]) {
          const outcomes = await within(pool.map(identity, items, { ...options, onError: 'collect' }), 'map');
          assert.deepEqual(outcomes.map((outcome) => outcome.value), expected);
          unfitAt(says)(outcomes[2].reason);
        }
        await assert.rejects(within(pool.map(identity, items), 'map'), unfitAt(says));
        const streamed = await within(list(pool.imap(identity, items, { onError: 'collect' })), 'imap');
        assert.deepEqual(streamed.map((outcome) => outcome.value), expected);
        unfitAt(says)(streamed[2].reason);
        const calls = await within(Promise.allSettled(items.map((item) => pool.apply(identity, [item]))), 'apply');
        assert.deepEqual(calls.map((outcome) => outcome.value), expected);
        unfitAt(says)(calls[2].reason);
        await assert.rejects(
          within(pool.apply(task('received'), ['first', value]), 'apply with two'),
          unfitAt(/\[1\]/),
        );
        assert.equal(pool.stats().restarts, 0);
      });
    }

    const makers = {
      'a function': [() => () => {}, /./],
      'a function within': [() => ({ deep: [1, { fn: () => {} }] }), /deep\[1\]\.fn/],
      'a symbol within': [() => [{ 'odd key': [Symbol('s')] }], /\[0\]\["odd key"\]\[0\]/],
      'a Proxy': [() => ({ proxy: new Proxy({}, {}) }), /proxy/],
      'a getter that throws': [() => ({ throwing: { get trap() { throw new Error('do not look'); } } }), /throwing/],
    };
    for (const [name, [make, says]] of Object.entries(makers)) {
      test(`${name}, as a result: its own call rejects and says where`, async () => {
        await assert.rejects(within(pool.apply(make), 'apply'), unfitAt(says));
        const outcomes = await within(
          Promise.allSettled([pool.apply(identity, [1]), pool.apply(make), pool.apply(identity, [3])]),
          'apply',
        );
        assert.deepEqual(
          outcomes.map(({ value }) => value),
          [1, undefined, 3],
        );
        assert.equal(pool.stats().restarts, 0);
      });
    }

    test('one result among others of its chunk', async () => {
      const sometimes = (x) => (x % 10 === 3 ? { at: [x, () => {}] } : x % 10 === 4 ? new Map([[x, 1n]]) : x);
      const outcomes = await within(pool.map(sometimes, range(40), { chunkSize: 40, onError: 'collect' }), 'map');
      for (const [i, { value, reason }] of outcomes.entries()) {
        if (i % 10 === 3) unfitAt(/at\[1\]/)(reason);
        else assert.deepEqual(value, i % 10 === 4 ? new Map([[i, 1n]]) : i);
      }
      await assert.rejects(within(pool.map(sometimes, range(40)), 'map'), unfitAt(/at\[1\]/));
    });

    test('a value that is deeper than the stack', async () => {
      const deep = (depth) => {
        let value = 'bottom';
        for (let i = 0; i < depth; i++) value = [value];
        return value;
      };
      await assert.rejects(within(pool.apply(identity, [deep(200_000)]), 'an argument'), { code: SERIALIZATION });
      await assert.rejects(within(pool.apply(deep, [200_000]), 'a result'), { code: SERIALIZATION });
      const outcomes = await within(pool.map(deep, [1, 200_000, 2], { onError: 'collect', chunkSize: 3 }), 'map');
      assert.deepEqual(brief(outcomes), [['bottom'], [SERIALIZATION, 1], [['bottom']]]);
      assert.equal(pool.stats().restarts, 0);
    });

    test("with 'json', what has no JSON", async (t) => {
      const json = on(t, { serialization: 'json' });
      const cyclic = {};
      cyclic.self = cyclic;
      const outcomes = await within(
        json.map(identity, [1, { amount: 1n }, cyclic, new Date(0)], { onError: 'collect' }),
        'map',
      );
      assert.deepEqual(brief(outcomes), [1, [SERIALIZATION, 1], [SERIALIZATION, 2], '1970-01-01T00:00:00.000Z']);
      assert.match(outcomes[1].reason.message, /amount/);
      assert.match(outcomes[2].reason.message, /self/);
      assert.equal((await json.apply(() => 1n).catch((error) => error)).code, SERIALIZATION);
    });
  });

  describe('memory', () => {
    const sum = (bytes) => [bytes.byteLength, new Uint8Array(bytes).reduce((all, one) => all + one, 0)];
    const filled = (size) => new Uint8Array(size).fill(1).buffer;

    test('what is in transferList arrives whole, and is moved at the call where that is possible', async (t) => {
      const pool = on(t);
      const buffers = [1000, 20_000, 300_000].map(filled);
      const calls = [
        pool.apply(sum, [buffers[0]], { transferList: [buffers[0]] }),
        pool.map(sum, [buffers[1], buffers[2]], { transferList: buffers.slice(1) }),
      ];
      await null;
      if (shares)
        assert.deepEqual(
          buffers.map(({ byteLength }) => byteLength),
          [0, 0, 0],
        );
      assert.deepEqual(await within(Promise.all(calls), 'both'), [
        [1000, 1000],
        [
          [20_000, 20_000],
          [300_000, 300_000],
        ],
      ]);
    });

    test('what is not in transferList stays', async (t) => {
      const buffer = filled(50_000);
      assert.deepEqual(await on(t).map(sum, [buffer, buffer]), [[50_000, 50_000], [50_000, 50_000]]);
      assert.equal(buffer.byteLength, 50_000);
    });

    test('a view of what is moved comes along', async (t) => {
      const pool = on(t);
      const bytes = new Uint8Array(filled(30_000));
      const result = await pool.starmap(
        (all, part) => [all.length, part.length, all.buffer === part.buffer],
        [[bytes, bytes.subarray(5, 10)]],
        { transferList: [bytes.buffer] },
      );
      // V8's format, in which processes exchange it, gives each view its own memory.
      assert.deepEqual(result, [[30_000, 5, shares]]);
    });

    test('a task may move its result', async (t) => {
      const { bytes, again } = await on(t).apply(task('produce'), [100_000]);
      assert.equal(bytes, again);
      assert.deepEqual([bytes.length, bytes.every((one) => one === 7)], [100_000, true]);
    });

    test('shared memory is shared between threads, and refused between processes', async (t) => {
      const pool = on(t);
      const shared = new SharedArrayBuffer(4);
      const adds = (memory) => Atomics.add(new Int32Array(memory), 0, 1);
      const outcomes = await within(pool.map(adds, [shared, shared], { onError: 'collect' }), 'map');
      if (shares) assert.deepEqual([brief(outcomes), new Int32Array(shared)[0]], [[0, 1], 2]);
      else assert.deepEqual(brief(outcomes), [[SERIALIZATION, 0], [SERIALIZATION, 1]]);
    });
  });
});

forEachMode(
  (mode) => {
    test('a call that moves its argument is not retried', async (t) => {
      const pool = makePool(t, mode, { processes: 1, retries: 3, stdio: 'ignore' });
      const file = `${temporary(t)}/ran`;
      const buffer = new ArrayBuffer(1000);
      await assert.rejects(
        within(pool.apply(task('dieAtFirst'), [file, 1, buffer], { transferList: [buffer] }), 'apply'),
        { code: EXITED },
      );
      assert.equal((await within(pool.apply(identity, [new ArrayBuffer(5)]), 'the next')).byteLength, 5);
    });
  },
  { needs: ['hasWorkers'] },
);
