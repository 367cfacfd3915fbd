'use strict';

/**
 * Records that are rows of CSV. Here they are only found: where one ends that has quotes. What is in them, the workers
 * find out, and so it is they who say that a row is none.
 *
 * A quote that nothing closes, or that something else follows than the end of its field, makes a row that is none. It
 * is taken to end with its first line, so that what comes after it is not lost with it.
 */

const { Block } = require('./block');
const { fieldsOf } = require('./csv-fields');
const { InputError } = require('./input-error');

/** Up to here the end of a quoted field is looked for. */
const MAX_ROW = 64 * 1024 * 1024;
/** A longer beginning of a row is looked at again only when twice as much is there. */
const LONG = 1024 * 1024;

const NEWLINE = 10;
const RETURN = 13;
const QUOTE = 34;

/** @typedef {import('./records').Limit} Limit */
/** @typedef {{ columns: string[], newline: number }} Header */

class Rows {
  #source;
  #delimiter;
  #delimiterBytes;
  /** What is not taken yet. @type {Buffer} */
  #bytes = Buffer.alloc(0);
  #at = 0;
  /** How many bytes and lines of the input are before the next row. */
  #offset;
  #line;
  /** Where the next quote is, from the next row on; beyond the end if there is none. */
  #quote = -1;
  #hasEnded = false;
  /** @type {Header | null} */
  #header;
  /** What ends a line. */
  #newline;

  /**
   * @param {InstanceType<typeof import('./byte-source').ByteSource>} source
   * @param {import('./records').Place} place
   * @param {{ delimiter: string, header?: Header | null }} options `header`: not to be read at that place
   */
  constructor(source, { offset, line }, { delimiter, header = null }) {
    this.#source = source;
    this.#offset = offset;
    this.#line = line;
    this.#delimiter = delimiter;
    this.#delimiterBytes = Buffer.from(delimiter);
    this.#header = header;
    this.#newline = header?.newline ?? NEWLINE;
  }

  /** The first row; null before it is read. */
  get header() {
    return this.#header;
  }

