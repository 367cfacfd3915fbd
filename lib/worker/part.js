'use strict';

/**
 * A part of a frame whose calls have not all run yet.
 *
 * Must not depend on how they run.
 */

const { keep } = require('../intrinsics/keep');

/** @typedef {import('./runner').List} List */

class Part {
  // Declared, so that no assignment below reaches a setter that somebody has put on `Object.prototype`.
  /** @type {number} */ id;
  /** @type {number} */ offset;
  /** The number of the first call. @type {number} */ first;
  /** @type {unknown[]} */ values;
  /** @type {boolean} */ watched;
  /** @type {boolean} */ isHeard;
  /** @type {List | null} */ list;
  /** The place of the call to run next. @type {number} */ next;

  /**
   * @param {number} id @param {number} offset @param {number} first @param {unknown[]} values
   * @param {boolean} watched @param {boolean} isHeard @param {List | null} list @param {number} next
   */
  constructor(id, offset, first, values, watched, isHeard, list, next) {
    this.id = id;
    this.offset = offset;
    this.first = first;
    this.values = values;
    this.watched = watched;
    this.isHeard = isHeard;
    this.list = list;
    this.next = next;
  }
}

keep(new Part(0, 0, 0, [], false, false, null, 0));

module.exports = { Part };
