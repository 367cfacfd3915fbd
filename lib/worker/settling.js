'use strict';

/**
 * Notices that what a worker waits for while it gets ready can never come: a module whose top-level await has nothing
 * left to wait for, or an initializer that does the same. Node ends a program then, with exit code 13.
 *
 * A worker's loop stays alive for its parent, so that Node cannot tell. Therefore the connection does not hold the loop
 * while something is waited for; when the loop is empty, that will not settle. A module that is slow has a timer, a
 * request or a socket in the loop and may take its time; what is there without holding the loop has a moment.
 *
 * In the calling process the loop is the caller's, and empty only if nothing of his is left either.
 *
 * Must not depend on how the connection holds the loop, nor on what is waited for.
 */

const { setTimeout } = require('../intrinsics/clock');

// The user's code may replace the global one.
const { Promise } = globalThis;

/** For timers and the like that do not hold the loop, and yet come in a program that lives on, in milliseconds. */
const GRACE = 700;

/** @typedef {{ watch: <T>(promise: Promise<T>, makeError: () => Error) => Promise<T> }} Watcher */

/** @implements {Watcher} */
class Settling {
  #hold;
  /** @type {Set<() => void>} What rejects each of those that are waited for. */
  #pending = new Set();
  /** Whether the loop was empty before, and what does not hold it has had its time since. */
  #isSecondTime = false;
  #atEmptyLoop = () => {
    if (!this.#isSecondTime) {
      this.#isSecondTime = true;
      this.#hold(true);
      setTimeout(() => {
        if (this.#pending.size > 0) this.#hold(false);
      }, GRACE);
      return;
    }
    const pending = new Set(this.#pending);
    this.#pending.clear();
    this.#release();
    for (const give of pending) give();
  };

  /** @param {(held: boolean) => void} hold whether the connection keeps the loop alive */
  constructor(hold) {
    this.#hold = hold;
  }

  /**
   * @template T
   * @param {Promise<T>} promise
   * @param {() => Error} makeError
   * @returns {Promise<T>} settles as that does, or rejects when that cannot settle any more
   */
  watch(promise, makeError) {
    return new Promise((resolve, reject) => {
      const give = () => reject(makeError());
      if (this.#pending.size === 0) {
        process.on('beforeExit', this.#atEmptyLoop);
        this.#hold(false);
      }
      this.#pending.add(give);
      const done = () => {
        if (this.#pending.delete(give) && this.#pending.size === 0) this.#release();
      };
      promise.then((value) => {
        done();
        resolve(value);
      }, (error) => {
        done();
        reject(error);
      });
    });
  }

  #release() {
    this.#isSecondTime = false;
    process.removeListener('beforeExit', this.#atEmptyLoop);
    this.#hold(true);
  }
}

/** The cause of the error about a module, in Node's words. */
function unsettledModule() {
  return new Error(
    'unsettled top-level await (Node would end with exit code 13): nothing is left that it could wait for',
  );
}

/** The error about an initializer. */
function unsettledInitializer() {
  const { ParallelizerError } = require('../errors');
  return new ParallelizerError(
    'ERR_PARALLELIZER_MODULE',
    'the initializer never settles: nothing is left that its promise could wait for',
  );
}

module.exports = { Settling, unsettledModule, unsettledInitializer };
