'use strict';
// Many calls whose values JSON has no words for: they share a text of V8's format, and every call has its own values
// nevertheless.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { decodeValues, encodeValues } = require('../lib/codec/codec');
const { valuesOf } = require('../lib/codec/parts');
const { isPlain } = require('../lib/codec/plain-values');
const { CALLS_FIELD, CODEC_FIELD, PART_FIELDS, PLAIN_VALUES, VALUE_FIELD } = require('../lib/transport/constants');
const { within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { makePool, range } = require('./support/pool');
const { difference } = require('./support/same');

class Order {
  constructor(id) {
    this.id = id;
    this.note = undefined;
  }
}

/** @param {unknown} actual @param {unknown} expected */
function assertSame(actual, expected) {
  assert.equal(difference(actual, expected).where, null);
}

/** One of each kind of value that many calls may share a text for, different for each number. */
const KINDS = {
  'an undefined property': (i) => ({ id: i, note: undefined }),
  'a date': (i) => ({ id: i, at: new Date(i) }),
  'a BigInt': (i) => BigInt(i),
  'numbers beyond JSON': (i) => [i, NaN, -0, Infinity],
  'a Map': (i) => new Map([[{ key: i }, ['value']], ['two', i]]),
  'a Set': (i) => new Set([i, { i }]),
  'a Buffer': (i) => Buffer.from(`text ${i}`),
  'typed arrays': (i) => ({ floats: new Float64Array([i, 0.5]), words: new Uint16Array([i, 2]) }),
  'text beyond Latin-1, at odd places': (i) => ({ text: `${'x'.repeat(i % 7)}ж€`, u: undefined }),
  'lists in lists': (i) => [[undefined, i], [[undefined]], []],
};

/** @param {readonly unknown[]} values @returns {{ parts: any[], decoded: unknown[], failed: number[] }} */
function throughCodec(values, serialization = 'auto') {
  const parts = [];
  const failed = [];
  const count = encodeValues(values, serialization, null, parts, 0, (index) => {
    failed.push(index);
    parts.push(0, 0, 4, 1, 0, '');
  });
  assert.equal(count, values.length);
  const decoded = [];
  for (let at = 0; at < parts.length; ) {
    const { [at + CODEC_FIELD]: codec, [at + CALLS_FIELD]: calls, [at + VALUE_FIELD]: value } = parts;
    const start = (at += PART_FIELDS);
    while (at < parts.length && parts[at + CALLS_FIELD] === 0) at += PART_FIELDS;
    if (codec === 0) decoded.push('failed');
    else decoded.push(...decodeValues(codec, value, calls, valuesOf(parts.slice(start, at)), null));
  }
  return { parts, decoded, failed };
}

for (const [kind, make] of Object.entries(KINDS)) {
  for (const serialization of ['auto', 'advanced']) {
    test(`${kind}, ${serialization}: one text for all, and each value as it was`, () => {
      const values = range(300).map(make);
      const { parts, decoded } = throughCodec(values, serialization);
      assert.deepEqual([parts.length, parts[CODEC_FIELD], parts[CALLS_FIELD]], [PART_FIELDS, PLAIN_VALUES, 300]);
      decoded.forEach((value, i) => assertSame(value, values[i]));
    });
  }
}

test('all kinds in turn, with what JSON would do for among them', () => {
  const makes = [...Object.values(KINDS), (i) => ({ plain: i }), (i) => `text ${i}`, () => null, () => undefined];
  const values = range(600).map((i) => makes[i % makes.length](i));
  const { parts, decoded } = throughCodec(values);
  assert.equal(parts.length, PART_FIELDS);
  decoded.forEach((value, i) => assertSame(value, values[i]));
});

test('an instance of a class arrives as its properties, as it does by itself', () => {
  const { decoded } = throughCodec([new Order(1), new Order(2)]);
  assert.deepEqual(decoded.map((value) => Object.getPrototypeOf(value) === Object.prototype), [true, true]);
  assert.deepEqual(decoded, [{ id: 1, note: undefined }, { id: 2, note: undefined }]);
});

test('what several values refer to becomes one for each of them', () => {
  const shared = { at: new Date(1) };
  const map = new Map([[1, shared]]);
  const { decoded } = throughCodec([{ shared }, { shared }, map, map, shared, [shared, shared]]);
  const [one, two, first, second, alone, twice] = decoded;
  const all = [one.shared, two.shared, first.get(1), second.get(1), alone, twice[0]];
  assert.equal(new Set(all).size, all.length);
  assert.notEqual(first, second);
  // Within a value it is one, as ever.
  assert.equal(twice[0], twice[1]);
});

test('what others have made of a Map or an error hides nothing from it', () => {
  const shared = { at: new Date(1) };
  for (const prototype of [null, Object.prototype]) {
    const maps = [1, 2].map(() => Object.setPrototypeOf(new Map([['key', shared]]), prototype));
    const sets = [1, 2].map(() => Object.setPrototypeOf(new Set([shared]), prototype));
    const causes = [1, 2].map((i) => Object.setPrototypeOf(new Error(String(i), { cause: shared }), prototype));
    for (const pair of [maps, sets, causes]) {
      const { parts } = throughCodec([{ at: new Date(0), value: pair[0] }, { at: new Date(0), value: pair[1] }]);
      assert.equal(parts.length, 2 * PART_FIELDS);
    }
  }
  // By itself it is no plain object either, of which JSON would make `{}`.
  const bare = () => Object.setPrototypeOf(new Map([[1, 2]]), null);
  const many = range(2000).map((i) => ({ i, map: i === 5 ? bare() : null }));
  const { decoded } = throughCodec([bare(), [bare()], { map: bare() }, many]);
  const maps = [decoded[0], decoded[1][0], decoded[2].map, decoded[3][5].map];
  assert.deepEqual(maps, Array(4).fill(new Map([[1, 2]])));
});

test('an expression goes by itself: another V8 may not know it, and fails what it reads with it', () => {
  const { parts, decoded } = throughCodec([new Date(1), /a/g, new Date(2)]);
  assert.equal(parts.length, 3 * PART_FIELDS);
  assert.deepEqual(decoded, [new Date(1), /a/g, new Date(2)]);
});

test('a large value goes by itself, and is not looked through for long', () => {
  const large = [
    { at: new Date(1), list: range(2000).map((i) => ({ i })) }, { u: undefined, list: Array(20_000).fill(1) },
    new Map(range(20_000).map((i) => [i, i])), new Set(range(20_000)),
  ];
  for (const value of large) {
    const { parts, decoded } = throughCodec([new Date(1), value, new Date(2)]);
    assert.equal(parts.length, 3 * PART_FIELDS);
    assertSame(decoded[1], value);
  }
  let looked = 0;
  const counting = Object.defineProperty({ u: undefined }, 'list', {
    enumerable: true,
    get: () => Array.from({ length: 100_000 }, () => ({ get u() { looked++; return undefined; } })),
  });
  assert.equal(isPlain(counting, new Set()), false);
  assert.equal(looked, 0);
});

test('a getter that gives large memory when it is asked again has it arrive', () => {
  let asked = 0;
  const value = { u: undefined, get bytes() { return Buffer.alloc(++asked > 2 ? 100_000 : 10, 7); } };
  const [{ bytes }] = throughCodec([value, { u: undefined }]).decoded;
  assert.deepEqual(bytes, Buffer.alloc(100_000, 7));
});

test('one that V8 refuses costs the others no time', () => {
  const promise = Object.assign(Promise.resolve(), { at: 1 });
  let written = 0;
  const values = range(500).map((i) => ({ at: new Date(i), get seen() { return ++written; } }));
  const { failed } = throughCodec([...values, { at: new Date(0), promise }, ...values]);
  assert.deepEqual(failed, [500]);
  assert.ok(written <= 1000 * 6, `each was read a few times: ${written} in all`);
});

test('cycles, large arrays, shared memory and what cannot travel go by themselves; the others are none the worse', () => {
  const cycle = { at: new Date(0) };
  cycle.self = cycle;
  const large = new Uint8Array(100_000).fill(7);
  let deep = { at: new Date(0) };
  for (let i = 0; i < 200_000; i++) deep = { deep };
  const throwing = { at: new Date(0), get bad() { throw new Error('no'); } };
  const values = [
    { at: new Date(1) }, cycle, { at: new Date(2) }, () => 1, { at: new Date(3), f: () => 1 }, { at: new Date(4) },
    { u: undefined, s: Symbol('x') }, new Promise(() => {}), { at: new Date(5), p: new Promise(() => {}) },
    deep, throwing, new Proxy({ at: new Date(6) }, {}), { at: new Date(7) },
    { at: new Date(8), shared: new Uint8Array(new SharedArrayBuffer(8)) }, { at: new Date(9) },
  ];
  const { decoded, failed } = throughCodec(values);
  assert.deepEqual(failed, [3, 4, 6, 7, 8, 9, 10, 11, 13]);
  for (const i of [0, 2, 5, 12, 14]) assert.deepEqual(decoded[i], values[i]);
  assert.equal(decoded[1].self, decoded[1]);
  // How many calls each part is for; of none are the bytes that belong to the value before them.
  const calls = (list) => {
    const { parts } = throughCodec(list);
    return range(parts.length / PART_FIELDS).map((i) => parts[i * PART_FIELDS + CALLS_FIELD]);
  };
  const date = (i) => ({ at: new Date(i) });
  assert.deepEqual(calls([date(1), date(2), { ...date(3), large }, date(4)]), [2, 1, 0, 1]);
  let nested = date(0);
  for (let i = 0; i < 100; i++) nested = { nested };
  assert.deepEqual(calls([date(1), date(2), nested, date(4), date(5)]), [2, 1, 2]);
});

forEachMode((mode) => {
  const all = (i) => Object.values(KINDS).map((make) => make(i));

  for (const method of ['map', 'apply', 'imap']) {
    test(`${method}: there and back`, async (t) => {
      const pool = makePool(t, mode, {});
      const items = range(200).map(all);
      const echo = (item) => item;
      let results;
      if (method === 'map') results = await within(pool.map(echo, items), 'the list');
      else if (method === 'apply') results = await within(Promise.all(items.map((item) => pool.apply(echo, [item]))), 'the calls');
      else {
        results = [];
        for await (const result of pool.imap(echo, items)) results.push(result);
      }
      results.forEach((result, i) => assertSame(result, items[i]));
    });
  }

  test('a worker that changes what it was given changes it for that call alone', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const shared = { at: new Date(0), count: 0 };
    const counts = await pool.map((item) => ++item.shared.count, range(50).map((id) => ({ id, shared })));
    assert.deepEqual([...new Set(counts)], [1]);
    assert.equal(shared.count, 0);
  });

  test('so does a caller with a result, whichever calls were answered together', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const kept = () => (globalThis.kept ??= { at: new Date(0), count: 0 });
    const results = await pool.map(kept, range(50));
    const calls = await Promise.all(range(50).map((i) => pool.apply(i % 2 === 0 ? kept : (x) => [x, undefined], [i])));
    assert.equal(new Set(results).size, 50);
    assert.equal(new Set(calls).size, 50);
    assert.deepEqual(calls[49], [49, undefined]);
    assert.deepEqual(calls[48], { at: new Date(0), count: 0 });
  });

  test('calls of two functions in turn have their own answers', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const one = (x) => ({ one: x, at: new Date(x) });
    const two = (x) => [new Map([[x, 2n]])];
    const results = await Promise.all(range(400).map((i) => pool.apply(i % 2 === 0 ? one : two, [i])));
    results.forEach((result, i) => assertSame(result, i % 2 === 0 ? one(i) : two(i)));
  });

  test('what a getter remembers is of its own call', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const lazy = (n) => ({ cache: undefined, get parts() { return (this.cache ??= { n, u: undefined }); } });
    const read = ({ cache, parts }) => [cache.n, parts.n];
    const expected = range(20).map((n) => [n, n]);
    for (const options of [{}, { timeout: 60_000 }]) {
      assert.deepEqual((await Promise.all(range(20).map((n) => pool.apply(lazy, [n], options)))).map(read), expected);
      assert.deepEqual((await pool.map(lazy, range(20), options)).map(read), expected);
      assert.deepEqual(await pool.map(({ cache, parts }) => [cache.n, parts.n], range(20).map(lazy), options), expected);
    }
  });

  test('how long a call ran does not include what its result takes to be encoded', async (t) => {
    const pool = makePool(t, mode, { processes: 1 });
    const results = {
      records: () => (globalThis.records ??= Array.from({ length: 50_000 }, (_, id) => ({ id, name: `name ${id}` }))),
      map: () => (globalThis.map ??= new Map(Array.from({ length: 100_000 }, (_, i) => [i, { i }]))),
      json: () => (globalThis.json ??= [Array.from({ length: 50_000 }, (_, i) => [i, [`text ${i}`]])]),
      last: () => (globalThis.last ??= { rows: Array.from({ length: 50_000 }, (_, i) => [i, { i }]), u: undefined }),
    };
    for (const make of Object.values(results)) await pool.apply(make, []);
    const before = pool.stats().runTime;
    const begin = performance.now();
    for (const make of Object.values(results)) await pool.apply(make, []);
    const took = performance.now() - begin;
    const { count, mean } = pool.stats().runTime;
    const ran = count * mean - before.count * before.mean;
    assert.ok(ran < took / 5, `${ran} of ${took} ms`);
  });

  test('one that cannot travel fails alone', async (t) => {
    const pool = makePool(t, mode, {});
    const items = range(20).map((i) => (i === 7 ? { at: new Date(i), f() {} } : { at: new Date(i) }));
    const outcomes = await Promise.allSettled(items.map((item) => pool.apply((x) => x.at.getTime(), [item])));
    outcomes.forEach(({ status, value, reason }, i) => {
      if (i === 7) assert.equal(reason?.code, 'ERR_PARALLELIZER_SERIALIZATION');
      else assert.deepEqual([status, value], ['fulfilled', i]);
    });
  });
});
