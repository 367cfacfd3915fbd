'use strict';

/**
 * Which values are worth the record codec, judged by a quick look: lists of objects that seem to have one shape, of
 * numbers or of strings, at the top of a value or directly in its top list or object. The encoder finds out whether
 * the look was right.
 *
 * Every worker loads this at start. Must not depend on the codecs.
 */

/** A list with more elements than this is not taken for a list of arguments: its elements are not searched. */
const MAX_ARGUMENTS = 16;

/** Smaller lists are not worth a codec of their own: in records, and in bytes by the estimate below. */
const MIN_RECORDS = 16;
const MIN_BYTES = 1024;
/** Fewer records are worth it if their strings are long, since JSON would search those for characters to escape. */
const MIN_BYTES_OF_FEW = 16 * 1024;

/** Estimated sizes: of a number in a list of numbers (which JSON is good at), and of a cell other than a string. */
const NUMBER_BYTES = 4;
const CELL_BYTES = 8;
/** Estimated size of a list or object within a record: checking that JSON would preserve it takes long. */
const NESTED_BYTES = 64;

/**
 * Whether a value has lists where the record codec looks for them which look like records.
 * @param {unknown} value
 */
function mayHoldRecords(value) {
  try {
    return holdsRecordLists(value);
  } catch {
    return false; // A Proxy's trap, or a getter.
  }
}

/** @param {unknown} value */
function holdsRecordLists(value) {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return isRecordList(value) || (value.length <= MAX_ARGUMENTS && value.some(isRecordList));
  const prototype = Object.getPrototypeOf(value);
  // Anything else (a million bytes, say) has no record lists among its own properties.
  return (prototype === Object.prototype || prototype === null) && Object.values(value).some(isRecordList);
}

/**
 * Whether a value looks like a list of records, numbers or strings.
 * @param {unknown} value
 * @returns {value is Record<string, unknown>[]}
 */
function isRecordList(value) {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.length * estimatedSize(value[0]) >= (value.length < MIN_RECORDS ? MIN_BYTES_OF_FEW : MIN_BYTES);
}

/**
 * The estimated bytes of an element; 0 if it is nothing for the record codec.
 * @param {unknown} element
 */
function estimatedSize(element) {
  if (typeof element === 'number' || typeof element === 'boolean' || element === null) return NUMBER_BYTES;
  if (typeof element === 'string') return CELL_BYTES + element.length;
  if (typeof element !== 'object' || element === null || Object.getPrototypeOf(element) !== Object.prototype) return 0;
  let bytes = 0;
  const cells = Object.values(element);
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i];
    bytes += typeof cell === 'string' ? CELL_BYTES + cell.length
      : typeof cell === 'object' && cell !== null ? NESTED_BYTES : CELL_BYTES;
  }
  return bytes;
}

module.exports = { MAX_ARGUMENTS, mayHoldRecords, isRecordList };
