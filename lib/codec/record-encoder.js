'use strict';

/**
 * Writes lists of records in the layout of record-layout.js, and finds out on the way whether that would lose
 * anything.
 *
 * Must not depend on what the records are.
 */

const { isProxy } = require('node:util').types;
const { CellWriter, NONE } = require('./cell-writer');
const { FewObjects, isBare, isFirst, isJsonSafeWithin } = require('./json-safe');
const { NULL_STRING, NUMBER, REPEATED, SAME_STRING, STRING, TAG_COLUMNS } = require('./record-layout');
const { MAX_ARGUMENTS, isRecordList } = require('./record-lists');
const { describedKinds, hasShape, resetShape, shapeOf } = require('./record-shape');
const { toJson } = require('../intrinsics/json');

/** Records that are encoded without a pause: about a millisecond's worth. */
const STEP = 1024;

/** @typedef {import('./record-layout').Table} Table */
/** @typedef {{ table: Table, bytes: Buffer, segments: string[] }} Encoded */
/** @typedef {import('./json-safe').Seen} Seen */
/** @typedef {import('./record-shape').Shape} Shape */
/** @typedef {InstanceType<typeof CellWriter>} Cells */

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
  if (!(seen instanceof FewObjects)) return yield* encodeAs(shapeOf(records), at, records, seen);
  // Where a list is sent in parts, the next one looks like the last: to judge each would cost as much as 50 records.
  const known = lastShape;
  lastShape = null;
  const shape = known !== null && hasShape(records[0], known) ? known : shapeOf(records);
  let encoded = yield* encodeAs(shape, at, records, seen);
  resetShape(shape);
  lastShape = shape;
  if (encoded === null && shape === known) {
    lastShape = null;
    encoded = yield* encodeAs(shapeOf(records), at, records, seen);
  }
  return encoded;
}

/** @type {Shape | null} */
let lastShape = null;

/**
 * @param {Shape} shape @param {string | null} at @param {Record<string, unknown>[]} records
 * @param {Seen} seen objects met so far
 * @returns {Generator<void, Encoded | null>}
 */
function* encodeAs(shape, at, records, seen) {
  // One writer serves all lists. (A list that is encoded between two steps of another finds none and makes one.)
  const cells = scratch ?? new CellWriter();
  scratch = null;
  cells.begin(seen);
  const { keys } = shape;
  const kinds = describedKinds(shape);
  const { length } = records;
  if (!isBare(records)) return null;
  for (let from = 0; from < length; from += STEP) {
    if (from > 0) yield;
    const to = Math.min(from + STEP, length);
    const kept = keys === null ? addElements(cells, records, from, to, shape.kinds[0], seen)
      : addRecords(cells, records, from, to, shape, seen);
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

/** @type {InstanceType<typeof CellWriter> | null} */
let scratch = null;

/**
 * @param {Cells} cells @param {readonly unknown[]} list @param {number} from @param {number} to
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
 * @param {Cells} cells @param {readonly unknown[]} records @param {number} from @param {number} to
 * @param {Shape} shape @param {Seen} seen objects met so far
 * @returns {boolean} false if something would be lost, or the records are not of one shape
 */
function addRecords(cells, records, from, to, shape, seen) {
  const few = seen instanceof FewObjects ? seen : null;
  for (let i = from; i < to; i++) {
    few?.clear();
    const record = records[i];
    if (typeof record !== 'object' || record === null) return false;
    if (Object.getPrototypeOf(record) !== Object.prototype || isProxy(record)) return false;
    if (!addObject(cells, /** @type {Record<string, unknown>} */ (record), shape, seen)) return false;
  }
  return true;
}

/**
 * @param {Cells} cells @param {Record<string, unknown>} object @param {Shape} shape @param {Seen} seen
 * @returns {boolean}
 */
function addObject(cells, object, shape, seen) {
  const { keys } = shape;
  if (keys === null || !isFirst(object, seen)) return false;
  let column = 0;
  // It has no keys but its own, or they are not the shape's. Twice as fast as a list of them.
  for (const key in object) {
    if (key !== keys[column] || !addCell(cells, object[key], shape, column, seen)) return false;
    column++;
  }
  return column === keys.length;
}

/**
 * @param {Cells} cells @param {unknown} cell @param {Shape} shape @param {number} column @param {Seen} seen
 * @returns {boolean}
 */
function addCell(cells, cell, { kinds, nested, last }, column, seen) {
  const kind = kinds[column];
  if (kind === STRING || kind === REPEATED) {
    if (typeof cell === 'string') {
      if (kind === STRING) {
        cells.addString(cell, cell.length);
      } else if (cell === last[column]) {
        cells.addWord(SAME_STRING);
      } else {
        last[column] = cell;
        cells.addString(cell, cell.length);
      }
      return true;
    }
    if (cell !== null) return false;
    cells.addWord(NULL_STRING);
    return true;
  }
  if (kind === NUMBER) {
    if (typeof cell !== 'number') return false;
    cells.addNumber(cell);
    return true;
  }
  const inner = nested[column];
  if (inner === null || !hasShape(cell, inner)) return cells.addOther(cell, 0);
  if (!isFirst(cell, seen)) return false;
  cells.addWord(TAG_COLUMNS);
  const own = inner.cells;
  for (let i = 0; i < own.length; i++) {
    if (!addCell(cells, own[i], inner, i, seen)) return false;
  }
  return true;
}

module.exports = { encodeRecords };
