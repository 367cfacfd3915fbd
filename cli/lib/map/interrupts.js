'use strict';

/**
 * Signals that ask a run to end: the first lets it finish what it has begun, the second does not.
 */

const { constants } = require('node:os');

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

class Interrupts {
  /** The first signal that came. @type {typeof SIGNALS[number] | null} */
  signal = null;
  #listener;

  /** @param {{ first: (signal: string) => void, second: () => void }} actions */
  constructor({ first, second }) {
    this.#listener = (/** @type {typeof SIGNALS[number]} */ signal) => {
      if (this.signal === null) {
        this.signal = signal;
        first(signal);
      } else {
        second();
      }
    };
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  /** The number of the signal. */
  get number() {
    return this.signal === null ? 0 : constants.signals[this.signal];
  }

  stop() {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}

module.exports = { Interrupts };
