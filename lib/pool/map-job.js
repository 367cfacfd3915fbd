'use strict';

/**
 * Runs a task for each item of a list: all results in the order of the items, or the first error in that order.
 *
 * Once an item has failed, those after it that have not begun are dropped; those before it are finished, since one of
 * them may fail as well, and its error would then be the first. Must not depend on how calls reach a worker.
 */

const { onAbort } = require('../jobs/abort');
const { aboutItem, itemError } = require('./item-error');
const { report } = require('../jobs/report');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */

/**
 * @typedef {object} MapRequest
 * @property {string} what the name of the method that was called, for errors
 * @property {boolean} isList whether the caller passed items, which errors can name
 * @property {InstanceType<typeof import('../jobs/run-id').RunId>} run its name
 * @property {import('../jobs/task-registry').Task} task
 * @property {boolean} spreadArguments whether each item is a list of arguments
 * @property {readonly unknown[]} items a copy of the caller's list
 * @property {number} timeout
 * @property {number} retries
 * @property {number} priority
 * @property {boolean} [pinned] whether each item is for one worker: item `i` for that with the index `i`
 * @property {readonly import('../jobs/job-table').Place[] | null} [places] where these are, if on other machines
 */

/** @typedef {import('../options/pool-options').MapOptions} MapOptions */

/**
 * @param {WorkerPool} pool
 * @param {MapRequest} request
 * @param {Readonly<Omit<MapOptions, 'timeout' | 'retries' | 'priority'>>} options
 * @returns {Promise<any[]>} throws if it is not accepted
 */
function startMap(pool, request, { chunkSize, signal, transferList, onProgress, onMessage, collect }) {
  const { items } = request;
  const total = items.length;
  /** @type {any[]} */
  const results = new Array(total);
  let left = total;
  let reported = 0;
  let failures = 0;
  /** What is to be reported; the listener may do what settles more, which then has its turn after this. */
  const due = /** @type {{ count: number, isFailure: boolean }[]} */ ([]);
  /** The first item that failed, as far as is known; what comes after it no longer matters. */
  let firstFailed = total;
  /** @type {unknown} */
  let reason;
  let stopListening = () => {};
  /** @type {(results: any[]) => void} */
  let resolve = () => {};
  /** @type {(reason: unknown) => void} */
  let reject = () => {};
  /** @type {Promise<any[]>} */
  const promise = new Promise((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  let jobId = -1;

  /** @param {number} count @param {boolean} isFailure */
  const progress = (count, isFailure) => {
    if (onProgress === null || due.push({ count, isFailure }) > 1) return;
    for (; due.length > 0; due.shift()) {
      for (let { 0: { count: times } } = due; times > 0; times--) {
        if (due[0].isFailure) failures++;
        report(onProgress, { done: ++reported, total, failed: failures });
      }
    }
  };
  /** @param {number} count */
  const settled = (count) => {
    left -= count;
    if (left > 0) return;
    stopListening();
    if (firstFailed < total) reject(reason);
    else resolve(results);
  };
  /** @param {number} index @param {number} end @param {unknown} error */
  const failed = (index, end, error) => {
    progress(end - index, true);
    if (collect) {
      for (let i = index; i < end; i++) results[i] = { status: 'rejected', reason: error };
    } else if (index < firstFailed) {
      firstFailed = index;
      reason = error;
      settled(end - index);
      // What is for each worker is done by the others all the same.
      if (request.pinned !== true) pool.drop(jobId, index + 1);
      return;
    }
    settled(end - index);
  };
  if (total === 0) return Promise.resolve(results);

  // Not spread from the request: an object with so many properties is slow to make then.
  jobId = pool.submit({
    what: request.what,
    task: request.task,
    spreadArguments: request.spreadArguments,
    timeout: request.timeout,
    run: request.run,
    calls: total,
    // A second worker could not be given what was moved to the first.
    retries: transferList === null ? request.retries : 0,
    watched: signal !== null || request.timeout > 0,
    bulk: onProgress === null,
    transferList,
    chunkSize,
    resource: null,
    keys: null,
    stopKeyOnError: false,
    names: null,
    keyRuns: false,
    list: null,
    costId: 0,
    spread: false,
    isRunEach: false,
    unbounded: false,
    priority: request.priority,
    pinned: request.pinned ?? false,
    firstWorker: 0,
    places: request.places ?? null,
    yields: false,
    emitted: onMessage === null ? null : (index, value, workerIndex, attempt) =>
      report(onMessage, value, { index, workerIndex, attempt }),
    argument: (index) => items[index],
    succeeded(first, count, values, offset) {
      if (collect) {
        for (let i = 0; i < count; i++) results[first + i] = { status: 'fulfilled', value: values[offset + i] };
      } else {
        for (let i = 0; i < count; i++) results[first + i] = values[offset + i];
      }
      progress(count, false);
      settled(count);
    },
    failed: (index, error) => failed(index, index + 1, request.isList ? aboutItem(error, index) : error),
    ended(first, end, ending, exitError, host) {
      const nameOf = () => request.run.text;
      // Dropped because an earlier one failed: nobody will see its outcome.
      if (first > firstFailed) {
        settled(end - first);
      } else if (ending === 'timedOut' || ending === 'exited') {
        for (let i = first; i < end; i++) {
          failed(i, i + 1, itemError({ ...request, signal }, ending, exitError, nameOf, host, i));
        }
      } else {
        // One error for all: there may be a million items, and the reason is the same.
        failed(first, end, itemError({ ...request, signal }, ending, exitError, nameOf, host, first, end));
      }
    },
  });
  if (signal !== null && left > 0) stopListening = onAbort(signal, () => pool.cancel(jobId));
  return promise;
}

module.exports = { startMap };
