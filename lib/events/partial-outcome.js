'use strict';

/**
 * What became of a sub-batch of which a part has failed: which records each of its errors is about, and the results of
 * the others. It travels whole beside the error, of which properties may be left out where it has very many.
 *
 * Must not depend on how errors travel. Runs in the worker and in the parent.
 */

const { decodeValues, encodeValues } = require('../codec/codec');
const { BESIDE, guarded } = require('../codec/error-tree');
const { PART_FIELDS, valuesOf } = require('../codec/parts');
const { define } = require('../intrinsics/define');
const { CODEC_FIELD, VALUE_FIELD } = require('../transport/constants');
const { NON_RETRYABLE, isNonRetryable } = require('./non-retryable');

/** So many characters are kept of a message, where the error itself is left out. */
const MAX_MESSAGE = 1000;

/** @typedef {import('../codec/codec').Serialization} Serialization */

/**
 * What an error is known by, if it is left out itself.
 * @typedef {object} Failure
 * @property {unknown[] | null} failed the identifiers of the records that it is about; `null`: all of the sub-batch
 * @property {string} name
 * @property {string | null} code
 * @property {string} message
 * @property {boolean} isFinal whether it says that another try is of no use, by its name or by that of its class
 */

/**
 * @typedef {object} Partial
 * @property {boolean} isSeparate whether the error stands for those in its `errors`, one for each failure
 * @property {Failure[]} failures
 * @property {[name: string, result: unknown][]} [results] of the records that are done, where the source wants them
 */

/**
 * The error of a sub-batch, with which it travels why its records have failed.
 * @param {any[]} errors each with the identifiers of the records that it is about as `failed`
 * @param {{ list: [name: string, result: unknown][], serialization: Serialization }} [results] of those that are done,
 *   and how results travel
 * @returns {Error}
 */
function withPartial(errors, results) {
  const error = errors.length === 1 ? errors[0] : separately(errors);
  try {
    const failures = errors.map((each) => {
      const { failed, name, code, message } = each;
      return {
        failed: Array.isArray(failed) ? failed : null,
        name: String(name),
        code: typeof code === 'string' ? code : null,
        message: String(message).slice(0, MAX_MESSAGE),
        isFinal: isNonRetryable(each, false),
      };
    });
    const outcome = {
      isSeparate: errors.length > 1,
      failures,
      ...(results === undefined ? {} : { results: partsOf(results.list, results.serialization) }),
    };
    const value = require('node:v8').serialize(outcome).toString('base64');
    return define(error, BESIDE, { value, configurable: true });
  } catch (cause) {
    // Without it nothing of the sub-batch is done.
    return new Error(`${String(error)} (what became of the other records cannot travel: ${String(cause)})`);
  }
}

/** @param {any[]} errors */
function separately(errors) {
  return new AggregateError(errors, `${errors.length} failures, the first one: ${errors[0].message}`);
}

/**
 * Results in the form in which those of a whole sub-batch travel: what is done is the same beside a failure.
 * @param {unknown} results @param {Serialization} serialization
 */
function partsOf(results, serialization) {
  /** @type {import('../codec/parts').Parts} */
  const parts = [];
  encodeValues([results], serialization, null, parts, 0, (_index, error) => {
    throw error;
  });
  return parts;
}

/** @param {import('../codec/parts').Parts} parts @returns {any} */
function resultsIn(parts) {
  const codec = /** @type {number} */ (parts[CODEC_FIELD]);
  const value = /** @type {string | Buffer} */ (parts[VALUE_FIELD]);
  return decodeValues(codec, value, 1, valuesOf(parts.slice(PART_FIELDS)), null)[0];
}

/** @param {any} error @returns {Partial | null} */
function partialOf(error) {
  const beside = error[BESIDE];
  if (typeof beside !== 'string') return null;
  try {
    const { results, ...outcome } = require('node:v8').deserialize(Buffer.from(beside, 'base64'));
    return results === undefined ? outcome : { ...outcome, results: resultsIn(results) };
  } catch {
    return null;
  }
}

/**
 * An error as a function has thrown it: it may be an object that was thrown before, with what was put on it then.
 * @param {Error} error
 * @returns {Error}
 */
function withoutPartial(error) {
  if (!Object.hasOwn(error, BESIDE) || Reflect.deleteProperty(error, BESIDE)) return error;
  return new Error(error.message, { cause: error });
}

/**
 * The errors that the failures of a sub-batch are known by. Of thousands some are left out, or what they have.
 * @param {any} error @param {Partial} partial
 * @returns {any[]} one for each failure
 */
function errorsOf(error, { isSeparate, failures }) {
  const errors = isSeparate ? (Array.isArray(error.errors) ? error.errors : []) : [error];
  return failures.map((failure, i) => {
    const each = isKept(errors[i], failure) ? errors[i] : stoodFor(failure);
    return failure.failed === null ? each : Object.assign(each, { failed: failure.failed });
  });
}

/** @param {any} error @param {Failure} known */
function isKept(error, { name, code, message, isFinal }) {
  if (typeof error !== 'object' || error === null || String(error.name) !== name) return false;
  if (isNonRetryable(error, false) !== isFinal) return false;
  return String(error.message).startsWith(message) && (code === null || error.code === code);
}

/** @param {Failure} known */
function stoodFor({ name, code, message, isFinal }) {
  // Its class is not known here.
  return Object.assign(new Error(message), { name: isFinal ? NON_RETRYABLE : name }, code === null ? {} : { code });
}

/**
 * What the records of a sub-batch have failed with that its function has not named, where the source wants results.
 * @param {any} error what it has thrown for others
 */
function resultlessError(error) {
  const message = `there is no result, since the function threw for other records: ${textOf(error)}`;
  return new Error(message, { cause: error });
}

/** @param {any} error */
function textOf(error) {
  return guarded(() => String(error.message), 'an error that cannot be shown');
}

module.exports = { errorsOf, partialOf, resultlessError, textOf, withPartial, withoutPartial };
