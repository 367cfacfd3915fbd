'use strict';

/**
 * A ring of frames in shared memory for each direction, between a parent and a worker. A frame reaches the other end
 * without a system call or a message, and outlives its sender. `src/channel/ring.rs` is the other end where that is in
 * Rust, and has the protocol in numbered steps; `src/channel/page.rs` has the words.
 *
 * Frames are laid out as on a socket, see `src/wire/mod.rs`. Their parts have bytes: text, buffers, nothing else.
 *
 * What happens once in some thousand frames (a ring wraps, a frame has to wait) is written without a branch of its own:
 * V8 throws away what it has compiled when it gets to code that it had never seen run, and to compile it again takes as
 * long as a thousand frames.
 *
 * Must not depend on what a frame is for, nor on how frames travel that have no room here.
 */

const {
  BYTES, JSON_LIST, LATIN1, MAX_COUNT, MESSAGE_WORDS, PART_FIELDS, PLAIN_HEADER, PLAIN_VALUES, REPLY, RING_ANSWER,
  RING_ANSWER_HEADER, RING_ASLEEP, RING_AWAKE, RING_AWAKENESS, RING_EARLY, RING_HEAD, RING_MAX_MESSAGE, RING_MAX_RECORD,
  RING_MESSAGES, RING_MESSAGE_RECORDS, RING_NO_VALUE, RING_PLAIN, RING_RECORD_HEADER, RING_TAIL, RING_TO_PARENT,
  RING_TO_PARENT_RECORDS, RING_TO_WORKER, RING_TO_WORKER_RECORDS, RING_WOKEN, RING_WORDS, RING_WRAP, UNDEFINED, UTF16,
  UTF8, VALUE_FIELD,
} = require('./constants');

const WORD = Uint32Array.BYTES_PER_ELEMENT;
const MASK = RING_WORDS - 1;
/** A frame's header: length (2 words), kind, parts, id, seq and aux. */
const FRAME_WORDS = 7;
const FRAME_BYTES = FRAME_WORDS * WORD;
/** A part's header: encoding, codec and flags in one word, calls, tag and length (2 words). */
const PART_BYTES = 5 * WORD;
/** A text of so many characters is copied faster here than by V8. */
const SHORT = 24;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {[kind: number, id: number, seq: number, aux: number, parts: Parts]} Frame */

/**
 * The answer to one call: JSON in one byte per character, a plain value in V8's format, or `null` for `undefined`.
 * @typedef {string | Uint8Array | null} ShortAnswer
 */

class Ring {
  #words;
  #bytes;
  /** @type {any} A `Buffer`, with methods that are not in its types. */
  #text;
  #view;
  /** @type {number} */ #outgoing;
  /** @type {number} */ #outgoingRecords;
  /** How many words the outgoing records have, and how many bytes the longest frame. */
  #size = RING_WORDS;
  #maxRecord = RING_MAX_RECORD;
  /** @type {number} */ #incoming;
  /** @type {number} */ #incomingRecords;
  /** Whether what is in it is being handled, further up the stack, by whoever keeps others from it. */
  isBeingRead = false;
  /** How many words were published and taken here, in counts that wrap. */
  #tail = 0;
  #head = 0;

  /**
   * @param {Uint32Array} words all of the shared memory @param {boolean} isParent whose end it is
   * @param {boolean} [isForMessages] whether it is the worker's end of the ring for messages, which go one way only
   */
  constructor(words, isParent, isForMessages = false) {
    this.#words = words;
    this.isParent = isParent;
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#text = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
    this.#view = new DataView(words.buffer, words.byteOffset, words.byteLength);
    this.#outgoing = isParent ? RING_TO_WORKER : RING_TO_PARENT;
    this.#incoming = isParent ? RING_TO_PARENT : RING_TO_WORKER;
    this.#outgoingRecords = isParent ? RING_TO_WORKER_RECORDS : RING_TO_PARENT_RECORDS;
    this.#incomingRecords = isParent ? RING_TO_PARENT_RECORDS : RING_TO_WORKER_RECORDS;
    if (isForMessages) {
      this.#outgoing = RING_MESSAGES;
      this.#outgoingRecords = RING_MESSAGE_RECORDS;
      this.#size = MESSAGE_WORDS;
      this.#maxRecord = RING_MAX_MESSAGE;
    }
  }

