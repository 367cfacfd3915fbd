'use strict';

/**
 * Runs the calls that a worker is sent, one after another, and answers them.
 *
 * Rules that the parent relies on:
 * 1. Before a call begins, its number is published (in shared memory, or in a frame). Before the arguments of a part
 *    are decoded, its first call counts as begun: decoding may be what kills this process.
 * 2. Results are written out when nothing is left to run, at the first call boundary after a millisecond, before and
 *    after a call whose time is watched, and as soon as the event loop turns while a call waits for something.
 * 3. A call that was cancelled before it began is not run, and is answered as skipped before the next one begins.
 *
 * May not know processes or threads: it is given a port to its parent and a function that makes the call.
 */

const {
  ERROR_TREE, FAILED, SKIPPED, LATIN1, PART_FIELDS, CALLS_FIELD, decodeValues, encodeValues, pushText, valuesOf,
} = require('../codec');

/** Words of the shared page. */
const BEGUN = 0;
const NOTICE = 1;

/** The tag of a part whose calls have a timeout or a signal. */
const WATCHED = 1;

/** Results wait this long for company, in milliseconds. */
const FLUSH_AFTER = 1;

/**
 * @typedef {object} Port
 * @property {(frame: number, offset: number, micros: number, parts: import('../codec').Parts) => void} reply
 * @property {(seq: number) => void} begun where there is no shared page
 * @property {() => void} poll looks for cancellations now
 * @property {() => void} served every call of a frame is answered
 */

/** @typedef {{ id: number, seq: number, parts: import('../codec').Parts }} CallsFrame */

class Runner {
  /** @type {Port} */ #port;
  /** @type {Uint32Array | null} */ #page;
  /** @type {import('../codec').Serialization} */ #serialization;
  /** @type {import('../codec').Clones | null} */ #clones;
  /** @type {(value: any, call: RunningCall) => unknown} */ #invoke;
  /** @type {CallsFrame[]} */ #frames = [];
  #working = false;
  /** @type {RunningCall | null} */ #running = null;
  #started = 0;
  /** @type {Set<number>} */ #cancelled = new Set();
  #notices = 0;

  // The answers that are not written out: they belong to consecutive calls of one frame.
  #frame = 0;
  #offset = 0;
  /** @type {({ values: unknown[] } | { thrown: unknown } | { skipped: number })[]} */ #answers = [];
  #answered = 0;
  #ranFor = 0;
  #lastFlush = 0;
  #flushDue = false;

  /**
   * @param {object} options
   * @param {Port} options.port
   * @param {Uint32Array | null} options.page
   * @param {import('../codec').Serialization} options.serialization
   * @param {import('../codec').Clones | null} options.clones
   * @param {(value: any, call: RunningCall) => unknown} options.invoke
   */
  constructor({ port, page, serialization, clones, invoke }) {
    this.#port = port;
    this.#page = page;
    this.#serialization = serialization;
    this.#clones = clones;
    this.#invoke = invoke;
  }

  /** The number of the call that runs; 0 when none does. */
  get current() {
    return this.#running?.seq ?? 0;
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
      if (this.#running?.seq === seq) this.#running.abort();
      else this.#cancelled.add(seq);
    }
  }

  /** Looks for cancellations if there are any to be found; cheap enough for a loop. */
  notice() {
    if (this.#page === null) {
      this.#port.poll();
    } else if (this.#page[NOTICE] !== this.#notices) {
      this.#notices = this.#page[NOTICE];
      this.#port.poll();
    }
  }

