'use strict';

/**
 * Reads lists of records in the layout of record-layout.js.
 *
 * Does not trust its input to be what this library has encoded, since a worker's own code can write to its channel as
 * well. Must not depend on what the records are.
 */

const {
  CONSTANTS, MAX_SHAPES, NULL_STRING, NUMBER, STRING, TAG_ARRAY, TAG_BITS, TAG_CONSTANT, TAG_NUMBER, TAG_OCTETS,
  TAG_STRING,
} = require('./record-layout');
const { define } = require('../intrinsics/define');
const { parse } = require('../intrinsics/json');

/** @typedef {import('./record-layout').Table} Table */

/**
 * @param {string} text
 * @param {(string | Buffer)[]} extras the bytes and the segments of each table, in order
 * @returns {unknown}
 */
function decodeRecords(text, extras) {
  /** @type {[envelope: any, tables: Table[]]} */
  const { 0: envelope, 1: tables } = parse(text);
  check(Array.isArray(tables));
  let next = 0;
  for (let i = 0; i < tables.length; i++) {
    const table = tables[i];
    check(isTable(table));
    const bytes = /** @type {Buffer} */ (extras[next++]);
    const segments = /** @type {string[]} */ (extras.slice(next, (next += table.segments)));
    check(ArrayBuffer.isView(bytes) && segments.length === table.segments);
    check(segments.every((segment) => typeof segment === 'string'));
    const records = decodeTable(table, bytes, segments);
    if (table.at === null) return records;
    // Only in the place of an own 0, so that the assignment reaches no prototype and no length.
    check(typeof envelope === 'object' && envelope !== null);
    check(Object.hasOwn(envelope, table.at) && envelope[table.at] === 0);
    envelope[table.at] = records;
  }
  return envelope;
}

/** @param {boolean} isSound @returns {asserts isSound} */
function check(isSound) {
  if (!isSound) throw new TypeError('records that do not match their description');
}

/** @param {any} table */
function isTable(table) {
  const { at, keys, kinds, shapes, ...counts } = table;
  const isCount = (/** @type {string} */ name) => Number.isSafeInteger(counts[name]) && counts[name] >= 0;
  const isKeys = (/** @type {unknown} */ list) =>
    // Assigning to that key would set the prototype of the decoded object.
    Array.isArray(list) && list.every((key) => typeof key === 'string' && key !== '__proto__');
  return (
    (at === null || typeof at === 'string') &&
    (keys === null || (isKeys(keys) && keys.length > 0)) &&
    Array.isArray(kinds) && kinds.length === (keys === null ? 1 : keys.length) &&
    Array.isArray(shapes) && shapes.length <= MAX_SHAPES && shapes.every(isKeys) &&
    ['records', 'numbers', 'words', 'octets', 'segments'].every(isCount)
  );
}

/**
 * @param {Table} table @param {Buffer} bytes @param {string[]} segments
 * @returns {Record<string, unknown>[]}
 */
function decodeTable(table, bytes, segments) {
  const { records: count, keys, kinds } = table;
  const cells = new CellReader(table, bytes, segments);
  // Before anything of that size is allocated: each cell has a number or a word.
  check(count * kinds.length <= table.numbers + table.words);
  if (keys === null) return /** @type {any} */ (decodeElements(cells, count, kinds[0]));
  const records = new Array(count);
  const isPlain = canAssign(keys);
  for (let i = 0; i < count; i++) {
    /** @type {Record<string, unknown>} */
    const record = {};
    if (!isPlain) assignAll(record, keys, (column) => nextCell(cells, kinds[column]));
    else for (let column = 0; column < keys.length; column++) {
      const kind = kinds[column];
      record[keys[column]] =
        kind === STRING ? cells.nextStringOrNull() : kind === NUMBER ? cells.nextNumber() : cells.nextOther();
    }
    records[i] = record;
  }
  cells.checkEnd();
  return records;
}

/** @param {CellReader} cells @param {number} kind */
function nextCell(cells, kind) {
  return kind === STRING ? cells.nextStringOrNull() : kind === NUMBER ? cells.nextNumber() : cells.nextOther();
}

/**
 * Whether assigning to these keys makes properties: what others have put on `Object.prototype` may be a setter.
 * @param {readonly string[]} keys
 */
function canAssign(keys) {
  for (let i = 0; i < keys.length; i++) if (keys[i] in Object.prototype) return false;
  return true;
}

