'use strict';

/**
 * Reads lists of records in the layout of record-layout.js.
 *
 * Does not trust its input to be what this library has encoded, since a worker's own code can write to its channel as
 * well. Must not depend on what the records are.
 */

const {
  CONSTANTS, MAX_SHAPES, NESTED, NULL_STRING, NUMBER, REPEATED, SAME_STRING, STRING, TAG_ARRAY, TAG_BITS, TAG_COLUMNS,
  TAG_CONSTANT, TAG_NUMBER, TAG_OCTETS, TAG_STRING,
} = require('./record-layout');
const { define } = require('../intrinsics/define');
const { parse } = require('../intrinsics/json');
const { keep, keepOnce } = require('../intrinsics/keep');

/** @typedef {import('./record-layout').Table} Table */

/**
 * @param {string} text
 * @param {(string | Buffer)[]} extras the bytes and the segments of each table, in order
 * @param {string} [lazyAt] the place of a list that is to be a `RecordReader`, if its records have one shape
 * @returns {unknown}
 */
function decodeRecords(text, extras, lazyAt) {
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
    const records = table.at === lazyAt && table.keys !== null ? readerOf(table, bytes, segments)
      : decodeTable(table, bytes, segments);
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
  return (
    (at === null || typeof at === 'string') &&
    (keys === null ? Array.isArray(kinds) && kinds.length === 1 : areColumns(keys, kinds) && keys.length > 0) &&
    Array.isArray(shapes) && shapes.length <= MAX_SHAPES && shapes.every(areKeys) &&
    ['records', 'numbers', 'words', 'octets', 'segments'].every(isCount)
  );
}

/** @param {unknown} list @returns {list is string[]} */
function areKeys(list) {
  // Assigning to that key would set the prototype of the decoded object.
  return Array.isArray(list) && list.every((key) => typeof key === 'string' && key !== '__proto__');
}

/** @param {unknown} keys @param {any} kinds @returns {boolean} */
function areColumns(keys, kinds) {
  return areKeys(keys) && Array.isArray(kinds) && kinds.length === keys.length &&
    kinds.every((kind) => typeof kind === 'number' || areColumns(kind?.keys, kind?.kinds));
}

/**
 * @param {Table} table @param {Buffer} bytes @param {string[]} segments
 * @returns {unknown[]}
 */
function decodeTable(table, bytes, segments) {
  if (table.keys !== null) return readerOf(table, bytes, segments).all();
  const cells = readCells(table, bytes, segments);
  return decodeElements(cells, table.records, /** @type {number} */ (table.kinds[0]));
}

/** @param {Table} table @param {Buffer} bytes @param {string[]} segments */
function readCells(table, bytes, segments) {
  // Before anything of that size is allocated: each cell has a number or a word.
  check(table.records * table.kinds.length <= table.numbers + table.words);
  return new CellReader(table, bytes, segments);
}

/** @param {Table} table of records of one shape @param {Buffer} bytes @param {string[]} segments */
function readerOf(table, bytes, segments) {
  const shape = new Shape(/** @type {string[]} */ (table.keys), table.kinds);
  return new RecordReader(table.records, shape, readCells(table, bytes, segments));
}

/** Records of one shape, each of which is made when it is taken: then most of them do not live long. */
class RecordReader {
  #shape;
  #cells;
  #next = 0;

  /** @param {number} length @param {Shape} shape @param {CellReader} cells */
  constructor(length, shape, cells) {
    this.length = length;
    this.#shape = shape;
    this.#cells = cells;
  }

