'use strict';

/**
 * Values in V8's own format, with their large byte arrays next to it instead of in it, so that these are copied neither
 * into the serialized value nor out of it again. Plain values, which have none, follow one another in one text, without
 * anything else but V8's header: more can be added to it (`src/joined_answers.rs`).
 *
 * Otherwise it begins with the number of large `ArrayBuffer`s, to which the format refers by their place; they come
 * first among the byte arrays.
 *
 * A view (`Buffer`, typed array, `DataView`) is written as a mark, or as a mark and its place among the byte arrays.
 * Between threads, buffers that are shared or moved get the numbers after the large ones; views of them are written as
 * a mark, the buffer's place, and the range within it. Objects that only structured clone can carry are written as a
 * mark and their place among these.
 *
 * # How a large byte array gets to another process and back into an array
 *
 * From 256 KiB on: copied into shared memory (1), which the receiver maps as the array itself; a page of it is copied
 * when it is written to. Smaller ones, and where there is no shared memory: copied into the frame (1), into the socket
 * (2), out of it into the decoder's buffer (3), into the array (4). Between threads: copied (1), and moved.
 *
 * Must not depend on frames, or on how the byte arrays travel.
 */

const { types } = require('node:util');
const { DefaultDeserializer, DefaultSerializer, Deserializer } = require('node:v8');
const { define } = require('../intrinsics/define');
const { EXCEPTION, LOST, PLAIN, kindOf, worstIn, worstInWritten } = require('./platform-objects');
const { MIN_APART } = require('./plain-values');
const { isForeign, rehome } = require('./realm');

// As they are in Node, whatever others make of the prototypes, or of that of one Map.
const valuesOfMap = Map.prototype.values;
const valuesOfSet = Set.prototype.values;

/** How many objects are searched for `ArrayBuffer`s, and how deep; one that is not found is copied. */
const MAX_SEARCHED = 64;
const MAX_DEPTH = 4;

/**
 * The mark of a view: written as Node does it; its kind plus `APART` for bytes apart, plus `OVER` for a range of a
 * carried buffer. Or the mark of what a view stands for (stand-ins.js).
 */
const WITHIN = 0;
const APART = 1;
const OVER = 64;
const SHARED = 128;
const OBJECT = 129;
const DOM_EXCEPTION = 130;

/** @type {readonly string[]} The kinds of views, by number. */
const KINDS = [
  'Buffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array',
  'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Float16Array',
];

