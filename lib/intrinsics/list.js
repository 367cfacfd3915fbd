'use strict';

/**
 * What the language does with lists through `Array.prototype[Symbol.iterator]`, without it.
 *
 * A polyfill, a library or a test may have replaced that iterator by one that is slow, counts, or throws. The code that
 * calls pass through must not depend on it, so it goes through its own lists by index or by `forEach`, takes them apart
 * by `{ 0: first }`, and joins them by `concat`. Destructuring by `[first]`, `for … of` a list, spread lists and
 * arguments, and `Promise.all` all ask the list for its iterator; so does a derived class without a constructor.
 *
 * Must not depend on anything that code of the user's can replace after this module was loaded.
 */

const { Promise } = globalThis;

/**
 * `Promise.all` of a list.
 * @template T
 * @param {readonly PromiseLike<T>[]} promises
 * @returns {Promise<T[]>}
 */
function all(promises) {
  return new Promise((resolve, reject) => {
    /** @type {T[]} */
    const values = [];
    let left = promises.length;
    if (left === 0) resolve(values);
    promises.forEach((promise, i) => {
      promise.then((value) => {
        values[i] = value;
        if (--left === 0) resolve(values);
      }, reject);
    });
  });
}

/**
 * `new Set(list)`.
 * @template T
 * @param {readonly T[]} list
 * @returns {Set<T>}
 */
function setOf(list) {
  const set = new Set();
  list.forEach((item) => set.add(item));
  return set;
}

/**
 * `new Map(list)`.
 * @template K, V
 * @param {readonly (readonly [K, V])[]} list
 * @returns {Map<K, V>}
 */
function mapOf(list) {
  const map = new Map();
  list.forEach((entry) => map.set(entry[0], entry[1]));
  return map;
}

/**
 * A promise, and what settles it.
 * @returns {{ promise: Promise<void>, resolve: () => void, reject: (error: unknown) => void }}
 */
function withResolvers() {
  let resolve = () => {};
  /** @type {(error: unknown) => void} */
  let reject = () => {};
  /** @type {Promise<void>} */
  const promise = new Promise((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}

module.exports = { all, mapOf, setOf, withResolvers };
