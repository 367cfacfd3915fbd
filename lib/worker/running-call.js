'use strict';

/**
 * A call while it runs, as the function sees it through `this` or its `signal`.
 *
 * Must not depend on what the call is for.
 */

const { define } = require('../intrinsics/define');

// The user's code may replace the global ones.
const { AbortController, AbortSignal } = globalThis;

class RunningCall {
  #runner;
  /** @type {AbortController | null} */ #controller = null;
  #aborted = false;

  /** @param {number} seq @param {{ notice: () => void }} runner */
  constructor(seq, runner) {
    this.seq = seq;
    this.#runner = runner;
  }

  /** Created on first use: most functions never ask for it. */
  get signal() {
    if (this.#controller === null) {
      const controller = (this.#controller = new AbortController());
      if (this.#aborted) controller.abort();
      const runner = this.#runner;
      const { signal } = controller;
      const { get } = /** @type {{ get: () => boolean }} */ (
        Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')
      );
      // A synchronous loop reads no frames, so the question itself has to read them.
      define(signal, 'aborted', {
        configurable: true,
        get() {
          runner.notice();
          return get.call(signal);
        },
      });
      define(signal, 'throwIfAborted', {
        configurable: true,
        value() {
          if (signal.aborted) throw signal.reason;
        },
      });
    }
    return this.#controller.signal;
  }

  abort() {
    this.#aborted = true;
    this.#controller?.abort();
  }
}

/**
 * Whether a call's result has to be waited for.
 * @param {unknown} value
 * @returns {value is PromiseLike<unknown>}
 */
function isThenable(value) {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (/** @type {{ then?: unknown }} */ (value).then) === 'function'
  );
}

module.exports = { RunningCall, isThenable };
