'use strict';

/**
 * Consecutive records of the input as they stand there: bytes, and where each record begins and ends in them. Of each
 * it is known where in the input the next one begins, so that a later run can go on there.
 */

/** Words per record: what the workers need, and what is needed here. */
const RANGE = 2;
const PLACE = 3;
/** For how many records there is room at first. */
const ROOM = 1024;

/** @typedef {import('./records').Place} Place */

class Block {
  /** How many records it has. */
  count = 0;
  /** The number of the first one, which whoever numbers them says. */
  number = 0;
  #bytes;
  #base;
  #place;
  #ranges;
  #places;

  /**
   * @param {Buffer} bytes the memory that they are in @param {number} base where in it the block begins
   * @param {Place} place the place of that in the input
   * @param {number} capacity the most records that are expected
   */
  constructor(bytes, base, place, capacity) {
    const room = Math.min(capacity, ROOM);
    this.#bytes = bytes;
    this.#base = base;
    this.#place = place;
    this.#ranges = new Uint32Array(room * RANGE);
    this.#places = new Uint32Array(room * PLACE);
  }

  /** How many bytes of the input it takes. */
  get size() {
    return this.count === 0 ? 0 : this.#places[(this.count - 1) * PLACE];
  }

  /**
   * @param {number} from @param {number} to what the record is, in the memory
   * @param {number} next where the next one may begin
   * @param {number} line the line in which it begins, from 1 @param {number} endLine how many lines are before `next`
   */
  add(from, to, next, line, endLine) {
    const range = this.count * RANGE;
    if (range === this.#ranges.length) {
      this.#ranges = longer(this.#ranges);
      this.#places = longer(this.#places);
    }
    this.#ranges[range] = from - this.#base;
    this.#ranges[range + 1] = to - this.#base;
    const place = this.count * PLACE;
    this.#places[place] = next - this.#base;
    this.#places[place + 1] = line - this.#place.line;
    this.#places[place + 2] = endLine - this.#place.line;
    this.count++;
  }

  /** The line in which a record begins. @param {number} index */
  lineOf(index) {
    return this.#place.line + this.#places[index * PLACE + 1];
  }

  /** The place behind a record. @param {number} index @returns {Place} */
  placeAfter(index) {
    const at = index * PLACE;
    return { offset: this.#place.offset + this.#places[at], line: this.#place.line + this.#places[at + 2] };
  }

  /** A record as it stands in the input. @param {number} index */
  bytesOf(index) {
    const at = index * RANGE;
    return this.#bytes.subarray(this.#base + this.#ranges[at], this.#base + this.#ranges[at + 1]);
  }

  /**
   * Some of the records, as the workers are given them: bytes, and of each record where in them it begins and ends.
   * @param {number} from @param {number} to
   * @returns {[bytes: Buffer, ranges: Uint32Array]}
   */
  slice(from, to) {
    const first = this.#ranges[from * RANGE];
    const end = this.#ranges[to * RANGE - 1];
    const ranges = this.#ranges.slice(from * RANGE, to * RANGE);
    if (first > 0) for (let i = 0; i < ranges.length; i++) ranges[i] -= first;
    return [this.#bytes.subarray(this.#base + first, this.#base + end), ranges];
  }
}

/** @param {Uint32Array} words */
function longer(words) {
  const more = new Uint32Array(2 * words.length);
  more.set(words);
  return more;
}

module.exports = { Block };
