'use strict';

/**
 * `transfer(value, list)`: what a worker function returns when parts of its result are to be moved instead of copied.
 */

const { isProxy } = require('node:util').types;

const MARK = Symbol.for('@parallelizer/node:transfer');

/** Of a class, so that no codec takes it for plain data. */
class Transfer {
  /** @param {unknown} value @param {readonly object[]} list */
  constructor(value, list) {
    this.value = value;
    this.list = list;
    Object.defineProperty(this, MARK, { value: true });
  }
}

/**
 * @template T
 * @param {T} value
 * @param {readonly object[]} list
 * @returns {T}
 */
function transfer(value, list) {
  // The library unwraps it before anybody sees it.
  return /** @type {any} */ (new Transfer(value, list));
}

/**
 * @param {unknown} value
 * @returns {value is { value: unknown, list: readonly object[] }}
 */
function isTransfer(value) {
  // Another copy of this library may have made it. Its own property: to look further may meet a Proxy.
  return typeof value === 'object' && value !== null && !isProxy(value) && Object.hasOwn(value, MARK);
}

module.exports = { transfer, isTransfer };
