'use strict';

/**
 * Values in V8's own format, with their large byte arrays beside it instead of in it: these are neither copied into the
 * text of the value nor out of it again.
 *
 * A view (`Buffer`, typed array, `DataView`) is written as a mark, or as a mark and its place among the byte arrays. A large
 * `ArrayBuffer` is known to the format by a number; how many there are is written first. They come first among the byte
 * arrays.
 *
 * May not know frames, or how the byte arrays travel.
 */

const { DefaultDeserializer, DefaultSerializer } = require('node:v8');

/** Smaller byte arrays are cheaper in the text, in bytes. */
const LEAST_APART = 8192;
/** Objects that are searched for `ArrayBuffer`s; one that is not found is copied. */
const MAX_SEARCHED = 64;
const MAX_DEPTH = 4;

/** How a view is written: as Node does it, or (from this number on) as bytes apart of a kind. */
const WITHIN = 0;
const APART = 1;

/** @type {readonly string[]} Kinds of views, by number. */
const KINDS = [
  'Buffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array',
  'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Float16Array',
];

/** The getter that tells the kind of a typed array, whatever its own properties say. */
const kindOf = /** @type {() => string | undefined} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get
);

class Encoder extends DefaultSerializer {
  /** @type {Uint8Array[]} */
  apart = [];

  /** @param {any} value @returns {any} what Node's own method returns */
  _writeHostObject(value) {
    if (ArrayBuffer.isView(value)) {
      if (isShared(value.buffer)) throw new TypeError('shared memory cannot be copied without being torn from its other users');
      const kind = KINDS.indexOf(Buffer.isBuffer(value) ? 'Buffer' : (kindOf.call(value) ?? 'DataView'));
      if (value.byteLength >= LEAST_APART && kind >= 0) {
        this.writeUint32(APART + kind);
        this.writeUint32(this.apart.length);
        this.apart.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        return undefined;
      }
    }
    this.writeUint32(WITHIN);
    return Reflect.apply(Reflect.get(DefaultSerializer.prototype, '_writeHostObject'), this, [value]);
  }
}

class Decoder extends DefaultDeserializer {
  /** @type {readonly Uint8Array[]} */
  apart = [];

  _readHostObject() {
    const how = this.readUint32();
    if (how === WITHIN) return Reflect.apply(Reflect.get(DefaultDeserializer.prototype, '_readHostObject'), this, []);
    return viewOf(KINDS[how - APART], this.apart[this.readUint32()]);
  }
}

/**
 * Throws what V8 throws for a value that cannot travel.
 * @param {unknown} value
 * @returns {{ bytes: Buffer, apart: Uint8Array[] }} `apart` is memory of the value's own
 */
function encodeV8(value) {
  const encoder = new Encoder();
  const buffers = largeBuffersIn(value);
  encoder.writeHeader();
  encoder.writeUint32(buffers.length);
  for (const [i, buffer] of buffers.entries()) {
    encoder.transferArrayBuffer(i, buffer);
    encoder.apart.push(new Uint8Array(buffer));
  }
  encoder.writeValue(value);
  return { bytes: encoder.releaseBuffer(), apart: encoder.apart };
}

/**
 * @param {Uint8Array} bytes @param {readonly Uint8Array[]} apart becomes part of the value
 * @returns {unknown}
 */
function decodeV8(bytes, apart) {
  const decoder = new Decoder(bytes);
  decoder.apart = apart;
  decoder.readHeader();
  const buffers = decoder.readUint32();
  for (let i = 0; i < buffers; i++) decoder.transferArrayBuffer(i, wholeBuffer(apart[i]));
  return decoder.readValue();
}

/** @param {unknown} buffer */
function isShared(buffer) {
  return typeof SharedArrayBuffer === 'function' && buffer instanceof SharedArrayBuffer;
}

/**
 * Large `ArrayBuffer`s near the surface of a value.
 * @param {unknown} value
 */
function largeBuffersIn(value) {
  /** @type {Set<ArrayBuffer>} */
  const found = new Set();
  let left = MAX_SEARCHED;
  search(value, 0);
  return [...found];

  /** @param {unknown} part @param {number} depth */
  function search(part, depth) {
    if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) return;
    if (part instanceof ArrayBuffer) {
      if (part.byteLength >= LEAST_APART && !Reflect.get(part, 'resizable')) found.add(part);
      return;
    }
    if (depth === MAX_DEPTH) return;
    if (part instanceof Map || part instanceof Set || Array.isArray(part)) {
      for (const item of part.values()) {
        if (--left < 0) return;
        search(item, depth + 1);
      }
      return;
    }
    const prototype = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) return;
    for (const key in part) {
      if (--left < 0) return;
      const own = Object.getOwnPropertyDescriptor(part, key);
      if (own !== undefined && 'value' in own) search(own.value, depth + 1);
    }
  }
}

/** @param {Uint8Array} bytes @returns {ArrayBuffer} */
function wholeBuffer(bytes) {
  const { buffer } = bytes;
  const isWhole = bytes.byteOffset === 0 && bytes.byteLength === buffer.byteLength;
  return /** @type {ArrayBuffer} */ (isWhole ? buffer : bytes.slice().buffer);
}

/**
 * @param {string} kind @param {Uint8Array} bytes
 * @returns {ArrayBufferView}
 */
function viewOf(kind, bytes) {
  if (kind === 'Buffer') return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === 'DataView') return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const View = Reflect.get(globalThis, kind);
  const width = View.BYTES_PER_ELEMENT;
  if (bytes.byteOffset % width === 0) return new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / width);
  return new View(bytes.slice().buffer);
}

module.exports = { encodeV8, decodeV8 };
