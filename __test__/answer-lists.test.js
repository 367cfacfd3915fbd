'use strict';
// A list of answers for several jobs is read once, and none of its values is handed out twice.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { decodeValues, encodeValues } = require('../lib/codec/codec');
const { AnswerLists } = require('../lib/jobs/answer-lists');
const { JSON_LIST, PLAIN_VALUES, UNDEFINED, VALUE_FIELD } = require('../lib/transport/constants');

const SAME = '[{},{},{}]';

/** A list of values in V8's format. @param {unknown[]} values @returns {Buffer} */
function plain(values) {
  const parts = [];
  encodeValues(values, 'advanced', null, parts, 0, () => assert.fail('they can travel'));
  assert.equal(parts.length, 6);
  return parts[VALUE_FIELD];
}

test('one list for several jobs is read once', () => {
  const lists = new AnswerLists();
  const values = lists.valuesOf(JSON_LIST, '[1,[2],3]', 0, 1);
  assert.deepEqual(values, [1, [2], 3]);
  assert.equal(lists.valuesOf(JSON_LIST, '[1,[2],3]', 1, 2), values);
  assert.equal(lists.valuesOf(JSON_LIST, '[1,[2],3]', 2, 3), values);
});

test('so is one in V8’s format, as far as it is asked for', () => {
  const lists = new AnswerLists();
  const bytes = plain([1n, [2n], { three: undefined }, 4n]);
  const values = lists.valuesOf(PLAIN_VALUES, bytes, 0, 1);
  assert.deepEqual(values, [1n]);
  assert.equal(lists.valuesOf(PLAIN_VALUES, bytes, 1, 3), values);
  assert.deepEqual(values, [1n, [2n], { three: undefined }]);
  assert.deepEqual(lists.valuesOf(PLAIN_VALUES, bytes, 3, 4)[3], 4n);
});

test('another list may have the same text, also where not all of the first was wanted', () => {
  const lists = new AnswerLists();
  const first = lists.valuesOf(JSON_LIST, SAME, 0, 2);
  for (const [start, end] of [[0, 1], [1, 2], [1, 3], [0, 3]]) {
    assert.notEqual(lists.valuesOf(JSON_LIST, SAME, start, end)[start], first[start], `${start} to ${end}`);
    lists.valuesOf(JSON_LIST, SAME, 0, 2);
  }
  const whole = lists.valuesOf(JSON_LIST, SAME, 0, 3);
  assert.notEqual(lists.valuesOf(JSON_LIST, SAME, 0, 3)[0], whole[0]);
});

test('the same bytes in another buffer are another list, and no value of one is handed out twice', () => {
  const lists = new AnswerLists();
  const bytes = plain([new Date(1), new Date(2), new Date(3)]);
  const first = lists.valuesOf(PLAIN_VALUES, bytes, 0, 2)[1];
  assert.notEqual(lists.valuesOf(PLAIN_VALUES, Buffer.from(bytes), 1, 2)[1], first);
  const again = lists.valuesOf(PLAIN_VALUES, bytes, 1, 2)[1];
  assert.notEqual(again, first);
  assert.notEqual(lists.valuesOf(PLAIN_VALUES, bytes, 1, 2)[1], again);
});

test('nobody is given less than was asked for', () => {
  const lists = new AnswerLists();
  lists.valuesOf(JSON_LIST, SAME, 0, 1);
  for (const text of [SAME, '{}', 'no JSON']) assert.throws(() => lists.valuesOf(JSON_LIST, text, 1, 4));
  const bytes = plain([1n, 2n]);
  assert.equal(lists.valuesOf(PLAIN_VALUES, bytes, 0, 1)[0], 1n);
  assert.throws(() => lists.valuesOf(PLAIN_VALUES, bytes, 1, 3));
  assert.throws(() => lists.valuesOf(PLAIN_VALUES, Buffer.from('x'), 0, 1));
  assert.throws(() => decodeValues(PLAIN_VALUES, bytes, 3, [], null));
});

test('behind a value that cannot be read nothing is', () => {
  const lists = new AnswerLists();
  const bytes = Buffer.concat([plain([1n]), Buffer.from('?'), plain([3n]).subarray(2)]);
  assert.deepEqual(lists.valuesOf(PLAIN_VALUES, bytes, 0, 1), [1n]);
  for (const start of [1, 2]) assert.throws(() => lists.valuesOf(PLAIN_VALUES, bytes, start, start + 1), String(start));
});

test('what is no list is not read here', () => {
  assert.equal(new AnswerLists().valuesOf(UNDEFINED, '', 0, 1), null);
});
