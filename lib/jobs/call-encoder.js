'use strict';

/**
 * Encodes the calls of jobs into the parts of frames, when a worker has room for them.
 *
 * 1. Calls are encoded one slice after another until the frame is full. The size of the last slice of a job says how
 *    many calls to try next.
 * 2. A call whose value is large is encoded in steps between turns of the event loop: the frame that it begins is put
 *    off, and sent when the steps are done.
 * 3. Calls of jobs that transfer something were encoded when they were submitted, see `moved-calls.js`.
 *
 * Must not depend on the native pool, nor on how calls are settled.
 */

const { encodeValues, needsSteps, pushList, pushRecordsInSteps } = require('../codec/codec');
const { CARRIER, LISTED, WATCHED, pushText, sizeOf } = require('../codec/parts');
const { serializationError, workerExited } = require('../errors');
const { CALLS_FIELD, FULL_FRAME, LATIN1, NO_CODEC, PART_FIELDS, PART_SKIPPED } = require('../transport/constants');
const { nextTick, now, setImmediate } = require('../intrinsics/clock');

/** How many calls are encoded before their size is looked at; fewer where they are known to be large. */
const MAX_SLICE = 1024;
/** How long the event loop is held by steps of encoding, in milliseconds. */
const STEPS_TIME = 5;

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('../codec/codec').Clones} Clones */
/** @typedef {import('./task-registry').Task} Task */

/**
 * The only call of a frame, while its value is encoded in steps.
 * @typedef {object} LongCall
 * @property {number} worker
 * @property {number} frame
 * @property {unknown} value
 * @property {number} tag
 * @property {Parts} [parts]
 * @property {Generator<void, boolean>} [steps]
 * @property {number} took for how long it was encoded
 */

/**
 * @typedef {object} EncoderOwner
 * @property {InstanceType<typeof import('./job-table').JobTable>} jobs
 * @property {InstanceType<typeof import('./moved-calls').MovedCalls> | null} moved
 * @property {import('../codec/codec').Serialization} serialization
 * @property {Clones | null} clones `null` where workers are processes
 * @property {boolean} isInline whether calls run in this very thread
 * @property {(worker: number, task: Task, parts: Parts) => void} sendDefinition tells a worker of a task, unless it
 *   knows it
 * @property {(jobId: number, call: number, error: Error) => void} failed told of each call that cannot be encoded, once
 *   the native side has booked it as skipped
 * @property {(worker: number, frame: number) => boolean} isDeferred whether a frame that was put off is still wanted
 * @property {(worker: number, frame: number) => void} sendDeferred has a frame that was put off encoded and sent
 * @property {InstanceType<typeof import('./debug-log').DebugLog> | null} debugLog
 * @property {InstanceType<typeof import('./timeline').Timeline> | null} timeline
 * @property {InstanceType<typeof import('./cost-meter').CostMeter>} meter
 */

class CallEncoder {
  #owner;
  #jobs;
  #serialization;
  #clones;
  #moved;
  /** @type {LongCall[]} What is being encoded in steps. */
  #long = [];
  /** @type {Map<number, Parts | null>} What has been, by frame; `null`: it has to be encoded at once. */
  #finished = new Map();
  /** Whether anything has travelled beside calls: from then on those without are told apart. */
  #hasCarried = false;

  /** @param {EncoderOwner} owner */
  constructor(owner) {
    this.#owner = owner;
    this.#jobs = owner.jobs;
    this.#moved = owner.moved;
    this.#serialization = owner.serialization;
    this.#clones = owner.clones;
  }

  /**
   * Encodes calls, or the first of them: as many as fit into a frame.
   * @param {number} worker @param {number} jobId @param {number} start @param {number} end
   * @param {number} frame @param {number} before how many calls the frame has already
   * @returns {Parts | null} `null`: the first call takes long. If the frame has no others, it is put off until the
   *   steps are done
   */
  encode(worker, jobId, start, end, frame, before) {
    const { job, note, tracing } = /** @type {import('./job-table').Entry} */ (this.#jobs.get(jobId));
    const { debugLog, timeline, meter } = this.#owner;
    const isTimed = meter.startsToEncode() && !this.#finished.has(frame);
    const from = timeline === null && !isTimed ? 0 : now();
    const parts = this.#tryToEncode(worker, jobId, start, end, frame, before);
    if (parts === null || (!isTimed && tracing === null && debugLog === null && timeline === null)) return parts;
    const calls = callsIn(parts);
    if (isTimed) meter.encodedCalls(calls, before === 0, now() - from, sizeOf(parts));
    if (note !== null) timeline?.encoded(note, job, worker, frame, before, start, calls, sizeOf(parts), from);
    tracing?.encoded(start + calls, sizeOf(parts));
    debugLog?.sent(job, worker, start, calls);
    return parts;
  }

  /**
   * @param {number} worker @param {number} jobId @param {number} start @param {number} end
   * @param {number} frame @param {number} before
   * @returns {Parts | null}
   */
  #tryToEncode(worker, jobId, start, end, frame, before) {
    /** @type {Parts} */
    const parts = [];
    try {
      return this.#encodeInto(parts, worker, jobId, start, end, frame, before);
    } catch (cause) {
      // A lack of memory, or what a class of the user's does when it is looked at: the call fails, and nothing else.
      const call = start + callsIn(parts);
      if (call < end) this.#skip(jobId, call, serializationError('the value', undefined, cause), parts);
      return parts;
    }
  }

