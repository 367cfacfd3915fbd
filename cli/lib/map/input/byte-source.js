'use strict';

/**
 * The bytes of the input, a piece at a time, from a place on; can be stopped while it waits for more.
 */

const fs = require('node:fs');

/** How much is read at once. */
const PIECE = 256 * 1024;

class ByteSource {
  #stream;
  /** @type {AsyncIterator<Buffer>} */
  #pieces;
  #isStopped = false;
  /** Tells whoever waits for a piece that there is none. */
  #giveUp = () => {};

  /** @param {string | null} file `null`: stdin @param {number} offset */
  constructor(file, offset) {
    // A pipe has no places to be read from.
    const place = offset > 0 ? { start: offset } : {};
    this.#stream = file === null ? process.stdin : fs.createReadStream(file, { ...place, highWaterMark: PIECE });
    this.#pieces = this.#stream[Symbol.asyncIterator]();
  }

  /** @returns {Promise<Buffer | null>} `null` at the end, and once it is stopped */
  async read() {
    if (this.#isStopped) return null;
    // No race with a promise that lives as long as this: that would keep every piece.
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(null);
      this.#pieces.next().then(({ value, done }) => resolve(done ? null : value), reject);
    });
  }

  stop() {
    this.#isStopped = true;
    this.#giveUp();
    this.#stream.destroy();
  }
}

module.exports = { ByteSource };
