'use strict';

/**
 * One end of the connection between a parent and a worker: a ring in shared memory, and another way beside it, which a
 * subclass provides.
 *
 * 1. A frame goes through the ring if it has room there. What does not fit goes the other way, and so does whatever has
 *    to wake the other end.
 * 2. Frames are received in the order in which they were sent: one that is in the ring has its place among those that
 *    went the other way.
 * 3. A frame that went the other way may have woken the receiver, and until that says that it sleeps again nobody
 *    wakes it once more. So it says so as soon as it has handled the frame, wherever it came upon it, and looks at the
 *    ring after that.
 * 4. Without shared memory everything goes the other way.
 * 5. A worker may send as fast as its parent receives, or faster, and then there is no end to it. So a parent receives
 *    what is there when it looks, and after some milliseconds the rest waits for a turn. What a parent sends is
 *    limited: a worker goes on while there is more.
 *
 * Must not depend on what a frame is for, nor on what the other way is.
 */

const { now, setImmediate } = require('../intrinsics/clock');
const { MESSAGE, PORT_COUNTS, POSTED_COUNT, RECEIVED_COUNT, REPLY, WAKE } = require('./constants');
const { Ring, partOf } = require('./ring');

/** For how long a parent receives before its event loop turns, in milliseconds. */
const MAX_TIME = 5;
/** After a longer time without it has turned, as far as that can be told here. */
const PAUSE = 1;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('./ring').Frame} Frame */

/**
 * @callback Receive
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 * @returns {void}
 */

class FrameChannel {
  /** @type {InstanceType<typeof Ring> | null} */
  #ring = null;
  /** @type {InstanceType<typeof Ring> | null} */
  #messages = null;
  #receive;
  /**
   * How many frames were sent and received the other way. The addon reads it, too. (The memory of a short array by
   * itself may move.)
   */
  counts = new Uint32Array(new ArrayBuffer(PORT_COUNTS * Uint32Array.BYTES_PER_ELEMENT));
  /** Whether frames were published of which the other end may not know. */
  #isUntold = false;
  /** @type {Frame[]} Frames that came the other way and have not been received: usually the one that just has. */
  #arrived = [];
  /** Since when, and until when, frames are received without a pause. */
  #began = 0;
  #ended = 0;
  /** Whether the rest waits for a turn. */
  #isLeft = false;

  /** @param {Receive} receive */
  constructor(receive) {
    this.#receive = receive;
  }

  /**
   * From now on frames may go through this memory.
   * @param {InstanceType<typeof Ring>} ring this end of it
   */
  attachRing(ring) {
    this.#ring = ring;
  }

  /**
   * From now on messages go through a ring of their own in this memory, in which all fit that may be under way.
   * @param {Uint32Array} words
   */
  attachMessages(words) {
    this.#messages = new Ring(words, false, true);
  }

  /* eslint-disable no-unused-vars -- what a subclass provides */
  /** Sends a frame the other way. @type {Receive} */
  postFrame(kind, id, seq, aux, parts) {}
  /** Receives what has come the other way. @param {() => boolean} goesOn see `receiveAll` @returns {void} */
  receiveAllPosted(goesOn) {}
  /* eslint-enable no-unused-vars */

  // ---- Sending -------------------------------------------------------------------------------------------

  /**
   * Sends a frame that the other end is to know of now.
   * @type {Receive}
   */
  send(kind, id, seq, aux, parts) {
    const ring = this.#ring;
    // What has to be woken is woken by the frame itself.
    if (ring === null || ring.mustWake() || !ring.send(kind, id, seq, aux, parts, this.counts[POSTED_COUNT])) {
      this.post(kind, id, seq, aux, parts);
      return;
    }
    this.#isUntold = true;
    this.wake();
  }

