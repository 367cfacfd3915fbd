'use strict';

/**
 * What became of a sub-batch of which a part has failed: which records each of its errors is about, and the results of
 * the others. It travels whole beside the error, of which properties may be left out where it has very many.
 *
 * Must not depend on how errors travel. Runs in the worker and in the parent.
 */

const { BESIDE } = require('../codec/error-tree');
const { define } = require('../intrinsics/define');

/** So many characters are kept of a message, where the error itself is left out. */
const MAX_MESSAGE = 1000;

/**
 * @typedef {object} Partial
 * @property {{ failed: unknown[] | null, name: string, code: string | null, message: string }[]} failures `failed`:
 *   the identifiers of the records that it is about; `null`: all of the sub-batch
 * @property {[name: string, result: unknown][]} [results] of the records that are done, where the source wants them
 */

/**
 * Has it travel with an error.
 * @param {any} error @param {[name: string, result: unknown][]} [results]
 * @returns {Error}
 */
function withPartial(error, results) {
  try {
    const failures = errorsIn(error).map(({ failed, name, code, message }) => ({
      failed: Array.isArray(failed) ? failed : null,
      name: String(name),
      code: typeof code === 'string' ? code : null,
      message: String(message).slice(0, MAX_MESSAGE),
    }));
    if (results === undefined && failures.every(({ failed }) => failed === null)) return error;
    const value = require('node:v8').serialize({ failures, results }).toString('base64');
    return define(error, BESIDE, { value, configurable: true });
  } catch (cause) {
    // Without it nothing of the sub-batch is done.
    return new Error(`${String(error)} (what became of the other records cannot travel: ${String(cause)})`);
  }
}

/** @param {any} error @returns {Partial | null} */
function partialOf(error) {
  const beside = error[BESIDE];
  if (typeof beside !== 'string') return null;
  try {
    return require('node:v8').deserialize(Buffer.from(beside, 'base64'));
  } catch {
    return null;
  }
}

/** A sub-batch may have failed for several reasons. @param {any} error @returns {any[]} */
function errorsIn(error) {
  return error.isSeparate === true && Array.isArray(error.errors) ? error.errors : [error];
}

module.exports = { errorsIn, partialOf, withPartial };
