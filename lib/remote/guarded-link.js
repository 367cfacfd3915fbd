'use strict';

/**
 * A producer's connection whose methods do not throw, whatever its adapter does: they are called where the scheduler is
 * in the middle of something, or where calls settle, and what an adapter throws there would leave calls unsettled.
 *
 * 1. A chunk that is not sent comes back, as one does that could not be sent later on.
 * 2. What is said of a chunk may be lost in any case; and whoever releases one expects nothing more of it.
 * 3. A connection that does not end in order has ended: nobody waits for it any longer.
 *
 * What was thrown is told like any other trouble of the connection. Must not depend on what chunks are.
 */

const { setImmediate } = require('../intrinsics/clock');

/** @typedef {import('./engine').ProducerLink} ProducerLink */

class GuardedLink {
  #link;
  #side;

  /** @param {ProducerLink} link @param {Pick<import('./engine').ProducerSide, 'ended' | 'failed'>} side */
  constructor(link, side) {
    this.#link = link;
    this.#side = side;
  }

  /** @param {Parameters<ProducerLink['send']>[0]} chunk */
  send(chunk) {
    this.#try(() => this.#link.send(chunk), ({ message }) =>
      // Later: the scheduler is in the middle of sending it.
      setImmediate(() => this.#side.ended(chunk.id, { kind: 'returned', why: `could not be sent: ${message}` })));
  }

  /** @param {string} chunkId @param {Uint8Array} message */
  cancel(chunkId, message) {
    this.#try(() => this.#link.cancel(chunkId, message));
  }

  /** @param {string} chunkId */
  release(chunkId) {
    this.#try(() => this.#link.release(chunkId));
  }

  /** @returns {Promise<void>} */
  async close() {
    try {
      await this.#link.close();
    } catch (error) {
      this.#side.failed(errorOf(error));
    }
  }

  /** @param {() => void} act @param {(error: Error) => void} [failed] */
  #try(act, failed) {
    try {
      act();
    } catch (thrown) {
      const error = errorOf(thrown);
      this.#side.failed(error);
      failed?.(error);
    }
  }
}

/** @param {unknown} thrown @returns {Error} */
function errorOf(thrown) {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

module.exports = { GuardedLink };
