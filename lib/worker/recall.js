'use strict';

/**
 * The worker's view of the calls that its parent recalls: a range of numbers in the shared page.
 *
 * The parent changes the range while the worker reads it. So the start of the range is read, then its end, then the
 * start again; if the start has changed, all of it is read again.
 *
 * Must not depend on what becomes of a recalled call.
 */

const { RECALL_FROM_WORD, RECALL_UNTIL_WORD } = require('../transport/constants');

/**
 * Whether the parent has recalled this call.
 * @param {Uint32Array | null} page
 * @param {number} seq
 */
function isRecalled(page, seq) {
  if (page === null) return false;
  for (;;) {
    const from = Atomics.load(page, RECALL_FROM_WORD);
    if (from === 0) return false;
    const until = Atomics.load(page, RECALL_UNTIL_WORD);
    if (Atomics.load(page, RECALL_FROM_WORD) === from) return (seq - from) >>> 0 < (until - from) >>> 0;
  }
}

module.exports = { isRecalled };
