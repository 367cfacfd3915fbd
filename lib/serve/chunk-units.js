'use strict';

/**
 * The calls of a chunk, in units: consecutive calls that are alike.
 *
 * Must not depend on what becomes of them.
 */

const { decodeValues } = require('../codec/codec');
const { CARRIER, LISTED, YIELDING, isExtra, valuesOf } = require('../codec/parts');
const {
  CALLS_FIELD, CODEC_FIELD, FLAGS_FIELD, PART_FIELDS, PART_SKIPPED, TAG_FIELD, VALUE_FIELD,
} = require('../transport/constants');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * Consecutive calls that are alike.
 * @typedef {object} Unit
 * @property {number} first
 * @property {number} end
 * @property {number} timeout
 * @property {Segment} segment
 */

/**
 * The calls of one part.
 * @typedef {object} Segment
 * @property {number} first
 * @property {number} end
 * @property {number} tag
 * @property {string} carrier what its calls run within; empty: nothing
 * @property {() => unknown[]} values decoded when first asked for; of a listed part it is one value
 */

/**
 * The calls of a chunk, as units in order.
 * @param {Parts} parts @param {readonly [calls: number, timeout: number][]} runs
 * @returns {Unit[]}
 */
function unitsOf(parts, runs) {
  /** @type {Unit[]} */
  const units = [];
  let offset = 0;
  let carrier = '';
  for (let at = 0; at < parts.length; ) {
    const start = at;
    const calls = Number(parts[start + CALLS_FIELD]);
    do at += PART_FIELDS;
    while (isExtra(parts, at));
    // What says something of those behind it.
    if (Number(parts[start + CODEC_FIELD]) === CARRIER) carrier = String(parts[start + VALUE_FIELD]);
    if (calls === 0) continue;
    const first = offset;
    offset += calls;
    // The producer could not encode these, has settled them itself, and expects no answer.
    if ((Number(parts[start + FLAGS_FIELD]) & PART_SKIPPED) !== 0) continue;
    const tag = Number(parts[start + TAG_FIELD]);
    const count = (tag & LISTED) !== 0 ? 1 : calls;
    /** @type {unknown[] | null} */
    let decoded = null;
    const end = at;
    const values = () => (decoded ??= decodeValues(
      Number(parts[start + CODEC_FIELD]), /** @type {string} */ (parts[start + VALUE_FIELD]), count,
      valuesOf(parts.slice(start + PART_FIELDS, end)), null));
    const segment = { first, end: offset, tag, carrier, values };
    let from = 0;
    runs.forEach(([length, timeout]) => {
      const to = from + Number(length);
      const unit = { first: Math.max(first, from), end: Math.min(offset, to), timeout: Number(timeout), segment };
      if (unit.first < unit.end) units.push(unit);
      from = to;
    });
  }
  return units;
}

/** Whether the calls of a unit are streams. @param {Unit} unit */
function isStream({ segment }) {
  return (segment.tag & YIELDING) !== 0;
}

module.exports = { isStream, unitsOf };
