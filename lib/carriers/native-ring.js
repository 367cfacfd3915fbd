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

  /**
   * @param {Uint32Array} words the shared memory
   * @param {() => boolean} receive has the addon handle what is there; false: it is at it already
   */
  constructor(words, receive) {
    super(words, true);
    this.#receive = receive;
  }

  /** Has the addon take everything. @override @returns {null} nothing is left to be handled */
  take() {
    this.isBeingRead = !this.#receive();
    return null;
  }

  /** What JavaScript sends is posted: it is what the addon could not send. @override */
  send() {
    return false;
  }
}

module.exports = { NativeRing };
