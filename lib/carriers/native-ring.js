'use strict';

/**
 * The parent's end of a thread's rings where the addon looks after it: there frames are taken and handled, and sent.
 * JavaScript has the port, and says when it is the turn of the frames in the ring. `src/binding/carriers/thread.rs` has
 * the other half.
 *
 * Must not depend on what a frame is for.
 */

const { Ring } = require('../transport/ring');

class NativeRing extends Ring {
  #receive;
  #wasWoken = false;

  /**
   * @param {Uint32Array} words the shared memory
   * @param {(wasWoken: boolean) => boolean} receive has the addon handle what is there; false: it is at it already
   */
  constructor(words, receive) {
    super(words, true);
    this.#receive = receive;
  }

  /** @override */
  sleepAgain() {
    super.sleepAgain();
    // The addon learns from it when it pays to stay awake, whether or not anything is there by now.
    this.#wasWoken = true;
  }

  /** Has the addon take and handle what is there. @override @returns {null} nothing is left to be handled here */
  take() {
    const wasWoken = this.#wasWoken;
    this.#wasWoken = false;
    this.isBeingRead = !this.#receive(wasWoken);
    return null;
  }

  /** What JavaScript sends is posted: it is what the addon could not send. @override */
  send() {
    return false;
  }
}

module.exports = { NativeRing };
