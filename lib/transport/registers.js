'use strict';

/**
 * The registers: an array that JavaScript and the native side both see, in which numbers cross between them. A number
 * costs less there than as an argument or an element of a list, and most of the work of a round trip is crossing.
 * `src/binding/registers.rs` is the other side.
 *
 * 1. Whoever calls the other side, or returns to it, writes the words that belong to the call just before.
 * 2. Whoever is called reads them first of all: any further crossing overwrites them.
 *
 * Must not depend on what is passed.
 */

const {
  FORM_LIST, FORM_NOTHING, FORM_SINGLE, FORM_WORD, PART_FIELDS, REGISTER_WORDS, VALUE_FIELD,
} = require('./constants');

/** @typedef {import('../codec/parts').Parts} Parts */

/** @returns {Uint32Array} */
function createRegisters() {
  // On a buffer of its own: the memory of a short array by itself may move.
  return new Uint32Array(new ArrayBuffer(REGISTER_WORDS * Uint32Array.BYTES_PER_ELEMENT));
}

/**
 * Passes parts to the native side: what this returns crosses as a value, and the registers have the rest.
 * @param {Uint32Array} registers
 * @param {Parts | null} parts
 * @returns {any}
 */
function passParts(registers, parts) {
  if (parts === null) {
    registers[FORM_WORD] = FORM_NOTHING;
    return null;
  }
  if (parts.length !== PART_FIELDS) {
    registers[FORM_WORD] = FORM_LIST;
    return parts;
  }
  registers[FORM_WORD] = FORM_SINGLE;
  for (let field = 0; field < VALUE_FIELD; field++) registers[field] = /** @type {number} */ (parts[field]);
  return parts[VALUE_FIELD];
}

/**
 * The parts that the native side passed.
 * @param {Uint32Array} registers
 * @param {any} passed
 * @returns {Parts}
 */
function receiveParts(registers, passed) {
  if (registers[FORM_WORD] === FORM_LIST) return passed;
  return [registers[0], registers[1], registers[2], registers[3], registers[4], passed];
}

/**
 * The number in two words, of which the lower one comes first.
 * @param {Uint32Array} registers @param {number} word
 */
function longAt(registers, word) {
  return registers[word] + registers[word + 1] * 2 ** 32;
}

module.exports = { createRegisters, passParts, receiveParts, longAt };
