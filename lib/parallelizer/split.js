'use strict';

/**
 * Where a batch is cut into sub-batches: contiguous ones whose sizes differ by at most 1.
 *
 * Pure arithmetic; may not know records, workers or who runs what.
 *
 * Record `i` of `length` belongs to sub-batch `floor(i / (length / count))`, computed in floating point, because
 * users of the ancestor see that very cut in their logs. (7 over 3: 3, 2, 2; 10 over 4: 3, 2, 3, 2.) The quotient
 * never decreases with `i`, so each sub-batch begins near `index * (length / count)` and one look at the neighbours
 * finds it: the cost is that of the sub-batches, not of the records.
 */

/** @typedef {readonly [start: number, end: number]} Bounds `end` is the first that does not belong to it */

/**
 * The first record of a sub-batch, for lists too long to be made at once.
 * @param {number} length number of records
 * @param {number} count number of sub-batches, at least 1 and at most `length`
 * @param {number} index from 0 to `count`, which gives `length`
 */
function subBatchStart(length, count, index) {
  if (index >= count) return length;
  const size = length / count;
  let start = Math.ceil(index * size);
  // The product and the quotient may be rounded differently; the quotient is what counts.
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
 * As few sub-batches as `batchSize` allows, cut as evenly as the default ones.
 * @param {number} length
 * @param {number} batchSize
 */
function splitBySize(length, batchSize) {
  return splitEvenly(length, Math.ceil(length / batchSize));
}

module.exports = { splitEvenly, splitBySize, subBatchStart };
