'use strict';

/**
 * The errors of calls that a worker answered, but not with a value that can be used.
 *
 * Must not depend on jobs or workers.
 */

const { ParallelizerError, protocolError } = require('../errors');
const { restoreError } = require('../codec/error-restorer');
const { fromJson } = require('../intrinsics/json');

/**
 * @typedef {object} AnswerError
 * @property {unknown} error
 * @property {string} text what the thrown value said of itself in the worker
 */

/**
 * What the user's code threw in a worker.
 * @param {string} tree the flattened error
 * @returns {AnswerError}
 */
function thrownError(tree) {
  try {
    const parsed = fromJson(tree);
    return { error: restoreError(parsed), text: String(parsed.text) };
  } catch (cause) {
    return unreadableError(cause);
  }
}

/** How calls can end on another machine. */
const ENDINGS = /** @type {const} */ (['timedOut', 'exited', 'bootFailed']);

/**
 * How calls ended on another machine.
 * @param {string} text
 * @returns {{ ending: typeof ENDINGS[number], exitError: () => unknown, host: string | null } | null} `null`: it does
 *   not say; `exitError` makes an error for each call, since it says which one it is about
 */
function endingOf(text) {
  try {
    const { ending, tree, host = null } = fromJson(text);
    const known = ENDINGS.find((each) => each === ending);
    if (known === undefined) return null;
    return { ending: known, exitError: () => (tree === null ? null : restoreError(tree)), host };
  } catch {
    return null;
  }
}

/**
 * A value that cannot be read here.
 * @param {unknown} [cause]
 * @returns {AnswerError}
 */
function unreadableError(cause) {
  // Data nested too deeply to be read has an error of its own, which says so.
  const error = cause instanceof ParallelizerError ? cause : protocolError('a result that cannot be decoded', cause);
  return { error, text: String(error) };
}

/**
 * A value that the native side could not read: it put a text that says why in its place.
 * @param {unknown} reason
 */
function refusedError(reason) {
  return unreadableError(typeof reason === 'string' ? new Error(reason) : undefined);
}

module.exports = { endingOf, thrownError, unreadableError, refusedError };
