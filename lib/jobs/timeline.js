'use strict';

/**
 * What the workers of a pool did and when, as far back as its buffers reach.
 *
 * A chunk has a record of numbers in one array, at the place that its frame's number gives, so that noting something
 * costs a few stores and nothing is left for the garbage collector. trace-events.js makes of it what people look at.
 * Loaded where the option `trace` is set. Must not depend on how chunks are encoded or answered.
 */

const { now, wallTime } = require('../intrinsics/clock');
const { Spans } = require('./spans');

/** Powers of two: how many chunks are kept, and how many jobs. */
const MAX_CHUNKS = 16384;
const MAX_JOBS = 4096;
/** How much of what happened to workers is kept. */
const MAX_EVENTS = 1024;
/** Encoding and decoding fewer bytes takes no longer than asking the clock how long it took. */
const MIN_TIMED_BYTES = 512;
/** A power of two: how many messages are kept. */
const MAX_MESSAGES = 4096;

/** The fields of a chunk's record. Times are in milliseconds. */
const FIELDS = Object.freeze({
  frame: 0,
  worker: 1,
  first: 2,
  calls: 3,
  failed: 4,
  answered: 5,
  jobs: 6,
  bytes: 7,
  submittedAt: 8,
  encodedFrom: 9,
  sentAt: 10,
  answeredAt: 11,
  micros: 12,
  decodedFrom: 13,
  decodedAt: 14,
});
const RECORD = 16;

/**
 * What a job runs.
 * @typedef {object} ChunkJob
 * @property {InstanceType<typeof import('./run-id').RunId>} run
 * @property {string} method
 * @property {import('./task-registry').Task['definition'] | null} definition null: all jobs of the pool run the same
 */

/**
 * A job as far as it is shown.
 * @typedef {object} JobOutcome
 * @property {number} calls
 * @property {number} failed
 * @property {number} submittedAt
 * @property {number} settledAt 0: not yet
 * @property {Yielded | null} yielded null: it is no stream, or has yielded nothing
 */

/**
 * What a stream has yielded.
 * @typedef {object} Yielded
 * @property {InstanceType<typeof Spans>} values when they came
 * @property {InstanceType<typeof Spans>} pauses when it was as far ahead of its reader as it may be
 * @property {number} pausedAt since when it is; 0: it is not
 */

/**
 * A message of a call.
 * @typedef {object} Message
 * @property {{ run: ChunkJob['run'], isRunEach?: boolean }} job
 * @property {number} call
 * @property {number} at when it came
 * @property {number} workerIndex
 * @property {number} attempt
 * @property {number} bytes
 */

/** @typedef {ChunkJob & JobOutcome} JobNote */

/** @typedef {import('./pool-life').Worker} Worker */

/**
 * Something that happened to a worker.
 * @typedef {object} WorkerEvent
 * @property {'boot' | 'end' | 'recall'} kind
 * @property {number} number the worker's
 * @property {number} at
 * @property {Record<string, any>} about
 */

/** Pools that were traced so far: each has a number of its own. */
let count = 0;

class Timeline {
  /** @type {number} */
  number = ++count;
  /** Added to a time, it gives that since 1970. */
  origin = wallTime() - now();
  records = new Float64Array(MAX_CHUNKS * RECORD).fill(-1);
  /** @type {(ChunkJob['run'] | undefined)[]} The run of each chunk's first call. */
  chunkRuns = new Array(MAX_CHUNKS);
  /** @type {string[]} */
  chunkMethods = new Array(MAX_CHUNKS);
  /** @type {ChunkJob['definition'][]} */
  chunkDefinitions = new Array(MAX_CHUNKS);
  /** @type {(JobNote | undefined)[]} Written over in their turn: what is kept for long costs the garbage collector. */
  jobs = new Array(MAX_JOBS);
  #jobCount = 0;
  #decodedAt = 0;
  /** @type {Message[]} Written over in their turn, too. */
  messages = [];
  #messageCount = 0;
  /** @type {WorkerEvent[]} */
  events = [];
  /** @type {Map<number, Worker>} By number. */
  workers = new Map();

  /** @param {{ id: string | number, functionName: string | null, concurrency: number }} options */
  constructor({ id, functionName, concurrency }) {
    this.id = id;
    this.functionName = functionName;
    this.isConcurrent = concurrency > 1;
  }

  // ---- Jobs and chunks --------------------------------------------------------------------------------------------

  /** @param {import('./job-table').Job} job @returns {JobNote} */
  submitted(job) {
    const { run, what: method, calls } = job;
    const definition = job.task === null ? null : job.task.definition;
    const submittedAt = now();
    const slot = this.#jobCount++ & (MAX_JOBS - 1);
    const note = this.jobs[slot];
    if (note === undefined) {
      const outcome = { calls, failed: 0, submittedAt, settledAt: 0, yielded: null };
      return (this.jobs[slot] = { run, method, definition, ...outcome });
    }
    note.run = run;
    note.method = method;
    note.definition = definition;
    note.calls = calls;
    note.failed = 0;
    note.submittedAt = submittedAt;
    note.settledAt = 0;
    note.yielded = null;
    return note;
  }

  /**
   * @param {JobNote} note @param {import('./job-table').Job} job @param {number} failed
   * @param {boolean} isAnswered whether it settles with what was decoded last
   */
  settled(note, job, failed, isAnswered) {
    if (note.run !== job.run) return;
    note.failed = failed;
    note.settledAt = isAnswered ? this.#decodedAt : now();
    if (note.yielded !== null) endPause(note.yielded, note.settledAt);
  }

