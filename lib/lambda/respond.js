'use strict';

/**
 * From an event of Lambda's to its answer, with the records processed by workers.
 *
 * 1. The records are spread over the workers; those of one group are done in order, and none after one that failed.
 * 2. Reported is what failed, what a worker that died or a call that timed out took along, and what was not done when
 *    the invocation's time was about to end; with it the rest of its group. Everything else is done.
 * 3. Once the answer is given, no function works on any of its records any more.
 *
 * Must not depend on how the worker is called.
 */

const { keyOf } = require('../options/keys');
const { runEvent } = require('../parallelizer/parallelizer');
const { report } = require('../jobs/report');
const { submitWatched } = require('../jobs/run-id');
const { failRestOfGroups } = require('./answers');
const { answererFor } = require('./answers/answer');
const { remainingTime, watchDeadline } = require('./deadline');
const { discard } = require('./discards');
const { readEvent } = require('./events');
const { isNonRetryable } = require('../events/non-retryable');
const { positionsOf, wrapRecord } = require('../events/records');

// Loaded with the first failure.
const partialOutcome = () => require('../events/partial-outcome');

/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('./options').ResponseOptions} ResponseOptions */
/** @typedef {InstanceType<typeof import('./metrics').InvocationMetrics>} InvocationMetrics */
/**
 * An error, and the places in the event of the records that it is about, and of those of its sub-batch.
 * @typedef {{ error: any, indices: number[], within: number[] }} Failure
 */

/** What workers are given of Lambda's context. */
const CONTEXT_FIELDS = [
  'awsRequestId', 'functionName', 'functionVersion', 'invokedFunctionArn', 'memoryLimitInMB', 'logGroupName',
  'logStreamName', 'tenantId',
];

/**
 * @param {unknown} event @param {any} context @param {unknown} parallelizer @param {ResponseOptions} options
 * @param {boolean} single whether the function takes one record at a time
 * @param {InvocationMetrics | null} metrics told how it went; null: nobody wants to know
 * @returns {Promise<object>}
 */
async function respond(event, context, parallelizer, options, single, metrics) {
  const contents = readEvent(event, options.numbers);
  const { format, raws } = contents;
  if (metrics !== null) Object.assign(metrics, { records: raws.length, failed: raws.length === 0 ? 0 : undefined });
  const answerer = answererFor(event, format, options);
  const onError = options.onError ?? print;
  const isEmpty = format === null || raws.length === 0;
  const keys = isEmpty ? null : keysOf(contents, format, options);
  const deadline = watchDeadline(context, options.deadlineMargin, options.signal);
  const { inTime } = deadline;
  if (isEmpty) {
    deadline.stop();
    return answerer.answer({ records: [], isFailed: [], failures: [], responses: [], onError, inTime });
  }
  let next = 0;
  let result;
  try {
    const params = typeof options.params === 'function'
      ? await inTime('"params"', options.params(event, context)) : options.params;
    const start = () => runEvent(parallelizer, options.id, raws, params, {
      context: invocationOf(context, deadline.endsAt),
      signal: deadline.signal,
      timeout: options.timeout,
      // Called for each record, in order.
      ...(keys === null ? {} : { groupBy: () => keys[next++], stopKeyOnError: true }),
    }, kindOf(format, single, keys !== null, options.steps, answerer.results));
    const { promise, whenQuiet } = metrics === null ? start() : submitWatched(metrics.trace, start);
    result = await promise;
    // Lambda may freeze what still runs, for minutes, and meanwhile deliver the same records elsewhere.
    if (result.errors.some(isCutOff)) await whenQuiet(remainingTime(context) / 2);
  } finally {
    deadline.stop();
  }
  if (metrics !== null && result.errors.length === 0) metrics.failed = 0;
  if (result.errors.length === 0 && answerer.results === null) return { batchItemFailures: [] };
  const { records } = contents;
  /** @type {boolean[]} */
  const isFailed = new Array(records.length).fill(false);
  const { responses } = result;
  const found = result.errors.flatMap((/** @type {any} */ error) => {
    // By itself, a record that is given to the function has failed as a whole: only records in it may have results.
    const partial = single && answerer.results === null ? null : partialOutcome().partialOf(error);
    // Where the source wants results, what has none is not done.
    const isWhole = single || (answerer.results !== null && partial?.results === undefined);
    if (partial?.results !== undefined) responses.push(partial.results);
    return failuresIn(error, records, isWhole, partial, options.discardInvalid);
  });
  // Sources that have an answer of their own for a record say by it that it failed for good. What workers could not
  // discard has failed.
  const isTold = (answerer.results !== null && answerer.results !== 'window' && options.onDiscard === null) ||
    (options.steps !== null && options.steps.config.discard !== null);
  const discarding = { ...options, onError: options.onError ?? printDiscarded, inTime };
  const failures = isTold ? found : await discard(found, records, keys, discarding);
  for (const { indices } of failures) for (const i of indices) isFailed[i] = true;
  if (keys !== null) failRestOfGroups(keys, isFailed);
  if (metrics !== null) metrics.failed = isFailed.filter(Boolean).length;
  reportFailures(onError, failures, records);
  return answerer.answer({
    records, isFailed, failures, responses, inTime,
    onError: (error, about) => report(onError, error, about),
  });
}

