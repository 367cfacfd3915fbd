'use strict';

/**
 * How many invocations there may be at once, and when the next may begin, as Lambda's answers tell. As TCP does it: a
 * refusal makes it fewer at once, and every round without one makes it one more.
 *
 * Must not depend on what is invoked.
 */

const MIN_DELAY = 100;
const MAX_DELAY = 10_000;

class Throttle {
  #max;
  #limit;
  #delay = 0;
  #waitsUntil = 0;
  #successes = 0;
  #random;

  /** @param {number} max @param {() => number} [random] */
  constructor(max, random = Math.random) {
    this.#max = max;
    this.#limit = max;
    this.#random = random;
  }

  /** How many there may be at once. */
  get limit() {
    return this.#limit;
  }

  /** In how many milliseconds the next may begin. @param {number} now */
  delay(now) {
    return Math.max(0, this.#waitsUntil - now);
  }

  /** One was let in. */
  succeeded() {
    this.#delay = 0;
    this.#waitsUntil = 0;
    if (this.#limit < this.#max && ++this.#successes >= this.#limit) {
      this.#successes = 0;
      this.#limit++;
    }
  }

  /**
   * One was refused.
   * @param {number} running how many others there are @param {number} now
   */
  refused(running, now) {
    this.#successes = 0;
    this.#limit = Math.max(1, Math.min(this.#limit, running));
    this.wait(now);
  }

  /** Nothing is to begin for a while, longer each time. @param {number} now */
  wait(now) {
    // Those that were refused together count once.
    if (this.#waitsUntil > now) return;
    this.#delay = Math.min(MAX_DELAY, Math.max(MIN_DELAY, this.#delay * 2));
    // Producers that were refused together do not come back together.
    this.#waitsUntil = now + this.#delay * (0.5 + this.#random() / 2);
  }
}

module.exports = { Throttle };
