'use strict';

/**
 * Runs the calls that a worker receives, in order, up to `concurrency` of them at a time, and answers them.
 *
 * The parent relies on these rules:
 * 1. Before a call begins, its number is published, in shared memory or in a frame. The first call of a part counts as
 *    begun before its arguments are decoded, because decoding may be what kills this process.
 * 2. The parent is told of results when nothing is left to run, at the first call boundary after a millisecond, and on
 *    the next turn of the event loop while a call is pending. The result of a watched call (one that must not be lost
 *    with this process, that may be cancelled, or that has a timeout) is published in shared memory before the next
 *    call begins; where there is none, the parent is told at once. Within one process there is nothing to be lost, and
 *    the results of a list, which are waited for together, are told of like those of calls that are not watched.
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
  CALLS_FIELD, CARRIER, LISTED, PART_FIELDS, SKIPPED, TASK, WATCHED, isExtra, refusalIn, valuesOf,
} = require('../codec/parts');
const { now, setImmediate } = require('../intrinsics/clock');
const {
  CANCEL_COUNT_WORD, CODEC_FIELD, FLAGS_FIELD, LAST_BEGUN_WORD, TAG_FIELD, VALUE_FIELD,
} = require('../transport/constants');
const { isRecalled } = require('./recall');
const { groupOf, plainJson, writeReplies } = require('./replies');
const { RunningCall, isThenable } = require('./running-call');

// The user's code may replace the global one.
const { Promise } = globalThis;

/** How long results are held back so that they can be sent together, in milliseconds. */
const FLUSH_AFTER = 1;

/** @typedef {import('./replies').Reply} Reply */
/** @typedef {import('./replies').Port} Port */

/** @typedef {{ id: number, seq: number, parts: import('../codec/parts').Parts }} CallsFrame */

/** @typedef {InstanceType<typeof RunningCall>} Call */

/** @typedef {(value: any, call: Call, place?: number) => unknown} Callee the function that a call runs */
/** @typedef {InstanceType<typeof import('./record-list').RecordList>} List calls that came as one list */

/**
 * The functions that calls run, by the tag of their part.
 * @typedef {object} Callees
 * @property {(tag: number) => Callee | Promise<Callee>} of may throw or reject
 * @property {(shared: any) => List} [list] makes a list of what it came as; where there are lists
 * @property {(definition: string) => void} define
 */

/**
 * A part whose calls have not all run yet; `next` is the place of the one to run next, `first` the number of the first.
 * @typedef {{ id: number, offset: number, first: number, values: unknown[], watched: boolean, list: List | null,
 *   next: number }} Part
 */

class Runner {
  /** @type {Port} */ #port;
  /** @type {Reply | null} */ #publish;
  /** @type {Port['publishPlain']} */ #publishPlain;
  /** @type {Port['begun']} */ #begun;
  /** @type {Uint32Array | null} */ #page;
  /** @type {import('../codec/codec').Serialization} */ #serialization;
  /** @type {import('../codec/codec').Clones | null} */ #clones;
  /** @type {Callees} */ #callees;
  /** @type {number} */ #concurrency;
  /** @type {import('node:async_hooks').AsyncLocalStorage<Call> | null} */ #tracker;
  /** @type {CallsFrame[]} */ #frames = [];
  #working = false;
  /** @type {Call | null} The call whose function runs now or, where calls run one at a time, is pending. */
  #current = null;
  /** @type {Map<number, Call>} The pending calls, where several run at the same time. */
  #pending = new Map();
  /** @type {(() => void) | null} Called when one of them settles. */
  #onRoom = null;
  /** @type {Set<number>} */ #cancelled = new Set();
  #notices = 0;
  /** @type {import('./replies').Group[]} Answers that have not been written out. */ #groups = [];
  /** When the last call ended, if nothing has happened since; else 0. Saves reading the clock twice between calls. */
  #now = 0;
  /** Less than a microsecond by which calls took longer than was reported: many short ones would seem to take none. */
  #unreported = 0;
  #lastFlush = 0;
  #flushDue = false;
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
   * @param {import('node:async_hooks').AsyncLocalStorage<any> | null} [options.tracker] tells apart the output of
   *   calls that run at the same time
   */
  constructor({ port, page, serialization, clones, callees, concurrency, tracker = null }) {
    this.#port = port;
    this.#publish = port.publish;
    this.#publishPlain = port.publishPlain;
    this.#begun = port.begun;
    this.#page = page;
    this.#serialization = serialization;
    this.#clones = clones;
    this.#callees = callees;
    this.#concurrency = concurrency;
    this.#tracker = tracker;
  }

