'use strict';

/**
 * Chunks, frames and messages as the bytes that engines carry.
 *
 * ```text
 * envelope = 'PLZR', major u8, minor u8, flags u8 (1: signed), direction u8, [signature, 32 bytes], body
 * chunk    = header length u32, header (JSON), init length u32, init frame, frame of calls
 * frame    = one frame, as between a parent and its workers (docs/wire-format.md)
 * message  = JSON, with the number of the message
 * ```
 *
 * The envelope is the same for all versions, so that each can say which one it cannot read. A signature is an
 * HMAC-SHA256 over everything else, the id of the chunk, and the number of the frame or message within it: bytes that
 * were changed, moved to another chunk, or are sent a second time, do not fit.
 *
 * Must not depend on engines, nor on what is in a frame.
 */

const { createHmac, timingSafeEqual } = require('node:crypto');
const { fromJson, toJson } = require('../intrinsics/json');
const { CALLS, INIT } = require('../transport/constants');
const { remoteProtocolError, versionError } = require('./remote-errors');

/** The version of these bytes. Another major one cannot be read; a minor one adds what may be left out. */
const FORMAT = Object.freeze({ major: 2, minor: 0 });

const MAGIC = 0x524c5a50; // 'PLZR', little-endian
const ENVELOPE = 8;
const SIGNATURE = 32;
const SIGNED = 1;

/** Who sends what to whom. */
const CHUNK = 1;
const FRAME = 2;
const MESSAGE = 3;

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * A task; its path is relative to a root.
 * @typedef {{ source: string } | { filePath: string, name: string }} Definition
 */

/**
 * What a host has to know to run a chunk.
 * @typedef {object} ChunkHeader
 * @property {PoolKey} pool which of the host's pools runs it
 * @property {[calls: number, timeout: number][]} runs of calls with a common timeout in milliseconds, 0: none
 * @property {[id: number, definition: Definition][]} tasks that its calls run
 * @property {number} sent when, in milliseconds since 1970
 * @property {number} [worker] the index of the worker that its only call is for. Default: any may run it
 */

/**
 * What distinguishes the pools of a host.
 * @typedef {object} PoolKey
 * @property {string | null} filePath the module of all calls; null: each has a task
 * @property {string | null} functionName
 * @property {Definition | null} initializer
 * @property {import('../codec/codec').Serialization} serialization
 * @property {number} concurrency
 * @property {number} gracePeriod
 * @property {number} maxCallsPerWorker
 */

/**
 * Calls of a chunk that are not wanted any more, by their place in it. `isFinal`: those that run are ended; `isRecall`:
 * they are wanted, but elsewhere, unless they have begun.
 * @typedef {{ first: number, end: number, isFinal: boolean, isRecall?: boolean }} Withdrawal
 */

/**
 * How many of the values that a call of a chunk yields its reader has taken; `MAX_COUNT`: it wants no more.
 * @typedef {{ call: number, taken: number }} Demand
 */

/** @typedef {{ kind: number, id: number, seq: number, aux: number, parts: Parts }} Frame */

/** Seals and opens what is sent, with a secret or without. */
class Seal {
  #secret;

  /** @param {Uint8Array | null} secret */
  constructor(secret) {
    this.#secret = secret;
  }

