'use strict';

/**
 * Where results and failed records are written to. A regular file is written at places that are known, and can be cut
 * back and synced; everything else (pipes, terminals) is only written to.
 */

const fs = require('node:fs');
const { promisify } = require('node:util');
const { isClosed } = require('../closed-output');
const { syncDirectory, writeAll } = require('./journal-file');

const datasync = promisify(fs.fdatasync);

/** Whoever read the output has closed it. */
class ClosedOutput extends Error {
  /** @override */
  name = 'ClosedOutput';
}

class FileOutput {
  #file;
  #fd;
  #isRegular;
  /** How long it is, in bytes. */
  size;

  /** @param {string} file @param {number} length what is beyond it is cut off */
  constructor(file, length) {
    const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT;
    const kind = fs.statSync(file, { throwIfNoEntry: false });
    this.#file = file;
    this.#isRegular = kind === undefined || kind.isFile();
    this.#fd = fs.openSync(file, this.#isRegular ? flags : fs.constants.O_WRONLY, 0o666);
    this.size = length;
    if (this.#isRegular) fs.ftruncateSync(this.#fd, length);
    if (kind === undefined) syncDirectory(file);
  }

  /** @param {Buffer} bytes */
  write(bytes) {
    try {
      writeAll(this.#fd, bytes, this.#isRegular ? this.size : null);
    } catch (error) {
      if (!this.#isRegular && isClosed(error)) throw new ClosedOutput();
      const failure = /** @type {Error} */ (error);
      failure.message = `${this.#file}: ${failure.message}`;
      throw failure;
    }
    this.size += bytes.length;
  }

  /** Whether to wait for room. */
  get isFull() {
    return false;
  }

  /** Resolves when more may be written. */
  async room() {}

  async sync() {
    if (this.#isRegular) await datasync(this.#fd);
  }

  syncNow() {
    if (this.#isRegular) fs.fdatasyncSync(this.#fd);
  }

  close() {
    fs.closeSync(this.#fd);
  }
}

class StdoutOutput {
  size = 0;
  #stream;
  #write;
  #isFull = false;
  #isClosed = false;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** @param {NodeJS.WriteStream} stream @param {NodeJS.WriteStream['write']} write its own, which others may replace */
  constructor(stream, write) {
    this.#stream = stream;
    this.#write = write;
    stream.on('drain', () => this.#goOn());
    stream.on('error', (error) => {
      // Of others main.js tells, and ends the process.
      if (!isClosed(error)) return;
      this.#isClosed = true;
      this.#goOn();
    });
  }

  /** @param {Buffer} bytes */
  write(bytes) {
    if (this.#isClosed) throw new ClosedOutput();
    this.size += bytes.length;
    if (!this.#write.call(this.#stream, bytes)) this.#isFull = true;
  }

  get isFull() {
    return this.#isFull;
  }

  async room() {
    if (this.#isFull && !this.#isClosed) {
      await new Promise((/** @type {(value: void) => void} */ go) => this.#waiting.push(go));
    }
    if (this.#isClosed) throw new ClosedOutput();
  }

  #goOn() {
    this.#isFull = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async sync() {}
  syncNow() {}
  close() {}
}

/**
 * What a regular file has between two places; `null` if it is shorter.
 * @param {string} file @param {number} from @param {number} to
 */
function readBetween(file, from, to) {
  let fd;
  try {
    fd = fs.openSync(file, 'r');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return to === 0 ? Buffer.alloc(0) : null;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(to - from);
    if (fs.fstatSync(fd).size < to) return null;
    let read = 0;
    while (read < bytes.length) {
      const count = fs.readSync(fd, bytes, read, bytes.length - read, from + read);
      if (count === 0) return null;
      read += count;
    }
    return bytes;
  } finally {
    fs.closeSync(fd);
  }
}

module.exports = { ClosedOutput, FileOutput, StdoutOutput, readBetween };
