'use strict';

/**
 * The encoding for what this library is mostly handed: lists of plain objects of one shape (records). Lists of numbers, of
 * strings and of objects of several shapes go the same way.
 *
 * The strings of the records are joined without escaping, numbers lie side by side as doubles, lists of bytes (the
 * headers of Kafka records) as bytes; decoding is slicing. The same pass finds out whether anything would be lost, and
 * then gives the value back to the other codecs. Against JSON it costs about half, each way.
 *
 * # Layout
 *
 * A value whose record lists stand at its top, or directly in its top list or object, becomes one part with a JSON
 * text `[envelope, tables]`: the value with 0 in the place of each list, and of each list where it stood and what its
 * records look like. Extra parts follow, for each table in order:
 * 1. the numbers (8 bytes each), the words (4 bytes each), the octets;
 * 2. the strings, joined, cut into segments of about 64 Ki characters: a string that was sliced out of a text holds all
 *    of it in memory, and a record that is kept must not hold its whole batch.
 *
 * Records of one shape follow each other, cell by cell; the elements of any other list are cells themselves. A string cell is a word, its length; a number cell is a number; any other cell
 * begins with a word whose lowest three bits say what it is and whose others how long (`TAG_…`), and is written depth
 * first.
 *
 * # The way of a record's bytes, parent to worker
 *
 * joined by V8 (1), copied into the frame (2), into the socket (3), out of it into the decoder's buffer (4), into a V8
 * string (5). Strings of 13 characters and more are slices of that one; shorter ones are copied once more.
 *
 * May not know what the records are.
 */

const { isProxy } = require('node:util').types;
const { isBare, isFirst } = require('./json-safe');

/** A list with more elements than this holds values, not lists. */
const MOST_ARGUMENTS = 16;
/** Characters after which a segment ends. */
const SEGMENT = 64 * 1024;
/** The length that stands for `null` in a column of strings. */
const NULL_STRING = 0xffffffff;
/** Deeper values are for the other codecs, which can tell what is wrong with them. */
const MAX_DEPTH = 100;
const MAX_SHAPES = 200;

/** Bytes of a column that are kept for the next list. */
const MOST_KEPT = 64 * 1024;

/** Records that are encoded without a pause. */
const STEP = 1024;

/** What a column holds, or a list that has none. */
const STRING = 0;
const NUMBER = 1;
const OTHER = 2;

/** Records that are looked at before the others are taken to be like them. */
const SAMPLE = 8;

/** What a cell of other kind is: a constant, or something whose size stands in the bits above. */
const TAG_CONSTANT = 0;
const TAG_STRING = 1;
const TAG_NUMBER = 2;
const TAG_ARRAY = 3;
const TAG_OBJECT = 4; // its shape stands there
const TAG_OCTETS = 5; // a list of integers from 0 to 255
const TAG_BITS = 3;
const LONGEST = 2 ** (32 - TAG_BITS) - 1;
const CONSTANTS = [null, false, true];

/**
 * What the decoder needs to know of a list of records.
 * @typedef {object} Table
 * @property {string | number | null} at where it stands in the envelope; `null`: it is all of the value
 * @property {number} records
 * @property {string[] | null} keys `null`: its elements are no records of one shape
 * @property {number[]} kinds of the columns; of a list without them, of its elements
 * @property {string[][]} shapes of objects in cells
 * @property {number} numbers
 * @property {number} words
 * @property {number} octets
 * @property {number} segments
 */

/** @typedef {{ table: Table, bytes: Buffer, segments: string[] }} Encoded */
/** @typedef {(value: unknown, seen: Set<object>) => boolean} IsPlain */

/**
 * Takes the record lists out of a value, in steps of so many records that none takes more than about a millisecond.
 * @param {unknown} value
 * @param {(value: unknown) => value is Record<string, unknown>[]} isRecordList whether a value looks like such a list
 * @param {IsPlain} isPlain whether JSON keeps a value; notes the objects it sees, and refuses those seen before
 * @returns {Generator<void, { text: string, tables: Encoded[] } | null>} `null` when there are none, or something would
 *   be lost
 */
