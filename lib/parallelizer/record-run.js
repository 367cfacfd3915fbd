'use strict';

/**
 * Runs the records of an event of AWS Lambda as the calls of one job, a record each, and gathers the errors. Records
 * travel in lists, as many at a time as their cost suggests, with what they have in common beside them.
 *
 * Must not depend on events, nor on how calls reach a worker.
 */

const { needsSteps } = require('../codec/codec');
const { isJsonSafe } = require('../codec/json-safe');
const { closedError } = require('../errors');
const { define } = require('../intrinsics/define');
const { onAbort } = require('../jobs/abort');
const { nameRun, newRun } = require('../jobs/run-id');
const { JOB, annotated, endingError } = require('./run');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {import('../worker/invocation').EventKind} EventKind */
/** @typedef {import('./plan').RecordPlan} RecordPlan */
/** @typedef {import('./run').Run} Run */
/** @typedef {import('./run').RunResult} RunResult */

/** What records cost is remembered from one event to the next: they are all for the same function. */
const COST_ID = 1;

/**
 * Whether what the records have in common can travel once for many of them: the worker has to make copies of it.
 * @param {unknown} params @param {unknown} context
 */
function canShare(params, context) {
  return isJsonSafe(params ?? null) && isJsonSafe(context) && !needsSteps([params], 'auto');
}

/**
 * @param {WorkerPool} pool @param {Readonly<import('../options/options').PoolOptions>} options @param {RecordPlan} plan
 * @param {unknown} params @param {Readonly<import('../options/options').RunOptions>} settings
 * @param {EventKind} kind
 * @returns {Run}
 */
function startRecordRun(pool, options, { records, places, keys, keyNames }, params, settings, kind) {
  const { signal, context, stopKeyOnError } = settings;
  const timeout = settings.timeout ?? options.timeout;
  const total = records.length;
  const run = newRun();
  if (pool.isClosed) throw nameRun(closedError('run()'), () => run.text);
  /** @type {Map<number, { error: unknown, text: string }>} By call. */
  const failures = new Map();
  /** @type {(result: RunResult) => void} */
  let resolve = () => {};
  /** @type {Promise<RunResult>} */
  const promise = new Promise((fulfil) => (resolve = fulfil));
  let left = total;
  let stopListening = () => {};
  /** @param {number} count */
  const settled = (count) => {
    left -= count;
    if (left > 0) return;
    stopListening();
    const ordered = [...failures].sort(([one], [other]) => one - other);
    const errors = ordered.map(([call, failure]) => annotated(failure, call, [places?.[call] ?? call], run.text));
    const texts = ordered.map(([, { text }]) => text);
    /** @type {Omit<RunResult, 'errors'>} */
    const result = { responses: [], failures: texts };
    resolve(define(/** @type {RunResult} */ (result), 'errors', { value: errors }));
  };
  /** @type {NonNullable<import('../jobs/job-table').Job['list']>} */
  const list = (first, end) => {
    const own = keys !== null && stopKeyOnError ? [jobId, keys[first], startsOf(keys, first, end)] : null;
    return [records.slice(first, end), params === undefined ? null : params, first, context, kind, own];
  };
  const jobId = pool.submit({
    ...JOB,
    run,
    calls: total,
    spread: false,
    keys,
    keyRuns: true,
    priority: settings.priority,
    emitted: null,
    stopKeyOnError,
    timeout,
    retries: options.retries,
    watched: true,
    bulk: true,
    transferList: null,
    costId: COST_ID,
    argument: (call) => list(call, call + 1),
    list,
    succeeded: (_first, count) => settled(count),
    failed(call, error, text) {
      failures.set(call, { error, text });
      settled(1);
    },
    ended(first, end, ending, exitError, host) {
      for (let index = first; index < end; index++) {
        const key = keys === null ? undefined : keyNames[keys[index]];
        const error = endingError(ending, exitError, { index, signal, timeout, key, host });
        failures.set(index, { error, text: String(error) });
      }
      settled(end - first);
    },
  });
  const cancel = () => pool.cancel(jobId);
  if (signal !== null) stopListening = onAbort(signal, cancel);
  return { promise, cancel, whenQuiet: (limit) => pool.whenQuiet(jobId, limit) };
}

/**
 * Where, among consecutive calls, those of each key begin.
 * @param {Uint32Array} keys @param {number} first @param {number} end
 */
function startsOf(keys, first, end) {
  const starts = [0];
  for (let call = first + 1; call < end; call++) {
    if (keys[call] !== keys[call - 1]) starts.push(call - first);
  }
  return starts;
}

module.exports = { canShare, startRecordRun };
