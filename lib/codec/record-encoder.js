'use strict';

/**
 * Writes lists of records in the layout of record-layout.js, and finds out on the way whether that would lose
 * anything.
 *
 * Must not depend on what the records are.
 */

const { isProxy } = require('node:util').types;
const { FewObjects, isBare, isFirst, isJsonSafeWithin } = require('./json-safe');
const {
  CONSTANTS, MAX_SHAPES, NULL_STRING, NUMBER, OTHER, STRING, TAG_ARRAY, TAG_BITS, TAG_CONSTANT, TAG_NUMBER, TAG_OBJECT,
  TAG_OCTETS, TAG_STRING,
} = require('./record-layout');
const { MAX_ARGUMENTS, isRecordList } = require('./record-lists');
const { toJson } = require('../intrinsics/json');

/** Characters after which a segment ends. */
const SEGMENT = 64 * 1024;
/** Deeper values are left to the other codecs, which can report what is wrong with them. */
const MAX_DEPTH = 100;
/** The largest size that fits above the tag of a word. */
const MAX_SIZE = 2 ** (32 - TAG_BITS) - 1;

/** A column larger than this many bytes is not kept for the next list. */
const MAX_KEPT = 64 * 1024;

/** Records that are encoded without a pause: about a millisecond's worth. */
const STEP = 1024;

/** Records that are looked at before the others are taken to be like them. */
const SAMPLE = 8;

/** @typedef {import('./record-layout').Table} Table */
/** @typedef {{ table: Table, bytes: Buffer, segments: string[] }} Encoded */
/** @typedef {import('./json-safe').Seen} Seen */

/**
 * Takes the record lists out of a value, in steps.
 * @param {unknown} value
 * @param {boolean} [areSeparate] whether the records are values of their own: an object that two of them have in common
 *   becomes two
 * @returns {Generator<void, { text: string, tables: Encoded[] } | null>} `null` if there are none, or if something
 *   would be lost
 */
