'use strict';

/**
 * `imap`: a source of items in, their results out, with no more of either in memory than the workers can use.
 *
 * 1. The first `next` opens the source. Items are read ahead while fewer than a window's worth are unfinished or
 *    waiting to be taken. The window depends on the cost of an item: it is two for each that can run at the same time,
 *    and up to some frames full of cheap ones; more where this thread is so busy, be it with the consumer itself, that
 *    the workers would run out of them. While the consumer waits for a result that an earlier item holds up, the others
 *    may get further ahead.
 * 2. Results are handed out in the order of the items, or as they come. A consumer that works on each of them without
 *    waiting for anything would keep the event loop from turning for as long as there are results: after some
 *    milliseconds the next one has to wait for a turn, in which answers come in and workers get what was read.
 * 3. The stream is over when the source has ended and everything is taken; at the first error, after the results before
 *    it; when it is left early; when its signal fires; and when the pool is terminated. Then what has not begun is
 *    dropped, what runs sees its signal, and the source is closed unless it has ended by itself. Closing does not wait
 *    for a source that is busy reading.
 *
 * Must not depend on how calls travel.
 */

const { AsyncResource } = require('node:async_hooks');
const { now, setImmediate } = require('../intrinsics/clock');
const { onAbort } = require('../jobs/abort');
const { abortError } = require('../errors');
const { nameRun } = require('../jobs/run-id');
const { iteratorOf } = require('./stream-iterator');
const { StreamProgress } = require('./stream-progress');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {InstanceType<typeof import('../jobs/run-id').RunId>} RunId */
/** @typedef {Omit<import('./call-queue').CallKind, 'owner' | 'submitted' | 'run'> & { run: RunId }} StreamKind */
/** @typedef {{ error: unknown }} Failure */
/** @typedef {{ value: unknown } | Failure} Outcome */
/** @typedef {{ resolve: (result: IteratorResult<any>) => void, reject: (error: unknown) => void }} Waiter */

/** The most items that are read ahead for one worker. */
const MAX_AHEAD = 2048;
/** For how long a consumer may take one result after another within a turn of the event loop, in milliseconds. */
const TURN = 5;
/** How long what was read may wait for the turn to end before it is sent, in milliseconds. */
const SEND_AFTER = 1;
/** No more is read while the consumer has results that will keep it busy for so long, in milliseconds. */
const ENOUGH = 250;
/** The weight of the latest time that the consumer took for a result. */
const NEWEST = 1 / 8;
/** How many windows' worth of results may pile up behind one that is awaited. */
const PATIENCE = 4;
/** When more jobs than this are remembered, those that have ended are forgotten. */
const MAX_JOBS = 256;
/** A power of two: how many times what a worker may have is used before it is asked for again. */
const AHEAD_USES = 16;

class ItemStream {
  #pool;
  #calls;
  #kind;
  #source;
  #isOrdered;
  #collect;
  #progress;
  #onReleased;
  #onEnded;
  /** How many items can run at the same time. */
  #slots;
  #workers;
  #concurrency;
  #resource = new AsyncResource('ParallelizerStream');
  /** @type {Iterator<unknown> | AsyncIterator<unknown> | null} */
  #iterator = null;
  #isAsync = false;
  #isReading = false;
  /** Whether a function of the source's is on the stack: it cannot be closed then. */
  #isInSource = false;
  /** Whether it is to be closed after that. */
  #closesLater = false;
  #hasEnded = false;
  /** @type {{ error: unknown } | null} What the source threw, to be reported after the results. */
  #sourceError = null;
  /** @type {Failure | null} What it has ended with. */
  #failure = null;
  /** Whether it is read to its end even if nobody takes the results. */
  #isEager = false;
  /** Whether it will not submit anything any more. */
  #isReleased = false;
  /** Whether no more results will be handed out. */
  isOver = false;
  #read = 0;
  #finished = 0;
  #taken = 0;
  /** Items that were read and have not been submitted. */
  #gathered = 0;
  #submittedAt = 0;
  /** When the first result was handed out in this turn; 0 before that. */
  #turnBegan = 0;
  /** Whether the next results wait for the next turn. */
  #isYielding = false;
  #handedAt = 0;
  /** How long the consumer takes for a result, on average, in milliseconds. */
  #pace = 0;
  /** How many calls a worker may have, as it was asked for last, and how often it was used. */
  #ahead = 1;
  #aheadUses = 0;
  /** @type {Map<number, Outcome>} Results to be taken, by item; if unordered, by the order in which they came. */
  #results = new Map();
  /** @type {Waiter[]} */
  #waiters = [];
  /** @type {Set<number>} Its jobs that are under way, and some that have ended. */
  #jobIds = new Set();
  #stopListening = () => {};

