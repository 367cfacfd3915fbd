'use strict';

/**
 * Which records of a sub-batch a user's function has reported as failed, by what it returned or by what it threw.
 *
 * The error of a sub-batch that failed in part has the identifiers of those records as `failed`; no other error has.
 *
 * Must not depend on how the function was called.
 */

const { isError } = require('../codec/is-error');
const { define } = require('../intrinsics/define');
const { identifiersOf } = require('../events/records');

/** The lists that were put on errors here, and not by the user. @type {WeakSet<object>} */
const ownLists = new WeakSet();

/**
 * Throws if a function has returned a partial batch response that names records, as a handler of Lambda's would.
 * @param {any[]} batch @param {any} result
 */
function assertNoneFailed(batch, result) {
  const failures = typeof result === 'object' && result !== null ? result.batchItemFailures : undefined;
  if (failures === undefined || failures === null) return;
  if (!Array.isArray(failures)) {
    throw new TypeError('"batchItemFailures" of what the function returned must be a list of { itemIdentifier }');
  }
  if (failures.length === 0) return;
  const named = failures.map((each) => each?.itemIdentifier);
  const failed = identifiersOf(batch, named, '"batchItemFailures" of what the function returned');
  const error = new Error(`the function reported ${failed.length} of ${batch.length} records as failed`);
  throw require('../events/partial-outcome').withPartial([Object.assign(error, { failed })]);
}

/**
 * The error of a sub-batch, with the records that it names replaced by their identifiers.
 * @param {any[]} batch @param {any} thrown
 * @returns {unknown}
 */
function withIdentifiers(batch, thrown) {
  if (!isError(thrown)) return thrown;
  const error = require('../events/partial-outcome').withoutPartial(thrown);
  if (!('failed' in error)) return error;
  const { failed } = error;
  try {
    // Records do not travel back. One and the same error may be thrown again and again: what an earlier sub-batch of it
    // was about says nothing of this one.
    const isNamed = Array.isArray(failed) && failed.length > 0 && !ownLists.has(failed);
    const value = isNamed ? identifiersOf(batch, failed, '"failed" of what it threw') : undefined;
    return withFailed(error, value);
  } catch (wrong) {
    // It names a record that is not there, or is frozen: all of the records count as failed.
    return new Error(`${error.message} (${/** @type {Error} */ (wrong).message})`);
  }
}

/**
 * @param {Error} error @param {unknown[] | undefined} failed identifiers
 */
function withFailed(error, failed) {
  if (failed !== undefined) ownLists.add(failed);
  return define(error, 'failed', { value: failed, enumerable: true, writable: true, configurable: true });
}

module.exports = { assertNoneFailed, withFailed, withIdentifiers };
