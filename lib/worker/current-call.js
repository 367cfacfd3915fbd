'use strict';

/**
 * Which call runs: what `current()` gives, and whose output a message is.
 *
 * 1. Where a worker runs one call at a time, the runner has it in a variable, and nothing else is needed.
 * 2. Where calls run at the same time, and inline, where the caller's own code runs beside them, only an
 *    `AsyncLocalStorage` can tell. It costs something, so there is none before somebody has asked for `current`.
 * 3. A bundle may contain several copies of this library, and a worker has one of its own: they find each other through
 *    the mark that a worker has on its global object.
 *
 * Must not depend on how calls are run.
 */

/** @typedef {InstanceType<typeof import('./running-call').RunningCall>} Call */
/** @typedef {{ readonly current: Call | null }} Runner */

/** @type {import('node:async_hooks').AsyncLocalStorage<Call> | null} Has the calls that are tracked. */
let storage = null;
/** @type {Runner | null} That of the worker that this copy runs in. */
let worker = null;
/** @type {Call | null} The inline call whose function is on the stack, as long as calls are not tracked. */
let entered = null;

/** From now on, it can be told which of several calls runs. */
function trackCalls() {
  storage ??= new (require('node:async_hooks').AsyncLocalStorage)();
}

/**
 * Says whose calls run in this worker.
 * @param {Runner} runner
 */
function serveCurrent(runner) {
  worker = runner;
}

/**
 * Runs the function of a call that a variable cannot tell from others.
 * @param {Call} call @param {boolean} isLocal whether it runs in the caller's own process
 * @param {import('./runner').Callee} callee @param {any} value @param {number} place
 */
function runTracked(call, isLocal, callee, value, place) {
  if (storage !== null) return storage.run(call, callee, value, call, place);
  if (!isLocal) return callee(value, call, place);
  const outer = entered;
  entered = call;
  try {
    return callee(value, call, place);
  } finally {
    entered = outer;
  }
}

/** The call that runs here. @returns {Call | null} */
function runningCall() {
  const call = storage?.getStore() ?? entered ?? worker?.current ?? null;
  return call === null || call.isOver ? null : call;
}

/** What the mark of a worker has, for the copies of the library that the user's code loads. */
const currentCalls = { runningCall, trackCalls };

/** @returns {typeof currentCalls | undefined} */
function ofThisWorker() {
  return /** @type {any} */ (globalThis)[Symbol.for('@parallelizer/node')];
}

/** What a function is told of the call that runs it. */
class CurrentCall {
  #call;

  /** @param {Call} call */
  constructor(call) {
    this.#call = call;
  }

  get signal() {
    return this.#call.signal;
  }

  get emit() {
    return this.#call.emit;
  }

  get workerIndex() {
    return this.#call.workerIndex;
  }

  get context() {
    return this.#call.context;
  }
}

/**
 * The call that runs this code, also deep inside of it; `undefined` outside of any.
 * @returns {InstanceType<typeof CurrentCall> | undefined}
 */
function current() {
  const call = runningCall() ?? ofThisWorker()?.runningCall?.() ?? null;
  if (call === null) return undefined;
  return (call.extras.view ??= new CurrentCall(call));
}

/** `current`, for whoever may call it at any time from now on. */
function expectCurrent() {
  trackCalls();
  ofThisWorker()?.trackCalls?.();
  return current;
}

module.exports = { currentCalls, expectCurrent, runTracked, runningCall, serveCurrent, trackCalls };
