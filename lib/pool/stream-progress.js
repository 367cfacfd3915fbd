'use strict';

/**
 * Tells the `onProgress` of a stream how many of its items are done.
 *
 * 1. Each item is reported as it settles, with the total once the source has ended.
 * 2. Whether an item was the last one may not be known when it settles, since its consumer is a moment behind and the
 *    source is read no further than he needs. So its report waits for what the rest of this turn and the next bring: a
 *    consumer who has had his turn for long goes on in the next one.
 * 3. Where the end comes later than that, all items are reported once more, with the total.
 *
 * Must not depend on how far the source is read, nor on what the items are.
 */

const { setImmediate } = require('../intrinsics/clock');
const { report } = require('../jobs/report');

/** @typedef {NonNullable<import('../options/pool-options').StreamOptions['onProgress']>} OnProgress */

class StreamProgress {
  #onProgress;
  #done = 0;
  #failed = 0;
  /** Whether the latest item is not reported yet. */
  #isDue = false;
  #hasToldTotal = false;

  /** @param {OnProgress} onProgress */
  constructor(onProgress) {
    this.#onProgress = onProgress;
  }

  /**
   * An item has settled.
   * @param {boolean} hasFailed
   * @param {number | undefined} total how many there are, if the source has ended
   * @param {boolean} mayBeLast whether the end may be found as soon as the consumer asks for more
   */
  settled(hasFailed, total, mayBeLast) {
    this.flush();
    this.#done++;
    if (hasFailed) this.#failed++;
    if (total !== undefined || !mayBeLast) return this.#report(total);
    this.#isDue = true;
    setImmediate(() => setImmediate(() => this.flush()));
  }

  /** The source has ended after so many items. @param {number} total */
  ended(total) {
    if (total > 0 && this.#done === total && !this.#hasToldTotal) this.#report(total);
  }

  /** Reports what is due, whatever becomes of the source. */
  flush() {
    if (this.#isDue) this.#report(undefined);
  }

  /** @param {number | undefined} total */
  #report(total) {
    this.#isDue = false;
    this.#hasToldTotal = total !== undefined;
    report(this.#onProgress, { done: this.#done, total, failed: this.#failed });
  }
}

module.exports = { StreamProgress };
