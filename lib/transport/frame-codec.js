'use strict';

/**
 * Frames to bytes and back, for pipes whose ends are both in JavaScript. `src/wire/` does the same where one of them is
 * native, and has the layout; this is as strict: what is no frame is an error, and no more memory is held than a small
 * multiple of what was received.
 *
 * Must not depend on who sends, on what the bytes travel through, or on what a value means.
 */

const {
  BEGUN, BYTES, CALLS, CANCEL, CODEC_FIELD, DEMAND, FLAGS_FIELD, INIT, LATIN1, LOAD_FAILED, MEMORY, MESSAGE, NO_CODEC,
  OUTPUT, PART_FAILED, PART_FIELDS, PART_REFUSED, READY, REPLY, STOP, UTF16, UTF8, VALUE_FIELD, WAKE,
} = require('./constants');

/** Bytes of a frame's header, and of a part's. */
const HEADER = 28;
const PART_HEADER = 20;
/** The longest body that is accepted, in bytes. */
const MAX_BODY = 2 ** 40;
/** A longer text may be refused, in bytes. */
const MAX_SIMPLE = 2 ** 20;
/** What is never sent here: the encoding and the flag of parts whose bytes are in shared memory. */
const SHARED = 3;
const ATTACHED = 1 << 15;

const KINDS = tableOf([
  INIT, CALLS, CANCEL, STOP, WAKE, DEMAND, READY, LOAD_FAILED, REPLY, BEGUN, OUTPUT, MEMORY, MESSAGE,
]);
const ENCODINGS = tableOf([LATIN1, UTF8, BYTES, UTF16, SHARED]);

/**
 * Which bytes are among these. (A `Set` is made by the iterator of arrays, which others may have replaced.)
 * @param {number[]} numbers
 */
function tableOf(numbers) {
  const table = new Uint8Array(256);
  numbers.forEach((number) => (table[number] = 1));
  return table;
}

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * @callback Receive
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 * @returns {void}
 */

// ---- Writing -----------------------------------------------------------------------------------------------

/** @param {number} encoding @param {string | Uint8Array} value */
function lengthOf(encoding, value) {
  if (typeof value !== 'string') return value.byteLength;
  if (encoding === LATIN1) return value.length;
  return encoding === UTF16 ? value.length * 2 : Buffer.byteLength(value);
}

/**
 * How many bytes a frame with these parts has.
 * @param {Parts} parts
 */
function frameLength(parts) {
  let length = HEADER;
  for (let at = 0; at < parts.length; at += PART_FIELDS) {
    const value = /** @type {string | Uint8Array} */ (parts[at + VALUE_FIELD]);
    length += PART_HEADER + lengthOf(/** @type {number} */ (parts[at]), value);
  }
  return length;
}

/**
 * Writes a frame to a buffer, which has room for `length` bytes from this place on.
 * @param {any} buffer a `Buffer`, with methods that are not in its types
 * @param {number} start @param {number} length of the frame, see `frameLength`
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 */
function writeFrame(buffer, start, length, kind, id, seq, aux, parts) {
  writeLong(buffer, length - HEADER, start);
  buffer.writeUInt32LE(kind, start + 8);
  buffer.writeUInt32LE(parts.length / PART_FIELDS, start + 12);
  buffer.writeUInt32LE(id, start + 16);
  buffer.writeUInt32LE(seq, start + 20);
  buffer.writeUInt32LE(aux, start + 24);
  let at = start + HEADER;
  for (let part = 0; part < parts.length; part += PART_FIELDS) {
    const encoding = /** @type {number} */ (parts[part]);
    const body = at + PART_HEADER;
    const size = writeValue(buffer, body, encoding, /** @type {string | Uint8Array} */ (parts[part + VALUE_FIELD]));
    buffer[at] = encoding;
    buffer[at + 1] = parts[part + 1];
    buffer.writeUInt16LE(parts[part + 2], at + 2);
    buffer.writeUInt32LE(parts[part + 3], at + 4);
    buffer.writeUInt32LE(parts[part + 4], at + 8);
    writeLong(buffer, size, at + 12);
    at = body + size;
  }
}