  /**
   * Sends a frame that arrives whatever becomes of this end, and of which the other end need not know before `wake`.
   * @type {Receive}
   */
  publish(kind, id, seq, aux, parts) {
    if (this.#ring?.send(kind, id, seq, aux, parts, this.counts[POSTED_COUNT])) this.#isUntold = true;
    else this.post(kind, id, seq, aux, parts);
  }

  /**
   * The same for the answer to one call, which has a short form in the ring.
   * @param {number} id @param {number} seq @param {number} micros
   * @param {import('./ring').ShortAnswer} answer
   */
  publishAnswer(id, seq, micros, answer) {
    if (this.#ring?.sendAnswer(id, seq, micros, answer, this.counts[POSTED_COUNT])) {
      this.#isUntold = true;
      return;
    }
    this.post(REPLY, id, seq, micros, partOf(1, answer));
  }

  /**
   * Sends a message of a call, which arrives whatever becomes of this end.
   * @param {number} size @param {number} seq @param {number} index @param {Parts} parts
   * @returns {boolean} false: there is no room for it now
   */
  sendMessage(size, seq, index, parts) {
    const messages = this.#messages;
    // What fits in nowhere is sent while nothing else is under way, and so cannot be overtaken.
    if (messages === null || !messages.takes(parts)) {
      this.send(MESSAGE, size, seq, index, parts);
      return true;
    }
    if (!messages.send(MESSAGE, size, seq, index, parts, 0)) return false;
    this.#isUntold = true;
    this.wake();
    return true;
  }

  /** Wakes the other end if it sleeps and something was published. */
  wake() {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    // It has no place among the others: whoever has seen what it is about need not wait for it.
    if (this.#ring?.mustWake()) this.postFrame(WAKE, 0, 0, 0, []);
  }

  /**
   * Sends a frame the other way.
   * @type {Receive}
   */
  post(kind, id, seq, aux, parts) {
    this.postFrame(kind, id, seq, aux, parts);
    // Not if it has thrown: then nothing was sent.
    this.counts[POSTED_COUNT]++;
  }

  // ---- Receiving -----------------------------------------------------------------------------------------

  /**
   * Says whether this end looks at the ring before it sleeps.
   * @param {boolean} awake
   */
  setAwake(awake) {
    this.#ring?.setAwake(awake);
  }

  /** Whether a frame is in the ring that could be received. */
  get hasShared() {
    return this.#ring !== null && this.#ring.hasPending;
  }

  /**
   * Receives everything that has been sent so far.
   * @param {() => boolean} [goesOn] whether there may be more of that: the other end may send as fast as this receives
   */
  receiveAll(goesOn = () => true) {
    this.receiveShared();
    // What went the other way comes after frames that are being handled right now.
    if (this.#ring?.isBeingRead) return;
    this.receiveAllPosted(goesOn);
    this.receiveShared();
  }

  /** Receives the frames that are in the ring by now, and whose turn it is. */
  receiveShared() {
    const ring = this.#ring;
    if (ring === null) return;
    const { counts } = this;
    const { end } = ring;
    for (let frame = ring.take(counts[RECEIVED_COUNT]); frame !== null;) {
      this.#receive(frame[0], frame[1], frame[2], frame[3], frame[4]);
      frame = ring.isParent && ring.isPast(end) ? null : ring.take(counts[RECEIVED_COUNT]);
    }
  }

  /**
   * Receives a frame that came the other way.
   * @type {Receive}
   */
  receivePosted(kind, id, seq, aux, parts) {
    if (kind === WAKE) {
      this.#receiveLast();
      return;
    }
    // What is received before it may lead back here, for frames that come after it: those have to find it.
    this.#arrived.push([kind, id, seq, aux, parts]);
    this.#receiveArrived();
  }

  /** Receives the frames that came the other way, and before each those in the ring that were sent before. */
  #receiveArrived() {
    try {
      this.receiveShared();
    } finally {
      // Whatever the user's code throws in between: they have arrived, and count.
      const frame = this.#arrived.shift();
      if (frame !== undefined) {
        this.counts[RECEIVED_COUNT]++;
        this.#ring?.lookAgain();
        try {
          this.#receive(frame[0], frame[1], frame[2], frame[3], frame[4]);
        } finally {
          this.#receiveLast();
          if (this.#arrived.length > 0) this.#receiveArrived();
        }
      }
    }
  }

  /** Receives what was published while this end was being woken. What comes later wakes it again. */
  #receiveLast() {
    const ring = this.#ring;
    if (ring === null) return;
    ring.sleepAgain();
    if (!ring.isParent) {
      this.receiveShared();
      return;
    }
    const time = now();
    if (time - this.#ended > PAUSE) this.#began = time;
    if (time - this.#began < MAX_TIME) this.receiveShared();
    else this.#receiveSoon();
    this.#ended = now();
  }

  #receiveSoon() {
    if (this.#isLeft) return;
    this.#isLeft = true;
    setImmediate(() => {
      this.#isLeft = false;
      this.#began = now();
      this.receiveShared();
      this.#ended = now();
    });
  }
}

module.exports = { FrameChannel };
