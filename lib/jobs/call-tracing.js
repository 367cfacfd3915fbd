'use strict';

/**
 * What subscribers of `parallelizer:call` are told of the calls of one job: one context for each sub-batch, and for
 * items one for all those that are sent to a worker together.
 *
 * 1. `start` is published before they are encoded. A subscriber may put something into `carrier` that is to travel with
 *    them: an object of strings, such as `{ traceparent }`. The worker runs them in the context that it names.
 * 2. `end` is published when they are encoded, `asyncEnd` when all of them are settled or taken back from the worker,
 *    and before that `error`, with the first error, if any has failed.
 * 3. Calls that are sent again, since they were taken back or their worker died, go on in their context; in a new one
 *    where they are sent with others.
 *
 * Loaded once somebody watches. Must not depend on how calls are encoded, nor on what subscribers do.
 */

const { now } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const { watchedCalls } = require('./observers');
const { report } = require('./report');
const { runIdOf } = require('./run-id');
const { jobLabel } = require('./task-label');

/** @typedef {import('./job-table').Job} Job */

/**
 * What it needs of its pool.
 * @typedef {object} TracedPool
 * @property {string | number} id
 * @property {string} type
 * @property {string | null} functionName
 * @property {(number: number) => import('./pool-life').Worker | undefined} workerOf
 */

/**
 * Calls that were sent together.
 * @typedef {object} Sent
 * @property {number} first
 * @property {number} end
 * @property {number} left how many of them have not settled
 * @property {boolean} isEncoded whether it has been sent once
 * @property {number} number that of the worker
 * @property {any} context null: nobody wants to know
 */

class CallTracing {
  #job;
  #pool;
  #trace;
  #submittedAt = now();
  /** @type {Sent[]} Those that have not settled, in the order in which they were sent. */
  #open = [];
  /** @type {Sent[]} Those that are being encoded. */
  #encoding = [];
  /** All calls below this one have been sent. */
  #reached = 0;

  /** @param {Job} job @param {TracedPool} pool */
  constructor(job, pool) {
    this.#job = job;
    this.#pool = pool;
    this.#trace = job.run.trace;
    const context = this.#trace?.context ?? null;
    if (context !== null) put(context, { calls: context.calls + job.calls });
  }

  /** Whether each call has a context of its own. */
  get isEach() {
    return this.#job.task === null && this.#job.list === null;
  }

  /**
   * Calls are about to be encoded for a worker: `end` is the first that certainly is not among them.
   * @param {number} number that of the worker @param {number} first @param {number} end
   * @returns {string | null} what travels with them
   */
  sending(number, first, end) {
    const channel = watchedCalls();
    const again = first < this.#reached ? this.#sentBefore(number, first, end) : null;
    if (again !== null) {
      this.#encoding.push(again);
      return carrierText(again.context);
    }
    const context = channel === null ? null : this.#contextOf(number, first, end);
    const sent = { first, end, left: end - first, isEncoded: false, number, context };
    this.#encoding.push(sent);
    this.#open.push(sent);
    if (channel === null) return null;
    channel.start.publish(sent.context);
    return carrierText(sent.context);
  }

