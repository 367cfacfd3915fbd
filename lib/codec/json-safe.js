'use strict';

/**
 * Which values are JSON-safe: JSON gives them back exactly as they were.
 *
 * An object met twice would come back as two objects, so every object met is noted. Only a set of them can tell, and
 * keeping it is most of what the check costs: some 40 ns per object, about what `JSON.stringify` takes for a small one.
 *
 * Must not depend on what becomes of a value that is not JSON-safe.
 */

const {
  isAnyArrayBuffer, isArrayBufferView, isBoxedPrimitive, isDate, isMap, isNativeError, isProxy, isRegExp, isSet,
} = require('node:util').types;
const { keep } = require('../intrinsics/keep');

/**
 * Whether JSON gives back the very same value: there is nothing that it would drop, change or duplicate.
 * @param {unknown} value
 */
function isJsonSafe(value) {
  if (typeof value === 'string' || isJsonSafeNumber(value)) return true;
  // Items are many and small, so one set serves them all. (A getter that gets back here finds none and makes another.)
  const seen = scratch ?? new Set();
  scratch = null;
  try {
    return isJsonSafeWithin(value, seen, true);
  } catch {
    return false; // Deeper than the stack, or a getter that throws: the other codec reports what is wrong.
  } finally {
    if (seen.size > 0) seen.clear();
    scratch = seen;
  }
}

/** @type {Set<object> | null} */
let scratch = new Set();

/**
 * @param {unknown} value
 * @param {Seen} seen the objects met so far: JSON would make a copy of a second reference to one
 * @param {boolean} [alone] whether nothing was met so far, so that an object without objects in it need not be noted
 * @returns {boolean}
 */
function isJsonSafeWithin(value, seen, alone = false) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return isJsonSafeNumber(value);
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (!alone && !isFirst(value, seen)) return false;
  // JSON would call `toJSON`, even an inherited one.
  if (isProxy(value) || /** @type {{ toJSON?: unknown }} */ (value).toJSON !== undefined) return false;
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype) return false;
    for (let i = 0; i < value.length; i++) {
      const item = value[i];
      if (typeof item === 'string' || isJsonSafeNumber(item)) continue;
      if (alone) alone = !isFirst(value, seen);
      // A hole reads as `undefined`, which is refused as well.
      if (!isJsonSafeWithin(item, seen)) return false;
    }
    return isBare(value);
  }
  if (prototype !== Object.prototype && (prototype !== null || hasContent(value))) return false;
  const keys = Object.keys(value);
  for (let i = 0; i < keys.length; i++) {
    const item = /** @type {Record<string, unknown>} */ (value)[keys[i]];
    if (typeof item === 'string' || isJsonSafeNumber(item)) continue;
    if (alone) alone = !isFirst(value, seen);
    if (!isJsonSafeWithin(item, seen)) return false;
  }
  return true;
}

/**
 * Whether an object of the language has a content of its own besides its properties, whatever its prototype.
 * @param {object} value
 */
function hasContent(value) {
  return (
    isMap(value) || isSet(value) || isDate(value) || isNativeError(value) || isRegExp(value) ||
    isArrayBufferView(value) || isAnyArrayBuffer(value) || isBoxedPrimitive(value)
  );
}

/**
 * Finite, and not -0.
 * @param {unknown} value
 */
function isJsonSafeNumber(value) {
  return typeof value === 'number' && value - value === 0 && (value !== 0 || 1 / value > 0);
}

/** As many are looked through one by one. */
const MAX_FEW = 16;

/**
 * The objects of one small value after another: as much of a `Set` as is needed, in less time while they are few.
 */
class FewObjects {
  /** As long as ever, because to change the length of an array takes longer than to clear it. */
  #few = new Array(MAX_FEW).fill(null);
  /** @type {Set<object> | null} */
  #many = null;
  size = 0;

  /** @param {object} object */
  add(object) {
    if (this.#many !== null) {
      this.size = this.#many.add(object).size;
      return this;
    }
    const few = this.#few;
    const { size } = this;
    for (let i = 0; i < size; i++) {
      if (few[i] === object) return this;
    }
    few[size] = object;
    this.size = size + 1;
    if (this.size === MAX_FEW) this.#many = new Set(few);
    return this;
  }

  clear() {
    const used = Math.min(this.size, MAX_FEW);
    for (let i = 0; i < used; i++) this.#few[i] = null;
    this.#many = null;
    this.size = 0;
  }
}

keep(new FewObjects());

/** @typedef {Set<object> | FewObjects} Seen */

/**
 * Whether an object is met for the first time; notes it.
 * @param {object} object @param {Seen} seen
 */
function isFirst(object, seen) {
  const { size } = seen;
  return seen.add(object).size > size;
}

/**
 * Whether a list has neither holes nor properties other than its elements, which would be lost.
 * @param {readonly unknown[]} list
 */
function isBare(list) {
  // `keys` is ten times as fast for an empty list, but makes a string of every index of any other.
  return (list.length === 0 ? Object.keys(list) : Object.values(list)).length === list.length;
}

module.exports = { FewObjects, hasContent, isJsonSafe, isJsonSafeWithin, isFirst, isBare };
