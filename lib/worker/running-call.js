'use strict';

/**
 * A call while it runs, as the function sees it through `this`, its argument or `current()`.
 *
 * Must not depend on what the call is for.
 */

const { define } = require('../intrinsics/define');
const { keep } = require('../intrinsics/keep');

// The user's code may replace the global ones.
const { AbortController, AbortSignal } = globalThis;
const { __defineGetter__: defineGetter } = /** @type {any} */ (Object.prototype);
const { apply } = Reflect;

/** What most functions never ask for. */
class Extras {
  /** @type {AbortController | null} */ controller = null;
  /** @type {((value: unknown) => Promise<void>) | null} */ emit = null;
  /** @type {(() => void) | null} */ onAbort = null;
  /** @type {any} What `current()` gives for it. */ view = undefined;
}

/**
 * @typedef {object} Runner
 * @property {number} workerIndex
 * @property {() => void} notice reads cancellations
 * @property {(call: RunningCall, value: unknown) => Promise<void>} emit
 */

/** Gives its subclass an object that is there already, as the one to which private fields are added. */
class Given {
  /** @param {object} object */
  constructor(object) {
    return object;
  }
}

/**
 * A signal that reads cancellations when it is asked: a synchronous loop reads no frames. One getter and one method
 * serve all signals: with some in each, V8 would make a hidden class for each.
 */
class NoticingSignal extends Given {
  static #get = /** @type {{ get: () => boolean }} */ (
    Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')
  ).get;
  static #aborted = /** @this {NoticingSignal & AbortSignal} */ function aborted() {
    this.#runner.notice();
    return apply(NoticingSignal.#get, this, []);
  };
  static #throwIfAborted = /** @this {AbortSignal} */ function throwIfAborted() {
    if (this.aborted) throw this.reason;
  };

  #runner;

  /** @param {AbortSignal} signal @param {Runner} runner */
  constructor(signal, runner) {
    super(signal);
    this.#runner = runner;
    define(signal, 'aborted', { configurable: true, get: NoticingSignal.#aborted });
    define(signal, 'throwIfAborted', { configurable: true, value: NoticingSignal.#throwIfAborted });
  }
}

class RunningCall {
  #runner;
  #aborted = false;
  /** @type {Extras | null} */ #extras = null;

  /** @param {number} seq @param {Runner} runner @param {boolean} isHeard whether somebody listens to what it emits */
  constructor(seq, runner, isHeard) {
    this.seq = seq;
    this.isHeard = isHeard;
    /** Whether it has settled. */
    this.isOver = false;
    /** @type {Record<string, any> | null} What its function is given, where that has a context. */
    this.given = null;
    this.#runner = runner;
  }

  get extras() {
    return (this.#extras ??= new Extras());
  }

  get signal() {
    const { extras } = this;
    if (extras.controller === null) {
      extras.controller = new AbortController();
      if (this.#aborted) extras.controller.abort();
      new NoticingSignal(extras.controller.signal, this.#runner);
    }
    return extras.controller.signal;
  }

  /** Sends a value to whoever listens; needs no `this`. */
  get emit() {
    return (this.extras.emit ??= (value) => this.#runner.emit(this, value));
  }

  /** Which of the workers this is, from 0. */
  get workerIndex() {
    return this.#runner.workerIndex;
  }

  /** What whoever made the run wants its calls to know. */
  get context() {
    return this.given?.context;
  }

  abort() {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#extras?.controller?.abort();
    this.#extras?.onAbort?.();
  }
}

keep(new RunningCall(0, /** @type {any} */ (null), false));

/**
 * What a function is given, with what it may ask its call for: properties of its own, so that the object can be taken
 * apart and copied, with getters, because most functions never ask. One getter serves all objects: with one in each,
 * V8 would make a hidden class for each, which takes microseconds and keeps what the getter refers to (the call, and
 * the values that it was given) until the old generation is collected.
 */
class WithCall extends Given {
  static #signal = /** @this {WithCall} */ function signal() {
    return this.#call.signal;
  };
  static #emit = /** @this {WithCall} */ function emit() {
    return this.#call.emit;
  };

  #call;

  /** @param {object} given @param {RunningCall} call @param {boolean} mayEmit */
  constructor(given, call, mayEmit) {
    super(given);
    this.#call = call;
    // Half the price of `defineProperty`, which has a descriptor to read.
    apply(defineGetter, this, ['signal', WithCall.#signal]);
    if (mayEmit) apply(defineGetter, this, ['emit', WithCall.#emit]);
  }
}

/**
 * Adds the signal of a call to what its function is given.
 * @param {object} given @param {RunningCall} call
 * @returns {object} the same object
 */
function withSignal(given, call) {
  return new WithCall(given, call, false);
}

/**
 * Adds to what a function is given all that needs its call, which is told what that is.
 * @param {object} given @param {RunningCall} call
 * @returns {any} the same object
 */
function withCall(given, call) {
  return (call.given = new WithCall(given, call, true));
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

module.exports = { RunningCall, isThenable, withCall, withSignal };