  /**
   * @param {Parts} parts
   * @param {number} worker @param {number} jobId @param {number} start @param {number} end
   * @param {number} frame @param {number} before
   * @returns {Parts | null}
   */
  #encodeInto(parts, worker, jobId, start, end, frame, before) {
    const { job, tag, sized, tracing } = /** @type {import('./job-table').Entry} */ (this.#jobs.get(jobId));
    if (job.list !== null) {
      this.#carry(parts, tracing, worker, start, end);
      return this.#encodeList(parts, jobId, job, start, end, tag | WATCHED | LISTED);
    }
    const finished = this.#finished.get(frame);
    const serialization = this.#serialization;
    const moved = job.transferList === null ? null : this.#moved;
    if (moved !== null && this.#isBeingMoved(moved, jobId, worker, frame, before)) return null;
    // Asked for once: making it may cut a batch.
    const firstValue = moved !== null || finished ? undefined : job.argument(start);
    if (finished === undefined && needsSteps(firstValue, serialization)) {
      if (before === 0) this.#encodeInSteps({ worker, frame, value: firstValue, tag: tag | WATCHED, took: 0 });
      return null;
    }
    const isEach = tracing !== null && tracing.isEach && moved === null && !finished;
    if (!isEach) this.#carry(parts, tracing, worker, start, finished ? start + 1 : end);
    if (job.task) this.#owner.sendDefinition(worker, job.task, parts);
    if (finished) {
      return parts.concat(finished);
    }
    if (moved !== null) {
      this.#takeMoved(moved, jobId, job, start, end, parts);
      return parts;
    }
    const clones = this.#clones;
    // What is done must not be lost with a process that is killed in the next call. Whatever ends a thread but a full
    // heap lets it write out what it has, so that answers of unwatched calls may wait a millisecond for company.
    const isUnwatched = !job.watched && clones !== null;
    const flags = isUnwatched ? tag : tag | WATCHED;
    let bytes = 0;
    for (let at = start; at < end && bytes < FULL_FRAME; ) {
      const fitting = sized.bytes === 0 ? MAX_SLICE : Math.floor((FULL_FRAME - bytes) / sized.bytes);
      // What is not known to be small is approached step by step.
      const count = Math.max(1, Math.min(end - at, fitting, isEach ? 1 : MAX_SLICE, sized.calls * 4));
      const first = at;
      /** @type {unknown[]} */
      const values = [];
      for (const stop = at + count; at < stop; at++) {
        const value = at === start ? firstValue : job.argument(at);
        if (at > start && needsSteps(value, serialization)) {
          end = at;
          break;
        }
        values.push(value);
      }
      if (values.length === 0) break;
      if (isEach) this.#carry(parts, tracing, worker, first, at);
      const from = parts.length;
      const failed = (/** @type {number} */ index, /** @type {Error} */ error) =>
        this.#skip(jobId, first + index, named(error, job), parts);
      const done = encodeValues(values, serialization, clones, parts, flags, failed, FULL_FRAME - bytes);
      // Small calls say nothing of those after them: what turns out not to fit is encoded for another frame.
      at = first + done;
      const size = sizeOf(parts, from);
      bytes += size;
      sized.calls = done;
      sized.bytes = size / done;
      if (done < values.length) break;
    }
    if (job.task) job.task.bytes = sized.bytes;
    return parts;
  }

  /**
   * Whether the calls of a job are being encoded to be moved, further up the stack. A frame that begins with them is
   * put off until that is done.
   * @param {InstanceType<typeof import('./moved-calls').MovedCalls>} moved
   * @param {number} jobId @param {number} worker @param {number} frame @param {number} before
   */
  #isBeingMoved(moved, jobId, worker, frame, before) {
    return moved.whenEncoded(jobId, () => {
      if (before === 0) nextTick(() => this.#owner.sendDeferred(worker, frame));
    });
  }

  /**
   * Encodes calls that travel as one list. They are of one event, so that they fit into memory together.
   * @param {Parts} parts @param {number} jobId @param {import('./job-table').Job} job
   * @param {number} start @param {number} end @param {number} tag
   * @returns {Parts}
   */
  #encodeList(parts, jobId, job, start, end, tag) {
    const list = /** @type {NonNullable<typeof job.list>} */ (job.list);
    const serialization = this.#serialization;
    if (pushList(list(start, end), serialization, this.#owner.isInline, parts, tag)) return parts;
    // One by one: what is special about one of them is nothing to the others.
    for (let call = start; call < end; call++) {
      /** @type {Error | null} */
      let failure = null;
      encodeValues([list(call, call + 1)], serialization, this.#clones, parts, tag, (_index, error) => {
        failure = error;
      });
      if (failure === null) continue;
      this.#skip(jobId, call, named(failure, job), parts);
      // Those behind it may have the same key, and the worker does not know of this one.
      if (job.stopKeyOnError) break;
    }
    return parts;
  }

  /**
   * Puts what is to travel with calls before them, or says that nothing is.
   * @param {Parts} parts @param {import('./job-table').Tracing | null} tracing
   * @param {number} worker @param {number} start @param {number} end
   */
  #carry(parts, tracing, worker, start, end) {
    const carried = tracing === null ? null : tracing.sending(worker, start, end);
    this.#hasCarried ||= carried !== null;
    if (this.#hasCarried) pushText(parts, CARRIER, 0, 0, 0, carried ?? '');
  }

  /**
   * @param {InstanceType<typeof import('./moved-calls').MovedCalls>} moved
   * @param {number} jobId @param {import('./job-table').Job} job
   * @param {number} start @param {number} end @param {Parts} parts
   */
  #takeMoved(moved, jobId, job, start, end, parts) {
    for (let call = start; call < end; call++) {
      const found = moved.take(jobId, call);
      // It was sent before, to a worker that died without beginning it, and is gone with that worker.
      if (found === undefined) this.#skip(jobId, call, workerExited({}), parts);
      else if (found instanceof Error) this.#skip(jobId, call, named(found, job), parts);
      else Reflect.apply(parts.push, parts, found);
    }
  }