function* encodeRecords(value, areSeparate = false) {
  if (typeof value !== 'object' || value === null) return null;
  /** @type {Seen} */
  const seen = areSeparate ? new FewObjects() : new Set();
  if (isRecordList(value)) {
    const encoded = yield* encodeTable(null, value, seen);
    return encoded === null ? null : { text: toJson([0, [encoded.table]]), tables: [encoded] };
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return null;
  const fields = Object.keys(value);
  // A list with properties other than its elements would lose them.
  if (Array.isArray(value) && (value.length > MAX_ARGUMENTS || fields.length !== value.length)) return null;
  /** @type {Record<string, unknown> | unknown[] | null} */
  let envelope = null;
  /** @type {Encoded[]} */
  const tables = [];
  for (let i = 0; i < fields.length; i++) {
    const key = fields[i];
    const child = /** @type {Record<string, unknown>} */ (value)[key];
    if (!isRecordList(child)) continue;
    // Assigning to that key would set the prototype of the decoded object.
    if (!isFirst(child, seen) || key === '__proto__') return null;
    const encoded = yield* encodeTable(key, child, seen);
    if (encoded === null) return null;
    tables.push(encoded);
    envelope ??= Array.isArray(value) ? value.slice() : { ...value };
    /** @type {Record<string, unknown>} */ (envelope)[key] = 0;
  }
  if (envelope === null || !isJsonSafeWithin(envelope, seen)) return null;
  return { text: toJson([envelope, tables.map(({ table }) => table)]), tables };
}

/**
 * @param {string | null} at @param {Record<string, unknown>[]} records @param {Seen} seen objects met so far
 * @returns {Generator<void, Encoded | null>}
 */
function* encodeTable(at, records, seen) {
  if (Object.getPrototypeOf(records) !== Array.prototype || isProxy(records)) return null;
  // One writer serves all lists. (A list that is encoded between two steps of another finds none and makes one.)
  const cells = scratch ?? new CellWriter();
  scratch = null;
  cells.begin(seen);
  const shape = shapeOf(records);
  const { keys, kinds } = shape;
  const { length } = records;
  if (!isBare(records)) return null;
  for (let from = 0; from < length; from += STEP) {
    if (from > 0) yield;
    const to = Math.min(from + STEP, length);
    const kept = keys === null ? addElements(cells, records, from, to, kinds[0], seen)
      : addRecords(cells, records, from, to, keys, kinds, seen);
    if (!kept) return null;
  }
  // Its owner may have changed it between two steps.
  if (records.length !== length) return null;
  const segments = cells.segments();
  const { shapes, numberCount: numbers, wordCount: words, octetCount: octets } = cells;
  const table = { at, records: length, keys, kinds, shapes, numbers, words, octets, segments: segments.length };
  const bytes = cells.bytes();
  cells.begin(NONE);
  if (cells.isSmall()) scratch = cells;
  return { table, bytes, segments };
}

/** @type {CellWriter | null} */
let scratch = null;
/** @type {Seen} */
const NONE = new Set();

/**
 * What a list seems to consist of, judged by some of its elements.
 * @param {readonly unknown[]} list
 * @returns {{ keys: string[] | null, kinds: number[] }}
 */
function shapeOf(list) {
  const first = list[0];
  const sample = Array.from({ length: SAMPLE }, (_, i) => list[Math.floor((i * (list.length - 1)) / (SAMPLE - 1))]);
  if (typeof first !== 'object' || first === null) {
    const kind = kindOf(first);
    return { keys: null, kinds: [sample.every((other) => kindOf(other) === kind) ? kind : OTHER] };
  }
  const keys = Object.keys(first);
  const kinds = keys.map((key) => kindOf(Reflect.get(first, key)));
  for (let i = 0; i < sample.length; i++) {
    const other = sample[i];
    if (typeof other !== 'object' || other === null || !isSame(Object.keys(other), keys)) {
      return { keys: null, kinds: [OTHER] };
    }
    for (let column = 0; column < keys.length; column++) {
      const cell = Reflect.get(other, keys[column]);
      if (cell !== null && kindOf(cell) !== kinds[column]) kinds[column] = OTHER;
    }
  }
  // Assigning to that key would set the prototype of the decoded object.
  return keys.length === 0 || keys.includes('__proto__') ? { keys: null, kinds: [OTHER] } : { keys, kinds };
}

/**
 * @param {CellWriter} cells @param {readonly unknown[]} list @param {number} from @param {number} to
 * @param {number} kind @param {Seen} seen objects met so far
 * @returns {boolean} false if something would be lost
 */
function addElements(cells, list, from, to, kind, seen) {
  if (kind === NUMBER) {
    if (!cells.addNumbers(list, from, to)) return false;
  } else if (kind === STRING) {
    for (let i = from; i < to; i++) {
      const item = list[i];
      if (typeof item !== 'string') return false;
      cells.addString(item, item.length);
    }
  } else {
    for (let i = from; i < to; i++) {
      if (seen instanceof FewObjects) seen.clear();
      if (!cells.addOther(list[i], 0)) return false;
    }
  }
  return true;
}

/**
 * @param {CellWriter} cells @param {readonly Record<string, unknown>[]} records @param {number} from @param {number} to
 * @param {readonly string[]} keys @param {readonly number[]} kinds @param {Seen} seen objects met so far
 * @returns {boolean} false if something would be lost, or the records are not of one shape
 */
function addRecords(cells, records, from, to, keys, kinds, seen) {
  const few = seen instanceof FewObjects ? seen : null;
  for (let i = from; i < to; i++) {
    few?.clear();
    const record = records[i];
    if (typeof record !== 'object' || record === null) return false;
    if (Object.getPrototypeOf(record) !== Object.prototype) return false;
    if (!isFirst(record, seen) || isProxy(record)) return false;
    let column = 0;
    // It has no keys but its own, or they are not the first record's. Twice as fast as a list of them.
    for (const key in record) {
      if (key !== keys[column]) return false;
      const cell = record[key];
      if (kinds[column] === STRING) {
        if (typeof cell === 'string') cells.addString(cell, cell.length);
        else if (cell === null) cells.addWord(NULL_STRING);
        else return false;
      } else if (kinds[column] === NUMBER) {
        if (typeof cell !== 'number') return false;
        cells.addNumber(cell);
      } else if (!cells.addOther(cell, 0)) {
        return false;
      }
      column++;
    }
    if (column !== keys.length) return false;
  }
  return true;
}

/** @param {unknown} cell */
function kindOf(cell) {
  return typeof cell === 'string' ? STRING : typeof cell === 'number' ? NUMBER : OTHER;
}

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
  /** @type {string[]} */
  #strings = [];
  #characters = 0;

  /**
   * Starts a new table.
   * @param {Seen} seen objects met so far
   */
  begin(seen) {
    this.#seen = seen;
    this.shapes = [];
    this.numberCount = this.wordCount = this.octetCount = this.#characters = 0;
    this.#strings = [];
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
    this.#strings.push(string);
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
    this.#done.push(this.#strings.length === 1 ? this.#strings[0] : this.#strings.join(''));
    this.#strings = [];
    this.#characters = 0;
  }

  segments() {
    if (this.#strings.length > 0) this.#cut();
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

/** @param {string[]} one @param {string[]} other */
function isSame(one, other) {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    if (one[i] !== other[i]) return false;
  }
  return true;
}

module.exports = { encodeRecords };
