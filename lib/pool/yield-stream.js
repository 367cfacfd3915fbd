'use strict';

/**
 * `stream`: one call with many results, which are handed out one by one.
 *
 * 1. The first `next` submits the call. Its worker sends no more than `highWaterMark` values beyond those of which it
 *    was told that they were taken. While it has sent as many, the time of the call does not pass.
 * 2. From the first value on the call is not run again if its worker dies: its reader has something of it already.
 * 3. Leaving early closes the generator, whose `finally` runs in the worker, and waits for that, though not for longer
 *    than the grace period. A call that has not begun by then does not, and none is run again.
 * 4. What ends the call (its result, an error, a death, a timeout) comes after the values before it; an abort and the
 *    end of the pool come at once.
 *
 * Must not depend on how calls travel.
 */

const { abortError } = require('../errors');
const { atMost } = require('../intrinsics/clock');
const { onAbort } = require('../jobs/abort');
const { report } = require('../jobs/report');
const { nameRun } = require('../jobs/run-id');
const { itemError } = require('./item-error');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {{ value: unknown } | { error: unknown }} End what comes after the last value */
/** @typedef {{ resolve: (result: IteratorResult<any>) => void, reject: (error: unknown) => void }} Waiter */

/**
 * @typedef {object} YieldRequest
 * @property {string} what
 * @property {InstanceType<typeof import('../jobs/run-id').RunId>} run
 * @property {import('../jobs/task-registry').Task} task
 * @property {readonly unknown[]} args
 * @property {number} timeout
 * @property {number} retries
 * @property {number} priority
 * @property {number} highWaterMark
 * @property {AbortSignal | null} signal
 * @property {import('../options/pool-options').OnMessage | null} onMessage
 * @property {(failure: { error: unknown } | null) => void} onEnded told, at least once, when its outcome is known
 */

/**
 * Told of the streams of a pool that wait for their readers.
 * @typedef {{ waits: (stream: object) => void, goesOn: (stream: object) => void }} Waits
 */

class YieldStream {
  #pool;
  #request;
  #waits;
  #onReleased;
  #gracePeriod;
  #jobId = -1;
  /** @type {unknown[]} Values that were sent and not taken. */
  #values = [];
  #received = 0;
  #taken = 0;
  /** How many were taken, as its worker was told last. */
  #told = 0;
  /** Whether it is read to its end even if nobody takes the values. */
  #isEager = false;
  /** @type {End | null} */ #end = null;
  /** Whether no more values will be handed out. */
  isOver = false;
  /** Whether its call is done or dropped. */
  isReleased = false;
  /** @type {Waiter[]} */ #waiters = [];
  /** @type {((end: End) => void)[]} */ #whenEnded = [];
  /** Whether its reader wants no more of it. */
  #isLeft = false;
  /** Settles when its generator is closed. @type {Promise<void> | null} */ #leaving = null;
  /** Whether the outcome of its call is known. */
  #isSettled = false;
  #stopListening = () => {};

  /**
   * @param {WorkerPool} pool @param {YieldRequest} request @param {number} gracePeriod @param {Waits} waits
   * @param {(stream: YieldStream) => void} onReleased called when its call is done or dropped
   */
  constructor(pool, request, gracePeriod, waits, onReleased) {
    this.#pool = pool;
    this.#request = request;
    this.#gracePeriod = gracePeriod;
    this.#waits = waits;
    this.#onReleased = onReleased;
    const { signal, what } = request;
    const abort = () => {
      this.#pool.cancel(this.#jobId);
      this.fail(abortError(signal?.reason, what));
    };
    if (signal !== null) this.#stopListening = onAbort(signal, abort);
  }

