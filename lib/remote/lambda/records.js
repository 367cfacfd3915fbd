'use strict';

/**
 * What an invocation carries: a chunk as the event, and records as the response.
 *
 * ```text
 * event    = { "parallelizer": 1, "chunk": id, "bytes": base64 }
 * response = 'PLZI', version u8, records
 * record   = kind u8, length u32, bytes
 * ```
 *
 * Numbers are little-endian. The response is streamed: what a function had answered before it died has arrived.
 *
 * Must not depend on who sends, nor on what is in the bytes.
 */

const VERSION = 1;
const MAGIC = Buffer.from('PLZI');
const PREFIX = MAGIC.length + 1;
const HEADER = 5;

/** Lambda's limit for an event, with room for what stands around the bytes. */
const MAX_EVENT = 6 * 1024 * 1024;
const MAX_CHUNK = ((MAX_EVENT - 4096) / 4) * 3;
/** A record of more is a response that is none of ours. */
const MAX_RECORD = 256 * 1024 * 1024;

/** The name of the host that answers, as text. */
const HELLO = 0;
/** A frame. */
const FRAME = 1;
/** The chunk is done. */
const DONE = 2;
/** None of the chunk was begun, and why, as text. */
const RETURNED = 3;
/** What still ran of the chunk was killed, and why, as text. */
const LOST = 4;

/**
 * @typedef {object} InvokeEvent
 * @property {number} parallelizer the version
 * @property {string} chunk
 * @property {string} bytes base64
 */

/** @param {string} id @param {readonly Uint8Array[]} parts @returns {Buffer} the event, as JSON */
function eventOf(id, parts) {
  const bytes = Buffer.concat(parts).toString('base64');
  // Not by a serializer: neither part needs escapes, and this may be 6 MB.
  return Buffer.from(`{"parallelizer":${VERSION},"chunk":"${id}","bytes":"${bytes}"}`, 'latin1');
}

/**
 * What an event carries; throws what says why it is none of ours.
 * @param {unknown} event
 * @returns {{ id: string, bytes: Buffer }}
 */
function chunkOf(event) {
  const { parallelizer: version, chunk, bytes } = /** @type {Partial<InvokeEvent>} */ (event ?? {});
  if (version === undefined || typeof chunk !== 'string' || typeof bytes !== 'string') {
    throw new Error('the event is from elsewhere: this function works for pools with the engine lambdaInvoke()');
  }
  if (version !== VERSION) {
    throw new Error(
      `the event has version ${version} of the format and this function knows version ${VERSION}: ` +
        'install the same version of @parallelizer/node on both sides',
    );
  }
  return { id: chunk, bytes: Buffer.from(bytes, 'base64') };
}

/** The beginning of a response. */
function responsePrefix() {
  return Buffer.concat([MAGIC, Buffer.of(VERSION)]);
}

/** @param {number} kind @param {Uint8Array | string} content */
function record(kind, content) {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const all = Buffer.allocUnsafe(HEADER + bytes.length);
  all[0] = kind;
  all.writeUInt32LE(bytes.length, 1);
  all.set(bytes, HEADER);
  return all;
}

/** Takes a response apart as it comes in. */
class RecordReader {
  /** @type {Buffer[]} */
  #parts = [];
  #length = 0;
  /** How many bytes there must be before there is anything to read. */
  #needed = PREFIX;
  #isBegun = false;
  #onRecord;

  /** @param {(kind: number, bytes: Buffer) => void} onRecord called with bytes that nobody else has */
  constructor(onRecord) {
    this.#onRecord = onRecord;
  }

  /** Whether the response is known to be one of ours. */
  get isBegun() {
    return this.#isBegun;
  }

  /** Throws if the response is none of ours. @param {Uint8Array} bytes */
  push(bytes) {
    if (bytes.length === 0) return;
    this.#parts.push(Buffer.from(bytes));
    this.#length += bytes.length;
    if (this.#length < this.#needed) return;
    let all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    if (!this.#isBegun) {
      if (!all.subarray(0, MAGIC.length).equals(MAGIC) || all[MAGIC.length] !== VERSION) {
        throw new Error(`the function has answered something else: ${JSON.stringify(all.toString('utf8', 0, 200))}`);
      }
      this.#isBegun = true;
      all = all.subarray(PREFIX);
    }
    all = this.#take(all);
    this.#parts = [all];
    this.#length = all.length;
  }

  /** Hands on all records that are whole; returns the rest. @param {Buffer} all */
  #take(all) {
    let rest = all;
    for (;;) {
      this.#needed = HEADER;
      if (rest.length < HEADER) return rest;
      const length = rest.readUInt32LE(1);
      if (length > MAX_RECORD) throw new Error(`a record of ${length} bytes is none of this library's`);
      this.#needed = HEADER + length;
      if (rest.length < this.#needed) return rest;
      const kind = rest[0];
      const bytes = rest.subarray(HEADER, this.#needed);
      rest = rest.subarray(this.#needed);
      this.#onRecord(kind, bytes);
    }
  }
}

module.exports = {
  MAX_CHUNK, HELLO, FRAME, DONE, RETURNED, LOST, RecordReader, chunkOf, eventOf, record, responsePrefix,
};
