'use strict';

/**
 * What it means when an invocation fails: for the chunk that it carried, and for those that wait.
 *
 * Must not depend on how it is invoked.
 */

/**
 * What becomes of a chunk whose invocation has failed.
 *
 * - `throttled`: it has not run, and less at a time is to be asked for
 * - `refused`: it has not run, and neither would any other: the function cannot be invoked as it is
 * - `tooLarge`: it has not run and never will; others may
 * - `unreachable`: it has not run, since Lambda was not reached
 * - `unknown`: it may have run, further than what has been received says
 * @typedef {'throttled' | 'refused' | 'tooLarge' | 'unreachable' | 'unknown'} Failure
 */

/**
 * @typedef {object} SdkError
 * @property {string} [name]
 * @property {string} [code] of Node's socket errors
 * @property {string} [message]
 * @property {{ httpStatusCode?: number }} [$metadata]
 * @property {unknown} [cause]
 */

/** No connection was made, so nothing was sent. */
const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
const NO_CONNECTION = /without establishing a connection|Connection timed out|did not establish a connection/i;
/** Says that there is a function to try again in a moment: it starts, or is being updated. */
const PASSING = new Set(['ResourceNotReadyException', 'ResourceConflictException', 'EC2ThrottledException']);

/**
 * @param {unknown} thrown by the SDK
 * @param {boolean} hasResponse whether Lambda had begun to respond
 * @returns {Failure}
 */
function failureOf(thrown, hasResponse) {
  const error = /** @type {SdkError} */ (Object(thrown));
  if (hasResponse) return 'unknown';
  const status = error.$metadata?.httpStatusCode;
  if (error.name === 'TooManyRequestsException' || status === 429 || PASSING.has(error.name ?? '')) return 'throttled';
  if (status === 413) return 'tooLarge';
  if (UNREACHABLE.has(error.code ?? '') || NO_CONNECTION.test(error.message ?? '')) return 'unreachable';
  // The request was answered, and not by a function: it is the request that is wrong, or who makes it.
  if (status !== undefined && status >= 400 && status < 500) return 'refused';
  if (status === undefined && isLocal(error)) return 'refused';
  return 'unknown';
}

/** Whether the SDK has failed before it sent anything, without credentials or a region. @param {SdkError} error */
function isLocal(error) {
  const { name = '', message = '' } = error;
  return /Credentials|TokenProvider/.test(name) || /Region is missing|Could not load credentials/.test(message);
}

/** @param {unknown} thrown */
function describe(thrown) {
  const { name, code, message } = /** @type {SdkError} */ (Object(thrown));
  return [code ?? name, message ?? String(thrown)].filter(Boolean).join(': ');
}

module.exports = { describe, failureOf };
