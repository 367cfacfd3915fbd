'use strict';

/**
 * The jobs in progress. Hands what becomes of their calls to them, in the async context of whoever submitted them.
 *
 * Each call settles once: the native side says which calls an answer, an error or an end is for, and a job leaves the
 * table with its last call. Must not depend on workers, nor on when calls are sent.
 */

const { AnswerLists } = require('./answer-lists');
const { decodeValues } = require('../codec/codec');
const { ENDING, ERROR_TREE, HEARD, YIELDING, refusalIn, sizeOf, valuesOf } = require('../codec/parts');
const { tooLargeError } = require('../errors');
const { now } = require('../intrinsics/clock');
const { nameRun, runIdOf } = require('./run-id');
const {
  ARGUMENT_WORD, CODEC_FIELD, JOB_BULK, JOB_KEY_RUNS, JOB_PINNED, JOB_SENT_ONCE, JOB_SPREAD, JOB_STOPS_KEY,
  JOB_UNBOUNDED, MAX_COUNT, PART_FAILED, PART_FIELDS, PART_REFUSED, TAG_FIELD, VALUE_FIELD,
} = require('../transport/constants');

/** Of calls that have not failed. */
const NO_FAILURE = () => undefined;

// Not needed before a call fails.
const answerErrors = () => require('./answer-error');

/** What the native side has room for; a second of waiting for each level is more than anybody has. */
const MIN_PRIORITY = -(2 ** 31);
const MAX_PRIORITY = 2 ** 31 - 1;

/** @typedef {import('node:async_hooks').AsyncResource} AsyncResource */
/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {InstanceType<typeof import('./call-tracing').CallTracing>} CallTracing */
/** @typedef {Pick<CallTracing, 'isEach' | 'sending' | 'encoded' | 'answered' | 'settled'>} Tracing */
/** @typedef {'aborted' | 'timedOut' | 'closed' | 'skipped' | 'exited' | 'bootFailed'} Ending */

/**
 * A list with an element for each of these calls, and what they have in common.
 * @typedef {(first: number, end: number) => [list: unknown[], ...common: unknown[]]} ListArgument
 */

/**
 * A process of a host on another machine.
 * @typedef {{ hostId: string, hostName: string, workerIndex: number }} Place
 */

/**
 * The calls that are submitted together. For each of them one of `succeeded`, `failed` and `ended` is called, once.
 * None of its properties is optional: what is not there would be read from `Object.prototype`, which others extend.
 * @typedef {object} Job
 * @property {string} what what its caller called, for errors
 * @property {InstanceType<typeof import('./run-id').RunId>} run
 * @property {number} calls
 * @property {number} timeout 0: none
 * @property {number} retries
 * @property {boolean} watched whether it may be cancelled, or has a timeout
 * @property {readonly object[] | null} transferList moved at the submission, where workers share this process's memory
 * @property {(call: number) => unknown} argument what the worker is given; asked for when the call is sent
 * @property {readonly string[] | null} names what the elements of an argument are to whoever has given them; null: the
 *   argument is the caller's own
 * @property {(first: number, count: number, values: readonly unknown[], offset: number) => void} succeeded consecutive
 *   calls; the value of the first is at `offset`
 * @property {(call: number, error: unknown, text: string) => void} failed `text` is what the thrown value said of
 *   itself, in the worker
 * @property {(first: number, end: number, ending: Ending, exitError: () => unknown, host: string | null) => void} ended
 *   consecutive calls that were not answered. `exitError` makes the error that says what became of their worker, if
 *   that is the reason; else it returns null. `host`: the other machine on which they timed out
 * @property {((call: number, value: unknown, workerIndex: number, attempt: number, isYielded: boolean) => void)
 *   | null} emitted told of what a call emits or yields; `attempt` counts from 1; null: nobody listens
 * @property {boolean} yields whether what its calls return is iterated over
 * @property {number} priority
 * @property {boolean} pinned whether each call is for one worker: that whose index is its number, and `firstWorker`
 * @property {number} firstWorker
 * @property {readonly Place[] | null} places where each call is to run, if that is on other machines; null: anywhere
 * @property {AsyncResource | null} resource the async context of whoever submits; null: that in which it is submitted
 * @property {ListArgument | null} list what the worker is given for consecutive calls in one, in place of an argument
 *   each
 * @property {boolean} bulk whether nobody waits for any of its calls alone, or sees that it is done
 * @property {Uint32Array | null} keys the key of each call, numbered in the order of their first call
 * @property {boolean} stopKeyOnError
 * @property {boolean} keyRuns whether a worker may be given several calls of a key at once. With `stopKeyOnError` the
 *   worker then has to know which calls have the same key
 * @property {number} costId what its calls have in common with those of other jobs that name no task: their cost; 0:
 *   nothing
 * @property {boolean} spread one call to each worker, also to those that are still starting
 * @property {import('./task-registry').Task | null} task what its calls run, where that is not the same for the whole
 *   pool
 * @property {boolean} spreadArguments whether an argument is a list of them
 * @property {number} chunkSize calls per frame; 0: as many as measurement says
 * @property {boolean} isRunEach whether each call is a run of its own, the first of which is `run`
 * @property {boolean} unbounded whether `maxQueue` is not for it
 */

