'use strict';

/**
 * Single calls, gathered: those of one task that are made in one turn of the event loop become one job, since a job costs
 * more than a call does.
 *
 * May not know what the calls are for: whoever makes one gives a sink, which is told its outcome once.
 */

const { AsyncResource, executionAsyncId } = require('node:async_hooks');
const { itemError } = require('./item-error');

/** @typedef {InstanceType<typeof import('./worker-pool').WorkerPool>} WorkerPool */

/**
 * Told what came of a call.
 * @typedef {object} Sink
 * @property {(value: any) => void} resolve
 * @property {(error: any) => void} reject
 * @property {number} index which item of its source it is, for errors
 */

/**
 * What calls must have in common to go into one job.
 * @typedef {object} CallKind
 * @property {string} what what the caller called, for errors
 * @property {boolean} isList whether the caller knows of items
 * @property {import('./tasks').Task} task
 * @property {boolean} spreadArguments
 * @property {number} timeoutMs
 * @property {number} retries
 * @property {number} chunkSize
 * @property {AbortSignal | null} signal of the user, who listens to it is the owner
 * @property {{ readonly isOver: boolean } | null} owner who may cancel the job; null: nobody. Once that is over, nobody
 *   is told anything any more
 * @property {((job: number) => void) | null} submitted
 */

/** @typedef {{ kind: CallKind, resource: AsyncResource, context: number, args: unknown[], sinks: (Sink | undefined)[] }} Batch */

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
   * @param {CallKind} kind @param {unknown} argument @param {Sink} sink
   */
  add(kind, argument, sink) {
    const context = this.#contextual ? executionAsyncId() : 0;
    let batch = this.#open;
    if (batch === null || batch.context !== context || !isSameKind(batch.kind, kind)) {
      this.flush();
      const resource = new AsyncResource('ParallelizerCalls');
      batch = this.#open = { kind, resource, context, args: [], sinks: [] };
      this.#pool.scheduleFlush();
    }
    batch.args.push(argument);
    batch.sinks.push(sink);
    // Calls of an owner who holds back by itself are never refused.
    if (this.#judged && kind.owner === null) this.flush();
  }

  /** Submits what was gathered. */
  flush() {
    const batch = this.#open;
    if (batch === null) return;
    this.#open = null;
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
 * @returns {import('./worker-pool').Job}
 */
function jobOf({ kind, resource, args, sinks }) {
  /** @param {number} call */
  const take = (call) => {
    const sink = /** @type {Sink} */ (sinks[call]);
    // One slow call must not keep what belongs to the others.
    sinks[call] = undefined;
    args[call] = undefined;
    return sink;
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
      for (let i = 0; i < count; i++) take(first + i).resolve(values[offset + i]);
    },
    failed: (call, error) => take(call).reject(error),
    ended(first, end, ending, explainFate) {
      for (let call = first; call < end; call++) {
        const sink = take(call);
        if (!kind.owner?.isOver) sink.reject(itemError(kind, ending, explainFate, sink.index));
      }
    },
  };
}

module.exports = { CallQueue };
