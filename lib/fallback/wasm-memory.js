'use strict';

/**
 * Texts and lists of numbers that cross between JavaScript and the WebAssembly module, through memory that both see:
 * the other side of `src/wasm/memory.rs`.
 *
 * Must not depend on what crosses.
 */

/** What crosses through the module's memory. */
class Memory {
  #exports;
  /** @type {any} A `Buffer`, with methods that are not in its types. */
  #bytes = Buffer.alloc(0);
  #words = new Uint32Array(0);
  #doubles = new Float64Array(0);

  /** @param {any} exports the module's */
  constructor(exports) {
    this.#exports = exports;
  }

  /** Has the views show the memory as it is now: those of before it has grown have no length any more. */
  #look() {
    if (this.#words.length > 0) return;
    const { buffer } = this.#exports.memory;
    this.#bytes = Buffer.from(buffer);
    this.#words = new Uint32Array(buffer);
    this.#doubles = new Float64Array(buffer);
  }

  /** @param {number} at @param {number} length in bytes @returns {string | null} */
  text(at, length) {
    this.#look();
    return at === 0 ? null : this.#bytes.utf8Slice(at, at + length);
  }

  /** @param {number} at @param {number} count @returns {number[]} */
  doubles(at, count) {
    this.#look();
    return numbersIn(this.#doubles, at / Float64Array.BYTES_PER_ELEMENT, count);
  }

  /** @param {number} at @param {number} count @returns {number[]} */
  words(at, count) {
    this.#look();
    return numbersIn(this.#words, at / Uint32Array.BYTES_PER_ELEMENT, count);
  }

  /** The last result. @param {number} length in bytes */
  result(length) {
    return /** @type {string} */ (this.text(this.#exports.outbox(), length));
  }

  /** The last result, as numbers. @param {number} count */
  results(count) {
    return this.doubles(this.#exports.outbox(), count);
  }

  /** Passes a text. @param {string} text @returns {number} how many bytes it has */
  passText(text) {
    const length = Buffer.byteLength(text);
    const at = this.#exports.inbox(length);
    this.#look();
    return this.#bytes.utf8Write(text, at, length);
  }

  /** One of these numbers. @param {number} at @param {number} place */
  double(at, place) {
    this.#look();
    return this.#doubles[at / Float64Array.BYTES_PER_ELEMENT + place];
  }

  /** Passes three numbers. @param {number} first @param {number} second @param {number} third */
  passThree(first, second, third) {
    const at = this.#exports.inbox(3 * Uint32Array.BYTES_PER_ELEMENT) / Uint32Array.BYTES_PER_ELEMENT;
    this.#look();
    this.#words[at] = first;
    this.#words[at + 1] = second;
    this.#words[at + 2] = third;
    return 3;
  }

  /** Passes numbers. @param {ArrayLike<number>} numbers @returns {number} how many */
  passWords(numbers) {
    const at = this.#exports.inbox(numbers.length * Uint32Array.BYTES_PER_ELEMENT);
    this.#look();
    this.#words.set(numbers, at / Uint32Array.BYTES_PER_ELEMENT);
    return numbers.length;
  }
}

/** @param {Float64Array | Uint32Array} view @param {number} start @param {number} count @returns {number[]} */
function numbersIn(view, start, count) {
  const numbers = [];
  for (let i = 0; i < count; i++) numbers.push(view[start + i]);
  return numbers;
}

module.exports = { Memory };
