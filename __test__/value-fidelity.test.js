'use strict';
// What structured clone preserves arrives, in every mode and serialization, as an argument and as a result.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const v8 = require('node:v8');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { compare, isBatch, lists, values, wrongWith } = require('./fixtures/fidelity');
const { fixture, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const filePath = fixture('fidelity.js');
const identity = (value) => value;

/** PARALLELIZER_TEST_SEED=n repeats a run with that seed. */
const seed = Number(process.env.PARALLELIZER_TEST_SEED ?? Date.now() % 2 ** 31);
const RANDOM_VALUES = 300;

/** Values that take long to make and to compare. */
const isHuge = (name) => /\d,000 (keys|integer keys|entries)/.test(name);

/** What JSON refuses, or what only JSON.stringify's own recursion decides; see serialization-errors.test.js. */
function hasJson(name) {
  try {
    JSON.stringify(values[name]());
    return true;
  } catch {
    return false;
  }
}

forEachMode((mode) => {
  for (const serialization of ['auto', 'advanced', 'json']) {
    describe(serialization, () => {
      const oracle = serialization === 'json' ? 'json' : 'clone';
      // Only 'auto' has a codec of its own for lists of records, and looks at everything in an object.
      const names = Object.keys(values).filter((name) =>
        serialization === 'auto'
          ? mode.hasProcess || !isHuge(name)
          : !lists.includes(name) && !isHuge(name) && (oracle === 'clone' || hasJson(name)),
      );
      const options = { type: mode.type, serialization, parallelization: 1, filePath };
      let pool;
      let byBatch;
      let byParams;
      before(() => {
        pool = new Pool(1, { type: mode.type, serialization });
        byBatch = new Parallelizer({ ...options, processBatchFunctionName: 'visitBatch' });
        byParams = new Parallelizer({ ...options, processBatchFunctionName: 'visitParams' });
      });
      after(() => Promise.all([pool.terminate(), byBatch.terminate(), byParams.terminate()]));

      for (const name of names) {
        test(name, async () => {
          const value = values[name]();
          const isList = lists.includes(name);
          // Between the modes, the encoding of a list differs only in what carries it.
          if (!isList || mode.hasProcess) {
            const [item] = await within(pool.map({ filePath, name: 'visit' }, [{ name, oracle, value }]), name);
            assert.equal(item.wrong, null, 'an item of a Pool');
            assert.equal(wrongWith(item.value, name, oracle), null, 'a result of a Pool');
          }
          if (isHuge(name)) return;

          // Most batches are lists of records.
          const isWhole = isList && isBatch(value);
          const running = byBatch.run(isWhole ? value : [value], { name, oracle, isWhole });
          const { responses, failures } = await within(running, name);
          assert.deepEqual(failures, []);
          // JSON has no undefined in lists.
          const expected = serialization === 'json' && value === undefined ? 'value: null instead of undefined' : null;
          assert.equal(responses[0].wrong, expected, 'a record');
          assert.equal(wrongWith(responses[0].value, name, oracle), null, 'a response');
        });
      }

      test('as params and context', async () => {
        const small = names.filter((name) => !lists.includes(name) && !isHuge(name) && !/long|list/.test(name));
        for (const name of small) {
          // A new value for each: within one call they would share what is the same object.
          const running = byParams.run(
            [1],
            { name, oracle, value: values[name]() },
            { context: { value: values[name]() } },
          );
          const { responses, failures } = await within(running, name);
          assert.deepEqual([responses, failures], [[null], []], name);
        }
      });

      test('together in one chunk', async () => {
        const some = names.filter(
          (name) => !isHuge(name) && !/long/.test(name) && (mode.hasProcess || !lists.includes(name)),
        );
        const items = some.map((name) => ({ name, oracle, value: values[name]() }));
        const results = await within(pool.map({ filePath, name: 'visit' }, items, { chunkSize: 50 }), 'all of them');
        const wrong = results.flatMap((result, i) =>
          [result.wrong, wrongWith(result.value, some[i], oracle)].map((what) => [some[i], what]),
        );
        assert.deepEqual(
          wrong.filter(([, what]) => what !== null),
          [],
        );
      });

      test('no prototype is polluted', () => assert.equal({}.polluted, undefined));
    });
  }

  describe('identity', () => {
    for (const serialization of ['auto', 'advanced']) {
      const on = (t, Class, options) => {
        const instance = new Class({ type: mode.type, serialization, ...options });
        t.after(() => instance.terminate());
        return instance;
      };

      test(`${serialization}: is kept among batch, params and context of one call`, async (t) => {
        const parallelizer = on(t, Parallelizer, {
          filePath,
          processBatchFunctionName: 'identities',
          parallelization: 1,
        });
        const list = Array.from({ length: 1000 }, (_, i) => ({ id: i, text: `text ${i}` }));
        for (const value of [{ n: 1 }, list, Buffer.alloc(300_000)]) {
          const { responses, failures } = await parallelizer.run([value, value], { value }, { context: { value } });
          assert.deepEqual([responses, failures], [[[true, true, true]], []]);
        }
      });

      test(`${serialization}: is kept among the arguments of one call`, async (t) => {
        const pool = on(t, Pool, { processes: 1 });
        const value = { n: 1 };
        assert.deepEqual(await pool.starmap((a, b) => a === b, [[value, value], [value, { n: 1 }]]), [true, false]);
        assert.equal(await pool.apply((a, b) => a === b.within, [value, { within: value }]), true);
      });

      test(`${serialization}: two calls never share an object`, async (t) => {
        const pool = on(t, Pool, { processes: 1 });
        for (const value of [{ n: 1 }, [1, undefined], new Map(), Buffer.from('bytes')]) {
          const all = await pool.map(identity, [value, value, value], { chunkSize: 3 });
          assert.equal(new Set(all).size, 3);
          for (const one of all) assert.equal(compare(one, v8.deserialize(v8.serialize(value))), null);
        }
      });
    }
  });

  describe(`random values, seed ${seed}`, () => {
    for (const serialization of mode.hasProcess ? ['auto', 'advanced'] : ['auto']) {
      test(`${serialization}: arrive as from structured clone`, async (t) => {
        t.diagnostic(`PARALLELIZER_TEST_SEED=${seed}`);
        const random = generator(seed);
        const items = Array.from({ length: RANDOM_VALUES }, () => random.value());
        const expected = items.map((item) => v8.deserialize(v8.serialize(item)));
        const pool = new Pool(1, { type: mode.type, serialization });
        t.after(() => pool.terminate());
        const results = await within(pool.map(identity, items, { chunkSize: 40 }), 'random values');
        for (const [i, result] of results.entries()) {
          assert.equal(compare(result, expected[i]), null, `seed ${seed}, value ${i}`);
        }
      });
    }
  });
});

/** Values of every kind, determined by the seed. */
function generator(start) {
  let state = start;
  // mulberry32
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (limit) => Math.floor(random() * limit);
  const pick = (list) => list[int(list.length)];
  const times = (count, make) => Array.from({ length: count }, make);
  const maybe = (share) => random() < share;

  const alphabet = ['a', 'Z', '0', ' ', '"', '\\', '\0', '\n', 'é', 'ÿ', 'Ā', '漢', '🎈', '\ud800', '\udc00', '\u2028'];
  const text = () => (maybe(0.03) ? pick(alphabet).repeat(int(30_000)) : times(int(12), () => pick(alphabet)).join(''));
  const key = () => pick(['a', 'b', 'c', 'id', 'value', '0', '1', '10', '', 'toJSON', 'constructor', 'length', text()]);
  const number = () => pick([0, -0, 1, -1, NaN, Infinity, 255, 256, int(1e9), -int(1e9), random(), 2 ** 53, 1e-320]);
  const primitive = () =>
    pick([text, text, number, number, () => null, () => maybe(0.5), () => undefined, () => BigInt(int(1e9)) ** 3n])();
  const plain = () => pick([text, number, () => null, () => maybe(0.5)])();

  /** The objects made so far for this value, to refer to again. */
  let known = [];
  const keep = (object) => {
    known.push(object);
    return object;
  };

  const binary = () => {
    const bytes = Buffer.from(times(int(40) * 8, () => int(256)));
    const { buffer } = new Uint8Array(bytes);
    return pick([
      () => bytes,
      () => buffer,
      () => new DataView(buffer),
      () =>
        new (pick([Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint32Array, Float64Array, BigInt64Array]))(
          buffer,
        ),
      () => Buffer.alloc(8192 + int(3) - 1 + (maybe(0.1) ? 300_000 : 0), int(256)),
    ])();
  };
  const odd = (depth) =>
    pick([
      () => new Date(maybe(0.2) ? NaN : int(1e12)),
      () => new RegExp(pick(['a', '[b-c]+', '\\/']), pick(['', 'g', 'iu'])),
      () => Object(pick([1, 'text', true, 5n])),
      () => new (pick([Error, TypeError, RangeError]))(text(), maybe(0.3) ? { cause: value(depth + 1) } : undefined),
      binary,
      () => {
        const map = keep(new Map());
        for (let i = int(4); i > 0; i--) map.set(value(depth + 1), value(depth + 1));
        return map;
      },
      () => {
        const set = keep(new Set());
        for (let i = int(4); i > 0; i--) set.add(value(depth + 1));
        return set;
      },
    ])();
  const array = (depth) => {
    const list = keep([]);
    for (let i = int(6); i > 0; i--) list.push(value(depth + 1));
    if (maybe(0.05)) delete list[0];
    if (maybe(0.05)) list.extra = plain();
    return list;
  };
  const object = (depth) => {
    const made = keep(pick([{}, {}, {}, Object.create(null), new (class Some {})()]));
    for (let i = int(6); i > 0; i--) define(made, key(), value(depth + 1));
    if (maybe(0.03)) define(made, '__proto__', plain());
    if (maybe(0.03))
      Object.defineProperty(made, 'toJSON', { value: () => 'by toJSON', enumerable: false, configurable: true });
    return made;
  };
  const records = (depth) => {
    const keys = [...new Set(times(1 + int(5), key))];
    const kinds = keys.map(() =>
      pick([text, number, plain, () => times(int(6), () => int(256)), () => ({ a: plain(), b: [plain()] })]),
    );
    const long = pick(['x', 'é', '漢', '']).repeat(1000);
    const list = times(16 + int(60), () => {
      const record = { long };
      keys.forEach((name, i) => define(record, name, kinds[i]()));
      return record;
    });
    if (maybe(0.2)) delete list[int(list.length)][pick(keys)];
    if (maybe(0.1)) list[int(list.length)] = value(depth + 1);
    if (maybe(0.1)) list[0] = list[1];
    if (maybe(0.1)) define(pick(list) ?? {}, 'more', value(depth + 1));
    return list;
  };
  const column = () => {
    const make = pick([text, number, () => int(256)]);
    return times(pick([10, 500, 2500]), make);
  };

  function value(depth) {
    if (depth > 5 || maybe(0.45)) return primitive();
    if (known.length > 0 && maybe(0.08)) return pick(known);
    return pick([array, array, object, object, object, odd, records])(depth);
  }

  return {
    value() {
      known = [];
      return pick([value, value, value, object, records, column])(0);
    },
  };
}

/** Sets a property, whatever its name, if the target is an object. */
function define(target, key, value) {
  if (typeof target !== 'object' || target === null) return;
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}
