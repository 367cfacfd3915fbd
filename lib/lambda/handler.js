'use strict';

/**
 * From an event of Lambda's to the answer that it needs, with the records on workers.
 *
 * 1. The records are spread, those of one group in order, and none after one that failed.
 * 2. What failed, what a worker that died or was too slow took along, and what had not been done when the invocation's
 *    time was about to end, is reported; with it what follows in its group. Everything else is done.
 *
 * 3. When the answer goes out, no function works on any of its records any more.
 *
 * May not know how the worker is called.
 */

const { recordsFailedError } = require('../errors');
const { Parallelizer, runEvent } = require('../parallelizer/parallelizer');
const { report } = require('../jobs/report');
const { failRestOfGroups, hasPartialResponse, partialResponse } = require('./answers');
const { remainingTime, watchDeadline } = require('./deadline');
const { readEvent } = require('./events');
const { handlerOptions, responseOptions } = require('./options');
const { positionsOf } = require('../events/records');

/** @typedef {import('./events').Contents} Contents */
/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('./options').ResponseOptions} ResponseOptions */
/** @typedef {import('./answers').PartialResponse} PartialResponse */
/** @typedef {{ error: any, indices: number[] }} Failure an error, and where the records stand that it is about */

/** What of Lambda's context is for the workers. */
const CONTEXT_FIELDS = [
  'awsRequestId', 'functionName', 'functionVersion', 'invokedFunctionArn', 'memoryLimitInMB', 'logGroupName', 'logStreamName',
  'tenantId',
];

/**
 * A handler with workers of its own, which start now.
 * @param {unknown} options see `HandlerOptions` in lambda.d.ts
 */
function createHandler(options) {
  const { single, event: settings, pool } = handlerOptions(options);
  const parallelizer = new Parallelizer(pool);
  const complete = { ...settings, id: undefined, signal: null, timeout: undefined };
  /** @param {unknown} event @param {unknown} [context] */
  const handler = async (event, context) => respond(event, context, parallelizer, complete, single);
  return Object.assign(handler, { parallelizer });
}

/**
 * The answer to an event, with workers that are there.
 * @param {unknown} event @param {unknown} context @param {unknown} parallelizer
 * @param {unknown} [options] see `ProcessPartialResponseOptions` in lambda.d.ts
 * @returns {Promise<PartialResponse>}
 */
async function processPartialResponse(event, context, parallelizer, options) {
  return respond(event, context, parallelizer, responseOptions(options), false);
}

/**
 * @param {unknown} event @param {any} context @param {unknown} parallelizer @param {ResponseOptions} options
 * @param {boolean} single whether the function takes one record
 * @returns {Promise<PartialResponse>}
 */
async function respond(event, context, parallelizer, options, single) {
  const contents = readEvent(event);
  const { source, raws, records } = contents;
  if (source === null || records.length === 0) return { batchItemFailures: [] };
  const keys = keysOf(contents, options.groupBy);
  const params = typeof options.params === 'function' ? await options.params(event, context) : options.params;
  const deadline = watchDeadline(context, options.deadlineMargin);
  const { signal, timeout } = options;
  let next = 0;
  let result;
  try {
    const { promise, whenQuiet } = runEvent(parallelizer, options.id, raws, params, {
      context: invocationOf(context, deadline.endsAt),
      signal: signal === null ? deadline.signal : AbortSignal.any([deadline.signal, signal]),
      timeout,
      // It is asked of each record in order.
      ...(keys === null ? {} : { groupBy: () => keys[next++], stopKeyOnError: true }),
    }, [source, single]);
    result = await promise;
    // Lambda may freeze what still runs, for minutes, while somebody else is given the same records.
    if (result.errors.some(isCutOff)) await whenQuiet(remainingTime(context) / 2);
  } finally {
    deadline.stop();
  }
  /** @type {boolean[]} */
  const isFailed = new Array(records.length).fill(false);
  const failures = result.errors.map((error) => ({ error, indices: failedOf(error, records, single) }));
  for (const { indices } of failures) for (const i of indices) isFailed[i] = true;
  if (keys !== null) failRestOfGroups(keys, isFailed);
  tell(options.onError ?? print, failures, records);
  if (isFailed.includes(true) && !(options.reportBatchItemFailures && hasPartialResponse(source))) {
    throw recordsFailedError({
      failed: isFailed.filter(Boolean).length,
      total: records.length,
      source,
      identifiers: records.filter((_, i) => isFailed[i]).map((record) => record.identifier),
      errors: result.errors,
    });
  }
  return partialResponse(records, isFailed);
}

/** Whether a function may still run. @param {any} error */
function isCutOff({ code }) {
  return code === 'ERR_PARALLELIZER_ABORTED' || code === 'ERR_PARALLELIZER_TIMEOUT';
}

/**
 * What keeps records in order, by record; `null` where nothing does.
 * @param {Contents} contents @param {((record: any) => unknown) | null} groupBy
 */
function keysOf({ records }, groupBy) {
  if (groupBy !== null) return records.map((record) => groupBy(record));
  return records[0].groupKey === null ? null : records.map((record) => record.groupKey);
}

/**
 * What goes with every sub-batch.
 * @param {any} context @param {number | null} deadline
 * @returns {import('../worker/invocation').Invocation}
 */
function invocationOf(context, deadline) {
  /** @type {Record<string, unknown>} */
  const fields = {};
  for (const name of CONTEXT_FIELDS) {
    const value = context?.[name];
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value;
  }
  // Where invocations overlap in one process, it is in the context only.
  const traceId = context?.xRayTraceId ?? process.env._X_AMZN_TRACE_ID ?? null;
  return { ...fields, deadline, traceId };
}

/**
 * The records that an error is about, by their place in the event.
 * @param {any} error @param {readonly LambdaRecord[]} records @param {boolean} single
 * @returns {number[]}
 */
function failedOf({ failed, records: indices }, records, single) {
  if (single || !Array.isArray(failed)) return indices;
  const own = indices.map((/** @type {number} */ i) => records[i]);
  return positionsOf(own, failed, '"failed"').map((i) => indices[i]);
}

/**
 * Tells of each error that is one of its own: not what was left undone because of another, and once of the deadline.
 * @param {(error: Error, records: LambdaRecord[]) => void} onError @param {Failure[]} failures
 * @param {readonly LambdaRecord[]} records
 */
function tell(onError, failures, records) {
  /** @type {Map<unknown, Failure>} */
  const told = new Map();
  for (const failure of failures) {
    const { error, indices } = failure;
    if (error.code === 'ERR_PARALLELIZER_SKIPPED') continue;
    const key = error.code === 'ERR_PARALLELIZER_ABORTED' ? error.code : error;
    const known = told.get(key);
    if (known === undefined) told.set(key, { error, indices: [...indices] });
    else for (const i of indices) known.indices.push(i);
  }
  for (const { error, indices } of told.values()) report(onError, error, indices.map((i) => records[i]));
}

/** @param {Error} error @param {LambdaRecord[]} failed */
function print(error, failed) {
  const [first] = failed;
  const others = failed.length > 1 ? ` and ${failed.length - 1} more` : '';
  console.error(`not done: ${first.source} record ${JSON.stringify(first.identifier)}${others}`, error);
}

module.exports = { createHandler, processPartialResponse };
