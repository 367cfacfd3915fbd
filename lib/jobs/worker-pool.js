'use strict';

/**
 * One pool of workers, as the public classes use it: jobs in, outcomes out.
 *
 * Between the native pool, which knows numbers only, and the jobs, which know what a call is: keeps the jobs under way,
 * has their calls encoded when a worker has room, and hands each outcome to its job. May not know sub-batches, items
 * or options that are not its own.
 */

const { AsyncResource } = require('node:async_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const {
  ERROR_TREE, FAILED, LATIN1, SKIPPED, WATCHED, decodeValues, encodeValues, isLong, loadAll, pushClone, pushRecordsInSteps, sizeOf,
  valuesOf,
} = require('../codec/codec');
const { spareableCpus, workerHeapMegabytes } = require('../host/cpus');
const {
  ParallelizerError, closedError, moduleError, protocolError, queueFullError, serializationError, spawnFailedError,
  workerExited,
} = require('../errors');
const { inheritedEnv, inheritedExecArgv, resourceLimitFlags } = require('../host/exec-argv');
const { PARALLELIZER_INLINE, PARALLELIZER_THREADS } = require('../options/options');
const { ARGUMENT_WORD, createRegisters, longAt, passParts } = require('../transport/registers');
const { PROCESS_SCRIPT } = require('../worker/boot-script');
const { surroundings } = require('../host/nesting');

// Not needed to start workers, and loaded while they do.
const errorCodec = () => require('../codec/error-codec');
const printing = () => require('./print');
const tasks = () => require('./task-registry');

/** What the native side counts to. */
const MAX_COUNT = 2 ** 32 - 1;
/** A frame of so many bytes gets no further calls. */
const FULL_FRAME = 512 * 1024;
/** Calls that are encoded before their size is looked at; fewer where they are known to be large. */
const MAX_SLICE = 1024;
/** Flags of a job, as the native side numbers them. */
const STOPS_KEY = 1;
const SPREAD_OUT = 2;
const UNBOUNDED = 4;
const SENT_ONCE = 8;
/** How long the event loop is held for encoding in steps, in milliseconds. */
const STEPS_MS = 5;
/** Between two looks at what workers are at, and for one to die, in milliseconds. */
const LONGEST_LOOK = 10;
const LONGEST_DEATH = 1000;
/** Jobs that are remembered for what is still printed for them, and workers for what they have printed. */
const MOST_REMEMBERED = 16;
/** Characters that are kept of what a worker printed last. */
const MOST_WORDS = 4096;
/** Levels that would have gone to its stderr. */
const ON_STDERR = ['error', 'warn'];
/** A call that is one of so many in a frame takes microseconds, and may wait for company with its answer. */
const CHEAP = 256;

/**
 * @typedef {object} OwnOptions
 * @property {string | number} id
 * @property {string | null} filePath the module of all calls; null: each job has a task
 * @property {string | null} functionName
 * @property {number} maxBatchesPerWorker 0: no limit
 * @property {number} [concurrency]
 * @property {unknown} [initializer] a task, as the user gave it; null: none
 * @property {readonly unknown[]} [initArgs]
 */

/** @typedef {import('../options/options').WorkerOptions & OwnOptions} OptionsOfPool */

/** @typedef {'aborted' | 'timedOut' | 'closed' | 'skipped' | 'exited' | 'bootFailed'} Ending */

/**
 * What the native side knows of a worker that is gone.
 * @typedef {object} Fate
 * @property {number} worker
 * @property {number | null} pid
 * @property {number | null} [exitCode]
 * @property {string | null} [signal]
 * @property {string} [stderr]
 * @property {number | null} [errno] it could not even be started
 * @property {string} [message]
 * @property {string | null} [loadError] a flattened error: the user's module did not load
 * @property {string | null} [protocol] what it sent that is no frame
 * @property {boolean} [silent] it was killed since it never began to run
 */

