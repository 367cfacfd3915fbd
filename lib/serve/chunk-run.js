'use strict';

/**
 * Runs the calls of one chunk on a pool of this host.
 *
 * 1. Calls go to the pool in windows, in order. Before a window does, a frame that says how far calls may have begun is
 *    accepted by the engine: whatever becomes of this host, its producer knows which calls cannot have begun.
 * 2. A window is what the pool can do in some milliseconds, and at least two calls for each process: the smaller it is,
 *    the less is lost with a host, and the more often a frame has to be waited for. The next one is asked for while
 *    this one runs.
 * 3. Calls that are withdrawn are answered once nothing of them runs any more, so that whoever waits for them to be
 *    over (the next call of their key) does not overtake them. Those that have not begun are answered at once. Calls
 *    that are recalled are withdrawn only if they have not.
 * 4. Nothing begins while open streams hold every place of the pool. A chunk of which nothing has begun by then goes
 *    back to its producer after a moment: another host may have room for it.
 *
 * Must not depend on engines, nor on how a chunk was signed.
 */

const { encodeValues } = require('../codec/codec');
const { HEARD, LISTED, SPREAD, TASK_SHIFT, WATCHED, YIELDING } = require('../codec/parts');
const { RunId } = require('../jobs/run-id');
const { lanesTaken } = require('../remote/host-watch');
const { BEGUN, LATIN1, MESSAGE, NO_CODEC, REPLY } = require('../transport/constants');
const { Answers } = require('./answers');
const { isStream, unitsOf } = require('./chunk-units');
const { FarReader } = require('./far-reader');
const { GivenCarrier } = require('./given-carrier');

/** How much work of each process may have begun without an answer, in microseconds. */
const WINDOW = 10_000;
/** And how many calls of each at least, for each that it runs at once. */
const MIN_CALLS_PER_SLOT = 2;
/** What calls without a task cost is remembered for the function of their pool. */
const COST_ID = 1;
/** How long a chunk waits for a place that a stream holds before it goes back, in milliseconds. */
const PATIENCE = 250;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('../remote/chunk-bytes').ChunkHeader} ChunkHeader */
/** @typedef {import('./host-pools').HostPool} HostPool */
/** @typedef {import('../jobs/task-registry').Task} Task */
/** @typedef {import('./chunk-units').Segment} Segment */
/** @typedef {import('./chunk-units').Unit} Unit */

/**
 * Calls that were handed to the pool.
 * @typedef {object} Submitted
 * @property {number} jobId
 * @property {number} first
 * @property {number} end
 * @property {number} left
 * @property {InstanceType<typeof FarReader> | null} reader of a stream, which is a call by itself
 */

/** Why a chunk of which nothing has begun goes back to its producer. */
class NoPlace extends Error {}

/**
 * @typedef {object} RunContext
 * @property {HostPool} entry
 * @property {(definition: import('../remote/chunk-bytes').Definition) => unknown} taskOf may throw
 * @property {number} slots
 * @property {string} host
 * @property {(kind: number, seq: number, aux: number, parts: Parts) => Promise<void>} send
 * @property {() => void} onRoom it takes less of its lane than before
 */

class ChunkRun {
  #entry;
  #slots;
  #host;
  #send;
  #onRoom;
  #answers;
  /** @type {Unit[]} */
  #units;
  /** @type {Map<number, Task | Error>} By the number that the producer has given it. */
  #tasks = new Map();
  /** @type {Set<Submitted>} */
  #submitted = new Set();
  /** @type {{ first: number, end: number }[]} Of calls that will not begin, and are answered. */
  #skipped = [];
  /** The calls before this one may have begun. */
  #begun = 0;
  #total;
  /** Calls that have no answer yet. */
  #left = 0;
  #outstanding = 0;
  #isAdvancing = false;
  #isOver = false;
  /** How many frames were not accepted yet. */
  #unsent = 0;
  /** @type {{ error: unknown } | null} Why a frame was not. */
  #refusal = null;
  #onSent = () => {};
  #hasStreams;
  /** @type {number | null} The only one of the pool's workers that its calls are for. */
  #worker;
  /** @type {(() => void) | null} Gives back the place that was taken for the stream that is about to begin. */
  #givePlaceBack = null;
  /** @type {(error?: unknown) => void} */
  #finish = () => {};
  counts = { done: 0, failed: 0 };

