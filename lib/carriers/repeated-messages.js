'use strict';

/**
 * Messages about chunks that are said again until what they are about has ended, since an engine may lose any: a
 * generator that was never told of its reader would wait for ever, and its place with it.
 *
 * Each message has a subject: of those with the same one the latest holds, and the others of its chunk are said again
 * whatever comes after them. The bytes stay the same, so whoever has heard a signed message does not take it twice.
 * Must not depend on what a message says.
 */

const { clearTimeout, now, setTimeout } = require('../intrinsics/clock');

/** The wait before a message is said again, in milliseconds: twice as long each time, up to so long. */
const MIN_WAIT = 1000;
const MAX_WAIT = 8000;

/**
 * @typedef {object} Repeated
 * @property {Uint8Array} bytes
 * @property {number} first which calls of the chunk it is about
 * @property {number} end
 * @property {number} due when it is said again
 * @property {number} wait
 */

class RepeatedMessages {
  #say;
  /** @type {Map<string, Map<string, Repeated>>} By chunk and subject, in the order in which they were said. */
  #chunks = new Map();
  /** @type {NodeJS.Timeout | null} */
  #timer = null;

  /** @param {(chunkId: string, message: Uint8Array) => void} say */
  constructor(say) {
    this.#say = say;
  }

  /**
   * A message has just been said.
   * @param {string} chunkId @param {string} subject @param {{ first: number, end: number }} about
   * @param {Uint8Array} bytes
   */
  said(chunkId, subject, { first, end }, bytes) {
    const messages = this.#chunks.get(chunkId) ?? new Map();
    this.#chunks.set(chunkId, messages);
    messages.delete(subject);
    messages.set(subject, { bytes, first, end, due: now() + MIN_WAIT, wait: MIN_WAIT });
    this.#watch();
  }

  /** A host has the chunk now: it may have heard nothing of what was said before. @param {string} chunkId */
  sayAll(chunkId) {
    this.#chunks.get(chunkId)?.forEach(({ bytes }) => this.#say(chunkId, bytes));
  }

  /** Calls of a chunk are answered. @param {string} chunkId @param {number} first @param {number} end */
  answered(chunkId, first, end) {
    const messages = this.#chunks.get(chunkId);
    if (messages === undefined) return;
    messages.forEach((message, subject) => {
      if (message.first >= first && message.end <= end) messages.delete(subject);
    });
    if (messages.size === 0) this.#chunks.delete(chunkId);
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
      this.#chunks.forEach((messages, chunkId) => messages.forEach((message) => {
        if (message.due > time) return;
        message.wait = Math.min(2 * message.wait, MAX_WAIT);
        message.due = time + message.wait;
        this.#say(chunkId, message.bytes);
      }));
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
