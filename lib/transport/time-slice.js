'use strict';

/**
 * Handles the messages of ports one after another, but for no longer than a few milliseconds before the event loop
 * turns. Node hands over up to a thousand messages, and those that arrive meanwhile, before any timer has its turn; and
 * each of ours can stand for a millisecond of work.
 *
 * Must not depend on what a message is for.
 */

const { now, setImmediate } = require('../intrinsics/clock');

/** How long messages are handled before the loop turns, in milliseconds. */
const MAX_TIME = 5;

/** @template M */
class TimeSlice {
  #handle;
  /** When the first message of this turn arrived that may take long; 0: none has. */
  #began = 0;
  /** @type {M[]} Messages that wait for another turn. */
  #waiting = [];

  /** @param {(message: M) => void} handle */
  constructor(handle) {
    this.#handle = handle;
  }

  /**
   * A message has arrived.
   * @param {M} message
   * @param {boolean} mayTakeLong whether it may take more than some microseconds
   */
  add(message, mayTakeLong) {
    if (this.#waiting.length > 0) {
      this.#waiting.push(message);
      return;
    }
    if (this.#began === 0) {
      if (mayTakeLong) {
        this.#began = now();
        setImmediate(() => this.#turned());
      }
    } else if (now() - this.#began > MAX_TIME) {
      this.#waiting.push(message);
      return;
    }
    this.#handle(message);
  }

  /** Whether a message waits for another turn. */
  get isBehind() {
    return this.#waiting.length > 0;
  }

  /**
   * Handles the messages that wait, now. A handler may call it again, and goes on with the next message.
   * @param {(message: M) => boolean} [isWanted] which of them; default: all
   */
  drain(isWanted = () => true) {
    for (let at = this.#waiting.findIndex(isWanted); at >= 0; at = this.#waiting.findIndex(isWanted)) {
      const { 0: message } = this.#waiting.splice(at, 1);
      this.#handle(message);
    }
  }

  /** Handles one message per turn: whatever it leaves to be done has its turn as well. */
  #turned() {
    this.#began = 0;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    this.#began = now();
    setImmediate(() => this.#turned());
    this.#handle(message);
  }
}

module.exports = { TimeSlice };
