'use strict';
// The decoders that read what a worker has sent, given malformed input: they return a value or throw an error, soon and
// in little memory, and change nothing else. The fuzzer runs in its own process with a small heap, which malformed
// input that is not refused would bring down.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { decodeValues } = require('../lib/codec/codec');
const { restoreError } = require('../lib/codec/error-restorer');
const { decodeRecords } = require('../lib/codec/record-decoder');
const { root } = require('./support/helpers');
const { run } = require('./support/scripts');

const [JSON_LIST, V8_VALUE] = [1, 2];

/** A table of records as record-layout.js describes it. */
const table = (changes) => ({
  at: null, records: 1, keys: null, kinds: [2], shapes: [], numbers: 0, words: 1, octets: 0, segments: 0, ...changes,
});
const records = (changes, words, more = []) => [
  JSON.stringify([0, [table({ words: words.length, ...changes })]]),
  [Buffer.from(new Uint32Array(words).buffer), ...more],
];

test('a part with fewer values than it claims is an error, not undefined values', () => {
  for (const text of ['[]', '[1]', '1', 'null', '{"length":2}', '"ab"']) {
    assert.throws(() => decodeValues(JSON_LIST, text, 2, [], null), TypeError, text);
  }
  assert.throws(() => decodeValues(77, '', 1, [], null), /unknown codec 77/);
});

test('sizes beyond the data are refused before anything of that size is allocated', () => {
  const most = 2 ** 32 - 1;
  const constant = 0;
  for (const [text, extras] of [
    records({ records: most }, [constant]),
    records({ records: most, kinds: [0] }, [0]),
    records({ records: most, kinds: [1] }, []),
    records({ records: 2 ** 53 }, [constant]),
    records({ records: -1 }, []),
    records({ records: 0.5 }, [constant]),
    records({ records: most, keys: [], kinds: [] }, []),
    records({ records: 1, keys: { length: most }, kinds: [0] }, [0]),
    records({}, [(most << 3) | 3]), // a list
    records({}, [(most << 3) | 5]), // octets
    records({}, [(5 << 3) | 1]), // a string
    records({}, [(7 << 3) | 0]), // a constant
    records({}, [(0 << 3) | 4]), // an object without its shape
    records({ shapes: [Array.from({ length: 1000 }, (_, i) => `k${i}`)] }, [(0 << 3) | 4]),
    records({ words: 1000 }, [constant]),
    records({ numbers: 1000 }, [constant]),
    records({ octets: most }, [constant]),
    records({ segments: most }, [constant]),
    records({ segments: 1 }, [constant], [5]),
    records({}, [constant, constant]),
  ]) {
    assert.throws(() => decodeRecords(text, extras), TypeError, text);
  }
  const bytes = Buffer.from('ff0f', 'hex');
  assert.throws(() => decodeValues(V8_VALUE, Buffer.concat([bytes, Buffer.from('ffffffff0f', 'hex')]), 1, [], null));
});

test('no key reaches a prototype', () => {
  const own = JSON.parse('{"__proto__":{"polluted":1}}');
  const [fromJson] = decodeValues(
    JSON_LIST,
    '[{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}]',
    1,
    [],
    null,
  );
  assert.equal(Object.getPrototypeOf(fromJson), Object.prototype);
  assert.deepEqual(Object.keys(fromJson), ['__proto__', 'constructor']);
  for (const [text, extras] of [
    records({ keys: ['__proto__'], kinds: [2] }, [0]),
    records({ shapes: [['__proto__']] }, [4, 0]),
    [JSON.stringify([{}, [table({ at: '__proto__' })]]), [Buffer.alloc(4)]],
    [JSON.stringify([[1], [table({ at: 'length' })]]), [Buffer.alloc(4)]],
    [JSON.stringify([{ a: 1 }, [table({ at: 'constructor' })]]), [Buffer.alloc(4)]],
    [JSON.stringify([null, [table({ at: 'a' })]]), [Buffer.alloc(4)]],
  ]) {
    assert.throws(() => decodeRecords(text, extras), TypeError, text);
  }
  const error = (properties) =>
    restoreError({ root: ['node', 0], nodes: [{ kind: 'error', builtIn: 'Error', className: '', properties }] });
  for (const place of ['__proto__', 'constructor', 'length', -1, 0.5]) {
    assert.equal(error([['cause', ['node', place], 1]]).cause, undefined, String(place));
  }
  const restored = error([['__proto__', 'x', 2], ['message', own, 1]]);
  assert.equal(Object.getPrototypeOf(restored), Error.prototype);
  assert.ok(Object.hasOwn(restored, '__proto__'));
  assert.equal({}.polluted, undefined);
});

for (const seed of [1, 2, 3]) {
  test(`mutated encodings of every kind (seed ${seed})`, async (t) => {
    const { messages } = await run(t, fuzz(seed, 8_000), { execArgv: ['--max-old-space-size=96'] });
    const [{ values, errors, peak }] = messages;
    t.diagnostic(JSON.stringify(messages[0]));
    assert.equal(values + errors, 8_000);
    assert.ok(errors > 1_000 && values > 100, 'both happen');
    assert.ok(peak < 64 * 2 ** 20, `${peak} bytes in buffers for parts of less than 100 KB`);
  });
}

