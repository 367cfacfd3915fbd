'use strict';

/**
 * Calls for an event of AWS Lambda: what the user's function is given, its surroundings while it runs, and which
 * records it reports as failed.
 *
 * 1. While the function runs, the trace header of the invocation is in the environment, where tracing libraries look
 *    for it; afterwards what was there before is.
 * 2. What a function returns is dropped, unless it is a partial batch response.
 * 3. The error of a sub-batch that failed in part has the identifiers of those records as `failed`; no other error has.
 *
 * Must not depend on events, or on how Lambda is answered.
 */

const { isError } = require('../codec/is-error');
const { define } = require('../intrinsics/define');
const { wallTime } = require('../intrinsics/clock');
const { identifiersOf, wrapRecords } = require('../events/records');

/**
 * What the records are, and whether the function takes them one by one (a sub-batch then has one record).
 * @typedef {import('../events/records').RecordFormat & { single: boolean }} EventKind
 */

/**
 * What is known of an invocation, along with further fields of Lambda's context.
 * @typedef {object} Invocation
 * @property {number | null} deadline milliseconds since 1970
 * @property {string | null} traceId
 */

const TRACE = '_X_AMZN_TRACE_ID';

/** The invocation as the worker's function sees it. */
class InvocationContext {
  /** @param {Invocation} invocation */
  constructor(invocation) {
    Object.assign(this, invocation);
    this.deadline = invocation.deadline;
  }

  /** Like the method of Lambda's own context. */
  getRemainingTimeInMillis() {
    return this.deadline === null ? Infinity : this.deadline - wallTime();
  }
}

/**
 * @param {Function} fn
 * @param {[batch: unknown[], params: unknown, batchIndex: number, invocation: Invocation, kind: EventKind]} args
 * @param {{ readonly signal: AbortSignal }} call
 * @param {(entry: any) => void} mainLogger
 * @returns {void | Promise<void>}
 */
function invokeForEvent(fn, [raws, params, batchIndex, invocation, kind], call, mainLogger) {
  const { single } = kind;
  const batch = wrapRecords(kind, raws);
  const finish = setTrace(invocation.traceId);
  /** @param {unknown} result */
  const returned = (result) => {
    finish();
    if (!single) assertNoneFailed(batch, result);
  };
  /** @param {unknown} error */
  const thrown = (error) => {
    finish();
    throw single ? error : withIdentifiers(batch, error);
  };
  let result;
  try {
    result = fn({
      ...(single ? { record: batch[0] } : { batch }),
      params,
      mainLogger,
      // Created on first use.
      get signal() {
        return call.signal;
      },
      batchIndex,
      context: new InvocationContext(invocation),
    });
  } catch (error) {
    return thrown(error);
  }
  // A synchronous function does not have to wait for promises.
  return typeof result?.then === 'function' ? Promise.resolve(result).then(returned, thrown) : returned(result);
}

/**
 * @param {string | null} traceId
 * @returns {() => void} restores what was there before
 */
function setTrace(traceId) {
  // Inline, the environment is the handler's own.
  if (!(Symbol.for('@parallelizer/node') in globalThis)) return () => {};
  const before = process.env[TRACE];
  const now = traceId ?? undefined;
  if (before === now) return () => {};
  setVariable(now);
  return () => setVariable(before);
}

/** @param {string | undefined} value */
function setVariable(value) {
  if (value === undefined) delete process.env[TRACE];
  else process.env[TRACE] = value;
}

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
  throw Object.assign(error, { failed });
}

/**
 * The error of a sub-batch, with the records that it names replaced by their identifiers.
 * @param {any[]} batch @param {any} error
 * @returns {unknown}
 */
function withIdentifiers(batch, error) {
  if (!isError(error) || !('failed' in error)) return error;
  const { failed } = error;
  try {
    // Records do not travel back.
    const isNamed = Array.isArray(failed) && failed.length > 0;
    const value = isNamed ? identifiersOf(batch, failed, '"failed" of what it threw') : undefined;
    define(error, 'failed', { value, enumerable: true, writable: true, configurable: true });
    return error;
  } catch (wrong) {
    // It names a record that is not there, or is frozen: all of the records count as failed.
    return new Error(`${error.message} (${/** @type {Error} */ (wrong).message})`);
  }
}

module.exports = { InvocationContext, invokeForEvent, setTrace };
