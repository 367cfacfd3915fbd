'use strict';

/**
 * The end of an invocation: when Lambda will stop it, and a signal that fires some time before that.
 *
 * Must not depend on what the signal stops.
 */

const { clearTimeout, setImmediate, setTimeout, wallTime } = require('../intrinsics/clock');
const { define } = require('../intrinsics/define');

/** Left for the answer unless the user says otherwise: this, or a fifth of the invocation's time if that is less. */
const DEFAULT_MARGIN = 1000;
/** Node fires timers that are longer than this at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

class DeadlineError extends Error {
  /** @param {number} margin */
  constructor(margin) {
    super(
      `the invocation's time ends within ${Math.round(margin)} ms ("deadlineMargin"); ` +
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
 */
function watchDeadline(context, ownMargin) {
  const remaining = remainingTime(context);
  const margin = ownMargin ?? Math.max(0, Math.min(DEFAULT_MARGIN, remaining / 5));
  const controller = new AbortController();
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
    stop: () => clearTimeout(timer),
  };
}

module.exports = { watchDeadline, remainingTime };
