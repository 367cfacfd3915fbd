'use strict';

/**
 * The error for an item that has no answer.
 */

const { define } = require('../intrinsics/define');
const { ParallelizerError, abortError, closedError, timeoutError } = require('../errors');
const { nameRun } = require('../jobs/run-id');

/**
 * Notes in an error of this library which item it is about, unless it already says so.
 * @param {unknown} error @param {number} index
 */
function aboutItem(error, index) {
  const isOurs = error instanceof ParallelizerError && error.code === 'ERR_PARALLELIZER_SERIALIZATION';
  if (isOurs && !Object.hasOwn(error, 'records')) {
    define(error, 'records', { configurable: true, value: [index] });
  }
  return error;
}

/**
 * @param {{ what: string, isList: boolean, signal: AbortSignal | null, timeout: number }} call
 * @param {import('../jobs/worker-pool').Ending} ending
 * @param {() => unknown} exitError
 * @param {() => string} nameOf names the run
 * @param {string | null} host the other machine that ran it
 * @param {number} index @param {number} [end] the first item after those that this is about
 * @returns {unknown}
 */
function itemError({ what, isList, signal, timeout }, ending, exitError, nameOf, host, index, end = index + 1) {
  const which = isList && end === index + 1 ? `item ${index} of ${what}` : what;
  const error =
    ending === 'aborted' ? abortError(signal?.reason, which)
    : ending === 'timedOut' ? timeoutError(timeout, which, host)
    : (exitError() ?? closedError(which));
  if (isList && error instanceof ParallelizerError) {
    define(error, 'records', {
      configurable: true,
      // Made when read, since there may be a million.
      get: () => Array.from({ length: end - index }, (_, i) => index + i),
    });
  }
  return nameRun(error, nameOf);
}

module.exports = { aboutItem, itemError };
