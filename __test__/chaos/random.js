'use strict';
// Seeded random numbers.

/** @param {number} seed @returns {() => number} from 0 up to 1 (mulberry32) */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Random {
  #next;

  /** @param {number} seed */
  constructor(seed) {
    this.#next = generator(seed);
  }

  /** An integer from `min` to `max`, both included. */
  between(min, max) {
    return min + Math.floor(this.#next() * (max - min + 1));
  }

  chance(probability) {
    return this.#next() < probability;
  }

  pick(list) {
    return list[this.between(0, list.length - 1)];
  }
}

module.exports = { Random };