  /** @param {ChunkHeader} header @param {Parts} parts @param {RunContext} context */
  constructor(header, parts, { entry, taskOf, slots, host, send, onRoom }) {
    this.#entry = entry;
    this.#slots = slots;
    this.#host = host;
    this.#send = send;
    this.#onRoom = onRoom;
    this.#answers = new Answers(
      (offset, micros, reply) => this.#track(send(REPLY, offset, micros, reply)), host, entry.serialization);
    this.#units = unitsOf(parts, header.runs);
    this.#total = this.#units.at(-1)?.end ?? 0;
    this.#hasStreams = this.#units.some(isStream);
    this.#worker = header.worker ?? null;
    this.#units.forEach(({ first, end }) => (this.#left += end - first));
    header.tasks.forEach(([id, definition]) => {
      try {
        this.#tasks.set(id, entry.pool.taskOf(taskOf(definition)));
      } catch (error) {
        this.#tasks.set(id, /** @type {Error} */ (error));
      }
    });
  }

  /**
   * Resolves when every call is answered; rejects when the chunk is lost, with `NoPlace` if it is to go back.
   * @returns {Promise<void>}
   */
  async run() {
    if (this.#left > 0) {
      await new Promise((resolve, reject) => {
        this.#finish = (error) => (error === undefined ? resolve(undefined) : reject(error));
        void this.#advance();
      });
    }
    this.#answers.flush();
    while (this.#unsent > 0) await new Promise((resolve) => (this.#onSent = () => resolve(undefined)));
    if (this.#refusal !== null) throw this.#refusal.error;
  }

  // ---- Handing calls to the pool ------------------------------------------------------------------------

  /** How many calls may have begun without an answer. */
  get #window() {
    const next = this.#units.find(({ end }) => end > this.#begun);
    const cost = next === undefined ? 0 : this.#entry.pool.callCost(this.#costIdOf(next.segment));
    const calls = cost === 0 ? 0 : Math.floor((this.#slots * WINDOW) / cost);
    return Math.max(this.#slots * this.#entry.concurrency * MIN_CALLS_PER_SLOT, calls);
  }

  async #advance() {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    try {
      while (!this.#isOver && this.#begun < this.#total) {
        const window = this.#window;
        // Not for each call that is answered: half a window is worth a frame.
        if (this.#outstanding > window / 2) break;
        // What is for one process waits for that one, whatever the others do.
        if (this.#entry.places.isFull && this.#worker === null) {
          await this.#waitForPlace();
          continue;
        }
        const end = this.#endOfWindow(Math.min(this.#total, this.#begun + window - this.#outstanding));
        await this.#send(BEGUN, end, 0, [LATIN1, NO_CODEC, 0, 0, 0, this.#begun === 0 ? this.#host : '']);
        const first = this.#begun;
        this.#begun = end;
        if (!this.#isOver) this.#submit(first, end);
        // What was to begin was withdrawn in the meantime.
        this.#givePlaceBack?.();
      }
    } catch (error) {
      this.#givePlaceBack?.();
      this.abort(error);
    }
    this.#isAdvancing = false;
  }

  /** Waits until streams leave a place. */
  async #waitForPlace() {
    const mayGoBack = this.#begun === 0 && this.#skipped.length === 0;
    const { places } = this.#entry;
    await places.change(mayGoBack ? PATIENCE : Infinity);
    if (!places.isFull || this.#isOver || this.#skipped.length > 0 || !mayGoBack) return;
    this.#isOver = true;
    this.#finish(new NoPlace('open streams hold all of its places'));
  }

  /**
   * Where the next window ends, at the latest. A stream begins by itself: it needs a place, which is taken here.
   * @param {number} end
   */
  #endOfWindow(end) {
    if (!this.#hasStreams) return end;
    const next = this.#units.find((unit) => unit.end > this.#begun);
    if (next !== undefined && isStream(next)) {
      this.#givePlaceBack = this.#entry.places.take();
      return Math.min(end, Math.max(this.#begun, next.first) + 1);
    }
    return Math.min(end, this.#units.find((unit) => unit.first > this.#begun && isStream(unit))?.first ?? end);
  }

  /** @param {number} first @param {number} end */
  #submit(first, end) {
    this.#eachUnskipped(first, end, (unit, from, to) => this.#submitUnit(unit, from, to));
    this.#whenIdle();
  }

  /**
   * Calls that have not begun will not: they are answered.
   * @param {number} first @param {number} end
   */
  #skip(first, end) {
    this.#eachUnskipped(first, end, (_unit, from, to) => {
      this.#answers.skipped(from, to);
      this.#settled(to - from);
    });
    this.#skipped.push({ first, end });
    this.#whenIdle();
  }

  /** @param {number} first @param {number} end @param {(unit: Unit, from: number, to: number) => void} act */
  #eachUnskipped(first, end, act) {
    this.#units.forEach((unit) => {
      let at = Math.max(first, unit.first);
      const until = Math.min(end, unit.end);
      while (at < until) {
        const over = this.#skipped.find((range) => range.first <= at && at < range.end);
        const next = this.#skipped.filter((range) => range.first > at).map((range) => range.first);
        const to = Math.min(until, over?.end ?? Infinity, ...next);
        if (over === undefined) act(unit, at, to);
        at = to;
      }
    });
  }

