'use strict';

/**
 * Calls with many results: what the function returns is iterated over, and each value is sent to the caller.
 *
 * 1. No more values are sent than `highWaterMark` beyond those that the reader has taken, of which it tells.
 * 2. Once the reader wants no more, or the call is aborted, its signal fires, and the iterator is closed, so that a
 *    generator's `finally` runs: at once where it waits for the reader, and otherwise when it yields the next time. If
 *    it throws before that, it was asked to stop, for a value that nobody wants: that is no failure.
 * 3. What the generator throws fails the call, after the values before it.
 *
 * Must not depend on how values travel.
 */

const { define } = require('../intrinsics/define');
const { MAX_COUNT } = require('../transport/constants');
const { isThenable } = require('./running-call');

// The user's code may replace the global one.
const { Promise } = globalThis;

/** @typedef {InstanceType<typeof import('./running-call').RunningCall>} Call */

/** What is known of the reader of one call. */
class Reader {
  #highWaterMark;
  #taken = 0;
  #sent = 0;
  #onGone;
  /** Whether no more values are wanted. */
  isGone = false;
  /** @type {(() => void) | null} */ #wake = null;

  /** @param {number} highWaterMark @param {() => void} onGone called once no more values are wanted */
  constructor(highWaterMark, onGone) {
    this.#highWaterMark = highWaterMark;
    this.#onGone = onGone;
  }

  /** @param {number} taken how many values so far; `MAX_COUNT`: no more are wanted */
  told(taken) {
    if (taken === MAX_COUNT) this.leave();
    else this.#taken = taken;
    this.#wake?.();
  }

  leave() {
    if (this.isGone) return;
    this.isGone = true;
    this.#wake?.();
    this.#onGone();
  }

  /** Another value is sent. */
  sends() {
    this.#sent++;
  }

  /** Waits until a value may be sent, or none any more. */
  async ready() {
    while (!this.isGone && this.#sent - this.#taken >= this.#highWaterMark) {
      await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    }
    this.#wake = null;
  }
}

class Yields {
  /** @type {Map<number, Reader>} Of the calls that are iterated over, by number. */
  #readers = new Map();
  #send;

  /** @param {(call: Call, value: unknown) => Promise<void>} send sends what a call yields */
  constructor(send) {
    this.#send = send;
  }

  /**
   * The reader of a call has taken so many values; or, by a number that says so, wants no more.
   * @param {number} seq @param {number} taken
   * @returns {boolean} whether that call is being iterated over
   */
  told(seq, taken) {
    const reader = this.#readers.get(seq);
    reader?.told(taken);
    return reader !== undefined;
  }

  /**
   * Runs a call and sends what it yields.
   * @param {() => unknown} run @param {number} highWaterMark @param {Call} call
   * @returns {Promise<unknown>} what the generator returns in the end
   */
  async pour(run, highWaterMark, call) {
    const reader = new Reader(highWaterMark, () => call.abort());
    this.#readers.set(call.seq, reader);
    call.extras.onAbort = () => reader.leave();
    try {
      const iterator = iteratorOf(await run());
      for (;;) {
        await reader.ready();
        if (reader.isGone) break;
        /** @type {IteratorResult<unknown>} */
        let step;
        try {
          const next = iterator.next();
          step = isThenable(next) ? await next : next;
        } catch (error) {
          if (reader.isGone) return undefined;
          throw error;
        }
        const { value, done } = step;
        try {
          const outcome = isThenable(value) ? await value : value;
          if (done) return outcome;
          if (reader.isGone) break;
          reader.sends();
          await this.#send(call, outcome);
        } catch (error) {
          // It has gone on, and does not know that its value cannot be had.
          if (!done) await close(iterator).catch(() => {});
          throw error;
        }
      }
      await close(iterator);
      return undefined;
    } finally {
      this.#readers.delete(call.seq);
    }
  }
}

/** @param {any} iterator */
async function close(iterator) {
  if (typeof iterator.return === 'function') await iterator.return();
}

/**
 * @param {any} value what a function has returned
 * @returns {Iterator<unknown> | AsyncIterator<unknown>}
 */
function iteratorOf(value) {
  const of = value?.[Symbol.asyncIterator] ?? value?.[Symbol.iterator];
  if (typeof of === 'function') return Reflect.apply(of, value, []);
  const shown = value === null ? 'null' : typeof value;
  const error = new TypeError(`stream() needs a generator function, or one that returns an iterable, and got ${shown}`);
  const code = { value: 'ERR_PARALLELIZER_OPTION', enumerable: true, configurable: true, writable: true };
  throw define(error, 'code', code);
}

module.exports = { Yields };
