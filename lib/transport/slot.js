'use strict';

/**
 * A slot in the page that a parent shares with a thread, for one small frame in each direction. A frame reaches whoever
 * polls the slot without a message, which would cost more than everything else. `src/channel/slot.rs` does the same
 * between processes and explains the protocol; `src/channel/page.rs` has the words.
 *
 * Only frames of one part with short text go there. With each goes the number of messages that its sender had posted
 * before: its place among them.
 *
 * Must not depend on what a frame is for.
 */

const {
  LATIN1, PART_FIELDS, SLOT_BYTES, SLOT_LENGTH_BITS, SLOT_LENGTH_MASK, SLOT_PLACE, SLOT_POLLED, SLOT_STATE,
  SLOT_TO_PARENT, SLOT_TO_WORKER, VALUE_FIELD,
} = require('./constants');

/** Where in a slot the frame's numbers begin: kind, id, seq, aux, and the part's codec, flags, calls and tag. */
const NUMBERS = SLOT_BYTES;
const NUMBER_COUNT = 8;
const TEXT = NUMBERS + NUMBER_COUNT;
/** The longest text, in characters. */
const MAX_TEXT = (SLOT_TO_PARENT - SLOT_TO_WORKER - TEXT) * Uint32Array.BYTES_PER_ELEMENT;

/** @typedef {import('../codec/parts').Parts} Parts */
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
    [this.#outgoing, this.#incoming] = isParent ? [SLOT_TO_WORKER, SLOT_TO_PARENT] : [SLOT_TO_PARENT, SLOT_TO_WORKER];
  }

  /**
   * Says whether this end looks at its slot without pause.
   * @param {boolean} polling
   */
  setPolling(polling) {
    Atomics.store(this.#words, this.#incoming + SLOT_POLLED, polling ? 1 : 0);
  }

  /** Whether a frame is there for this end. */
  get isFull() {
    return (Atomics.load(this.#words, this.#incoming + SLOT_STATE) & SLOT_LENGTH_MASK) !== 0;
  }

  /**
   * Puts a frame into the slot, if the other end polls and the slot is empty.
   * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
   * @param {number} posted messages posted before
   * @returns {boolean} whether it was sent
   */
  send(kind, id, seq, aux, parts, posted) {
    const words = this.#words;
    const at = this.#outgoing;
    if (words[at + SLOT_POLLED] === 0 || parts.length !== PART_FIELDS || parts[0] !== LATIN1) return false;
    const text = /** @type {string} */ (parts[VALUE_FIELD]);
    if (text.length > MAX_TEXT || (Atomics.load(words, at + SLOT_STATE) & SLOT_LENGTH_MASK) !== 0) return false;
    words[at + SLOT_PLACE] = posted;
    words[at + NUMBERS] = kind;
    words[at + NUMBERS + 1] = id;
    words[at + NUMBERS + 2] = seq;
    words[at + NUMBERS + 3] = aux;
    for (let field = 1; field < VALUE_FIELD; field++) {
      words[at + NUMBERS + 3 + field] = /** @type {number} */ (parts[field]);
    }
    if (text.length > 0) this.#text.latin1Write(text, (at + TEXT) * 4);
    this.#count++;
    // One more than the length: an empty text is a frame as well.
    const state = ((this.#count << SLOT_LENGTH_BITS) | (text.length + 1)) >>> 0;
    Atomics.store(words, at + SLOT_STATE, state);
    // A receiver that has stopped polling may have looked for the last time before the frame was there.
    const isWatched = Atomics.load(words, at + SLOT_POLLED) !== 0;
    return isWatched || Atomics.compareExchange(words, at + SLOT_STATE, state, emptied(state)) !== state;
  }

  /**
   * Takes the frame in the slot, if no more messages were posted before it than these.
   * @param {number} received
   * @returns {Frame | null}
   */
  take(received) {
    const words = this.#words;
    const at = this.#incoming;
    const state = Atomics.load(words, at + SLOT_STATE);
    const length = (state & SLOT_LENGTH_MASK) - 1;
    // The counts wrap.
    if (length < 0 || ((received - words[at + SLOT_PLACE]) | 0) < 0) return null;
    const start = (at + TEXT) * 4;
    const text = length === 0 ? '' : this.#text.latin1Slice(start, start + Math.min(length, MAX_TEXT));
    const n = at + NUMBERS;
    /** @type {Frame} */
    const frame = [
      words[n], words[n + 1], words[n + 2], words[n + 3],
      [LATIN1, words[n + 4], words[n + 5], words[n + 6], words[n + 7], text],
    ];
    return Atomics.compareExchange(words, at + SLOT_STATE, state, emptied(state)) === state ? frame : null;
  }
}

/**
 * The state of a slot whose frame was taken.
 * @param {number} state
 */
function emptied(state) {
  return (state & ~SLOT_LENGTH_MASK) >>> 0;
}

module.exports = { Slot };
