'use strict';

/**
 * Tumbling windows of Kinesis and DynamoDB: Lambda hands on a state from invocation to invocation of a shard, and says
 * which one is the last of a window.
 *
 * 1. Workers process the records; what their function returns is reduced into the state here, in the order of the
 *    records. So the heavy part is done on all cores, and the state never travels.
 * 2. What stands behind the first failure comes again, and so does not count.
 * 3. The end of a window is only reached with nothing left of it.
 *
 * Must not depend on how records are processed.
 */

const { eventError } = require('../../errors');
const { failedError, partialResponse } = require('../answers');

/** @typedef {import('./answer').Answerer} Answerer */
/** @typedef {import('./answer').Outcome} Outcome */

/**
 * @typedef {object} WindowOptions
 * @property {(state: any, result: any, record: any) => unknown} reduce
 * @property {((state: any, window: object) => unknown) | null} end
 */

/**
 * @param {any} event @param {import('../../events/records').RecordFormat | null} format
 * @param {WindowOptions} options @param {{ reportBatchItemFailures: boolean | null }} settings
 * @returns {Answerer}
 */
function windowAnswerer(event, format, { reduce, end }, { reportBatchItemFailures }) {
  const { window, state, shardId, eventSourceARN, isFinalInvokeForWindow, isWindowTerminatedEarly } = event;
  const isStream = format === null || format.source === 'kinesis' || format.source === 'dynamodb';
  if (typeof window !== 'object' || window === null || !isStream) {
    throw eventError(
      'event.window',
      window,
      'is required with the option "window": set a tumbling window in the event source mapping of the stream',
    );
  }
  return { results: 'window', answer };

  /** @param {Outcome} outcome */
  async function answer({ records, isFailed, failures, responses, inTime }) {
    if (isFailed.includes(true) && reportBatchItemFailures === false) {
      throw failedError(records, isFailed, failures.map(({ error }) => error));
    }
    const resultsOf = require('./own-answers').resultsFrom(responses);
    const done = isFailed.includes(true) ? isFailed.indexOf(true) : records.length;
    let reduced = state ?? {};
    for (const record of records.slice(0, done)) {
      for (const result of /** @type {unknown[]} */ (resultsOf(record) ?? [])) {
        const given = /** @type {any} */ (reduce(reduced, result, record));
        const next = typeof given?.then === 'function' ? await inTime('"window.reduce"', given) : given;
        // One that changes the state in place need not return it.
        if (next !== undefined) reduced = next;
      }
    }
    if (isFinalInvokeForWindow === true && done === records.length) {
      const about = { ...window, shardId, eventSourceARN, isTerminatedEarly: isWindowTerminatedEarly === true };
      if (end !== null) await inTime('"window.end"', end(reduced, about));
    }
    return { state: reduced, ...partialResponse(records, isFailed) };
  }
}

module.exports = { windowAnswerer };
