'use strict';

/**
 * The end of an invocation: when Lambda will stop it, and a signal that fires some time before that.
 *
 * Must not depend on what the signal stops.
 */

const { clearTimeout, setImmediate, setTimeout, wallTime } = require('../intrinsics/clock');
const { abortError } = require('../errors');
const { define } = require('../intrinsics/define');
const { onAbort } = require('../jobs/abort');

/** Left for the answer unless the user says otherwise: this, or a fifth of the invocation's time if that is less. */
const DEFAULT_MARGIN = 1000;
/** Node fires timers that are longer than this at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

class DeadlineError extends Error {
  /** @param {number} left milliseconds @param {string} [late] what was not done in time */
  constructor(left, late) {
    super(
      `${late === undefined ? '' : `${late} was not done in time: `}the invocation's time ends within ` +
        `${Math.round(left)} ms ("deadlineMargin"); ` +
        "raise the function's time-out, or have its source send smaller batches",
    );
  }
}

define(DeadlineError.prototype, 'name', { value: 'DeadlineError', writable: true, configurable: true });

/**
 * How long Lambda still grants the invocation, in milliseconds; Infinity where the context does not say.
 * @param {any} context
 */
function remainingTime(context) {
  if (typeof context?.getRemainingTimeInMillis !== 'function') return Infinity;
  const remaining = Number(context.getRemainingTimeInMillis());
  return Number.isNaN(remaining) ? Infinity : remaining;
}

/**
 * @param {unknown} context what Lambda gave the handler
 * @param {number | null} ownMargin milliseconds before the end of the invocation; `null`: the default
 * @param {AbortSignal | null} userSignal which ends the work as well
 */
function watchDeadline(context, ownMargin, userSignal) {
  const remaining = remainingTime(context);
  const margin = ownMargin ?? Math.max(0, Math.min(DEFAULT_MARGIN, remaining / 5));
  // Not `AbortSignal.any`, which Node 20.0 does not have, and which leaves something behind in long-lived signals.
  const controller = new AbortController();
  const stopListening = userSignal === null ? () => {} : onAbort(userSignal, () => controller.abort(userSignal.reason));
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const end = () => controller.abort(new DeadlineError(margin));
  /** @param {number} left */
  const wait = (left) => {
    timer = setTimeout(() => {
      // A timer may fire a millisecond early, and the clock may have been changed.
      const now = remainingTime(context) - margin;
      if (now > 0) wait(now);
      // Only after the replies that have arrived are read: those records are done.
      else setImmediate(end);
    }, Math.min(Math.ceil(left), MAX_MILLISECONDS));
  };
  if (remaining - margin <= 0) end();
  else if (remaining !== Infinity) wait(remaining - margin);
  return {
    signal: controller.signal,
    /** When Lambda will stop the invocation, in milliseconds since 1970; `null`: not known. */
    endsAt: remaining === Infinity ? null : Math.round(wallTime() + remaining),
    stop() {
      clearTimeout(timer);
      stopListening();
    },
    /**
     * Waits for what code of the user's gives, and rejects where the answer would come too late for it: at the margin,
     * or halfway from there to the end; or when the user's signal fires.
     * @template T
     * @param {string} what names it @param {T | PromiseLike<T>} pending
     * @returns {Promise<T>}
     */
    async inTime(what, pending) {
      const left = remainingTime(context);
      if (left === Infinity && userSignal === null) return pending;
      /** @type {NodeJS.Timeout | undefined} */
      let lateTimer;
      let stopWaiting = () => {};
      const late = new Promise((_resolve, reject) => {
        if (userSignal !== null) {
          stopWaiting = onAbort(userSignal, () => reject(abortError(userSignal.reason, what)));
        }
        if (left === Infinity) return;
        const limit = Math.min(Math.max(left - margin, left / 2), MAX_MILLISECONDS);
        lateTimer = setTimeout(() => reject(new DeadlineError(left - limit, what)), limit);
      });
      return Promise.race([pending, late]).finally(() => {
        clearTimeout(lateTimer);
        stopWaiting();
      });
    },
  };
}

module.exports = { watchDeadline, remainingTime };