  /** @returns {Promise<IteratorResult<any>>} */
  next() {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#start();
      this.#hand();
    });
  }

  /**
   * Ends it early.
   * @param {unknown} [value]
   * @returns {Promise<IteratorResult<any>>}
   */
  async return(value) {
    this.#hand();
    const isRunning = !this.isOver && this.#end === null && this.#jobId >= 0;
    if (!this.isOver) this.#finish();
    this.#hand();
    if (isRunning) await (this.#leaving = this.#leave());
    // Whoever has left it first is told of its error.
    else await this.#leaving?.catch(() => {});
    this.#release();
    return { value: await value, done: true };
  }

  /** Has its generator closed, and waits for that. */
  async #leave() {
    /** @type {Promise<End>} */
    const ended = new Promise((resolve) => this.#whenEnded.push(resolve));
    this.#isLeft = true;
    this.#pool.leave(this.#jobId);
    const end = await atMost(ended, this.#gracePeriod);
    // Or it closes when it yields the next time.
    if (end !== undefined && Object.hasOwn(end, 'error')) throw /** @type {{ error: unknown }} */ (end).error;
  }

  /** Reads the call to its end, whether or not anybody takes the values. */
  drain() {
    this.#isEager = true;
    this.#start();
    this.#tell();
  }

  /**
   * Ends it with an error, with which the next `next` rejects.
   * @param {unknown} error
   */
  fail(error) {
    if (this.isOver) return;
    this.#stopListening();
    this.#values.length = 0;
    // Its call may be done: whoever has not read all of it must not take what he has for the whole.
    this.#end = null;
    this.#ended({ error: nameRun(error, () => this.#request.run.text) });
  }

  // ---- Handing out ------------------------------------------------------------------------------------------------

  #hand() {
    while (this.#waiters.length > 0) {
      if (this.#values.length > 0) {
        const value = this.#values.shift();
        this.#taken++;
        /** @type {Waiter} */ (this.#waiters.shift()).resolve({ value, done: false });
        this.#tell();
        continue;
      }
      if (this.isOver) {
        /** @type {Waiter} */ (this.#waiters.shift()).resolve({ value: undefined, done: true });
        continue;
      }
      const end = this.#end;
      if (end === null) return;
      this.#finish();
      const { resolve, reject } = /** @type {Waiter} */ (this.#waiters.shift());
      if ('error' in end) reject(end.error);
      else resolve({ value: end.value, done: true });
    }
  }

  #finish() {
    this.isOver = true;
    this.#values.length = 0;
    this.#stopListeningAtEnd();
    this.#waits.goesOn(this);
  }

  /** Tells its worker how many values were taken, once that makes a difference. */
  #tell() {
    if (this.#end !== null || this.isOver || this.#jobId < 0) return;
    const { highWaterMark } = this.#request;
    const taken = this.#isEager ? this.#received : this.#taken;
    if (taken - this.#told >= Math.ceil(highWaterMark / 2)) {
      this.#told = taken;
      this.#waits.goesOn(this);
      this.#pool.tell(this.#jobId, 'demand', 0, taken);
    }
    if (this.#received - this.#told >= highWaterMark) {
      this.#waits.waits(this);
      this.#pool.tell(this.#jobId, 'pause', 0);
    }
  }

  // ---- The call ---------------------------------------------------------------------------------------------------

  #start() {
    if (this.#jobId >= 0 || this.isOver || this.#end !== null) return;
    const { what, run, task, args, timeout, retries, priority, highWaterMark, signal, onMessage } = this.#request;
    const listens = onMessage;
    try {
      this.#jobId = this.#pool.submit({
        what,
        run,
        task,
        spreadArguments: true,
        calls: 1,
        timeout,
        retries,
        priority,
        watched: signal !== null || timeout > 0,
        bulk: false,
        transferList: null,
        // A size of its own: nothing goes along with it, since it may take any time.
        chunkSize: 1,
        resource: null,
        keys: null,
        stopKeyOnError: false,
        names: null,
        keyRuns: false,
        list: null,
        costId: 0,
        spread: false,
        pinned: false,
        firstWorker: 0,
        places: null,
        isRunEach: false,
        unbounded: false,
        yields: true,
        emitted: (_call, value, workerIndex, attempt, isYielded) => {
          if (isYielded) this.#yielded(value);
          else if (listens !== null) report(listens, value, { index: 0, workerIndex, attempt });
        },
        argument: () => [highWaterMark, args],
        succeeded: (_first, _count, values, offset) => this.#settled({ value: values[offset] }),
        failed: (_index, error) => this.#settled({ error }),
        ended: (_first, _end, ending, exitError, host) => {
          // It was left before it began.
          if (this.#isLeft && ending === 'aborted') return this.#settled({ value: undefined });
          const about = { what, isList: false, signal, timeout };
          this.#settled({ error: itemError(about, ending, exitError, () => run.text, host, 0) });
        },
      });
    } catch (error) {
      this.#settled({ error });
    }
  }

  /** @param {unknown} value */
  #yielded(value) {
    if (this.#received === 0) this.#pool.tell(this.#jobId, 'forbidRetries');
    this.#received++;
    if (this.isOver) return;
    this.#values.push(value);
    this.#hand();
    this.#tell();
  }

  /** Its call has settled, or is none. @param {End} end */
  #settled(end) {
    this.#isSettled = true;
    this.#stopListeningAtEnd();
    this.#ended(end);
  }

  /** While there is something to be read, or a call that runs on although it was left, it can still be aborted. */
  #stopListeningAtEnd() {
    if (this.isOver && (this.#isSettled || this.#jobId < 0)) this.#stopListening();
  }

  /** @param {End} end */
  #ended(end) {
    this.#request.onEnded('error' in end ? end : null);
    this.#whenEnded.splice(0).forEach((tell) => tell(end));
    if (this.#end === null) this.#end = end;
    this.#waits.goesOn(this);
    this.#hand();
    this.#release();
  }

  #release() {
    if (this.isReleased) return;
    this.isReleased = true;
    this.#request.onEnded(null);
    this.#onReleased(this);
  }
}

module.exports = { YieldStream };
