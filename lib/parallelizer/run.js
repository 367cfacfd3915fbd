'use strict';

/**
 * Runs a planned batch on a pool: submits its sub-batches as one job, and gathers their outcomes into
 * `{ responses, failures }`, with errors that say which records they are about.
 *
 * Must not depend on how calls reach a worker.
 */

const { isError } = require('../codec/is-error');
const { ParallelizerError, abortError, closedError, skippedError, timeoutError } = require('../errors');
const { onAbort } = require('../jobs/abort');
const { report } = require('../jobs/report');
const { nameRun, newRun } = require('../jobs/run-id');
const { define } = require('../intrinsics/define');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {import('../worker/invocation').EventKind} EventKind */
/** @typedef {import('./plan').Plan} Plan */
/** @typedef {{ responses: unknown[], failures: string[], errors: Error[] }} RunResult */
/** @typedef {{ error: unknown, text: string }} Failure */
/** @typedef {{ value: unknown } | Failure} Outcome what became of a sub-batch */

/**
 * A run that has started.
 * @typedef {object} Run
 * @property {Promise<RunResult>} promise
 * @property {() => void} cancel settles what is unfinished as aborted
 * @property {(limit: number) => Promise<void>} whenQuiet for after that: resolves when no worker is running any of it
 *   any more, and kills those that still are after this many milliseconds
 */

/** What all jobs of `run` have in common. */
const JOB = Object.freeze({
  what: 'run()',
  resource: null,
  task: null,
  spreadArguments: false,
  chunkSize: 0,
  isRunEach: false,
  unbounded: false,
  pinned: false,
  firstWorker: 0,
  places: null,
  yields: false,
  names: ['batch', 'params', 'batchIndex', 'context'],
});

/**
 * @param {WorkerPool} pool @param {Readonly<import('../options/options').PoolOptions>} options @param {Plan} plan
 * @param {unknown} params @param {Readonly<import('../options/options').RunOptions>} settings
 * @param {EventKind | null} kind what the records are, if they are of an event of AWS Lambda
 * @returns {Run}
 */
function startRun(pool, options, plan, params, settings, kind) {
  const { signal, onProgress, onMessage, context, priority } = settings;
  const timeout = settings.timeout ?? options.timeout;
  const total = plan.count;
  /** @type {Outcome[]} */
  const outcomes = new Array(total);
  let done = 0;
  let failed = 0;
  /** @type {(result: RunResult) => void} */
  let resolve = () => {};
  /** @type {Promise<RunResult>} */
  const promise = new Promise((fulfil) => (resolve = fulfil));
  const run = newRun();
  if (pool.isClosed) throw nameRun(closedError('run()'), () => run.text);
  if (total === 0) {
    resolve(gather([], plan, run));
    return { promise, cancel() {}, whenQuiet: async () => {} };
  }
  /** @type {() => void} */
  let stopListening = () => {};
  /** @param {number} index @param {Outcome} outcome */
  const settled = (index, outcome) => {
    outcomes[index] = outcome;
    done++;
    if (hasFailed(outcome)) failed++;
    if (onProgress !== null) report(onProgress, { done, total, failed });
    if (done === total) {
      stopListening();
      resolve(gather(outcomes, plan, run));
    }
  };
  const jobId = pool.submit({
    ...JOB,
    run,
    calls: total,
    keys: plan.keys,
    keyRuns: false,
    list: null,
    costId: 0,
    stopKeyOnError: settings.stopKeyOnError,
    timeout,
    // A second worker could not be given what was moved to the first.
    retries: settings.transferList === null ? options.retries : 0,
    spread: plan.spread,
    priority,
    emitted: onMessage === null ? null : (batchIndex, value, workerIndex, attempt) =>
      report(onMessage, value, { batchIndex, workerIndex, attempt }),
    watched: signal !== null || timeout > 0,
    bulk: onProgress === null,
    transferList: settings.transferList,
    argument: (index) => {
      /** @type {unknown[]} */
      const argument = [plan.slice(index), params === undefined ? null : params, index];
      // Most calls have no context, and `undefined` has no JSON.
      if (kind !== null) argument.push(context, kind);
      else if (context !== undefined) argument.push(context);
      return argument;
    },
    succeeded(first, count, values, offset) {
      for (let i = 0; i < count; i++) settled(first + i, { value: values[offset + i] });
    },
    failed: (index, error, text) => settled(index, { error, text }),
    ended(first, end, ending, exitError, host) {
      for (let index = first; index < end; index++) {
        const error = endingError(ending, exitError, { index, signal, timeout, key: plan.keyOf(index), host });
        settled(index, { error, text: String(error) });
      }
    },
  });
  const cancel = () => pool.cancel(jobId);
  if (signal !== null) stopListening = onAbort(signal, cancel);
  return { promise, cancel, whenQuiet: (limit) => pool.whenQuiet(jobId, limit) };
}

