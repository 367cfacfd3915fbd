'use strict';

/**
 * The names of runs, as `src/binding/run_id.rs` makes them: UUIDs of version 7, which sort by the time of their
 * submission.
 *
 * Must not depend on what a run is.
 */

const { randomBytes } = require('node:crypto');

/** The 62 random bits of a name. */
const RANDOM = (1n << 62n) - 1n;
/** The bits before them, of the variant. */
const VARIANT = 1n << 63n;

/** @param {bigint} high @param {bigint} low the two halves of a UUID */
function format(high, low) {
  const digits = high.toString(16).padStart(16, '0') + low.toString(16).padStart(16, '0');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * The name of a run that was submitted at this time, as the `counter`th of its millisecond.
 * @param {number} millis @param {number} counter of 12 bits
 */
function runId(millis, counter) {
  const high = (BigInt(millis) << 16n) | 0x7000n | BigInt(counter & 0xfff);
  return format(high, VARIANT | (randomBytes(8).readBigUInt64LE() & RANDOM));
}

/**
 * The name of the run that is the `calls`th after this one, of those that were submitted together with it: their random
 * parts count up.
 * @param {string} first @param {number} calls
 */
function laterRunId(first, calls) {
  const digits = first.replaceAll('-', '');
  const low = BigInt(`0x${digits.slice(16)}`);
  const counted = ((low & RANDOM) + BigInt(calls)) & RANDOM;
  return format(BigInt(`0x${digits.slice(0, 16)}`), (low & ~RANDOM) | counted);
}

module.exports = { runId, laterRunId };
