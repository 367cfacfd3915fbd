'use strict';

/**
 * Runs the calls that a worker is sent, in their order, so many at the same time as it may, and answers them.
 *
 * Rules that the parent relies on:
 * 1. Before a call begins, its number is published (in shared memory, or in a frame). Before the arguments of a part
 *    are decoded, its first call counts as begun: decoding may be what kills this process.
 * 2. Results are written out when nothing is left to run, at the first call boundary after a millisecond, before and
 *    after a call whose time is watched, and as soon as the event loop turns while a call waits for something.
 * 3. A call that was cancelled before it began is not run, and is answered as skipped before the next one begins.
 * 4. So is one that the parent has taken back. `src/engine/mod.rs` has the protocol; the worker's part of it is:
 *    1. It publishes a call as begun, then looks for it in the range of the page, and runs it if it is not within.
 *    2. It reads the range's start, its end, and its start again: where that has changed, the whole range anew.
 *    3. Of a call that is within it may skip the followers that are too, without publishing them. They are one answer.
 *
 * May not know processes or threads, nor what a call is for: it is given a port to its parent and what a part's calls run.
 */

const { decodeValues, encodeValues } = require('../codec/codec');
const {
  ERROR_TREE, FAILED, SKIPPED, LATIN1, PART_FIELDS, CALLS_FIELD, TASK, WATCHED, pushText, sizeOf, valuesOf,
} = require('../codec/parts');
const {
  CANCEL_COUNT_WORD, LAST_BEGUN_WORD, MAX_COUNT, RECALL_FROM_WORD, RECALL_UNTIL_WORD,
} = require('../transport/constants');

/** Results wait this long for company, in milliseconds. */
const FLUSH_AFTER = 1;
/** A reply that is this large goes out, and the rest in another one, in bytes. */
const FULL_REPLY = 4 * 1024 * 1024;
/** Values that are encoded before that is looked at again. */
const SLICE = 1024;

/**
 * @typedef {object} Port
 * @property {(frame: number, offset: number, micros: number, parts: import('../codec/parts').Parts) => void} reply
 * @property {(seq: number) => void} begun where there is no shared page
 * @property {() => void} poll looks for cancellations now
 * @property {() => void} served the calls of a frame have been begun, and those that run one at a time answered
 */

/** @typedef {{ id: number, seq: number, parts: import('../codec/parts').Parts }} CallsFrame */

/** @typedef {(value: any, call: RunningCall) => unknown} Callee what one call runs */

/** What runs the calls of parts.
 * @typedef {object} Callees
 * @property {(tag: number) => Callee | Promise<Callee>} of may throw, or reject
 * @property {(definition: string) => void} define
 */

/** @typedef {{ values: unknown[] } | { thrown: unknown } | { skipped: number }} Answer */

/**
 * What is left of a part.
 * @typedef {{ id: number, offset: number, first: number, values: unknown[], watched: boolean, next: number }} Part
 */

/**
 * Answers that are not written out, of consecutive calls of one frame.
 * @typedef {{ frame: number, offset: number, count: number, ranFor: number, answers: Answer[] }} Group
 */

class Runner {
  /** @type {Port} */ #port;
  /** @type {Uint32Array | null} */ #page;
  /** @type {import('../codec/codec').Serialization} */ #serialization;
  /** @type {import('../codec/codec').Clones | null} */ #clones;
  /** @type {Callees} */ #callees;
  /** @type {number} */ #concurrency;
  /** @type {import('node:async_hooks').AsyncLocalStorage<RunningCall> | null} */ #tracker;
  /** @type {CallsFrame[]} */ #frames = [];
  #working = false;
  /** @type {RunningCall | null} The call whose function is being called or, when they run one at a time, is waited for. */
  #current = null;
  /** @type {Map<number, RunningCall>} Calls that are waited for, when several run at the same time. */
  #pending = new Map();
  /** @type {(() => void) | null} Told when one of these is done. */
  #onRoom = null;
  /** @type {Set<number>} */ #cancelled = new Set();
  #notices = 0;
  /** @type {Group[]} */ #groups = [];
  /** When the last call was over, if nothing has happened since; else 0. */
  #now = 0;
  #lastFlush = 0;
  #flushDue = false;

