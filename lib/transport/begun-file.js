'use strict';

/**
 * A file without a name, in which a worker process without shared memory says which call it begins, and its parent
 * looks when it wants to know. It outlives the worker, and nobody is woken: a frame for each call costs five times as
 * much.
 *
 * Must not depend on what a call is.
 */

const { closeSync, openSync, readSync, unlinkSync, writeSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

/** The descriptor that the worker has of it. */
const BEGUN_FD = 6;

/** Bytes of a number. */
const LENGTH = 4;

let count = 0;

/** Where it may be, the best first: what is only in memory is never written to a disk. */
function folders() {
  return process.platform === 'linux' ? ['/dev/shm', tmpdir()] : [tmpdir()];
}

/**
 * Makes a file.
 * @returns {number | null} its descriptor; `null` where none can be made
 */
function createBegunFile() {
  for (const folder of folders()) {
    const file = path.join(folder, `parallelizer-${process.pid}-${process.hrtime().join('-')}-${count++}`);
    try {
      const fd = openSync(file, 'wx+', 0o600);
      unlinkSync(file);
      writeSync(fd, Buffer.alloc(LENGTH), 0, LENGTH, 0);
      return fd;
    } catch {
      // Another folder may do, and otherwise frames.
    }
  }
  return null;
}

/**
 * The number of the call that the worker began last; 0 before the first.
 * @param {number} fd
 */
function readBegun(fd) {
  const bytes = Buffer.alloc(LENGTH);
  try {
    return readSync(fd, bytes, 0, LENGTH, 0) === LENGTH ? bytes.readUInt32LE() : 0;
  } catch {
    return 0;
  }
}

/** @param {number} fd */
function closeBegunFile(fd) {
  try {
    closeSync(fd);
  } catch {
    // Somebody has closed it already.
  }
}

module.exports = { BEGUN_FD, closeBegunFile, createBegunFile, readBegun };