  /** Whether a frame with these parts fits in at all. @param {Parts} parts */
  takes(parts) {
    return FRAME_BYTES + bytesOf(parts) <= this.#maxRecord;
  }

  // ---- Receiving -----------------------------------------------------------------------------------------

  /**
   * Says whether this end looks at its ring before it sleeps.
   * @param {boolean} awake
   */
  setAwake(awake) {
    Atomics.store(this.#words, this.#incoming + RING_AWAKENESS, awake ? RING_AWAKE : RING_ASLEEP);
  }

  /** What has woken this end has been handled: whoever comes next wakes it again, unless it looks by itself. */
  sleepAgain() {
    const at = this.#incoming + RING_AWAKENESS;
    if (Atomics.load(this.#words, at) === RING_WOKEN) Atomics.store(this.#words, at, RING_ASLEEP);
  }

  /** Whether a frame is there that could be taken. */
  get hasPending() {
    return (
      Atomics.load(this.#words, this.#incoming + RING_TAIL) !== this.#head &&
      this.#words[this.#incoming + RING_EARLY] === 0
    );
  }

  /** Up to where there are frames, for `isPast`. */
  get end() {
    return Atomics.load(this.#words, this.#incoming + RING_TAIL);
  }

  /** Whether all that was there by then has been taken. @param {number} end */
  isPast(end) {
    return ((end - this.#head) | 0) <= 0;
  }

  /** A frame has come another way: the first one here may have waited for it. */
  lookAgain() {
    this.#words[this.#incoming + RING_EARLY] = 0;
  }

  /**
   * Takes the next frame, if no more than these were sent another way before it.
   * @param {number} received in a count that wraps
   * @returns {Frame | null}
   */
  take(received) {
    const words = this.#words;
    const control = this.#incoming;
    const at = this.#next();
    const mustWait = at >= 0 && isEarly(words, at, received);
    words[control + RING_EARLY] = mustWait ? 1 : 0;
    if (at < 0 || mustWait) return null;
    const frame = (words[at] & RING_ANSWER) !== 0 ? this.#takeAnswers(at, received) : this.#takeFrame(at);
    Atomics.store(words, control + RING_HEAD, this.#head);
    return frame;
  }

  /** Where the next record is; -1: there is none. */
  #next() {
    const words = this.#words;
    if (Atomics.load(words, this.#incoming + RING_TAIL) === this.#head) return -1;
    const offset = this.#head & MASK;
    const start = (this.#head + RING_WORDS - offset) >>> 0;
    const wraps = words[this.#incomingRecords + offset] === RING_WRAP;
    this.#head = wraps ? start : this.#head;
    return this.#incomingRecords + (wraps ? 0 : offset);
  }

  /** @param {number} at @returns {Frame} */
  #takeFrame(at) {
    const words = this.#words;
    const start = at + RING_RECORD_HEADER;
    const parts = this.#readParts(start * WORD + FRAME_BYTES, words[start + 3]);
    this.#head = (this.#head + recordWords(RING_RECORD_HEADER, words[at])) >>> 0;
    return [words[start + 2] & 0xff, words[start + 4], words[start + 5], words[start + 6], parts];
  }

  /**
   * Takes the answer to a call and those to the calls that follow it. A worker publishes them one by one, so that none
   * is lost with it; what an answer costs from here on, it costs per frame. `src/joined_answers.rs` does the same. No
   * more are joined than the ring holds, since there is no room for others before the head is published.
   * @param {number} first @param {number} received
   * @returns {Frame}
   */
  #takeAnswers(first, received) {
    const words = this.#words;
    const form = words[first] & (RING_NO_VALUE | RING_PLAIN);
    const id = words[first + 2];
    const seq = words[first + 3];
    let calls = 0;
    let micros = 0;
    let list = '';
    /** @type {Uint8Array[]} */
    const bytes = [];
    for (let at = first; at >= 0; at = this.#next()) {
      if (calls > 0) {
        const isNext = (words[at] & RING_ANSWER) !== 0 && (words[at] & (RING_NO_VALUE | RING_PLAIN)) === form
          && words[at + 2] === id && words[at + 3] === (seq + calls) >>> 0;
        if (!isNext || isEarly(words, at, received)) break;
      }
      const length = words[at] & ~(RING_ANSWER | RING_NO_VALUE | RING_PLAIN);
      const from = (at + RING_ANSWER_HEADER) * WORD;
      if (form === 0) list += (calls > 0 ? ',' : '') + this.#text.latin1Slice(from, from + length);
      else if (form === RING_PLAIN) bytes.push(this.#bytes.slice(from + (calls > 0 ? PLAIN_HEADER : 0), from + length));
      calls++;
      micros += words[at + 4];
      this.#head = (this.#head + recordWords(RING_ANSWER_HEADER, length)) >>> 0;
    }
    const answers = form === 0 ? list : form === RING_PLAIN ? Buffer.concat(bytes) : null;
    return [REPLY, id, seq, Math.min(micros, MAX_COUNT), partOf(calls, answers)];
  }

  /** @param {number} start in bytes @param {number} count */
  #readParts(start, count) {
    const view = this.#view;
    /** @type {Parts} */
    const parts = [];
    let at = start;
    for (let part = 0; part < count; part++) {
      const kind = view.getUint32(at, true);
      const end = at + PART_BYTES + view.getUint32(at + 12, true);
      parts.push(kind & 0xff, (kind >>> 8) & 0xff, kind >>> 16, view.getUint32(at + 4, true));
      parts.push(view.getUint32(at + 8, true), this.#readValue(kind & 0xff, at + PART_BYTES, end));
      at = end;
    }
    return parts;
  }

  /** @param {number} encoding @param {number} from @param {number} to */
  #readValue(encoding, from, to) {
    if (encoding === BYTES) return Buffer.from(this.#bytes.slice(from, to).buffer);
    if (from === to) return '';
    if (encoding === LATIN1) return this.#text.latin1Slice(from, to);
    return encoding === UTF8 ? this.#text.utf8Slice(from, to) : this.#text.ucs2Slice(from, to);
  }

  // ---- Sending -------------------------------------------------------------------------------------------

  /** Whether the other end sleeps and nobody has woken it yet: now it is for the caller to do so. */
  mustWake() {
    const at = this.#outgoing + RING_AWAKENESS;
    return (
      Atomics.load(this.#words, at) === RING_ASLEEP &&
      Atomics.compareExchange(this.#words, at, RING_ASLEEP, RING_WOKEN) === RING_ASLEEP
    );
  }

  /**
   * Publishes a frame.
   * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
   * @param {number} place how many frames were sent another way before, in a count that wraps
   * @returns {boolean} whether it fits
   */
  send(kind, id, seq, aux, parts, place) {
    const length = FRAME_BYTES + bytesOf(parts);
    if (length > this.#maxRecord) return false;
    const words = this.#words;
    const at = this.#reserve(recordWords(RING_RECORD_HEADER, length));
    if (at < 0) return false;
    words[at] = length;
    words[at + 1] = place;
    const start = at + RING_RECORD_HEADER;
    words[start] = length - FRAME_BYTES;
    words[start + 1] = 0;
    words[start + 2] = kind;
    words[start + 3] = parts.length / PART_FIELDS;
    words[start + 4] = id;
    words[start + 5] = seq;
    words[start + 6] = aux;
    this.#writeParts(start * WORD + FRAME_BYTES, parts);
    Atomics.store(words, this.#outgoing + RING_TAIL, this.#tail);
    return true;
  }

  /**
   * Publishes the answer to one call.
   * @param {number} id @param {number} seq @param {number} micros
   * @param {ShortAnswer} answer
   * @param {number} place as for `send`
   * @returns {boolean} whether it fits
   */
  sendAnswer(id, seq, micros, answer, place) {
    const words = this.#words;
    const length = answer === null ? 0 : answer.length;
    if (length > this.#maxRecord) return false;
    const at = this.#reserve(recordWords(RING_ANSWER_HEADER, length));
    if (at < 0) return false;
    words[at] = RING_ANSWER | length | (answer === null ? RING_NO_VALUE : typeof answer === 'string' ? 0 : RING_PLAIN);
    words[at + 1] = place;
    words[at + 2] = id;
    words[at + 3] = seq;
    words[at + 4] = micros;
    if (answer !== null) this.#writeValue(LATIN1, answer, (at + RING_ANSWER_HEADER) * WORD);
    Atomics.store(words, this.#outgoing + RING_TAIL, this.#tail);
    return true;
  }

  /**
   * Makes room for a record of so many words, behind which the tail is then to be published.
   * @param {number} size
   * @returns {number} where it goes; -1: there is no room
   */
  #reserve(size) {
    const used = (this.#tail - Atomics.load(this.#words, this.#outgoing + RING_HEAD)) >>> 0;
    const end = this.#size;
    const offset = this.#tail & (end - 1);
    const rest = end - offset;
    const wraps = size > rest;
    const skipped = wraps ? rest : 0;
    if (used + skipped + size > end) return -1;
    this.#tail = (this.#tail + skipped + size) >>> 0;
    // Where the record goes there, it is overwritten.
    this.#words[this.#outgoingRecords + offset] = RING_WRAP;
    return this.#outgoingRecords + (wraps ? 0 : offset);
  }

  /** @param {number} start in bytes @param {Parts} parts */
  #writeParts(start, parts) {
    const view = this.#view;
    let at = start;
    for (let part = 0; part < parts.length; part += PART_FIELDS) {
      const encoding = /** @type {number} */ (parts[part]);
      const codec = /** @type {number} */ (parts[part + 1]);
      const flags = /** @type {number} */ (parts[part + 2]);
      const value = /** @type {string | Uint8Array} */ (parts[part + VALUE_FIELD]);
      const body = at + PART_BYTES;
      const length = this.#writeValue(encoding, value, body);
      view.setUint32(at, encoding | (codec << 8) | (flags << 16), true);
      view.setUint32(at + 4, /** @type {number} */ (parts[part + 3]), true);
      view.setUint32(at + 8, /** @type {number} */ (parts[part + 4]), true);
      view.setUint32(at + 12, length, true);
      view.setUint32(at + 16, 0, true);
      at = body + length;
    }
  }

  /**
   * @param {number} encoding @param {string | Uint8Array} value @param {number} at
   * @returns {number} how many bytes were written
   */
  #writeValue(encoding, value, at) {
    if (typeof value !== 'string') {
      this.#bytes.set(value, at);
      return value.byteLength;
    }
    if (encoding === UTF8) return this.#text.utf8Write(value, at);
    if (encoding === UTF16) return this.#text.ucs2Write(value, at);
    if (value.length > SHORT) return this.#text.latin1Write(value, at);
    for (let i = 0; i < value.length; i++) this.#bytes[at + i] = value.charCodeAt(i);
    return value.length;
  }
}

/**
 * The part with the answers to so many calls: one, or several that were joined.
 * @param {number} calls @param {ShortAnswer} answers @returns {Parts}
 */
function partOf(calls, answers) {
  if (answers === null) return [LATIN1, UNDEFINED, 0, calls, 0, ''];
  if (typeof answers === 'string') return [LATIN1, JSON_LIST, 0, calls, 0, `[${answers}]`];
  return [BYTES, PLAIN_VALUES, 0, calls, 0, /** @type {Buffer} */ (answers)];
}

/**
 * How many bytes the parts of a frame have; `Infinity` where one of them has no bytes.
 * @param {Parts} parts
 */
function bytesOf(parts) {
  let bytes = 0;
  for (let part = 0; part < parts.length; part += PART_FIELDS) {
    const value = /** @type {any} */ (parts[part + VALUE_FIELD]);
    if (typeof value !== 'string') bytes += value instanceof Uint8Array ? value.byteLength : Infinity;
    else if (parts[part] === LATIN1) bytes += value.length;
    else bytes += value.length > RING_MAX_RECORD || parts[part] === UTF16 ? value.length * 2 : Buffer.byteLength(value);
  }
  return bytes + (parts.length / PART_FIELDS) * PART_BYTES;
}

/**
 * Whether a record has to wait for a frame that was sent another way before it.
 * @param {Uint32Array} words @param {number} at @param {number} received how many came another way
 */
function isEarly(words, at, received) {
  return ((received - words[at + 1]) | 0) < 0;
}

/**
 * How many words a record has.
 * @param {number} header its first words @param {number} length of the rest, in bytes
 */
function recordWords(header, length) {
  return header + Math.ceil(length / WORD);
}

module.exports = { Ring, partOf };
