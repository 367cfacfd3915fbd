'use strict';

/**
 * Writes the answers to calls as reply frames, none of which becomes much larger than it may.
 *
 * Must not depend on how a reply reaches the parent, nor on when it is written.
 */

const { encodeValues } = require('../codec/codec');
const { ERROR_TREE, FAILED, LATIN1, SKIPPED, pushText, sizeOf } = require('../codec/parts');
const { toJson } = require('../intrinsics/json');

/** A reply that has reached this size is sent, and the rest goes into another one, in bytes. */
const FULL_REPLY = 4 * 1024 * 1024;
/** How many values are encoded before the size is checked again. */
const SLICE = 1024;

/** @typedef {{ values: unknown[] } | { thrown: unknown } | { skipped: number }} Answer */

/**
 * The answers to consecutive calls of one frame, not written out yet.
 * @typedef {{ frame: number, offset: number, count: number, ranFor: number, answers: Answer[] }} Group
 */

/**
 * @param {Group} group
 * @param {import('./runner').Port['reply']} reply
 * @param {import('../codec/codec').Serialization} serialization
 * @param {import('../codec/codec').Clones | null} clones
 */
function writeReplies({ frame, offset, count, ranFor, answers }, reply, serialization, clones) {
  /** @type {import('../codec/parts').Parts} */
  let parts = [];
  let from = offset;
  let to = offset;
  const send = () => {
    const micros = Math.round(((to - from) / count) * ranFor * 1000);
    reply(frame, from, Math.min(micros, 0xffffffff), parts);
    parts = [];
    from = to;
  };
  for (const answer of answers) {
    if ('values' in answer) {
      for (let at = 0; at < answer.values.length; at += SLICE) {
        const values = answer.values.length <= SLICE ? answer.values : answer.values.slice(at, at + SLICE);
        const list = parts;
        encodeValues(values, serialization, clones, list, 0, (_index, error) => pushThrown(list, error));
        to += values.length;
        if (sizeOf(parts) >= FULL_REPLY) send();
      }
      continue;
    }
    if ('thrown' in answer) pushThrown(parts, answer.thrown);
    else parts.push(LATIN1, 0, SKIPPED, answer.skipped, 0, '');
    to += 'thrown' in answer ? 1 : answer.skipped;
  }
  if (to > from) send();
}

/** @param {import('../codec/parts').Parts} parts @param {unknown} thrown */
function pushThrown(parts, thrown) {
  pushText(parts, ERROR_TREE, FAILED, 1, 0, toJson(require('../codec/error-flattener').flattenError(thrown)));
}

module.exports = { writeReplies };
