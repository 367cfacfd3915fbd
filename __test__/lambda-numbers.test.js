'use strict';
// Numbers of DynamoDB have up to 38 digits, those of JavaScript some 16: none is rounded unless somebody asks for it.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { processPartialResponse, records, unmarshall } = require('@parallelizer/node/lambda');
const { fixture, make: makeParallelizer } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(26);
const decoded = (text, options) => unmarshall({ n: { N: text } }, options).n;

/** What a double holds: it is written back as the same number. */
const EXACT = [
  ['0', 0], ['-0', -0], ['1', 1], ['-1', -1], ['+7', 7], ['007', 7], ['1.0', 1], ['1.50', 1.5], ['100', 100], ['1E+2', 100], ['0.1', 0.1],
  ['-1.5e3', -1500], ['1e-7', 1e-7], ['0.00000010', 1e-7], ['1E-130', 1e-130], ['9007199254740991', 9007199254740991],
  ['0.30000000000000004', 0.30000000000000004], ['1.7976931348623157', 1.7976931348623157], ['5e-324', 5e-324],
  ['0E+5', 0], ['0.000', 0], ['1E+3', 1000], ['123.4500', 123.45], ['0.3333333333333333', 0.3333333333333333],
];

/** Integers beyond that. */
const INTEGERS = [
  ['9007199254740992', 2n ** 53n], ['9007199254740993', 2n ** 53n + 1n], ['-9007199254740993', -(2n ** 53n) - 1n],
  ['12345678901234567890', 12345678901234567890n], ['9007199254740993.0', 2n ** 53n + 1n], ['1E+30', 10n ** 30n],
  ['1.5E+30', 15n * 10n ** 29n], ['9.9999999999999999999999999999999999999E+125', BigInt('9'.repeat(38)) * 10n ** 88n],
  ['100000000000000000000', 10n ** 20n], ['1E+20', 10n ** 20n], ['9'.repeat(38), BigInt('9'.repeat(38))], ['-1E+30', -(10n ** 30n)],
];

/** What no value of JavaScript's holds, or what is no number. */
const NEITHER = [
  '1.23456789012345678901', '0.12345678901234567890123456789', '-123456789012345678.25', '12345678901234567890.1',
  '1.00000000000000000000000000000000001', '0.10000000000000000000000000000000000001', '9007199254740993.5', '90071992547409.91', '0.1000000000000000055', '3.1415926535897932384626433832795028842',
  '1E-400', '-1E-400', '1E+400', '-1E+400', '4e-324', '1E+999999999', '1E+9999999999', 'Infinity', '-Infinity', 'NaN', '', '.',
  'abc', '0x10', '1_000', ' 1', '1n',
];

test('a number where it is exact, a BigInt for an integer beyond, else an error', () => {
  for (const [text, value] of [...EXACT, ...INTEGERS]) assert.ok(Object.is(decoded(text), value), text);
  for (const text of NEITHER) {
    assert.throws(() => decoded(text), (error) => {
      assert.ok(error instanceof RangeError);
      assert.deepEqual([error.name, error.attribute, error.value], ['RangeError', 'n', text]);
      assert.match(error.message, /^the attribute n of the item is .*numbers: 'string'/);
      assert.ok(error.message.includes(text));
      return true;
    }, text);
  }
});

test('a random number is what it was, or refused', () => {
  for (let i = 0; i < 5000; i++) {
    const digits = Array.from({ length: 1 + r.below(38) }, () => r.below(10)).join('');
    const point = r.below(digits.length + 1);
    const text = `${digits.slice(0, point) || '0'}.${digits.slice(point) || '0'}E${r.below(40) - 20}`;
    let value;
    try {
      value = decoded(text);
    } catch {
      // A double holds any 15 digits.
      assert.ok(digits.replace(/^0+|0+$/g, '').length > 15, text);
      continue;
    }
    assert.equal(scaled(String(value)), scaled(text), text);
  }
});

/** A number as an integer, in units that none of them falls below. */
function scaled(text) {
  const [, whole, fraction = '', power = '0'] = /^(\d+)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text);
  return BigInt(whole + fraction) * 10n ** BigInt(100 + Number(power) - fraction.length);
}

test('the option numbers: as text, rounded, or made by a function', () => {
  for (const text of [...EXACT, ...INTEGERS].map(([text]) => text).concat(NEITHER)) {
    assert.equal(decoded(text, { numbers: 'string' }), text);
    assert.equal(decoded(text, { numbers: 'number' }), Number(text));
    assert.deepEqual(decoded(text, { numbers: (each) => ({ text: each }) }), { text });
  }
  assert.equal(decoded('1', { numbers: 'exact' }), 1);
  for (const numbers of ['bigint', true, null, 7]) {
    assert.throws(() => decoded('1', { numbers }), (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.match(error.message, /"numbers" must be 'exact', 'string' or 'number'/);
      return true;
    });
  }
  assert.throws(() => records([], { wrapNumbers: true }), { code: 'ERR_PARALLELIZER_OPTION' });
});

test('wherever a number stands: sets, lists, maps; the error has its path', () => {
  const long = '1.23456789012345678901';
  const item = { a: { M: { list: { L: [{ S: 'x' }, { M: { set: { NS: ['1', long] } } }] } } }, b: { NS: ['2', '1E+30'] } };
  assert.throws(() => unmarshall(item), { attribute: 'a.list[1].set', value: long });
  assert.deepEqual(unmarshall(item, { numbers: 'string' }), {
    a: { list: ['x', { set: new Set(['1', long]) }] }, b: new Set(['2', '1E+30']),
  });
  assert.deepEqual(unmarshall({ b: item.b }), { b: new Set([2, 10n ** 30n]) });
});

