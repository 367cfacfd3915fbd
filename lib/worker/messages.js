'use strict';

/**
 * What calls emit while they run, on its way to the parent.
 *
 * 1. The messages of a call arrive in order, all of them before its result, and none after it.
 * 2. Up to about a megabyte may be under way: sent, and not yet handled by the parent, which counts in shared memory
 *    what it has handled. So a function that never yields sees that there is room, too. Such a message is sent before
 *    `emit` returns, and arrives whatever becomes of this worker.
 * 3. What exceeds that waits here, and the promise that `emit` returns is pending until it is sent. The result of a
 *    call waits for the call's messages. Beyond 16 megabytes `emit` throws.
 * 4. A message that is larger than all that may be under way is sent alone, once nothing else is under way.
 *
 * Must not depend on what calls run, nor on how a message reaches the parent.
 */

const { encodeValues } = require('../codec/codec');
const { sizeOf } = require('../codec/parts');
const { setTimeout } = require('../intrinsics/clock');
const { MESSAGES_TAKEN_WORD } = require('../transport/constants');

// The user's code may replace the global one.
const { Promise } = globalThis;

/** How much may be under way and wait for that, in bytes. */
const MAX_WAITING = 16 * 1024 * 1024;
/** What a message counts besides its value, in bytes. */
const OVERHEAD = 64;
/** How often room is looked for while messages wait, in milliseconds. */
const LOOK_AFTER = 1;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {InstanceType<typeof import('./running-call').RunningCall>} Call */
/** @typedef {{ call: Call, size: number, parts: Parts, sent: () => void }} Waiting */

/**
 * Sends a message: how much it counts, the number of its call, the index of the worker, its value.
 * @callback SendMessage
 * @param {number} size @param {number} seq @param {number} workerIndex @param {Parts} parts
 * @returns {boolean} false: there is no room, and nothing was sent
 */

class Messages {
  #send;
  #room;
  /** @type {Uint32Array | null} */ #page;
  #serialization;
  #clones;
  /** What was sent so far, in a count that wraps. */
  #sent = 0;
  /** @type {Waiting[]} */ #waiting = [];
  #waitingBytes = 0;
  #isLooking = false;
  /** @type {{ call: Call, done: () => void }[]} Who waits for the last message of a call. */ #drains = [];

  /**
   * @param {SendMessage} send
   * @param {number} room how much may be under way, in bytes
   * @param {Uint32Array | null} page the memory shared with the parent; without it nothing is known of room
   * @param {import('../codec/codec').Serialization} serialization
   * @param {import('../codec/codec').Clones | null} clones
   */
  constructor(send, room, page, serialization, clones) {
    this.#send = send;
    this.#room = room;
    this.#page = page;
    this.#serialization = serialization;
    this.#clones = clones;
  }

  /**
   * Sends a value that a call emits, or yields.
   * @param {Call} call @param {unknown} value @param {number} tag says which
   * @returns {Promise<void>} resolves when it is sent. Throws if it cannot be, or if far too much waits already
   */
  emit(call, value, tag) {
    if (call.isOver || !call.isHeard) return Promise.resolve();
    /** @type {Parts} */
    const parts = [];
    encodeValues([value], this.#serialization, this.#clones, parts, tag, (_index, error) => {
      throw error;
    });
    const size = sizeOf(parts) + OVERHEAD;
    if (this.#waiting.length > 0) this.#look();
    if (this.#waiting.length === 0 && this.#hasSent(call, size, parts)) return Promise.resolve();
    const before = this.#underWay() + this.#waitingBytes;
    if (before > 0 && before + size > MAX_WAITING) {
      throw require('../errors').messagesFullError(before, size);
    }
    this.#waitingBytes += size;
    /** @type {Promise<void>} */
    const promise = new Promise((sent) => this.#waiting.push({ call, size, parts, sent }));
    this.#lookSoon();
    return promise;
  }

  /** Whether messages of a call wait. @param {Call} call */
  hasWaiting(call) {
    return this.#waiting.length > 0 && this.#waiting.some((waiting) => waiting.call === call);
  }

  /**
   * Resolves when all messages of a call are sent.
   * @param {Call} call @returns {Promise<void>}
   */
  drained(call) {
    return new Promise((done) => {
      if (this.hasWaiting(call)) this.#drains.push({ call, done });
      else done();
    });
  }

  #underWay() {
    return this.#page === null ? 0 : (this.#sent - Atomics.load(this.#page, MESSAGES_TAKEN_WORD)) >>> 0;
  }

  /** Sends a message if there is room. @param {Call} call @param {number} size @param {Parts} parts */
  #hasSent(call, size, parts) {
    const underWay = this.#underWay();
    if (underWay > 0 && underWay + size > this.#room) return false;
    try {
      if (!this.#send(size, call.seq, call.workerIndex, parts)) return false;
    } catch (cause) {
      throw require('../errors').tooLargeError('what the function emitted', cause);
    }
    this.#sent = (this.#sent + size) >>> 0;
    return true;
  }

  /** Sends what waits, as far as there is room. */
  #look() {
    let count = 0;
    for (; count < this.#waiting.length; count++) {
      const { call, size, parts, sent } = this.#waiting[count];
      try {
        if (!this.#hasSent(call, size, parts)) break;
      } catch {
        // Nobody is left to be told: emit() has returned.
      }
      this.#waitingBytes -= size;
      sent();
    }
    if (count === 0) return;
    this.#waiting.splice(0, count);
    if (this.#drains.length === 0) return;
    this.#drains = this.#drains.filter(({ call, done }) => {
      if (this.hasWaiting(call)) return true;
      done();
      return false;
    });
  }

  #lookSoon() {
    if (this.#isLooking) return;
    this.#isLooking = true;
    setTimeout(() => {
      this.#isLooking = false;
      this.#look();
      if (this.#waiting.length > 0) this.#lookSoon();
    }, LOOK_AFTER);
  }
}

module.exports = { Messages };
