'use strict';

/**
 * The key of a record, as the user's `groupBy` gives it.
 *
 * Must not depend on what keys are for.
 */

const { isPromise } = require('node:util').types;
const { optionError } = require('../errors');

/**
 * @template R
 * @param {(record: R) => unknown} groupBy @param {R} record @param {number} index
 * @returns {unknown}
 */
function keyOf(groupBy, record, index) {
  let key;
  try {
    key = groupBy(record);
  } catch (cause) {
    throw optionError('groupBy', undefined, `has thrown for the record at index ${index}`, { cause });
  }
  if (!isPromise(key)) return key;
  // Each is another one, so that no two records would have the same key.
  key.catch(() => {});
  const why = `must return the key itself: for the record at index ${index} it has returned a promise`;
  throw optionError('groupBy', undefined, why);
}

module.exports = { keyOf };
