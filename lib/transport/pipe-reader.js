'use strict';

/**
 * Reads a pipe without a stream around it: a `Readable` takes longer for a short frame than all that is done with it,
 * and each of its reads takes 64 KiB of memory that has to be collected.
 *
 * Must not depend on what the bytes are.
 */

/** @typedef {import('node:net').Socket} Pipe */
/** @typedef {typeof import('node:net').Socket} SocketClass */

/** How much is read at once, in bytes. */
const READ = 64 * 1024;

/** @type {Buffer | null} Of all pipes of this thread: only one is read at a time. */
let memory = null;

/**
 * What a socket is told that reads without a stream.
 * @param {{ fd: number } | { handle: any }} source
 * @param {(bytes: Buffer) => void} onBytes is lent them until it returns
 * @returns {any} its types lack `onread`, which only sockets that connect are meant to have, and `handle`
 */
function optionsFor(source, onBytes) {
  const buffer = (memory ??= Buffer.allocUnsafeSlow(READ));
  const callback = (/** @type {number} */ count) => {
    onBytes(count === buffer.length ? buffer : buffer.subarray(0, count));
    return true;
  };
  return { ...source, readable: true, writable: false, onread: { buffer, callback } };
}

/**
 * Reads a descriptor of this process.
 * @param {SocketClass} Socket @param {number} fd @param {(bytes: Buffer) => void} onBytes see `optionsFor`
 * @returns {Pipe}
 */
function readDescriptor(Socket, fd, onBytes) {
  return new Socket(optionsFor({ fd }, onBytes));
}

/**
 * Reads a pipe of which there is a socket already, but nothing was read. Node has no public way to do that: where its
 * handle is not as it is known, the socket's stream is read.
 * @param {SocketClass} Socket @param {Pipe} pipe @param {(bytes: Buffer) => void} onBytes see `optionsFor`
 * @returns {Pipe} what takes the socket's place
 */
function readPipe(Socket, pipe, onBytes) {
  const { _handle: handle } = /** @type {any} */ (pipe);
  if (typeof handle?.useUserBuffer !== 'function' || handle.bytesRead !== 0) return pipe.on('data', onBytes);
  /** @type {any} */ (pipe)._handle = null;
  return new Socket(optionsFor({ handle }, onBytes));
}

module.exports = { readDescriptor, readPipe };
