'use strict';

/**
 * `transfer(value, list)`: what a worker function returns to have parts of its result moved instead of copied.
 */

const { define } = require('../intrinsics/define');
const { isProxy } = require('node:util').types;

const MARK = Symbol.for('@parallelizer/node:transfer');

/** A class, so that no codec takes it for a plain object. */
class Transfer {
  /** @param {unknown} value @param {readonly object[]} list */
  constructor(value, list) {
    this.value = value;
    this.list = list;
    define(this, MARK, { value: true });
  }
}

/**
 * @template T
 * @param {T} value
 * @param {readonly object[]} list
 * @returns {T}
 */
function transfer(value, list) {
  // The library unwraps it before the caller sees it, hence the type.
  return /** @type {any} */ (new Transfer(value, list));
}

/**
 * @param {unknown} value
 * @returns {value is { value: unknown, list: readonly object[] }}
 */
function isTransfer(value) {
  // By its mark, since another copy of this library may have made it. Only an own one: the prototype may be a Proxy.
  return typeof value === 'object' && value !== null && !isProxy(value) && Object.hasOwn(value, MARK);
}

module.exports = { transfer, isTransfer };
