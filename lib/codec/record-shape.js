'use strict';

/**
 * What a list of records looks like, judged by some of them, and whether a record does look like that.
 *
 * Must not depend on how records are written.
 */

const { isProxy } = require('node:util').types;
const { isSame } = require('./cell-writer');
const { NESTED, NUMBER, OTHER, REPEATED, STRING } = require('./record-layout');

const { getPrototypeOf } = Object;

/** Records that are looked at before the others are taken to be like them. */
const SAMPLE = 8;
/** Objects within objects within records are columns of their own no deeper than this. */
const MAX_NESTING = 3;

/**
 * What records, or the objects in a column, have in common.
 * @typedef {object} Shape
 * @property {string[] | null} keys `null`: they are not objects of one shape
 * @property {number[]} kinds of the columns; without keys, of the elements
 * @property {(Shape | null)[]} nested the shapes of the objects in columns of such
 * @property {(string | null)[]} last the last string of each column in which strings repeat
 * @property {unknown[]} cells those of the object that was found to have this shape last, by column
 */

/** @type {Shape} */
const MIXED = { keys: null, kinds: [OTHER], nested: [null], last: [null], cells: [] };

/**
 * What a list seems to consist of.
 * @param {readonly unknown[]} list
 * @returns {Shape}
 */
function shapeOf(list) {
  const sample = Array.from({ length: SAMPLE }, (_, i) => list[Math.floor((i * (list.length - 1)) / (SAMPLE - 1))]);
  const first = list[0];
  if (typeof first !== 'object' || first === null) {
    const kind = kindOf(first);
    return sample.every((other) => kindOf(other) === kind) ? { ...MIXED, kinds: [kind] } : MIXED;
  }
  const shape = shapeOfObjects(sample, 0);
  return shape === null || shape.keys?.length === 0 ? MIXED : shape;
}

/**
 * @param {readonly unknown[]} sample @param {number} depth
 * @returns {Shape | null} `null` if they are not objects with the same keys
 */
function shapeOfObjects(sample, depth) {
  const first = sample[0];
  if (!isPlainObject(first)) return null;
  const keys = Object.keys(first);
  // Assigning to that key would set the prototype of the decoded object.
  if (keys.includes('__proto__')) return null;
  for (let i = 1; i < sample.length; i++) {
    const other = sample[i];
    if (!isPlainObject(other) || !isSame(Object.keys(other), keys)) return null;
  }
  /** @type {Shape} */
  const shape = { keys, kinds: [], nested: [], last: keys.map(() => null), cells: keys.map(() => null) };
  keys.forEach((key) => {
    const cells = sample.map((record) => Reflect.get(/** @type {object} */ (record), key));
    const nested = depth < MAX_NESTING && cells[0] !== null && typeof cells[0] === 'object'
      ? shapeOfObjects(cells, depth + 1) : null;
    shape.kinds.push(nested === null ? kindOfColumn(cells) : NESTED);
    shape.nested.push(nested);
  });
  return shape;
}

/** @param {unknown} value @returns {value is object} */
function isPlainObject(value) {
  return typeof value === 'object' && value !== null && !isProxy(value) && getPrototypeOf(value) === Object.prototype;
}

/** @param {readonly unknown[]} cells */
function kindOfColumn(cells) {
  if (cells.every((cell) => typeof cell === 'number')) return NUMBER;
  if (!cells.every((cell) => typeof cell === 'string' || cell === null) || cells[0] === null) return OTHER;
  return cells.some((cell, i) => i > 0 && cell === cells[i - 1]) ? REPEATED : STRING;
}

/** @param {unknown} cell */
function kindOf(cell) {
  return typeof cell === 'string' ? STRING : typeof cell === 'number' ? NUMBER : OTHER;
}

/**
 * Whether a value has a shape. Its cells are read once, into those of the shape.
 * @param {unknown} value @param {Shape} shape
 * @returns {value is Record<string, unknown>}
 */
function hasShape(value, { keys, kinds, cells }) {
  if (!isPlainObject(value) || keys === null) return false;
  let column = 0;
  for (const key in value) {
    if (key !== keys[column]) return false;
    const cell = /** @type {Record<string, unknown>} */ (value)[key];
    const kind = kinds[column];
    if (kind === NUMBER ? typeof cell !== 'number'
      : (kind === STRING || kind === REPEATED) && typeof cell !== 'string' && cell !== null) return false;
    cells[column] = cell;
    column++;
  }
  return column === keys.length;
}

/**
 * Makes a shape ready for another list, with nothing of the last one.
 * @param {Shape} shape
 */
function resetShape({ nested, last, cells }) {
  last.fill(null);
  cells.fill(null);
  nested.forEach((inner) => inner !== null && resetShape(inner));
}

/**
 * The kinds of a shape's columns, as they are written.
 * @param {Shape} shape
 * @returns {import('./record-layout').Kind[]}
 */
function describedKinds({ kinds, nested }) {
  return kinds.map((kind, column) => {
    const inner = nested[column];
    return inner === null ? kind : { keys: /** @type {string[]} */ (inner.keys), kinds: describedKinds(inner) };
  });
}

module.exports = { describedKinds, hasShape, resetShape, shapeOf };
