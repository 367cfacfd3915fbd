'use strict';

/**
 * Sends frames over a `MessagePort`, from a parent to a thread and back, and clones values within a process.
 *
 * Bytes are moved, not copied. What only structured clone can carry (shared memory, ports, anything to be transferred)
 * is posted into a channel of its own, whose other end travels as the part's value: so a value that cannot be cloned
 * fails alone, and what is transferred is detached at once.
 *
 * Must not depend on what a frame is for.
 */

const { MessageChannel, MessagePort, receiveMessageOnPort } = require('node:worker_threads');
const { CALLS_FIELD, MESSAGE, OUTPUT, PART_FIELDS, VALUE_FIELD, WAKE } = require('./constants');

/** @typedef {import('../codec/parts').Parts} Parts */

/** Where in a posted frame its parts begin: after kind, id, seq and aux. */
const PARTS = 4;

/**
 * Posts a frame.
 * @param {import('node:worker_threads').MessagePort} port
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 */
function post(port, kind, id, seq, aux, parts) {
  /** @type {any[]} */
  const moved = [];
  for (let at = VALUE_FIELD; at < parts.length; at += PART_FIELDS) {
    const value = parts[at];
    if (typeof value === 'string') continue;
    if (value instanceof MessagePort) {
      moved.push(value);
    } else {
      // A small buffer is a view of memory that it shares with others.
      const bytes = /** @type {Uint8Array} */ (value);
      const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
      parts[at] = /** @type {Buffer} */ (own);
      moved.push(own.buffer);
    }
  }
  // Most frames have one part, which goes without a list of its own.
  const frame = parts.length === PART_FIELDS
    ? [kind, id, seq, aux, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]] : [kind, id, seq, aux, parts];
  if (moved.length === 0) port.postMessage(frame);
  else port.postMessage(frame, moved);
}

/**
 * The parts of a posted frame.
 * @param {any[]} frame
 * @returns {Parts}
 */
function partsOf(frame) {
  return isOfOnePart(frame) ? [frame[4], frame[5], frame[6], frame[7], frame[8], frame[9]] : frame[PARTS];
}

/** @param {any[]} frame */
function isOfOnePart(frame) {
  return frame.length > PARTS + 1;
}

/** So many calls may take more than some microseconds. */
const MANY_CALLS = 64;

/**
 * Whether a posted frame may take more than some microseconds to handle.
 * @param {any[]} frame
 */
function mayTakeLong(frame) {
  if (frame[0] === WAKE) return false;
  // What listens to it is the user's code, or prints.
  if (frame[0] === MESSAGE || frame[0] === OUTPUT) return true;
  return !isOfOnePart(frame) || frame[PARTS + CALLS_FIELD] >= MANY_CALLS;
}

/**
 * Clones a value into a channel of its own. Throws what structured clone throws.
 * @param {unknown} value
 * @param {readonly any[]} [transferList]
 * @returns {any} the port to read it from, which travels as a part's value
 */
function wrapClone(value, transferList = []) {
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(value, transferList);
  } catch (error) {
    port1.close();
    throw error;
  }
  port1.unref();
  return port2;
}

/** @param {any} port what `wrapClone` returned */
function unwrapClone(port) {
  const received = receiveMessageOnPort(port);
  port.close();
  return received?.message;
}

/** How values without bytes travel. @type {import('../codec/codec').Clones} */
const clones = { wrap: wrapClone, unwrap: unwrapClone, discard: (port) => port.close() };

module.exports = { post, partsOf, mayTakeLong, clones };
