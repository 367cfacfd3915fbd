'use strict';

/**
 * Avro, by the package `avsc`, which is an optional peer.
 *
 * Integers of 64 bits are numbers where these keep every digit, and BigInts beyond.
 *
 * Must not depend on records.
 */

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * @param {any} avsc the package
 * @param {string | null} readerSchema the schema that data is read as, whatever it was written with
 * @returns {(schema: string) => (bytes: Buffer) => unknown} from the schema that data was written with
 */
function avroDecoders(avsc, readerSchema) {
  const long = exactLong(avsc);
  /** @param {string} schema */
  const typeOf = (schema) => avsc.Type.forSchema(schemaOf(schema), { registry: { long } });
  const reader = readerSchema === null ? null : typeOf(readerSchema);
  return (schema) => {
    const writer = typeOf(schema);
    if (reader === null) return (bytes) => writer.fromBuffer(bytes);
    const resolver = reader.createResolver(writer);
    return (bytes) => reader.fromBuffer(bytes, resolver);
  };
}

/** A schema as JSON, or the name of a primitive type. @param {string} text */
function schemaOf(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/^[a-z]+$/.test(text)) return text;
    throw error;
  }
}

/** @param {any} avsc */
function exactLong({ types }) {
  return types.LongType.__with({
    /** @param {Buffer} bytes */
    fromBuffer(bytes) {
      const value = bytes.readBigInt64LE();
      return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value;
    },
    /** @param {number | bigint} value */
    toBuffer(value) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt(value));
      return bytes;
    },
    /** @param {number | bigint} value */
    fromJSON: (value) => value,
    /** @param {number | bigint} value */
    toJSON: (value) => value,
    /** @param {unknown} value */
    isValid: (value) => typeof value === 'bigint' || Number.isSafeInteger(value),
    /** @param {number | bigint} a @param {number | bigint} b */
    compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  });
}

module.exports = { avroDecoders };
