'use strict';

/**
 * Writes frames to a pipe at once where it has room, without its stream, and leaves to that what it has no room for.
 *
 * Must not depend on what a frame is for.
 */

const { writeSync } = require('node:fs');
const { frameLength, writeFrame } = require('./frame-codec');

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('node:net').Socket} Pipe */

/** Frames up to this size are written from memory that is kept, in bytes. */
const SCRATCH = 16 * 1024;

/** @type {Buffer | null} */
let scratch = null;

/**
 * The descriptor of a pipe; -1 where it has none: on Windows, or at its end.
 * @param {Pipe} pipe
 * @returns {number}
 */
function descriptorOf(pipe) {
  return /** @type {any} */ (pipe)._handle?.fd ?? -1;
}

/**
 * @param {Pipe} pipe
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 */
function sendFrame(pipe, kind, id, seq, aux, parts) {
  const length = frameLength(parts);
  const isShort = length <= SCRATCH;
  const bytes = isShort ? (scratch ??= Buffer.allocUnsafeSlow(SCRATCH)) : Buffer.allocUnsafeSlow(length);
  writeFrame(bytes, 0, length, kind, id, seq, aux, parts);
  const written = isShort ? writeNow(pipe, bytes, length) : 0;
  if (written === length) return;
  const rest = bytes.subarray(written, length);
  pipe.write(isShort ? Buffer.from(rest) : rest);
}

/**
 * Writes what a pipe has room for.
 * @param {Pipe} pipe @param {Buffer} bytes @param {number} length
 * @returns {number} how much that was
 */
function writeNow(pipe, bytes, length) {
  const fd = descriptorOf(pipe);
  // What waits in the stream comes first.
  if (fd < 0 || pipe.writableLength > 0) return 0;
  try {
    return writeSync(fd, bytes, 0, length, null);
  } catch {
    // It is full, or its other end is gone, which its stream finds out as well.
    return 0;
  }
}

module.exports = { descriptorOf, sendFrame };