/** Whether the function of this call may still run. @param {any} error */
function isCutOff({ code }) {
  return code === 'ERR_PARALLELIZER_ABORTED' || code === 'ERR_PARALLELIZER_TIMEOUT';
}

/**
 * The group of each record; `null` where there is no order to keep.
 * @param {ReturnType<typeof readEvent>} contents @param {import('../events/records').RecordFormat} format
 * @param {ResponseOptions} options
 */
function keysOf(contents, format, { groupBy, steps }) {
  if (groupBy !== null && steps !== null && steps.config.envelope !== null) {
    return require('./group-keys').innerKeys(contents.records, groupBy, steps.config);
  }
  if (groupBy !== null) return contents.records.map((record, i) => keyOf(groupBy, record, i));
  if (wrapRecord(format, contents.raws[0]).groupKey === null) return null;
  return contents.records.map((record) => record.groupKey);
}

/**
 * What every sub-batch is told of the invocation.
 * @param {any} context @param {number | null} deadline
 * @returns {import('../worker/invocation').Invocation}
 */
function invocationOf(context, deadline) {
  /** @type {Record<string, unknown>} */
  const fields = Object.create(null);
  for (const name of CONTEXT_FIELDS) {
    const value = context?.[name];
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value;
  }
  // Where invocations overlap in one process, only the context has it.
  const traceId = context?.xRayTraceId ?? process.env._X_AMZN_TRACE_ID ?? null;
  return { ...fields, deadline, traceId };
}

/**
 * What workers are told of the records.
 * @param {import('../events/records').RecordFormat} format @param {boolean} single @param {boolean} ordered
 * @param {import('./step-options').Steps | null} steps
 * @param {import('../events/results').ResultKind | null} results
 * @returns {import('../worker/invocation').EventKind}
 */
function kindOf(format, single, ordered, steps, results) {
  return {
    ...format,
    single,
    ...(steps === null ? {} : { ordered, steps: steps.text }),
    ...(results === null ? {} : { results }),
  };
}

/**
 * The places in the event of the records that an error is about; a sub-batch may have failed for several reasons.
 * @param {any} error @param {readonly LambdaRecord[]} records
 * @param {boolean} isWhole whether none of its sub-batch is done
 * @param {import('../events/partial-outcome').Partial | null} partial what is known of it, whatever the error has kept
 * @param {boolean} discardInvalid
 * @returns {Failure[]}
 */
function failuresIn(error, records, isWhole, partial, discardInvalid) {
  const { records: within } = error;
  if (partial === null) return [{ error, within, indices: within }];
  const own = within.map((/** @type {number} */ i) => records[i]);
  const { errorsOf, resultlessError } = partialOutcome();
  return errorsOf(error, partial).flatMap((each, i) => {
    const { failed } = partial.failures[i];
    if (failed === null || (isWhole && !isNonRetryable(each, discardInvalid))) {
      return [{ error: each, within, indices: within }];
    }
    /** @type {number[]} */
    const indices = positionsOf(own, failed, '"failed"').map((at) => within[at]);
    const about = { error: each, within, indices };
    const named = new Set(indices);
    const others = isWhole ? within.filter((/** @type {number} */ at) => !named.has(at)) : [];
    // That another try is of no use was said of those only that are named.
    return others.length === 0 ? [about] : [about, { error: resultlessError(each), within, indices: others }];
  });
}

/**
 * Reports each error once: not again for records that were skipped because of it, and the deadline only once.
 * @param {(error: Error, records: LambdaRecord[]) => void} onError @param {Failure[]} failures
 * @param {readonly LambdaRecord[]} records
 */
function reportFailures(onError, failures, records) {
  /** @type {Map<unknown, { error: any, indices: number[] }>} */
  const reported = new Map();
  for (const failure of failures) {
    const { error, indices } = failure;
    if (error.code === 'ERR_PARALLELIZER_SKIPPED') continue;
    const key = error.code === 'ERR_PARALLELIZER_ABORTED' ? error.code : error;
    const known = reported.get(key);
    if (known === undefined) reported.set(key, { error, indices: [...indices] });
    else for (const i of indices) known.indices.push(i);
  }
  for (const { error, indices } of reported.values()) report(onError, error, indices.map((i) => records[i]));
}

/** @param {Error} error @param {LambdaRecord[]} failed */
function print(error, failed) {
  console.error(`not done: ${namesOf(failed)}`, error);
}

/** @param {Error} error @param {LambdaRecord[]} discarded */
function printDiscarded(error, discarded) {
  console.error(`discarded: ${namesOf(discarded)}`, error);
}

/** @param {LambdaRecord[]} records */
function namesOf([first, ...others]) {
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `${first.source} record ${JSON.stringify(first.identifier)}${more}`;
}

module.exports = { respond };
