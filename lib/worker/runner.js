'use strict';

/**
 * Runs the calls that a worker receives, in order, up to `concurrency` of them at a time, and answers them.
 *
 * The parent relies on these rules:
 * 1. Before a call begins, its number is published, in shared memory or in a frame. The first call of a part counts as
 *    begun before its arguments are decoded, because decoding may be what kills this process.
 * 2. `answers.js` says when the parent is told of results. The result of a watched call (one that must not be lost with
 *    this process, that may be cancelled, or that has a timeout) is published in shared memory before the next call
 *    begins; where there is none, the parent is told at once. Within one process there is nothing to be lost: there
 *    they are told of like those of calls that are not watched.
 * 3. A call that was cancelled before it began is not run. It is answered as skipped before the next call begins.
 * 4. The same goes for a call that the parent has recalled. `src/engine/mod.rs` describes the protocol; the worker's
 *    half of it is:
 *    1. It publishes a call as begun, then checks whether the page's recalled range contains it, and runs it if not.
 *    2. It reads the range as `recall.js` says.
 *    3. When a call is recalled, the calls that follow it within the range may be skipped without being published.
 *       Together they are one answer.
 *
 * Must not depend on whether it runs in a process or a thread, nor on what a call is for: it is given a port to its
 * parent and the functions that calls run.
 */

const { isPromise } = require('node:util').types;
const { decodeValues } = require('../codec/codec');
const { decodeList } = require('../codec/elements');
const {
  CALLS_FIELD, CARRIER, HEARD, LISTED, PART_FIELDS, SKIPPED, TASK, WATCHED, YIELDING, isExtra, refusalIn, valuesOf,
} = require('../codec/parts');
const {
  CANCEL_COUNT_WORD, CODEC_FIELD, FLAGS_FIELD, LAST_BEGUN_WORD, MAX_COUNT, TAG_FIELD, VALUE_FIELD,
} = require('../transport/constants');
const { Answers } = require('./answers');
const { runTracked } = require('./current-call');
const { Part } = require('./part');
const { isRecalled } = require('./recall');
const { RunningCall, isThenable } = require('./running-call');

// The user's code may replace the global one.
const { Promise } = globalThis;

/** @typedef {import('./replies').Port} Port */

/**
 * `isPatient`: nobody is in a hurry for single answers.
 * @typedef {{ id: number, seq: number, parts: import('../codec/parts').Parts, isPatient: boolean }} CallsFrame
 */

/** @typedef {InstanceType<typeof RunningCall>} Call */
/** @typedef {InstanceType<typeof Part>} Unfinished */

/** @typedef {(value: any, call: Call, place?: number) => unknown} Callee the function that a call runs */
/** @typedef {InstanceType<typeof import('./record-list').RecordList>} List calls that came as one list */

/**
 * The functions that calls run, by the tag of their part.
 * @typedef {object} Callees
 * @property {(tag: number) => Callee | Promise<Callee>} of may throw or reject
 * @property {(shared: any) => List} [list] makes a list of what it came as; where there are lists
 * @property {(definition: string) => void} define
 */

class Runner {
  /** @type {Port} */ #port;
  /** @type {Port['begun']} */ #begun;
  /** The call that was told of by it last; none has this number. */
  #lastTold = 0;
  /** @type {Uint32Array | null} */ #page;
  /** @type {import('../codec/codec').Serialization} */ #serialization;
  #answers;
  /** @type {InstanceType<typeof import('./messages').Messages> | null} Made for the first message. */ #messages = null;
  /** @type {InstanceType<typeof import('./yields').Yields> | null} The same for what is yielded. */ #yields = null;
  /** @type {import('../codec/codec').Clones | null} */ #clones;
  /** @type {Callees} */ #callees;
  /** @type {number} */ #concurrency;
  /** Whether the call that runs cannot be told by a variable. */ #isTracked;
  /** @type {CallsFrame[]} */ #frames = [];
  #working = false;
  /** @type {Call | null} The call whose function runs now or, where calls run one at a time, is pending. */
  #current = null;
  /** @type {Map<number, Call>} The pending calls, where several run at the same time. */
  #pending = new Map();
  /** @type {(() => void) | null} Called when one of them settles. */
  #onRoom = null;
  /** @type {Set<number>} */ #cancelled = new Set();
  /** @type {Set<number>} Calls whose readers have left before they began. */ #left = new Set();
  #notices = 0;
  /** @type {string | null} The key of the last call of this frame that has failed: the calls behind it are skipped. */
  #stoppedKey = null;
  /** Whether calls have run within what was sent with them. */
  hasTraced = false;
  /** @type {((callee: Callee) => Callee) | null} Has what comes next in this frame run within what was sent with it. */
  #within = null;

