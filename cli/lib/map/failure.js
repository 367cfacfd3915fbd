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
 * What is asked of something that was thrown, which runs code of the user's: that may throw in turn.
 * @template T
 * @param {() => T} ask @param {T} otherwise
 * @returns {T}
 */
function attempt(ask, otherwise) {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}

/**
 * @param {unknown} error what was thrown, whatever it is @param {string} [prefix] before its message
 * @returns {ErrorFields}
 */
function describeError(error, prefix = '', depth = 0) {
  const field = (/** @type {string} */ name) => attempt(() => /** @type {any} */ (error ?? {})[name], undefined);
  const isError = attempt(() => error instanceof Error, false);
  const message = field('message');
  // One of another realm has a message; whatever else was thrown has none.
  if (!isError && typeof message !== 'string') {
    return { name: 'Error', message: `${prefix}${attempt(() => inspect(error), 'what cannot be shown')} was thrown` };
  }
  const code = isError ? field('code') : undefined;
  const cause = isError ? field('cause') : undefined;
  return {
    name: attempt(() => String(field('name') ?? 'Error'), 'Error'),
    message: prefix + attempt(() => String(message ?? ''), 'a message that cannot be shown'),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...stackField(field('stack')),
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
