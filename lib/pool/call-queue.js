'use strict';

/**
 * Gathers single calls: those of one task that are made in one turn of the event loop become one job, since a job costs
 * more than a call.
 *
 * Whoever makes a call gives two functions, one of which is called with its outcome, once. (They are kept in lists of
 * functions, not in a list of objects: at a million calls a second each object counts.) Must not depend on what the
 * calls are for.
 */

const { AsyncResource, executionAsyncId } = require('node:async_hooks');
const { aboutItem, itemError } = require('./item-error');
const { report } = require('../jobs/report');
const { RunId } = require('../jobs/run-id');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */

/** @typedef {(outcome: any) => void} Settle */

/**
 * What calls must have in common to go into one job.
 * @typedef {object} CallKind
 * @property {string} what the name of the method that was called, for errors
 * @property {boolean} isList whether the caller passed items, which errors can name
 * @property {InstanceType<typeof RunId> | null} run the run that all of them belong to; null: each is a run of its own
 * @property {import('../jobs/task-registry').Task} task
 * @property {boolean} spreadArguments
 * @property {number} timeout
 * @property {number} retries
 * @property {number} chunkSize
 * @property {number} priority
 * @property {import('../options/pool-options').OnMessage | null} onMessage told of what the calls emit; null: nobody
 *   listens
 * @property {AbortSignal | null} signal the user's; the owner listens to it
 * @property {{ readonly isOver: boolean } | null} owner who may cancel the job; null: nobody. Once it is over, no
 *   outcomes are reported any more
 * @property {((jobId: number) => void) | null} submitted
 */

/**
 * @typedef {object} Gathered
 * @property {CallKind} kind
 * @property {InstanceType<typeof RunId>} run that of the first call, where each is a run of its own
 * @property {AsyncResource} resource
 * @property {number} context
 * @property {number} first the index, in its source, of the item that the first call is for
 * @property {unknown[]} args
 * @property {(Settle | undefined)[]} resolves
 * @property {(Settle | undefined)[] | null} rejects `null`: what resolves a call takes a rejected promise as well
 */

class CallQueue {
  #pool;
  /** Whether each call is submitted by itself, since the limit on waiting calls is to accept or refuse it by itself. */
  #isLimited;
  /** Whether calls of different async contexts are kept apart, since output is printed in the context of its call. */
  #isContextual;
  /** @type {Gathered | null} */
  #open = null;
  /** @type {InstanceType<typeof RunId> | null} That of the first of the calls that the last one was gathered with. */
  #lastRun = null;
  #lastIndex = 0;

  /**
   * @param {WorkerPool} pool
   * @param {{ maxQueue: number | null, stdio: string }} settings
   */
  constructor(pool, { maxQueue, stdio }) {
    this.#pool = pool;
    this.#isLimited = maxQueue !== null;
    this.#isContextual = stdio === 'forward';
    pool.beforeFlush(() => this.flush());
  }

  /**
   * Adds a call. Throws if it is not accepted.
   * @param {CallKind} kind @param {unknown} argument
   * @param {Settle} resolve
   * @param {Settle | null} reject `null` for a kind without owner, whose `resolve` is a promise's, and so takes a
   *   rejected promise as well: the promise's other function can then be garbage-collected
   * @param {number} [index] the item of its source that it is for; those of one owner come in order
   */
  add(kind, argument, resolve, reject, index = 0) {
    const context = this.#isContextual ? executionAsyncId() : 0;
    let gathered = this.#open;
    if (gathered === null || gathered.context !== context || !isSameKind(gathered.kind, kind)) {
      this.flush();
      const resource = new AsyncResource('ParallelizerCalls');
      const run = kind.run ?? new RunId();
      const rejects = reject === null ? null : [];
      gathered = this.#open = { kind, run, resource, context, first: index, args: [], resolves: [], rejects };
      this.#lastRun = run;
      this.#pool.scheduleFlush();
    }
    this.#lastIndex = gathered.args.length;
    gathered.args.push(argument);
    gathered.resolves.push(resolve);
    if (reject !== null) gathered.rejects?.push(reject);
    // An owner limits its calls itself, so they are never refused.
    if (this.#isLimited && kind.owner === null) this.flush();
  }

  /** What names the call that was added last, which is a run of its own. */
  nameOfLast() {
    const run = /** @type {InstanceType<typeof RunId>} */ (this.#lastRun);
    const index = this.#lastIndex;
    return () => run.textOf(index);
  }

  /** Submits what has been gathered. */
  flush() {
    const gathered = this.#open;
    if (gathered === null) return;
    this.#open = null;
    if (gathered.kind.owner?.isOver) return;
    const jobId = this.#pool.submit(jobOf(gathered));
    gathered.kind.submitted?.(jobId);
  }
}

/** @param {CallKind} one @param {CallKind} two */
function isSameKind(one, two) {
  return (
    one === two ||
    (one.task === two.task &&
      one.owner === two.owner &&
      one.spreadArguments === two.spreadArguments &&
      one.timeout === two.timeout &&
      one.retries === two.retries &&
      one.priority === two.priority &&
      one.onMessage === two.onMessage &&
      one.chunkSize === two.chunkSize)
  );
}

/**
 * @param {Gathered} gathered
 * @returns {import('../jobs/worker-pool').Job}
 */
function jobOf({ kind, run, resource, first: firstItem, args, resolves, rejects }) {
  const { onMessage } = kind;
  /** @param {number} call */
  const nameOf = (call) => (kind.run === null ? run.textOf(call) : run.text);
  /** A slow call must not keep in memory what belongs to the others. @param {number} call */
  const forget = (call) => {
    resolves[call] = undefined;
    if (rejects !== null) rejects[call] = undefined;
    args[call] = undefined;
  };
  /** @param {number} call @param {unknown} error */
  const fail = (call, error) => {
    const resolve = /** @type {Settle} */ (resolves[call]);
    const reject = rejects?.[call];
    forget(call);
    if (reject) reject(error);
    else resolve(Promise.reject(error));
  };
  return {
    what: kind.what,
    run,
    isRunEach: kind.run === null,
    resource,
    calls: args.length,
    keys: null,
    stopKeyOnError: false,
    names: null,
    keyRuns: false,
    list: null,
    costId: 0,
    spread: false,
    task: kind.task,
    spreadArguments: kind.spreadArguments,
    timeout: kind.timeout,
    retries: kind.retries,
    watched: kind.timeout > 0 || kind.signal !== null,
    bulk: false,
    transferList: null,
    chunkSize: kind.chunkSize,
    unbounded: kind.owner !== null,
    priority: kind.priority,
    pinned: false,
    firstWorker: 0,
    places: null,
    yields: false,
    emitted: onMessage === null ? null : (call, value, workerIndex, attempt) => {
      if (!kind.owner?.isOver) report(onMessage, value, { index: firstItem + call, workerIndex, attempt });
    },
    argument: (call) => args[call],
    succeeded(first, count, values, offset) {
      for (let i = 0; i < count; i++) {
        const resolve = /** @type {Settle} */ (resolves[first + i]);
        forget(first + i);
        resolve(values[offset + i]);
      }
    },
    failed: (call, error) => fail(call, kind.isList ? aboutItem(error, firstItem + call) : error),
    ended(first, end, ending, exitError, host) {
      for (let call = first; call < end; call++) {
        if (kind.owner?.isOver) forget(call);
        else fail(call, itemError(kind, ending, exitError, () => nameOf(call), host, firstItem + call));
      }
    },
  };
}

module.exports = { CallQueue };
