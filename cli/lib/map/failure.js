'use strict';

/**
 * Why a record has no result, as plain data: what goes into the file of failed records, and to stderr.
 */

const path = require('node:path');
const { inspect } = require('node:util');

/**
 * @typedef {object} ErrorFields
 * @property {string} name @property {string} message
 * @property {string | number} [code] @property {string} [stack] @property {ErrorFields} [cause]
 */
/** @typedef {{ error: ErrorFields }} Failure */

/** How many causes of causes are told. */
const MAX_CAUSES = 8;
/** What calls the user's function: from here on, a stack is about nothing of the user's. */
const CALLER = path.join(__dirname, 'worker.js');

/** @param {unknown} stack @returns {{ stack?: string }} */
function stackField(stack) {
  if (typeof stack !== 'string') return {};
  const lines = stack.split('\n');
  const end = lines.findIndex((line) => line.includes(CALLER));
  return { stack: (end < 0 ? lines : lines.slice(0, end)).join('\n') };
}

/**
 * @param {unknown} error what was thrown @param {string} [prefix] before its message
 * @returns {ErrorFields}
 */
function describeError(error, prefix = '', depth = 0) {
  if (!(error instanceof Error)) {
    // One of another realm, or whatever else was thrown.
    const { name, message, stack } = /** @type {any} */ (error ?? {});
    if (typeof message !== 'string') return { name: 'Error', message: `${prefix}${inspect(error)} was thrown` };
    return { name: String(name ?? 'Error'), message: prefix + message, ...stackField(stack) };
  }
  const { code, cause, stack } = /** @type {Error & { code?: unknown }} */ (error);
  return {
    name: String(error.name),
    message: prefix + String(error.message),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...stackField(stack),
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: describeError(cause, '', depth + 1) }),
  };
}

/** @param {ErrorFields} error @returns {Failure} */
const failure = (error) => ({ error });

/** In one line. @param {ErrorFields} error */
function shortText({ name, message }) {
  return `${name}: ${message}`.split('\n', 1)[0];
}

module.exports = { describeError, failure, shortText };
