'use strict';

/**
 * Where a batch is cut into contiguous sub-batches whose sizes differ by at most 1.
 *
 * Pure arithmetic. Must not depend on records, workers, or who runs what.
 *
 * Record `i` of `length` belongs to sub-batch `floor(i / (length / count))`, computed in floating point, since that is
 * the cut that users of the ancestor see in their logs. (7 over 3: 3, 2, 2; 10 over 4: 3, 2, 3, 2.) The quotient never
 * decreases with `i`, so each sub-batch begins near `index * (length / count)`, and a look at the neighbours finds the
 * exact place: the cost grows with the sub-batches, not with the records.
 */

/** @typedef {readonly [start: number, end: number]} Bounds `end` is the first index beyond it */

/**
 * The index of the first record of a sub-batch.
 * @param {number} length the number of records
 * @param {number} count the number of sub-batches, at least 1 and at most `length`
 * @param {number} index from 0 to `count`, for which it is `length`
 */
function subBatchStart(length, count, index) {
  if (index >= count) return length;
  const size = length / count;
  let start = Math.ceil(index * size);
  // The product and the quotient may be rounded differently; the quotient decides.
  while (start > 0 && (start - 1) / size >= index) start--;
  while (start / size < index) start++;
  return start;
}

/**
 * One sub-batch per worker; with fewer records than workers, one per record.
 * @param {number} length
 * @param {number} workers
 * @returns {Bounds[]}
 */
function splitEvenly(length, workers) {
  const count = Math.min(length, workers);
  /** @type {Bounds[]} */
  const bounds = [];
  let start = 0;
  for (let index = 1; index <= count; index++) {
    const end = subBatchStart(length, count, index);
    bounds.push([start, end]);
    start = end;
  }
  return bounds;
}

/**
 * As few sub-batches as `batchSize` allows, cut as evenly as possible.
 * @param {number} length
 * @param {number} batchSize
 */
function splitBySize(length, batchSize) {
  return splitEvenly(length, Math.ceil(length / batchSize));
}

module.exports = { splitEvenly, splitBySize, subBatchStart };
