'use strict';

/**
 * `transfer(value, list)`: what a worker function returns when parts of its result are to be moved instead of copied.
 */

const MARK = Symbol.for('@parallelizer/node:transfer');

/**
 * @template T
 * @param {T} value
 * @param {readonly object[]} list
 * @returns {T}
 */
function transfer(value, list) {
  // The library unwraps it before anybody sees it.
  return /** @type {any} */ ({ [MARK]: true, value, list });
}

/**
 * @param {unknown} value
 * @returns {value is { value: unknown, list: readonly object[] }}
 */
function isTransfer(value) {
  return typeof value === 'object' && value !== null && MARK in value;
}

module.exports = { transfer, isTransfer };
