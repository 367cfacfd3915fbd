'use strict';

/**
 * Which records are finished: all before a number, and, where they may finish in any order, ranges beyond it. As many
 * ranges as there are records in flight, at most, however many records there are.
 *
 * Invariant: ranges are in order, and neither overlap nor touch each other, nor the prefix unless what ends them is not
 * known.
 */

/** @typedef {import('./input/records').Place} Place */
/** Records `from` to `to - 1`. `end`: the place behind them; `null` while they have not been read in this run. */
/** @typedef {{ from: number, to: number, end: Place | null }} Range */

class Finished {
  /** How many records at the beginning are finished. */
  records;
  /** Where the first unfinished record begins. @type {Place} */
  place;
  /** @type {Range[]} */
  #beyond;

  /** @param {number} records @param {Place} place @param {[from: number, to: number][]} [beyond] */
  constructor(records, place, beyond = []) {
    this.records = records;
    this.place = place;
    this.#beyond = beyond.map(([from, to]) => ({ from, to, end: null }));
  }

  /** @returns {[from: number, to: number][]} */
  get beyond() {
    return this.#beyond.map(({ from, to }) => [from, to]);
  }

  /** @param {number} number */
  has(number) {
    if (number < this.records) return true;
    const range = this.#beyond[this.#indexOf(number)];
    return range !== undefined && range.from <= number;
  }

  /** How many records in a row, from one on, are finished as well, or unfinished as well. @param {number} number */
  sameFrom(number) {
    if (number < this.records) return this.records - number;
    const range = this.#beyond[this.#indexOf(number)];
    if (range === undefined) return Infinity;
    return range.from <= number ? range.to - number : range.from - number;
  }

  /**
   * A record is finished, or was before and has just been read.
   * @param {number} number @param {Place} end the place behind it
   */
  add(number, end) {
    this.addAll(number, number + 1, end);
  }

  /**
   * Records are finished of which none was before; or all were, and the last has just been read.
   * @param {number} from @param {number} to @param {Place} end the place behind the last
   */
  addAll(from, to, end) {
    if (from === this.records && this.#beyond.length === 0) {
      this.records = to;
      this.place = end;
      return;
    }
    this.#insert(from, to, end);
    this.#advance();
  }

  /** Records that an earlier run has finished. @param {number} from @param {number} to */
  addRange(from, to) {
    for (let number = from; number < to; number++) if (!this.has(number)) this.#insert(number, number + 1, null);
  }

  /** The prefix is known to be longer. @param {number} records @param {Place} place */
  advanceTo(records, place) {
    this.records = records;
    this.place = place;
    const left = this.#beyond.filter(({ to }) => to > records);
    this.#beyond = left.map((range) => ({ ...range, from: Math.max(range.from, records) }));
  }

  /** The first range that ends behind a number. @param {number} number */
  #indexOf(number) {
    let low = 0;
    let high = this.#beyond.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#beyond[middle].to <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {number} from @param {number} to @param {Place | null} end */
  #insert(from, to, end) {
    const ranges = this.#beyond;
    const at = this.#indexOf(from);
    const next = ranges[at];
    if (next !== undefined && next.from <= from) {
      if (next.to === to) next.end = end;
      return;
    }
    const before = ranges[at - 1];
    const touchesBefore = before !== undefined && before.to === from;
    const touchesNext = next !== undefined && next.from === to;
    if (touchesBefore && touchesNext) {
      ranges.splice(at - 1, 2, { from: before.from, to: next.to, end: next.end });
    } else if (touchesBefore) {
      before.to = to;
      before.end = end;
    } else if (touchesNext) {
      next.from = from;
    } else {
      ranges.splice(at, 0, { from, to, end });
    }
  }

  #advance() {
    const [first] = this.#beyond;
    if (first === undefined || first.from > this.records || first.end === null) return;
    this.records = first.to;
    this.place = first.end;
    this.#beyond.shift();
  }
}

module.exports = { Finished };
