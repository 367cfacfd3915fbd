'use strict';

/**
 * Messages about chunks that are said again until their chunk has ended, since an engine may lose any: a generator that
 * was never told of its reader would wait for ever, and its place with it.
 *
 * The bytes stay the same, so whoever has heard a signed message does not take it twice. Of each kind of message the
 * latest holds. Must not depend on what a message says.
 */

const { clearTimeout, now, setTimeout } = require('../intrinsics/clock');

/** The wait before a message is said again, in milliseconds: twice as long each time, up to so long. */
const MIN_WAIT = 1000;
const MAX_WAIT = 8000;

/** @typedef {{ messages: Map<string, Uint8Array>, due: number, wait: number }} Repeated */

class RepeatedMessages {
  #say;
  /** @type {Map<string, Repeated>} By chunk. */
  #chunks = new Map();
  /** @type {NodeJS.Timeout | null} */
  #timer = null;

  /** @param {(chunkId: string, message: Uint8Array) => void} say */
  constructor(say) {
    this.#say = say;
  }

  /**
   * A message has just been said.
   * @param {string} chunkId @param {string} kind @param {Uint8Array} message
   */
  said(chunkId, kind, message) {
    const entry = this.#chunks.get(chunkId) ?? { messages: new Map(), due: 0, wait: MIN_WAIT };
    entry.messages.set(kind, message);
    entry.wait = MIN_WAIT;
    entry.due = now() + MIN_WAIT;
    this.#chunks.set(chunkId, entry);
    this.#watch();
  }

  /** A chunk has ended. @param {string} chunkId */
  forget(chunkId) {
    this.#chunks.delete(chunkId);
  }

  #watch() {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const time = now();
      this.#chunks.forEach((entry, chunkId) => {
        if (entry.due > time) return;
        entry.wait = Math.min(2 * entry.wait, MAX_WAIT);
        entry.due = time + entry.wait;
        entry.messages.forEach((message) => this.#say(chunkId, message));
      });
      if (this.#chunks.size > 0) this.#watch();
    }, MIN_WAIT);
    // Calls in flight hold the event loop.
    this.#timer.unref();
  }

  close() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#chunks.clear();
  }
}

module.exports = { RepeatedMessages };