  /**
   * Of the calls that were about to be encoded, those before this one are.
   * @param {number} end @param {number} bytes
   */
  encoded(end, bytes) {
    const channel = watchedCalls();
    const wait = now() - this.#submittedAt;
    const total = this.#encoding.reduce((sum, sent) => sum + Math.max(0, Math.min(sent.end, end) - sent.first), 0);
    const run = this.#trace?.context ?? null;
    if (run !== null) put(run, { wait: run.wait ?? wait });
    this.#encoding.splice(0).forEach((sent) => {
      sent.left -= Math.max(0, sent.end - Math.max(end, sent.first));
      sent.end = Math.max(sent.first, Math.min(sent.end, end));
      const calls = sent.end - sent.first;
      this.#reached = Math.max(this.#reached, sent.end);
      if (!sent.isEncoded) this.#trace?.meter?.waited(wait, calls);
      if (sent.context !== null) {
        put(sent.context, { calls, wait, bytes: Math.round((bytes * calls) / Math.max(1, total)) });
        if (!sent.isEncoded) channel?.end.publish(sent.context);
      }
      sent.isEncoded = true;
      if (sent.left <= 0) this.#finish(sent);
    });
  }

  /**
   * Calls are answered.
   * @param {number} first @param {number} count @param {number} micros for how long all of them ran
   */
  answered(first, count, micros) {
    this.#trace?.meter?.ran(micros / 1000 / count, count);
    this.#each(first, first + count, (sent, calls) => {
      const { context } = sent;
      if (context !== null) put(context, { run: context.run + (micros / 1000) * (calls / count) });
    });
  }

  /**
   * Calls settle, answered or not.
   * @param {number} first @param {number} end @param {() => unknown} failure the error, where they fail
   * @param {boolean} hasFailed
   */
  settled(first, end, failure, hasFailed) {
    const run = this.#trace?.context ?? null;
    if (hasFailed && run !== null) put(run, { failed: run.failed + end - first });
    this.#each(first, end, (sent, calls) => {
      const { context } = sent;
      if (hasFailed && context !== null) {
        put(context, { failed: context.failed + calls });
        if (!('error' in context)) put(context, { error: failure() });
      }
      if (context !== null) put(context, { settled: context.settled + calls });
      sent.left -= calls;
      if (sent.left <= 0) this.#finish(sent);
    });
  }

  /**
   * Does something with the open ones that have some of these calls.
   * @param {number} first @param {number} end @param {(sent: Sent, calls: number) => void} act
   */
  #each(first, end, act) {
    for (let call = first; call < end && this.#open.length > 0; ) {
      // What was sent last has it now.
      const at = call;
      const sent = this.#open.findLast((each) => each.first <= at && at < each.end);
      if (sent === undefined) {
        const next = this.#open.reduce((least, each) => (each.first > at ? Math.min(least, each.first) : least), end);
        call = next;
        continue;
      }
      const stop = Math.min(end, sent.end);
      act(sent, stop - call);
      call = stop;
    }
  }

  /**
   * Some of these calls were sent before: they were taken back, or their worker has died. Where it is just those that
   * were sent together, and none has settled, they go on as what they were.
   * @param {number} number @param {number} first @param {number} end
   * @returns {Sent | null}
   */
  #sentBefore(number, first, end) {
    const before = this.#open.findLast((sent) => sent.first === first && sent.end === end && sent.left === end - first);
    if (before === undefined) {
      this.#takeBack(first, end);
      return null;
    }
    before.number = number;
    if (before.context !== null) put(before.context, { worker: this.#workerOf(number), isRepeated: true });
    return before;
  }

  /** @param {number} first @param {number} end */
  #takeBack(first, end) {
    this.#open.slice().forEach((sent) => {
      const taken = Math.min(end, sent.end) - Math.max(first, sent.first);
      if (taken <= 0) return;
      sent.left -= taken;
      if (sent.left <= 0) this.#finish(sent);
    });
  }

  /** @param {Sent} sent */
  #finish(sent) {
    const at = this.#open.indexOf(sent);
    if (at < 0) return;
    this.#open.splice(at, 1);
    const { context, number } = sent;
    const channel = context === null ? null : watchedCalls();
    if (channel === null) return;
    // Calls may have been encoded for a process that did not run yet.
    const isUnnamed = context.worker.pid === null && this.#pool.workerOf(number) !== undefined;
    if (isUnnamed) put(context.worker, this.#workerOf(number));
    if ('error' in context) channel.error.publish(context);
    channel.asyncStart.publish(context);
    channel.asyncEnd.publish(context);
  }

  /** @param {number} number @param {number} first @param {number} end */
  #contextOf(number, first, end) {
    const job = this.#job;
    const { id, type, functionName } = this.#pool;
    return {
      get runId() {
        return runIdOf(job, first);
      },
      /** The context of its run, where somebody has subscribed to runs. */
      parent: this.#trace?.context ?? null,
      method: job.what.replace('()', ''),
      id,
      type,
      task: jobLabel(job, functionName),
      first,
      calls: end - first,
      settled: 0,
      failed: 0,
      wait: 0,
      run: 0,
      bytes: 0,
      isRepeated: first < this.#reached,
      worker: this.#workerOf(number),
      carrier: null,
    };
  }

  /** @param {number} number */
  #workerOf(number) {
    const { workerIndex = null, pid = null, threadId = null } = this.#pool.workerOf(number) ?? {};
    return { workerIndex, ...(threadId === null ? { pid } : { threadId }) };
  }
}

/**
 * Changes a message. What its subscribers have frozen stays as it is: that must not become the end of a call.
 * @param {object} message @param {Record<string, unknown>} fields
 */
function put(message, fields) {
  for (const key of Object.keys(fields)) Reflect.set(message, key, fields[key]);
}

/**
 * What travels with calls; nothing, where to read it throws, which whoever has put it there is told of.
 * @param {any} message
 * @returns {string | null}
 */
function carrierText(message) {
  /** @type {string | null} */
  let text = null;
  report(() => {
    const carrier = message?.carrier;
    if (typeof carrier !== 'object' || carrier === null) return;
    const strings = Object.entries(carrier).filter(({ 1: value }) => typeof value === 'string');
    if (strings.length > 0) text = toJson(Object.fromEntries(strings));
  });
  return text;
}

module.exports = { CallTracing };
