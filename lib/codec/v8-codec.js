'use strict';

/**
 * Values in V8's own format, with their large byte arrays next to it instead of in it, so that these are copied neither
 * into the serialized value nor out of it again.
 *
 * A view (`Buffer`, typed array, `DataView`) is written as a mark, or as a mark and its place among the byte arrays.
 * The format refers to a large `ArrayBuffer` by a number; how many there are is written first, and they come first
 * among the byte arrays. Between threads, buffers that are shared or moved get the numbers after these; views of them
 * are written as a mark, the buffer's place, and the range within it.
 *
 * # How a large byte array gets to another process and back into an array
 *
 * From 256 KiB on: copied into shared memory (1), which the receiver maps as the array itself; a page of it is copied
 * when it is written to. Smaller ones, and where there is no shared memory: copied into the frame (1), into the socket
 * (2), out of it into the decoder's buffer (3), into the array (4). Between threads: copied (1), and moved.
 *
 * Must not depend on frames, or on how the byte arrays travel.
 */

const { define } = require('../intrinsics/define');
const { isArrayBuffer } = require('node:util').types;
const { DefaultDeserializer, DefaultSerializer } = require('node:v8');
const { isForeign, rehome } = require('./realm');

/** Byte arrays of fewer bytes are cheaper within the serialized value. */
const MIN_APART = 8192;
/** How many objects are searched for `ArrayBuffer`s, and how deep; one that is not found is copied. */
const MAX_SEARCHED = 64;
const MAX_DEPTH = 4;

/**
 * The mark of a view: written as Node does it; its kind plus `APART` for bytes apart, plus `OVER` for a range of a
 * carried buffer; or a stand-in for a carried buffer itself.
 */
const WITHIN = 0;
const APART = 1;
const OVER = 64;
const SHARED = 128;

/** @type {WeakSet<object>} Views that stand for shared memory itself. */
const standIns = new WeakSet();

/** @type {readonly string[]} The kinds of views, by number. */
const KINDS = [
  'Buffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array',
  'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Float16Array',
];

/** The getter that returns the kind of a typed array, whatever its own properties say. */
const kindOf = /** @type {() => string | undefined} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get
);

const SHARED_IS_REFUSED = 'shared memory cannot be copied without being torn from its other users';

class Encoder extends DefaultSerializer {
  /** @type {Uint8Array[]} */
  apart = [];
  /** @type {(ArrayBuffer | SharedArrayBuffer)[] | null} Buffers that are carried as they are; `null`: none may be. */
  carried = null;

  /** @param {ArrayBuffer | SharedArrayBuffer} buffer @returns {number} its place among the carried ones, or -1 */
  #carry(buffer) {
    const place = this.carried?.indexOf(buffer) ?? -1;
    if (place >= 0 || !isShared(buffer)) return place;
    if (this.carried === null) throw new TypeError(SHARED_IS_REFUSED);
    return this.carried.push(buffer) - 1;
  }

  /** Whether shared memory was met other than through a view: V8's tag for it is one that Node cannot read. */
  hasMetShared = false;

  _getSharedArrayBufferId() {
    this.hasMetShared = true;
    throw new TypeError(SHARED_IS_REFUSED);
  }

  /** @param {any} value @returns {any} what Node's own method returns */
  _writeHostObject(value) {
    if (ArrayBuffer.isView(value)) {
      const kind = KINDS.indexOf(Buffer.isBuffer(value) ? 'Buffer' : (kindOf.call(value) ?? 'DataView'));
      const place = this.#carry(value.buffer);
      if (place >= 0 && standIns.has(value)) {
        this.writeUint32(SHARED);
        this.writeUint32(place);
        return undefined;
      }
      if (place >= 0 && kind >= 0) {
        this.writeUint32(OVER + kind);
        this.writeUint32(place);
        this.writeDouble(value.byteOffset);
        this.writeDouble(value.byteLength);
        return undefined;
      }
      if (value.byteLength >= MIN_APART && kind >= 0) {
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
  /** @type {readonly (ArrayBuffer | SharedArrayBuffer)[]} */
  carried = [];

  _readHostObject() {
    const how = this.readUint32();
    if (how === WITHIN) {
      return detached(Reflect.apply(Reflect.get(DefaultDeserializer.prototype, '_readHostObject'), this, []));
    }
    if (how === SHARED) return this.carried[this.readUint32()];
    if (how >= OVER) {
      const buffer = this.carried[this.readUint32()];
      return viewOver(KINDS[how - OVER], buffer, this.readDouble(), this.readDouble());
    }
    return viewOf(KINDS[how - APART], this.apart[this.readUint32()]);
  }
}

/**
 * Throws what V8 throws if the value cannot travel.
 * @param {unknown} value
 * @param {(ArrayBuffer | SharedArrayBuffer)[] | null} [carried] buffers that are carried as they are; shared ones that
 *   are met are added
 * @returns {{ bytes: Buffer, apart: Uint8Array[] }} `apart` is the value's own memory
 */
function encodeV8(value, carried = null) {
  return encodeWith(new Encoder(), value, carried);
}

/** @param {Encoder} encoder @param {unknown} value @param {(ArrayBuffer | SharedArrayBuffer)[] | null} carried */
function encodeWith(encoder, value, carried) {
  const buffers = largeBuffersIn(value).filter((buffer) => !carried?.includes(buffer));
  encoder.carried = carried;
  encoder.writeHeader();
  encoder.writeUint32(buffers.length);
  carried?.forEach((buffer, i) => encoder.transferArrayBuffer(buffers.length + i, /** @type {ArrayBuffer} */ (buffer)));
  for (const [i, buffer] of buffers.entries()) {
    encoder.transferArrayBuffer(i, buffer);
    encoder.apart.push(new Uint8Array(buffer));
  }
  encoder.writeValue(value);
  return { bytes: encoder.releaseBuffer(), apart: encoder.apart };
}

/**
 * @param {Uint8Array} bytes @param {readonly Uint8Array[]} apart becomes part of the value
 * @param {readonly (ArrayBuffer | SharedArrayBuffer)[]} [carried]
 * @returns {unknown}
 */
function decodeV8(bytes, apart, carried = []) {
  const decoder = new Decoder(bytes);
  decoder.apart = apart;
  decoder.carried = carried;
  decoder.readHeader();
  const buffers = decoder.readUint32();
  carried.forEach((buffer, i) => decoder.transferArrayBuffer(buffers + i, /** @type {ArrayBuffer} */ (buffer)));
  for (let i = 0; i < buffers; i++) decoder.transferArrayBuffer(i, wholeBuffer(apart[i]));
  const value = decoder.readValue();
  return isForeign ? rehome(value) : value;
}

/**
 * A message for structured clone, which shares or moves its buffers.
 * @typedef {{ bytes: Uint8Array, apart: Uint8Array[], carried: (ArrayBuffer | SharedArrayBuffer)[] }} Carrying
 */

/**
 * Throws what V8 throws if the value cannot travel.
 * @param {unknown} value @param {readonly any[]} list what is to be moved
 * @returns {{ message: Carrying, moved: ArrayBuffer[] } | null} `null` if anything other than a buffer is to be moved
 */
function encodeCarrying(value, list) {
  if (!list.every(isArrayBuffer)) return null;
  /** @type {(ArrayBuffer | SharedArrayBuffer)[]} */
  const carried = [...list];
  let encoded;
  const encoder = new Encoder();
  try {
    encoded = encodeWith(encoder, value, carried);
  } catch {
    // Structured clone knows objects of Node's that V8's serializer does not.
    if (!encoder.hasMetShared) return null;
    encoded = encodeV8(withStandIns(value, new Map()), carried);
  }
  const { bytes, apart } = encoded;
  // Cloning a view clones all of its buffer.
  const message = { bytes: bytes.slice(), apart: apart.map((part) => part.slice()), carried };
  return { message, moved: [...list, ...message.apart.map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer))] };
}