function* encodeRecords(value, isRecordList, isPlain) {
  if (typeof value !== 'object' || value === null) return null;
  /** @type {Set<object>} */
  const seen = new Set();
  if (isRecordList(value)) {
    const encoded = yield* encodeTable(null, value, seen);
    return encoded === null ? null : { text: JSON.stringify([0, [encoded.table]]), tables: [encoded] };
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return null;
  const fields = Object.keys(value);
  // A list with further properties would lose them.
  if (Array.isArray(value) && (value.length > MOST_ARGUMENTS || fields.length !== value.length)) return null;
  /** @type {Record<string, unknown> | unknown[] | null} */
  let envelope = null;
  /** @type {Encoded[]} */
  const tables = [];
  for (const key of fields) {
    const child = /** @type {Record<string, unknown>} */ (value)[key];
    if (!isRecordList(child)) continue;
    // Assigning to that key would set the prototype of what is decoded.
    if (!isFirst(child, seen) || key === '__proto__') return null;
    const encoded = yield* encodeTable(key, child, seen);
    if (encoded === null) return null;
    tables.push(encoded);
    envelope ??= Array.isArray(value) ? value.slice() : { ...value };
    /** @type {Record<string, unknown>} */ (envelope)[key] = 0;
  }
  if (envelope === null || !isPlain(envelope, seen)) return null;
  return { text: JSON.stringify([envelope, tables.map(({ table }) => table)]), tables };
}

/**
 * @param {string | null} at @param {Record<string, unknown>[]} records @param {Set<object>} seen objects met before
 * @returns {Generator<void, Encoded | null>}
 */
function* encodeTable(at, records, seen) {
  if (Object.getPrototypeOf(records) !== Array.prototype || isProxy(records)) return null;
  // One serves them all. (Another list may have its turn between two steps; it gets another.)
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
    const kept = keys === null ? addElements(cells, records, from, to, kinds[0])
      : addRecords(cells, records, from, to, keys, kinds, seen);
    if (!kept) return null;
  }
  // Between two steps its owner may have changed it.
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
/** @type {Set<object>} */
const NONE = new Set();

/**
 * What a list seems to consist of, by some of its elements.
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
  for (const other of sample) {
    if (typeof other !== 'object' || other === null || !isSame(Object.keys(other), keys)) return { keys: null, kinds: [OTHER] };
    for (const [column, key] of keys.entries()) {
      const cell = Reflect.get(other, key);
      if (cell !== null && kindOf(cell) !== kinds[column]) kinds[column] = OTHER;
    }
  }
  // Assigning to it would set the prototype of what is decoded.
  return keys.length === 0 || keys.includes('__proto__') ? { keys: null, kinds: [OTHER] } : { keys, kinds };
}

/**
 * @param {CellWriter} cells @param {readonly unknown[]} list @param {number} from @param {number} to
 * @param {number} kind
 * @returns {boolean} false if something would be lost
 */
function addElements(cells, list, from, to, kind) {
  if (kind === NUMBER) {
    if (!cells.addNumbers(list, from, to)) return false;
  } else if (kind === STRING) {
    for (let i = from; i < to; i++) {
      const item = list[i];
      if (typeof item !== 'string') return false;
      cells.addString(item, item.length);
    }
  } else {
    for (let i = from; i < to; i++) if (!cells.addOther(list[i], 0)) return false;
  }
  return true;
}

/**
 * @param {CellWriter} cells @param {readonly Record<string, unknown>[]} records @param {number} from @param {number} to
 * @param {readonly string[]} keys @param {readonly number[]} kinds @param {Set<object>} seen objects met before
 * @returns {boolean} false if something would be lost, or they are not of one shape
 */
function addRecords(cells, records, from, to, keys, kinds, seen) {
  for (let i = from; i < to; i++) {
    const record = records[i];
    if (typeof record !== 'object' || record === null || Object.getPrototypeOf(record) !== Object.prototype) return false;
    const own = Object.keys(record);
    if (own.length !== keys.length || !isFirst(record, seen) || isProxy(record)) return false;
    for (let column = 0; column < keys.length; column++) {
      const key = own[column];
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
    }
  }
  return true;
}

/** @param {unknown} cell */
function kindOf(cell) {
  return typeof cell === 'string' ? STRING : typeof cell === 'number' ? NUMBER : OTHER;
}

/** The cells of a table, sorted by what they are. */
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
   * Forgets what it had.
   * @param {Set<object>} seen objects met before
   */
  begin(seen) {
    this.#seen = seen;
    this.shapes = [];
    this.numberCount = this.wordCount = this.octetCount = this.#characters = 0;
    this.#strings = [];
    this.#done = [];
  }

  /** Whether it is worth keeping, and no burden. */
  isSmall() {
    return Math.max(this.#numbers.byteLength, this.#words.byteLength, this.#octets.byteLength) <= MOST_KEPT;
  }

  /** @param {number} number */
  addNumber(number) {
    if (this.numberCount === this.#numbers.length) this.#numbers = grown(this.#numbers, 1);
    this.#numbers[this.numberCount++] = number;
  }

  /**
   * @param {readonly unknown[]} numbers @param {number} from @param {number} to
   * @returns {boolean} false if one of them is none
   */
  addNumbers(numbers, from, to) {
    if (this.numberCount + to - from > this.#numbers.length) this.#numbers = grown(this.#numbers, numbers.length - from);
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

  /** @param {string} string @param {number} word what stands for it */
  addString(string, word) {
    this.addWord(word);
    if (string.length === 0) return;
    this.#strings.push(string);
    this.#characters += string.length;
    if (this.#characters >= SEGMENT) this.#cut();
  }

  /**
   * @param {unknown} value @param {number} depth
   * @returns {boolean} false if it would lose something
   */
  addOther(value, depth) {
    if (typeof value === 'string') {
      if (value.length > LONGEST) return false;
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
    if (Object.getPrototypeOf(list) !== Array.prototype || length > LONGEST) return false;
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
   * @returns {boolean} false if it is none of bytes, and nothing was added
   */
  #addOctets(list) {
    const { length } = list;
    if (length === 0 || typeof list[0] !== 'number') return false;
    if (this.octetCount + length > this.#octets.length) this.#octets = grown(this.#octets, length);
    const octets = this.#octets;
    let at = this.octetCount;
    for (let i = 0; i < length; i++) {
      const item = list[i];
      // -0 is not among them, nor is anything that is no number: `|` leaves only what is such an integer alone.
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
    for (const key of keys) {
      if (!this.addOther(/** @type {Record<string, unknown>} */ (object)[key], depth + 1)) return false;
    }
    return true;
  }

  /** @param {string[]} keys @returns {number} -1 when there are too many, or a key is not for assigning */
  #shapeOf(keys) {
    const { shapes } = this;
    for (let i = 0; i < shapes.length; i++) {
      if (isSame(shapes[i], keys)) return i;
    }
    if (shapes.length === MAX_SHAPES || keys.includes('__proto__')) return -1;
    return shapes.push(keys) - 1;
  }

  /** No string lies in two segments. */
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
 * A copy with room for so many more.
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

/**
 * @param {string} text
 * @param {(string | Buffer)[]} extras the bytes and the segments of each table, in order
 * @returns {unknown}
 */
function decodeRecords(text, extras) {
  /** @type {[envelope: any, tables: Table[]]} */
  const [envelope, tables] = JSON.parse(text);
  let next = 0;
  for (const table of tables) {
    check(isTable(table));
    const bytes = /** @type {Buffer} */ (extras[next++]);
    const segments = /** @type {string[]} */ (extras.slice(next, (next += table.segments)));
    check(ArrayBuffer.isView(bytes) && segments.length === table.segments && segments.every((segment) => typeof segment === 'string'));
    const records = decodeTable(table, bytes, segments);
    if (table.at === null) return records;
    // In the place of a 0 of its own: what is assigned reaches no prototype and no length.
    check(typeof envelope === 'object' && envelope !== null && Object.hasOwn(envelope, table.at) && envelope[table.at] === 0);
    envelope[table.at] = records;
  }
  return envelope;
}

/**
 * What is decoded is not taken for what this library has encoded: a worker's own code can write to its channel, too.
 * @param {boolean} isSound @returns {asserts isSound}
 */
function check(isSound) {
  if (!isSound) throw new TypeError('records that do not match their description');
}

/** @param {any} table */
function isTable(table) {
  const { at, keys, kinds, shapes, ...counts } = table;
  const isKeys = (/** @type {unknown} */ list) =>
    // Assigning to that key would set the prototype of what is decoded.
    Array.isArray(list) && list.every((key) => typeof key === 'string' && key !== '__proto__');
  return (
    (at === null || typeof at === 'string') &&
    (keys === null || (isKeys(keys) && keys.length > 0)) &&
    Array.isArray(kinds) && kinds.length === (keys === null ? 1 : keys.length) &&
    Array.isArray(shapes) && shapes.length <= MAX_SHAPES && shapes.every(isKeys) &&
    ['records', 'numbers', 'words', 'octets', 'segments'].every((name) => Number.isSafeInteger(counts[name]) && counts[name] >= 0)
  );
}

/**
 * @param {Table} table @param {Buffer} bytes @param {string[]} segments
 * @returns {Record<string, unknown>[]}
 */
function decodeTable(table, bytes, segments) {
  const { records: count, keys, kinds } = table;
  const cells = new CellReader(table, bytes, segments);
  // Before anything is made of that size: each cell has a number, or a word.
  check(count * kinds.length <= table.numbers + table.words);
  if (keys === null) return /** @type {any} */ (decodeElements(cells, count, kinds[0]));
  const records = new Array(count);
  for (let i = 0; i < count; i++) {
    /** @type {Record<string, unknown>} */
    const record = {};
    for (let column = 0; column < keys.length; column++) {
      const kind = kinds[column];
      record[keys[column]] =
        kind === STRING ? cells.nextStringOrNull() : kind === NUMBER ? cells.nextNumber() : cells.nextOther();
    }
    records[i] = record;
  }
  cells.checkEnd();
  return records;
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
    // The system aligns what it allocates; if not, a copy is.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
    const { buffer, byteOffset } = aligned;
    this.#shapes = shapes;
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
    // `Array.from` takes five times as long.
    const list = new Array(length);
    for (let i = 0; i < length; i++) list[i] = numbers[i];
    return list;
  }

  /** Everything was read, and nothing beyond it: what lies beyond reads as `undefined`, which is checked here alone. */
  checkEnd() {
    check(
      this.#number === this.#numbers.length && this.#word === this.#words.length && this.#octet === this.#octets.length &&
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
    // What says how much follows is looked at before that is read.
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
        for (const key of this.#shapes[size]) object[key] = this.nextOther();
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

module.exports = { encodeRecords, decodeRecords };