  /**
   * @param {object} options
   * @param {WorkerPool} options.pool
   * @param {InstanceType<typeof import('./call-queue').CallQueue>} options.calls
   * @param {StreamKind} options.kind
   * @param {() => Iterator<unknown> | AsyncIterator<unknown>} options.source opens it
   * @param {boolean} options.isAsync whether the source is asynchronous
   * @param {boolean} options.isOrdered
   * @param {boolean} options.collect
   * @param {import('../options/pool-options').StreamOptions['onProgress']} options.onProgress
   * @param {{ workers: number, concurrency: number }} options.settings
   * @param {(stream: ItemStream) => void} options.onReleased called when the source is read and its items are
   *   done or dropped
   * @param {((failure: Failure | null) => void) | null} options.onEnded is told when no more results will be handed
   *   out, before its consumer is
   */
  constructor({ pool, calls, kind, source, isAsync, isOrdered, collect, onProgress, settings, onReleased, onEnded }) {
    this.#pool = pool;
    this.#calls = calls;
    this.#kind = { ...kind, owner: this, submitted: (/** @type {number} */ jobId) => this.#submitted(jobId) };
    this.#source = source;
    this.#isAsync = isAsync;
    this.#isOrdered = isOrdered;
    this.#collect = collect;
    this.#progress = onProgress === null ? null : new StreamProgress(onProgress);
    this.#workers = settings.workers;
    this.#concurrency = settings.concurrency;
    this.#slots = settings.workers * settings.concurrency;
    this.#onReleased = onReleased;
    this.#onEnded = onEnded;
    const { signal } = kind;
    if (signal?.aborted) this.fail(abortError(signal.reason, kind.what));
    else if (signal) this.#stopListening = onAbort(signal, () => this.#abort(signal));
  }