/**
 * A job in progress.
 * @typedef {object} Entry
 * @property {Job} job
 * @property {number} left how many of its calls have not settled
 * @property {number} failures how many have settled otherwise than with a value
 * @property {number} tag
 * @property {{ calls: number, bytes: number }} sized calls that were encoded together last, and their bytes per call
 * @property {AsyncResource} resource
 * @property {Tracing | null} tracing null: nobody watches its calls
 * @property {import('./timeline').JobNote | null} note null: there is no timeline
 */

class JobTable {
  /** @type {Map<number, Entry>} */
  #entries = new Map();
  #clones;
  #moved;
  #debugLog;
  #timeline;
  #meter;
  /** How many calls are in progress. */
  #inProgress = 0;
  /** Whether the calls of any job have been watched. */
  #hasTraced = false;
  #lists = new AnswerLists();

  /**
   * @param {import('../codec/codec').Clones | null} clones
   * @param {InstanceType<typeof import('./moved-calls').MovedCalls> | null} moved
   * @param {InstanceType<typeof import('./debug-log').DebugLog> | null} debugLog
   * @param {InstanceType<typeof import('./timeline').Timeline> | null} timeline
   * @param {InstanceType<typeof import('./cost-meter').CostMeter>} meter
   */
  constructor(clones, moved, debugLog, timeline, meter) {
    this.#clones = clones;
    this.#moved = moved;
    this.#debugLog = debugLog;
    this.#timeline = timeline;
    this.#meter = meter;
    // Keep one entry, so that the map's table is not rebuilt whenever no job is in progress.
    this.#entries.set(Number.NaN, /** @type {any} */ (undefined));
  }

  /**
   * @param {number} jobId @param {Job} job @param {number} tag @param {AsyncResource} resource
   * @param {Entry['tracing']} tracing
   */
  add(jobId, job, tag, resource, tracing) {
    const sized = { calls: 0, bytes: 0 };
    this.#hasTraced ||= tracing !== null;
    this.#inProgress += job.calls;
    this.#meter.submitted(job, this.#inProgress);
    const note = this.#timeline === null ? null : this.#timeline.submitted(job);
    this.#entries.set(jobId, { job, left: job.calls, failures: 0, tag, sized, resource, tracing, note });
  }

  /** @param {number} jobId */
  has(jobId) {
    return this.#entries.has(jobId);
  }

  /** @param {number} jobId */
  get(jobId) {
    return this.#entries.get(jobId);
  }

