'use strict';

/**
 * Numbers that cross between JavaScript and the native side: an array that both sides see, since a number costs less
 * there than as an argument or an element of a list, and most of a round trip's work is crossing. The words are those of
 * `src/binding/registers.rs`.
 *
 * 1. Whoever calls the other side, or returns to it, writes the words that belong to it just before.
 * 2. Whoever is called reads them first of all: any further crossing writes others.
 *
 * May not know what is passed.
 */

const { PART_FIELDS } = require('../codec/codec');

/** Entries of a part before its value, which are the first words. */
const PART_WORDS = PART_FIELDS - 1;
/** In what form the parts go that are passed along. */
const FORM_WORD = 5;
/** Arguments begin here. */
const ARGUMENT_WORD = 6;
const WORDS = 16;

/** Forms of parts: a flat list; the value of a single one, whose other entries are the first words; none. */
const LIST = 0;
const SINGLE = 1;
const NOTHING = 2;

/** @typedef {import('../codec/codec').Parts} Parts */

/** @returns {Uint32Array} */
function createRegisters() {
  // Not a short array by itself: the memory of that may move.
  return new Uint32Array(new ArrayBuffer(WORDS * Uint32Array.BYTES_PER_ELEMENT));
}

/**
 * What stands for these parts on the way to the native side.
 * @param {Uint32Array} registers
 * @param {Parts | null} parts
 * @returns {any}
 */
function passParts(registers, parts) {
  if (parts === null) {
    registers[FORM_WORD] = NOTHING;
    return null;
  }
  if (parts.length !== PART_FIELDS) {
    registers[FORM_WORD] = LIST;
    return parts;
  }
  registers[FORM_WORD] = SINGLE;
  for (let field = 0; field < PART_WORDS; field++) registers[field] = /** @type {number} */ (parts[field]);
  return parts[PART_WORDS];
}

/**
 * The parts that the native side has passed.
 * @param {Uint32Array} registers
 * @param {any} passed
 * @returns {Parts}
 */
function receiveParts(registers, passed) {
  if (registers[FORM_WORD] === LIST) return passed;
  return [registers[0], registers[1], registers[2], registers[3], registers[4], passed];
}

/**
 * The number in two words, the lower one first.
 * @param {Uint32Array} registers @param {number} word
 */
function longAt(registers, word) {
  return registers[word] + registers[word + 1] * 2 ** 32;
}

module.exports = { FORM_WORD, ARGUMENT_WORD, LIST, SINGLE, NOTHING, createRegisters, passParts, receiveParts, longAt };
