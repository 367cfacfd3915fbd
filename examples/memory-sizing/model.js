'use strict';

/**
 * Durations at sizes with more vCPUs than this machine has cores, from what was measured at those that it can play.
 *
 * - Deriving: one core derives all keys in the time of one thread at full speed. One thread stays at that; `Promise.all`
 *   divides it among as many cores as there are vCPUs, keys and libuv threads; the addon's workers get whole keys, so
 *   that the worker with the most of them decides. Both are stretched by as much as they were at the largest size that
 *   was measured, where cores get in each other's way.
 * - Writing: as at the largest size that was measured. It waits for DynamoDB there, not for a core.
 */

const { ALL, ADDON, ONE } = require('./ways.js');
const { defaultWorkers, vcpus } = require('./sizes.js');

/** Threads in libuv's pool, unless UV_THREADPOOL_SIZE says otherwise. */
const LIBUV_THREADS = 4;

/**
 * The duration in units of one thread's at full speed.
 *
 * @param {string} way
 * @param {number} size
 * @param {number} keys
 */
function ideal(way, size, keys) {
  const share = vcpus(size);
  if (way === ONE) return 1 / Math.min(1, share);
  if (way === ALL) return 1 / Math.min(share, keys, LIBUV_THREADS);
  return Math.max(Math.ceil(keys / defaultWorkers(size)) / keys, 1 / share);
}

/**
 * @param {object} options
 * @param {string} options.work
 * @param {string} options.way
 * @param {number} options.size
 * @param {number} options.keys
 * @param {(way: string, size: number) => number | null | undefined} options.measured the duration of this work
 * @param {number[]} options.sizes that were measured
 * @returns {number | null} milliseconds; `null` where nothing can be said
 */
function model({ work, way, size, keys, measured, sizes }) {
  const largest = Math.max(...sizes);
  if (![ONE, ALL, ADDON].includes(way) || vcpus(largest) < 1) return null;
  const there = measured(way, largest);
  if (there === null || there === undefined) return null;
  return work === 'derive' ? there * (ideal(way, size, keys) / ideal(way, largest, keys)) : there;
}

module.exports = { model };