/** The getter that returns the kind of a typed array, whatever its own properties say. */
const kindOfView = /** @type {() => string | undefined} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get
);

const SHARED_IS_REFUSED = 'shared memory cannot be copied without being torn from its other users';
const PLATFORM_IS_REFUSED = 'it is, or refers to, an object of the platform that cannot be written as bytes';

// Both have constructors of their own, and the decoder is no subclass of Node's: a constructor that is not written out
// goes through the iterator of arrays, which others may have replaced.

class Encoder extends DefaultSerializer {
  /** @type {Uint8Array[]} */
  apart = [];
  /** What is carried as it is; `null`: nothing may be. @type {Carried | null} */
  carried = null;
  /** What views stand for. @type {ReadonlyMap<object, object> | null} */
  originals = null;

  constructor() {
    super();
  }

  /** @param {ArrayBuffer | SharedArrayBuffer} buffer @returns {number} its place among the carried ones, or -1 */
  #carry(buffer) {
    const place = this.carried?.buffers.indexOf(buffer) ?? -1;
    if (place >= 0 || !types.isSharedArrayBuffer(buffer)) return place;
    if (this.carried === null) throw new TypeError(SHARED_IS_REFUSED);
    return this.carried.buffers.push(buffer) - 1;
  }

  /** @param {object} object */
  #carryObject(object) {
    if (this.carried === null) throw new TypeError(PLATFORM_IS_REFUSED);
    this.writeUint32(OBJECT);
    this.writeUint32(this.carried.objects.push(object) - 1);
  }

  /** V8's tag for shared memory is one that Node cannot read. */
  _getSharedArrayBufferId() {
    throw new TypeError(SHARED_IS_REFUSED);
  }

  /** @param {any} value @returns {any} what Node's own method returns */
  _writeHostObject(value) {
    if (!ArrayBuffer.isView(value)) {
      if (this.carried !== null) return this.#carryObject(value);
    } else {
      const original = this.originals?.get(value);
      if (original !== undefined) return this.#writeOriginal(original);
      const kind = KINDS.indexOf(Buffer.isBuffer(value) ? 'Buffer' : (kindOfView.call(value) ?? 'DataView'));
      const place = this.#carry(value.buffer);
      // Only structured clone can tell whether its length follows that of its memory.
      if (place >= 0 && kind > 0 && hasVariableLength(value.buffer)) return this.#carryObject(value);
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

  /** @param {object} original */
  #writeOriginal(original) {
    if (types.isSharedArrayBuffer(original)) {
      this.writeUint32(SHARED);
      this.writeUint32(this.#carry(/** @type {SharedArrayBuffer} */ (original)));
    } else if (kindOf(original) === EXCEPTION) {
      const { name, message, stack } = /** @type {DOMException} */ (original);
      this.writeUint32(DOM_EXCEPTION);
      this.writeValue([name, message, stack]);
    } else {
      this.#carryObject(original);
    }
  }
}

class Decoder extends Deserializer {
  /** @type {readonly Uint8Array[]} */
  apart;
  /** @type {Carried} */
  carried;

  /** @param {Uint8Array} bytes @param {readonly Uint8Array[]} apart @param {Carried} carried */
  constructor(bytes, apart, carried) {
    super(bytes);
    this.apart = apart;
    this.carried = carried;
  }

  _readHostObject() {
    const how = this.readUint32();
    if (how === WITHIN) {
      return detached(Reflect.apply(Reflect.get(DefaultDeserializer.prototype, '_readHostObject'), this, []));
    }
    if (how === SHARED) return this.carried.buffers[this.readUint32()];
    if (how === OBJECT) return this.carried.objects[this.readUint32()];
    if (how === DOM_EXCEPTION) return domException(this.readValue());
    if (how >= OVER) {
      const buffer = this.carried.buffers[this.readUint32()];
      return viewOver(KINDS[how - OVER], buffer, this.readDouble(), this.readDouble());
    }
    return viewOf(KINDS[how - APART], this.apart[this.readUint32()]);
  }
}

/**
 * What structured clone carries beside the bytes: buffers that are shared or moved, and objects that only it knows.
 * @typedef {{ buffers: (ArrayBuffer | SharedArrayBuffer)[], objects: object[] }} Carried
 */

/** @type {Carried} */
const NOTHING = { buffers: [], objects: [] };

/**
 * Throws what V8 throws if the value cannot travel.
 * @param {unknown} value
 * @returns {{ bytes: Buffer, apart: Uint8Array[] }} `apart` is the value's own memory
 */
function encodeV8(value) {
  const encoded = encodeWith(value, null, null);
  const worst = worstInWritten(value, encoded.bytes.length);
  if (worst === PLAIN) return encoded;
  if (worst === EXCEPTION) return encodeCopy(value, null, new Set());
  throw new TypeError(PLATFORM_IS_REFUSED);
}

/** @param {unknown} value @param {Carried | null} carried @param {ReadonlySet<unknown>} moved */
function encodeCopy(value, carried, moved) {
  const { copy, originals } = require('./stand-ins').withStandIns(value, moved);
  return encodeWith(copy, carried, originals);
}

/**
 * @param {unknown} value @param {Carried | null} carried what is met of it is added
 * @param {ReadonlyMap<object, object> | null} originals what views in the value stand for
 */
function encodeWith(value, carried, originals) {
  const encoder = new Encoder();
  encoder.originals = originals;
  const moved = carried?.buffers.slice() ?? [];
  const buffers = largeBuffersIn(value).filter((buffer) => !moved.includes(buffer));
  encoder.carried = carried;
  encoder.writeHeader();
  encoder.writeUint32(buffers.length);
  moved.forEach((buffer, i) => encoder.transferArrayBuffer(buffers.length + i, /** @type {ArrayBuffer} */ (buffer)));
  buffers.forEach((buffer, i) => {
    encoder.transferArrayBuffer(i, buffer);
    encoder.apart.push(new Uint8Array(buffer));
  });
  encoder.writeValue(value);
  return { bytes: encoder.releaseBuffer(), apart: encoder.apart };
}

/**
 * @param {Uint8Array} bytes @param {readonly Uint8Array[]} apart becomes part of the value
 * @param {Carried} [carried]
 * @returns {unknown}
 */
function decodeV8(bytes, apart, carried = NOTHING) {
  const decoder = new Decoder(bytes, apart, carried);
  decoder.readHeader();
  const buffers = decoder.readUint32();
  carried.buffers.forEach((buffer, i) =>
    decoder.transferArrayBuffer(buffers + i, /** @type {ArrayBuffer} */ (buffer)),
  );
  for (let i = 0; i < buffers; i++) decoder.transferArrayBuffer(i, wholeBuffer(apart[i]));
  const value = decoder.readValue();
  return isForeign ? rehome(value) : value;
}

/**
 * Writes values one after another that are plain together, see plain-values.js. Throws if V8 refuses one of them.
 * @param {readonly unknown[]} values @returns {Buffer}
 */
function encodePlain(values) {
  const encoder = new Encoder();
  encoder.writeHeader();
  for (let i = 0; i < values.length; i++) encoder.writeValue(values[i]);
  // A getter may give something else than before.
  if (encoder.apart.length > 0) throw new TypeError('large memory, which is no part of a plain value');
  return encoder.releaseBuffer();
}

/** Reads such values, as far as somebody asks for. */
class PlainReader {
  #decoder;
  /** @type {unknown[]} */
  #values = [];

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#decoder = new Decoder(bytes, [], NOTHING);
    this.#decoder.readHeader();
  }

  /**
   * The values that were read, so many at least. Throws where there are fewer.
   * @param {number} count @returns {unknown[]}
   */
  upTo(count) {
    const values = this.#values;
    while (values.length < count) {
      const value = this.#decoder.readValue();
      values.push(isForeign ? rehome(value) : value);
    }
    return values;
  }
}