  /**
   * Calls of a job were encoded for a frame.
   * @param {JobNote} note @param {import('./job-table').Job} job @param {number} worker @param {number} frame
   * @param {number} before how many calls it has already
   * @param {number} first @param {number} calls @param {number} bytes @param {number} from when it began
   */
  encoded(note, job, worker, frame, before, first, calls, bytes, from) {
    const { records } = this;
    const slot = frame & (MAX_CHUNKS - 1);
    const at = slot * RECORD;
    if (before > 0 && records[at] === frame) {
      records[at + FIELDS.calls] += calls;
      records[at + FIELDS.jobs]++;
      records[at + FIELDS.bytes] += bytes;
      records[at + FIELDS.sentAt] = endOf(from, bytes);
      return;
    }
    records[at] = frame;
    records[at + FIELDS.worker] = worker;
    records[at + FIELDS.first] = first;
    records[at + FIELDS.calls] = calls;
    records[at + FIELDS.failed] = 0;
    records[at + FIELDS.answered] = 0;
    records[at + FIELDS.jobs] = 1;
    records[at + FIELDS.bytes] = bytes;
    records[at + FIELDS.submittedAt] = note.run === job.run ? note.submittedAt : from;
    records[at + FIELDS.encodedFrom] = from;
    records[at + FIELDS.sentAt] = endOf(from, bytes);
    records[at + FIELDS.micros] = 0;
    this.chunkRuns[slot] = job.run;
    this.chunkMethods[slot] = job.what;
    this.chunkDefinitions[slot] = job.task === null ? null : job.task.definition;
  }

  /**
   * Calls of a frame were answered, and the answer is decoded.
   * @param {number} worker @param {number} frame @param {number} calls @param {number} micros how long they ran
   * @param {number} failed @param {number} from when decoding began @param {number} bytes
   */
  answered(worker, frame, calls, micros, failed, from, bytes) {
    const { records } = this;
    this.#decodedAt = endOf(from, bytes);
    const at = (frame & (MAX_CHUNKS - 1)) * RECORD;
    if (records[at] !== frame || records[at + FIELDS.worker] !== worker) return;
    records[at + FIELDS.answered] += calls;
    records[at + FIELDS.failed] += failed;
    records[at + FIELDS.micros] += micros;
    records[at + FIELDS.answeredAt] = from;
    records[at + FIELDS.decodedFrom] = from;
    records[at + FIELDS.decodedAt] = this.#decodedAt;
  }

  // ---- Calls that talk --------------------------------------------------------------------------------------------

  /**
   * A call has emitted a value to which somebody listens.
   * @param {import('./job-table').Job} job @param {number} call @param {number} workerIndex @param {number} attempt
   * @param {number} bytes
   */
  emitted({ run, isRunEach }, call, workerIndex, attempt, bytes) {
    const message = { job: { run, isRunEach }, call, at: now(), workerIndex, attempt, bytes };
    this.messages[this.#messageCount++ & (MAX_MESSAGES - 1)] = message;
  }

  /** A call has yielded a value. @param {JobNote} note @param {import('./job-table').Job} job */
  yielded(note, job) {
    if (note.run !== job.run) return;
    note.yielded ??= { values: new Spans(), pauses: new Spans(), pausedAt: 0 };
    const at = now();
    note.yielded.values.add(at, at);
  }

  /**
   * The worker of a stream is told something of its reader: to pause, or how much that has taken.
   * @param {JobNote} note @param {import('./job-table').Job} job @param {boolean} isPause
   */
  toldOfReader(note, job, isPause) {
    const { yielded } = note;
    if (note.run !== job.run || yielded === null) return;
    if (!isPause) endPause(yielded, now());
    else if (yielded.pausedAt === 0) yielded.pausedAt = now();
  }

  // ---- Workers ----------------------------------------------------------------------------------------------------

  /** @param {number} number @param {Worker} worker @param {number} at */
  booted(number, worker, at) {
    this.workers.set(number, worker);
    if (this.workers.size > MAX_EVENTS) this.workers.delete(/** @type {number} */ (this.workers.keys().next().value));
    this.#note({ kind: 'boot', number, at, about: worker });
  }

  /** @param {number} number @param {Worker} worker @param {Record<string, any>} exit @param {number} at */
  ended(number, worker, exit, at) {
    this.workers.set(number, worker);
    this.#note({ kind: 'end', number, at, about: exit });
  }

  /** @param {number} number @param {Worker} worker @param {number} calls @param {number} at */
  recalled(number, worker, calls, at) {
    this.workers.set(number, worker);
    this.#note({ kind: 'recall', number, at, about: { calls } });
  }

  /** @param {WorkerEvent} event */
  #note(event) {
    this.events.push(event);
    if (this.events.length > MAX_EVENTS) this.events.shift();
  }
}

/**
 * When something ends that takes its time by so many bytes.
 * @param {number} from @param {number} bytes
 */
function endOf(from, bytes) {
  return bytes < MIN_TIMED_BYTES ? from : now();
}

/** @param {Yielded} yielded @param {number} at */
function endPause(yielded, at) {
  if (yielded.pausedAt > 0) yielded.pauses.add(yielded.pausedAt, at);
  yielded.pausedAt = 0;
}

module.exports = { FIELDS, MAX_CHUNKS, RECORD, Timeline };
