'use strict';

// How a batch is cut: exactly where the ancestor cuts it, at a cost that grows with the sub-batches only.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const { splitEvenly, splitBySize, subBatchStart } = require('../lib/parallelizer/split');

/** @param {readonly (readonly [number, number])[]} bounds */
const sizes = (bounds) => bounds.map(([start, end]) => end - start);

/** The sizes of the sub-batches by the ancestor's formula, record by record. */
function ancestorSizes(length, workers) {
  if (length < workers) return Array(length).fill(1);
  const size = length / workers;
  const counts = [];
  for (let i = 0; i < length; i++) {
    const index = Math.floor(i / size);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** Contiguous, complete, none empty, and of sizes that differ by at most one record. */
function assertWellFormed(bounds, length, count) {
  assert.equal(bounds.length, count);
  let next = 0;
  let least = Infinity;
  let most = 0;
  for (const [start, end] of bounds) {
    assert.equal(start, next);
    least = Math.min(least, end - start);
    most = Math.max(most, end - start);
    next = end;
  }
  assert.equal(next, length);
  if (count > 0) assert.ok(least >= 1 && most - least <= 1, `sizes from ${least} to ${most}`);
}

/** The same numbers each time. */
function* pseudoRandom(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test('the cuts that users of the ancestor know', () => {
  assert.deepEqual(sizes(splitEvenly(7, 3)), [3, 2, 2]);
  assert.deepEqual(sizes(splitEvenly(10, 3)), [4, 3, 3]);
  assert.deepEqual(sizes(splitEvenly(10, 4)), [3, 2, 3, 2]);
  assert.deepEqual(sizes(splitEvenly(8, 3)), [3, 3, 2]);
  assert.deepEqual(splitEvenly(7, 3), [[0, 3], [3, 5], [5, 7]]);
});

test('fewer records than workers: one each', () => {
  assert.deepEqual(splitEvenly(2, 3), [[0, 1], [1, 2]]);
  assert.deepEqual(splitEvenly(1, 64), [[0, 1]]);
});

test('nothing to cut', () => {
  assert.deepEqual(splitEvenly(0, 4), []);
  assert.deepEqual(splitBySize(0, 10), []);
});

test('every small batch is cut as the formula says', () => {
  for (let length = 1; length <= 300; length++) {
    for (let workers = 1; workers <= 66; workers++) {
      const bounds = splitEvenly(length, workers);
      assert.deepEqual(sizes(bounds), ancestorSizes(length, workers), `${length} over ${workers}`);
      assertWellFormed(bounds, length, Math.min(length, workers));
    }
  }
});

test('large batches are cut as the formula says', () => {
  const random = pseudoRandom(1);
  const next = (limit) => 1 + Math.floor(random.next().value * limit);
  for (let i = 0; i < 400; i++) {
    const length = next(1_000_000);
    // Worker counts that are usual, and arbitrary ones.
    const workers = i % 4 === 0 ? next(length) : next(1024);
    const bounds = splitEvenly(length, workers);
    assert.deepEqual(sizes(bounds), ancestorSizes(length, workers), `${length} over ${workers}`);
    assertWellFormed(bounds, length, Math.min(length, workers));
  }
});

test('a batch size gives as few sub-batches as it allows, and none above it', () => {
  assert.deepEqual(sizes(splitBySize(10, 4)), sizes(splitEvenly(10, 3)));
  assert.deepEqual(sizes(splitBySize(3, 100)), [3]);
  assert.deepEqual(sizes(splitBySize(4, 1)), [1, 1, 1, 1]);
  const random = pseudoRandom(2);
  for (let i = 0; i < 2000; i++) {
    const length = 1 + Math.floor(random.next().value * 100_000);
    const batchSize = 1 + Math.floor(random.next().value * 1000);
    const bounds = splitBySize(length, batchSize);
    assertWellFormed(bounds, length, Math.ceil(length / batchSize));
    assert.ok(Math.max(...sizes(bounds)) <= batchSize, `${length} by ${batchSize}`);
  }
});

test('the start of a sub-batch can be found without the others', () => {
  const bounds = splitEvenly(1003, 17);
  for (const [index, [start, end]] of bounds.entries()) {
    assert.equal(subBatchStart(1003, 17, index), start);
    assert.equal(subBatchStart(1003, 17, index + 1), end);
  }
});

test('the cost does not grow with the number of records', () => {
  const began = performance.now();
  const bounds = splitEvenly(1e12, 8);
  assert.ok(performance.now() - began < 100);
  assertWellFormed(bounds, 1e12, 8);
});
