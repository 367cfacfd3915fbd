'use strict';

/**
 * Workers that JavaScript looks after itself: what threads, the calling process and lanes to other machines have in
 * common. The native side decides, and calls the hooks here to have it done; it is told of every reply that comes here,
 * and says which calls settle by it.
 *
 * A subclass knows how its kind of worker is started, reached and ended. Must not depend on what a call is for.
 */

const { sizeOf } = require('../codec/parts');
const { now } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const {
  ANSWERED_FIELDS, ARGUMENT_WORD, CALLS_FIELD, CANCEL_COUNT_WORD, FLAGS_FIELD, FORM_LIST, FORM_NOTHING,
  FORM_SINGLE, FORM_WORD, FULL_FRAME, LAST_BEGUN_WORD, MAX_COUNT, MESSAGES_TAKEN_WORD, PART_FIELDS,
  PART_SKIPPED, RECALL_FROM_WORD, RECALL_UNTIL_WORD, RUN_FIELDS, SEND_PATIENT, WAITING_WORD,
} = require('../transport/constants');
const { longAt } = require('../transport/registers');

/** For how long is read at most what a worker has sent by now, in milliseconds. */
const MAX_CATCH_UP = 20;

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * @callback Encode
 * @param {number} worker @param {number} jobId @param {number} start @param {number} end @param {number} frame
 * @param {number} before
 * @returns {Parts | null}
 */

/**
 * @callback Answered
 * @param {number} jobId @param {number} first @param {number} count @param {number} offset where in the part
 * @param {number} flags @param {number} codec @param {number} tag @param {any} value @param {Parts | null} extras
 * @param {number} worker @param {number} frame @param {number} micros for how long they ran
 * @returns {void}
 */

/** @typedef {import('../jobs/task-registry').Task} Task */

/**
 * What a carrier tells of a worker: how it is called, as soon as it has a name, and that it runs. Its first answers may
 * come before that.
 * @typedef {{ event: 'named', worker: number, threadId: number } | { event: 'started', worker: number }} WorkerEvent
 */

/**
 * What a carrier needs of its pool.
 * @typedef {object} PoolSide
 * @property {any} native the native pool; there once something has been submitted
 * @property {Encode} encode encodes calls, as many as fit into a frame that has `before` others; `null`: the first
 *   takes long, and where it is the first of its frame, the frame is put off
 * @property {() => void} flush has the native pool do what there is to do
 * @property {() => number[] | null} reply books a reply of one part, see `replier` of the native pool
 * @property {Uint32Array} registers
 * @property {(jobId: number) => Pick<import('../jobs/job-table').Job, 'timeout' | 'places'> | undefined} job one in
 *   progress
 * @property {Answered} answered settles calls with the value of a part
 * @property {(jobId: number, call: number, retries: number, workerIndex: number, parts: Parts) => void} emitted tells
 *   of a value that a call has emitted or yielded
 * @property {(jobId: number, parts: Parts, worker?: number) => void} message prints what a worker sent to be printed
 * @property {(worker: number, stream: 'stdout' | 'stderr', bytes: Buffer) => void} written prints what one has written
 * @property {(event: WorkerEvent) => void} tell is told what happens to a worker
 */

/**
 * @template {{ page: Uint32Array }} W one worker
 */
class ScriptCarrier {
  /** @param {PoolSide} pool */
  constructor(pool) {
    this.pool = pool;
    /** @type {Map<number, W>} */
    this.workers = new Map();
    /** @type {Map<number, Error>} What ended a worker, as far as it is known. */
    this.lastErrors = new Map();
    this.bytesSent = 0;
    this.bytesReceived = 0;
    /** What the messages that were handled count. */
    this.messagesTaken = 0;
  }

  /** Whether its workers can have others run instead of sleeping. */
  get mayGiveWay() {
    return false;
  }