/**
 * A message for structured clone, which shares or moves its buffers.
 * @typedef {{ bytes: Uint8Array, apart: Uint8Array[], carried: Carried }} Carrying
 */

/**
 * Throws what V8 throws if the value cannot travel. That structured clone refuses an object shows when the message is
 * posted.
 * @param {unknown} value @param {readonly any[]} list what is to be moved
 * @returns {{ message: Carrying, moved: object[] }}
 */
function encodeCarrying(value, list) {
  /** @type {Set<unknown>} */
  const moved = new Set();
  list.forEach((object) => types.isArrayBuffer(object) || moved.add(object));
  const worst = worstIn(value, moved);
  if (worst === LOST) throw new TypeError(PLATFORM_IS_REFUSED);
  /** @type {Carried} */
  const carried = { buffers: list.filter(types.isArrayBuffer), objects: [] };
  const encoded = worst === PLAIN ? encodeWith(value, carried, null) : encodeCopy(value, carried, moved);
  const { bytes, apart } = encoded;
  // Cloning a view clones all of its buffer.
  const message = { bytes: bytes.slice(), apart: apart.map((part) => part.slice()), carried };
  return { message, moved: list.concat(message.apart.map(({ buffer }) => buffer)) };
}

/** @param {unknown} message @returns {unknown} */
function decodeCarrying(message) {
  const { bytes, apart, carried } = /** @type {Carrying} */ (message);
  return decodeV8(bytes, apart, carried);
}

/** @param {any} buffer */
function hasVariableLength(buffer) {
  return buffer.resizable === true || buffer.growable === true;
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
    if (types.isArrayBuffer(part)) {
      if (part.byteLength >= MIN_APART && !Reflect.get(part, 'resizable')) found.add(part);
      return;
    }
    if (depth === MAX_DEPTH) return;
    if (Array.isArray(part)) {
      for (let i = 0; i < part.length && --left >= 0; i++) search(part[i], depth + 1);
      return;
    }
    if (types.isMap(part) || types.isSet(part)) {
      for (const item of Reflect.apply(types.isMap(part) ? valuesOfMap : valuesOfSet, part, [])) {
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
      if (own !== undefined && Object.hasOwn(own, 'value')) search(own.value, depth + 1);
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
  return viewOver(Buffer.isBuffer(view) ? 'Buffer' : (kindOfView.call(view) ?? 'DataView'), own, 0, byteLength);
}

/** @param {unknown} written @returns {DOMException} */
function domException(written) {
  const { 0: name, 1: message, 2: stack } = /** @type {string[]} */ (written);
  const error = new DOMException(message, name);
  define(error, 'stack', { value: stack, writable: true, configurable: true });
  return error;
}

module.exports = { PlainReader, encodePlain, encodeV8, decodeV8, encodeCarrying, decodeCarrying };
