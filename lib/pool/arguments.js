'use strict';

/**
 * What the methods of a `Pool` are given to work on, checked: arguments, lists, sources.
 *
 * Must not depend on tasks, options or pools.
 */

const { optionError } = require('../errors');

/** @param {unknown} args @returns {unknown[]} */
function argumentList(args) {
  const list = args === undefined ? [] : args;
  if (!Array.isArray(list)) throw optionError('args', args, 'an array, the arguments of the function');
  return list;
}

/**
 * A copy of the items, so that it does not matter what the caller does to the list later.
 * @param {unknown} iterable @param {string} method
 * @returns {unknown[]}
 */
function listOf(iterable, method) {
  if (Array.isArray(iterable)) return iterable.slice();
  if (isIterable(iterable)) return Array.from(iterable);
  const expected = isAsyncIterable(iterable) ? `an iterable; an asynchronous one is for i${method}()`
    : 'an iterable, such as an array';
  throw optionError('iterable', iterable, expected);
}

/** @param {unknown} iterable @returns {unknown[][]} */
function argumentLists(iterable) {
  const items = listOf(iterable, 'map');
  // Not with `map`, which passes over holes.
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (Array.isArray(item)) continue;
    if (!isIterable(item)) throw optionError(`iterable[${i}]`, item, 'an array, the arguments of one call');
    items[i] = Array.from(item);
  }
  return /** @type {unknown[][]} */ (items);
}

/** @param {unknown} source @returns {{ open: () => Iterator<unknown> | AsyncIterator<unknown>, isAsync: boolean }} */
function opener(source) {
  if (isAsyncIterable(source)) return { open: () => source[Symbol.asyncIterator](), isAsync: true };
  if (isIterable(source)) return { open: () => source[Symbol.iterator](), isAsync: false };
  throw optionError('source', source, 'an iterable or an asynchronous iterable');
}

/** @param {unknown} value @returns {value is Iterable<unknown>} */
function isIterable(value) {
  return hasMethod(value, Symbol.iterator);
}

/** @param {unknown} value @returns {value is AsyncIterable<unknown>} */
function isAsyncIterable(value) {
  return hasMethod(value, Symbol.asyncIterator);
}

/** @param {unknown} value @param {symbol} name */
function hasMethod(value, name) {
  return value !== null && value !== undefined && typeof Reflect.get(Object(value), name) === 'function';
}

module.exports = { argumentList, argumentLists, listOf, opener };
