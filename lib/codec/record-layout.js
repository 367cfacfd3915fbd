'use strict';

/**
 * The layout of the record codec, for what this library is mostly handed: lists of plain objects of one shape
 * (records). Lists of numbers, of strings, and of objects of several shapes take the same path.
 *
 * The strings of the records are joined without escaping, numbers lie side by side as doubles, and lists of bytes (the
 * headers of Kafka records) as bytes; decoding is slicing. The same pass finds out whether anything would be lost, and
 * then leaves the value to the other codecs. Compared with JSON it costs about half, in each direction.
 *
 * # Layout
 *
 * A value whose record lists stand at its top, or directly in its top list or object, becomes one part with the JSON
 * text `[envelope, tables]`: the envelope is the value with 0 in the place of each record list, and a table says of
 * each list where it stood and what its records look like. Extras follow, for each table in order:
 * 1. its numbers (8 bytes each), words (4 bytes each) and octets, in one;
 * 2. its strings, joined, in segments of about 64 Ki characters: a string that was sliced out of a text keeps all of
 *    that text in memory, and a record that is kept must not keep its whole batch.
 *
 * Records of one shape follow each other, cell by cell; the elements of any other list are cells themselves. A string
 * cell is a word, its length; a number cell is a number. In a column whose strings repeat, a word may say instead that
 * the string is the one before in that column: it is neither sent nor made again. Any other cell begins with a word
 * whose lowest three bits say what it is (`TAG_…`) and whose other bits say how long; it is written depth first. An
 * object that has the shape that is usual in its column is such a cell too: its own cells follow, as those of a record.
 *
 * # How a record's bytes get from one end to the other
 *
 * Between processes, in either direction: joined by V8 (1), copied into the frame (2), into the socket (3), out of it
 * into the decoder's buffer (4), into a V8 string (5). Where a frame would get long: into memory that both have (2),
 * and out of it into the string (3). Between threads the message port writes the joined text (2) and reads it again
 * (3). Strings of 13 characters and more are slices of what arrives; shorter ones are copied once more.
 *
 * Must not depend on what the records are.
 */

/** What a column holds; for a list without columns, what its elements are. */
const STRING = 0;
const NUMBER = 1;
const OTHER = 2;
/** Strings, many of which are the same as the one before. */
const REPEATED = 3;
/** Objects, most of which have the same shape. In a table the shape itself stands in its place. */
const NESTED = 4;

/** The length that stands for `null` in a column of strings. */
const NULL_STRING = 0xffffffff;
/** The length that stands for the string before, in a column whose strings repeat. */
const SAME_STRING = 0xfffffffe;

/** What a cell of another kind is: a constant, or something whose size is in the bits above. */
const TAG_CONSTANT = 0; // which one is in the bits above
const TAG_STRING = 1;
const TAG_NUMBER = 2;
const TAG_ARRAY = 3;
const TAG_OBJECT = 4; // its shape is in the bits above
const TAG_OCTETS = 5; // a list of integers from 0 to 255
const TAG_COLUMNS = 6; // an object of the shape that its column has
const TAG_BITS = 3;
const CONSTANTS = [null, false, true];

/** Shapes of objects in the cells of one list. */
const MAX_SHAPES = 200;

/** What a column holds. @typedef {number | { keys: string[], kinds: Kind[] }} Kind */

/**
 * What the decoder needs to know about a list of records.
 * @typedef {object} Table
 * @property {string | number | null} at where it stands in the envelope; `null`: it is the whole value
 * @property {number} records
 * @property {string[] | null} keys `null`: its elements are not records of one shape
 * @property {Kind[]} kinds of the columns; for a list without columns, of its elements
 * @property {string[][]} shapes of objects in cells
 * @property {number} numbers
 * @property {number} words
 * @property {number} octets
 * @property {number} segments
 */

module.exports = {
  STRING,
  NUMBER,
  OTHER,
  REPEATED,
  NESTED,
  NULL_STRING,
  SAME_STRING,
  TAG_CONSTANT,
  TAG_STRING,
  TAG_NUMBER,
  TAG_ARRAY,
  TAG_OBJECT,
  TAG_OCTETS,
  TAG_COLUMNS,
  TAG_BITS,
  CONSTANTS,
  MAX_SHAPES,
};
