'use strict';

/**
 * Which messages about one chunk were heard: each is taken once, in whatever order they come. One that was lost is said
 * again, and may come after later ones.
 *
 * A message says which one it is. Of a producer that does not say so yet they are taken in order.
 *
 * Must not depend on what a message says, nor on how it is signed.
 */

/**
 * So many messages about a chunk may be missed in a row, or be waited for: those that were sent while nobody had it,
 * most often, of which there may be one for each of its calls, and are then said again.
 */
const MAX_MISSED = 4096;

class HeardMessages {
  /** The number after the highest that was heard. */
  #next = 0;
  /** @type {Set<number>} Those before it that were not, the oldest first. */
  #missed = new Set();

  /**
   * Takes a message, unless it was heard before.
   * @param {unknown} claimed the number that it says it has
   * @param {(number: number) => void} act what it asks for is done, if this is its number; throws otherwise
   */
  take(claimed, act) {
    if (Number.isSafeInteger(claimed)) {
      const number = /** @type {number} */ (claimed);
      if (number >= this.#next || this.#missed.has(number)) this.#try(number, act);
      return;
    }
    const end = this.#next + MAX_MISSED;
    for (let number = this.#next; number < end; number++) if (this.#try(number, act)) return;
  }

  /** @param {number} number @param {(number: number) => void} act @returns {boolean} whether it was taken */
  #try(number, act) {
    try {
      act(number);
    } catch {
      // It is another one, or whoever sent it is not the producer.
      return false;
    }
    this.#missed.delete(number);
    for (let at = Math.max(this.#next, number - MAX_MISSED); at < number; at++) this.#missed.add(at);
    this.#next = Math.max(this.#next, number + 1);
    for (const oldest of this.#missed) {
      if (this.#missed.size <= MAX_MISSED) break;
      this.#missed.delete(oldest);
    }
    return true;
  }
}

module.exports = { HeardMessages };