test('unmarshall: items of the SDK, whose binary values are bytes; what is no item', () => {
  const bytes = new Uint8Array([1, 255]);
  assert.deepEqual(unmarshall({ one: { B: bytes }, two: { BS: [bytes, 'Af8='] }, three: { NULL: true } }), {
    one: Buffer.from(bytes), two: new Set([Buffer.from(bytes), Buffer.from(bytes)]), three: null,
  });
  for (const item of [null, undefined, 7, 'text', []]) {
    assert.throws(() => unmarshall(item), { code: 'ERR_PARALLELIZER_OPTION' });
  }
  assert.throws(() => unmarshall({ a: 1 }), /the attribute a of the item is no attribute value/);
  assert.throws(() => unmarshall({ a: { M: { b: { X: 1 } } } }), /the attribute a\.b of the item has no type that is known: it has X/);
});

/** A record whose attribute `at` of an image is this number. */
function recordWith(text, position, image = 'NewImage') {
  const raw = make.dynamodb(r, { payload: { id: position }, position });
  raw.dynamodb[image] = { ...raw.dynamodb[image], price: { N: text } };
  return raw;
}

test('records: what no number holds is an error wherever it stands, and raw has it as it came', () => {
  for (const text of NEITHER) {
    for (const image of [
      { n: { N: text } }, { list: { L: [{ N: '1' }, { N: text }] } }, { map: { M: { deep: { N: text } } } }, { set: { NS: ['1', text] } },
    ]) {
      const raw = make.dynamodb(r, { payload: { id: 1 } });
      raw.dynamodb.NewImage = image;
      const [record] = records({ Records: [raw] });
      assert.throws(() => record.newImage, (error) => error instanceof RangeError && error.value === text);
      assert.equal(record.raw.dynamodb.NewImage, image);
    }
  }
});

test('records: keys and images, each when it is asked for', () => {
  const raw = recordWith('1.23456789012345678901', 0, 'OldImage');
  const [record] = records({ Records: [raw] });
  assert.equal(record.newImage.version, 0);
  for (let i = 0; i < 2; i++) {
    assert.throws(() => record.oldImage, {
      name: 'RangeError', attribute: 'OldImage.price', message: new RegExp(`OldImage.price of the dynamodb record ${record.identifier}`),
    });
  }
  assert.throws(() => record.value, RangeError);
  assert.equal(records({ Records: [raw] }, { numbers: 'string' })[0].oldImage.price, '1.23456789012345678901');
  assert.equal(records([raw], { numbers: (text) => text.length })[0].oldImage.price, 22);
});

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, {
    type: mode.type, filePath: fixture('lambda-fields.js'), recordFunctionName: 'read', params: { images: ['newImage'] },
    groupBy: (record) => record.raw.dynamodb.Keys.id.S, ...options,
  });
  const raws = ['1', '1.23456789012345678901', '12345678901234567890', '2'].map((text, i) => recordWith(text, i));

  test('only the record that has the number fails, and says which attribute it is', async (t) => {
    const { handler, errors } = on(t);
    assert.deepEqual(identifiers(await handler({ Records: raws }, contextOf())), [raws[1].dynamodb.SequenceNumber]);
    const [{ error, records: [record] }] = errors;
    assert.equal(errors.length, 1);
    assert.ok(error instanceof RangeError);
    assert.deepEqual([error.attribute, error.value], ['NewImage.price', '1.23456789012345678901']);
    assert.match(error.message, /numbers: 'string'/);
    assert.equal(record.raw, raws[1]);
  });

  test('a record whose function does not read it is done', async (t) => {
    const { handler } = on(t, { params: { images: ['keys', 'oldImage'] } });
    assert.deepEqual(await handler({ Records: raws }, contextOf()), { batchItemFailures: [] });
  });

  test('numbers: in the worker as in the handler', async (t) => {
    const { handler: asText } = on(t, {
      numbers: 'string', groupBy: (record) => typeof record.newImage.price, recordFunctionName: 'tell', params: { fields: ['newImage'] },
      onError: ({ fields }, [{ newImage }]) => assert.deepEqual(fields.newImage, newImage),
    });
    assert.equal((await asText({ Records: raws }, contextOf())).batchItemFailures.length, raws.length);
    const { handler: rounded, errors } = on(t, {
      numbers: 'number', recordFunctionName: 'tell', params: { fields: ['newImage'] },
    });
    await rounded({ Records: raws }, contextOf());
    const prices = errors.map(({ error }) => error.fields.newImage.price).sort();
    assert.deepEqual(prices, [1, 1.2345678901234567, 12345678901234567000, 2].sort());
  });

  test('processPartialResponse has the option too', async (t) => {
    const parallelizer = makeParallelizer(t, {
      type: mode.type, filePath: fixture('lambda-fields.js'), processBatchFunctionName: 'readAll',
    });
    const answer = (options) => processPartialResponse({ Records: raws }, contextOf(), parallelizer, { onError() {}, ...options });
    assert.equal((await answer({})).batchItemFailures.length, 4, 'the sub-batch has failed as a whole');
    assert.deepEqual(await answer({ numbers: 'string' }), { batchItemFailures: [] });
  });

  test('a function cannot travel', (t) => {
    assert.throws(() => on(t, { numbers: String }), (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.match(error.message, /"numbers" cannot be a function.*give 'string'/);
      return true;
    });
  });
});
