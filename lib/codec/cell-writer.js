'use strict';

/**
 * Collects the cells of a table of records by kind, in the layout of record-layout.js.
 *
 * Must not depend on what the records are.
 */

const { isProxy } = require('node:util').types;
const { keep } = require('../intrinsics/keep');
const { isBare, isFirst } = require('./json-safe');
const {
  CONSTANTS, MAX_SHAPES, TAG_ARRAY, TAG_BITS, TAG_CONSTANT, TAG_NUMBER, TAG_OBJECT, TAG_OCTETS, TAG_STRING,
} = require('./record-layout');

/** Characters after which a segment ends. */
const SEGMENT = 64 * 1024;
/** Deeper values are left to the other codecs, which can report what is wrong with them. */
const MAX_DEPTH = 100;
/** The largest size that fits above the tag of a word. */
const MAX_SIZE = 2 ** (32 - TAG_BITS) - 1;

/** A column larger than this many bytes is not kept for the next list. */
const MAX_KEPT = 64 * 1024;

/** @typedef {import('./json-safe').Seen} Seen */

/** @type {Seen} */
const NONE = new Set();

/** The cells of a table, collected by kind. */
class CellWriter {
  /** @type {string[][]} */
  shapes = [];
  numberCount = 0;
  wordCount = 0;
  octetCount = 0;
  #numbers = new Float64Array(1024);
  #words = new Uint32Array(1024);
  #octets = new Uint8Array(1024);
  #seen = NONE;
  /** @type {string[]} */
  #done = [];
  #text = '';
  #characters = 0;

  /**
   * Starts a new table.
   * @param {Seen} seen objects met so far
   */
  begin(seen) {
    this.#seen = seen;
    this.shapes = [];
    this.numberCount = this.wordCount = this.octetCount = this.#characters = 0;
    this.#text = '';
    this.#done = [];
  }

  /** Whether it takes little enough memory to be kept. */
  isSmall() {
    return Math.max(this.#numbers.byteLength, this.#words.byteLength, this.#octets.byteLength) <= MAX_KEPT;
  }

  /** @param {number} number */
  addNumber(number) {
    if (this.numberCount === this.#numbers.length) this.#numbers = grown(this.#numbers, 1);
    this.#numbers[this.numberCount++] = number;
  }

  /**
   * @param {readonly unknown[]} numbers @param {number} from @param {number} to
   * @returns {boolean} false if one of them is not a number
   */
  addNumbers(numbers, from, to) {
    if (this.numberCount + to - from > this.#numbers.length) {
      this.#numbers = grown(this.#numbers, numbers.length - from);
    }
    const target = this.#numbers;
    let at = this.numberCount;
    for (let i = from; i < to; i++) {
      const number = numbers[i];
      if (typeof number !== 'number') return false;
      target[at++] = number;
    }
    this.numberCount = at;
    return true;
  }

  /** @param {number} word */
  addWord(word) {
    if (this.wordCount === this.#words.length) this.#words = grown(this.#words, 1);
    this.#words[this.wordCount++] = word;
  }

  /** @param {string} string @param {number} word the word that represents it */
  addString(string, word) {
    this.addWord(word);
    if (string.length === 0) return;
    this.#text += string;
    this.#characters += string.length;
    if (this.#characters >= SEGMENT) this.#cut();
  }

  /**
   * @param {unknown} value @param {number} depth
   * @returns {boolean} false if something would be lost
   */
  addOther(value, depth) {
    if (typeof value === 'string') {
      if (value.length > MAX_SIZE) return false;
      this.addString(value, (value.length << TAG_BITS) | TAG_STRING);
      return true;
    }
    if (typeof value === 'number') {
      this.addWord(TAG_NUMBER);
      this.addNumber(value);
      return true;
    }
    if (typeof value === 'boolean' || value === null) {
      this.addWord((CONSTANTS.indexOf(value) << TAG_BITS) | TAG_CONSTANT);
      return true;
    }
    if (typeof value !== 'object' || depth > MAX_DEPTH || !isFirst(value, this.#seen) || isProxy(value)) return false;
    return Array.isArray(value) ? this.#addList(value, depth) : this.#addObject(value, depth);
  }

  /** @param {unknown[]} list @param {number} depth */
  #addList(list, depth) {
    const { length } = list;
    if (Object.getPrototypeOf(list) !== Array.prototype || length > MAX_SIZE) return false;
    if (!isBare(list)) return false;
    if (this.#addOctets(list)) return true;
    this.addWord((length << TAG_BITS) | TAG_ARRAY);
    for (let i = 0; i < length; i++) {
      if (!this.addOther(list[i], depth + 1)) return false;
    }
    return true;
  }

  /**
   * @param {unknown[]} list
   * @returns {boolean} false, with nothing added, if it is not a list of bytes
   */
  #addOctets(list) {
    const { length } = list;
    if (length === 0 || typeof list[0] !== 'number') return false;
    if (this.octetCount + length > this.#octets.length) this.#octets = grown(this.#octets, length);
    const octets = this.#octets;
    let at = this.octetCount;
    for (let i = 0; i < length; i++) {
      const item = list[i];
      // -0 is not a byte. Nor is anything that `&` with 255 would change.
      if (typeof item !== 'number' || (item & 255) !== item || (item === 0 && 1 / item < 0)) return false;
      octets[at++] = item;
    }
    this.octetCount = at;
    this.addWord((length << TAG_BITS) | TAG_OCTETS);
    return true;
  }

  /** @param {object} object @param {number} depth */
  #addObject(object, depth) {
    if (Object.getPrototypeOf(object) !== Object.prototype) return false;
    const keys = Object.keys(object);
    const shape = this.#shapeOf(keys);
    if (shape < 0) return false;
    this.addWord((shape << TAG_BITS) | TAG_OBJECT);
    for (let i = 0; i < keys.length; i++) {
      if (!this.addOther(/** @type {Record<string, unknown>} */ (object)[keys[i]], depth + 1)) return false;
    }
    return true;
  }

  /** @param {string[]} keys @returns {number} -1 if there are too many, or a key cannot be assigned to */
  #shapeOf(keys) {
    const { shapes } = this;
    for (let i = 0; i < shapes.length; i++) {
      if (isSame(shapes[i], keys)) return i;
    }
    if (shapes.length === MAX_SHAPES || keys.includes('__proto__')) return -1;
    return shapes.push(keys) - 1;
  }

  /** Ends a segment, always between two strings. */
  #cut() {
    this.#done.push(this.#text);
    this.#text = '';
    this.#characters = 0;
  }

  segments() {
    if (this.#text.length > 0) this.#cut();
    return this.#done;
  }

  bytes() {
    return Buffer.concat([
      new Uint8Array(this.#numbers.buffer, 0, this.numberCount * 8),
      new Uint8Array(this.#words.buffer, 0, this.wordCount * 4),
      this.#octets.subarray(0, this.octetCount),
    ]);
  }
}

keep(new CellWriter());

/**
 * A copy with room for at least this many more.
 * @template {Float64Array | Uint32Array | Uint8Array} A
 * @param {A} array @param {number} more
 * @returns {A}
 */
function grown(array, more) {
  const Type = /** @type {new (length: number) => A} */ (array.constructor);
  const larger = new Type(2 * array.length + more);
  larger.set(/** @type {any} */ (array));
  return larger;
}
/** @param {readonly string[]} one @param {readonly string[]} other */
function isSame(one, other) {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    if (one[i] !== other[i]) return false;
  }
  return true;
}

module.exports = { CellWriter, isSame, NONE };
