'use strict';

/**
 * How long chunks that came back unbegun wait before they go out again, and when their calls have waited enough.
 *
 * Must not depend on chunks.
 */

const { now } = require('../intrinsics/clock');

/** The wait in milliseconds: twice as long each time in a row, up to so long. */
const MIN_WAIT = 20;
const MAX_WAIT = 2000;
/** The same at most where a host only had no place for it, as that may be free soon. */
const MAX_BUSY_WAIT = 500;

class ReturnBackoff {
  #patience;
  #inARow = 0;
  /** @type {number | null} Since when hosts have refused everything. */
  #since = null;

  /** @param {number} patience how long hosts may refuse everything, in milliseconds */
  constructor(patience) {
    this.#patience = patience;
  }

  /** A chunk is done. */
  done() {
    this.#inARow = 0;
    this.#since = null;
  }

  /**
   * A chunk came back.
   * @param {boolean} isBusy whether its host only had no place for it
   * @returns {{ wait: number, isRefused: boolean }} `isRefused`: its calls fail instead of going out again
   */
  returned(isBusy) {
    if (isBusy) this.#since = null;
    else this.#since ??= now();
    return {
      wait: Math.min(isBusy ? MAX_BUSY_WAIT : MAX_WAIT, MIN_WAIT * 2 ** Math.min(this.#inARow++, 10)),
      isRefused: this.#since !== null && now() - this.#since > this.#patience,
    };
  }
}

module.exports = { ReturnBackoff };