  /**
   * Calls were answered by one part of a reply.
   * @param {number} jobId @param {number} first @param {number} count @param {number} offset where in the part
   * @param {number} flags @param {number} codec @param {number} _tag @param {string | Buffer} value
   * @param {Parts | null} extras
   * @param {number} worker who has answered @param {number} frame to which @param {number} micros for how long they ran
   */
  answered(jobId, first, count, offset, flags, codec, _tag, value, extras, worker, frame, micros) {
    const isTimed = this.#meter.startsToDecode();
    const isWatched = this.#timeline !== null || isTimed;
    const from = isWatched ? now() : 0;
    if (this.#hasTraced) this.#entries.get(jobId)?.tracing?.answered(first, count, micros);
    const values = this.#decoded(jobId, first, count, offset, flags, codec, value, extras);
    const bytes = isWatched ? (value.length ?? 0) + (extras === null ? 0 : sizeOf(extras)) : 0;
    this.#timeline?.answered(worker, frame, count, micros, values === null ? count : 0, from, bytes);
    if (values === null) return;
    const entry = this.#settled(jobId, first, count, 0, NO_FAILURE);
    if (entry === null) return;
    const { job } = entry;
    // Parts that only structured clone can carry have no length.
    if (job.task) job.task.bytes = Math.max(job.task.bytes, (value.length ?? 0) / (offset + count));
    this.#meter.answered(job, count, micros);
    if (isTimed) this.#meter.decodedCalls(count, now() - from, bytes);
    entry.resource.runInAsyncScope(job.succeeded, job, first, count, values, offset);
  }

  /**
   * What calls were answered with; where that is an error they have failed with it.
   * @param {number} jobId @param {number} first @param {number} count @param {number} offset @param {number} flags
   * @param {number} codec @param {string | Buffer} value @param {Parts | null} extras
   * @returns {readonly unknown[] | null}
   */
  #decoded(jobId, first, count, offset, flags, codec, value, extras) {
    if ((flags & PART_REFUSED) !== 0) {
      const error = tooLargeError('what the function returned', new Error(String(value)));
      for (let i = 0; i < count; i++) this.fail(jobId, first + i, error, String(error));
      return null;
    }
    if ((flags & PART_FAILED) !== 0) {
      const { endingOf, thrownError, refusedError } = answerErrors();
      const elsewhere = codec === ENDING ? endingOf(/** @type {string} */ (value)) : null;
      if (elsewhere !== null) {
        this.ended(jobId, first, first + count, elsewhere.ending, elsewhere.exitError, elsewhere.host);
        return null;
      }
      for (let i = 0; i < count; i++) {
        const { error, text } = codec === ERROR_TREE ? thrownError(/** @type {string} */ (value)) : refusedError(value);
        this.fail(jobId, first + i, error, text);
      }
      return null;
    }
    try {
      const end = offset + count;
      return this.#lists.valuesOf(codec, value, offset, end)
        ?? decodeValues(codec, value, end, extras === null ? [] : valuesOf(extras), this.#clones);
    } catch (cause) {
      for (let i = 0; i < count; i++) {
        const { error, text } = answerErrors().unreadableError(cause);
        this.fail(jobId, first + i, error, text);
      }
      return null;
    }
  }

  /**
   * A call has emitted or yielded a value.
   * @param {number} jobId @param {number} call @param {number} retries @param {number} workerIndex @param {Parts} parts
   */
  emitted(jobId, call, retries, workerIndex, parts) {
    const entry = this.#entries.get(jobId);
    const listener = entry?.job.emitted ?? null;
    if (entry === undefined || listener === null) return;
    const isYielded = parts[TAG_FIELD] === YIELDING;
    if (entry.note !== null) this.#noteTalk(entry, entry.note, call, workerIndex, retries + 1, isYielded, parts);
    let value;
    try {
      const refusal = refusalIn(parts, 0, parts.length);
      if (refusal !== null) throw tooLargeError('what the function emitted', new Error(refusal));
      const codec = /** @type {number} */ (parts[CODEC_FIELD]);
      const first = /** @type {string | Buffer} */ (parts[VALUE_FIELD]);
      const extras = parts.length === PART_FIELDS ? [] : valuesOf(parts.slice(PART_FIELDS));
      value = decodeValues(codec, first, 1, extras, this.#clones)[0];
    } catch (cause) {
      // It is lost, and its caller has to know; the call goes on.
      value = answerErrors().unreadableError(cause).error;
    }
    entry.resource.runInAsyncScope(listener, entry.job, call, value, workerIndex, retries + 1, isYielded);
  }

  /**
   * @param {Entry} entry @param {import('./timeline').JobNote} note @param {number} call @param {number} workerIndex
   * @param {number} attempt @param {boolean} isYielded @param {Parts} parts
   */
  #noteTalk({ job }, note, call, workerIndex, attempt, isYielded, parts) {
    if (isYielded) this.#timeline?.yielded(note, job);
    else this.#timeline?.emitted(job, call, workerIndex, attempt, sizeOf(parts));
  }

  /**
   * Whether a job is in progress, about whose only call the scheduler is to be told; see `WorkerPool.tell`.
   * @param {number} jobId @param {'demand' | 'pause' | 'forbidRetries'} what
   */
  tells(jobId, what) {
    const entry = this.#entries.get(jobId);
    if (entry === undefined) return false;
    const { job, note } = entry;
    if (note !== null && what !== 'forbidRetries') this.#timeline?.toldOfReader(note, job, what === 'pause');
    return true;
  }

  /**
   * A call failed.
   * @param {number} jobId @param {number} call @param {unknown} error @param {string} text
   */
  fail(jobId, call, error, text) {
    const entry = this.#settled(jobId, call, 1, 1, () => error);
    if (entry === null) return;
    nameRun(error, () => runIdOf(entry.job, call));
    entry.resource.runInAsyncScope(entry.job.failed, entry.job, call, error, text);
  }

  /**
   * Calls ended without an answer.
   * @param {number} jobId @param {number} first @param {number} end @param {Ending} ending
   * @param {() => unknown} exitError
   * @param {string | null} [host]
   */
  ended(jobId, first, end, ending, exitError, host = null) {
    const entry = this.#settled(jobId, first, end - first, end - first, () => exitError() ?? ending);
    if (entry === null) return;
    entry.resource.runInAsyncScope(entry.job.ended, entry.job, first, end, ending, exitError, host);
  }

  /**
   * @param {number} jobId @param {number} first @param {number} count @param {number} failures
   * @param {() => unknown} failure the error, or the ending
   */
  #settled(jobId, first, count, failures, failure) {
    const entry = this.#entries.get(jobId);
    if (entry === undefined) return null;
    entry.left -= count;
    this.#inProgress -= count;
    entry.failures += failures;
    entry.tracing?.settled(first, first + count, failure, failures > 0);
    if (entry.left === 0) {
      this.#entries.delete(jobId);
      this.#debugLog?.settled(entry);
      if (entry.note !== null) this.#timeline?.settled(entry.note, entry.job, entry.failures, failures === 0);
    }
    if (entry.job.transferList !== null) this.#moved?.drop(jobId, first, first + count);
    return entry;
  }
}