  /** The functions that the native side calls. */
  get hooks() {
    return {
      startWorker: (/** @type {number} */ id, /** @type {number} */ index) => this.start(id, index),
      assignIndex: (/** @type {number} */ id, /** @type {number} */ index) =>
        this.#with(id, (worker) => this.assign(id, worker, index)),
      sendCalls: this.#sendCalls.bind(this),
      cancelCalls: (/** @type {number} */ id, /** @type {number[]} */ seqs) => this.#cancelCalls(id, seqs),
      recallCalls: (/** @type {number} */ id, /** @type {number} */ from, /** @type {number} */ until) =>
        this.recall(id, from, until),
      demandMore: (/** @type {number} */ id, /** @type {number} */ seq, /** @type {number} */ taken) =>
        this.#with(id, (worker) => this.demand(id, worker, seq, taken)),
      stopWorker: (/** @type {number} */ id) => this.#with(id, (worker) => this.stop(id, worker)),
      killWorker: (/** @type {number} */ id) => this.#with(id, (worker) => this.kill(id, worker)),
      catchUp: (/** @type {number} */ id) => this.#with(id, (worker) => this.catchUp(id, worker)),
      lastBegun: (/** @type {number} */ id) => {
        const worker = this.workers.get(id);
        return worker === undefined ? 0 : this.lastBegun(worker);
      },
      pidOf: (/** @type {number} */ id) => this.pidOf(id),
    };
  }

  /**
   * The number of the call that a worker began last.
   * @param {W} worker
   */
  lastBegun({ page }) {
    return Atomics.load(page, LAST_BEGUN_WORD);
  }

  /* eslint-disable no-unused-vars -- what a subclass provides */
  /**
   * @param {number} id @param {number} index -1: the worker loads nothing before `assign`
   * @returns {Uint32Array[] | null} of a thread: the page that it shares, and the counts of its port
   */
  start(id, index) {
    return null;
  }
  /** Has a worker load what it is to run. @param {number} id @param {W} worker @param {number} index @returns {void} */
  assign(id, worker, index) {}
  /**
   * Sends a frame of calls.
   * @param {number} id @param {W} worker @param {number} frame @param {number} seq @param {Parts} parts
   * @param {number[]} runs job, first call and end of each run of calls in it
   * @param {boolean} isPatient whether nobody is in a hurry for single answers
   * @returns {void}
   */
  deliver(id, worker, frame, seq, parts, runs, isPatient) {}
  /** Says which calls are not wanted. @param {number} id @param {W} worker @param {number[]} seqs @returns {void} */
  revoke(id, worker, seqs) {}
  /**
   * Says how many of the values that a call yields were taken.
   * @param {number} id @param {W} worker @param {number} seq @param {number} taken @returns {void}
   */
  demand(id, worker, seq, taken) {}
  /** Has a worker finish and exit. @param {number} id @param {W} worker @returns {void} */
  stop(id, worker) {}
  /** Ends a worker, whatever it does. @param {number} id @param {W} worker @returns {void} */
  kill(id, worker) {}
  /** Handles all that a worker has sent. @param {number} id @param {W} worker @returns {void} */
  catchUp(id, worker) {}
  /** The process that a worker is, or is in. @param {number} id @returns {number | null} */
  pidOf(id) {
    return process.pid;
  }
  /** For how many milliseconds a worker has had something to do; null: not known. @param {number} id */
  busyTime(id) {
    return /** @type {number | null} */ (null);
  }

  // What is special where workers share no machine with their parent.

  /**
   * Has the definition of a task sent along with the frame that is being encoded.
   * @param {Task} task @returns {boolean} false: its workers keep what they are sent
   */
  define(task) {
    return false;
  }
  /** Throws where workers cannot run a task. @param {Task} task @returns {void} */
  checkTask(task) {}
  /**
   * Calls of a job are about to be withdrawn, from this one on; `isFinal`: those that run are ended.
   * @param {number} jobId @param {number} from @param {boolean} isFinal @returns {void}
   */
  withdraw(jobId, from, isFinal) {}
  /* eslint-enable no-unused-vars */
  /** What it knows besides, for the statistics. @returns {object} */
  stats() {
    return {};
  }

  /** The last worker of a closed pool is gone: nothing of the native pool is to be kept, which refers to this. */
  letGo() {}

  /** Adds to the statistics of the native side. @param {{ bytesSent: number, bytesReceived: number }} stats */
  addTo(stats) {
    stats.bytesSent += this.bytesSent;
    stats.bytesReceived += this.bytesReceived;
    Object.assign(stats, this.stats());
  }

