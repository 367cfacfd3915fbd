'use strict';

/**
 * How the calls of a run went: how long they waited for a worker, and how long they ran.
 *
 * Must not depend on what is done with it.
 */

/** @typedef {{ value: number, calls: number }} Measured milliseconds, of each of so many calls */

class RunMeter {
  /** @type {Measured[]} */
  #waits = [];
  /** @type {Measured[]} */
  #runs = [];

  /**
   * So many calls were sent to a worker.
   * @param {number} value milliseconds since their submission @param {number} calls
   */
  waited(value, calls) {
    this.#waits.push({ value, calls });
  }

  /** So many calls were answered. @param {number} value milliseconds, of each @param {number} calls */
  ran(value, calls) {
    this.#runs.push({ value, calls });
  }

  /** @param {number} share @returns {number | undefined} undefined: nothing was sent */
  waitAt(share) {
    return quantile(this.#waits, share);
  }

  /** @param {number} share @returns {number | undefined} undefined: nothing was answered */
  runAt(share) {
    return quantile(this.#runs, share);
  }
}

/**
 * The least value that so large a share of all calls do not exceed.
 * @param {readonly Measured[]} measured @param {number} share
 */
function quantile(measured, share) {
  const sorted = [...measured].sort((one, other) => one.value - other.value);
  const total = sorted.reduce((sum, { calls }) => sum + calls, 0);
  let left = Math.max(1, Math.ceil(total * share));
  for (const { value, calls } of sorted) {
    left -= calls;
    if (left <= 0) return value;
  }
  return undefined;
}

module.exports = { RunMeter };