  /** The next rows that are there already. @param {Limit} limit @returns {InstanceType<typeof Block> | null} */
  take({ records, bytes }) {
    if (this.#header === null && !this.#hasReadHeader()) return null;
    /** @type {InstanceType<typeof Block> | null} */
    let block = null;
    const base = this.#at;
    const place = { offset: this.#offset, line: this.#line };
    while (block === null || (block.count < records && this.#at - base < bytes)) {
      const start = this.#at;
      const next = this.#rowEnd();
      if (next < 0) break;
      const end = this.#withoutNewline(next);
      const before = this.#line;
      this.#pass(next);
      if (end === start) continue;
      block ??= new Block(this.#bytes, base, place, records);
      block.add(start, end, next, before + 1, this.#line);
    }
    return block;
  }

  /** @returns {Promise<boolean>} */
  async more() {
    if (this.#hasEnded) return false;
    const pieces = [this.#bytes.subarray(this.#at)];
    const wanted = pieces[0].length > LONG ? 2 * pieces[0].length : 0;
    let length = pieces[0].length;
    do {
      const piece = await this.#source.read();
      if (piece === null) {
        this.#hasEnded = true;
        break;
      }
      pieces.push(piece);
      length += piece.length;
    } while (length < wanted);
    this.#bytes = Buffer.concat(pieces);
    this.#at = 0;
    this.#quote = -1;
    return !this.#hasEnded || length > 0;
  }

  /** Reads the first row, which says how lines end, too. Whether it is there. */
  #hasReadHeader() {
    const bytes = this.#bytes;
    const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    if (isMarked && this.#offset === 0) this.#at = this.#offset = 3;
    for (;;) {
      const start = this.#at;
      const newline = this.#newlineOf(start);
      if (newline === null) return false;
      this.#newline = newline;
      const next = this.#rowEnd();
      if (next < 0) return false;
      const row = bytes.subarray(start, this.#withoutNewline(next));
      this.#pass(next);
      if (row.length === 0) continue;
      try {
        this.#header = { columns: fieldsOf(row, this.#delimiter), newline };
      } catch (error) {
        throw new InputError(`the first row has no names: ${/** @type {Error} */ (error).message}`);
      }
      return true;
    }
  }

  /** What ends the lines of this file, where the first one ends; null if it does not end yet. @param {number} start */
  #newlineOf(start) {
    const bytes = this.#bytes;
    for (let at = start; at < bytes.length; at++) {
      if (bytes[at] === NEWLINE) return NEWLINE;
      if (bytes[at] !== RETURN) continue;
      if (at + 1 === bytes.length && !this.#hasEnded) return null;
      return bytes[at + 1] === NEWLINE || at + 1 === bytes.length ? NEWLINE : RETURN;
    }
    return this.#hasEnded && start < bytes.length ? NEWLINE : null;
  }

  /** Where the next row ends, its newline included; -1 if that is not there yet. */
  #rowEnd() {
    const bytes = this.#bytes;
    const start = this.#at;
    const line = this.#lineEnd(start);
    if (this.#quote < start) this.#quote = this.#quoteFrom(start);
    if (line >= 0 && this.#quote >= line) return line;
    if (start === bytes.length) return -1;
    for (let at = start; ; ) {
      const quote = this.#quoteFrom(at);
      const end = this.#lineEnd(at);
      if (end >= 0 && quote >= end) return end;
      if (quote === bytes.length) return -1;
      // A quote within a field that does not begin with one: the row is none.
      if (!this.#beginsField(start, quote)) return this.#lineEnd(quote);
      const close = this.#closing(quote);
      if (close < 0) return this.#hasEnded || bytes.length - start > MAX_ROW ? line : -1;
      if (!this.#hasEnded && this.#mayGoOn(close + 1)) return -1;
      if (close - start > MAX_ROW || !this.#endsField(close + 1)) return line;
      at = close + 1;
    }
  }

  /** The end of the line, its newline included; -1 if that is not there yet. @param {number} at */
  #lineEnd(at) {
    const newline = this.#bytes.indexOf(this.#newline, at);
    if (newline >= 0) return newline + 1;
    return this.#hasEnded && this.#at < this.#bytes.length ? this.#bytes.length : -1;
  }

  /** @param {number} at */
  #quoteFrom(at) {
    const quote = this.#bytes.indexOf(QUOTE, at);
    return quote < 0 ? this.#bytes.length : quote;
  }

  /** The quote that closes a field; -1 if it is not there yet. @param {number} open */
  #closing(open) {
    const bytes = this.#bytes;
    for (let at = open + 1; ; at += 2) {
      at = bytes.indexOf(QUOTE, at);
      // Two of them are one within the field.
      if (at < 0 || bytes[at + 1] !== QUOTE) return at;
    }
  }

  /** @param {number} start of the row @param {number} quote */
  #beginsField(start, quote) {
    const { length } = this.#delimiterBytes;
    if (quote === start) return true;
    return quote - length >= start && this.#bytes.compare(this.#delimiterBytes, 0, length, quote - length, quote) === 0;
  }

  /** Whether what stands behind a quote is not all there yet. @param {number} at */
  #mayGoOn(at) {
    const rest = this.#bytes.subarray(at, at + this.#delimiterBytes.length);
    if (rest.length === 0 || (rest[0] === RETURN && at + 1 === this.#bytes.length)) return true;
    return rest.length < this.#delimiterBytes.length && this.#delimiterBytes.subarray(0, rest.length).equals(rest);
  }

  /** @param {number} at */
  #endsField(at) {
    const bytes = this.#bytes;
    if (at === bytes.length || bytes[at] === this.#newline) return true;
    if (bytes[at] === RETURN) return at + 1 === bytes.length || bytes[at + 1] === this.#newline;
    const end = at + this.#delimiterBytes.length;
    return end <= bytes.length && bytes.compare(this.#delimiterBytes, 0, end - at, at, end) === 0;
  }

  /** Where the text of a row ends. @param {number} next where its newline ends */
  #withoutNewline(next) {
    const bytes = this.#bytes;
    let end = next;
    if (end > this.#at && bytes[end - 1] === this.#newline) end--;
    if (this.#newline === NEWLINE && end > this.#at && bytes[end - 1] === RETURN) end--;
    return end;
  }

  /** @param {number} next where the next row begins */
  #pass(next) {
    const bytes = this.#bytes;
    this.#offset += next - this.#at;
    let lines = 0;
    for (let at = this.#at; at < next; lines++) {
      const newline = bytes.indexOf(this.#newline, at);
      at = newline < 0 ? next : newline + 1;
    }
    this.#line += lines;
    this.#at = next;
  }
}

module.exports = { Rows };
