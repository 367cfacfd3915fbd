'use strict';

/**
 * Lists of answers as they come from workers: with a value for each call, as JSON or in V8's format. One list may
 * answer the calls of many jobs, one after another; to read it for each of them would take the square of its length.
 *
 * No value is handed out twice, for a caller may change what it is given. Where nobody waits for the last calls of a
 * list, its rest is still kept when another list with the very same text arrives: hence `from`.
 *
 * Must not depend on jobs.
 */

const { decodeValues, readPlain } = require('../codec/codec');
const { JSON_LIST, PLAIN_VALUES } = require('../transport/constants');

class AnswerLists {
  /**
   * The rest of a list of JSON, `from` there on.
   * @type {{ text: string, values: readonly unknown[], from: number } | null}
   */
  #rest = null;
  /** A list in V8's format, of which as much was read as was asked for, and handed out `until` there. */
  #plain = /** @type {{ bytes: Buffer, reader: ReturnType<typeof readPlain>, until: number } | null} */ (null);

  /**
   * The values of a part, of which the caller may take those from `start` to `end`; `null`: the part is no such list.
   * Throws where there are none.
   * @param {number} codec @param {string | Buffer} value @param {number} start @param {number} end
   * @returns {readonly unknown[] | null}
   */
  valuesOf(codec, value, start, end) {
    if (codec === JSON_LIST) return this.#fromText(/** @type {string} */ (value), start, end);
    return codec === PLAIN_VALUES ? this.#fromBytes(/** @type {Buffer} */ (value), start, end) : null;
  }

  /** @param {string} text @param {number} start @param {number} end */
  #fromText(text, start, end) {
    const rest = this.#rest;
    const isRest = rest !== null && start >= rest.from && end <= rest.values.length && text === rest.text;
    const values = isRest ? rest.values : decodeValues(JSON_LIST, text, end, [], null);
    this.#rest = end < values.length ? { text, values, from: end } : null;
    return values;
  }

  /** @param {Buffer} bytes @param {number} start @param {number} end */
  #fromBytes(bytes, start, end) {
    let plain = this.#plain;
    // By the object, not by what it has: all jobs of a list are handed the same.
    if (plain === null || plain.bytes !== bytes || start < plain.until) {
      plain = this.#plain = { bytes, reader: readPlain(bytes), until: 0 };
    }
    plain.until = end;
    try {
      return plain.reader.upTo(end);
    } catch (error) {
      // Where the next value begins is not known: those behind this one are lost as well.
      this.#plain = null;
      throw error;
    }
  }
}

module.exports = { AnswerLists };
