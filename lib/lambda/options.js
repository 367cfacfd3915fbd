'use strict';

/**
 * What users pass to `createHandler`, `processPartialResponse`, `records` and `unmarshall`, checked and completed.
 *
 * Must not depend on what the options do.
 */

const { optionError } = require('../errors');
const {
  abortSignal, boolean, callback, duration, functionName, milliseconds, oneOf, reader,
} = require('../options/option-checks');
const { POOL_OPTIONS } = require('../options/options');
const { STEP_OPTIONS, envelopeOption, stepOptions } = require('./step-options');

/** How records are decoded. */
const DECODING_OPTIONS = ['numbers', 'envelope'];
/** What goes for one event. */
const EVENT_OPTIONS = [
  'params', 'groupBy', 'deadlineMargin', 'reportBatchItemFailures', 'throwOnFullBatchFailure', 'onError',
  'onDiscard', 'discardInvalid', 'numbers', 'window',
  ...STEP_OPTIONS,
];
const RESPONSE_OPTIONS = ['id', 'signal', 'timeout', ...EVENT_OPTIONS];
const HANDLER_OPTIONS = ['recordFunctionName', 'metrics', ...EVENT_OPTIONS].concat(
  POOL_OPTIONS.filter((name) => name !== 'id'),
);

/** @type {readonly ('exact' | 'string' | 'number')[]} */
const NUMBERS = ['exact', 'string', 'number'];

/** @typedef {import('../options/option-checks').Option} Option */
/** @typedef {import('../worker/record-steps').StepsConfig} StepsConfig */

/**
 * @typedef {object} EventOptions
 * @property {unknown} params a function makes them from event and context
 * @property {((record: any) => unknown) | null} groupBy `null`: the order of the source
 * @property {number | null} deadlineMargin milliseconds; `null`: the default
 * @property {boolean | null} reportBatchItemFailures `null`: whether the source is documented to heed them
 * @property {((error: Error, records: any[]) => void) | null} onError `null`: the console
 * @property {boolean} throwOnFullBatchFailure
 * @property {((error: Error, records: any[]) => unknown) | null} onDiscard `null`: the console, or an export, which the
 *   workers know
 * @property {boolean} discardInvalid
 * @property {'exact' | 'string' | 'number'} numbers
 * @property {import('./answers/window').WindowOptions | null} window of a tumbling window
 * @property {import('./step-options').Steps | null} steps what comes before the function
 */

/**
 * @typedef {EventOptions & { id: unknown, signal: AbortSignal | null, timeout: number | undefined }} ResponseOptions
 */

/** @param {(key: string) => Option} option @returns {EventOptions} */
function eventOptions(option) {
  const reports = option('reportBatchItemFailures');
  const numbers = option('numbers');
  if (typeof numbers.value === 'function') {
    throw optionError(
      numbers.name,
      undefined,
      'cannot be a function, since records are decoded in the workers: ' +
        "give 'string', and convert where the record is used",
    );
  }
  const kept = numbersOf(numbers);
  const onDiscard = option('onDiscard');
  const discardInvalid = boolean(option('discardInvalid'), false);
  return {
    params: option('params').value,
    groupBy: callback(option('groupBy')),
    deadlineMargin: milliseconds(option('deadlineMargin'), null),
    reportBatchItemFailures: reports.value === undefined ? null : boolean(reports, true),
    onError: callback(option('onError')),
    throwOnFullBatchFailure: boolean(option('throwOnFullBatchFailure'), false),
    onDiscard: typeof onDiscard.value === 'function' ? callback(onDiscard) : null,
    discardInvalid,
    numbers: kept,
    window: windowOption(option('window')),
    steps: stepOptions(option, { numbers: kept, onDiscard, discardInvalid }),
  };
}

/** @param {Option} option @returns {import('./answers/window').WindowOptions | null} */
function windowOption({ name, value }) {
  if (value === undefined) return null;
  const option = reader(value, name, ['reduce', 'end'], `${name}.`);
  const reduce = option('reduce');
  const found = callback(reduce);
  if (found === null) {
    throw optionError(reduce.name, undefined, 'is required: a function (state, result, record) => state');
  }
  return { reduce: found, end: callback(option('end')) };
}

/**
 * @param {unknown} [input]
 * @returns {{ numbers: import('../events/attribute-values').Numbers, envelope: StepsConfig['envelope'] }}
 */
function decodingOptions(input = {}) {
  const option = reader(input, 'options', DECODING_OPTIONS);
  const numbers = option('numbers');
  const { value } = numbers;
  return {
    numbers: typeof value === 'function' ? (text) => value(text) : numbersOf(numbers),
    envelope: envelopeOption(option('envelope')),
  };
}

/** @param {Option} option */
function numbersOf(option) {
  return oneOf(option, NUMBERS, 'exact');
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
 * @returns {{ single: boolean, event: EventOptions, metrics: import('./metrics').MetricsOptions | null,
 *   pool: Record<string, unknown> }} `pool`: options of `Parallelizer`
 */
function handlerOptions(input) {
  const option = reader(input, 'options', HANDLER_OPTIONS);
  const record = option('recordFunctionName');
  const batch = option('processBatchFunctionName');
  const single = record.value !== undefined;
  if (single && batch.value !== undefined) {
    throw optionError(
      record.name,
      record.value,
      'cannot be given together with "processBatchFunctionName": give one of them',
    );
  }
  if (!single && batch.value === undefined) {
    throw optionError(
      record.name,
      undefined,
      'is required, or "processBatchFunctionName": ' +
        'the name of the function that the module exports, for one record or for a sub-batch',
    );
  }
  /** @type {Record<string, unknown>} */
  const pool = Object.create(null);
  for (const key of POOL_OPTIONS) {
    if (!HANDLER_OPTIONS.includes(key)) continue;
    const { value } = key === batch.name ? batch : option(key);
    if (value !== undefined) pool[key] = value;
  }
  if (single) {
    if (pool.batchSize !== undefined) {
      throw optionError(
        'batchSize',
        pool.batchSize,
        'cannot be given together with "recordFunctionName", which takes one record',
      );
    }
    pool.processBatchFunctionName = functionName(record);
    // One record per call: one that kills its worker or takes too long costs no other.
    pool.batchSize = 1;
  }
  const metrics = option('metrics');
  const measured = metrics.value === undefined ? null : require('./metrics-options').metricsOption(metrics);
  return { single, event: eventOptions(option), metrics: measured, pool };
}

module.exports = { decodingOptions, handlerOptions, responseOptions };
