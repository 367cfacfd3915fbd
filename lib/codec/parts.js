'use strict';

/**
 * The parts of a frame: the form in which encoded values are exchanged with the native side.
 *
 * All parts of a frame are one flat list, six fields to a part: `[encoding, codec, flags, calls, tag, value, …]`.
 * `value` is a string or a `Buffer`. The encoding says how its characters travel, which is the native side's business;
 * the codec says how it becomes values, which is codec.js's. A part accounts for `calls` calls; a part with 0 calls
 * belongs to the part before it (it is an *extra* of that part).
 *
 * Every worker loads this at start. Must not depend on the codecs, or on what the values are for.
 */

const {
  BYTES, CALLS_FIELD, CODEC_FIELD, FLAGS_FIELD, JSON_LIST, LATIN1, NO_CODEC, PART_FAILED, PART_FIELDS, PART_REFUSED,
  PART_SKIPPED, PLAIN_VALUES, UNDEFINED, UTF16, UTF8, VALUE_FIELD,
} = require('../transport/constants');

/** Codecs. (1 is `JSON_LIST`, 3 `UNDEFINED` and 12 `PLAIN_VALUES`, of which the native side joins several to one.) */
const V8_VALUE = 2; // one value in V8's format, see v8-codec.js
const ERROR_TREE = 4; // a thrown value, see error-tree.js
const RECORDS = 5; // one value with record lists, see record-layout.js
const CARRYING = 6; // one value in V8's format, with what only structured clone can carry
const TASK = 7; // no value: what calls with a certain tag run, see lib/jobs/task-registry.js
const TEXT = 8; // one string
const LENT = 9; // one list as it is, within this process only: whoever hands on an element hands on a copy of it
const CARRIER = 10; // no value: what the calls behind it run within, see lib/worker/trace-context.js
const ENDING = 11; // no value: how calls ended without one, on another machine, see lib/serve/answers.js

/**
 * Tags of calls. The bits from `TASK_SHIFT` up hold the number of the task that the calls run.
 *
 * WATCHED: the answer is on its way before the next call begins. SPREAD: the value is the list of arguments. LISTED:
 * there is one value for all calls of the part, `[list, ...common]`, and each call has its element of the list. HEARD:
 * somebody listens to what the calls emit. YIELDING: what the calls return is iterated over, and each value is sent.
 */
const WATCHED = 1;
const SPREAD = 2;
const LISTED = 4;
const HEARD = 8;
const YIELDING = 16;
const TASK_SHIFT = 5;

/** Shorter text goes as UTF-8, which is smaller; longer text as V8 holds it, which saves two conversions. */
const MIN_UTF16 = 4096;

/** Never matches a one-byte string, which V8 knows without looking at its characters. */
const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/** @typedef {(number | string | Buffer)[]} Parts */

/**
 * Appends a part with a text.
 * @param {Parts} parts
 * @param {number} codec @param {number} flags @param {number} calls @param {number} tag @param {string} text
 */
function pushText(parts, codec, flags, calls, tag, text) {
  parts.push(encodingOf(text), codec, flags, calls, tag, text);
}

/** @param {string} text */
function encodingOf(text) {
  if (!BEYOND_LATIN1.test(text)) return LATIN1;
  // UTF-8 cannot express a lone surrogate.
  return text.length < MIN_UTF16 && text.isWellFormed() ? UTF8 : UTF16;
}

/**
 * Appends bytes as an extra of the last part.
 * @param {Parts} parts @param {Uint8Array} bytes
 */
function pushExtraBytes(parts, bytes) {
  parts.push(BYTES, NO_CODEC, 0, 0, 0, /** @type {Buffer} */ (bytes));
}

/**
 * The values of a flat list of parts.
 * @param {Parts} parts
 * @returns {(string | Buffer)[]}
 */
function valuesOf(parts) {
  /** @type {(string | Buffer)[]} */
  const values = [];
  for (let at = VALUE_FIELD; at < parts.length; at += PART_FIELDS) {
    values.push(/** @type {string | Buffer} */ (parts[at]));
  }
  return values;
}

/**
 * Why a value could not be made here, of the parts that it came as.
 * @param {Parts} parts @param {number} from @param {number} end
 * @returns {string | null} `null`: it could
 */
function refusalIn(parts, from, end) {
  for (let at = from; at < end; at += PART_FIELDS) {
    if ((Number(parts[at + FLAGS_FIELD]) & PART_REFUSED) !== 0) return String(parts[at + VALUE_FIELD]);
  }
  return null;
}

/**
 * Whether the part that begins at this position belongs to the part before it.
 * @param {Parts} parts @param {number} at
 */
function isExtra(parts, at) {
  if (at >= parts.length || parts[at + CALLS_FIELD] !== 0) return false;
  return parts[at + CODEC_FIELD] !== TASK && parts[at + CODEC_FIELD] !== CARRIER;
}

/**
 * The size of the parts from an index on: a character counts as one byte, what is moved as nothing.
 * @param {Parts} parts @param {number} [from]
 */
function sizeOf(parts, from = 0) {
  let bytes = 0;
  for (let at = from + VALUE_FIELD; at < parts.length; at += PART_FIELDS) {
    const value = /** @type {string | { byteLength?: number }} */ (parts[at]);
    bytes += typeof value === 'string' ? value.length : (value.byteLength ?? 0);
  }
  return bytes;
}

module.exports = {
  BEYOND_LATIN1,
  LATIN1,
  UTF8,
  BYTES,
  JSON_LIST,
  PLAIN_VALUES,
  V8_VALUE,
  UNDEFINED,
  ERROR_TREE,
  RECORDS,
  TASK,
  TEXT,
  LENT,
  ENDING,
  CARRYING,
  CARRIER,
  FAILED: PART_FAILED,
  SKIPPED: PART_SKIPPED,
  WATCHED,
  SPREAD,
  LISTED,
  HEARD,
  YIELDING,
  TASK_SHIFT,
  PART_FIELDS,
  CALLS_FIELD,
  pushText,
  pushExtraBytes,
  isExtra,
  valuesOf,
  refusalIn,
  sizeOf,
};