  /** The number of the running call; 0 when there is none, or when it is not known which of several. */
  get current() {
    return (this.#tracker?.getStore() ?? this.#current)?.seq ?? 0;
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
      const waiting = this.#runFrame(frame, 0, 0);
      // Synchronous functions must not pay for a promise.
      if (waiting !== null) {
        void waiting.then(() => this.#work());
        return;
      }
    }
    if (this.#cancelled.size > 0) this.#cancelled.clear();
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
    this.flush();
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
    const watched = (tag & WATCHED) !== 0 && !(listed && this.#port.isLocal);
    if (watched) this.#secure();
    const first = (seq + offset) >>> 0;
    this.#begin(first);
    this.#now = 0;
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
    /** @type {Part} */
    const part = { id, offset, first, values, watched, list, next };
    if (isPromise(callee)) {
      this.#flushSoon();
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

  /** @param {Promise<void> | null} waiting @param {Callee} callee @param {Part} part */
  async #runOn(waiting, callee, part) {
    for (let waitedFor = waiting; waitedFor !== null; waitedFor = this.#runSome(callee, part)) await waitedFor;
    part.list?.end();
  }

  /** @param {number} id @param {number} offset @param {number} next @param {number} calls @param {unknown} error */
  #failAll(id, offset, next, calls, error) {
    for (let i = next; i < calls; i++) {
      groupOf(this.#groups, id, offset + i, 0).answers.push({ kind: 'thrown', thrown: error });
    }
  }

  /**
   * Runs calls until one of them has to be waited for.
   * @param {Callee} callee @param {Part} part
   * @returns {Promise<void> | null} `null` when nothing is left to run
   */
  #runSome(callee, part) {
    const { id, offset, first, values, watched, list } = part;
    for (let i = part.next; i < values.length; i++) {
      const seq = (first + i) >>> 0;
      if (this.#page !== null && this.#page[CANCEL_COUNT_WORD] !== this.#notices) this.notice();
      if (this.#cancelled.size > 0 && this.#cancelled.delete(seq)) {
        groupOf(this.#groups, id, offset + i, 0).answers.push({ kind: 'skipped', skipped: 1 });
        this.#secure();
        continue;
      }
      if (this.#stoppedKey !== null && list?.keyAt(i) === this.#stoppedKey) {
        groupOf(this.#groups, id, offset + i, 0).answers.push({ kind: 'skipped', skipped: 1 });
        continue;
      }
      let started = this.#now === 0 ? now() : this.#now;
      if (started - this.#lastFlush >= FLUSH_AFTER) {
        this.flush();
        started = now();
      } else if (watched && this.#groups.length > 0) {
        this.#secure();
        started = now();
      }
      this.#begin(seq);
      if (isRecalled(this.#page, seq)) {
        i += this.#skipRecalled(id, offset + i, seq, values.length - i) - 1;
        continue;
      }
      const call = (this.#current = new RunningCall(seq, this));
      const value = values[i];
      // Let it be collected while the other calls run.
      values[i] = undefined;
      let result;
      try {
        result = this.#tracker === null ? callee(value, call, i) : this.#tracker.run(call, callee, value, call, i);
        if (!isThenable(result)) {
          this.#succeed(part, i, started, result);
          continue;
        }
      } catch (error) {
        this.#fail(part, i, started, error);
        continue;
      }
      this.#now = 0;
      part.next = i + 1;
      const settled = this.#await(result, call, part, i, started);
      if (this.#concurrency === 1) return settled;
      this.#current = null;
      this.#pending.set(seq, call);
      if (this.#pending.size >= this.#concurrency) {
        this.#flushSoon();
        return this.#room();
      }
    }
    part.next = values.length;
    if (watched) this.#secure();
    return null;
  }

  /**
   * Waits for a call and answers it.
   * @param {PromiseLike<unknown>} result @param {Call} call @param {Part} part @param {number} place
   * @param {number} started
   */
  async #await(result, call, part, place, started) {
    if (this.#concurrency === 1) this.#flushSoon();
    try {
      const outcome = await result;
      if (this.#concurrency === 1) this.#succeed(part, place, started, outcome);
      else this.#finish(part.id, part.offset + place, started, outcome);
    } catch (error) {
      this.#fail(part, place, started, error);
    }
    this.#now = 0;
    if (this.#concurrency === 1) return;
    this.#pending.delete(call.seq);
    if (part.watched) this.#secure();
    this.#flushSoon();
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
    if (this.#begun !== null) this.#begun(seq);
    else if (this.#page !== null) Atomics.store(this.#page, LAST_BEGUN_WORD, seq);
  }

  /**
   * Answers a recalled call as skipped, together with the recalled calls that follow it.
   * @param {number} id @param {number} offset @param {number} first @param {number} most
   * @returns {number} how many were skipped
   */
  #skipRecalled(id, offset, first, most) {
    let count = 0;
    do {
      const { answers } = groupOf(this.#groups, id, offset + count, 0);
      const last = answers[answers.length - 1];
      if (last?.kind === 'skipped') last.skipped++;
      else answers.push({ kind: 'skipped', skipped: 1 });
      count++;
    } while (count < most && isRecalled(this.#page, (first + count) >>> 0));
    // Makes the next call flush before it begins.
    this.#lastFlush = 0;
    return count;
  }

  /**
   * A call has returned, with what a promise may have held.
   * @param {Part} part @param {number} place the call's @param {number} started @param {unknown} result
   */
  #succeed({ id, offset, values, watched, list }, place, started, result) {
    const outcome = list?.isVoid ? undefined : result;
    // A single result is not written out any faster in another way.
    if (watched || values.length === 1) this.#publishResult(id, offset + place, started, outcome);
    else this.#finish(id, offset + place, started, outcome);
  }

  /** @param {Part} part @param {number} place @param {number} started @param {unknown} error */
  #fail({ id, offset, list }, place, started, error) {
    this.#stoppedKey = list?.keyAt(place) ?? this.#stoppedKey;
    this.#finish(id, offset + place, started, error, true);
  }

  /**
   * @param {number} id @param {number} offset @param {number} started
   * @param {unknown} outcome @param {boolean} [failed]
   */
  #finish(id, offset, started, outcome, failed = false) {
    this.#now = now();
    this.#current = null;
    const { answers } = groupOf(this.#groups, id, offset, this.#now - started);
    const last = answers[answers.length - 1];
    if (failed) answers.push({ kind: 'thrown', thrown: outcome });
    else if (last?.kind === 'values') last.values.push(outcome);
    else answers.push({ kind: 'values', values: [outcome] });
  }

  /**
   * The same for a result that is to be published at once, where that is possible.
   * @param {number} id @param {number} offset @param {number} started @param {unknown} result
   */
  #publishResult(id, offset, started, result) {
    const json = this.#publishPlain === null || this.#groups.length > 0 ? undefined : plainJson(result);
    if (json === undefined) {
      this.#finish(id, offset, started, result);
      return;
    }
    this.#now = now();
    this.#current = null;
    const exact = (this.#now - started) * 1000 + this.#unreported;
    const micros = Math.round(exact);
    this.#unreported = exact - micros;
    /** @type {NonNullable<Port['publishPlain']>} */ (this.#publishPlain)(id, offset, micros, json);
  }

  /** Writes the answers out on the next turn of the event loop, even if calls are still running by then. */
  #flushSoon() {
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.flush();
    });
  }

  /** Sees to it that the answers arrive, whatever becomes of this worker. */
  #secure() {
    if (this.#publish === null) this.flush();
    else if (this.#groups.length > 0) this.#write(this.#publish);
  }

  /** Writes the answers out, and tells the parent. */
  flush() {
    this.#lastFlush = now();
    this.#now = 0;
    this.#write(this.#port.reply);
    this.#port.told();
  }

  /** @param {Reply} reply */
  #write(reply) {
    if (this.#groups.length === 0) return;
    const groups = this.#groups;
    this.#groups = [];
    for (let i = 0; i < groups.length; i++) {
      writeReplies(groups[i], reply, this.#serialization, this.#clones);
    }
  }
}

module.exports = { Runner };