  async #work() {
    this.#working = true;
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift()) {
      this.#frame = frame.id;
      this.#offset = 0;
      let offset = 0;
      for (let at = 0; at < frame.parts.length; ) {
        const [, codec, flags, calls, tag, value] = /** @type {[number, number, number, number, number, string]} */ (
          frame.parts.slice(at, at + PART_FIELDS)
        );
        const start = (at += PART_FIELDS);
        while (at < frame.parts.length && frame.parts[at + CALLS_FIELD] === 0) at += PART_FIELDS;
        if ((flags & SKIPPED) !== 0) {
          // Could not be encoded: its caller knows, and expects no answer.
          this.flush();
          this.#offset += calls;
        } else {
          const extras = start === at ? [] : valuesOf(frame.parts.slice(start, at));
          const part = this.#runPart((frame.seq + offset) >>> 0, { codec, value, calls, extras }, (tag & WATCHED) !== 0);
          // Synchronous functions are not made to wait for promises.
          if (part !== null) await part;
        }
        offset += calls;
      }
      this.flush();
      this.#port.served();
    }
    this.#cancelled.clear();
    this.#working = false;
  }

  /**
   * @param {number} seq
   * @param {{ codec: number, value: string | Buffer, calls: number, extras: (string | Buffer)[] }} part
   * @param {boolean} watched
   * @returns {Promise<void> | null} `null` when all is done already
   */
  #runPart(seq, { codec, value, calls, extras }, watched) {
    if (watched) this.flush();
    this.#begin(seq);
    /** @type {unknown[]} */
    let values;
    try {
      values = decodeValues(codec, value, calls, extras, this.#clones);
    } catch (error) {
      for (let i = 0; i < calls; i++) this.#settle({ thrown: error });
      return null;
    }
    for (let i = 0; i < values.length; i++) {
      const pending = this.#start(values, i, seq, watched);
      if (pending !== null) return this.#runOn(pending, values, i, seq, watched);
    }
    if (watched) this.flush();
    return null;
  }

  /**
   * Goes on from a call that has to be waited for.
   * @param {PromiseLike<unknown>} pending @param {unknown[]} values @param {number} index @param {number} seq
   * @param {boolean} watched
   */
  async #runOn(pending, values, index, seq, watched) {
    /** @type {PromiseLike<unknown> | null} */
    let waitedFor = pending;
    for (let i = index; ; waitedFor = this.#start(values, i, seq, watched)) {
      if (waitedFor !== null) {
        this.#flushSoon();
        try {
          this.#finish({ values: [await waitedFor] });
        } catch (error) {
          this.#finish({ thrown: error });
        }
      }
      if (++i >= values.length) break;
    }
    if (watched) this.flush();
  }

  /**
   * Begins a call, unless it was cancelled.
   * @param {unknown[]} values @param {number} index @param {number} first the number of the first of them
   * @param {boolean} watched
   * @returns {PromiseLike<unknown> | null} what to wait for; `null` when the call is over
   */
  #start(values, index, first, watched) {
    const seq = (first + index) >>> 0;
    if (this.#page !== null && this.#page[NOTICE] !== this.#notices) this.notice();
    if (this.#cancelled.delete(seq)) {
      this.#settle({ skipped: 1 });
      this.flush();
      return null;
    }
    this.#started = performance.now();
    if (watched || this.#started - this.#lastFlush >= FLUSH_AFTER) this.flush();
    this.#begin(seq);
    this.#running = new RunningCall(seq, this);
    const value = values[index];
    // What has been handed over can be collected while the others run.
    values[index] = undefined;
    try {
      const result = this.#invoke(value, this.#running);
      if (isThenable(result)) return result;
      this.#finish({ values: [result] });
    } catch (error) {
      this.#finish({ thrown: error });
    }
    return null;
  }

  /** @param {number} seq */
  #begin(seq) {
    if (this.#page !== null) Atomics.store(this.#page, BEGUN, seq);
    else this.#port.begun(seq);
  }

  /** @param {{ values: unknown[] } | { thrown: unknown }} answer */
  #finish(answer) {
    this.#ranFor += performance.now() - this.#started;
    this.#running = null;
    this.#settle(answer);
  }

  /** @param {{ values: unknown[] } | { thrown: unknown } | { skipped: number }} answer */
  #settle(answer) {
    const last = this.#answers[this.#answers.length - 1];
    if ('values' in answer && last !== undefined && 'values' in last) last.values.push(answer.values[0]);
    else this.#answers.push(answer);
    this.#answered++;
  }

  /** Has the answers written out when the event loop turns before the call that runs is done. */
  #flushSoon() {
    if (this.#flushDue || this.#answered === 0) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.flush();
    });
  }

  /** Writes out what is answered. */
  flush() {
    this.#lastFlush = performance.now();
    if (this.#answered === 0) return;
    /** @type {import('../codec').Parts} */
    const parts = [];
    for (const answer of this.#answers) {
      if ('values' in answer) {
        const { values } = answer;
        encodeValues(values, this.#serialization, this.#clones, parts, 0, (_index, error) => pushThrown(parts, error));
      } else if ('thrown' in answer) {
        pushThrown(parts, answer.thrown);
      } else {
        parts.push(LATIN1, 0, SKIPPED, answer.skipped, 0, '');
      }
    }
    const [offset, answered, micros] = [this.#offset, this.#answered, Math.round(this.#ranFor * 1000)];
    this.#answers = [];
    this.#answered = 0;
    this.#ranFor = 0;
    this.#offset += answered;
    this.#port.reply(this.#frame, offset, Math.min(micros, 0xffffffff), parts);
  }
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

/** @param {import('../codec').Parts} parts @param {unknown} thrown */
function pushThrown(parts, thrown) {
  pushText(parts, ERROR_TREE, FAILED, 1, 0, JSON.stringify(require('../error-codec').flattenError(thrown)));
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
