'use strict';

/**
 * How a batch is cut into sub-batches: evenly, by size, or by key.
 *
 * Must not depend on workers, or on who runs what.
 */

const { keyOf } = require('../options/keys');
const { splitBySize, splitEvenly } = require('./split');

/** @typedef {Readonly<import('../options/options').PoolOptions>} PoolOptions */

/**
 * The sub-batches of a batch. They are cut when asked for, so that a batch is never in memory twice.
 * @typedef {object} Plan
 * @property {number} count
 * @property {(index: number) => unknown[]} slice the records of a sub-batch
 * @property {(index: number) => number[]} records the indices of its records in the batch
 * @property {Uint32Array | null} keys the number of each sub-batch's key
 * @property {boolean} spread whether there is one sub-batch per worker
 * @property {(index: number) => unknown} keyOf what `groupBy` returned for a sub-batch's records
 */

/**
 * @param {unknown[]} records @param {PoolOptions} options @param {((record: unknown) => unknown) | null} groupBy
 * @returns {Plan}
 */
function planBatch(records, options, groupBy) {
  return groupBy === null ? planEvenly(records, options) : planByKey(records, options, groupBy);
}

/** @param {unknown[]} records @param {PoolOptions} options @returns {Plan} */
function planEvenly(records, { workers, batchSize }) {
  const bounds = batchSize > 0 ? splitBySize(records.length, batchSize) : splitEvenly(records.length, workers);
  return {
    count: bounds.length,
    slice: (index) => records.slice(bounds[index][0], bounds[index][1]),
    records: (index) => range(bounds[index][0], bounds[index][1]),
    keys: null,
    spread: batchSize === 0,
    keyOf: () => undefined,
  };
}

/** @param {number} start @param {number} end */
function range(start, end) {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/**
 * Each sub-batch has records of one key only; a key with many records has several sub-batches.
 * @param {unknown[]} records @param {PoolOptions} options @param {(record: unknown) => unknown} groupBy
 * @returns {Plan}
 */
function planByKey(records, { batchSize }, groupBy) {
  const groups = groupIndices(records, groupBy);
  /** @type {{ key: unknown, number: number, indices: number[] }[]} */
  const pieces = [];
  let number = 0;
  groups.forEach((indices, key) => {
    const bounds = splitBySize(indices.length, batchSize > 0 ? batchSize : indices.length);
    bounds.forEach(({ 0: start, 1: end }) => pieces.push({ key, number, indices: indices.slice(start, end) }));
    number++;
  });
  const numbers = new Uint32Array(pieces.length);
  pieces.forEach((piece, i) => (numbers[i] = piece.number));
  return {
    count: pieces.length,
    slice: (index) => pieces[index].indices.map((i) => records[i]),
    records: (index) => pieces[index].indices,
    keys: numbers,
    spread: false,
    keyOf: (index) => pieces[index].key,
  };
}

/**
 * Records that are calls of their own. Those of one key follow each other.
 * @typedef {object} RecordPlan
 * @property {readonly unknown[]} records in the order of the calls
 * @property {Uint32Array | null} places of the calls' records in the batch; `null`: they are in the same order
 * @property {Uint32Array | null} keys the number of each call's key
 * @property {readonly unknown[]} keyNames what `groupBy` returned, by that number
 */

/**
 * @param {readonly unknown[]} records @param {((record: unknown) => unknown) | null} groupBy
 * @returns {RecordPlan}
 */
function planRecords(records, groupBy) {
  if (groupBy === null) return { records, places: null, keys: null, keyNames: [] };
  const groups = groupIndices(records, groupBy);
  const places = new Uint32Array(records.length);
  const keys = new Uint32Array(records.length);
  let call = 0;
  let key = 0;
  for (const indices of groups.values()) {
    for (const place of indices) {
      keys[call] = key;
      places[call++] = place;
    }
    key++;
  }
  return { records: Array.from(places, (place) => records[place]), places, keys, keyNames: [...groups.keys()] };
}

/**
 * The indices of the records of each key, by key, in the order of the keys' first records.
 * @param {readonly unknown[]} records @param {(record: unknown) => unknown} groupBy
 */
function groupIndices(records, groupBy) {
  /** @type {Map<unknown, number[]>} */
  const groups = new Map();
  for (let i = 0; i < records.length; i++) {
    const key = keyOf(groupBy, records[i], i);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  return groups;
}

module.exports = { planBatch, planRecords };
