'use strict';

/**
 * `imap`: a source of items in, their results out, with no more of either in memory than the workers can use.
 *
 * 1. The first `next` opens the source. Items are read ahead while fewer than the window are unfinished or wait to be
 *    taken. The window follows the cost of an item: two for each that can run at the same time, up to some frames full of
 *    cheap ones. While somebody waits for a result that an earlier item holds up, the others may get further ahead.
 * 2. Results are handed out in the order of the items, or as they come.
 * 3. It is over when the source has ended and everything is taken; at the first error, after the results before it; when
 *    it is left early; when its signal fires; when the pool is terminated. What has not begun is dropped then, what runs
 *    sees its signal, and the source is closed, unless it has ended by itself. A source that is busy reading is not waited
 *    for.
 *
 * May not know how calls travel.
 */

const { AsyncResource } = require('node:async_hooks');
const { onAbort } = require('../jobs/abort');
const { abortError } = require('../errors');
const { report } = require('../jobs/report');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {{ value: unknown } | { error: unknown }} Outcome */
/** @typedef {{ resolve: (result: IteratorResult<any>) => void, reject: (error: unknown) => void }} Waiter */

/** Items that are read ahead for one worker at most. */
const MAX_AHEAD = 2048;
/** How many windows results may pile up to behind one that is awaited. */
const PATIENCE = 4;
/** Jobs that are remembered before those that have ended are forgotten. */
const MAX_JOBS = 256;

class ItemStream {
  #pool;
  #calls;
  #kind;
  #source;
  #isOrdered;
  #collect;
  #onProgress;
  #onReleased;
  /** How many items can run at the same time. */
  #slots;
  #workers;
  #resource = new AsyncResource('ParallelizerStream');
  /** @type {Iterator<unknown> | AsyncIterator<unknown> | null} */
  #iterator = null;
  #isAsync = false;
  #isReading = false;
  #hasEnded = false;
  /** @type {{ error: unknown } | null} What the source threw, to be told after the results. */
  #sourceError = null;
  #isEager = false;
  /** Whether nothing of it will reach the pool any more. */
  #isReleased = false;
  /** Whether nothing more will be handed out. */
  isOver = false;
  #read = 0;
  #finished = 0;
  #taken = 0;
  #failures = 0;
  /** @type {Map<number, Outcome>} Results to be taken: by item, or, as they come, by the order of their coming. */
  #results = new Map();
  /** @type {Waiter[]} */
  #waiters = [];
  /** @type {Set<number>} Its jobs that are under way, and some that were. */
  #jobs = new Set();
  #stopListening = () => {};

  /**
   * @param {object} options
   * @param {WorkerPool} options.pool
   * @param {InstanceType<typeof import('./call-queue').CallQueue>} options.calls
   * @param {Omit<import('./call-queue').CallKind, 'owner' | 'submitted'>} options.kind
   * @param {() => Iterator<unknown> | AsyncIterator<unknown>} options.source opens it
   * @param {boolean} options.isAsync whether reading it has to be waited for
   * @param {boolean} options.isOrdered
   * @param {boolean} options.collect
   * @param {import('../options/pool-options').StreamOptions['onProgress']} options.onProgress
   * @param {{ workers: number, concurrency: number }} options.settings
   * @param {(stream: ItemStream) => void} options.onReleased the source is read and its items are done, or dropped
   */
  constructor({ pool, calls, kind, source, isAsync, isOrdered, collect, onProgress, settings, onReleased }) {
    this.#pool = pool;
    this.#calls = calls;
    this.#kind = { ...kind, owner: this, submitted: (/** @type {number} */ job) => this.#submitted(job) };
    this.#source = source;
    this.#isAsync = isAsync;
    this.#isOrdered = isOrdered;
    this.#collect = collect;
    this.#onProgress = onProgress;
    this.#workers = settings.workers;
    this.#slots = settings.workers * settings.concurrency;
    this.#onReleased = onReleased;
    const { signal } = kind;
    if (signal?.aborted) this.fail(abortError(signal.reason, kind.what));
    else if (signal) this.#stopListening = onAbort(signal, () => this.#abort(signal));
  }

