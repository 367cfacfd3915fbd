'use strict';

/**
 * What users pass to `createHandler` and `processPartialResponse`, checked and completed. May not know what it does.
 */

const { optionError } = require('../errors');
const { abortSignal, boolean, callback, duration, functionName, milliseconds, reader } = require('../options/option-checks');
const { POOL_OPTIONS } = require('../options/options');

/** What goes for one event. */
const EVENT_OPTIONS = ['params', 'groupBy', 'deadlineMargin', 'reportBatchItemFailures', 'onError'];
const RESPONSE_OPTIONS = ['id', 'signal', 'timeout', ...EVENT_OPTIONS];
const HANDLER_OPTIONS = ['recordFunctionName', ...EVENT_OPTIONS, ...POOL_OPTIONS.filter((name) => name !== 'id')];

/** @typedef {import('../options/option-checks').Option} Option */

/**
 * @typedef {object} EventOptions
 * @property {unknown} params a function makes them of event and context
 * @property {((record: any) => unknown) | null} groupBy `null`: the order of the source
 * @property {number | null} deadlineMargin milliseconds; `null`: the default
 * @property {boolean} reportBatchItemFailures
 * @property {((error: Error, records: any[]) => void) | null} onError `null`: the console
 */

/** @typedef {EventOptions & { id: unknown, signal: AbortSignal | null, timeout: number | undefined }} ResponseOptions */

/** @param {(key: string) => Option} option @returns {EventOptions} */
function eventOptions(option) {
  return {
    params: option('params').value,
    groupBy: callback(option('groupBy')),
    deadlineMargin: milliseconds(option('deadlineMargin'), null),
    reportBatchItemFailures: boolean(option('reportBatchItemFailures'), true),
    onError: callback(option('onError')),
  };
}

/**
 * @param {unknown} [input]
 * @returns {ResponseOptions}
 */
function responseOptions(input = {}) {
  const option = reader(input, 'options', RESPONSE_OPTIONS);
  const timeout = duration(option('timeout'), null);
  return {
    id: option('id').value,
    signal: abortSignal(option('signal')),
    timeout: timeout === null ? undefined : timeout,
    ...eventOptions(option),
  };
}

/**
 * @param {unknown} input
 * @returns {{ single: boolean, event: EventOptions, pool: Record<string, unknown> }} `pool`: what `Parallelizer` is given
 */
function handlerOptions(input) {
  const option = reader(input, 'options', HANDLER_OPTIONS);
  const record = option('recordFunctionName');
  const batch = option('processBatchFunctionName');
  const single = record.value !== undefined;
  if (single && batch.value !== undefined) {
    throw optionError(record.name, record.value, 'cannot be given together with "processBatchFunctionName": give one of them');
  }
  if (!single && batch.value === undefined) {
    throw optionError(
      record.name,
      undefined,
      'is required, or "processBatchFunctionName": the name of the function that the module exports, for one record or for a sub-batch',
    );
  }
  /** @type {Record<string, unknown>} */
  const pool = {};
  for (const key of POOL_OPTIONS) {
    if (!HANDLER_OPTIONS.includes(key)) continue;
    const { value } = key === batch.name ? batch : option(key);
    if (value !== undefined) pool[key] = value;
  }
  if (single) {
    if (pool.batchSize !== undefined) {
      throw optionError('batchSize', pool.batchSize, 'cannot be given together with "recordFunctionName", which takes one record');
    }
    pool.processBatchFunctionName = functionName(record);
    // A call is a record: what dies or takes too long costs no other one.
    pool.batchSize = 1;
  }
  return { single, event: eventOptions(option), pool };
}

module.exports = { handlerOptions, responseOptions };
