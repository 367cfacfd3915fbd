'use strict';

/**
 * What the `…Async` methods of `Pool` return: Python's `AsyncResult`, which can be awaited like a promise.
 *
 * Must not depend on what it is the result of.
 */

const { notReadyError, optionError } = require('../errors');
const { clearTimeout, now, setTimeout } = require('../intrinsics/clock');
const { timeoutArgument } = require('../options/pool-options');
const { report } = require('../jobs/report');
const { nameRun } = require('../jobs/run-id');

/** @template T */
class AsyncResult {
  /** @type {Promise<T>} */
  #promise;
  /** @type {'pending' | 'fulfilled' | 'rejected'} */
  #state = 'pending';
  #nameOf;

  /**
   * @param {Promise<T>} promise
   * @param {() => string} nameOf names the run that it is the result of
   * @param {((value: T) => void) | null} callback
   * @param {((error: unknown) => void) | null} errorCallback
   */
  constructor(promise, nameOf, callback, errorCallback) {
    this.#nameOf = nameOf;
    // Callbacks come first: whoever awaits the result can rely on their having run.
    this.#promise = promise.then(
      (value) => {
        this.#state = 'fulfilled';
        if (callback !== null) report(callback, value);
        return value;
      },
      (error) => {
        this.#state = 'rejected';
        if (errorCallback !== null) report(errorCallback, error);
        throw error;
      },
    );
    // A failure that nobody asks for is not an unhandled rejection.
    this.#promise.catch(() => {});
  }

  /** Identifies the run, in logs. */
  get id() {
    return this.#nameOf();
  }

  /**
   * @param {number} [timeout] milliseconds
   * @returns {Promise<T>}
   */
  get(timeout) {
    return this.#within(timeout, (limit) => Promise.reject(nameRun(notReadyError(limit), this.#nameOf)));
  }

  /**
   * @param {number} [timeout] milliseconds
   * @returns {Promise<void>}
   */
  async wait(timeout) {
    timeoutArgument(timeout);
    const ignore = () => {};
    await this.#within(timeout, () => Promise.resolve()).then(ignore, (error) => {
      if (this.#state === 'pending') throw error;
    });
  }

  ready() {
    return this.#state !== 'pending';
  }

  successful() {
    if (this.#state === 'pending') {
      throw optionError('successful()', undefined, 'cannot be told yet: ask ready() first, or await the result');
    }
    return this.#state === 'fulfilled';
  }

  /**
   * @template A, B
   * @param {((value: T) => A | PromiseLike<A>) | null} [onFulfilled]
   * @param {((error: any) => B | PromiseLike<B>) | null} [onRejected]
   */
  then(onFulfilled, onRejected) {
    return this.#promise.then(onFulfilled, onRejected);
  }

  /**
   * @template B
   * @param {((error: any) => B | PromiseLike<B>) | null} [onRejected]
   */
  catch(onRejected) {
    return this.#promise.catch(onRejected);
  }

  /** @param {(() => void) | null} [onSettled] */
  finally(onSettled) {
    return this.#promise.finally(onSettled);
  }

  get [Symbol.toStringTag]() {
    return 'AsyncResult';
  }

  /**
   * @template R
   * @param {unknown} timeout @param {(limit: number) => Promise<R>} late
   * @returns {Promise<T | R>}
   */
  async #within(timeout, late) {
    const limit = timeoutArgument(timeout);
    if (limit === null || this.#state !== 'pending') return this.#promise;
    // If it has settled in this turn, that counts first.
    await null;
    if (this.ready()) return this.#promise;
    const { elapsed, stop } = runningTime(limit);
    return Promise.race([this.#promise, elapsed.then(() => late(limit))]).finally(stop);
  }
}

/** How often the clock is looked at while a limit runs, in milliseconds. */
const MAX_STEP = 50;

/**
 * A limit that counts running time, as all limits of this library do: a step that took longer than two steps, because
 * the process was frozen, counts as two.
 * @param {number} limit milliseconds
 */
function runningTime(limit) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const elapsed = new Promise((resolve) => {
    let left = limit;
    const wait = () => {
      const step = Math.min(left, MAX_STEP);
      const began = now();
      timer = setTimeout(() => {
        left -= Math.min(Math.max(now() - began, step), 2 * step);
        if (left > 0) wait();
        else resolve(undefined);
      }, step);
    };
    wait();
  });
  return { elapsed, stop: () => clearTimeout(timer) };
}

module.exports = { AsyncResult };
