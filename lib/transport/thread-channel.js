'use strict';

/**
 * One end of the connection between a parent and a worker thread: a `MessagePort`, and the page that both share.
 *
 * 1. A frame goes through the page if it is small and the other end polls (`slot.js`), else through the port.
 * 2. Frames are received in the order in which they were sent: one that is in the page has its place among those that
 *    were posted.
 * 3. Posted frames wait in a time slice, whose owner hands them to `receivePosted` one by one.
 *
 * Must not depend on what a frame is for.
 */

const { receiveMessageOnPort } = require('node:worker_threads');
const { CALLS, SENT_COUNT_WORD } = require('./constants');
const { partsOf, post } = require('./ports');
const { Slot } = require('./slot');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * @callback Receive
 * @param {number} kind @param {number} id @param {number} seq @param {number} aux @param {Parts} parts
 * @returns {void}
 */

class ThreadChannel {
  #port;
  #page;
  #slot;
  #slice;
  #receive;
  /** Frames that were posted, and those that were received through the port, in counts that wrap. */
  #posted = 0;
  #received = 0;
  /** How many of the latter had calls. */
  #receivedCalls = 0;

  /**
   * @param {object} end
   * @param {import('node:worker_threads').MessagePort} end.port
   * @param {Uint32Array} end.page
   * @param {boolean} end.isParent
   * @param {{ drain: () => void }} end.slice where posted frames wait to be received
   * @param {Receive} end.receive
   */
  constructor({ port, page, isParent, slice, receive }) {
    this.#port = port;
    this.#page = page;
    this.#slot = new Slot(page, isParent);
    this.#slice = slice;
    this.#receive = receive;
  }

  /**
   * Sends a frame, the fastest way that is open.
   * @type {Receive}
   */
  send(kind, id, seq, aux, parts) {
    if (!this.#slot.send(kind, id, seq, aux, parts, this.#posted)) this.post(kind, id, seq, aux, parts);
  }

  /**
   * Sends a frame through the port.
   * @type {Receive}
   */
  post(kind, id, seq, aux, parts) {
    post(this.#port, kind, id, seq, aux, parts);
    this.#posted = (this.#posted + 1) >>> 0;
    // After the message: whoever sees the count finds the message.
    if (kind === CALLS) Atomics.add(this.#page, SENT_COUNT_WORD, 1);
  }

  /**
   * Says whether this end looks at the page without pause.
   * @param {boolean} polling
   */
  setPolling(polling) {
    this.#slot.setPolling(polling);
  }

  /** For the worker's end: whether a frame is in the page, or calls were posted that have not been received. */
  get hasPending() {
    // To ask the port each time would keep its lock from whoever posts: 50 microseconds instead of 20.
    return this.#slot.isFull || Atomics.load(this.#page, SENT_COUNT_WORD) !== this.#receivedCalls;
  }

  /** Receives the frame in the page, or everything, where the frame comes after what has been posted. */
  receivePending() {
    if (!this.#receivePlaced()) this.receiveAll();
  }

  /** Receives everything that has been sent so far. */
  receiveAll() {
    this.#slice.drain();
    this.#receivePlaced();
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      this.receivePosted(next.message);
    }
    this.#receivePlaced();
  }

  /**
   * Receives a frame that came through the port.
   * @param {any[]} frame
   */
  receivePosted(frame) {
    try {
      // It was put into the page before this one was posted.
      this.#receivePlaced();
    } finally {
      // Whatever the user's code throws in between: this frame has arrived, and counts.
      this.#received = (this.#received + 1) >>> 0;
      if (frame[0] === CALLS) this.#receivedCalls = (this.#receivedCalls + 1) >>> 0;
      this.#pass(frame);
    }
  }

  /** Receives the frame in the page, if it is its turn. */
  #receivePlaced() {
    const frame = this.#slot.isFull ? this.#slot.take(this.#received) : null;
    if (frame !== null) this.#pass(frame);
    return frame !== null;
  }

  /** @param {any[]} frame */
  #pass(frame) {
    this.#receive(frame[0], frame[1], frame[2], frame[3], partsOf(frame));
  }
}

module.exports = { ThreadChannel };
