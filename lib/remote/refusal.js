'use strict';

/**
 * The answer to calls that cannot be sent to another machine, or are not to be run there.
 *
 * Must not depend on why that is.
 */

const { CALLS_FIELD, ERROR_TREE, FAILED, SKIPPED, pushText } = require('../codec/parts');
const { flattenError } = require('../codec/error-flattener');
const { toJson } = require('../intrinsics/json');
const { FLAGS_FIELD } = require('../transport/constants');

/**
 * The part that answers the calls of the part at this position.
 * @param {import('../codec/parts').Parts} parts @param {number} at @param {unknown} error
 * @returns {import('../codec/parts').Parts | null} `null`: it expects no answer
 */
function refusal(parts, at, error) {
  const calls = Number(parts[at + CALLS_FIELD]);
  if (calls === 0 || (Number(parts[at + FLAGS_FIELD]) & SKIPPED) !== 0) return null;
  const text = toJson(flattenError(error));
  /** @type {import('../codec/parts').Parts} */
  const answers = [];
  for (let call = 0; call < calls; call++) pushText(answers, ERROR_TREE, FAILED, 1, 0, text);
  return answers;
}

module.exports = { refusal };
