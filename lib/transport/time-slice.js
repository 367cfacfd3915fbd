'use strict';

/**
 * Messages of a port, handled one after another as they come, but for no longer than a few milliseconds before the event
 * loop turns. Node hands over up to a thousand of them, and those that come meanwhile, before any timer has its turn; and
 * each of ours can stand for a millisecond of work.
 *
 * May not know what a message is for.
 */

// The user's code may put others in their places.
const { setImmediate, performance } = globalThis;

/** How long messages are handled before the loop turns, in milliseconds. */
const LONGEST = 5;

/** @template M */
class Turns {
  #handle;
  /** When the first long message of this turn came; 0: none has. */
  #began = 0;
  /** @type {M[]} What has come and waits for a turn. */
  #waiting = [];

  /** @param {(message: M) => void} handle */
  constructor(handle) {
    this.#handle = handle;
  }

  /**
   * A message has come.
   * @param {M} message
   * @param {boolean} isLong whether it may take more than some microseconds
   */
  add(message, isLong) {
    if (this.#waiting.length > 0) {
      this.#waiting.push(message);
      return;
    }
    if (this.#began === 0) {
      if (isLong) {
        this.#began = performance.now();
        setImmediate(() => this.#turned());
      }
    } else if (performance.now() - this.#began > LONGEST) {
      this.#waiting.push(message);
      return;
    }
    this.#handle(message);
  }

  /** Whether something waits for a turn. */
  get isBehind() {
    return this.#waiting.length > 0;
  }

  /** Handles what waits, now. Who handles one may come back here, and goes on with the next. */
  drain() {
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) this.#handle(message);
  }

  /** One per turn: what each leaves to be done has its turn as well. */
  #turned() {
    this.#began = 0;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    this.#began = performance.now();
    setImmediate(() => this.#turned());
    this.#handle(message);
  }
}

module.exports = { Turns };
