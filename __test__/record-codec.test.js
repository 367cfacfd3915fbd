'use strict';
// Values of every shape pass through the codec and come back as from structured clone.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const v8 = require('node:v8');

const { decodeValues, encodeValues } = require('../lib/codec/codec');
const { LATIN1, UTF8, PART_FIELDS, CALLS_FIELD } = require('../lib/codec/parts');

/** A seeded random number generator. */
function generator(seed) {
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  const int = (limit) => Math.floor(random() * limit);
  return { random, int, pick: (list) => list[int(list.length)] };
}

/** A string or buffer as it comes out of a frame. */
function travelled(encoding, value) {
  if (encoding === LATIN1) return Buffer.from(value, 'latin1').toString('latin1');
  return encoding === UTF8 ? Buffer.from(value, 'utf8').toString('utf8') : value;
}

/** What these values, one per call, arrive as. */
function roundTrip(values) {
  const parts = [];
  encodeValues(values, 'auto', null, parts, 0, (index, error) => assert.fail(`value ${index}: ${error.message}`));
  const arrived = [];
  const codecs = [];
  for (let at = 0; at < parts.length; ) {
    const [encoding, codec, , calls, , value] = parts.slice(at, at + PART_FIELDS);
    const extras = [];
    for (at += PART_FIELDS; at < parts.length && parts[at + CALLS_FIELD] === 0; at += PART_FIELDS) {
      extras.push(travelled(parts[at], parts[at + PART_FIELDS - 1]));
    }
    codecs.push(codec);
    arrived.push(...decodeValues(codec, travelled(encoding, value), calls, extras, null));
  }
  return { arrived, codecs };
}

const clone = (value) => v8.deserialize(v8.serialize(value));

for (const seed of [1, 20, 300, 4000]) {
  test(`random records arrive as from structured clone (seed ${seed})`, () => {
    const { random, int, pick } = generator(seed);
    const string = () =>
      pick([
        '',
        'a',
        'é',
        '漢字',
        '\ud800',
        'x'.repeat(int(30)),
        '😀',
        '__proto__',
        random() < 0.05 ? 'y'.repeat(int(70_000)) : 'z',
      ]);
    const plain = () =>
      pick([string(), int(300), -0, random(), NaN, Infinity, 1e308, null, true, false, 0, 255, 256, -1]);
    const odd = () => pick([undefined, 10n, new Date(5), new Map([[1, 2]]), /x/g]);
    const value = (depth) => {
      const kind = depth > 3 ? 0 : int(6);
      if (kind < 3) return random() < 0.98 ? plain() : odd();
      if (kind === 3) return Array.from({ length: int(6) }, () => int(256));
      if (kind === 4) return Array.from({ length: int(5) }, () => value(depth + 1));
      const keys = ['a', 'b', 'c', '1', ...(random() < 0.03 ? ['__proto__'] : [])].slice(int(3));
      return Object.fromEntries(keys.map((key) => [key, value(depth + 1)]));
    };
    const shared = { once: 1 };
    for (let round = 0; round < 400; round++) {
      const kinds = Array.from({ length: 1 + int(5) }, () => int(3));
      const sloppy = random() < 0.3;
      const records = Array.from({ length: 16 + int(20) }, () =>
        Object.fromEntries(
          kinds.map((kind, i) => {
            if (sloppy && random() < 0.02) return [`key${i}`, value(0)];
            return [`key${i}`, kind === 0 ? string() : kind === 1 ? int(1e6) : value(1)];
          }),
        ),
      );
      if (random() < 0.05) records[3] = records[2];
      if (random() < 0.05) records[1].more = records[2].more = shared;
      if (random() < 0.03) records.extra = 1;
      if (random() < 0.03) delete records[5];
      const values = [pick([records, [records, null, 3], { records, n: 1 }]), 1];
      assert.deepEqual(roundTrip(values).arrived, values.map(clone), `round ${round}`);
    }
  });
}

test('a record that is in a list twice arrives as one object', () => {
  const records = Array.from({ length: 20 }, (_, i) => ({ i, tag: 'x' }));
  records[7] = records[3];
  const { arrived } = roundTrip([records]);
  assert.equal(arrived[0][7], arrived[0][3]);
  const { arrived: two } = roundTrip([records, records]);
  assert.notEqual(two[0], two[1], 'but never across calls');
});

