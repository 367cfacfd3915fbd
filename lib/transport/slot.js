'use strict';

/**
 * A place in the page that is shared with a thread, for one small frame in each direction: for whoever polls it, a frame
 * comes there without a message, which costs more than all the rest. `src/channel/slot.rs` does the same between processes,
 * and tells the protocol; the first words of a direction are the same.
 *
 * Only frames of one part with short text go there. With each goes how many messages its sender had posted before: its
 * place among these.
 *
 * May not know what a frame is for.
 */

const { LATIN1, PART_FIELDS } = require('../codec/codec');

/** Words of one direction: whether its receiver polls, the state, the place, the frame's numbers, and the text. */
const POLLS = 0;
const STATE = 1;
const PLACE = 2;
const NUMBERS = 4;
/** kind, id, seq, aux, and the part's numbers but for its encoding. */
const NUMBER_COUNT = 8;
const TEXT = NUMBERS + NUMBER_COUNT;
/** Where the directions begin. */
const TO_WORKER = 64;
const TO_PARENT = 544;
/** The longest text, in characters. */
const MOST = (TO_PARENT - TO_WORKER - TEXT) * 4;

/** Bits of the state that are the length and one more, 0 where nothing is there; those above them are a count. */
const LENGTH_BITS = 12;
const LENGTH_MASK = (1 << LENGTH_BITS) - 1;

/** @typedef {import('../codec/codec').Parts} Parts */
/** @typedef {[kind: number, id: number, seq: number, aux: number, parts: Parts]} Frame */

class Slot {
  #words;
  /** @type {any} A `Buffer`, with methods that are not in its types. */
  #text;
  /** @type {number} */ #outgoing;
  /** @type {number} */ #incoming;
  #count = 0;

  /** @param {Uint32Array} page @param {boolean} isParent whose end it is */
  constructor(page, isParent) {
    this.#words = page;
    this.#text = Buffer.from(page.buffer, page.byteOffset, page.byteLength);
    [this.#outgoing, this.#incoming] = isParent ? [TO_WORKER, TO_PARENT] : [TO_PARENT, TO_WORKER];
  }

  /**
   * Says whether this end watches.
   * @param {boolean} polls
   */
  poll(polls) {
    Atomics.store(this.#words, this.#incoming + POLLS, polls ? 1 : 0);
  }

  get isFull() {
    return (Atomics.load(this.#words, this.#incoming + STATE) & LENGTH_MASK) !== 0;
  }

  /**
   * Puts a frame there, if the other end polls.
   * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
   * @param {number} posted messages posted before
   * @returns {boolean} whether it has gone
   */
  send(kind, id, seq, aux, parts, posted) {
    const words = this.#words;
    const at = this.#outgoing;
    if (words[at + POLLS] === 0 || parts.length !== PART_FIELDS || parts[0] !== LATIN1) return false;
    const text = /** @type {string} */ (parts[PART_FIELDS - 1]);
    if (text.length > MOST || (Atomics.load(words, at + STATE) & LENGTH_MASK) !== 0) return false;
    words[at + PLACE] = posted;
    words[at + NUMBERS] = kind;
    words[at + NUMBERS + 1] = id;
    words[at + NUMBERS + 2] = seq;
    words[at + NUMBERS + 3] = aux;
    for (let field = 1; field < PART_FIELDS - 1; field++) words[at + NUMBERS + 3 + field] = /** @type {number} */ (parts[field]);
    if (text.length > 0) this.#text.latin1Write(text, (at + TEXT) * 4);
    this.#count++;
    const state = ((this.#count << LENGTH_BITS) | (text.length + 1)) >>> 0;
    Atomics.store(words, at + STATE, state);
    // Who has stopped polling may have looked for the last time before it was there.
    return Atomics.load(words, at + POLLS) !== 0 || Atomics.compareExchange(words, at + STATE, state, emptied(state)) !== state;
  }

  /**
   * Takes the frame that is there, if it comes after no more than so many messages.
   * @param {number} received
   * @returns {Frame | null}
   */
  take(received) {
    const words = this.#words;
    const at = this.#incoming;
    const state = Atomics.load(words, at + STATE);
    const length = (state & LENGTH_MASK) - 1;
    // The count wraps.
    if (length < 0 || ((received - words[at + PLACE]) | 0) < 0) return null;
    const start = (at + TEXT) * 4;
    const text = length === 0 ? '' : this.#text.latin1Slice(start, start + Math.min(length, MOST));
    const n = at + NUMBERS;
    /** @type {Frame} */
    const frame = [
      words[n], words[n + 1], words[n + 2], words[n + 3],
      [LATIN1, words[n + 4], words[n + 5], words[n + 6], words[n + 7], text],
    ];
    return Atomics.compareExchange(words, at + STATE, state, emptied(state)) === state ? frame : null;
  }
}

/** @param {number} state */
function emptied(state) {
  return (state & ~LENGTH_MASK) >>> 0;
}

module.exports = { Slot };
