'use strict';

/**
 * A call while it runs, as the function sees it through `this` or its `signal`.
 *
 * Must not depend on what the call is for.
 */

const { define } = require('../intrinsics/define');

// The user's code may replace the global ones.
const { AbortController, AbortSignal } = globalThis;
const { __defineGetter__: defineGetter } = /** @type {any} */ (Object.prototype);
const { apply } = Reflect;

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

/** Gives its subclass an object that is there already, as the one to which private fields are added. */
class Given {
  /** @param {object} object */
  constructor(object) {
    return object;
  }
}

/**
 * An object with `signal`: a property of its own, so that the object can be taken apart and copied, with a getter,
 * because most functions never ask for it. One getter serves all objects: with one in each, V8 would make a hidden
 * class for each, which takes microseconds and keeps what the getter refers to (the call, and the values that it was
 * given) until the old generation is collected.
 */
class WithSignal extends Given {
  static #signal = /** @this {WithSignal} */ function signal() {
    return this.#call.signal;
  };

  #call;

  /** @param {object} given @param {{ readonly signal: AbortSignal }} call */
  constructor(given, call) {
    super(given);
    this.#call = call;
    // Half the price of `defineProperty`, which has a descriptor to read.
    apply(defineGetter, this, ['signal', WithSignal.#signal]);
  }
}

/**
 * Adds the signal of a call to what its function is given.
 * @param {object} given @param {{ readonly signal: AbortSignal }} call
 * @returns {object} the same object
 */
function withSignal(given, call) {
  return new WithSignal(given, call);
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

module.exports = { RunningCall, isThenable, withSignal };
