'use strict';

/**
 * Warns when streams block each other: when every place of a pool is taken by a stream that waits for its reader, while
 * calls wait for a place. A reader that awaits one of these calls would wait forever.
 *
 * Must not depend on what a stream is.
 */

const { clearTimeout, setTimeout } = require('../intrinsics/clock');

/** How long that has to last, in milliseconds. */
const PATIENCE = 10_000;

class BlockedStreams {
  #placesOf;
  #isAnyWaiting;
  /** @type {Set<object>} */ #waiting = new Set();
  /** @type {NodeJS.Timeout | null} */ #timer = null;
  #hasWarned = false;

  /**
   * @param {() => number} places how many calls can run at the same time
   * @param {() => boolean} isAnyWaiting whether calls wait for a place
   */
  constructor(places, isAnyWaiting) {
    this.#placesOf = places;
    this.#isAnyWaiting = isAnyWaiting;
  }

  get #places() {
    return Math.max(1, this.#placesOf());
  }

  /** A stream waits for its reader. @param {object} stream */
  waits(stream) {
    this.#waiting.add(stream);
    if (this.#waiting.size >= this.#places) this.#watch();
  }

  /** It goes on, or is over. @param {object} stream */
  goesOn(stream) {
    if (!this.#waiting.delete(stream) || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #watch() {
    if (this.#timer !== null || this.#hasWarned) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#waiting.size < this.#places) return;
      if (!this.#isAnyWaiting()) {
        this.#watch();
        return;
      }
      this.#hasWarned = true;
      process.emitWarning(
        `each of the ${this.#places} places of a pool has been taken by a stream whose reader takes nothing, for ` +
          `${PATIENCE / 1000} seconds, while calls wait for a place. If the readers await such calls, none of them ` +
          'goes on: use another pool for the calls, or one with more workers',
        'ParallelizerWarning',
        'PARALLELIZER_BLOCKED_STREAMS',
      );
    }, PATIENCE);
    this.#timer.unref?.();
  }
}

module.exports = { BlockedStreams };
