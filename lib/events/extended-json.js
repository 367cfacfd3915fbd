'use strict';

/**
 * MongoDB's Extended JSON, in which DocumentDB's events have values that JSON has not: `{ "$oid": "…" }`.
 *
 * Ids are text; integers of 64 bits are numbers where these keep every digit, and BigInts beyond; decimals of 128 bits
 * are text. What is not known stays as it is.
 *
 * Must not depend on records. Runs in workers too.
 */

const { define } = require('../intrinsics/define');

/** By the one key that such an object has. @type {Record<string, (value: any) => unknown>} */
const TYPES = {
  $oid: String,
  $numberInt: Number,
  $numberDouble: Number,
  $numberDecimal: String,
  $numberLong(text) {
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : BigInt(text);
  },
  $date(date) {
    const time = typeof date === 'object' && date !== null ? Number(date.$numberLong) : date;
    return new Date(time);
  },
  $binary: (binary) => Buffer.from(typeof binary === 'string' ? binary : binary.base64, 'base64'),
  $uuid: String,
};

/** @param {unknown} value @returns {any} */
function fromExtended(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromExtended);
  const entries = Object.entries(value);
  // Old forms of binary values have their type in a second key.
  const [type, content] = entries[0] ?? [];
  const isTyped = entries.length === 1 || (entries.length === 2 && type === '$binary' && entries[1][0] === '$type');
  if (isTyped && Object.hasOwn(TYPES, type)) return TYPES[type](content);
  /** @type {Record<string, unknown>} */
  const result = {};
  for (const [key, each] of entries) {
    define(result, key, { value: fromExtended(each), enumerable: true, writable: true, configurable: true });
  }
  return result;
}

module.exports = { fromExtended };