/**
 * The calls that are submitted together. For each call one of `succeeded`, `failed` and `ended` is told, once.
 * @typedef {object} Job
 * @property {string} what what its caller called, for errors
 * @property {number} calls
 * @property {number} timeoutMs 0: none
 * @property {number} retries
 * @property {boolean} watched whether it may be cancelled, or has a timeout
 * @property {readonly object[] | null} transferList moved at the submission, where workers share this process's memory
 * @property {(call: number) => unknown} argument what the worker is given; asked for when the call is sent
 * @property {(first: number, count: number, values: readonly unknown[], offset: number) => void} succeeded consecutive
 *   calls; the value of the first is at `offset`
 * @property {(call: number, error: unknown, text: string) => void} failed `text` is what the thrown value said of
 *   itself, in the worker
 * @property {(first: number, end: number, ending: Ending, explainFate: () => unknown) => void} ended consecutive calls
 *   that were not answered. `explainFate` makes an error that says what became of their worker, if that is why; else null
 * @property {AsyncResource} [resource] the async context of whoever submits; else that in which it is submitted
 * @property {Uint32Array | null} [keys] the key of each call, numbered in the order of their first call
 * @property {boolean} [stopKeyOnError]
 * @property {boolean} [spread] one call to each worker, also to those that are still starting
 * @property {import('./task-registry').Task | null} [task] what its calls run, where that is not the same for all of the pool
 * @property {boolean} [spreadArguments] whether an argument is a list of them
 * @property {number} [chunkSize] calls per frame; 0: as many as measurement says
 * @property {boolean} [unbounded] whether `maxQueue` is not for it
 */

/**
 * A job under way. `sized`: calls that were encoded together last, and their bytes per call.
 * @typedef {{ job: Job, left: number, tag: number, sized: { calls: number, bytes: number }, resource: AsyncResource }} Entry
 */

/**
 * A call whose value is encoded in steps.
 * @typedef {object} Long
 * @property {number} worker
 * @property {number} frame
 * @property {unknown} value
 * @property {number} tag
 * @property {import('../codec/codec').Parts} [parts]
 * @property {Generator<void, boolean>} [steps]
 */

class WorkerPool {
  #options;
  /** What looks after workers that are no processes. */
  #carrier;
  /** @type {any} */
  #native;
  /** @type {(keys?: Uint32Array | null, timeout?: number) => number} */
  #submit;
  /** @type {() => void} */
  #flush;
  /** @type {() => number[] | null} */
  #reply;
  #registers = createRegisters();
  /** @type {Map<string, any>} Clones that were made at the submission, by job and call. */
  #moved = new Map();
  /** @type {Map<number, Entry>} */
  #jobs = new Map();
  /** @type {Map<number, AsyncResource>} The contexts of jobs that settled while calls of theirs ran, the latest ones. */
  #cutOff = new Map();
  /** @type {Map<number, string>} The end of what workers printed as errors through here. */
  #lastWords = new Map();
  /** @type {InstanceType<typeof import('./task-registry').TaskRegistry> | null} Made for the first task. */
  #tasks = null;
  /** @type {Long[]} What is being encoded in steps. */
  #long = [];
  /** @type {Map<number, import('../codec/codec').Parts | null>} What has been, by frame; `null`: it has to be done at once. */
  #made = new Map();
  /** @type {(() => void)[]} */
  #beforeFlush = [];
  #flushScheduled = false;
  /** @type {ReturnType<typeof withResolvers> | null} */
  #ready = null;
  #whenClosed = withResolvers();
  /** @type {ReturnType<typeof withResolvers> | null} The same, once it is asked for. */
  #closed = null;
  /** @type {Map<string, { decoder: import('node:string_decoder').StringDecoder, rest: string }>} Unfinished lines, by worker and stream. */
  #lines = new Map();

