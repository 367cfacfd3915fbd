'use strict';

/**
 * What counts as an error: also one of another realm, whose class is none of this realm's.
 *
 * Every worker loads this at start. Must not depend on anything.
 */

const { isNativeError } = require('node:util').types;

/**
 * @param {unknown} value
 * @returns {value is Error}
 */
function isError(value) {
  if (isNativeError(value)) return true;
  try {
    return value instanceof Error;
  } catch {
    return false; // A Proxy whose traps throw.
  }
}

module.exports = { isError };