/** @param {object} object @param {readonly string[]} keys @param {(column: number) => unknown} next */
function assignAll(object, keys, next) {
  const own = { writable: true, enumerable: true, configurable: true };
  keys.forEach((key, i) => define(object, key, { value: next(i), ...own }));
}

/** @param {CellReader} cells @param {number} count @param {number} kind */
function decodeElements(cells, count, kind) {
  if (kind === NUMBER) return cells.allNumbers(count);
  const list = new Array(count);
  if (kind === STRING) for (let i = 0; i < count; i++) list[i] = cells.nextStringOrNull();
  else for (let i = 0; i < count; i++) list[i] = cells.nextOther();
  cells.checkEnd();
  return list;
}

/** The cells of a table, one after another. */
class CellReader {
  #shapes;
  /** Of each shape, whether its keys can be assigned to. */
  #isPlain;
  #numbers;
  #words;
  #octets;
  #segments;
  #number = 0;
  #word = 0;
  #octet = 0;
  #segment = 0;
  #position = 0;
  #text;

  /** @param {Table} table @param {Uint8Array} bytes @param {string[]} segments */
  constructor({ shapes, numbers, words, octets }, bytes, segments) {
    check(numbers * 8 + words * 4 + octets === bytes.byteLength);
    // Allocated memory is usually aligned; where it is not, a copy is.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
    const { buffer, byteOffset } = aligned;
    this.#shapes = shapes;
    this.#isPlain = shapes.map(canAssign);
    this.#numbers = new Float64Array(buffer, byteOffset, numbers);
    this.#words = new Uint32Array(buffer, byteOffset + numbers * 8, words);
    this.#octets = new Uint8Array(buffer, byteOffset + numbers * 8 + words * 4, octets);
    this.#segments = segments;
    this.#text = segments.length > 0 ? segments[0] : '';
  }

  /** @param {number} length */
  allNumbers(length) {
    const numbers = this.#numbers;
    check(length === numbers.length);
    // A loop, since `Array.from` takes five times as long.
    const list = new Array(length);
    for (let i = 0; i < length; i++) list[i] = numbers[i];
    return list;
  }

  /**
   * Everything was read, and nothing beyond the end. (What lies beyond reads as `undefined`, which is noticed only
   * here.)
   */
  checkEnd() {
    check(
      this.#number === this.#numbers.length && this.#word === this.#words.length &&
      this.#octet === this.#octets.length &&
      this.#segment === Math.max(0, this.#segments.length - 1) && this.#position === this.#text.length,
    );
  }

  nextNumber() {
    return this.#numbers[this.#number++];
  }

  nextStringOrNull() {
    const length = this.#words[this.#word++];
    return length === NULL_STRING ? null : this.#nextText(length);
  }

  /** @param {number} length */
  #nextText(length) {
    if (this.#position >= this.#text.length && length > 0) {
      this.#text = this.#segments[++this.#segment];
      this.#position = 0;
    }
    const start = this.#position;
    this.#position = start + length;
    if (this.#position > this.#text.length) check(false);
    return this.#text.slice(start, this.#position);
  }

  /** @returns {unknown} */
  nextOther() {
    // This word says how much follows, so it is checked before that is read.
    check(this.#word < this.#words.length);
    const word = this.#words[this.#word++];
    const size = word >>> TAG_BITS;
    switch (word & ((1 << TAG_BITS) - 1)) {
      case TAG_CONSTANT:
        check(size < CONSTANTS.length);
        return CONSTANTS[size];
      case TAG_STRING:
        return this.#nextText(size);
      case TAG_NUMBER:
        return this.nextNumber();
      case TAG_OCTETS:
        return this.#nextOctets(size);
      case TAG_ARRAY: {
        check(size <= this.#words.length - this.#word);
        const list = new Array(size);
        for (let i = 0; i < size; i++) list[i] = this.nextOther();
        return list;
      }
      default: {
        /** @type {Record<string, unknown>} */
        const object = {};
        const keys = this.#shapes[size];
        if (this.#isPlain[size]) for (let i = 0; i < keys.length; i++) object[keys[i]] = this.nextOther();
        else assignAll(object, keys, () => this.nextOther());
        return object;
      }
    }
  }

  /** @param {number} size */
  #nextOctets(size) {
    const octets = this.#octets;
    check(size <= octets.length - this.#octet);
    const start = this.#octet;
    const list = new Array(size);
    for (let i = 0; i < size; i++) list[i] = octets[start + i];
    this.#octet += size;
    return list;
  }
}

module.exports = { decodeRecords };