  /** @returns {Promise<IteratorResult<any>>} */
  next() {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#asked();
      this.#hand();
      this.#readOn();
    });
  }

  /**
   * Ends it early.
   * @param {unknown} [value]
   * @returns {Promise<IteratorResult<any>>}
   */
  async return(value) {
    this.#sourceError = null;
    // Who asked before is first.
    this.#turnBegan = 0;
    this.#hand();
    if (!this.isOver) await this.#end();
    return { value: await value, done: true };
  }

  /** Reads the source to its end, whether or not anybody takes the results. */
  drain() {
    this.#isEager = true;
    this.#readOn();
  }

  /**
   * Ends it with an error, with which the next `next` rejects.
   * @param {unknown} error
   */
  fail(error) {
    if (this.isOver) return;
    this.#sourceError = { error: nameRun(error, () => this.#kind.run.text) };
    this.#end().catch(() => {});
    this.#hand();
  }

  /** @param {number} index @param {Outcome} outcome */
  settle(index, outcome) {
    if (this.isOver) return;
    const place = this.#isOrdered ? index : this.#finished;
    this.#finished++;
    this.#results.set(place, outcome);
    if (hasFailed(outcome) && !this.#collect && !this.#hasEnded) {
      // The iteration will end with this item, so what comes after it is of no use.
      this.#hasEnded = true;
      this.#closeSource().catch(() => {});
    }
    // Answers come in between turns of the consumer's.
    this.#turnBegan = 0;
    this.#hand();
    this.#readOn();
    if (this.#progress !== null) {
      const mayBeLast = this.#finished === this.#read && !this.#isReading;
      this.#progress.settled(hasFailed(outcome), this.#hasEnded ? this.#read : undefined, mayBeLast);
    }
    this.#releaseWhenRead();
  }

  // ---- Handing out ------------------------------------------------------------------------------------------------

  /** The consumer is done with the result before. */
  #asked() {
    const time = now();
    if (this.#handedAt > 0) {
      const took = time - this.#handedAt;
      this.#pace += (took - this.#pace) * (this.#pace === 0 ? 1 : NEWEST);
    }
    this.#handedAt = 0;
    if (this.#gathered > 0 && time - this.#submittedAt >= SEND_AFTER) this.#pool.flush();
  }

  /** Whether the consumer has had this turn for long enough. @param {number} time now */
  #isTurnOver(time) {
    if (this.#turnBegan === 0) this.#turnBegan = time;
    if (time - this.#turnBegan < TURN) return false;
    if (!this.#isYielding) {
      this.#isYielding = true;
      setImmediate(() => {
        this.#isYielding = false;
        this.#turnBegan = 0;
        this.#hand();
        this.#readOn();
      });
    }
    return true;
  }

  /** Gives the results that there are to the waiters. */
  #hand() {
    while (this.#waiters.length > 0) {
      const outcome = this.#results.get(this.#taken);
      if (outcome === undefined) {
        if (!this.isOver && !(this.#hasEnded && this.#taken === this.#read)) return;
        this.#handEnd();
        continue;
      }
      const time = now();
      if (this.#isTurnOver(time)) return;
      this.#handedAt = time;
      this.#results.delete(this.#taken);
      this.#taken++;
      const { resolve, reject } = /** @type {Waiter} */ (this.#waiters.shift());
      if (this.#collect) {
        const value =
          hasFailed(outcome) ? { status: 'rejected', reason: outcome.error } : { status: 'fulfilled', ...outcome };
        resolve({ value, done: false });
      } else if (hasFailed(outcome)) {
        this.#sourceError = null;
        this.#failure = outcome;
        this.#end().catch(() => {});
        reject(outcome.error);
      } else {
        resolve({ value: outcome.value, done: false });
      }
    }
  }

  /** Settles the first waiter with the end of the stream, or with its error. */
  #handEnd() {
    const { resolve, reject } = /** @type {Waiter} */ (this.#waiters.shift());
    const failure = this.#sourceError;
    this.#failure = failure;
    this.#sourceError = null;
    if (!this.isOver) this.#end().catch(() => {});
    if (failure === null) resolve({ value: undefined, done: true });
    else reject(failure.error);
  }

  // ---- Reading ----------------------------------------------------------------------------------------------------

  /** Reads ahead as far as is useful. */
  #readOn() {
    if (this.isOver || this.#hasEnded || this.#isReading) return;
    this.#countHosts();
    const ahead = this.#kind.chunkSize || this.#callsAhead();
    while (!this.isOver && !this.#hasEnded && !this.#isReading && this.#mayRead(ahead)) {
      this.#isReading = true;
      this.#isInSource = true;
      let read;
      try {
        // In the async context of whoever made the stream.
        read = this.#resource.runInAsyncScope(() => (this.#iterator ??= this.#source()).next());
      } catch (error) {
        this.#isReading = false;
        this.#isInSource = false;
        this.#sourceFailed(error);
        return;
      }
      this.#isInSource = false;
      if (this.#closesLater && !isDone(read)) this.#closeSource().catch(() => {});
      if (this.#isAsync) {
        Promise.resolve(read).then(
          (result) => {
            this.#isReading = false;
            this.#accept(result);
            this.#readOn();
          },
          (error) => {
            this.#isReading = false;
            this.#sourceFailed(error);
          },
        );
        return;
      }
      this.#isReading = false;
      this.#accept(/** @type {IteratorResult<unknown>} */ (read));
    }
  }

  /** How many calls a worker may have: asked for now and then, since it takes longer than to read a cheap item. */
  #callsAhead() {
    if ((this.#aheadUses++ & (AHEAD_USES - 1)) === 0) this.#ahead = this.#pool.callsAhead(this.#kind.task);
    return this.#ahead;
  }

  /** On other machines there are as many workers as hosts have now, whatever this machine has. */
  #countHosts() {
    const { lanes } = this.#pool;
    if (lanes === null || lanes.slots === 0) return;
    this.#workers = lanes.slots;
    this.#slots = this.#workers * this.#concurrency;
  }

  /** @param {number} ahead how many calls a worker may have, which does not change within a turn */
  #mayRead(ahead) {
    const window = 2 * Math.max(this.#slots, this.#workers * Math.min(ahead, MAX_AHEAD / 2));
    if (this.#read - this.#finished >= window) return false;
    if (this.#isEager) return true;
    const ready = this.#finished - this.#taken;
    // One that asks while there is a result waits for the next turn.
    const isHeldUp = this.#waiters.length > 0 && !this.#results.has(this.#taken);
    if (!isHeldUp && ready >= 2 * this.#slots && ready * this.#pace >= ENOUGH) return false;
    const waiting = this.#read - this.#taken;
    return waiting < (isHeldUp ? PATIENCE * window : window);
  }

  /** @param {IteratorResult<unknown>} result */
  #accept(result) {
    if (this.isOver || this.#hasEnded) return;
    if (typeof result !== 'object' || result === null) {
      this.#sourceFailed(new TypeError(`the source gave ${String(result)}, which is no iterator result`));
      return;
    }
    let isLast;
    /** @type {unknown} */
    let item;
    try {
      isLast = result.done;
      if (!isLast) item = result.value;
    } catch (error) {
      this.#sourceFailed(error);
      return;
    }
    // It may have ended this stream, in a getter.
    if (this.isOver || this.#hasEnded) return;
    if (isLast) {
      this.#hasEnded = true;
      this.#progress?.ended(this.#read);
      this.#hand();
      this.#releaseWhenRead();
      return;
    }
    const index = this.#read++;
    this.#gathered++;
    try {
      const resolve = (/** @type {unknown} */ value) => this.settle(index, { value });
      const reject = (/** @type {unknown} */ error) => this.settle(index, { error });
      this.#calls.add(this.#kind, item, resolve, reject, index);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {unknown} error */
  #sourceFailed(error) {
    if (this.isOver || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#iterator = null;
    this.#sourceError = { error };
    this.#progress?.ended(this.#read);
    this.#hand();
    this.#releaseWhenRead();
  }

  // ---- Ending -----------------------------------------------------------------------------------------------------

  /** Drops what is left. Resolves, or rejects, when the source is closed. */
  async #end() {
    this.isOver = true;
    this.#progress?.flush();
    if (this.#onEnded !== null) this.#onEnded(this.#failure ?? this.#sourceError);
    this.#stopListening();
    this.#results.clear();
    for (const jobId of this.#jobIds) this.#pool.drop(jobId);
    this.#jobIds.clear();
    const isOpen = !this.#hasEnded;
    this.#hasEnded = true;
    this.#release();
    while (this.#waiters.length > 0 && this.#sourceError === null) this.#handEnd();
    if (isOpen) await this.#closeSource();
  }

  #releaseWhenRead() {
    if (this.#hasEnded && this.#finished === this.#read) this.#release();
  }

  #release() {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#onReleased(this);
  }

  /** @param {AbortSignal} signal */
  #abort(signal) {
    const jobIds = new Set(this.#jobIds);
    this.#jobIds.clear();
    this.fail(abortError(signal.reason, this.#kind.what));
    // Unlike dropped ones, these have to stop within the grace period.
    for (const jobId of jobIds) this.#pool.cancel(jobId);
  }

  async #closeSource() {
    this.#closesLater = this.#isInSource;
    if (this.#closesLater) return;
    const iterator = this.#iterator;
    this.#iterator = null;
    if (iterator === null || typeof iterator.return !== 'function') return;
    const closed = this.#resource.runInAsyncScope(() => /** @type {any} */ (iterator).return());
    if (!this.#isAsync) return;
    // A source that is reading closes only after that, which may be never.
    if (this.#isReading) Promise.resolve(closed).catch(() => {});
    else await closed;
  }

  /** @param {number} jobId */
  #submitted(jobId) {
    this.#gathered = 0;
    this.#submittedAt = now();
    if (this.isOver) {
      this.#pool.drop(jobId);
      return;
    }
    this.#jobIds.add(jobId);
    if (this.#jobIds.size <= MAX_JOBS) return;
    for (const known of this.#jobIds) if (!this.#pool.has(known)) this.#jobIds.delete(known);
  }
}

/** Whether a source has come to its end by itself. @param {any} result */
function isDone(result) {
  try {
    return Boolean(result?.done);
  } catch {
    return false;
  }
}

/** @param {Outcome} outcome @returns {outcome is { error: unknown }} */
function hasFailed(outcome) {
  return Object.hasOwn(outcome, 'error');
}

module.exports = { ItemStream, iteratorOf };
