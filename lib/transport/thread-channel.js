'use strict';

/**
 * One end of the connection between a parent and a worker thread: the memory that both share, and a `MessagePort`.
 *
 * Frames that were posted wait in a time slice, whose owner hands them to `receiveMessage` one by one.
 *
 * Must not depend on what a frame is for.
 */

const { receiveMessageOnPort } = require('node:worker_threads');
const { CALLS, SENT_COUNT_WORD } = require('./constants');
const { FrameChannel } = require('./frame-channel');
const { partsOf, post } = require('./ports');

class ThreadChannel extends FrameChannel {
  #port;
  #words;
  #drain;
  /** How many frames with calls came through the port, in a count that wraps. */
  #receivedCalls = 0;

  /**
   * @param {object} end
   * @param {import('node:worker_threads').MessagePort} end.port
   * @param {Uint32Array} end.words the shared memory
   * @param {InstanceType<typeof import('./ring').Ring>} end.ring this end of the rings in it
   * @param {(goesOn: () => boolean) => void} end.drain receives the posted frames of this channel that wait for a turn
   *   of their own
   * @param {import('./frame-channel').Receive} end.receive
   */
  constructor({ port, words, ring, drain, receive }) {
    super(receive);
    this.#port = port;
    this.#words = words;
    this.#drain = drain;
    this.attachRing(ring);
  }

  /** @override @type {import('./frame-channel').Receive} */
  postFrame(kind, id, seq, aux, parts) {
    post(this.#port, kind, id, seq, aux, parts);
    // After the message: whoever sees the count finds the message.
    if (kind === CALLS) Atomics.add(this.#words, SENT_COUNT_WORD, 1);
  }

  /** For the worker's end: whether a frame is in the ring, or calls were posted that have not been received. */
  get hasPending() {
    // To ask the port each time would keep its lock from whoever posts: 50 microseconds instead of 20.
    // And a message may be here before it is counted.
    return this.hasShared || ((Atomics.load(this.#words, SENT_COUNT_WORD) - this.#receivedCalls) | 0) > 0;
  }

  /** How many frames with calls came through the port, in a count that wraps. */
  get receivedCalls() {
    return this.#receivedCalls;
  }

  /** Receives the frames in the ring, or everything, where calls came another way. */
  receivePending() {
    if (this.hasShared) this.receiveShared();
    else this.receiveAll();
  }

  /** @override @param {() => boolean} goesOn */
  receiveAllPosted(goesOn) {
    this.#drain(goesOn);
    // What waits there comes before what is still in the port.
    if (!goesOn()) return;
    for (let next = receiveMessageOnPort(this.#port); next;) {
      this.receiveMessage(next.message);
      next = goesOn() ? receiveMessageOnPort(this.#port) : undefined;
    }
  }

  /**
   * Receives a frame that came through the port.
   * @param {any[]} frame
   */
  receiveMessage(frame) {
    if (frame[0] === CALLS) this.#receivedCalls = (this.#receivedCalls + 1) >>> 0;
    this.receivePosted(frame[0], frame[1], frame[2], frame[3], partsOf(frame));
  }
}

module.exports = { ThreadChannel };