  /** @param {number} id @param {(worker: W) => void} act */
  #with(id, act) {
    const worker = this.workers.get(id);
    if (worker !== undefined) act(worker);
  }

  /**
   * Sends calls as one frame. The worker, the frame and more are in the registers: the hook `sendCalls` in
   * src/binding/carriers/script.rs says which.
   * @param {number[]} [list] job, first call, end, and so on, where there are several runs
   * @returns {number[] | null} the number of runs, how many calls of each are sent, and the offsets of those that could
   *   not be encoded; `null` where the registers say it
   */
  #sendCalls(list) {
    const { registers } = this.pool;
    const at = ARGUMENT_WORD;
    const id = registers[at];
    const frame = registers[at + 1];
    const seq = registers[at + 2];
    const waiting = registers[at + 3] & ~SEND_PATIENT;
    const isPatient = (registers[at + 3] & SEND_PATIENT) !== 0;
    const runs = list ?? [longAt(registers, at + 4), registers[at + 6], registers[at + 7]];
    /** @type {Parts | null} */
    let parts = null;
    /** @type {number[]} */
    const skipped = [];
    /** @type {number[]} */
    const filled = [];
    /** @type {number[]} */
    const sent = [];
    let offset = 0;
    let bytes = 0;
    for (let i = 0; i < runs.length && bytes < FULL_FRAME; i += RUN_FIELDS) {
      const encoded = this.pool.encode(id, runs[i], runs[i + 1], runs[i + 2], frame, offset);
      if (encoded === null) {
        if (offset > 0) break;
        registers[FORM_WORD] = FORM_NOTHING;
        return null;
      }
      const first = offset;
      for (let part = 0; part < encoded.length; part += PART_FIELDS) {
        const calls = /** @type {number} */ (encoded[part + CALLS_FIELD]);
        if ((/** @type {number} */ (encoded[part + FLAGS_FIELD]) & PART_SKIPPED) !== 0) {
          for (let call = 0; call < calls; call++) skipped.push(offset + call);
        }
        offset += calls;
      }
      filled.push(offset - first);
      sent.push(runs[i], runs[i + 1], runs[i + 1] + offset - first);
      bytes += sizeOf(encoded);
      // Most frames have one run, whose parts need not be copied.
      if (parts === null) parts = encoded;
      else for (let field = 0; field < encoded.length; field++) parts.push(encoded[field]);
      if (offset - first < runs[i + 2] - runs[i + 1]) break;
    }
    this.bytesSent += bytes;
    const worker = this.workers.get(id);
    if (worker !== undefined) {
      Atomics.store(worker.page, WAITING_WORD, waiting);
      this.deliver(id, worker, frame, seq, parts ?? [], sent, isPatient);
    }
    registers[at + 1] = Math.min(bytes, MAX_COUNT);
    if (filled.length > 1 || skipped.length > 0) {
      registers[FORM_WORD] = FORM_LIST;
      return [filled.length].concat(filled, skipped);
    }
    registers[FORM_WORD] = FORM_SINGLE;
    registers[at] = filled[0];
    return null;
  }

  /** @param {number} id @param {number[]} seqs */
  #cancelCalls(id, seqs) {
    this.#with(id, (worker) => {
      this.revoke(id, worker, seqs);
      // After the message: a worker that sees the count finds the message.
      Atomics.add(worker.page, CANCEL_COUNT_WORD, 1);
    });
  }

  /**
   * Tells a worker not to begin these calls. `src/engine/mod.rs` has the protocol.
   * @param {number} id @param {number} from @param {number} until
   * @returns {number | undefined} the number of the call that it had begun last
   */
  recall(id, from, until) {
    const page = this.workers.get(id)?.page;
    if (page === undefined) return undefined;
    // The range before it is over: its start must not be seen with the end of this one.
    if (page[RECALL_FROM_WORD] !== from) Atomics.store(page, RECALL_FROM_WORD, 0);
    Atomics.store(page, RECALL_UNTIL_WORD, until);
    Atomics.store(page, RECALL_FROM_WORD, from);
    return Atomics.load(page, LAST_BEGUN_WORD);
  }

  /**
   * A worker has answered calls of a frame: settles them.
   * @param {number} id @param {number} frame @param {number} offset @param {number} micros @param {Parts} parts
   */
  replied(id, frame, offset, micros, parts) {
    const bytes = sizeOf(parts);
    this.bytesReceived += bytes;
    if (parts.length === PART_FIELDS) {
      this.#repliedOne(id, frame, offset, micros, bytes, parts);
      return;
    }
    /** @type {{ at: number, extras: Parts | null }[]} */
    const heads = [];
    /** @type {number[]} */
    const counts = [];
    for (let at = 0; at < parts.length; ) {
      const head = at;
      counts.push(/** @type {number} */ (parts[at + CALLS_FIELD]), /** @type {number} */ (parts[at + FLAGS_FIELD]));
      at += PART_FIELDS;
      const start = at;
      while (at < parts.length && parts[at + CALLS_FIELD] === 0) at += PART_FIELDS;
      heads.push({ at: head, extras: start === at ? null : parts.slice(start, at) });
    }
    const { native } = this.pool;
    /** @type {number[]} */
    let settled;
    try {
      settled = native.workerReplied(id, frame, offset, micros, bytes, counts);
    } catch (error) {
      this.giveUp(id, /** @type {Error} */ (error).message);
      return;
    }
    const total = counts.reduce((sum, field, i) => (i % 2 === 0 ? sum + field : sum), 0);
    for (let i = 0; i < settled.length; i += ANSWERED_FIELDS) {
      const { 0: index, 1: jobId, 2: first, 3: count, 4: within } = settled.slice(i, i + ANSWERED_FIELDS);
      const { at, extras } = heads[index];
      const { 1: codec, 2: flags, 4: tag, 5: value } = parts.slice(at, at + PART_FIELDS);
      const ran = (micros * count) / total;
      this.pool.answered(
        jobId, first, count, within, Number(flags), Number(codec), Number(tag), value, extras, id, frame, ran,
      );
    }
    this.afterReply();
  }

  /**
   * A call has emitted or yielded a value.
   * @param {number} id @param {number} seq @param {number} size what it counts @param {number} workerIndex
   * @param {Parts} parts
   */
  emitted(id, seq, size, workerIndex, parts) {
    const { native } = this.pool;
    /** @type {number[] | null} */
    const call = native.wantedCall(id, seq);
    if (call !== null) this.pool.emitted(call[0], call[1], call[2], workerIndex, parts);
    // Not before: what it leads to counts as well.
    this.messagesTaken += size;
    this.#with(id, ({ page }) => void Atomics.add(page, MESSAGES_TAKEN_WORD, size));
  }

  /**
   * What says whether something may be left of what a worker had sent when this was called. It may send as fast as that
   * is handled here, or faster, and then there is always more: messages, of which so much may be under way, and what it
   * prints, for which there is some time.
   * @param {number} room
   * @returns {() => boolean}
   */
  untilCaughtUp(room) {
    const before = this.messagesTaken;
    const began = now();
    return () => this.messagesTaken - before <= room && now() - began < MAX_CATCH_UP;
  }

  /**
   * The same for a reply of one part.
   * @param {number} id @param {number} frame @param {number} offset @param {number} micros @param {number} bytes
   * @param {Parts} parts
   */
  #repliedOne(id, frame, offset, micros, bytes, parts) {
    const { registers } = this.pool;
    const at = ARGUMENT_WORD;
    const { answered } = this.pool;
    const { 1: codec, 2: flags, 3: calls, 4: tag, 5: value } =
      /** @type {[number, number, number, number, number, any]} */ (parts);
    registers[at] = id;
    registers[at + 1] = frame;
    registers[at + 2] = offset;
    registers[at + 3] = micros;
    registers[at + 4] = Math.min(bytes, MAX_COUNT);
    registers[at + 5] = calls;
    registers[at + 6] = flags;
    let settled;
    try {
      settled = this.pool.reply();
    } catch (error) {
      this.giveUp(id, /** @type {Error} */ (error).message);
      return;
    }
    if (settled === null) {
      const first = registers[at + 2];
      answered(
        longAt(registers, at), first, registers[at + 3], registers[at + 4], flags, codec, tag, value, null, id, frame,
        micros,
      );
    } else {
      for (let i = 0; i < settled.length; i += ANSWERED_FIELDS) {
        answered(
          settled[i + 1], settled[i + 2], settled[i + 3], settled[i + 4], flags, codec, tag, value, null, id, frame,
          (micros * settled[i + 3]) / calls,
        );
      }
    }
    this.afterReply();
  }

  /** Has done what follows from a reply. */
  afterReply() {
    this.pool.flush();
  }

  /**
   * A worker is gone, and everything that it had sent has been handled.
   * @param {number} id @param {object} report what is known of its end
   */
  gone(id, report) {
    // First: where the addon does not know it by itself, it asks once more which call the worker began last.
    this.pool.native.workerExited(id, toJson(report));
    this.workers.delete(id);
    this.lastErrors.delete(id);
  }

  /**
   * A worker cannot be worked with any more, and is to be killed.
   * @param {number} id @param {string} _why
   */
  giveUp(id, _why) {
    this.pool.native.giveUpWorker(id);
  }

  /**
   * The user's module does not load in this worker.
   * @param {number} id @param {string} tree the flattened error
   */
  loadFailed(id, tree) {
    this.pool.native.workerLoadFailed(id, toJson({ loadError: tree }));
  }
}

module.exports = { ScriptCarrier };