/** @param {any} buffer @param {number} at @param {number} encoding @param {string | Uint8Array} value */
function writeValue(buffer, at, encoding, value) {
  if (typeof value !== 'string') {
    buffer.set(value, at);
    return value.byteLength;
  }
  if (value === '') return 0;
  if (encoding === LATIN1) return buffer.latin1Write(value, at);
  return encoding === UTF16 ? buffer.ucs2Write(value, at) : buffer.utf8Write(value, at);
}

/** @param {Buffer} buffer @param {number} value @param {number} at */
function writeLong(buffer, value, at) {
  buffer.writeUInt32LE(value % 2 ** 32, at);
  buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/**
 * A frame as bytes of its own.
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 */
function encodeFrame(kind, id, seq, aux, parts) {
  const length = frameLength(parts);
  const buffer = Buffer.allocUnsafeSlow(length);
  writeFrame(buffer, 0, length, kind, id, seq, aux, parts);
  return buffer;
}

// ---- Reading -----------------------------------------------------------------------------------------------

/** Cuts a stream of bytes into frames, wherever the reads happened to end. After an error the stream is unusable. */
class FrameDecoder {
  /** @type {Buffer[]} Received and not yet consumed. */
  #chunks = [];
  /** How many bytes that are. */
  #received = 0;
  /** How many bytes the next frame has at least; fewer need not be looked at. */
  #wanted = HEADER;
  /** Whether the last chunk is in memory of somebody else's. */
  #isLent = false;

  /**
   * Takes in what was received.
   * @param {Buffer} bytes which are kept as they are
   * @param {boolean} [isLent] they will be overwritten after `keep`
   */
  add(bytes, isLent = false) {
    this.keep();
    this.#chunks.push(bytes);
    this.#received += bytes.length;
    this.#isLent = isLent;
  }

  /** Copies what is left of bytes that were lent. */
  keep() {
    if (!this.#isLent) return;
    this.#isLent = false;
    const last = this.#chunks.length - 1;
    if (last >= 0) this.#chunks[last] = Buffer.from(this.#chunks[last]);
  }

  /**
   * The next whole frame; `null` if more bytes are needed.
   * @returns {[kind: number, id: number, seq: number, aux: number, parts: Parts] | null}
   */
  next() {
    if (this.#received < this.#wanted) return null;
    if (this.#chunks[0].length < this.#wanted) this.#chunks = [Buffer.concat(this.#chunks, this.#received)];
    const { 0: bytes } = this.#chunks;
    const end = HEADER + bodyLength(bytes);
    if (bytes.length < end) {
      this.#wanted = end;
      // It may be in the chunks that follow.
      return this.#received < end ? null : this.next();
    }
    const parts = partsIn(bytes, end);
    this.#wanted = HEADER;
    this.#received -= end;
    if (bytes.length === end) this.#chunks.shift();
    else this.#chunks[0] = bytes.subarray(end);
    return [bytes[8], bytes.readUInt32LE(16), bytes.readUInt32LE(20), bytes.readUInt32LE(24), parts];
  }
}

/** @param {Buffer} bytes @param {number} at */
function longAt(bytes, at) {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** @param {Buffer} header @returns {number} */
function bodyLength(header) {
  if (KINDS[header[8]] === 0) throw new Error(`a frame of unknown kind ${header[8]}`);
  const length = longAt(header, 0);
  if (length > MAX_BODY) throw new Error(`a frame of ${length} bytes, more than ${MAX_BODY}`);
  return length;
}

/**
 * The parts of the frame at the beginning of these bytes, which has to be filled by them.
 * @param {Buffer} bytes @param {number} end of the frame
 */
function partsIn(bytes, end) {
  const simple = onlyPartIn(bytes, end);
  if (simple !== null) return simple;
  const places = placesOfParts(bytes, end, bytes.readUInt32LE(12));
  /** @type {Parts} */
  const parts = [];
  let head = 0;
  for (let place = 0; place < places.length; place++) {
    const at = places[place];
    const encoding = bytes[at];
    const flags = bytes.readUInt16LE(at + 2) & ~PART_REFUSED;
    const calls = bytes.readUInt32LE(at + 4);
    const tag = bytes.readUInt32LE(at + 8);
    const body = at + PART_HEADER;
    const to = body + longAt(bytes, at + 12);
    if (calls > 0) head = parts.length;
    if (encoding === SHARED || (flags & ATTACHED) !== 0) {
      parts.push(LATIN1, NO_CODEC, flags & ~ATTACHED, calls, tag, NO_MEMORY);
      // What belongs to a value is missing from it.
      markUnreadable(parts, head);
      continue;
    }
    try {
      parts.push(encoding, bytes[at + 1], flags, calls, tag, valueIn(bytes, encoding, body, to));
    } catch (error) {
      // A text that is too long for V8, or no memory for it: its sender cannot know.
      parts.push(UTF8, bytes[at + 1], flags | PART_REFUSED, calls, tag, String(/** @type {Error} */ (error).message));
    }
  }
  return parts;
}

/**
 * The only part of a frame, where it is a text in one byte a character, as most are; `null` otherwise.
 * @param {any} bytes @param {number} end
 * @returns {Parts | null}
 */
function onlyPartIn(bytes, end) {
  const body = HEADER + PART_HEADER;
  if (end < body || bytes.readUInt32LE(12) !== 1 || bytes[HEADER] !== LATIN1) return null;
  const flags = bytes.readUInt16LE(HEADER + 2);
  const isWhole = bytes.readUInt32LE(HEADER + 12) === end - body && bytes.readUInt32LE(HEADER + 16) === 0;
  if (!isWhole || (flags & (ATTACHED | PART_REFUSED)) !== 0 || end - body > MAX_SIMPLE) return null;
  const text = bytes.latin1Slice(body, end);
  return [LATIN1, bytes[HEADER + 1], flags, bytes.readUInt32LE(HEADER + 4), bytes.readUInt32LE(HEADER + 8), text];
}

const NO_MEMORY = 'shared memory that has not come with its frame';

/** What the part at this place is for fails, since it cannot be read. @param {Parts} parts @param {number} at */
function markUnreadable(parts, at) {
  parts[at] = LATIN1;
  parts[at + CODEC_FIELD] = NO_CODEC;
  parts[at + FLAGS_FIELD] = /** @type {number} */ (parts[at + FLAGS_FIELD]) | PART_FAILED;
  parts[at + VALUE_FIELD] = NO_MEMORY;
}

/** @param {Buffer} bytes @param {number} end @param {number} count @returns {number[]} */
function placesOfParts(bytes, end, count) {
  const places = [];
  let at = HEADER;
  for (let part = 0; part < count; part++) {
    if (at < end && ENCODINGS[bytes[at]] === 0) throw new Error(`a part of unknown encoding ${bytes[at]}`);
    const next = at + PART_HEADER <= end ? at + PART_HEADER + longAt(bytes, at + 12) : Infinity;
    if (next > end) throw new Error('a frame whose parts do not fill it');
    places.push(at);
    at = next;
  }
  if (at !== end) throw new Error('a frame whose parts do not fill it');
  return places;
}

/** @param {any} bytes @param {number} encoding @param {number} from @param {number} to */
function valueIn(bytes, encoding, from, to) {
  if (encoding === BYTES) return Buffer.from(bytes.subarray(from, to));
  if (from === to) return '';
  if (encoding === LATIN1) return bytes.latin1Slice(from, to);
  return encoding === UTF8 ? bytes.utf8Slice(from, to) : bytes.ucs2Slice(from, to);
}

module.exports = { FrameDecoder, encodeFrame, frameLength, writeFrame };