  /** @returns {Promise<IteratorResult<any>>} */
  next() {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#hand();
      this.#readOn();
    });
  }

  /**
   * Leaves early.
   * @param {unknown} [value]
   * @returns {Promise<IteratorResult<any>>}
   */
  async return(value) {
    this.#sourceError = null;
    if (!this.isOver) await this.#end();
    return { value: await value, done: true };
  }

  /** Reads the source to its end, whether or not anybody takes the results. */
  drain() {
    this.#isEager = true;
    this.#readOn();
  }

  /**
   * Ends it with an error, which the next one who asks is told.
   * @param {unknown} error
   */
  fail(error) {
    if (this.isOver) return;
    this.#sourceError = { error };
    this.#end().catch(() => {});
    this.#hand();
  }

  /** @param {number} index @param {Outcome} outcome */
  settle(index, outcome) {
    if (this.isOver) return;
    const place = this.#isOrdered ? index : this.#finished;
    this.#finished++;
    if ('error' in outcome) this.#failures++;
    this.#results.set(place, outcome);
    if ('error' in outcome && !this.#collect && !this.#hasEnded) {
      // With this item the iteration will end: what lies behind it is of no use.
      this.#hasEnded = true;
      this.#closeSource().catch(() => {});
    }
    if (this.#onProgress !== null) {
      const total = this.#hasEnded ? this.#read : undefined;
      report(this.#onProgress, { done: this.#finished, total, failed: this.#failures });
    }
    this.#hand();
    this.#readOn();
    this.#releaseWhenRead();
  }

  // ---- Handing out ------------------------------------------------------------------------------------------------

  /** Gives those who wait what there is. */
  #hand() {
    while (this.#waiters.length > 0) {
      const outcome = this.#results.get(this.#taken);
      if (outcome === undefined) {
        if (!this.isOver && !(this.#hasEnded && this.#taken === this.#read)) return;
        this.#handEnd();
        continue;
      }
      this.#results.delete(this.#taken);
      this.#taken++;
      const { resolve, reject } = /** @type {Waiter} */ (this.#waiters.shift());
      if (this.#collect) {
        const value = 'error' in outcome ? { status: 'rejected', reason: outcome.error } : { status: 'fulfilled', ...outcome };
        resolve({ value, done: false });
      } else if ('error' in outcome) {
        this.#sourceError = null;
        this.#end().catch(() => {});
        reject(outcome.error);
      } else {
        resolve({ value: outcome.value, done: false });
      }
    }
  }

  /** Tells the first who waits that nothing follows, or why. */
  #handEnd() {
    const { resolve, reject } = /** @type {Waiter} */ (this.#waiters.shift());
    const failure = this.#sourceError;
    this.#sourceError = null;
    if (!this.isOver) this.#end().catch(() => {});
    if (failure === null) resolve({ value: undefined, done: true });
    else reject(failure.error);
  }

  // ---- Reading ----------------------------------------------------------------------------------------------------

  /** Reads ahead, as far as is of use. */
  #readOn() {
    while (!this.isOver && !this.#hasEnded && !this.#isReading && this.#mayRead()) {
      this.#isReading = true;
      let read;
      try {
        // The source runs in the async context of whoever made the stream.
        read = this.#resource.runInAsyncScope(() => (this.#iterator ??= this.#source()).next());
      } catch (error) {
        this.#isReading = false;
        this.#sourceFailed(error);
        return;
      }
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

  #mayRead() {
    const perFrame = this.#kind.chunkSize || this.#pool.callsPerFrame(this.#kind.task);
    const window = 2 * Math.max(this.#slots, this.#workers * Math.min(perFrame, MAX_AHEAD / 2));
    if (this.#read - this.#finished >= window) return false;
    if (this.#isEager) return true;
    const waiting = this.#read - this.#taken;
    return waiting < (this.#waiters.length > 0 ? PATIENCE * window : window);
  }

  /** @param {IteratorResult<unknown>} result */
  #accept(result) {
    if (this.isOver || this.#hasEnded) return;
    if (typeof result !== 'object' || result === null) {
      this.#sourceFailed(new TypeError(`the source gave ${String(result)}, which is no iterator result`));
      return;
    }
    if (result.done) {
      this.#hasEnded = true;
      this.#hand();
      this.#releaseWhenRead();
      return;
    }
    const index = this.#read++;
    try {
      const resolve = (/** @type {unknown} */ value) => this.settle(index, { value });
      const reject = (/** @type {unknown} */ error) => this.settle(index, { error });
      this.#calls.add(this.#kind, result.value, resolve, reject, index);
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
    this.#hand();
    this.#releaseWhenRead();
  }

  // ---- Ending -----------------------------------------------------------------------------------------------------

  /** Drops what is left. Resolves, or rejects, when the source is closed. */
  async #end() {
    this.isOver = true;
    this.#stopListening();
    this.#results.clear();
    for (const job of this.#jobs) this.#pool.drop(job);
    this.#jobs.clear();
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
    const jobs = [...this.#jobs];
    this.#jobs.clear();
    this.fail(abortError(signal.reason, this.#kind.what));
    // These are given the grace period to stop in, and no longer, unlike those that are merely dropped.
    for (const job of jobs) this.#pool.cancel(job);
  }

  async #closeSource() {
    const iterator = this.#iterator;
    this.#iterator = null;
    if (iterator === null || typeof iterator.return !== 'function') return;
    const closed = this.#resource.runInAsyncScope(() => /** @type {any} */ (iterator).return());
    if (!this.#isAsync) return;
    // One that is reading would close after that, which may be never.
    if (this.#isReading) Promise.resolve(closed).catch(() => {});
    else await closed;
  }

  /** @param {number} job */
  #submitted(job) {
    if (this.isOver) {
      this.#pool.drop(job);
      return;
    }
    this.#jobs.add(job);
    if (this.#jobs.size > MAX_JOBS) for (const id of this.#jobs) if (!this.#pool.has(id)) this.#jobs.delete(id);
  }
}

/** What `for await` and its like find on the iterators of the language. */
const AsyncIteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})())),
);

/**
 * The stream as its user sees it.
 * @param {ItemStream} stream
 * @returns {AsyncIterableIterator<any>}
 */
function iteratorOf(stream) {
  const leave = () => stream.return();
  const methods = {
    next: () => stream.next(),
    return: (/** @type {unknown} */ value) => stream.return(value),
    /** @param {unknown} error */
    async throw(error) {
      await leave();
      throw error;
    },
    ...(Symbol.asyncDispose === undefined ? {} : { [Symbol.asyncDispose]: async () => void (await leave()) }),
  };
  return Object.assign(Object.create(AsyncIteratorPrototype), methods);
}

module.exports = { ItemStream, iteratorOf };
