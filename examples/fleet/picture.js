'use strict';

/** A picture out of its tiles, and as a PNG file. */

const { deflateSync } = require('node:zlib');
const { CHANNELS, TILE } = require('./tiles.js');

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TRUE_COLOR = 2;
const BITS = 8;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
  return crc;
});

class Canvas {
  /** @param {import('./tiles.js').Picture} picture */
  constructor({ width, height }) {
    this.width = width;
    this.height = height;
    this.pixels = Buffer.alloc(width * height * CHANNELS);
  }

  /** @param {import('./tiles.js').Tile} tile @param {Uint8Array} pixels */
  put({ left, top }, pixels) {
    const length = TILE * CHANNELS;
    for (let row = 0; row < TILE; row += 1) {
      const to = ((top + row) * this.width + left) * CHANNELS;
      this.pixels.set(pixels.subarray(row * length, (row + 1) * length), to);
    }
  }

  /** @returns {Buffer} a PNG file */
  toPng() {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(this.width, 0);
    header.writeUInt32BE(this.height, 4);
    header.set([BITS, TRUE_COLOR], 8);
    const length = this.width * CHANNELS;
    // Each line begins with the number of its filter: 0, none.
    const lines = Array.from({ length: this.height }, (_, row) => (
      Buffer.concat([Buffer.from([0]), this.pixels.subarray(row * length, (row + 1) * length)])
    ));
    return Buffer.concat([
      SIGNATURE, pngChunk('IHDR', header), pngChunk('IDAT', deflateSync(Buffer.concat(lines))), pngChunk('IEND'),
    ]);
  }
}

/** @param {string} type @param {Buffer} [data] */
function pngChunk(type, data = Buffer.alloc(0)) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crcOf(body), body.length + 4);
  return chunk;
}

/** @param {Buffer} bytes */
const crcOf = (bytes) => ~bytes.reduce((crc, byte) => CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8), -1) >>> 0;

module.exports = { Canvas };