  /**
   * @param {object} options
   * @param {Port} options.port
   * @param {Uint32Array | null} options.page
   * @param {import('../codec/codec').Serialization} options.serialization
   * @param {import('../codec/codec').Clones | null} options.clones
   * @param {Callees} options.callees
   * @param {number} options.concurrency
   * @param {import('node:async_hooks').AsyncLocalStorage<any> | null} [options.tracker] tells which of several calls
   *   that run at the same time says something
   */
  constructor({ port, page, serialization, clones, callees, concurrency, tracker = null }) {
    this.#port = port;
    this.#page = page;
    this.#serialization = serialization;
    this.#clones = clones;
    this.#callees = callees;
    this.#concurrency = concurrency;
    this.#tracker = tracker;
  }

  /** The number of the call that runs; 0 when none does, or it cannot be said which. */
  get current() {
    return (this.#tracker?.getStore() ?? this.#current)?.seq ?? 0;
  }

  /** Whether there is nothing to run and nothing to wait for. */
  get isIdle() {
    return !this.#working && this.#pending.size === 0;
  }

  /** @param {CallsFrame} frame */
  enqueue(frame) {
    this.#frames.push(frame);
    if (!this.#working) void this.#work();
  }

  /**
   * These calls are no longer wanted.
   * @param {number[]} seqs
   */
  cancel(seqs) {
    for (const seq of seqs) {
      const running = this.#current?.seq === seq ? this.#current : this.#pending.get(seq);
      if (running !== undefined) running.abort();
      else this.#cancelled.add(seq);
    }
  }

  /** Looks for cancellations if there are any to be found; cheap enough for a loop. */
  notice() {
    if (this.#page === null) {
      this.#port.poll();
    } else if (this.#page[CANCEL_COUNT_WORD] !== this.#notices) {
      this.#notices = this.#page[CANCEL_COUNT_WORD];
      this.#port.poll();
    }
  }

  async #work() {
    this.#working = true;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      let offset = 0;
      for (let at = 0; at < frame.parts.length; ) {
        const [, codec, flags, calls, tag, value] = /** @type {[number, number, number, number, number, string]} */ (
          frame.parts.slice(at, at + PART_FIELDS)
        );
        const start = (at += PART_FIELDS);
        if (codec === TASK) {
          this.#callees.define(value);
          continue;
        }
        while (isExtra(frame.parts, at)) at += PART_FIELDS;
        // What could not be encoded its caller knows, and expects no answer.
        if ((flags & SKIPPED) === 0) {
          const extras = start === at ? [] : valuesOf(frame.parts.slice(start, at));
          const part = this.#runPart(frame, offset, { codec, value, calls, tag, extras });
          // Synchronous functions are not made to wait for promises.
          if (part !== null) await part;
        }
        offset += calls;
      }
      this.flush();
      this.#port.served();
    }
    if (this.#cancelled.size > 0) this.#cancelled.clear();
    this.#working = false;
  }

  /**
   * @param {CallsFrame} frame @param {number} offset
   * @param {{ codec: number, value: string | Buffer, calls: number, tag: number, extras: (string | Buffer)[] }} part
   * @returns {Promise<void> | null} `null` when nothing is left to wait for
   */
  #runPart({ id, seq }, offset, { codec, value, calls, tag, extras }) {
    const watched = (tag & WATCHED) !== 0;
    if (watched) this.flush();
    const first = (seq + offset) >>> 0;
    this.#begin(first);
    this.#now = 0;
    const next = this.#isRecalled(first) ? this.#skipRecalled(id, offset, first, calls) : 0;
    if (next === calls) return null;
    let callee;
    /** @type {unknown[]} */
    let values;
    try {
      callee = this.#callees.of(tag);
      values = decodeValues(codec, value, calls, extras, this.#clones);
    } catch (error) {
      this.#failAll(id, offset, next, calls, error);
      return null;
    }
    const part = { id, offset, first, values, watched, next };
    if (callee instanceof Promise) {
      this.#flushSoon();
      return callee.then(
        (found) => this.#runOn(this.#runSome(found, part), found, part),
        (error) => this.#failAll(id, offset, next, calls, error),
      );
    }
    const waiting = this.#runSome(callee, part);
    return waiting === null ? null : this.#runOn(waiting, callee, part);
  }

  /** @param {Promise<void> | null} waiting @param {Callee} callee @param {Part} part */
  async #runOn(waiting, callee, part) {
    for (let waitedFor = waiting; waitedFor !== null; waitedFor = this.#runSome(callee, part)) await waitedFor;
  }

  /** @param {number} id @param {number} offset @param {number} next @param {number} calls @param {unknown} error */
  #failAll(id, offset, next, calls, error) {
    for (let i = next; i < calls; i++) this.#answer(id, offset + i, 0).answers.push({ thrown: error });
  }

