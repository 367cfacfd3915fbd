'use strict';

/**
 * The kinds of frames between a parent and its workers, as `src/wire` numbers them. Threads use the same ones over
 * their ports, where a frame is the list `[kind, id, seq, aux, parts]`.
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
};
