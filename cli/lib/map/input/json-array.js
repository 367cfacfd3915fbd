'use strict';

/**
 * The elements of one large array of JSON, however long it is: found by their commas and brackets, and not parsed.
 * Whether an element is JSON, the worker finds out that parses it.
 */

const { Block } = require('./block');
const { InputError } = require('./input-error');

const [NEWLINE, QUOTE, COMMA, BACKSLASH] = [10, 34, 44, 92];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];

/** A longer element is a mistake. */
const MAX_ELEMENT = 256 * 1024 * 1024;

/** Which bytes say anything outside of strings. */
const MATTERS = new Uint8Array(256);
for (const byte of [NEWLINE, QUOTE, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT]) MATTERS[byte] = 1;

/** @typedef {import('./records').Limit} Limit */

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
  /** How far the piece was looked at. */
  #scanned = 0;
  /** Where the piece begins. */
  #offset;
  /** How many lines are before what was looked at, and before the next element. */
  #line;
  #lineBefore;
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
    this.#line = this.#lineBefore = line;
    // A place is behind a comma, or at the bracket that ends the array.
    if (offset > 0) this.#state = 'within';
  }

  /** The next elements that are there already. @param {Limit} limit @returns {InstanceType<typeof Block> | null} */
  take({ records, bytes }) {
    if (this.#state === 'before' && !this.#open()) return null;
    /** @type {InstanceType<typeof Block> | null} */
    let block = null;
    const from = this.#at;
    const place = { offset: this.#offset + from, line: this.#lineBefore };
    while (this.#state === 'within') {
      const end = this.#elementEnd();
      if (end < 0) break;
      if (this.#begun.length > 0) {
        block = this.#longElement(end);
        break;
      }
      block ??= new Block(this.#piece, from, place, records);
      this.#add(block, this.#piece, this.#at, end);
      this.#at = this.#scanned = end + 1;
      if (block.count === records || this.#at - from >= bytes) break;
    }
    if (block !== null && block.count > 0) return block;
    if (this.#state === 'after') this.#close();
    return null;
  }

  /** One that has begun in an earlier piece. @param {number} end @returns {InstanceType<typeof Block>} */
  #longElement(end) {
    const bytes = Buffer.concat([...this.#begun, this.#piece.subarray(0, end + 1)]);
    const place = { offset: this.#offset - this.#begunBytes, line: this.#lineBefore };
    this.#begun = [];
    this.#begunBytes = 0;
    this.#at = this.#scanned = end + 1;
    const block = new Block(bytes, 0, place, 1);
    this.#add(block, bytes, 0, bytes.length - 1);
    return block;
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
    this.#at = this.#scanned = 0;
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
      this.#at = this.#scanned = this.#at + 1;
      this.#lineBefore = this.#line;
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

  /** Where the comma or bracket is that ends the element; -1 if it is not there yet. */
  #elementEnd() {
    const piece = this.#piece;
    let depth = this.#depth;
    let at = this.#scanned;
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
        this.#depth = 0;
        return at;
      }
    }
    this.#depth = depth;
    this.#scanned = at;
    return -1;
  }

  /**
   * An element, without the white space around it; nothing if the array ends without another one.
   * @param {InstanceType<typeof Block>} block
   * @param {Buffer} bytes @param {number} start @param {number} end where in them it is
   */
  #add(block, bytes, start, end) {
    const isLast = bytes[end] === CLOSE_LIST;
    let [from, to] = [start, end];
    while (from < to && bytes[from] <= 32) from++;
    while (to > from && bytes[to - 1] <= 32) to--;
    const isEmpty = from === to;
    const line = isEmpty ? this.#line + 1 : this.#elementLine;
    // After the last element, what is left begins with the bracket.
    if (!(isLast && isEmpty && this.#mayEnd)) block.add(from, to, isLast ? end : end + 1, line, this.#line);
    this.#elementLine = 0;
    this.#lineBefore = this.#line;
    this.#mayEnd = false;
    if (isLast) this.#state = 'after';
  }
}

module.exports = { JsonArray };