  /**
   * Puts a part in the place of a call that cannot be encoded.
   * @param {number} jobId @param {number} call @param {Error} error @param {Parts} parts
   */
  #skip(jobId, call, error, parts) {
    parts.push(LATIN1, NO_CODEC, PART_SKIPPED, 1, 0, '');
    // Later: the native side has to book it first, or whatever the caller does about it would settle it again.
    nextTick(() => this.#owner.failed(jobId, call, error));
  }

  /**
   * Encodes the only call of a frame between turns of the event loop, and sends it.
   * @param {LongCall} long
   */
  #encodeInSteps(long) {
    this.#long.push(long);
    if (this.#long.length === 1) setImmediate(() => this.#encodeOn());
  }

  /** One call after another: several at a time would hold the loop for as long as all of them. */
  #encodeOn() {
    const { 0: long } = this.#long;
    const { worker, frame, value, tag } = long;
    const parts = (long.parts ??= []);
    const steps = (long.steps ??= pushRecordsInSteps(value, parts, tag));
    let isDone = !this.#owner.isDeferred(worker, frame);
    if (!isDone) {
      const from = now();
      const until = from + STEPS_TIME;
      let step = steps.next();
      while (!step.done && now() < until) step = steps.next();
      // What turns out not to be for this codec goes the usual way, at once.
      if (step.done) this.#finished.set(frame, step.value ? parts : null);
      long.took += now() - from;
      isDone = step.done === true;
    }
    if (isDone) {
      this.#owner.meter.encodedCalls(1, true, long.took, sizeOf(parts));
      this.#owner.sendDeferred(worker, frame);
      this.#finished.delete(frame);
      // Not before: what is sent next may be put off as well.
      this.#long.shift();
    }
    if (this.#long.length > 0) setImmediate(() => this.#encodeOn());
  }
}

/**
 * Says where in what the caller gave the trouble is.
 * @param {Error} error @param {import('./job-table').Job} job
 */
function named(error, { names }) {
  return names === null ? error : require('../codec/culprit').withNames(error, names);
}

/**
 * How many calls parts are for.
 * @param {Parts} parts
 */
function callsIn(parts) {
  let calls = 0;
  for (let at = CALLS_FIELD; at < parts.length; at += PART_FIELDS) calls += /** @type {number} */ (parts[at]);
  return calls;
}

/**
 * How many calls of so many bytes a frame takes; at least one.
 * @param {number} bytes
 */
function callsThatFit(bytes) {
  return Math.max(1, Math.ceil(FULL_FRAME / bytes));
}

module.exports = { CallEncoder, callsThatFit };