/**
 * Describes a job to the native side, which schedules its calls.
 * @param {Uint32Array} registers @param {Job} job
 * @param {boolean} isSentOnce whether its calls cannot be encoded again
 */
function passJob(registers, job, isSentOnce) {
  registers[ARGUMENT_WORD] = job.calls;
  registers[ARGUMENT_WORD + 1] = Math.min(job.retries, MAX_COUNT);
  // What a stream costs says nothing of other calls of its task.
  registers[ARGUMENT_WORD + 2] = job.yields ? 0 : (job.task?.id ?? job.costId);
  registers[ARGUMENT_WORD + 3] = Math.min(job.chunkSize, MAX_COUNT);
  registers[ARGUMENT_WORD + 4] =
    (job.stopKeyOnError ? JOB_STOPS_KEY : 0) | (job.spread ? JOB_SPREAD : 0) | (job.unbounded ? JOB_UNBOUNDED : 0)
    | (isSentOnce ? JOB_SENT_ONCE : 0) | (job.keyRuns ? JOB_KEY_RUNS : 0) | (job.pinned ? JOB_PINNED : 0)
    | (job.bulk ? JOB_BULK : 0);
  registers[ARGUMENT_WORD + 5] = Math.max(MIN_PRIORITY, Math.min(job.priority, MAX_PRIORITY));
  registers[ARGUMENT_WORD + 6] = job.firstWorker;
}

/** The bits of a job's tag that say whether its calls talk. @param {Job} job */
function talkOf({ emitted, yields }) {
  return emitted === null ? 0 : yields ? HEARD | YIELDING : HEARD;
}

module.exports = { JobTable, passJob, talkOf };