  /**
   * @param {object} options
   * @param {Port} options.port
   * @param {Uint32Array | null} options.page
   * @param {import('../codec/codec').Serialization} options.serialization
   * @param {import('../codec/codec').Clones | null} options.clones
   * @param {Callees} options.callees
   * @param {number} options.concurrency
   * @param {number} options.workerIndex
   */
  constructor({ port, page, serialization, clones, callees, concurrency, workerIndex }) {
    this.workerIndex = workerIndex;
    this.#port = port;
    this.#begun = port.begun;
    this.#page = page;
    this.#serialization = serialization;
    this.#clones = clones;
    this.#callees = callees;
    this.#concurrency = concurrency;
    this.#answers = new Answers(port, serialization, clones);
    this.#isTracked = port.isLocal || concurrency > 1;
  }

  /** The call that runs, as far as that can be told without tracking calls. */
  get current() {
    if (this.#current !== null || this.#pending.size !== 1) return this.#current;
    return /** @type {Call} */ (this.#pending.values().next().value);
  }

  /** Whether nothing is running and nothing is pending. */
  get isIdle() {
    return !this.#working && this.#pending.size === 0;
  }

  /** @param {CallsFrame} frame */
  enqueue(frame) {
    this.#frames.push(frame);
    if (!this.#working) this.#work();
  }

  /**
   * Cancels calls: those that run are told, the others do not begin.
   * @param {number[]} seqs
   */
  cancel(seqs) {
    seqs.forEach((seq) => {
      const running = this.#current?.seq === seq ? this.#current : this.#pending.get(seq);
      if (running !== undefined) running.abort();
      else this.#cancelled.add(seq);
    });
  }

  /** Reads cancellations if the page says that there are new ones; cheap enough to be called in a loop. */
  notice() {
    if (this.#page === null) {
      this.#port.poll();
    } else if (this.#page[CANCEL_COUNT_WORD] !== this.#notices) {
      this.#notices = this.#page[CANCEL_COUNT_WORD];
      this.#port.poll();
    }
  }

  /** Runs frames until a call has to be waited for. */
  #work() {
    this.#working = true;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      this.#stoppedKey = null;
      this.#within = null;
      this.#answers.isPatient = frame.isPatient;
      const waiting = this.#runFrame(frame, 0, 0);
      // Synchronous functions must not pay for a promise.
      if (waiting !== null) {
        void waiting.then(() => this.#work());
        return;
      }
    }
    if (this.#cancelled.size > 0) this.#cancelled.clear();
    if (this.#left.size > 0) this.#left.clear();
    this.#working = false;
  }

  /**
   * Runs the calls of a frame from the part at this position on, which begins with the call at this offset.
   * @param {CallsFrame} frame @param {number} position @param {number} firstOffset
   * @returns {Promise<void> | null} `null` when nothing is pending
   */
  #runFrame(frame, position, firstOffset) {
    const { parts } = frame;
    let offset = firstOffset;
    for (let at = position; at < parts.length; ) {
      const start = at;
      const calls = /** @type {number} */ (parts[start + CALLS_FIELD]);
      at += PART_FIELDS;
      if (parts[start + CODEC_FIELD] === TASK) {
        this.#callees.define(/** @type {string} */ (parts[start + VALUE_FIELD]));
        continue;
      }
      if (parts[start + CODEC_FIELD] === CARRIER) {
        const { withinCarrier } = require('./trace-context');
        this.#within = withinCarrier(/** @type {string} */ (parts[start + VALUE_FIELD]));
        this.hasTraced ||= this.#within !== null;
        continue;
      }
      while (isExtra(parts, at)) at += PART_FIELDS;
      const first = offset;
      offset += calls;
      // The parent could not encode these calls. It has settled them itself and expects no answer.
      if ((/** @type {number} */ (parts[start + FLAGS_FIELD]) & SKIPPED) !== 0) continue;
      const waiting = this.#runPart(frame, first, start, at);
      if (waiting !== null) return this.#runRest(waiting, frame, at, offset);
    }
    this.#answers.flush();
    this.#port.served();
    return null;
  }

  /** @param {Promise<void>} waiting @param {CallsFrame} frame @param {number} position @param {number} offset */
  async #runRest(waiting, frame, position, offset) {
    await waiting;
    await this.#runFrame(frame, position, offset);
  }

  /**
   * @param {CallsFrame} frame @param {number} offset
   * @param {number} from where the part begins @param {number} to where its extras end
   * @returns {Promise<void> | null} `null` when nothing is pending
   */
  #runPart({ id, seq, parts }, offset, from, to) {
    const calls = /** @type {number} */ (parts[from + CALLS_FIELD]);
    const tag = /** @type {number} */ (parts[from + TAG_FIELD]);
    const listed = (tag & LISTED) !== 0;
    const watched = (tag & WATCHED) !== 0 && !this.#port.isLocal;
    if (watched) this.#answers.secure();
    const first = (seq + offset) >>> 0;
    this.#begin(first);
    this.#answers.now = 0;
    const next = isRecalled(this.#page, first) ? this.#skipRecalled(id, offset, first, calls) : 0;
    if (next === calls) return null;
    let callee;
    /** @type {unknown[]} */
    let values;
    /** @type {List | null} */
    let list = null;
    try {
      const refusal = refusalIn(parts, from, to);
      if (refusal !== null) throw require('../errors').tooLargeError('what the function is given', new Error(refusal));
      callee = this.#callees.of(tag);
      if ((tag & YIELDING) !== 0) {
        callee = isPromise(callee) ? callee.then((found) => this.#yielding(found)) : this.#yielding(callee);
      }
      const codec = /** @type {number} */ (parts[from + CODEC_FIELD]);
      const value = /** @type {string | Buffer} */ (parts[from + VALUE_FIELD]);
      const extras = to === from + PART_FIELDS ? [] : valuesOf(parts.slice(from + PART_FIELDS, to));
      if (listed) {
        list = /** @type {Required<Callees>} */ (this.#callees).list(decodeList(codec, value, extras, this.#clones));
        callee = list.run;
        values = list.values;
        list.begin();
      } else {
        values = decodeValues(codec, value, calls, extras, this.#clones);
      }
      if (this.#within !== null) callee = isPromise(callee) ? callee.then(this.#within) : this.#within(callee);
    } catch (error) {
      this.#failAll(id, offset, next, calls, error);
      return null;
    }
    const part = new Part(id, offset, first, values, watched, (tag & HEARD) !== 0, list, next);
    if (isPromise(callee)) {
      this.#answers.flushSoon();
      return callee.then(
        (found) => this.#runOn(this.#runSome(found, part), found, part),
        (error) => this.#failAll(id, offset, next, calls, error),
      );
    }
    const waiting = this.#runSome(callee, part);
    if (waiting !== null) return this.#runOn(waiting, callee, part);
    list?.end();
    return null;
  }

  /** @param {Promise<void> | null} waiting @param {Callee} callee @param {Unfinished} part */
  async #runOn(waiting, callee, part) {
    for (let waitedFor = waiting; waitedFor !== null; waitedFor = this.#runSome(callee, part)) await waitedFor;
    part.list?.end();
  }

  /** @param {number} id @param {number} offset @param {number} next @param {number} calls @param {unknown} error */
  #failAll(id, offset, next, calls, error) {
    for (let i = next; i < calls; i++) this.#answers.refuse(id, offset + i, error);
  }

  /**
   * Runs calls until one of them has to be waited for.
   * @param {Callee} callee @param {Unfinished} part
   * @returns {Promise<void> | null} `null` when nothing is left to run
   */
  #runSome(callee, part) {
    const { id, offset, first, values, watched, isHeard, list } = part;
    const answers = this.#answers;
    for (let i = part.next; i < values.length; i++) {
      const seq = (first + i) >>> 0;
      if (this.#page !== null && this.#page[CANCEL_COUNT_WORD] !== this.#notices) this.notice();
      if (this.#cancelled.size > 0 && this.#cancelled.delete(seq)) {
        answers.skip(id, offset + i);
        answers.secure();
        continue;
      }
      if (this.#stoppedKey !== null && list?.keyAt(i) === this.#stoppedKey) {
        answers.skip(id, offset + i);
        continue;
      }
      const started = answers.beforeCall(watched);
      this.#begin(seq);
      if (isRecalled(this.#page, seq)) {
        i += this.#skipRecalled(id, offset + i, seq, values.length - i) - 1;
        continue;
      }
      const call = (this.#current = new RunningCall(seq, this, isHeard));
      const value = values[i];
      // Let it be collected while the other calls run.
      values[i] = undefined;
      let result;
      try {
        result = this.#isTracked ? runTracked(call, this.#port.isLocal, callee, value, i) : callee(value, call, i);
        if (!isThenable(result)) {
          if (!isHeard || !this.#hasWaiting(call)) {
            call.isOver = true;
            this.#succeed(part, i, started, result);
            continue;
          }
          // Its result comes after its messages.
          const outcome = result;
          result = this.#drained(call).then(() => outcome);
        }
      } catch (error) {
        if (!isHeard || !this.#hasWaiting(call)) {
          call.isOver = true;
          this.#fail(part, i, started, error);
          continue;
        }
        result = this.#drained(call).then(() => Promise.reject(error));
      }
      answers.now = 0;
      part.next = i + 1;
      const settled = this.#await(result, call, part, i, started);
      if (this.#concurrency === 1) return settled;
      this.#current = null;
      this.#pending.set(seq, call);
      if (this.#pending.size >= this.#concurrency) {
        answers.flushSoon();
        return this.#room();
      }
    }
    part.next = values.length;
    if (watched) answers.secure();
    return null;
  }

  /**
   * Waits for a call and answers it.
   * @param {PromiseLike<unknown>} result @param {Call} call @param {Unfinished} part @param {number} place
   * @param {number} started
   */
  async #await(result, call, part, place, started) {
    const answers = this.#answers;
    if (this.#concurrency === 1) answers.flushSoon();
    try {
      const outcome = await result;
      if (part.isHeard && this.#hasWaiting(call)) await this.#drained(call);
      call.isOver = true;
      if (this.#concurrency === 1) this.#succeed(part, place, started, outcome);
      else answers.finish(part.id, part.offset + place, started, outcome);
    } catch (error) {
      if (part.isHeard && this.#hasWaiting(call)) await this.#drained(call);
      call.isOver = true;
      this.#fail(part, place, started, error);
    }
    answers.now = 0;
    if (this.#concurrency === 1) return;
    this.#pending.delete(call.seq);
    if (part.watched) answers.secure();
    answers.flushSoon();
    this.#onRoom?.();
  }

  /** Resolves when there is room for another concurrent call. */
  #room() {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        this.#onRoom = () => {
          this.#onRoom = null;
          resolve();
        };
      })
    );
  }

  /** @param {number} seq */
  #begin(seq) {
    if (this.#begun !== null) {
      // The first call of a frame was told already, before its arguments were decoded.
      if (seq !== this.#lastTold) this.#begun((this.#lastTold = seq));
    } else if (this.#page !== null) {
      Atomics.store(this.#page, LAST_BEGUN_WORD, seq);
    }
  }

  /**
   * Answers a recalled call as skipped, together with the recalled calls that follow it.
   * @param {number} id @param {number} offset @param {number} first @param {number} most
   * @returns {number} how many were skipped
   */
  #skipRecalled(id, offset, first, most) {
    let count = 0;
    do {
      this.#answers.skipRecalled(id, offset + count);
      count++;
    } while (count < most && isRecalled(this.#page, (first + count) >>> 0));
    return count;
  }

  /**
   * A call has returned, with what a promise may have held.
   * @param {Unfinished} part @param {number} place the call's @param {number} started @param {unknown} result
   */
  #succeed({ id, offset, values, watched, list }, place, started, result) {
    const outcome = list?.isVoid ? undefined : result;
    this.#current = null;
    // A single result is not written out any faster in another way.
    if (watched || values.length === 1) this.#answers.publish(id, offset + place, started, outcome);
    else this.#answers.finish(id, offset + place, started, outcome);
  }

  /** @param {Unfinished} part @param {number} place @param {number} started @param {unknown} error */
  #fail({ id, offset, list }, place, started, error) {
    this.#stoppedKey = list?.keyAt(place) ?? this.#stoppedKey;
    this.#current = null;
    this.#answers.finish(id, offset + place, started, error, true);
  }

  /** Writes the answers out, and tells the parent. */
  flush() {
    this.#answers.flush();
  }

  // ---- Messages -----------------------------------------------------------------------------------------

  /**
   * Sends what a call emits, or yields.
   * @param {Call} call @param {unknown} value @param {number} [tag] says which
   * @returns {Promise<void>} see `Messages`
   */
  emit(call, value, tag = 0) {
    if (!call.isHeard) return Promise.resolve();
    if (this.#messages === null) {
      const { Messages: Made } = require('./messages');
      const { sendMessage, messageRoom } = this.#port;
      this.#messages = new Made(sendMessage, messageRoom, this.#page, this.#serialization, this.#clones);
    }
    return this.#messages.emit(call, value, tag);
  }

  /** @param {Call} call */
  #hasWaiting(call) {
    return this.#messages !== null && this.#messages.hasWaiting(call);
  }

  /** @param {Call} call @returns {Promise<void>} */
  #drained(call) {
    return this.#messages === null ? Promise.resolve() : this.#messages.drained(call);
  }

  /**
   * The reader of what a call yields has taken so many values.
   * @param {number} seq @param {number} taken
   */
  demand(seq, taken) {
    if (this.#yields?.told(seq, taken) === true) return;
    // It has been published as begun, and has not: see rule 1.
    if (taken === MAX_COUNT) this.#left.add(seq);
  }

  /**
   * What runs a call that is iterated over. Its value is how far it may be ahead of its reader, and its arguments.
   * @param {Callee} callee @returns {Callee}
   */
  #yielding(callee) {
    const { Yields } = require('./yields');
    const yields = (this.#yields ??= new Yields((call, value) => this.emit(call, value, YIELDING)));
    return ([highWaterMark, args], call, place) =>
      this.#left.delete(call.seq) ? undefined
        : yields.pour(() => callee(args, call, place), highWaterMark, call);
  }
}

module.exports = { Runner };
