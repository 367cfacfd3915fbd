'use strict';

/**
 * Which values may share one text of V8's format, one after another: it gives all of them back as if each had been
 * written by itself.
 *
 * V8 writes an object once, however many values refer to it, so that it would be one object for all of them: every
 * object that is met is noted. (One value that refers to an object twice goes by itself, for the sake of simplicity.)
 * Of what the format knows only the most usual is plain, and nothing that the encoder does something special about.
 *
 * Must not depend on what becomes of other values.
 */

const { isDate, isMap, isNativeError, isProxy, isSet, isSharedArrayBuffer } = require('node:util').types;
const { isBare, isFirst } = require('./json-safe');
const { PLAIN, isBuiltIn, kindOf } = require('./platform-objects');

/** Deeper values go by themselves: the reader may have a smaller stack, and must not fail the calls beside them. */
const MAX_DEPTH = 64;
/** A value with more objects, or a longer list, goes by itself: there it need not be looked through for this. */
const MAX_OBJECTS = 1000;
const MAX_LENGTH = 10_000;
/** Byte arrays of fewer bytes are cheaper within the serialized value. */
const MIN_APART = 8192;

const { isArray } = Array;
const { isView } = ArrayBuffer;
const { getPrototypeOf, prototype: objectPrototype, values } = Object;
const { apply } = Reflect;
const forEachOfMap = Map.prototype.forEach;
const forEachOfSet = Set.prototype.forEach;

/** @typedef {import('./json-safe').Seen} Seen */

/**
 * Whether a value is plain, and none of its objects has been met.
 * @param {unknown} value @param {Seen} seen the objects met so far
 */
function isPlain(value, seen) {
  return isPlainWithin(value, seen, seen.size + MAX_OBJECTS, MAX_DEPTH);
}

/**
 * @param {unknown} value @param {Seen} seen
 * @param {number} most how many objects may have been met @param {number} levels that the value may have
 * @returns {boolean}
 */
function isPlainWithin(value, seen, most, levels) {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol';
  if (levels === 0 || seen.size >= most || isProxy(value) || !isFirst(value, seen)) return false;
  // By what they are: others may have changed the prototype.
  if (isMap(value)) return areAllPlain(entriesOf(value, forEachOfMap), seen, most, levels);
  if (isSet(value)) return areAllPlain(entriesOf(value, forEachOfSet), seen, most, levels);
  if (isNativeError(value)) return false;
  if (getPrototypeOf(value) === objectPrototype) return areAllPlain(values(value), seen, most, levels);
  if (isArray(value)) return areAllPlain(value, seen, most, levels) && isBare(value);
  if (isDate(value)) return true;
  if (isView(value)) return value.byteLength < MIN_APART && !isSharedArrayBuffer(value.buffer);
  // Of a class of the user's, or of none. (An expression is compiled where it is read, and that V8 may not know it.)
  return !isBuiltIn(value) && kindOf(value) === PLAIN && areAllPlain(values(value), seen, most, levels);
}

/** @param {readonly unknown[]} list @param {Seen} seen @param {number} most @param {number} levels */
function areAllPlain(list, seen, most, levels) {
  if (list.length > MAX_LENGTH) return false;
  for (let i = 0; i < list.length; i++) {
    if (!isPlainWithin(list[i], seen, most, levels - 1)) return false;
  }
  return true;
}

/**
 * What a Map or a Set has; of a large one, more than may be.
 * @param {object} value @param {Function} forEach its own, whatever others have made of it
 */
function entriesOf(value, forEach) {
  /** @type {unknown[]} */
  const entries = [];
  apply(forEach, value, [(/** @type {unknown} */ item, /** @type {unknown} */ key) => {
    if (entries.length > MAX_LENGTH) return;
    entries.push(item);
    // Of a Set it is the item once more.
    if (forEach === forEachOfMap) entries.push(key);
  }]);
  return entries;
}

module.exports = { MIN_APART, isPlain };
