'use strict';

/**
 * Joins the answers to single calls of one chunk, which a worker sends one by one, to replies of many: to book and to
 * decode each by itself costs more than all the rest of it. (`src/joined_answers.rs` does the same.)
 *
 * Must not depend on where answers come from, nor on what becomes of them.
 */

const { JSON_LIST, LATIN1, MAX_COUNT, PART_FIELDS, VALUE_FIELD } = require('../transport/constants');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * The list of one plain value, which is valid whatever comes before and after it: so an answer that is none spoils no
 * other one.
 */
const PLAIN = /^\[(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|"[ !#-[\]-~]*")\]$/;
/** A longer text is not looked at, in characters. */
const MAX_PLAIN = 80;
/** Answers are joined while they have less than so many characters together. */
const MAX_LENGTH = 64 * 1024;

class JoinedReplies {
  #replied;
  /** @type {string[]} The elements of the list that the answers make. */
  #texts = [];
  #length = 0;
  #frame = 0;
  #offset = 0;
  #calls = 0;
  #micros = 0;
  /** @type {Parts} The first answer as it came: where no other follows, there is nothing to join. */
  #first = [];

  /** @param {(frame: number, offset: number, micros: number, parts: Parts) => void} replied takes a reply */
  constructor(replied) {
    this.#replied = replied;
  }

  /** @param {number} frame @param {number} offset @param {number} micros @param {Parts} parts */
  add(frame, offset, micros, parts) {
    const { 0: encoding, 1: codec, 2: flags, 3: calls, 4: tag, 5: value } = parts;
    const isPlain = parts.length === PART_FIELDS && encoding === LATIN1 && codec === JSON_LIST && flags === 0 &&
      calls === 1 && tag === 0 && typeof value === 'string' && value.length <= MAX_PLAIN && PLAIN.test(value);
    if (!isPlain) {
      this.finish();
      this.#replied(frame, offset, micros, parts);
      return;
    }
    const follows = frame === this.#frame && offset === this.#offset + this.#calls && this.#length < MAX_LENGTH;
    if (!follows || this.#calls === 0) {
      this.finish();
      this.#frame = frame;
      this.#offset = offset;
      this.#first = parts;
    } else {
      if (this.#calls === 1) this.#texts.push(/** @type {string} */ (this.#first[VALUE_FIELD]).slice(1, -1));
      this.#texts.push(value.slice(1, -1));
    }
    this.#length += value.length;
    this.#calls++;
    this.#micros += micros;
  }

  /** Nothing more comes for now. */
  finish() {
    if (this.#calls === 0) return;
    const calls = this.#calls;
    const micros = Math.min(this.#micros, MAX_COUNT);
    let parts = this.#first;
    if (calls > 1) {
      parts = [LATIN1, JSON_LIST, 0, calls, 0, `[${this.#texts.join(',')}]`];
      this.#texts = [];
    }
    this.#length = this.#calls = this.#micros = 0;
    this.#replied(this.#frame, this.#offset, micros, parts);
  }
}

module.exports = { JoinedReplies };