  /**
   * @param {number} direction @param {string} chunkId @param {number} number that of the frame or message in its chunk
   * @param {readonly Uint8Array[]} body
   * @returns {Buffer[]}
   */
  seal(direction, chunkId, number, body) {
    const envelope = Buffer.alloc(ENVELOPE);
    envelope.writeUInt32LE(MAGIC, 0);
    envelope.set([FORMAT.major, FORMAT.minor, this.#secret === null ? 0 : SIGNED, direction], 4);
    const signature = this.#secret === null ? [] : [this.#sign(envelope, chunkId, number, body)];
    return [envelope, ...signature, .../** @type {Buffer[]} */ (body)];
  }

  /**
   * The body of what was received. Throws what says why it is not to be used.
   * @param {number} direction @param {string} chunkId @param {number} number @param {Uint8Array} received
   * @returns {Buffer}
   */
  open(direction, chunkId, number, received) {
    const bytes = Buffer.from(received.buffer, received.byteOffset, received.byteLength);
    if (bytes.length < ENVELOPE || bytes.readUInt32LE(0) !== MAGIC) {
      throw remoteProtocolError('no bytes of this library');
    }
    const [major, minor, flags, actual] = bytes.subarray(4, ENVELOPE);
    if (major !== FORMAT.major) throw versionError(FORMAT, { major, minor });
    if (actual !== direction) throw remoteProtocolError('a frame in the place of another kind');
    const isSigned = (flags & SIGNED) !== 0;
    if (this.#secret === null) {
      if (isSigned) throw remoteProtocolError('a signed frame, without a "secret" here to check it with');
      return bytes.subarray(ENVELOPE);
    }
    if (!isSigned || bytes.length < ENVELOPE + SIGNATURE) throw remoteProtocolError('a frame without a signature');
    const body = bytes.subarray(ENVELOPE + SIGNATURE);
    const expected = this.#sign(bytes.subarray(0, ENVELOPE), chunkId, number, [body]);
    if (!timingSafeEqual(expected, bytes.subarray(ENVELOPE, ENVELOPE + SIGNATURE))) {
      throw remoteProtocolError('a frame whose signature does not fit: another "secret", or bytes that were changed');
    }
    return body;
  }

  /**
   * The number that a message says it has, whoever wrote it: it is to be believed once the message was opened with it.
   * @param {Uint8Array} received
   * @returns {unknown} `undefined`: it says none
   */
  claimedNumber(received) {
    const bytes = Buffer.from(received.buffer, received.byteOffset, received.byteLength);
    try {
      return fromJson(bytes.toString('utf8', ENVELOPE + (this.#secret === null ? 0 : SIGNATURE)))?.number;
    } catch {
      return undefined;
    }
  }

  /** @param {Uint8Array} envelope @param {string} chunkId @param {number} number @param {readonly Uint8Array[]} body */
  #sign(envelope, chunkId, number, body) {
    const hmac = createHmac('sha256', /** @type {Uint8Array} */ (this.#secret));
    const place = Buffer.alloc(8);
    place.writeUInt32LE(number, 0);
    place.writeUInt32LE(Buffer.byteLength(chunkId), 4);
    hmac.update(envelope).update(place).update(chunkId);
    body.forEach((part) => hmac.update(part));
    return hmac.digest();
  }
}

/**
 * The body of a chunk.
 * @param {ChunkHeader} header @param {Parts} initParts the arguments of the initializer @param {number} seq
 * @param {Parts} parts the calls
 */
function chunkBody(header, initParts, seq, parts) {
  const json = Buffer.from(toJson(header));
  const init = packFrame(INIT, 0, 0, 0, initParts);
  const lengths = [json, init].map(({ length }) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(length);
    return bytes;
  });
  return [lengths[0], json, lengths[1], init, packFrame(CALLS, 0, seq, 0, parts)];
}

/**
 * @param {Buffer} body
 * @returns {{ header: ChunkHeader, init: Buffer, initParts: () => Parts, parts: Parts }} `init`: what stands for
 *   `initParts`, to be compared
 */
function readChunk(body) {
  try {
    const initAt = 4 + body.readUInt32LE(0);
    const callsAt = initAt + 4 + body.readUInt32LE(initAt);
    const header = fromJson(body.toString('utf8', 4, initAt));
    const init = body.subarray(initAt + 4, callsAt);
    const { kind, parts } = unpackFrame(body.subarray(callsAt));
    if (kind !== CALLS) throw new Error(`a frame of kind ${kind} in the place of calls`);
    return { header, init, initParts: () => unpackFrame(init).parts, parts };
  } catch (cause) {
    throw remoteProtocolError('a chunk that cannot be read', cause);
  }
}

/**
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 * @returns {Buffer}
 */
function packFrame(kind, id, seq, aux, parts) {
  return native().packFrame(kind, id, seq, aux, parts);
}

/** @param {Uint8Array} bytes @returns {Frame} */
function unpackFrame(bytes) {
  try {
    return /** @type {Frame} */ (native().unpackFrame(bytes));
  } catch (cause) {
    throw remoteProtocolError('a frame that cannot be read', cause);
  }
}

function native() {
  return require('../native/native');
}

module.exports = { CHUNK, FRAME, MESSAGE, FORMAT, Seal, chunkBody, packFrame, readChunk, unpackFrame };
