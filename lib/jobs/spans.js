'use strict';

/**
 * When something happened that may happen any number of times: a bounded number of spans, in order. What lies near to
 * each other is one of them; of too many, the two that are nearest become one, so that the longest pauses remain.
 *
 * Must not depend on what it is that happened.
 */

const MAX_SPANS = 64;
/** What comes within this time, in milliseconds, belongs together. */
const MIN_GAP = 1;

/** @typedef {{ from: number, to: number, count: number }} Span `count`: how often it happened */

class Spans {
  /** @type {Span[]} */
  list = [];

  /** @param {number} from not before the last one @param {number} to */
  add(from, to) {
    const { list } = this;
    const last = list.at(-1);
    if (last !== undefined && from - last.to < MIN_GAP) {
      last.to = to;
      last.count++;
      return;
    }
    list.push({ from, to, count: 1 });
    if (list.length <= MAX_SPANS) return;
    let nearest = 1;
    for (let i = 2; i < list.length; i++) {
      if (list[i].from - list[i - 1].to < list[nearest].from - list[nearest - 1].to) nearest = i;
    }
    const { to: end, count } = list[nearest];
    list[nearest - 1].to = end;
    list[nearest - 1].count += count;
    list.splice(nearest, 1);
  }

  /** How often it happened. */
  get count() {
    return this.list.reduce((sum, { count }) => sum + count, 0);
  }
}

module.exports = { Spans };