  /** @param {Readonly<OptionsOfPool>} options */
  constructor(options) {
    /** @type {Required<OptionsOfPool>} */
    this.#options = { concurrency: 1, initializer: null, initArgs: [], ...options };
    this.#carrier = this.#makeCarrier();
    this.#native = new (native().NativePool)(JSON.stringify(nativeConfig(this.#options)), {
      ...this.#carrier?.hooks,
      encode: () => this.#passEncoded(),
      answered: this.#passAnswered.bind(this),
      ended: this.#ended.bind(this),
      ready: this.#becameReady.bind(this),
      output: this.#output.bind(this),
      printed: this.#printed.bind(this),
      event: this.#event.bind(this),
      closed: () => {
        this.#letGo();
        this.#closed?.resolve();
      },
    }, this.#initParts(), this.#registers);
    this.#submit = this.#native.submitter();
    this.#flush = this.#native.flusher();
    this.#reply = this.#native.replier();
    // A map that gets empty is made anew each time.
    this.#jobs.set(Number.NaN, /** @type {any} */ (undefined));
    // While workers start there is time, and an unused instance keeps no process alive.
    setImmediate(loadRest).unref();
  }

  /**
   * Queues a job: all of it, or none.
   * @param {Job} job
   * @returns {number} its number, to cancel it by
   */
  submit(job) {
    const {
      calls, keys = null, stopKeyOnError = false, timeoutMs, retries, spread = false, task = null, chunkSize = 0,
      unbounded = false,
    } = job;
    const registers = this.#registers;
    registers[ARGUMENT_WORD] = calls;
    registers[ARGUMENT_WORD + 1] = Math.min(retries, MAX_COUNT);
    registers[ARGUMENT_WORD + 2] = task?.id ?? 0;
    registers[ARGUMENT_WORD + 3] = Math.min(chunkSize, MAX_COUNT);
    registers[ARGUMENT_WORD + 4] =
      (stopKeyOnError ? STOPS_KEY : 0) | (spread ? SPREAD_OUT : 0) | (unbounded ? UNBOUNDED : 0) | (this.#isMoved(job) ? SENT_ONCE : 0);
    const id = keys === null && timeoutMs === 0 ? this.#submit() : this.#submit(keys, timeoutMs);
    if (id === -1) throw closedError(job.what);
    if (id < 0) throw queueFullError(-2 - id, this.#options.maxQueue ?? 0, calls);
    const tag = task === null ? 0 : tasks().tagOf(task, job.spreadArguments === true);
    // Callbacks run in the async context of whoever submitted.
    const resource = job.resource ?? new AsyncResource('ParallelizerJob');
    this.#jobs.set(id, { job, left: calls, tag, sized: { calls: 0, bytes: 0 }, resource });
    this.#moveNow(id, job, tag);
    this.scheduleFlush();
    return id;
  }

  /**
   * What calls can run, by number.
   * @param {unknown} task as the user gave it
   */
  taskOf(task) {
    return (this.#tasks ??= new (tasks().TaskRegistry)()).of(task);
  }

  /**
   * Whether a job is under way.
   * @param {number} id
   */
  has(id) {
    return this.#jobs.has(id);
  }

  /**
   * How many calls of a task a worker gets at once, by what is known of their cost and size.
   * @param {import('./task-registry').Task} task
   * @returns {number}
   */
  callsPerFrame({ id, bytes }) {
    return Math.min(this.#native.callsPerFrame(id), Math.max(1, Math.ceil(FULL_FRAME / bytes)));
  }

  /**
   * Has something done before what was submitted in this turn goes out.
   * @param {() => void} act
   */
  beforeFlush(act) {
    this.#beforeFlush.push(act);
  }

  /**
   * Resolves when no worker is at a call any more of a job that has settled. Those that are after so many milliseconds
   * are killed, as the end of the grace period would have it.
   * @param {number} id @param {number} limit
   */
  async whenQuiet(id, limit) {
    const start = performance.now();
    for (let wait = 1; this.#native.remains(id, false) > 0 && performance.now() - start < limit; wait *= 2) {
      await sleep(Math.min(wait, LONGEST_LOOK, Math.max(1, limit - (performance.now() - start))));
    }
    this.#native.killRemains(id);
    const killed = performance.now();
    while (this.#native.remains(id, true) > 0 && performance.now() - killed < LONGEST_DEATH) await sleep(1);
  }

  get isClosed() {
    return this.#closed !== null;
  }

  /** `null` where the native side looks after the workers itself. */
  #makeCarrier() {
    const options = this.#options;
    const self = this;
    const side = {
      get native() {
        return self.#native;
      },
      encode: this.#encode.bind(this),
      answered: this.#answered.bind(this),
      output: this.#output.bind(this),
      flush: () => this.#flush(),
      reply: () => this.#reply(),
      registers: this.#registers,
    };
    const initParts = this.#initParts.bind(this);
    if (options.type === PARALLELIZER_INLINE) {
      return new (require('../carriers/inline-carrier').InlineCarrier)(side, initOf(options), initParts);
    }
    if (options.type !== PARALLELIZER_THREADS) return null;
    const { ThreadCarrier } = require('../carriers/thread-carrier');
    return new ThreadCarrier(side, options, initOf(options), initParts, heapLimits(options), native());
  }

  /** What workers are handed when they start: the arguments of the initializer. */
  #initParts() {
    /** @type {import('../codec/codec').Parts} */
    const parts = [];
    const { initializer, initArgs, serialization } = this.#options;
    if (initializer === null) return parts;
    encodeValues([initArgs], serialization, this.#carrier?.clones ?? null, parts, 0, (_index, error) => {
      throw error;
    });
    return parts;
  }

  /**
   * Encodes calls at once, and detaches what they transfer.
   * @param {number} id @param {Job} job @param {number} tag
   */
  #moveNow(id, job, tag) {
    const clones = this.#carrier?.clones;
    if (job.transferList === null || clones === undefined) return;
    const left = new Set(job.transferList);
    for (let call = 0; call < job.calls; call++) {
      /** @type {import('../codec/codec').Parts} */
      const parts = [];
      const failed = (/** @type {Error} */ error) => this.#moved.set(`${id} ${call}`, error);
      const value = job.argument(call);
      try {
        const share = takeShare(value, left, call === job.calls - 1);
        pushClone(value, share, this.#options.serialization, clones, parts, tag | WATCHED, failed);
      } catch (cause) {
        // A getter or a Proxy of the user's, or data deeper than the stack.
        failed(serializationError('the value', value, cause));
      }
      if (parts.length > 0) this.#moved.set(`${id} ${call}`, parts);
    }
  }

  /**
   * Settles what is left of a job as aborted.
   * @param {number} id
   */
  cancel(id) {
    if (this.#jobs.has(id)) this.#native.cancel(id);
  }

  /**
   * Settles the calls of a job from this one on as aborted; those that run are told, and left to it.
   * @param {number} id @param {number} [from]
   */
  drop(id, from = 0) {
    if (this.#jobs.has(id)) this.#native.dropCalls(id, from);
  }

  /** @returns {Promise<void>} */
  ready() {
    if (this.#closed !== null) return Promise.reject(closedError('ready()'));
    if (this.#ready !== null) return this.#ready.promise;
    const waiting = (this.#ready = withResolvers());
    this.#native.awaitReady();
    return waiting.promise;
  }

  removeWorkers() {
    if (this.#closed === null) this.#native.removeWorkers();
  }

  /** Finishes what was accepted, then stops the workers. */
  close() {
    const promise = this.#closing();
    this.#native.close();
    return promise;
  }

  /** Settles what is unfinished, and kills the workers. */
  terminate() {
    const promise = this.#closing();
    this.#native.terminate();
    return promise;
  }

  /** @returns {import('../../index').Stats} */
  stats() {
    const stats = JSON.parse(this.#native.stats());
    if (this.#carrier === null) return stats;
    const { bytesSent, bytesReceived } = this.#carrier;
    return { ...stats, bytesSent, bytesReceived };
  }

  /** After the last worker: the native pool refers to this object, and would keep itself alive through it. */
  #letGo() {
    const stats = this.#native.stats();
    const nothing = () => {};
    this.#submit = () => -1;
    this.#flush = nothing;
    this.#reply = () => [];
    this.#native = {
      stats: () => stats,
      jobOf: () => -1,
      workerReplied: () => [],
      cancel: nothing,
      dropCalls: nothing,
      isDeferred: () => false,
      remains: () => 0,
      killRemains: nothing,
      sendDeferred: nothing,
      callsPerFrame: () => 1,
      close: nothing,
      terminate: nothing,
      removeWorkers: nothing,
      workerReady: nothing,
      workerLoadFailed: nothing,
      workerMemory: nothing,
      workerGivenUp: nothing,
      workerExited: nothing,
    };
  }

  /**
   * When `close` or `terminate`, which somebody calls, has been carried out.
   * @returns {Promise<void>}
   */
  whenClosed() {
    return this.#whenClosed.promise;
  }

  #closing() {
    this.#closed ??= this.#whenClosed;
    return this.#closed.promise;
  }

  /** What is submitted in one turn goes out together. */
  scheduleFlush() {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    process.nextTick(() => {
      for (const act of this.#beforeFlush) act();
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  // ---- What the native side asks and tells ------------------------------------------------------------------------

  /**
   * Whether what a job transfers has left this side, so that its calls can be sent once only.
   * @param {Job} job
   */
  #isMoved(job) {
    return job.transferList !== null && this.#carrier !== null;
  }

  /** `#encode`, as the native side asks for it. */
  #passEncoded() {
    const registers = this.#registers;
    const at = ARGUMENT_WORD;
    const [start, end, frame, before] = [registers[at + 3], registers[at + 4], registers[at + 5], registers[at + 6]];
    const parts = this.#encode(registers[at], longAt(registers, at + 1), start, end, frame, before);
    return passParts(registers, parts);
  }

  /**
   * `#answered`, as the native side tells it.
   * @param {string | Buffer} value @param {import('../codec/codec').Parts | null} extras
   */
  #passAnswered(value, extras) {
    const registers = this.#registers;
    const [codec, flags, tag] = [registers[1], registers[2], registers[4]];
    const at = ARGUMENT_WORD;
    const [first, count, offset] = [registers[at + 2], registers[at + 3], registers[at + 4]];
    this.#answered(longAt(registers, at), first, count, offset, flags, codec, tag, value, extras);
  }

  /**
   * Encodes calls, or the first of them: as many as fit into a frame.
   * @param {number} worker @param {number} id @param {number} start @param {number} end
   * @param {number} frame @param {number} before how many calls it has already
   * @returns {import('../codec/codec').Parts | null} `null`: the first of them takes long; if the frame has no others, it is put
   *   off until `#encodeInSteps` has made it
   */
  #encode(worker, id, start, end, frame, before) {
    const { job, tag, sized } = /** @type {Entry} */ (this.#jobs.get(id));
    const made = this.#made.get(frame);
    const { serialization } = this.#options;
    const isMoved = this.#isMoved(job);
    // Once: to make it may cut a batch.
    const firstValue = isMoved || made ? undefined : job.argument(start);
    if (made === undefined && isLong(firstValue, serialization)) {
      if (before === 0) this.#encodeInSteps({ worker, frame, value: firstValue, tag: tag | WATCHED });
      return null;
    }
    /** @type {import('../codec/codec').Parts} */
    const parts = [];
    if (job.task) this.#tasks?.teach(worker, job.task, parts);
    const failed = (/** @type {number} */ call, /** @type {Error} */ error) => {
      parts.push(LATIN1, 0, SKIPPED, 1, 0, '');
      // Later: the native side has to book it first, or whatever the caller does about it would settle it again.
      process.nextTick(() => this.#fail(id, call, error, String(error)));
    };
    if (made) {
      for (const field of made) parts.push(field);
      return parts;
    }
    if (isMoved) {
      for (let call = start; call < end; call++) {
        const moved = this.#moved.get(`${id} ${call}`);
        this.#moved.delete(`${id} ${call}`);
        // It was sent before, to a worker that died without beginning it, and is gone with that.
        if (moved === undefined) failed(call, workerExited({}));
        else if (moved instanceof Error) failed(call, moved);
        else parts.push(...moved);
      }
      return parts;
    }
    const clones = this.#carrier?.clones ?? null;
    // What is done must not be lost with a process that is killed in the next call. Whatever ends a thread but a full
    // heap lets it write out what it has, so that answers of unwatched calls may wait a millisecond for company; and
    // so may those of calls so short that it would take longer to write them out one by one.
    const isPatient = !job.watched && (this.#carrier !== null || (job.task !== null && end - start > CHEAP));
    const flags = isPatient ? tag : tag | WATCHED;
    let bytes = 0;
    for (let at = start; at < end && bytes < FULL_FRAME; ) {
      const fitting = sized.bytes === 0 ? MAX_SLICE : Math.floor((FULL_FRAME - bytes) / sized.bytes);
      // What is not known to be small is met step by step.
      const count = Math.max(1, Math.min(end - at, fitting, MAX_SLICE, sized.calls * 4));
      const first = at;
      /** @type {unknown[]} */
      const values = [];
      for (const stop = at + count; at < stop; at++) {
        const value = at === start ? firstValue : job.argument(at);
        if (at > start && isLong(value, serialization)) {
          end = at;
          break;
        }
        values.push(value);
      }
      if (values.length === 0) break;
      const place = parts.length;
      encodeValues(values, serialization, clones, parts, flags, (index, error) => failed(first + index, error));
      const size = sizeOf(parts, place);
      bytes += size;
      sized.calls = values.length;
      sized.bytes = size / values.length;
    }
    if (job.task) job.task.bytes = sized.bytes;
    return parts;
  }

  /**
   * Encodes the only call of a frame while the event loop turns, and sends it.
   * @param {Long} long
   */
  #encodeInSteps(long) {
    this.#long.push(long);
    if (this.#long.length === 1) setImmediate(() => this.#encodeOn());
  }

  /** One after another: several at a time would hold the loop for as long as all of them. */
  #encodeOn() {
    const [long] = this.#long;
    const { worker, frame, value, tag } = long;
    /** @type {import('../codec/codec').Parts} */
    const parts = (long.parts ??= []);
    const steps = (long.steps ??= pushRecordsInSteps(value, parts, tag));
    let isDone = !this.#native.isDeferred(worker, frame);
    if (!isDone) {
      const until = performance.now() + STEPS_MS;
      let step = steps.next();
      while (!step.done && performance.now() < until) step = steps.next();
      // What is not for this codec goes the usual way, at once.
      if (step.done) this.#made.set(frame, step.value ? parts : null);
      isDone = step.done === true;
    }
    if (isDone) {
      this.#native.sendDeferred(worker, frame);
      this.#made.delete(frame);
      // Not before: what is sent next may be put off as well.
      this.#long.shift();
    }
    if (this.#long.length > 0) setImmediate(() => this.#encodeOn());
  }

  /**
   * @param {number} id @param {number} first @param {number} count @param {number} offset where in the part
   * @param {number} flags @param {number} codec @param {number} _tag @param {string | Buffer} value
   * @param {import('../codec/codec').Parts | null} extras
   */
  #answered(id, first, count, offset, flags, codec, _tag, value, extras) {
    if ((flags & FAILED) !== 0) {
      for (let i = 0; i < count; i++) {
        const { error, text } = codec === ERROR_TREE ? thrown(/** @type {string} */ (value)) : unreadable(reasonIn(value));
        this.#fail(id, first + i, error, text);
      }
      return;
    }
    let values;
    try {
      const clones = this.#carrier?.clones ?? null;
      values = decodeValues(codec, value, offset + count, extras === null ? [] : valuesOf(extras), clones);
    } catch (cause) {
      for (let i = 0; i < count; i++) {
        const { error, text } = unreadable(cause);
        this.#fail(id, first + i, error, text);
      }
      return;
    }
    const entry = this.#settled(id, count);
    if (entry === null) return;
    const { task } = entry.job;
    // Parts that only structured clone can carry have no length.
    if (task) task.bytes = Math.max(task.bytes, (value.length ?? 0) / (offset + count));
    if (entry.job.transferList !== null) for (let i = 0; i < count; i++) this.#moved.delete(`${id} ${first + i}`);
    entry.resource.runInAsyncScope(entry.job.succeeded, entry.job, first, count, values, offset);
  }

  /** @param {number} id @param {number} first @param {number} end @param {Ending} ending @param {string | null} detail */
  #ended(id, first, end, ending, detail) {
    const entry = this.#settled(id, end - first);
    if (entry === null) return;
    // What they print before they stop is theirs.
    if (ending === 'aborted' || ending === 'timedOut') keepLatest(this.#cutOff, id, entry.resource);
    if (entry.job.transferList !== null) for (let call = first; call < end; call++) this.#moved.delete(`${id} ${call}`);
    const explainFate = () => (detail === null ? null : this.#explainFate(detail, ending));
    entry.resource.runInAsyncScope(entry.job.ended, entry.job, first, end, ending, explainFate);
  }

  /** @param {number} id @param {number} call @param {unknown} error @param {string} text */
  #fail(id, call, error, text) {
    const entry = this.#settled(id, 1);
    if (entry === null) return;
    if (entry.job.transferList !== null) this.#moved.delete(`${id} ${call}`);
    entry.resource.runInAsyncScope(entry.job.failed, entry.job, call, error, text);
  }

  /** @param {number} id @param {number} calls */
  #settled(id, calls) {
    const entry = this.#jobs.get(id);
    if (entry === undefined) return null;
    entry.left -= calls;
    if (entry.left === 0) this.#jobs.delete(id);
    return entry;
  }

  /** @param {Ending | null} ending @param {string | null} detail */
  #becameReady(ending, detail) {
    const waiting = this.#ready;
    this.#ready = null;
    if (ending === null) waiting?.resolve();
    else waiting?.reject(detail === null ? closedError('ready()') : this.#explainFate(detail, ending));
  }

  /**
   * What says what became of a worker: an error, or what the initializer has thrown.
   * @param {string} detail @param {Ending} ending
   * @returns {unknown}
   */
  #explainFate(detail, ending) {
    /** @type {Fate} */
    const fate = JSON.parse(detail);
    if (typeof fate.loadError === 'string') {
      const { error: value } = thrown(fate.loadError);
      const { filePath } = this.#options;
      const isWhole = value instanceof ParallelizerError || filePath === null;
      return isWhole ? value : moduleError(filePath, { cause: value });
    }
    const words = this.#lastWords.get(fate.worker);
    if (words !== undefined) fate.stderr = words + (fate.stderr ?? '');
    const cause = this.#carrier?.lastErrors.get(fate.worker);
    const error = fate.errno !== undefined ? spawnFailedError(fate)
      : workerExited({ ...fate, duringBoot: ending === 'bootFailed' });
    if (typeof fate.protocol === 'string') error.cause = protocolError(fate.protocol);
    else if (cause !== undefined) error.cause = cause;
    return error;
  }

  /** @param {number} id @param {import('../codec/codec').Parts} parts @param {number} [worker] */
  #output(id, parts, worker) {
    const message = printedBy(parts);
    if (message === null) return;
    if (worker !== undefined && ON_STDERR.includes(message[0])) this.#rememberWords(worker, message[1]);
    const resource = this.#jobs.get(id)?.resource ?? this.#cutOff.get(id);
    if (resource === undefined) printing().print(...message);
    else resource.runInAsyncScope(printing().print, null, ...message);
  }

  /**
   * What a worker prints through here never reaches its stderr, whose end is told with its death.
   * @param {number} worker @param {string} text
   */
  #rememberWords(worker, text) {
    keepLatest(this.#lastWords, worker, `${this.#lastWords.get(worker) ?? ''}${text}\n`.slice(-MOST_WORDS));
  }

  /** @param {number} worker @param {'stdout' | 'stderr'} stream @param {Buffer} bytes */
  #printed(worker, stream, bytes) {
    const key = `${worker} ${stream}`;
    let lines = this.#lines.get(key);
    if (lines === undefined) this.#lines.set(key, (lines = { decoder: new (require('node:string_decoder').StringDecoder)('utf8'), rest: '' }));
    const text = lines.rest + lines.decoder.write(bytes);
    // What came at once is one message, however many lines it has: a stack trace stays whole.
    const end = text.lastIndexOf('\n');
    lines.rest = text.slice(end + 1);
    if (end >= 0) printing().print(stream === 'stdout' ? 'log' : 'error', text.slice(0, end), 'written');
  }

  /** @param {string} json */
  #event(json) {
    const { debug } = this.#options;
    const event = JSON.parse(json);
    if (event.event === 'exited' || event.event === 'handedBack') {
      this.#finishLines(event.worker);
      this.#tasks?.forget(event.worker);
    }
    if (debug) process.stderr.write(`${JSON.stringify({ parallelizer: this.#options.id, ...event })}\n`);
  }

  /** @param {number} worker */
  #finishLines(worker) {
    for (const stream of ['stdout', 'stderr']) {
      const key = `${worker} ${stream}`;
      const rest = this.#lines.get(key)?.rest ?? '';
      this.#lines.delete(key);
      if (rest !== '') printing().print(stream === 'stdout' ? 'log' : 'error', rest, 'written');
    }
  }
}

/**
 * Notes something, and forgets what was noted longest ago.
 * @template V
 * @param {Map<number, V>} map @param {number} key @param {V} value
 */
function keepLatest(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST_REMEMBERED) map.delete(/** @type {number} */ (map.keys().next().value));
}

/**
 * What a worker has to print, see print.js.
 * @param {import('../codec/codec').Parts} parts
 * @returns {[level: string, text: string, form?: import('./print').Form] | null} `null`: it is nothing that this library
 *   has sent
 */
function printedBy(parts) {
  try {
    const [level, text, form] = JSON.parse(/** @type {string} */ (parts[parts.length - 1]));
    return typeof level === 'string' && typeof text === 'string' ? [level, text, form] : null;
  } catch {
    return null;
  }
}

/** @param {string} tree */
function thrown(tree) {
  try {
    const parsed = JSON.parse(tree);
    return { error: errorCodec().restoreError(parsed), text: String(parsed.text) };
  } catch (cause) {
    return unreadable(cause);
  }
}

/**
 * Why the native side could not read a value: it has put a text in its place.
 * @param {unknown} value
 */
function reasonIn(value) {
  return typeof value === 'string' ? new Error(value) : undefined;
}

/** @param {unknown} [cause] */
function unreadable(cause) {
  const isTooDeep = cause instanceof ParallelizerError;
  const error = isTooDeep ? cause : protocolError('a result that cannot be decoded', cause);
  return { error, text: String(error) };
}

/** @returns {{ promise: Promise<void>, resolve: () => void, reject: (error: unknown) => void }} */
function withResolvers() {
  /** @type {any} */
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  return deferred;
}

/** Loads the rest, while there are descriptors to open files with; a long-lived process may use them all up later. */
function loadRest() {
  loadAll();
  for (const load of [errorCodec, printing, tasks]) load();
}

/** The addon; a thread that only asks where it runs must not load it. */
function native() {
  return require('../native/native');
}

/**
 * Takes the objects to be transferred that go with a value: those that it refers to; the last one takes the rest.
 * @param {unknown} value @param {Set<object>} left @param {boolean} isLast
 * @returns {object[]}
 */
function takeShare(value, left, isLast) {
  /** @type {object[]} */
  const share = [];
  visit(value, new Set(), (found) => {
    if (left.delete(found)) share.push(found);
  });
  return isLast ? [...share, ...left] : share;
}

/**
 * @param {unknown} value @param {Set<unknown>} seen @param {(found: object) => void} act
 */
function visit(value, seen, act) {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  act(value);
  if (ArrayBuffer.isView(value)) act(value.buffer);
  else if (value instanceof Map) for (const pair of value) visit(pair, seen, act);
  else if (value instanceof Set) for (const item of value) visit(item, seen, act);
  else for (const item of Object.values(value)) visit(item, seen, act);
}

/**
 * The heap of each worker: its share on Lambda, unless the user says otherwise.
 * @param {Readonly<Required<OptionsOfPool>>} options
 */
function heapLimits(options) {
  const heap = workerHeapMegabytes(options.workers);
  return { ...(heap === null ? {} : { maxOldGenerationSizeMb: heap }), ...options.resourceLimits };
}

/**
 * What a worker is told first.
 * @param {Readonly<Required<OptionsOfPool>>} options
 * @returns {import('../worker/serve').Init}
 */
function initOf(options) {
  const { depth, ancestry } = surroundings();
  return {
    filePath: options.filePath,
    functionName: options.functionName,
    initializer: options.initializer === null ? null : initializerOf(options.initializer),
    concurrency: options.concurrency,
    serialization: options.serialization,
    forward: options.stdio === 'forward',
    structured: printing().logsJson(),
    reportMemory: options.maxWorkerMemory > 0,
    depth: depth + 1,
    ancestry: options.filePath === null ? [...ancestry] : [...ancestry, options.filePath],
  };
}

/** @param {unknown} task as the user gave it */
function initializerOf(task) {
  // The number of its own pool's tasks that none of them has.
  const { definition } = new (tasks().TaskRegistry)().of(task, 'initializer');
  const own = { id: 0, definition, bytes: 0 };
  return { tag: tasks().tagOf(own, true), definition: tasks().definitionText(own) };
}

/**
 * What the native side needs to know.
 * @param {Readonly<Required<OptionsOfPool>>} options
 */
function nativeConfig(options) {
  const isProcess = options.type !== PARALLELIZER_THREADS && options.type !== PARALLELIZER_INLINE;
  return {
    workers: options.workers,
    maxQueue: options.maxQueue,
    maxCallsPerWorker: options.maxBatchesPerWorker,
    maxWorkerMemory: options.maxWorkerMemory,
    idleTimeout: options.idleTimeoutMs,
    gracePeriod: options.gracePeriodMs,
    shareKey: options.shared && options.type !== PARALLELIZER_INLINE ? shareKey(options) : null,
    // A worker's module may build an instance as it loads; only one that is used may start more workers.
    lazy: surroundings().depth > 0,
    concurrency: Math.min(options.concurrency, MAX_COUNT),
    spinCpus: options.spin === 'auto' && options.type !== PARALLELIZER_INLINE ? spareableCpus() : 0,
    ...(isProcess ? { process: processConfig(options) } : {}),
  };
}

/**
 * Says which pools have the same workers: those that would start and replace them in the same way.
 * @param {Readonly<Required<OptionsOfPool>>} options
 */
function shareKey(options) {
  const { id, type, workers, maxBatchesPerWorker, maxWorkerMemory, idleTimeoutMs, stdio } = options;
  const env = options.env ?? inheritedEnv();
  return JSON.stringify([
    id, type, workers, maxBatchesPerWorker, maxWorkerMemory, idleTimeoutMs, stdio,
    options.execArgv ?? inheritedExecArgv(),
    heapLimits(options),
    // Threads of one host may list it in different orders.
    Object.keys(env).sort().map((name) => [name, env[name]]),
    initOf(options),
  ]);
}

/** @param {Readonly<Required<OptionsOfPool>>} options */
function processConfig(options) {
  const flags = resourceLimitFlags(heapLimits(options));
  const env = options.env ?? inheritedEnv();
  const execArgv = options.execArgv ?? inheritedExecArgv();
  return {
    program: process.execPath,
    args: [...execArgv, ...flags, '--input-type=commonjs', '-e', PROCESS_SCRIPT, native().addonPath()],
    env: Object.keys(env).map((name) => `${name}=${env[name]}`),
    stdio: options.stdio,
    init: JSON.stringify(initOf(options)),
  };
}

module.exports = { WorkerPool };