/**
 * A copy in which views stand for shared memory, wherever lists, plain objects, Maps and Sets hold any.
 * @param {unknown} value @param {Map<object, object>} copies
 * @returns {unknown}
 */
function withStandIns(value, copies) {
  if (typeof value !== 'object' || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  /** @template {object} C @param {C} copy */
  const start = (copy) => {
    copies.set(value, copy);
    return copy;
  };
  if (isShared(value)) {
    const standIn = start(new Uint8Array(/** @type {SharedArrayBuffer} */ (value)));
    standIns.add(standIn);
    return standIn;
  }
  if (value instanceof Map) {
    const map = start(new Map());
    for (const [key, item] of value) map.set(withStandIns(key, copies), withStandIns(item, copies));
    return map;
  }
  if (value instanceof Set) {
    const set = start(new Set());
    for (const item of value) set.add(withStandIns(item, copies));
    return set;
  }
  const prototype = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  /** @type {any} */
  const copy = start(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) {
    const item = withStandIns(/** @type {Record<string, unknown>} */ (value)[key], copies);
    // Not by assignment, since the key may be `__proto__`.
    define(copy, key, { value: item, enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

/** @param {unknown} message @returns {unknown} */
function decodeCarrying(message) {
  const { bytes, apart, carried } = /** @type {Carrying} */ (message);
  return decodeV8(bytes, apart, carried);
}

/** @param {unknown} buffer */
function isShared(buffer) {
  return typeof SharedArrayBuffer === 'function' && buffer instanceof SharedArrayBuffer;
}

/**
 * The large `ArrayBuffer`s near the surface of a value.
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
      if (part.byteLength >= MIN_APART && !Reflect.get(part, 'resizable')) found.add(part);
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
  const isAligned = bytes.byteOffset % (Reflect.get(globalThis, kind).BYTES_PER_ELEMENT ?? 1) === 0;
  const { buffer, byteOffset, byteLength } = isAligned ? bytes : bytes.slice();
  return viewOver(kind, buffer, byteOffset, byteLength);
}

/**
 * @param {string} kind @param {ArrayBuffer | SharedArrayBuffer} buffer @param {number} byteOffset aligned
 * @param {number} byteLength
 * @returns {ArrayBufferView}
 */
function viewOver(kind, buffer, byteOffset, byteLength) {
  if (kind === 'Buffer') return Buffer.from(/** @type {ArrayBuffer} */ (buffer), byteOffset, byteLength);
  const View = Reflect.get(globalThis, kind);
  return new View(buffer, byteOffset, byteLength / (View.BYTES_PER_ELEMENT ?? 1));
}

/**
 * The same view over its own memory: Node's is over all of the message that it came in, and keeps that alive.
 * @param {ArrayBufferView} view
 */
function detached(view) {
  const { buffer, byteOffset, byteLength } = view;
  const own = buffer.slice(byteOffset, byteOffset + byteLength);
  return viewOver(Buffer.isBuffer(view) ? 'Buffer' : (kindOf.call(view) ?? 'DataView'), own, 0, byteLength);
}

module.exports = { encodeV8, decodeV8, encodeCarrying, decodeCarrying };
