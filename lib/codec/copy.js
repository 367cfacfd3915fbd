'use strict';

/**
 * Copies of plain data, for values that stay in this thread: what comes out is what the other codecs would give, for a
 * fraction of the time.
 *
 * Must not depend on what the values are for.
 */

const { isProxy } = require('node:util').types;
const { FewObjects, isBare } = require('./json-safe');

const { getPrototypeOf, hasOwn } = Object;

/** Deeper values are left to the codecs, which can report what is wrong with them. */
const MAX_DEPTH = 100;

/** Stands for a value that is not only plain data. */
const NOT_PLAIN = Symbol('not plain');

/** Values are many and small, so one set serves them all. @type {InstanceType<typeof FewObjects> | null} */
let scratch = new FewObjects();

/**
 * Copies a value, one of many that look alike; `NOT_PLAIN` if it is not only plain data, or has the same object in it
 * twice.
 * @param {any} value
 * @returns {any}
 */
function copyPlain(value) {
  if (typeof value !== 'object') return isPlain(value) ? value : NOT_PLAIN;
  if (value === null) return null;
  // A getter that gets back here finds none and makes another.
  const seen = scratch ?? new FewObjects();
  scratch = null;
  try {
    if (getPrototypeOf(value) !== Object.prototype || isProxy(value)) return copy(value, seen, 0);
    seen.add(value);
    // V8 does this in no time where it has seen few kinds of objects, so the outermost ones have a place of their own.
    const object = { ...value };
    return copyFields(object, seen, 0) ? object : NOT_PLAIN;
  } catch {
    return NOT_PLAIN; // A getter that throws.
  } finally {
    seen.clear();
    scratch = seen;
  }
}

/**
 * @param {any} value an object @param {InstanceType<typeof FewObjects>} seen objects met so far @param {number} depth
 * @returns {any}
 */
function copy(value, seen, depth) {
  const { size } = seen;
  if (depth > MAX_DEPTH || isProxy(value) || seen.add(value).size === size) return NOT_PLAIN;
  const prototype = getPrototypeOf(value);
  if (prototype === Object.prototype) {
    // A getter is called once. What is not enumerable is left out.
    const object = { ...value };
    return copyFields(object, seen, depth) ? object : NOT_PLAIN;
  }
  return prototype === Array.prototype && Array.isArray(value) ? copyList(value, seen, depth) : NOT_PLAIN;
}

/**
 * Replaces the objects in a shallow copy by copies.
 * @param {Record<string, any>} object @param {InstanceType<typeof FewObjects>} seen @param {number} depth
 * @returns {boolean} false if one of the fields is not only plain data
 */
function copyFields(object, seen, depth) {
  for (const key in object) {
    const field = object[key];
    if (typeof field === 'string' || typeof field === 'number' || field === null) continue;
    if (!hasOwn(object, key)) continue;
    if (typeof field !== 'object') {
      if (!isPlain(field)) return false;
      continue;
    }
    // To assign to that key would set the prototype.
    if (key === '__proto__') return false;
    const copied = copy(field, seen, depth + 1);
    if (copied === NOT_PLAIN) return false;
    object[key] = copied;
  }
  return true;
}

/** @param {unknown[]} value @param {InstanceType<typeof FewObjects>} seen @param {number} depth */
function copyList(value, seen, depth) {
  if (!isBare(value)) return NOT_PLAIN;
  const list = value.slice();
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    if (typeof item !== 'object') {
      if (!isPlain(item)) return NOT_PLAIN;
    } else if (item !== null) {
      const copied = copy(item, seen, depth + 1);
      if (copied === NOT_PLAIN) return NOT_PLAIN;
      list[i] = copied;
    }
  }
  return list;
}

/** @param {unknown} value no object */
function isPlain(value) {
  return typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint';
}

module.exports = { NOT_PLAIN, copyPlain };