  /**
   * The record at this place, which is behind those that were taken before; those between are left out.
   * @param {number} place
   */
  take(place) {
    while (this.#next < place) this.#read();
    return this.#read();
  }

  /** All that are left. */
  all() {
    const records = new Array(this.length - this.#next);
    for (let i = 0; i < records.length; i++) records[i] = this.#read();
    return records;
  }

  #read() {
    const record = this.#shape.next(this.#cells);
    if (++this.#next === this.length) this.#cells.checkEnd();
    return record;
  }
}

/** What records, or the objects in a column, have in common. */
class Shape {
  #keys;
  /** @type {number[]} */
  #kinds = [];
  /** @type {(Shape | null)[]} */
  #nested = [];
  /** Copied for each object, which takes a fraction of the time of making one. It has the strings that repeat. */
  #template;

  /** @param {readonly string[]} keys @param {readonly import('./record-layout').Kind[]} kinds */
  constructor(keys, kinds) {
    this.#keys = keys;
    this.#template = objectWith(keys);
    keepOnce(`records with ${keys}`, () => [objectWith(keys), this.#copy()]);
    kinds.forEach((kind) => {
      const isNested = typeof kind === 'object';
      this.#kinds.push(isNested ? NESTED : kind);
      this.#nested.push(isNested ? new Shape(kind.keys, kind.kinds) : null);
    });
  }

  /** @returns {Record<string, unknown>} */
  #copy() {
    return { ...this.#template };
  }

  /** @param {CellReader} cells */
  next(cells) {
    const keys = this.#keys;
    const kinds = this.#kinds;
    const object = this.#copy();
    for (let column = 0; column < keys.length; column++) {
      switch (kinds[column]) {
        case STRING:
          object[keys[column]] = cells.nextStringOrNull();
          break;
        case REPEATED:
          this.#setRepeated(object, keys[column], cells.nextWord(), cells);
          break;
        case NUMBER:
          object[keys[column]] = cells.nextNumber();
          break;
        default: {
          const word = cells.nextTag();
          const nested = this.#nested[column];
          if (word !== TAG_COLUMNS) object[keys[column]] = cells.otherOf(word);
          else object[keys[column]] = sound(nested).next(cells);
        }
      }
    }
    return object;
  }

  /** @param {Record<string, unknown>} object @param {string} key @param {number} word @param {CellReader} cells */
  #setRepeated(object, key, word, cells) {
    if (word === SAME_STRING) return;
    object[key] = word === NULL_STRING ? null : (this.#template[key] = cells.nextText(word));
  }
}

/**
 * An object with these keys, each of which is `null`. V8 copies it faster than it would a copy of one.
 * @param {readonly string[]} keys
 */
function objectWith(keys) {
  /** @type {Record<string, unknown>} */
  const object = {};
  // What others have put on `Object.prototype` may be a setter.
  const own = { value: null, writable: true, enumerable: true, configurable: true };
  keys.forEach((key) => define(object, key, { ...own }));
  return object;
}

/**
 * @template T
 * @param {T | null} value
 * @returns {T}
 */
function sound(value) {
  if (value === null) check(false);
  return /** @type {T} */ (value);
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
  /** An object of each shape, which is copied. */
  #shapes;
  #keys;
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
    this.#shapes = shapes.map(objectWith);
    this.#keys = shapes;
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
    return length === NULL_STRING ? null : this.nextText(length);
  }

  nextWord() {
    return this.#words[this.#word++];
  }

  /** @param {number} length */
  nextText(length) {
    if (this.#position >= this.#text.length && length > 0) {
      this.#text = this.#segments[++this.#segment];
      this.#position = 0;
    }
    const start = this.#position;
    this.#position = start + length;
    if (this.#position > this.#text.length) check(false);
    return this.#text.slice(start, this.#position);
  }

  /** The first word of any other cell: it says how much follows, so it has to be there. */
  nextTag() {
    check(this.#word < this.#words.length);
    return this.#words[this.#word++];
  }

  nextOther() {
    return this.otherOf(this.nextTag());
  }

  /**
   * The cell that begins with this word.
   * @param {number} word
   * @returns {unknown}
   */
  otherOf(word) {
    const size = word >>> TAG_BITS;
    switch (word & ((1 << TAG_BITS) - 1)) {
      case TAG_CONSTANT:
        check(size < CONSTANTS.length);
        return CONSTANTS[size];
      case TAG_STRING:
        return this.nextText(size);
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
        check(size < this.#shapes.length);
        /** @type {Record<string, unknown>} */
        const object = { ...this.#shapes[size] };
        const keys = this.#keys[size];
        for (let i = 0; i < keys.length; i++) object[keys[i]] = this.nextOther();
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

const NOTHING = { at: null, records: 0, keys: [], kinds: [], shapes: [], numbers: 0, words: 0, octets: 0, segments: 0 };
keep(readerOf(NOTHING, Buffer.alloc(0), []));

module.exports = { decodeRecords };
