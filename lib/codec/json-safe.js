'use strict';

/**
 * Which values JSON gives back as they were.
 *
 * An object that is met twice would become two, so each one is noted. Nothing but a set of them can tell: that is most of
 * what the check costs (some 40 ns an object, about as much as `JSON.stringify` takes for a small one).
 *
 * May not know what becomes of a value that is none.
 */

const { isProxy } = require('node:util').types;

/**
 * Whether JSON gives back the very same value: nothing that it would drop, change or copy twice.
 * @param {unknown} value
 */
function isPlain(value) {
  if (typeof value === 'string' || isPlainNumber(value)) return true;
  // Items are many and small: one set serves them all. (A getter that comes back here gets another.)
  const seen = scratch ?? new Set();
  scratch = null;
  try {
    return isPlainWithin(value, seen, true);
  } catch {
    return false; // Deeper than the stack, or a getter that throws: the other way tells what is wrong.
  } finally {
    if (seen.size > 0) seen.clear();
    scratch = seen;
  }
}

/** @type {Set<object> | null} */
let scratch = new Set();

/**
 * @param {unknown} value
 * @param {Set<object>} seen objects met before: a second reference to one would become a copy
 * @param {boolean} [alone] nothing was met before, and an object that holds no other need not be noted
 * @returns {boolean}
 */
function isPlainWithin(value, seen, alone = false) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return isPlainNumber(value);
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (!alone && !isFirst(value, seen)) return false;
  // JSON would call `toJSON`, wherever it comes from.
  if (isProxy(value) || /** @type {{ toJSON?: unknown }} */ (value).toJSON !== undefined) return false;
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype) return false;
    for (let i = 0; i < value.length; i++) {
      const item = value[i];
      if (typeof item === 'string' || isPlainNumber(item)) continue;
      if (alone) alone = !isFirst(value, seen);
      // A hole reads as undefined, which is not plain either.
      if (!isPlainWithin(item, seen)) return false;
    }
    return isBare(value);
  }
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key of Object.keys(value)) {
    const item = /** @type {Record<string, unknown>} */ (value)[key];
    if (typeof item === 'string' || isPlainNumber(item)) continue;
    if (alone) alone = !isFirst(value, seen);
    if (!isPlainWithin(item, seen)) return false;
  }
  return true;
}

/**
 * Finite, and not -0.
 * @param {unknown} value
 */
function isPlainNumber(value) {
  return typeof value === 'number' && value - value === 0 && (value !== 0 || 1 / value > 0);
}

/**
 * Whether an object is met for the first time; notes it.
 * @param {object} object @param {Set<object>} seen
 */
function isFirst(object, seen) {
  const { size } = seen;
  return seen.add(object).size > size;
}

/**
 * Whether a list has neither holes nor properties of its own, which would be lost.
 * @param {readonly unknown[]} list
 */
function isBare(list) {
  // `keys` is ten times as fast on an empty list, and makes a string of each index of any other.
  return (list.length === 0 ? Object.keys(list) : Object.values(list)).length === list.length;
}

module.exports = { isPlain, isPlainWithin, isFirst, isBare };
