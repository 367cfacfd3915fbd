'use strict';
// Numbers of DynamoDB have up to 38 digits. What a JavaScript number holds is one; a whole number that it does not hold is
// a BigInt; anything else is an error where it is asked for, as the SDK has it, and can be had as text.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');

const recordOf = (image) =>
  records({ Records: [{ eventSource: 'aws:dynamodb', eventName: 'INSERT', dynamodb: { SequenceNumber: '1', Keys: {}, NewImage: image } }] })[0];
const valueOf = (N) => recordOf({ n: { N } }).newImage.n;

for (const [text, value] of [
  ['0', 0], ['-0', -0], ['1', 1], ['-1.5', -1.5], ['0.1', 0.1], ['1E+3', 1000], ['1e-7', 1e-7], ['123.4500', 123.45], ['+7', 7],
  ['9007199254740991', 9007199254740991], ['9007199254740993', 9007199254740993n], ['-9007199254740993', -9007199254740993n],
  ['12345678901234567890123456789012345678', 12345678901234567890123456789012345678n],
  ['100000000000000000000', 100000000000000000000n], ['1.7976931348623157', 1.7976931348623157], ['0.3333333333333333', 0.3333333333333333],
  ['1E-130', 1e-130], ['1E+20', 100000000000000000000n],
]) {
  test(`${text} is ${typeof value === 'bigint' ? `${value}n` : value}`, () => {
    const found = valueOf(text);
    // 1E+20 is one that a number holds as well.
    assert.ok(Object.is(found, value) || (text === '1E+20' && found === 1e20), String(found));
  });
}

const HELD_BY_NONE = [
  '0.12345678901234567890123456789', '3.14159265358979323846264338327950288', '9007199254740993.5', '-123456789012345678.25',
  '1.00000000000000000000000000000000001', '12345678901234567890.1', '0.10000000000000000000000000000000000001',
];

for (const text of HELD_BY_NONE) {
  test(`${text} is an error, not another number`, () => {
    for (const image of [{ n: { N: text } }, { list: { L: [{ N: '1' }, { N: text }] } }, { map: { M: { deep: { N: text } } } }, { set: { NS: ['1', text] } }]) {
      const record = recordOf(image);
      assert.throws(() => record.newImage, (error) => {
        assert.ok(error instanceof RangeError || error.name === 'RangeError' || error.code?.startsWith('ERR_PARALLELIZER'), error.stack);
        assert.ok(error.message.includes(text), error.message);
        assert.match(error.message, /raw|text|string|wrapNumbers/i);
        return true;
      });
      assert.equal(JSON.stringify(record.raw.dynamodb.NewImage), JSON.stringify(image), 'raw has it as it came');
    }
  });
}
