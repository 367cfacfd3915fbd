'use strict';

/**
 * A file of lines that is only appended to, and replaced as a whole: each line has a checksum, so that one which was
 * only partly written counts for nothing.
 */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

/** @param {string | Buffer} data */
const checksum = (data) => createHash('sha1').update(data).digest('hex').slice(0, 12);

/** @param {unknown} entry */
function lineOf(entry) {
  const text = JSON.stringify(entry);
  return `${checksum(text)} ${text}\n`;
}

/** What was renamed or created in a directory is there after a crash of the machine as well. @param {string} file */
function syncDirectory(file) {
  const fd = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(fd);
  } catch {
    // Some file systems know no such thing.
  } finally {
    fs.closeSync(fd);
  }
}

/** @param {number} fd @param {Buffer} bytes @param {number | null} position */
function writeAll(fd, bytes, position) {
  let written = 0;
  while (written < bytes.length) {
    const at = position === null ? null : position + written;
    written += fs.writeSync(fd, bytes, written, bytes.length - written, at);
  }
}

class JournalFile {
  #fd;
  /** How long it is, in bytes. */
  size = 0;

  /** @param {number} fd @param {number} size */
  constructor(fd, size) {
    this.#fd = fd;
    this.size = size;
  }

  /**
   * The entries of a file, up to the first that is not whole; `null` if there is no file.
   * @param {string} file
   * @returns {any[] | null}
   */
  static read(file) {
    let text;
    try {
      text = fs.readFileSync(file, 'latin1');
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return null;
      throw error;
    }
    const entries = [];
    let at = 0;
    for (;;) {
      const end = text.indexOf('\n', at);
      if (end < 0) break;
      const line = Buffer.from(text.slice(at, end), 'latin1').toString();
      const blank = line.indexOf(' ');
      if (blank < 0 || line.slice(0, blank) !== checksum(line.slice(blank + 1))) break;
      entries.push(JSON.parse(line.slice(blank + 1)));
      at = end + 1;
    }
    return entries;
  }

  /**
   * A new file in the place of whatever is there, at once or not at all.
   * @param {string} file @param {unknown[]} entries
   */
  static create(file, entries) {
    const text = Buffer.from(entries.map(lineOf).join(''));
    const fresh = `${file}.new`;
    const fd = fs.openSync(fresh, 'w+');
    writeAll(fd, text, 0);
    fs.fsyncSync(fd);
    fs.renameSync(fresh, file);
    syncDirectory(file);
    return new JournalFile(fd, text.length);
  }

  /** @param {unknown} entry */
  append(entry) {
    const bytes = Buffer.from(lineOf(entry));
    writeAll(this.#fd, bytes, this.size);
    this.size += bytes.length;
  }

  sync() {
    fs.fdatasyncSync(this.#fd);
  }

  close() {
    fs.closeSync(this.#fd);
  }
}

module.exports = { JournalFile, checksum, syncDirectory, writeAll };
