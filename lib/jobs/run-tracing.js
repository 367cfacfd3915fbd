'use strict';

/**
 * What subscribers of `parallelizer:run` are told: of each call of a method that runs something, one context, published
 * when it begins, when the method returns, when its outcome is known (before the caller's promise settles), and when
 * that is an error.
 *
 * Loaded once there is a subscriber. Must not depend on workers, nor on what subscribers do.
 */

const { RunId, submitWatched, submittedTrace } = require('./run-id');
const { taskLabel } = require('./task-label');

/** @typedef {import('./observers').Tracing} Tracing */

/**
 * What a method says of itself.
 * @typedef {object} RunAbout
 * @property {string} method
 * @property {string | number} id that of the pool
 * @property {string} type
 * @property {unknown} task as the user gave it
 */

/** A run that somebody watches. */
class RunTrace {
  #run = new RunId();
  #isTaken = false;

  /**
   * @param {RunContext | null} context what subscribers are told; null: there are none
   * @param {InstanceType<typeof import('./run-meter').RunMeter> | null} meter who else wants to know how its calls went
   */
  constructor(context, meter) {
    this.context = context;
    this.meter = meter;
    this.#run.trace = this;
  }

  /** The run; and further ones, which the same call has submitted. */
  run() {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return this.#run;
    }
    const run = new RunId();
    run.trace = this;
    return run;
  }

  get runId() {
    return this.#run.text;
  }
}

/** The context of a run. */
class RunContext {
  /** @type {RunTrace | null} */
  #trace = null;

  /** @param {RunAbout} about */
  constructor({ method, id, type, task }) {
    this.method = method;
    this.id = id;
    this.type = type;
    this.task = taskLabel(task);
    /** How many calls have been submitted for it so far. */
    this.calls = 0;
    /** How many of them have failed. */
    this.failed = 0;
    /** How long its first call has waited for a worker, in milliseconds. @type {number | undefined} */
    this.wait = undefined;
  }

  get runId() {
    return /** @type {RunTrace} */ (this.#trace).runId;
  }

  /** @param {RunTrace} trace */
  belongTo(trace) {
    this.#trace = trace;
  }
}

/** @param {RunAbout} about */
function traceOf(about) {
  const context = new RunContext(about);
  // Whoever measures the run does so besides.
  const trace = new RunTrace(context, submittedTrace()?.meter ?? null);
  context.belongTo(trace);
  return trace;
}

/**
 * A method that returns a promise.
 * @param {Tracing} channels @param {RunAbout} about @param {() => Promise<any>} act
 * @returns {Promise<any>}
 */
function traceRun(channels, about, act) {
  return traceStream(channels, about, (ended, context) => act().then(
    (result) => {
      context.result = result;
      ended(null);
      return result;
    },
    (error) => {
      ended({ error });
      throw error;
    },
  ));
}

/**
 * A method that returns something else.
 * @template T
 * @param {Tracing} channels @param {RunAbout} about
 * @param {(ended: (failure: { error: unknown } | null) => void, context: any) => T} act calls `ended` when the outcome
 *   is known
 * @returns {T}
 */
function traceStream({ start, end, asyncStart, asyncEnd, error }, about, act) {
  const trace = traceOf(about);
  const context = /** @type {any} */ (trace.context);
  /** @param {unknown} cause */
  const failed = (cause) => {
    context.error = cause;
    error.publish(context);
  };
  let isOver = false;
  /** @param {{ error: unknown } | null} failure */
  const ended = (failure) => {
    if (isOver) return;
    isOver = true;
    if (failure !== null) failed(failure.error);
    asyncStart.publish(context);
    asyncEnd.publish(context);
  };
  return start.runStores(context, () => {
    try {
      return submitWatched(trace, () => act(ended, context));
    } catch (cause) {
      isOver = true;
      failed(cause);
      throw cause;
    } finally {
      end.publish(context);
    }
  });
}

module.exports = { RunTrace, traceRun, traceStream };
