'use strict';

/**
 * Calls that are for an event of AWS Lambda: what the user's function is given, what surrounds it while it runs, and which
 * records it says have failed.
 *
 * 1. The trace header of the invocation is in the environment while the function runs, and what was there before
 *    afterwards: tracing libraries look there.
 * 2. What a function returns is dropped, but for what a partial batch response says.
 * 3. A sub-batch that failed in part throws an error whose `failed` is the list of those records' identifiers; of any
 *    other error that is not so.
 *
 * May not know events, or how to answer Lambda.
 */

const { identifiersOf, wrapRecords } = require('../events/records');

/**
 * Of which source the records are, and whether the function takes them one by one (then a sub-batch has one record).
 * @typedef {[source: import('../events/records').Source, single: boolean]} EventKind
 */

/**
 * What there is to know of an invocation; and further fields of Lambda's context.
 * @typedef {object} Invocation
 * @property {number | null} deadline milliseconds since 1970
 * @property {string | null} traceId
 */

const TRACE = '_X_AMZN_TRACE_ID';

/** As the worker function sees the invocation. */
class InvocationContext {
  /** @param {Invocation} invocation */
  constructor(invocation) {
    Object.assign(this, invocation);
    this.deadline = invocation.deadline;
  }

  /** As that of Lambda's own context. */
  getRemainingTimeInMillis() {
    return this.deadline === null ? Infinity : this.deadline - Date.now();
  }
}

/**
 * @param {Function} fn
 * @param {[batch: unknown[], params: unknown, batchIndex: number, invocation: Invocation, kind: EventKind]} args
 * @param {{ readonly signal: AbortSignal }} call
 * @param {(entry: any) => void} mainLogger
 * @returns {void | Promise<void>}
 */
function invokeForEvent(fn, [raws, params, batchIndex, invocation, [source, single]], call, mainLogger) {
  const batch = wrapRecords(source, raws);
  const finish = setTrace(invocation.traceId);
  /** @param {unknown} result */
  const returned = (result) => {
    finish();
    if (!single) assertDone(batch, result);
  };
  /** @param {unknown} error */
  const thrown = (error) => {
    finish();
    throw single ? error : narrowed(batch, error);
  };
  let result;
  try {
    result = fn({
      ...(single ? { record: batch[0] } : { batch }),
      params,
      mainLogger,
      // Made when it is asked for.
      get signal() {
        return call.signal;
      },
      batchIndex,
      context: new InvocationContext(invocation),
    });
  } catch (error) {
    return thrown(error);
  }
  // Synchronous functions are not made to wait for promises.
  return typeof result?.then === 'function' ? Promise.resolve(result).then(returned, thrown) : returned(result);
}

/**
 * @param {string | null} traceId
 * @returns {() => void} puts back what was there
 */
function setTrace(traceId) {
  // Inline, the environment is the handler's own.
  if (!(Symbol.for('@parallelizer/node') in globalThis)) return () => {};
  const before = process.env[TRACE];
  const now = traceId ?? undefined;
  if (before === now) return () => {};
  put(now);
  return () => put(before);
}

/** @param {string | undefined} value */
function put(value) {
  if (value === undefined) delete process.env[TRACE];
  else process.env[TRACE] = value;
}

/**
 * Throws if a function has returned a partial batch response, as a handler of Lambda's would, that names records.
 * @param {any[]} batch @param {any} result
 */
function assertDone(batch, result) {
  const failures = typeof result === 'object' && result !== null ? result.batchItemFailures : undefined;
  if (failures === undefined || failures === null) return;
  if (!Array.isArray(failures)) {
    throw new TypeError('"batchItemFailures" of what the function returned must be a list of { itemIdentifier }');
  }
  if (failures.length === 0) return;
  const named = failures.map((each) => each?.itemIdentifier);
  const failed = identifiersOf(batch, named, '"batchItemFailures" of what the function returned');
  throw Object.assign(new Error(`the function reported ${failed.length} of ${batch.length} records as failed`), { failed });
}

/**
 * The error of a sub-batch, with the identifiers of the records that it names.
 * @param {any[]} batch @param {any} error
 * @returns {unknown}
 */
function narrowed(batch, error) {
  if (!(error instanceof Error) || !('failed' in error)) return error;
  const { failed } = error;
  try {
    // Records do not travel back.
    const identifiers = Array.isArray(failed) && failed.length > 0 ? identifiersOf(batch, failed, '"failed" of what it threw') : undefined;
    Object.defineProperty(error, 'failed', { value: identifiers, enumerable: true, writable: true, configurable: true });
    return error;
  } catch (wrong) {
    // It names what is not there, or is frozen: all of its records count as failed.
    return new Error(`${error.message} (${/** @type {Error} */ (wrong).message})`);
  }
}

module.exports = { invokeForEvent };
