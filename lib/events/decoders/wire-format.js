'use strict';

/**
 * What schema registries put before a payload: which schema it was written with, and whether it is compressed.
 *
 * | format | before the payload |
 * |---|---|
 * | Confluent | 0, the schema's number in 4 bytes; for Protocol Buffers the place of the message in its file as well |
 * | AWS Glue | 3, 0 or 5 (zlib), the schema version's UUID in 16 bytes; for Protocol Buffers a number as well |
 *
 * Where Lambda itself has looked the schema up, it has removed all that but the place of a message, and says which
 * schema it was beside the payload (`valueSchemaMetadata`).
 *
 * Must not depend on records, or on what a payload is.
 */

/** @typedef {'none' | 'auto' | 'confluent' | 'glue'} WireFormat */

/** @typedef {{ schemaId: string | null, payload: Buffer }} Unframed */

const CONFLUENT_MAGIC = 0;
const CONFLUENT_HEADER = 5;
const GLUE_VERSION = 3;
const GLUE_UNCOMPRESSED = 0;
const GLUE_ZLIB = 5;
const GLUE_HEADER = 18;

/** Fields of Protocol Buffers begin with their number times eight: no message begins with less. */
const MIN_TAG = 8;

/** @param {Buffer} bytes */
function beginsLikeGlue(bytes) {
  return bytes.length >= GLUE_HEADER && bytes[0] === GLUE_VERSION &&
    (bytes[1] === GLUE_UNCOMPRESSED || bytes[1] === GLUE_ZLIB);
}

/** @param {Buffer} bytes */
function beginsLikeConfluent(bytes) {
  return bytes.length >= CONFLUENT_HEADER && bytes[0] === CONFLUENT_MAGIC;
}

/**
 * The format that bytes seem to have. Not to be relied on where none was promised: Avro may begin in the same way.
 * @param {Buffer} bytes
 * @returns {WireFormat}
 */
function guessWireFormat(bytes) {
  if (beginsLikeGlue(bytes)) return 'glue';
  return beginsLikeConfluent(bytes) ? 'confluent' : 'none';
}

/**
 * @param {Buffer} bytes @param {WireFormat} format
 * @param {boolean} isProtobuf
 * @returns {Unframed}
 */
function unframe(bytes, format, isProtobuf) {
  switch (format === 'auto' ? guessWireFormat(bytes) : format) {
    case 'confluent':
      return unframeConfluent(bytes, isProtobuf);
    case 'glue':
      return unframeGlue(bytes, isProtobuf);
    default:
      return { schemaId: null, payload: bytes };
  }
}

/** @param {Buffer} bytes @param {boolean} isProtobuf @returns {Unframed} */
function unframeConfluent(bytes, isProtobuf) {
  if (!beginsLikeConfluent(bytes)) {
    throw new RangeError(`it has no header of Confluent's: it begins with ${beginningOf(bytes)}`);
  }
  const payload = bytes.subarray(CONFLUENT_HEADER);
  return {
    schemaId: String(bytes.readUInt32BE(1)),
    payload: isProtobuf ? payload.subarray(messageIndexLength(payload)) : payload,
  };
}

/** @param {Buffer} bytes @param {boolean} isProtobuf @returns {Unframed} */
function unframeGlue(bytes, isProtobuf) {
  if (!beginsLikeGlue(bytes)) {
    throw new RangeError(`it has no header of AWS Glue's: it begins with ${beginningOf(bytes)}`);
  }
  const hex = bytes.toString('hex', 2, GLUE_HEADER);
  const schemaId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  let payload = bytes.subarray(GLUE_HEADER);
  if (bytes[1] === GLUE_ZLIB) payload = require('node:zlib').inflateSync(payload);
  return { schemaId, payload: isProtobuf ? payload.subarray(readVarint(payload, 0).end) : payload };
}

/**
 * A message of Protocol Buffers from which Lambda has removed the schema's identifier. What may be left before it
 * cannot be mistaken for a field.
 * @param {Buffer} bytes @param {string} schemaId
 */
function withoutMessageIndex(bytes, schemaId) {
  if (bytes.length === 0 || bytes[0] >= MIN_TAG) return bytes;
  // Glue's identifiers are UUIDs, Confluent's are numbers.
  return bytes.subarray(schemaId.includes('-') ? readVarint(bytes, 0).end : messageIndexLength(bytes));
}

/**
 * How many bytes Confluent's path to a message has: a count and as many numbers, or a 0 for the first message.
 * @param {Buffer} bytes
 */
function messageIndexLength(bytes) {
  const { value, end } = readVarint(bytes, 0);
  // Zigzag coded, which makes a count even; some clients write it plainly.
  const count = value % 2 === 0 ? value / 2 : value;
  let at = end;
  for (let i = 0; i < count; i++) at = readVarint(bytes, at).end;
  return at;
}

/** @param {Buffer} bytes @param {number} start */
function readVarint(bytes, start) {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length && at < start + 5; at++) {
    value += (bytes[at] & 127) * scale;
    if (bytes[at] < 128) return { value, end: at + 1 };
    scale *= 128;
  }
  throw new RangeError('the place of the message in its schema is cut off');
}

/** @param {Buffer} bytes */
function beginningOf(bytes) {
  return bytes.length === 0 ? 'nothing' : bytes.toString('hex', 0, 6);
}

module.exports = { guessWireFormat, unframe, withoutMessageIndex };