  /** @param {Unit} unit @param {number} first @param {number} end */
  #submitUnit({ segment, timeout }, first, end) {
    const { tag, carrier } = segment;
    const task = this.#taskOf(segment);
    const fail = (/** @type {unknown} */ error) => {
      for (let call = first; call < end; call++) this.#answers.thrown(call, error, String(error), 0);
      this.counts.failed += end - first;
      this.#settled(end - first);
    };
    if (task instanceof Error) return fail(task);
    // It would wait for ever.
    if (this.#worker !== null && !(this.#worker >= 0 && this.#worker + end - first <= this.#slots)) {
      return fail(new RangeError(`a call for worker ${this.#worker} of ${this.#slots}`));
    }
    /** @type {unknown[]} */
    let values;
    try {
      values = segment.values();
    } catch (error) {
      return fail(error);
    }
    const costId = task === null ? COST_ID : 0;
    const ranFor = (/** @type {number} */ calls) =>
      (this.#entry.pool.callCost(task === null ? COST_ID : task.id) * calls) / 1000;
    /** @type {Submitted} */
    const submitted = { jobId: -1, first, end, left: end - first, reader: null };
    const givePlaceBack = this.#givePlaceBack;
    this.#givePlaceBack = null;
    const isListed = (tag & LISTED) !== 0;
    const [list, ...common] = isListed ? /** @type {[unknown[], ...unknown[]]} */ (values[0]) : [values];
    const item = (/** @type {number} */ call) => list[first - segment.first + call];
    const yields = (tag & YIELDING) !== 0;
    if (yields) {
      const [highWaterMark] = /** @type {[unknown, unknown]} */ (item(0));
      submitted.reader = new FarReader(this.#entry.pool, () => submitted.jobId, Number(highWaterMark));
    }
    const listOf = (/** @type {number} */ from, /** @type {number} */ to) => {
      const [params, , ...rest] = common;
      const start = first - segment.first;
      return [list.slice(start + from, start + to), params, Number(common[1]) + start + from, ...rest];
    };
    const settled = (/** @type {number} */ count) => {
      submitted.left -= count;
      if (submitted.left === 0) {
        this.#submitted.delete(submitted);
        givePlaceBack?.();
      }
      this.#outstanding -= count;
      this.#settled(count);
      this.#whenIdle();
    };
    this.#outstanding += end - first;
    this.#submitted.add(submitted);
    const job = {
      what: 'serve()',
      run: new RunId(),
      calls: end - first,
      timeout,
      retries: 0,
      watched: (tag & WATCHED) !== 0,
      bulk: !yields,
      transferList: null,
      argument: isListed ? (/** @type {number} */ call) => listOf(call, call + 1) : item,
      list: isListed ? /** @type {any} */ (listOf) : null,
      resource: null,
      emitted: (tag & HEARD) === 0 ? null : (/** @type {number} */ call, /** @type {unknown} */ value,
        /** @type {number} */ workerIndex, /** @type {number} */ _attempt, /** @type {boolean} */ isYielded) => {
        this.#emitted(first + call, value, workerIndex, isYielded ? YIELDING : 0);
        if (isYielded) submitted.reader?.sent();
      },
      yields,
      priority: 0,
      pinned: this.#worker !== null,
      firstWorker: this.#worker ?? 0,
      places: null,
      keys: null,
      stopKeyOnError: false,
      names: null,
      keyRuns: false,
      costId,
      spread: false,
      task,
      spreadArguments: (tag & SPREAD) !== 0,
      chunkSize: 0,
      isRunEach: false,
      unbounded: true,
      succeeded: (/** @type {number} */ call, /** @type {number} */ count, /** @type {readonly unknown[]} */ results,
        /** @type {number} */ offset) => {
        this.#answers.returned(first + call, results.slice(offset, offset + count), ranFor(count));
        this.counts.done += count;
        settled(count);
      },
      failed: (/** @type {number} */ call, /** @type {unknown} */ error, /** @type {string} */ text) => {
        this.#answers.thrown(first + call, error, text, ranFor(1));
        this.counts.failed++;
        settled(1);
      },
      ended: (/** @type {number} */ from, /** @type {number} */ to,
        /** @type {import('../jobs/job-table').Ending} */ ending, /** @type {() => unknown} */ exitError) => {
        this.counts.failed += to - from;
        void this.#ended(submitted, first + from, first + to, ending, exitError).then(() => settled(to - from));
      },
    };
    try {
      const given = carrier === '' ? undefined : new GivenCarrier(carrier);
      submitted.jobId = this.#entry.pool.submit(/** @type {any} */ (job), given);
    } catch (error) {
      // The pool is being ended, and this host with it.
      this.#submitted.delete(submitted);
      givePlaceBack?.();
      this.abort(error);
    }
  }

  /**
   * @param {Submitted} submitted @param {number} first @param {number} end
   * @param {import('../jobs/job-table').Ending} ending @param {() => unknown} exitError
   */
  async #ended(submitted, first, end, ending, exitError) {
    if (this.#isOver) return;
    if (ending === 'timedOut' || ending === 'exited' || ending === 'bootFailed') {
      this.#answers.ended(first, end, ending, exitError() ?? null);
    } else if (ending === 'aborted') {
      // Without a limit: the pool keeps the grace period of what is ended, in running time; the rest may go on.
      await this.#entry.pool.whenQuiet(submitted.jobId, Infinity);
      if (!this.#isOver) this.#answers.skipped(first, end);
    } else {
      // The pool is being ended, and this host with it.
      this.abort(new Error('the host was ended'));
    }
  }

  /**
   * A call has emitted or yielded a value, which goes on before its answer does.
   * @param {number} call @param {unknown} value @param {number} workerIndex @param {number} tag says which
   */
  #emitted(call, value, workerIndex, tag) {
    if (this.#isOver) return;
    /** @type {Parts} */
    const parts = [];
    const { serialization } = this.#entry;
    const encode = (/** @type {unknown} */ one, /** @type {(error: unknown) => void} */ failed) =>
      encodeValues([one], serialization, null, parts, tag, (_index, error) => failed(error));
    // It had come in bytes, and can only fail to become some again by a fault of ours: its caller is to hear of that.
    encode(value, (error) => encode(error, () => {}));
    this.#track(this.#send(MESSAGE, call, workerIndex, parts));
  }

  /** @param {Segment} segment @returns {Task | Error | null} */
  #taskOf({ tag }) {
    const id = tag >>> TASK_SHIFT;
    if (id === 0) return null;
    return this.#tasks.get(id) ?? new TypeError(`a call of the task ${id}, which its chunk does not define`);
  }

  /** @param {Segment} segment */
  #costIdOf(segment) {
    const task = this.#taskOf(segment);
    return task === null || task instanceof Error ? COST_ID : task.id;
  }