/**
 * A run of which nothing can begin.
 * @param {Plan} plan @param {Readonly<import('../options/options').RunOptions>} settings
 * @param {InstanceType<typeof ParallelizerError>} why
 * @returns {Run}
 */
function failedRun(plan, { onProgress }, { code, message, cause }) {
  const run = newRun();
  const total = plan.count;
  const outcomes = Array.from({ length: total }, (_, index) => {
    // Each has one of its own, since it says what it is about.
    const error = new ParallelizerError(code, message, cause === undefined ? undefined : { cause });
    if (onProgress !== null) report(onProgress, { done: index + 1, total, failed: index + 1 });
    return { error, text: String(error) };
  });
  return { promise: Promise.resolve(gather(outcomes, plan, run)), cancel() {}, whenQuiet: async () => {} };
}

/** @param {Outcome} outcome @returns {outcome is { error: unknown, text: string }} */
function hasFailed(outcome) {
  return Object.hasOwn(outcome, 'error');
}

/**
 * The error of a sub-batch that was not answered.
 * @param {import('../jobs/job-table').Ending} ending @param {() => unknown} exitError
 * @param {{ index: number, signal: AbortSignal | null, timeout: number, key: unknown, host: string | null }} about
 */
function endingError(ending, exitError, { index, signal, timeout, key, host }) {
  const what = `sub-batch ${index}`;
  if (ending === 'aborted') return abortError(signal?.reason, what);
  if (ending === 'timedOut') return timeoutError(timeout, what, host);
  if (ending === 'skipped') return skippedError(key);
  return exitError() ?? closedError(what);
}

/**
 * @param {Outcome[]} outcomes @param {Plan} plan @param {InstanceType<typeof import('../jobs/run-id').RunId>} run
 * @returns {RunResult}
 */
function gather(outcomes, plan, run) {
  /** @type {{ responses: unknown[], failures: string[] }} */
  const result = { responses: [], failures: [] };
  /** @type {Error[]} */
  const errors = [];
  outcomes.forEach((outcome, index) => {
    if (hasFailed(outcome)) {
      result.failures.push(outcome.text);
      errors.push(annotated(outcome, index, plan.records(index), run.text));
    } else {
      result.responses.push(outcome.value);
    }
  });
  // Not enumerable, so that the result compares, prints and serializes as it did in the ancestor.
  return define(/** @type {RunResult} */ (result), 'errors', { value: errors });
}

/**
 * The error of a sub-batch, with the run, the sub-batch and the records that it is about.
 * @param {Failure} outcome @param {number} batchIndex @param {number[]} records
 * @param {string} runId
 */
function annotated({ error, text }, batchIndex, records, runId) {
  // A thrown value that is not an Error cannot be annotated.
  const own = isError(error) ? error : new Error(text, { cause: error });
  Object.entries({ batchIndex, records, runId }).forEach(({ 0: key, 1: value }) => {
    // It is to be seen in a log of an error of ours; an error of the user's shows what it was thrown with.
    const enumerable = key === 'runId' && own instanceof ParallelizerError;
    define(own, key, { value, writable: true, configurable: true, enumerable });
  });
  return own;
}

module.exports = { JOB, annotated, endingError, failedRun, startRun };
