'use strict';

/**
 * Copies of plain data, for values that stay in this thread: what comes out is what the other codecs would give, for a
 * fraction of the time.
 *
 * Must not depend on what the values are for.
 */

const { isProxy } = require('node:util').types;
const { FewObjects, isBare, isFirst } = require('./json-safe');

/** Deeper values are left to the codecs, which can report what is wrong with them. */
const MAX_DEPTH = 100;

/** Stands for a value that is not only plain data. */
const NOT_PLAIN = Symbol('not plain');

/**
 * Copies the elements of a list, each by itself; `null` if one of them is not only plain data, or has the same object
 * in it twice.
 * @param {readonly unknown[]} list
 * @returns {unknown[] | null}
 */
function copyList(list) {
  const seen = new FewObjects();
  const copies = new Array(list.length);
  try {
    for (let i = 0; i < list.length; i++) {
      seen.clear();
      const copied = copy(list[i], seen, 0);
      if (copied === NOT_PLAIN) return null;
      copies[i] = copied;
    }
  } catch {
    return null; // A getter that throws.
  }
  return copies;
}

/**
 * @param {any} value @param {InstanceType<typeof FewObjects>} seen objects met so far @param {number} depth
 * @returns {any}
 */
function copy(value, seen, depth) {
  if (typeof value !== 'object') return isPlain(value) ? value : NOT_PLAIN;
  if (value === null) return null;
  if (depth > MAX_DEPTH || isProxy(value) || !isFirst(value, seen)) return NOT_PLAIN;
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype || !isBare(value)) return NOT_PLAIN;
    const list = value.slice();
    for (let i = 0; i < list.length; i++) {
      const copied = typeof list[i] === 'object' ? copy(list[i], seen, depth + 1) : list[i];
      if (copied === NOT_PLAIN || !isPlain(copied)) return NOT_PLAIN;
      list[i] = copied;
    }
    return list;
  }
  if (prototype !== Object.prototype) return NOT_PLAIN;
  // A getter is called once; what is not enumerable is left out.
  const object = { ...value };
  for (const key in object) {
    const field = object[key];
    if (typeof field === 'string' || !Object.hasOwn(object, key)) continue;
    // To assign to that key would set the prototype.
    if (key === '__proto__') return NOT_PLAIN;
    const copied = typeof field === 'object' ? copy(field, seen, depth + 1) : field;
    if (copied === NOT_PLAIN || !isPlain(copied)) return NOT_PLAIN;
    if (copied !== field) object[key] = copied;
  }
  return object;
}

/** @param {unknown} value */
function isPlain(value) {
  return typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint';
}

module.exports = { copyList };
