'use strict';

/**
 * Single calls, gathered: those of one task that are made in one turn of the event loop become one job, since a job costs
 * more than a call does.
 *
 * May not know what the calls are for: whoever makes one gives two functions, one of which is told its outcome, once.
 * (Lists of functions instead of a list of objects: at a million calls a second each object counts.)
 */

const { AsyncResource, executionAsyncId } = require('node:async_hooks');
const { aboutItem, itemError } = require('./item-error');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */

/** @typedef {(outcome: any) => void} Settle */

/**
 * What calls must have in common to go into one job.
 * @typedef {object} CallKind
 * @property {string} what what the caller called, for errors
 * @property {boolean} isList whether the caller knows of items
 * @property {import('../jobs/task-registry').Task} task
 * @property {boolean} spreadArguments
 * @property {number} timeoutMs
 * @property {number} retries
 * @property {number} chunkSize
 * @property {AbortSignal | null} signal of the user, who listens to it is the owner
 * @property {{ readonly isOver: boolean } | null} owner who may cancel the job; null: nobody. Once that is over, nobody
 *   is told anything any more
 * @property {((job: number) => void) | null} submitted
 */

/**
 * @typedef {object} Batch
 * @property {CallKind} kind
 * @property {AsyncResource} resource
 * @property {number} context
 * @property {number} first which item of its source the first call is for
 * @property {unknown[]} args
 * @property {(Settle | undefined)[]} resolves
 * @property {(Settle | null | undefined)[]} rejects
 */

class CallQueue {
  #pool;
  /** Whether each call has to be judged by itself, and is not to wait for others. */
  #judged;
  /** Whether what workers print has to find the context of the very call. */
  #contextual;
  /** @type {Batch | null} */
  #open = null;

  /**
   * @param {WorkerPool} pool
   * @param {{ maxQueue: number | null, stdio: string }} settings
   */
  constructor(pool, { maxQueue, stdio }) {
    this.#pool = pool;
    this.#judged = maxQueue !== null;
    this.#contextual = stdio === 'forward';
    pool.beforeFlush(() => this.flush());
  }

  /**
   * Makes a call. Throws when it is not accepted.
   * @param {CallKind} kind @param {unknown} argument
   * @param {Settle} resolve
   * @param {Settle | null} reject `null` where `resolve` is a promise's, and can be given one that is rejected: the other
   *   function of each promise can be collected then
   * @param {number} [index] which item of its source it is for; those of one owner come in order
   */
  add(kind, argument, resolve, reject, index = 0) {
    const context = this.#contextual ? executionAsyncId() : 0;
    let batch = this.#open;
    if (batch === null || batch.context !== context || !isSameKind(batch.kind, kind)) {
      this.flush();
      const resource = new AsyncResource('ParallelizerCalls');
      batch = this.#open = { kind, resource, context, first: index, args: [], resolves: [], rejects: [] };
      this.#pool.scheduleFlush();
    }
    batch.args.push(argument);
    batch.resolves.push(resolve);
    batch.rejects.push(reject);
    // Calls of an owner who holds back by itself are never refused.
    if (this.#judged && kind.owner === null) this.flush();
  }

  /** Submits what was gathered. */
  flush() {
    const batch = this.#open;
    if (batch === null) return;
    this.#open = null;
    if (batch.kind.owner?.isOver) return;
    const job = this.#pool.submit(jobOf(batch));
    batch.kind.submitted?.(job);
  }
}

/** @param {CallKind} one @param {CallKind} two */
function isSameKind(one, two) {
  return (
    one === two ||
    (one.task === two.task &&
      one.owner === two.owner &&
      one.spreadArguments === two.spreadArguments &&
      one.timeoutMs === two.timeoutMs &&
      one.retries === two.retries &&
      one.chunkSize === two.chunkSize)
  );
}

/**
 * @param {Batch} batch
 * @returns {import('../jobs/worker-pool').Job}
 */
function jobOf({ kind, resource, first: firstItem, args, resolves, rejects }) {
  /** One slow call must not keep what belongs to the others. @param {number} call */
  const forget = (call) => {
    resolves[call] = undefined;
    rejects[call] = undefined;
    args[call] = undefined;
  };
  /** @param {number} call @param {unknown} error */
  const fail = (call, error) => {
    const [resolve, reject] = [/** @type {Settle} */ (resolves[call]), rejects[call]];
    forget(call);
    if (reject) reject(error);
    else resolve(Promise.reject(error));
  };
  return {
    what: kind.what,
    resource,
    calls: args.length,
    task: kind.task,
    spreadArguments: kind.spreadArguments,
    timeoutMs: kind.timeoutMs,
    retries: kind.retries,
    watched: kind.timeoutMs > 0 || kind.signal !== null,
    transferList: null,
    chunkSize: kind.chunkSize,
    unbounded: kind.owner !== null,
    argument: (call) => args[call],
    succeeded(first, count, values, offset) {
      for (let i = 0; i < count; i++) {
        const resolve = /** @type {Settle} */ (resolves[first + i]);
        forget(first + i);
        resolve(values[offset + i]);
      }
    },
    failed: (call, error) => fail(call, kind.isList ? aboutItem(error, firstItem + call) : error),
    ended(first, end, ending, explainFate) {
      for (let call = first; call < end; call++) {
        if (kind.owner?.isOver) forget(call);
        else fail(call, itemError(kind, ending, explainFate, firstItem + call));
      }
    },
  };
}

module.exports = { CallQueue };
