'use strict';

/**
 * Gives decoded objects the prototypes of the realm in which this library was loaded.
 *
 * Node's deserializer and its ports make objects of the main realm. Where the library was loaded within a `vm` context
 * (as by Jest) the user's code runs there too, and would find that a decoded `Date` is no `instanceof Date`.
 *
 * Only prototypes are set: objects stay the same, and with them identity and cycles. Whether there is anything to do is
 * found out once. Must not depend on formats.
 */

const path = require('node:path');
const { types } = require('node:util');

/** Whether what Node decodes is of another realm than this file: its own modules are plain objects of that realm. */
const isForeign = Object.getPrototypeOf(path) !== Object.prototype;

/** What there is to know of the other realm. @type {Map<object | null, object> | null} */
let prototypes = null;

/** One object for each class that Node's deserializer makes objects of. */
function samples() {
  const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  return [
    {}, [], new Date(0), new Map(), new Set(), /a/, new ArrayBuffer(0),
    Object(1), Object('a'), Object(true), Object(1n),
  ].concat(errors.map((Class) => new Class('')));
}

/** The prototypes of this realm, by those of the other. */
function homes() {
  const v8 = require('node:v8');
  const found = new Map();
  samples().forEach((sample) => {
    const decoded = v8.deserialize(v8.serialize(sample));
    found.set(Object.getPrototypeOf(decoded), Object.getPrototypeOf(sample));
  });
  return (prototypes = found);
}

/** The getter that returns the kind of a typed array, whatever its own properties say. */
const kindOfView = /** @type {() => string | undefined} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get
);

/**
 * The prototype of this realm for what a port makes and no deserializer does.
 * @param {object} object
 * @returns {object | undefined}
 */
function homeOfShared(object) {
  if (types.isSharedArrayBuffer(object)) return SharedArrayBuffer.prototype;
  if (ArrayBuffer.isView(object) && !Buffer.isBuffer(object)) {
    return Reflect.get(globalThis, kindOfView.call(object) ?? 'DataView').prototype;
  }
  const tag = Reflect.get(object, Symbol.toStringTag);
  if (tag !== 'WebAssembly.Module' && tag !== 'WebAssembly.Memory') return undefined;
  return Reflect.get(globalThis, 'WebAssembly')?.[tag.slice('WebAssembly.'.length)].prototype;
}

/**
 * @template T
 * @param {T} value what was decoded
 * @returns {T} the same value
 */
function rehome(value) {
  const known = prototypes ?? homes();
  /** @type {Set<object>} */
  const found = new Set();
  const add = (/** @type {unknown} */ child) => {
    if (typeof child === 'object' && child !== null) found.add(child);
  };
  add(value);
  // Grows while it is read.
  for (const object of found) {
    const home = homeOfShared(object) ?? known.get(Object.getPrototypeOf(object));
    if (home === undefined) continue; // Made here, or an object of the platform.
    Object.setPrototypeOf(object, home);
    if (types.isMap(object)) {
      Map.prototype.forEach.call(object, (item, key) => {
        add(key);
        add(item);
      });
    } else if (types.isSet(object)) {
      for (const item of Set.prototype.values.call(object)) add(item);
    } else if (types.isNativeError(object)) {
      add(/** @type {Error} */ (object).cause);
    } else if (!types.isBoxedPrimitive(object) && !types.isAnyArrayBuffer(object) && !ArrayBuffer.isView(object)) {
      Object.values(object).forEach(add);
    }
  }
  return value;
}

module.exports = { isForeign, rehome };
