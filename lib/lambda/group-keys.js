'use strict';

/**
 * The groups of records that hold others, where the user says what belongs together: `groupBy` is given the records
 * within. A record of the event is one piece of work, so that those which share a key with any record in them make one
 * group.
 *
 * This is the only place where the handler itself unpacks anything.
 *
 * Must not depend on what a group is for.
 */

const { unwrap } = require('../events/envelopes');
const { keyOf } = require('../options/keys');

/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */

/**
 * @param {readonly LambdaRecord[]} records @param {(record: any) => unknown} groupBy
 * @param {import('../worker/record-steps').StepsConfig} config
 * @returns {unknown[]} a key for each record
 */
function innerKeys(records, groupBy, { envelope, numbers }) {
  /** The place of the group's first record, for each record; followed until it is its own. */
  const first = records.map((_, i) => i);
  /** @param {number} i */
  const find = (i) => {
    let root = i;
    while (first[root] !== root) root = first[root];
    return (first[i] = root);
  };
  /** @type {Map<unknown, number>} */
  const seen = new Map();
  for (const [i, record] of records.entries()) {
    for (const inner of innerOf(record, envelope ?? [], numbers)) {
      const key = keyOf(groupBy, inner, i);
      const other = seen.get(key);
      if (other === undefined) seen.set(key, i);
      else first[Math.max(find(i), find(other))] = Math.min(find(i), find(other));
    }
  }
  return first.map((_, i) => find(i));
}

/**
 * @param {LambdaRecord} record @param {'auto' | import('../events/envelopes').Envelope[]} envelope
 * @param {import('../events/attribute-values').Numbers} numbers
 */
function innerOf(record, envelope, numbers) {
  try {
    return unwrap(record, envelope, numbers);
  } catch {
    // The worker will report it.
    return [];
  }
}

module.exports = { innerKeys };
