'use strict';

/**
 * Lists of answers as they come from workers: with a value for each call, as JSON or in V8's format. One list may answer
 * the calls of many jobs, one after another; to read it for each of them would take the square of its length.
 *
 * No value is handed out twice, for a caller may change what it is given. Where nobody waits for the last calls of a
 * list, its rest is still kept when another list with the very same text arrives: hence `from`.
 *
 * Must not depend on jobs.
 */

const { decodeValues } = require('../codec/codec');

class AnswerLists {
  /**
   * The rest of a list, `from` there on.
   * @type {{ list: string | Buffer, values: readonly unknown[], from: number } | null}
   */
  #rest = null;

  /**
   * The values of a list, of which the caller may take those from `start` to `end`. Throws where there are none.
   * @param {number} codec @param {string | Buffer} list @param {number} start @param {number} end
   * @returns {readonly unknown[]}
   */
  valuesOf(codec, list, start, end) {
    const rest = this.#rest;
    const isRest = rest !== null && start >= rest.from && end <= rest.values.length && list === rest.list;
    const values = isRest ? rest.values : decodeValues(codec, list, end, [], null);
    this.#rest = end < values.length ? { list, values, from: end } : null;
    return values;
  }
}

module.exports = { AnswerLists };
