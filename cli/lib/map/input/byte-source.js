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
  /** @type {(end: null) => void} */
  #stop = () => {};
  #stopped = new Promise((/** @type {(end: null) => void} */ resolve) => (this.#stop = resolve));

  /** @param {string | null} file `null`: stdin @param {number} offset */
  constructor(file, offset) {
    this.#stream = file === null ? process.stdin : fs.createReadStream(file, { start: offset, highWaterMark: PIECE });
    this.#pieces = this.#stream[Symbol.asyncIterator]();
  }

  /** @returns {Promise<Buffer | null>} `null` at the end, and once it is stopped */
  async read() {
    if (this.#isStopped) return null;
    const next = this.#pieces.next().then(({ value, done }) => (done ? null : value));
    // What is still being read when it is stopped is of no use, and neither is its error.
    next.catch(() => {});
    return Promise.race([next, this.#stopped]);
  }

  stop() {
    this.#isStopped = true;
    this.#stop(null);
    this.#stream.destroy();
  }
}

module.exports = { ByteSource };
