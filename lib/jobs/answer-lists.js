'use strict';

/**
 * Lists of answers as they come from workers: JSON, with a value for each call. One list may answer the calls of many
 * jobs, one after another; to read it for each of them would take the square of its length.
 *
 * No value is handed out twice, for a caller may change what it is given. Where nobody waits for the last calls of a
 * list, its rest is still kept when another list with the very same text arrives: hence `from`.
 *
 * Must not depend on jobs.
 */

const { decodeValues } = require('../codec/codec');
const { JSON_LIST } = require('../transport/constants');

class AnswerLists {
  /** @type {{ text: string, values: readonly unknown[], from: number } | null} The rest of a list, `from` there on. */
  #rest = null;

  /**
   * The values of a list, of which the caller may take those from `start` to `end`. Throws where there are none.
   * @param {string} text @param {number} start @param {number} end
   * @returns {readonly unknown[]}
   */
  valuesOf(text, start, end) {
    const rest = this.#rest;
    const isRest = rest !== null && start >= rest.from && end <= rest.values.length && text === rest.text;
    const values = isRest ? rest.values : decodeValues(JSON_LIST, text, end, [], null);
    this.#rest = end < values.length ? { text, values, from: end } : null;
    return values;
  }
}

module.exports = { AnswerLists };
