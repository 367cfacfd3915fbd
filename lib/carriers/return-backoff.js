'use strict';

/**
 * How long chunks that came back unbegun wait before they go out again, and when their calls have waited enough.
 *
 * Only the time counts in which chunks come back one after another: of that between two of them, no more than about the
 * wait before the later one. What became of the others meanwhile (they may have been lost, or were not wanted any more)
 * makes no difference to it.
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
  /** For how long hosts have refused everything, in milliseconds. */
  #refusedFor = 0;
  /** @type {{ time: number, wait: number } | null} When they have done so last. */
  #last = null;

  /** @param {number} patience how long hosts may refuse everything, in milliseconds */
  constructor(patience) {
    this.#patience = patience;
  }

  /** A host has begun a chunk, or is done with one. */
  taken() {
    this.#inARow = 0;
    this.#accepted();
  }

  #accepted() {
    this.#refusedFor = 0;
    this.#last = null;
  }

  /**
   * A chunk came back.
   * @param {boolean} isBusy whether its host only had no place for it
   * @returns {{ wait: number, isRefused: boolean }} `isRefused`: its calls fail instead of going out again
   */
  returned(isBusy) {
    const wait = Math.min(isBusy ? MAX_BUSY_WAIT : MAX_WAIT, MIN_WAIT * 2 ** Math.min(this.#inARow++, 10));
    if (isBusy) {
      this.#accepted();
      return { wait, isRefused: false };
    }
    const time = now();
    if (this.#last !== null) this.#refusedFor += Math.min(time - this.#last.time, 2 * this.#last.wait);
    this.#last = { time, wait };
    return { wait, isRefused: this.#refusedFor > this.#patience };
  }
}

module.exports = { ReturnBackoff };
