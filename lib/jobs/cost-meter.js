'use strict';

/**
 * What the calls of a pool cost, as far as `advice()` needs to know: how long they run, what it costs this thread to
 * send them and to take their results, and how many of them there are at a time.
 *
 * Runs are counted, and the clock is read for the first messages and for a few of the later ones, so that it costs
 * next to nothing. Old measurements lose weight. Must not depend on what becomes of them.
 */

const { busyTimeOf } = require('../host/busy-time');
const { now } = require('../intrinsics/clock');

/** So many of the first messages are timed, and after them one out of as many; a power of two. */
const TIMED = 32;
/** Sums are halved when they cover so many timed messages, or so many answers. */
const MAX_TIMES = 64;
const MAX_ANSWERS = 4096;
/** The first of them are of code that is being loaded and compiled: up to this one, what came before counts less. */
const COLD_TIMES = 8;
/** The same limit for what is counted with each call, in calls. */
const MAX_CALLS = 65_536;

/** @typedef {import('./job-table').Job} Job */

/** The mean of what is counted: a sum, and of how many. */
class Mean {
  sum = 0;
  of = 0;

  /** @param {number} sum @param {number} of */
  add(sum, of) {
    this.sum += sum;
    this.of += of;
    if (this.of >= MAX_CALLS) this.scale(0.5);
  }

  /** What it covers so far counts less from now on. @param {number} factor */
  scale(factor) {
    this.sum *= factor;
    this.of *= factor;
  }

  get value() {
    return this.of === 0 ? 0 : this.sum / this.of;
  }
}

/** The mean of what is timed, where later times are better ones. */
class TimedMean extends Mean {
  #times = 0;
  #maxTimes;

  /** @param {number} [maxTimes] */
  constructor(maxTimes = MAX_TIMES) {
    super();
    this.#maxTimes = maxTimes;
  }

  /** @override @param {number} sum @param {number} of */
  add(sum, of) {
    if (this.#times <= COLD_TIMES && (this.#times & (this.#times - 1)) === 0) this.scale(0.125);
    this.sum += sum;
    this.of += of;
    if (++this.#times % this.#maxTimes === 0) this.scale(0.5);
  }
}

/**
 * The mean of times that are read off a clock in this thread. Now and then another program has the CPU meanwhile, which
 * is no cost of the message: on a busy machine ten messages would seem to cost a hundred times what they do. So the
 * worst is left out.
 */
class ClockedMean extends TimedMean {
  /** The time that is furthest above the mean, and of how many. */
  #worst = 0;
  #worstOf = 0;

  /** @override @param {number} sum @param {number} of */
  add(sum, of) {
    super.add(sum, of);
    const mean = this.sum / this.of;
    if (sum - of * mean < this.#worst - this.#worstOf * mean) return;
    this.#worst = sum;
    this.#worstOf = of;
  }

  /** @override @param {number} factor */
  scale(factor) {
    super.scale(factor);
    this.#worst *= factor;
    this.#worstOf *= factor;
  }

  /** @override */
  get value() {
    const rest = this.of - this.#worstOf;
    return rest > 0 ? (this.sum - this.#worst) / rest : super.value;
  }
}

class CostMeter {
  /** How many calls can run at a time. */
  slots;
  /** How many were answered. */
  calls = 0;
  /** How long a call runs, in microseconds. */
  run = new TimedMean(MAX_ANSWERS);
  /** How many calls there are when one is submitted, itself included and no more than can run at a time. */
  demand = new Mean();
  /** The same, where what goes to one worker as a whole counts as one. */
  demandInChunks = new Mean();
  /** Milliseconds for encoding a call, and for decoding its result. */
  encoding = new ClockedMean();
  decoding = new ClockedMean();
  /** Milliseconds for a message beside that. */
  message = new ClockedMean();
  /** How many messages a call takes, and how many bytes its arguments and its result have. */
  messages = new TimedMean();
  bytesSent = new TimedMean();
  bytesReceived = new TimedMean();
  /** @type {Map<number, number>} How long worker processes were busy until they were ready. */
  #busyBefore = new Map();
  #encoded = 0;
  #decoded = 0;
  #flushed = 0;
  #isFlushTimed = false;
  #encodedIn = 0;
  #messagesIn = 0;

  /** @param {{ workers: number, concurrency: number, remote: unknown }} options */
  constructor({ workers, concurrency, remote }) {
    // Hosts say how many there are when they come.
    this.slots = remote === null ? workers * concurrency : MAX_CALLS;
  }

  /** @param {Job} job @param {number} inProgress how many calls are, with those of this job */
  submitted(job, inProgress) {
    const { calls, keys, chunkSize } = job;
    if (!counts(job)) return;
    const { slots } = this;
    this.demand.add(calls * Math.min(inProgress, slots), calls);
    let units = chunkSize > 1 ? Math.ceil(calls / chunkSize) : calls;
    if (keys !== null) units = Math.min(units, distinct(keys));
    const inUnits = inProgress - calls + units;
    this.demandInChunks.add(calls * Math.min(inUnits, slots), calls);
  }

  /** @param {Job} job @param {number} calls @param {number} micros for how long all of them ran */
  answered(job, calls, micros) {
    if (!counts(job)) return;
    this.calls += calls;
    this.run.add(micros, calls);
  }

  /**
   * A worker process is ready: what it took to start says nothing of its calls.
   * @param {number} id @param {number} pid
   */
  started(id, pid) {
    this.#busyBefore.set(id, busyTimeOf(pid) ?? 0);
  }

  /** @param {number} id */
  ended(id) {
    this.#busyBefore.delete(id);
  }

  /** @param {number} id */
  busyBefore(id) {
    return this.#busyBefore.get(id) ?? 0;
  }

  /** Whether to time the message that is about to be encoded. */
  startsToEncode() {
    return isTimed(this.#encoded++) || this.#isFlushTimed;
  }

  /** @param {number} calls @param {boolean} isFirst of its message @param {number} took @param {number} bytes */
  encodedCalls(calls, isFirst, took, bytes) {
    this.encoding.add(took, calls);
    this.messages.add(isFirst ? 1 : 0, calls);
    this.bytesSent.add(bytes, calls);
    this.#encodedIn += took;
    if (isFirst) this.#messagesIn++;
  }

  /** Whether to time the message that is about to be decoded. */
  startsToDecode() {
    return isTimed(this.#decoded++);
  }

  /** @param {number} calls @param {number} took @param {number} bytes */
  decodedCalls(calls, took, bytes) {
    this.decoding.add(took, calls);
    this.bytesReceived.add(bytes, calls);
  }

  /** Has messages sent. @param {() => void} flush */
  flush(flush) {
    if (!isTimed(this.#flushed++)) {
      flush();
      return;
    }
    this.#isFlushTimed = true;
    this.#encodedIn = 0;
    this.#messagesIn = 0;
    const from = now();
    flush();
    const took = now() - from;
    this.#isFlushTimed = false;
    if (this.#messagesIn > 0) this.message.add(Math.max(0, took - this.#encodedIn), this.#messagesIn);
  }
}

/** @param {number} count */
function isTimed(count) {
  return count < TIMED || (count & (TIMED - 1)) === 0;
}

/** Whether the calls of a job say something of others: streams wait for their readers, and a broadcast is no work. */
function counts(/** @type {Job} */ { yields, pinned }) {
  return !yields && !pinned;
}

/** @param {Uint32Array} keys numbered in the order of their first call */
function distinct(keys) {
  let last = -1;
  for (let i = 0; i < keys.length; i++) last = Math.max(last, keys[i]);
  return last + 1;
}

module.exports = { CostMeter };