test('a key called __proto__ stays a key', () => {
  const records = Array.from({ length: 20 }, () =>
    JSON.parse('{"__proto__": {"polluted": true}, "a": {"__proto__": 1}}'),
  );
  const [arrived] = roundTrip([records]).arrived;
  assert.ok(Object.hasOwn(arrived[0], '__proto__') && Object.hasOwn(arrived[0].a, '__proto__'));
  assert.equal(arrived[0].polluted, undefined);
  assert.equal({}.polluted, undefined);
});

test('a list that holds records keeps its other properties, and an object its key __proto__', () => {
  const records = Array.from({ length: 20 }, (_, i) => ({ i }));
  const list = Object.assign([records, 1], { more: 'here' });
  assert.deepEqual(roundTrip([list]).arrived, [clone(list)]);
  const object = Object.defineProperty({ n: 1 }, '__proto__', { value: records, enumerable: true });
  const [arrived] = roundTrip([object]).arrived;
  assert.deepEqual(Object.keys(arrived), ['n', '__proto__']);
  assert.equal(Object.getPrototypeOf(arrived), Object.prototype);
});

test('a record that is kept does not keep its whole batch in memory', () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = require('node:vm').runInNewContext('gc');
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const records = Array.from({ length: 4000 }, (_, i) => ({ id: i, value: `${i} `.repeat(500) }));
  const one = () => roundTrip([records]).arrived[0][2000];
  one();
  const before = used();
  const kept = one();
  const growth = used() - before;
  // All records together are 10 MB.
  assert.ok(growth < 2_000_000, `one record holds ${growth} bytes`);
  assert.equal(kept.value, '2000 '.repeat(500));
});

/** Records of one shape, with an object and texts that repeat; and what a record may have in the place of each. */
const uniform = (i) => ({
  id: `id-${i}`,
  source: 'aws:sqs',
  at: i % 7 === 3 ? null : `at ${i >> 2}`,
  attributes: { sent: String(i), group: 'one', deep: { empty: {}, count: i } },
});

const deviations = {
  'null in place of an object': { attributes: null },
  'a text in place of an object': { attributes: 'none' },
  'other keys': { attributes: { sent: '1', group: 'one', other: {} } },
  'fewer keys': { attributes: { sent: '1' } },
  'other values': { attributes: { sent: 1, group: undefined, deep: { empty: { a: 1 }, count: '1' } } },
  'a list': { attributes: ['sent', 'group'] },
  'a map': { attributes: new Map([['sent', 1]]) },
  'a number in place of a text': { source: -0 },
  'null in place of a text': { source: null },
  'another text': { source: 'aws:kinesis' },
  'a deep one': { attributes: { sent: '1', group: 'one', deep: { empty: null, count: Number.NaN } } },
};

for (const [what, deviation] of Object.entries(deviations)) {
  for (const at of [0, 1, 30, 61, 99]) {
    test(`a record unlike the others arrives as it is: ${what}, at ${at}`, () => {
      const records = Array.from({ length: 100 }, (_, i) => uniform(i));
      records[at] = { ...records[at], ...deviation };
      const { arrived } = roundTrip([records, { records, other: 1 }]);
      assert.deepStrictEqual(arrived, clone([records, { records, other: 1 }]));
    });
  }
}

test('an object that is in a record twice, or in two records, arrives as one object', () => {
  const records = Array.from({ length: 100 }, (_, i) => uniform(i));
  records[70].attributes.deep.empty = records[70].attributes.deep;
  records[20].attributes = records[21].attributes;
  const { arrived: [list] } = roundTrip([records]);
  assert.equal(list[70].attributes.deep.empty, list[70].attributes.deep);
  assert.equal(list[20].attributes, list[21].attributes);
});

test('what a record is changed to changes none of those after it', () => {
  const { arrived: [list], codecs } = roundTrip([Array.from({ length: 100 }, (_, i) => uniform(i))]);
  assert.deepEqual(codecs, [5], 'the record codec');
  for (const record of list) {
    assert.equal(record.attributes.changed ?? record.changed, undefined);
    record.changed = record.attributes.changed = true;
    record.source = record.attributes.group = 'changed';
  }
});

test('texts that repeat travel once', () => {
  const size = (source) => {
    const parts = [];
    const records = Array.from({ length: 1000 }, (_, i) => ({ ...uniform(i), source: source(i) }));
    encodeValues([records], 'auto', null, parts, 0);
    return parts.reduce((bytes, part) => bytes + (part.length ?? 0), 0);
  };
  const arn = 'arn:aws:sqs:eu-central-1:123456789012:orders';
  assert.ok(size(() => arn) < size(() => 'x') + 2 * arn.length);
});
