'use strict';

/**
 * The kinds of frames between a parent and its workers, as `src/wire` numbers them. Threads use the same ones over
 * their ports, where a frame is the list `[kind, id, seq, aux, parts]`. And the words of the page that a parent shares
 * with each of its workers.
 */

module.exports = {
  INIT: 1,
  CALLS: 2,
  CANCEL: 3,
  STOP: 4,
  READY: 16,
  LOAD_FAILED: 17,
  REPLY: 18,
  BEGUN: 19,
  OUTPUT: 20,
  MEMORY: 21,

  /** Written by the worker: the number of the call that it began last. */
  BEGUN_WORD: 0,
  /** Written by the parent: counts the cancellations sent, so that a busy worker looks for them. */
  NOTICE_WORD: 1,
  /** Written by the parent: whether the worker may stay awake for a moment after its work. */
  SPIN_WORD: 2,
  /**
   * Written by the parent: calls with `from <= seq < until`, in a count that wraps, are not to be begun; 0 from: none.
   * How both sides agree on them is told in `src/engine/mod.rs`.
   */
  RECALL_UNTIL_WORD: 3,
  RECALL_FROM_WORD: 4,
  /** Written by the parent of a thread: counts the frames with calls, after each is posted. */
  SENT_WORD: 5,
  /** The rest is a place for small frames, see slot.js and `src/channel/slot.rs`. */
  PAGE_WORDS: 1024,
};