  /**
   * Runs calls until there is something to wait for.
   * @param {Callee} callee @param {Part} part
   * @returns {Promise<void> | null} `null` when nothing is left to run
   */
  #runSome(callee, part) {
    const { id, offset, first, values, watched } = part;
    for (let i = part.next; i < values.length; i++) {
      const seq = (first + i) >>> 0;
      if (this.#page !== null && this.#page[CANCEL_COUNT_WORD] !== this.#notices) this.notice();
      if (this.#cancelled.size > 0 && this.#cancelled.delete(seq)) {
        this.#answer(id, offset + i, 0).answers.push({ skipped: 1 });
        this.flush();
        continue;
      }
      let started = this.#now === 0 ? performance.now() : this.#now;
      if (watched || started - this.#lastFlush >= FLUSH_AFTER) {
        this.flush();
        started = performance.now();
      }
      this.#begin(seq);
      if (this.#isRecalled(seq)) {
        i += this.#skipRecalled(id, offset + i, seq, values.length - i) - 1;
        continue;
      }
      const call = (this.#current = new RunningCall(seq, this));
      const value = values[i];
      // What has been handed over can be collected while the others run.
      values[i] = undefined;
      let result;
      try {
        result = this.#tracker === null ? callee(value, call) : this.#tracker.run(call, callee, value, call);
        if (!isThenable(result)) {
          this.#finish(id, offset + i, started, result);
          continue;
        }
      } catch (error) {
        this.#finish(id, offset + i, started, error, true);
        continue;
      }
      this.#now = 0;
      part.next = i + 1;
      const settled = this.#await(result, call, id, offset + i, started, watched);
      if (this.#concurrency === 1) return settled;
      this.#current = null;
      this.#pending.set(seq, call);
      if (this.#pending.size >= this.#concurrency) {
        this.#flushSoon();
        return this.#room();
      }
    }
    part.next = values.length;
    if (watched) this.flush();
    return null;
  }

  /**
   * Waits for a call, and answers it.
   * @param {PromiseLike<unknown>} result @param {RunningCall} call @param {number} id @param {number} offset
   * @param {number} started @param {boolean} watched
   */
  async #await(result, call, id, offset, started, watched) {
    if (this.#concurrency === 1) this.#flushSoon();
    try {
      this.#finish(id, offset, started, await result);
    } catch (error) {
      this.#finish(id, offset, started, error, true);
    }
    this.#now = 0;
    if (this.#concurrency === 1) return;
    this.#pending.delete(call.seq);
    if (watched) this.flush();
    else this.#flushSoon();
    this.#onRoom?.();
  }

  /** Resolves when fewer calls run at the same time than may. */
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
    if (this.#page !== null) Atomics.store(this.#page, LAST_BEGUN_WORD, seq);
    else this.#port.begun(seq);
  }

  /**
   * Whether the parent takes this call back unless it has begun.
   * @param {number} seq
   */
  #isRecalled(seq) {
    if (this.#page === null) return false;
    for (;;) {
      const from = Atomics.load(this.#page, RECALL_FROM_WORD);
      if (from === 0) return false;
      const until = Atomics.load(this.#page, RECALL_UNTIL_WORD);
      if (Atomics.load(this.#page, RECALL_FROM_WORD) === from) return (seq - from) >>> 0 < (until - from) >>> 0;
    }
  }

  /**
   * Answers a recalled call as skipped, and those that follow it as far as they are recalled.
   * @param {number} id @param {number} offset @param {number} first @param {number} most
   * @returns {number} how many
   */
  #skipRecalled(id, offset, first, most) {
    let count = 0;
    do {
      const { answers } = this.#answer(id, offset + count, 0);
      const last = answers[answers.length - 1];
      if (last !== undefined && 'skipped' in last) last.skipped++;
      else answers.push({ skipped: 1 });
      count++;
    } while (count < most && this.#isRecalled((first + count) >>> 0));
    // The next call that runs has it written out before.
    this.#lastFlush = 0;
    return count;
  }

  /** @param {number} id @param {number} offset @param {number} started @param {unknown} outcome @param {boolean} [failed] */
  #finish(id, offset, started, outcome, failed = false) {
    this.#now = performance.now();
    this.#current = null;
    const { answers } = this.#answer(id, offset, this.#now - started);
    const last = answers[answers.length - 1];
    if (failed) answers.push({ thrown: outcome });
    else if (last !== undefined && 'values' in last) last.values.push(outcome);
    else answers.push({ values: [outcome] });
  }

  /**
   * The group that the answer to this call goes to; the caller adds it.
   * @param {number} frame @param {number} offset @param {number} ranFor
   * @returns {Group}
   */
  #answer(frame, offset, ranFor) {
    const last = this.#groups[this.#groups.length - 1];
    if (last !== undefined && last.frame === frame && last.offset + last.count === offset) {
      last.count++;
      last.ranFor += ranFor;
      return last;
    }
    const group = { frame, offset, count: 1, ranFor, answers: [] };
    this.#groups.push(group);
    return group;
  }

  /** Has the answers written out when the event loop turns before the calls that run are done. */
  #flushSoon() {
    if (this.#flushDue || this.#groups.length === 0) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.flush();
    });
  }

  /** Writes out what is answered. */
  flush() {
    this.#lastFlush = performance.now();
    this.#now = 0;
    if (this.#groups.length === 0) return;
    const groups = this.#groups;
    this.#groups = [];
    for (const group of groups) this.#write(group);
  }

  /** @param {Group} group */
  #write({ frame, offset, count, ranFor, answers }) {
    /** @type {import('../codec/parts').Parts} */
    let parts = [];
    let from = offset;
    let to = offset;
    const send = () => {
      const micros = Math.round(((to - from) / count) * ranFor * 1000);
      this.#port.reply(frame, from, Math.min(micros, MAX_COUNT), parts);
      parts = [];
      from = to;
    };
    for (const answer of answers) {
      if ('values' in answer) {
        for (let at = 0; at < answer.values.length; at += SLICE) {
          const values = answer.values.length <= SLICE ? answer.values : answer.values.slice(at, at + SLICE);
          const list = parts;
          encodeValues(values, this.#serialization, this.#clones, list, 0, (_index, error) => pushThrown(list, error));
          to += values.length;
          if (sizeOf(parts) >= FULL_REPLY) send();
        }
        continue;
      }
      if ('thrown' in answer) pushThrown(parts, answer.thrown);
      else parts.push(LATIN1, 0, SKIPPED, answer.skipped, 0, '');
      to += 'thrown' in answer ? 1 : answer.skipped;
    }
    if (to > from) send();
  }
}

/**
 * Whether what begins here belongs to the part before it.
 * @param {import('../codec/parts').Parts} parts @param {number} at
 */
function isExtra(parts, at) {
  return at < parts.length && parts[at + CALLS_FIELD] === 0 && parts[at + 1] !== TASK;
}

/** A call while it runs. */
class RunningCall {
  #runner;
  /** @type {AbortController | null} */ #controller = null;
  #aborted = false;

  /** @param {number} seq @param {Runner} runner */
  constructor(seq, runner) {
    this.seq = seq;
    this.#runner = runner;
  }

  /** Made when it is first asked for: most functions do not. */
  get signal() {
    if (this.#controller === null) {
      const controller = (this.#controller = new AbortController());
      if (this.#aborted) controller.abort();
      const runner = this.#runner;
      const { signal } = controller;
      const { get } = /** @type {{ get: () => boolean }} */ (
        Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')
      );
      // A synchronous loop reads no frames, so asking looks for them.
      Object.defineProperties(signal, {
        aborted: {
          configurable: true,
          get() {
            runner.notice();
            return get.call(signal);
          },
        },
        throwIfAborted: {
          configurable: true,
          value() {
            if (signal.aborted) throw signal.reason;
          },
        },
      });
    }
    return this.#controller.signal;
  }

  abort() {
    this.#aborted = true;
    this.#controller?.abort();
  }
}

/** @param {import('../codec/parts').Parts} parts @param {unknown} thrown */
function pushThrown(parts, thrown) {
  pushText(parts, ERROR_TREE, FAILED, 1, 0, JSON.stringify(require('../codec/error-flattener').flattenError(thrown)));
}

/**
 * @param {unknown} value
 * @returns {value is PromiseLike<unknown>}
 */
function isThenable(value) {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (/** @type {{ then?: unknown }} */ (value).then) === 'function'
  );
}

module.exports = { Runner };
