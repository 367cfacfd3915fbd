'use strict';

/**
 * The error for an item that was not answered.
 */

const { ParallelizerError, abortError, closedError, timeoutError } = require('../errors');

/**
 * Has an error say which item it is about, if it is ours and does not yet.
 * @param {unknown} error @param {number} index
 */
function aboutItem(error, index) {
  if (error instanceof ParallelizerError && error.code === 'ERR_PARALLELIZER_SERIALIZATION' && !('records' in error)) {
    Object.defineProperty(error, 'records', { configurable: true, value: [index] });
  }
  return error;
}

/**
 * @param {{ what: string, isList: boolean, signal: AbortSignal | null, timeoutMs: number }} call
 * @param {import('../jobs/worker-pool').Ending} ending
 * @param {() => unknown} explainFate
 * @param {number} index @param {number} [end] the one after the last that this is about
 * @returns {unknown}
 */
function itemError({ what, isList, signal, timeoutMs }, ending, explainFate, index, end = index + 1) {
  const which = isList && end === index + 1 ? `item ${index} of ${what}` : what;
  const error =
    ending === 'aborted' ? abortError(signal?.reason, which)
    : ending === 'timedOut' ? timeoutError(timeoutMs, which)
    : (explainFate() ?? closedError(which));
  if (isList && error instanceof ParallelizerError) {
    Object.defineProperty(error, 'records', {
      configurable: true,
      // Made when it is asked for: there may be a million.
      get: () => Array.from({ length: end - index }, (_, i) => index + i),
    });
  }
  return error;
}

module.exports = { aboutItem, itemError };
