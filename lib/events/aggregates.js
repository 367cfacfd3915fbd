'use strict';

/**
 * Records that the Kinesis Producer Library has packed into one: four magic bytes, a message of Protocol Buffers, and
 * the MD5 digest of that message.
 *
 * | field of the message | is |
 * |---|---|
 * | 1, repeated | a partition key |
 * | 2, repeated | an explicit hash key |
 * | 3, repeated | a record: 1 and 2 are the places of its keys in these lists, 3 its data |
 *
 * A stream may have both kinds of records. As in the Kinesis Client Library, one whose digest is wrong is no aggregate.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { createHash } = require('node:crypto');

const MAGIC = Buffer.from('f3899ac2', 'hex');
const DIGEST_LENGTH = 16;

/** @typedef {{ partitionKey: string, explicitHashKey: string | null, data: Buffer }} UserRecord */

/**
 * @param {Buffer} bytes
 * @returns {UserRecord[] | null} `null`: it is no aggregate
 */
function deaggregate(bytes) {
  if (bytes.length <= MAGIC.length + DIGEST_LENGTH || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const message = bytes.subarray(MAGIC.length, -DIGEST_LENGTH);
  if (!hasDigest(message, bytes.subarray(-DIGEST_LENGTH))) return null;
  /** @type {string[]} */
  const partitionKeys = [];
  /** @type {string[]} */
  const hashKeys = [];
  /** @type {UserRecord[]} */
  const records = [];
  /** @type {Buffer[]} Read last: the lists of keys need not stand before them. */
  const packed = [];
  for (const [field, value] of fieldsOf(message)) {
    if (typeof value === 'number') continue;
    if (field === 1) partitionKeys.push(value.toString('utf8'));
    else if (field === 2) hashKeys.push(value.toString('utf8'));
    else if (field === 3) packed.push(value);
  }
  for (const record of packed) {
    let keyAt = -1;
    let hashKeyAt = -1;
    /** @type {Buffer} */
    let data = Buffer.alloc(0);
    for (const [field, value] of fieldsOf(record)) {
      if (field === 1 && typeof value === 'number') keyAt = value;
      else if (field === 2 && typeof value === 'number') hashKeyAt = value;
      else if (field === 3 && typeof value !== 'number') data = value;
    }
    if (partitionKeys[keyAt] === undefined) throw new RangeError('the aggregate has a record without a partition key');
    records.push({ partitionKey: partitionKeys[keyAt], explicitHashKey: hashKeys[hashKeyAt] ?? null, data });
  }
  return records;
}

/** @param {Buffer} message @param {Buffer} digest */
function hasDigest(message, digest) {
  let own;
  try {
    own = createHash('md5').update(message).digest();
  } catch {
    // Where the system allows no MD5 (FIPS), the magic bytes have to do.
    return true;
  }
  return own.equals(digest);
}

/**
 * The fields of a message of Protocol Buffers; of the kinds that such messages have.
 * @param {Buffer} bytes
 * @returns {Generator<[field: number, value: number | Buffer]>}
 */
function* fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    for (let value = 0, scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError('the aggregate is cut off');
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const kind = tag % 8;
    if (kind === 0) {
      yield [field, varint()];
    } else if (kind === 2) {
      const length = varint();
      if (length > bytes.length - at) throw new RangeError('the aggregate is cut off');
      yield [field, bytes.subarray(at, (at += length))];
    } else {
      throw new RangeError(`the aggregate has a field of an unknown kind, ${kind}`);
    }
  }
}

module.exports = { deaggregate };
