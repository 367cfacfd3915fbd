'use strict';

/**
 * Calls for an event of AWS Lambda: what the user's function is given, and its surroundings while it runs.
 *
 * 1. While the function runs, the trace header of the invocation is in the environment, where tracing libraries look
 *    for it; afterwards what was there before is.
 * 2. What a function returns is dropped, unless the source wants it or it is a partial batch response.
 *
 * Must not depend on events, or on how Lambda is answered.
 */

const { wallTime } = require('../intrinsics/clock');
const { traceparentOf, wrapRecords } = require('../events/records');
const { assertNoneFailed, withIdentifiers } = require('./reported-failures');
const { withCall } = require('./running-call');
const { callUser } = require('./user-function');

/**
 * What the records are, and what is done with them.
 * @typedef {object} Handling
 * @property {boolean} single whether the function takes them one by one (a sub-batch then has one record)
 * @property {boolean} [ordered] whether nothing may be done after a record that failed
 * @property {string} [steps] what comes before the function, as JSON: see record-steps.js
 * @property {import('../events/results').ResultKind} [results] what the source wants of the function's results
 */

/** @typedef {import('../events/records').RecordFormat & Handling} EventKind */

/** @typedef {import('./record-steps').Modules} Modules */
/** Adds what every function is given. @typedef {(given: object) => object} ArgumentOf */

/**
 * What is known of an invocation, along with further fields of Lambda's context.
 * @typedef {object} Invocation
 * @property {number | null} deadline milliseconds since 1970
 * @property {string | null} traceId
 */

const TRACE = '_X_AMZN_TRACE_ID';

/**
 * Which of the fields that are not always there an invocation has.
 * @typedef {Partial<Record<keyof Invocation | string, boolean>>} Fields
 */

const ALWAYS = ['deadline', 'traceId'];
const KNOWN = [
  'awsRequestId', 'functionName', 'functionVersion', 'invokedFunctionArn', 'memoryLimitInMB', 'logGroupName',
  'logStreamName', 'tenantId',
];

/**
 * What `InvocationContext` has to know of an invocation of which it makes many.
 * @param {Invocation} invocation
 * @returns {Fields | null} `null` if it has other fields
 */
function fieldsOf(invocation) {
  /** @type {Fields} */
  const fields = Object.create(null);
  for (const name of Object.keys(invocation)) {
    if (KNOWN.includes(name)) fields[name] = true;
    else if (!ALWAYS.includes(name)) return null;
  }
  return fields;
}

/** The invocation as the worker's function sees it. */
class InvocationContext {
  /** @param {any} invocation an `Invocation` @param {Fields | null} [fields] */
  constructor(invocation, fields = null) {
    if (fields === null) {
      Object.assign(this, invocation);
    } else {
      // One by one, which takes a tenth of the time.
      if (fields.awsRequestId) this.awsRequestId = invocation.awsRequestId;
      if (fields.functionName) this.functionName = invocation.functionName;
      if (fields.functionVersion) this.functionVersion = invocation.functionVersion;
      if (fields.invokedFunctionArn) this.invokedFunctionArn = invocation.invokedFunctionArn;
      if (fields.memoryLimitInMB) this.memoryLimitInMB = invocation.memoryLimitInMB;
      if (fields.logGroupName) this.logGroupName = invocation.logGroupName;
      if (fields.logStreamName) this.logStreamName = invocation.logStreamName;
      if (fields.tenantId) this.tenantId = invocation.tenantId;
    }
    this.deadline = invocation.deadline;
    this.traceId = invocation.traceId;
  }

  /** The invocation's place in its trace, as W3C has it. */
  get traceparent() {
    return traceparentOf(this.traceId);
  }

  /** Like the method of Lambda's own context. */
  getRemainingTimeInMillis() {
    return this.deadline === null ? Infinity : this.deadline - wallTime();
  }
}

/**
 * @param {Function} fn
 * @param {[batch: unknown[], params: unknown, batchIndex: number, invocation: Invocation, kind: EventKind]} args
 * @param {import('./runner').Call} call
 * @param {(entry: any) => void} mainLogger
 * @param {Modules} modules
 * @returns {unknown} may be a promise
 */
function invokeForEvent(fn, [raws, params, batchIndex, invocation, kind], call, mainLogger, modules) {
  const { single, ordered = false, steps, results } = kind;
  const batch = wrapRecords(kind, raws);
  const finish = setTrace(invocation.traceId);
  /** @param {unknown} result */
  const returned = (result) => {
    finish();
    if (steps !== undefined) return result;
    if (!single) assertNoneFailed(batch, result);
    if (results === undefined) return undefined;
    const { resultsOf, valuesOf } = require('../events/results');
    return resultsOf(results, batch, batch, single ? [result] : valuesOf(results, batch, result));
  };
  /** @param {unknown} error */
  const thrown = (error) => {
    finish();
    if (single || steps !== undefined) throw error;
    const named = /** @type {any} */ (withIdentifiers(batch, error));
    throw Array.isArray(named?.failed) ? require('../events/partial-outcome').withPartial([named]) : named;
  };
  /** @type {ArgumentOf} */
  const argumentOf = (given) => {
    const context = new InvocationContext(invocation);
    return withCall({ ...given, params, mainLogger, batchIndex, workerIndex: call.workerIndex, context }, call);
  };
  let result;
  try {
    if (steps === undefined) {
      result = callUser(fn, undefined, argumentOf(single ? { record: batch[0] } : { batch }));
    } else {
      const { serialization } = modules;
      const work = { fn, argumentOf, single, ordered, results, serialization };
      result = require('./run-steps').runSteps(steps, batch, work, modules);
    }
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

module.exports = { InvocationContext, fieldsOf, invokeForEvent, setTrace };
