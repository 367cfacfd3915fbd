'use strict';

/**
 * Records that are not worth another try: they are handed to `onDiscard`, and count as done.
 *
 * 1. One in which something else has failed, or that stands behind a failure of its group, is not discarded: it comes
 *    again, and what becomes of it then is decided then. So does what stands behind one that is discarded in its
 *    sub-batch, whose function may have stopped.
 * 2. If it cannot be discarded, it has failed as any other, and nothing is lost.
 *
 * Must not depend on how records are processed.
 */

const { skippedError } = require('../errors');
const { isNonRetryable } = require('../events/non-retryable');
const { report } = require('../jobs/report');

/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('./respond').Failure} Failure */

/**
 * @param {Failure[]} failures @param {readonly LambdaRecord[]} records
 * @param {readonly unknown[] | null} keys the group of each record
 * @param {object} options
 * @param {((error: Error, records: any[]) => unknown) | null} options.onDiscard
 * @param {boolean} options.discardInvalid
 * @param {(error: Error, records: LambdaRecord[]) => void} options.onError
 * @param {import('./answers/answer').InTime} options.inTime
 * @returns {Promise<Failure[]>} what has failed for all that
 */
async function discard(failures, records, keys, { onDiscard, discardInvalid, onError, inTime }) {
  const isDiscardable = failures.map(({ error }) => isNonRetryable(error, discardInvalid));
  if (!isDiscardable.includes(true)) return failures;
  const kept = failures.filter((_, i) => !isDiscardable[i]);
  const stopsAt = firstOfGroups(kept, keys);
  const again = new Set(kept.flatMap(({ indices }) => indices));
  for (const { error, indices, within } of failures.filter((_, i) => isDiscardable[i])) {
    const isNamed = keys !== null && Array.isArray(error.failed);
    /** @param {number} i */
    const isBehind = (i) =>
      keys !== null && ((isNamed && i > indices[0]) || i > (stopsAt.get(keys[i]) ?? Infinity));
    const behind = within.filter(isBehind);
    const now = indices.filter((i) => !isBehind(i) && !again.has(i));
    if (behind.length > 0) kept.push({ error: skippedError(keys?.[behind[0]]), indices: behind, within });
    if (now.length === 0) continue;
    const about = now.map((i) => records[i]);
    try {
      if (onDiscard === null) report(onError, error, about);
      else await inTime('"onDiscard"', onDiscard(error, about));
    } catch (reason) {
      kept.push({ error: new Error(`not discarded: ${error.message}`, { cause: reason }), indices: now, within });
    }
  }
  return kept;
}

/**
 * Where each group has failed first.
 * @param {readonly Failure[]} failures @param {readonly unknown[] | null} keys
 */
function firstOfGroups(failures, keys) {
  /** @type {Map<unknown, number>} */
  const first = new Map();
  // What was skipped because of another record is no failure of its own.
  for (const { error, indices } of failures) {
    if (keys === null || error.code === 'ERR_PARALLELIZER_SKIPPED') continue;
    for (const i of indices) first.set(keys[i], Math.min(i, first.get(keys[i]) ?? Infinity));
  }
  return first;
}

module.exports = { discard };
