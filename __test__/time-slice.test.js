'use strict';
// The messages of a port are handled in order, with a turn of the event loop after every few milliseconds of them.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { TimeSlice } = require('../lib/transport/time-slice');

/** Blocks the event loop for this many milliseconds. */
function work(milliseconds) {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

test('the event loop turns while long messages arrive one after another', async () => {
  const handled = [];
  const slice = new TimeSlice((number) => {
    handled.push(number);
    work(2);
  });
  const numbers = [...Array(30).keys()];
  for (const number of numbers) slice.add(number, true);
  const atOnce = handled.length;
  assert.ok(atOnce >= 1 && atOnce < numbers.length, `${atOnce} at once`);
  assert.ok(slice.isBehind);
  let turned = 0;
  while (slice.isBehind) {
    await new Promise((resolve) => setImmediate(resolve));
    turned++;
  }
  assert.ok(turned > 1);
  assert.deepEqual(handled, numbers);
});

test('short messages are handled as they come', () => {
  const handled = [];
  const slice = new TimeSlice((number) => handled.push(number));
  for (let number = 0; number < 1000; number++) slice.add(number, false);
  assert.equal(handled.length, 1000);
});

test('draining while a message is handled handles the next ones, in order', () => {
  const handled = [];
  const slice = new TimeSlice((number) => {
    handled.push(number);
    if (number === 0) work(10);
    else slice.drain();
  });
  for (const number of [0, 1, 2, 3]) slice.add(number, true);
  assert.deepEqual(handled, [0]);
  slice.drain();
  assert.deepEqual(handled, [0, 1, 2, 3]);
  assert.equal(slice.isBehind, false);
});

test('a handler that throws loses only its own message', () => {
  const handled = [];
  const slice = new TimeSlice((number) => {
    handled.push(number);
    if (number === 0) work(10);
    if (number === 1) throw new Error('out of luck');
  });
  for (const number of [0, 1, 2]) slice.add(number, true);
  assert.throws(() => slice.drain(), /out of luck/);
  slice.drain();
  assert.deepEqual(handled, [0, 1, 2]);
});
