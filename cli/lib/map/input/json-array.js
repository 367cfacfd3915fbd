'use strict';

/**
 * The elements of one large array of JSON, however long it is: found by their commas and brackets, and not parsed.
 * Whether an element is JSON, the worker finds out that parses it.
 */

const { InputError } = require('./input-error');

const [NEWLINE, QUOTE, COMMA, BACKSLASH] = [10, 34, 44, 92];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];

/** A longer element is a mistake. */
const MAX_ELEMENT = 256 * 1024 * 1024;

/** Which bytes say anything outside of strings. */
const MATTERS = new Uint8Array(256);
for (const byte of [NEWLINE, QUOTE, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT]) MATTERS[byte] = 1;

/** @typedef {import('./records').Entry} Entry */

class JsonArray {
  #source;
  /** @type {Buffer} */
  #piece = Buffer.alloc(0);
  #at = 0;
  /** The beginning of an element that goes on in the next piece. @type {Buffer[]} */
  #begun = [];
  #begunBytes = 0;
  /** @type {'before' | 'within' | 'after'} the array */
  #state = 'before';
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  /** Where the piece begins. */
  #offset;
  #line;
  /** The line in which the element begins; 0 before it does. */
  #elementLine = 0;
  /** Whether the array may end here without another element. */
  #mayEnd = true;
  #hasEnded = false;

  /**
   * @param {InstanceType<typeof import('./byte-source').ByteSource>} source
   * @param {import('./records').Place} place
   */
  constructor(source, { offset, line }) {
    this.#source = source;
    this.#offset = offset;
    this.#line = line;
    // A place is behind a comma, or at the bracket that ends the array.
    if (offset > 0) this.#state = 'within';
  }

  /** @returns {Entry | undefined} */
  take() {
    if (this.#state === 'before' && !this.#open()) return undefined;
    if (this.#state === 'after') {
      this.#close();
      return undefined;
    }
    return this.#element();
  }

  /** @returns {Promise<boolean>} */
  async more() {
    if (this.#hasEnded) return false;
    const rest = this.#piece.subarray(this.#at);
    if (this.#state === 'within' && rest.length > 0) {
      this.#begun.push(rest);
      this.#begunBytes += rest.length;
      if (this.#begunBytes > MAX_ELEMENT) {
        throw new InputError(`the element in line ${this.#elementLine} has more than ${MAX_ELEMENT / 2 ** 20} MiB`);
      }
    }
    this.#offset += this.#piece.length;
    const piece = await this.#source.read();
    this.#at = 0;
    this.#piece = piece ?? Buffer.alloc(0);
    if (piece !== null) return true;
    this.#hasEnded = true;
    return false;
  }

  /** Called at the end of the input, unless it was stopped. */
  finish() {
    if (this.#state === 'before') throw new InputError('the input is empty, and --json expects an array');
    if (this.#state === 'within') {
      throw new InputError(`the input ends in line ${this.#line + 1}, within its array: it may have been cut off`);
    }
  }

  #open() {
    for (; this.#at < this.#piece.length; this.#at++) {
      const byte = this.#piece[this.#at];
      if (byte === NEWLINE) this.#line++;
      // White space, or the bytes of a byte order mark.
      if (byte <= 32 || (byte >= 0x80 && this.#line === 0)) continue;
      if (byte !== OPEN_LIST) {
        throw new InputError(
          'the input does not begin with "[", and --json expects one array. For a record on each line leave out --json',
        );
      }
      this.#at++;
      this.#state = 'within';
      return true;
    }
    return false;
  }

  #close() {
    for (; this.#at < this.#piece.length; this.#at++) {
      const byte = this.#piece[this.#at];
      if (byte === NEWLINE) this.#line++;
      if (byte > 32) throw new InputError(`there is more after the end of the array, in line ${this.#line + 1}`);
    }
  }

  #element() {
    const piece = this.#piece;
    const start = this.#at;
    let at = start;
    let depth = this.#depth;
    for (; at < piece.length; at++) {
      const byte = piece[at];
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#inString = false;
        continue;
      }
      if (byte > 32 && this.#elementLine === 0) this.#elementLine = this.#line + 1;
      if (MATTERS[byte] === 0) continue;
      if (byte === NEWLINE) this.#line++;
      else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++;
      else if (depth > 0) {
        if (byte !== COMMA) depth--;
      } else if (byte === COMMA || byte === CLOSE_LIST) {
        return this.#cut(start, at, byte === CLOSE_LIST);
      }
    }
    this.#depth = depth;
    return undefined;
  }

  /** @param {number} start @param {number} end @param {boolean} isLast @returns {Entry | undefined} */
  #cut(start, end, isLast) {
    const text = (this.#begun.length === 0
      ? this.#piece.toString('utf8', start, end)
      : Buffer.concat([...this.#begun, this.#piece.subarray(start, end)]).toString()
    ).trim();
    this.#begun = [];
    this.#begunBytes = 0;
    this.#at = end + 1;
    this.#depth = 0;
    const line = text === '' ? this.#line + 1 : this.#elementLine;
    this.#elementLine = 0;
    if (isLast) this.#state = 'after';
    const isNothing = isLast && text === '' && this.#mayEnd;
    this.#mayEnd = false;
    if (isNothing) return undefined;
    // After the last element, what is left begins with the bracket.
    const next = this.#offset + (isLast ? end : end + 1);
    return { item: text, line, end: next, endLine: this.#line };
  }
}

module.exports = { JsonArray };
