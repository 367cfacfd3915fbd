'use strict';

/**
 * The answers to calls that cannot be sent to another machine, or are not to be run there.
 *
 * Must not depend on why that is.
 */

const { CALLS_FIELD, ERROR_TREE, FAILED, SKIPPED, pushText } = require('../codec/parts');
const { flattenError } = require('../codec/error-flattener');
const { toJson } = require('../intrinsics/json');
const { FLAGS_FIELD, PART_FIELDS } = require('../transport/constants');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * Answers all calls of a frame that expect an answer.
 * @param {Parts} parts those of the frame @param {unknown} error
 * @returns {{ offset: number, calls: number, parts: Parts }[]} one for each part, with the place of its first call
 */
function refusals(parts, error) {
  const text = toJson(flattenError(error));
  /** @type {{ offset: number, calls: number, parts: Parts }[]} */
  const replies = [];
  for (let at = 0, offset = 0; at < parts.length; at += PART_FIELDS) {
    const calls = Number(parts[at + CALLS_FIELD]);
    if (calls > 0 && (Number(parts[at + FLAGS_FIELD]) & SKIPPED) === 0) {
      /** @type {Parts} */
      const answers = [];
      for (let call = 0; call < calls; call++) pushText(answers, ERROR_TREE, FAILED, 1, 0, text);
      replies.push({ offset, calls, parts: answers });
    }
    offset += calls;
  }
  return replies;
}

module.exports = { refusals };