  /** @param {number} calls that were answered */
  #settled(calls) {
    this.#left -= calls;
    if (this.#left > 0 && this.#left < this.#entry.concurrency) this.#onRoom();
  }

  /** How much it takes of a lane; `null`: it is for this host alone, and takes none. */
  get lanesTaken() {
    return this.#worker === null ? lanesTaken(this.#left, this.#entry.concurrency) : null;
  }

  /** After something was answered. */
  #whenIdle() {
    if (this.#isOver) return;
    if (this.#left === 0) {
      this.#isOver = true;
      this.#finish();
      return;
    }
    if (this.#outstanding === 0) this.#answers.flush();
    void this.#advance();
  }

  /** @param {Promise<void>} sent */
  #track(sent) {
    this.#unsent++;
    // A stream may send millions: none is kept.
    sent.catch((error) => {
      this.#refusal ??= { error };
      this.abort(error);
    }).finally(() => {
      this.#unsent--;
      if (this.#unsent === 0) this.#onSent();
    });
  }

  // ---- Withdrawing calls --------------------------------------------------------------------------------

  /** @param {import('../remote/chunk-bytes').Withdrawal} range */
  withdraw({ first, end, isFinal, isRecall = false }) {
    if (this.#isOver) return;
    const unbegun = Math.max(first, this.#begun);
    if (unbegun < end) this.#skip(unbegun, end);
    if (isRecall) return;
    [...this.#submitted].forEach((submitted) => {
      const from = Math.max(first, submitted.first) - submitted.first;
      if (submitted.first + from >= Math.min(end, submitted.end)) return;
      // The calls of one of a producer's jobs are withdrawn from one of them on, and these all are of one.
      if (from === 0 && isFinal) this.#entry.pool.cancel(submitted.jobId);
      else this.#entry.pool.drop(submitted.jobId, from);
    });
  }

  /**
   * The reader of a stream has taken so many of its values.
   * @param {import('../remote/chunk-bytes').Demand} demand
   */
  demand({ call, taken }) {
    const ofCall = [...this.#submitted].find(({ first, end }) => first <= call && call < end);
    ofCall?.reader?.told(taken);
  }

  /** Its producer is gone: what would wait for it is ended, the other calls are left to finish. */
  orphan() {
    [...this.#submitted].forEach(({ jobId, reader }) => {
      if (reader !== null) this.#entry.pool.cancel(jobId);
    });
  }

  /** Nobody wants any of it: what runs is ended. @param {unknown} why */
  abort(why) {
    if (this.#isOver) return;
    this.#isOver = true;
    [...this.#submitted].forEach(({ jobId }) => this.#entry.pool.cancel(jobId));
    this.#finish(why);
  }

  /** Resolves when nothing of it runs any more. */
  async whenQuiet() {
    const { pool } = this.#entry;
    await Promise.all([...this.#submitted].map(({ jobId }) => pool.whenQuiet(jobId, Infinity)));
  }
}

module.exports = { ChunkRun, NoPlace };