const fuzz = (seed, rounds) => `
const { encodeValues, decodeValues } = require(${JSON.stringify(`${root}/lib/codec/codec`)});
const { PART_FIELDS, CALLS_FIELD } = require(${JSON.stringify(`${root}/lib/codec/parts`)});
const { flattenError } = require(${JSON.stringify(`${root}/lib/codec/error-flattener`)});
const { restoreError } = require(${JSON.stringify(`${root}/lib/codec/error-restorer`)});
const { Random } = require(${JSON.stringify(`${root}/__test__/chaos/random`)});
const random = new Random(${seed});

/** What must not change: what every object inherits from. */
const intrinsics = [Object, Array, Error, String, Number, Boolean, Function, Map, Set, Date, Buffer, Uint8Array, RegExp, Promise];
const picture = () => intrinsics.flatMap((type) => [type, type.prototype]).map((object) =>
  Reflect.ownKeys(object).map((key) => String(key)).sort().join() + (Object.getPrototypeOf(object) === null)).join(';') + Object.keys(globalThis).length;

const cyclic = { list: [] };
cyclic.list.push(cyclic);
const rows = (n, more) => Array.from({ length: n }, (_, i) => ({ id: i, name: 'name ' + i, note: i % 3 ? 'x'.repeat(i % 90) : null, tags: ['a', i], ...more }));
const values = [
  [1, 'two', null, { three: [3] }], ['é', '漢字', '\\ud800'], [undefined, undefined], 'text '.repeat(2000), rows(300), [rows(100), { table: 'a' }],
  { batch: rows(200, { headers: [{ key: [1, 2, 255] }], deep: { er: { still: true } } }) }, Array.from({ length: 5000 }, (_, i) => i / 3),
  Array.from({ length: 2000 }, (_, i) => 'string ' + i), cyclic, new Map([[1, new Set(['a'])]]), new Date(5), 10n ** 40n, /a/gi, Buffer.alloc(20_000, 7),
  [new Float64Array(3), new Uint8Array(9000), new DataView(new ArrayBuffer(16))], new ArrayBuffer(9000), new Error('as a value'), [-0, NaN],
];
const seeds = [];
for (const value of values) {
  const parts = [];
  encodeValues([value], 'auto', null, parts, 0, (_i, error) => { throw error; });
  const extras = [];
  for (let at = PART_FIELDS; at < parts.length; at += PART_FIELDS) extras.push(parts[at + PART_FIELDS - 1]);
  seeds.push({ codec: parts[1], value: parts[PART_FIELDS - 1], calls: parts[CALLS_FIELD], extras });
}
const wrapped = new TypeError('no', { cause: Object.assign(new RangeError('why'), { code: 'E', list: [1, 10n, new Map([[1, 2]]), new Date(3)] }) });
const tree = JSON.stringify(flattenError(new AggregateError([wrapped, 'text'], 'many')));

const odd = ['0', '-1', '4294967295', '1e308', 'null', '"__proto__"', '"constructor"', '[]', '{}', '"node"', '"error"', 'true', '9007199254740993'];
function mutateText(text) {
  for (let n = random.between(1, 4); n > 0; n--) {
    const at = random.between(0, text.length);
    switch (random.between(0, 4)) {
      case 0: text = text.slice(0, at) + String.fromCharCode(random.between(0, 300)) + text.slice(at + 1); break;
      case 1: text = text.slice(0, at); break;
      // A number or a key of the JSON.
      case 2: { const found = [...text.matchAll(/-?\\d+|"[^"]{0,20}"/g)]; if (found.length === 0) break; const one = random.pick(found); text = text.slice(0, one.index) + random.pick(odd) + text.slice(one.index + one[0].length); break; }
      case 3: text = text.slice(0, at) + text.slice(random.between(0, text.length)); break;
      default: text = text.slice(0, at) + random.pick(odd) + text.slice(at);
    }
    if (text.length > 1e6) text = text.slice(0, 1e6);
  }
  return text;
}
function mutateBytes(bytes) {
  bytes = Buffer.from(bytes);
  for (let n = random.between(1, 6); n > 0 && bytes.length > 0; n--) {
    const at = random.between(0, bytes.length - 1);
    switch (random.between(0, 4)) {
      case 0: bytes[at] = random.between(0, 255); break;
      case 1: bytes = Buffer.from(bytes.subarray(0, at)); break;
      case 2: bytes.fill(0xff, at, at + random.between(1, 5)); break;
      case 3: bytes[at] ^= 1 << random.between(0, 7); break;
      default: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.between(0, bytes.length - 1))]);
    }
  }
  return bytes;
}
const mutate = (value) => (typeof value === 'string' ? mutateText(value) : mutateBytes(value));

const counts = { values: 0, errors: 0, peak: 0 };
const before = picture();
for (let round = 0; round < ${rounds}; round++) {
  const seed = random.pick(seeds);
  const what = random.between(0, 3);
  try {
    if (what === 3) {
      restoreError(JSON.parse(mutateText(tree)));
    } else {
      const extras = seed.extras.map((extra) => (random.chance(what === 0 ? 0 : 0.5) ? mutate(extra) : extra));
      if (random.chance(0.1)) extras.splice(random.between(0, extras.length), 1, random.pick(['', Buffer.alloc(3), 'z']));
      const value = what === 1 ? seed.value : mutate(seed.value);
      decodeValues(random.chance(0.05) ? random.between(0, 12) : seed.codec, value, random.chance(0.05) ? random.between(0, 5) : seed.calls, extras, null);
    }
    counts.values++;
  } catch (error) {
    if (!(error instanceof Error)) throw new Error('what is thrown is an error');
    counts.errors++;
  }
  counts.peak = Math.max(counts.peak, process.memoryUsage().arrayBuffers);
  if (picture() !== before) throw new Error('round ' + round + ' has changed what all objects share');
}
console.log(JSON.stringify(counts));
`;
