'use strict';

/**
 * The places of one pool of a host, as far as streams take them.
 *
 * Every other call ends by itself, but an open stream keeps its place for as long as its reader likes. Nothing may
 * begin behind as many streams as there are places: it could wait there for ever, while another host has room.
 *
 * Must not depend on what a stream is.
 */

const { clearTimeout, setTimeout } = require('../intrinsics/clock');

class StreamPlaces {
  #count;
  /** How many streams are open. */
  open = 0;
  /** @type {Set<() => void>} */
  #waiting = new Set();

  /** @param {number} count how many calls the pool runs at the same instant */
  constructor(count) {
    this.#count = count;
  }

  get isFull() {
    return this.open >= this.#count;
  }

  /** Takes a place. @returns {() => void} gives it back; calling it again does nothing */
  take() {
    this.open++;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.open--;
      [...this.#waiting].forEach((wake) => wake());
    };
  }

  /**
   * Resolves once a place may be free, or after so many milliseconds.
   * @param {number} patience `Infinity`: it waits for as long as it takes
   * @returns {Promise<void>}
   */
  change(patience) {
    return new Promise((resolve) => {
      const timer = patience === Infinity ? null : setTimeout(() => wake(), patience);
      const wake = () => {
        if (timer !== null) clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }
}

module.exports = { StreamPlaces };
