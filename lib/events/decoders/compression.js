'use strict';

/**
 * Payloads that were compressed before they were sent.
 *
 * Must not depend on records, or on what is in them.
 */

const zlib = require('node:zlib');

/** @typedef {'gzip' | 'zlib' | 'brotli' | 'zstd' | 'auto'} Compression */

const ZSTD_MAGIC = Buffer.from('28b52ffd', 'hex');

/**
 * @param {Buffer} bytes @param {Compression} compression
 * @returns {Buffer}
 */
function decompress(bytes, compression) {
  switch (compression) {
    case 'gzip':
      return zlib.gunzipSync(bytes);
    case 'zlib':
      return zlib.inflateSync(bytes);
    case 'brotli':
      return zlib.brotliDecompressSync(bytes);
    case 'zstd':
      return unzstd(bytes);
    case 'auto':
      if (isGzip(bytes)) return zlib.gunzipSync(bytes);
      if (isZlib(bytes)) return zlib.inflateSync(bytes);
      return bytes.subarray(0, 4).equals(ZSTD_MAGIC) ? unzstd(bytes) : bytes;
  }
}

/** @param {Buffer} bytes */
function isGzip(bytes) {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** By the two bytes that zlib begins with, of which the second is a check of the first. @param {Buffer} bytes */
function isZlib(bytes) {
  return bytes.length > 2 && bytes[0] === 0x78 && ((bytes[0] << 8) | bytes[1]) % 31 === 0;
}

/** @param {Buffer} bytes @returns {Buffer} */
function unzstd(bytes) {
  /** @type {((bytes: Buffer) => Buffer) | undefined} */
  const decompressSync = Reflect.get(zlib, 'zstdDecompressSync');
  if (decompressSync === undefined) throw new Error('zstd needs Node 22.15 or newer');
  return decompressSync(bytes);
}

module.exports = { decompress, isGzip };
