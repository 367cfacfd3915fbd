'use strict';
// A list of answers for several jobs is read once, and none of its values is handed out twice.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { AnswerLists } = require('../lib/jobs/answer-lists');

const SAME = '[{},{},{}]';

test('one list for several jobs is read once', () => {
  const lists = new AnswerLists();
  const values = lists.valuesOf('[1,[2],3]', 0, 1);
  assert.deepEqual(values, [1, [2], 3]);
  assert.equal(lists.valuesOf('[1,[2],3]', 1, 2), values);
  assert.equal(lists.valuesOf('[1,[2],3]', 2, 3), values);
});

test('another list may have the same text, also where not all of the first was wanted', () => {
  const lists = new AnswerLists();
  const first = lists.valuesOf(SAME, 0, 2);
  for (const [start, end] of [[0, 1], [1, 2], [1, 3], [0, 3]]) {
    assert.notEqual(lists.valuesOf(SAME, start, end)[start], first[start], `${start} to ${end}`);
    lists.valuesOf(SAME, 0, 2);
  }
  const whole = lists.valuesOf(SAME, 0, 3);
  assert.notEqual(lists.valuesOf(SAME, 0, 3)[0], whole[0]);
});

test('nobody is given less than was asked for', () => {
  const lists = new AnswerLists();
  lists.valuesOf(SAME, 0, 1);
  for (const text of [SAME, '{}', 'no JSON']) assert.throws(() => lists.valuesOf(text, 1, 4));
});
