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

const { isDate, isMap, isProxy, isRegExp, isSet, isSharedArrayBuffer } = require('node:util').types;
const { isBare, isFirst } = require('./json-safe');
const { PLAIN, isBuiltIn, kindOf } = require('./platform-objects');

/** Deeper values go by themselves: the reader may have a smaller stack, and must not fail the calls beside them. */
const MAX_DEPTH = 64;
/** Of byte arrays, those that the encoder writes among the rest, in bytes. */
const MIN_APART = 8192;

const { isArray } = Array;
const { isView } = ArrayBuffer;
const { getPrototypeOf, keys, prototype: objectPrototype } = Object;
const { apply } = Reflect;
const forEachOfMap = Map.prototype.forEach;
const forEachOfSet = Set.prototype.forEach;

/** @typedef {import('./json-safe').Seen} Seen */

/**
 * Whether a value is plain, and none of its objects has been met.
 * @param {unknown} value @param {Seen} seen the objects met so far @param {number} [levels] that it may have
 * @returns {boolean}
 */
function isPlain(value, seen, levels = MAX_DEPTH) {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol';
  if (levels === 0 || isProxy(value) || !isFirst(value, seen)) return false;
  const prototype = getPrototypeOf(value);
  if (prototype === objectPrototype || prototype === null) return arePropertiesPlain(value, seen, levels);
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (!isPlain(value[i], seen, levels - 1)) return false;
    }
    return isBare(value);
  }
  if (isDate(value) || isRegExp(value)) return true;
  if (isView(value)) return value.byteLength < MIN_APART && !isSharedArrayBuffer(value.buffer);
  const isInside = (/** @type {unknown} */ item) => isPlain(item, seen, levels - 1);
  if (isMap(value)) return areEntriesPlain(value, forEachOfMap, (item, key) => isInside(key) && isInside(item));
  if (isSet(value)) return areEntriesPlain(value, forEachOfSet, isInside);
  // Of a class of the user's.
  return !isBuiltIn(value) && kindOf(value) === PLAIN && arePropertiesPlain(value, seen, levels);
}

/** @param {object} value @param {Seen} seen @param {number} levels */
function arePropertiesPlain(value, seen, levels) {
  const names = keys(value);
  for (let i = 0; i < names.length; i++) {
    if (!isPlain(/** @type {Record<string, unknown>} */ (value)[names[i]], seen, levels - 1)) return false;
  }
  return true;
}

/**
 * @param {object} value a Map or a Set @param {Function} forEach its own, whatever others have made of it
 * @param {(item: unknown, key: unknown) => boolean} isEntryPlain
 */
function areEntriesPlain(value, forEach, isEntryPlain) {
  let areAll = true;
  apply(forEach, value, [(/** @type {unknown} */ item, /** @type {unknown} */ key) => {
    areAll &&= isEntryPlain(item, key);
  }]);
  return areAll;
}

module.exports = { MIN_APART, isPlain };
