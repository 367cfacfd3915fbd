'use strict';

/**
 * One pool of workers, as the public classes use it: jobs in, outcomes out.
 *
 * The native pool schedules calls, which it knows by their numbers only. This class passes on what each side says to
 * the other. Of the files beside it, job-table settles calls, call-encoder and moved-calls encode them, exit-error and
 * answer-error explain their failures, worker-config and worker-output know the workers, task-registry the functions.
 *
 * Must not depend on sub-batches, items, or options that are not its own.
 */

const { AsyncResource } = require('node:async_hooks');
const { closedError, queueFullError, tooLargeError, workersOutliveError } = require('../errors');
const { nextTick } = require('../intrinsics/clock');
const { fromJson, parse } = require('../intrinsics/json');
const { withResolvers } = require('../intrinsics/list');
const { once } = require('../intrinsics/once');
const { PARALLELIZER_CHILD, PARALLELIZER_INLINE } = require('../options/options');
const { ARGUMENT_WORD, CODEC_FIELD, FLAGS_FIELD, TAG_FIELD } = require('../transport/constants');
const { createRegisters, longAt, passParts } = require('../transport/registers');
const { carrierFor, spinCpus } = require('./carrier-for');
const { CostMeter } = require('./cost-meter');
const { exitErrors, explainExit } = require('./explain-exit');
const { LaterLoads } = require('./later-loads');
const { PoolObserver, openChannels } = require('./observers');
const { nameRun, runIdOf } = require('./run-id');
const {
  assertCanStart, initParts, isTraced, isWithin, nativeConfig, newPool, programOf, schedulerOf,
} = require('./worker-config');

// Not needed to start workers, and loaded while they start.
const codec = once(() => require('../codec/codec'));
const jobTable = once(() => require('./job-table'));
const callEncoder = once(() => require('./call-encoder'));
const workerOutput = once(() => require('./worker-output'));
const tasks = once(() => require('./task-registry'));
const watchedCalls = once(() => require('./watched-calls'));
const closedNative = once(() => require('../native/closed-native'));
/** A thread that only asks where it runs must not load the addon. @returns {any} */
const native = () => require('../native/native');

/** Events that are for whoever watches, and not for the option `debug`. */
const OBSERVED_ONLY = ['gone', 'queue', 'recall'];

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {Parameters<InstanceType<typeof import('./job-table').JobTable>['emitted']>} Emitted */
/** @typedef {import('./worker-config').OptionsOfPool} OptionsOfPool */
/** @typedef {import('./job-table').Ending} Ending */
/** @typedef {import('./job-table').Job} Job */
/** @typedef {InstanceType<typeof import('../carriers/remote-carrier').RemoteCarrier>} RemoteCarrier */

class WorkerPool {
  #options;
  /** @type {import('../codec/codec').Clones | null} How values travel that have no bytes; `null` between processes. */
  #clones;
  /** What looks after workers that are not processes. */
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
  /** @type {InstanceType<typeof import('./moved-calls').MovedCalls> | null} */
  #moved;
  #jobs;
  #passJob;
  #encoder;
  /** What is not needed for the first result. */
  later;
  #meter;
  /** @type {InstanceType<typeof import('./advisor').Advisor> | null} Made when somebody asks. */
  #advisor = null;
  #debugLog;
  /** @type {InstanceType<typeof import('./timeline').Timeline> | null} What is kept of what its workers did. */
  timeline;
  /** Who watches what happens here. */
  observer;
  /** @type {InstanceType<typeof import('./worker-output').WorkerOutput> | null} Made for the first output. */
  #output = null;
  /** @type {InstanceType<typeof import('./task-registry').TaskRegistry> | null} Made for the first task. */
  #tasks = null;
  /** @type {(() => void)[]} */
  #beforeFlush = [];
  #flushScheduled = false;
  /** @type {ReturnType<typeof withResolvers> | null} */
  #ready = null;
  #whenClosed = withResolvers();
  /** @type {ReturnType<typeof withResolvers> | null} The same, once closing was asked for. */
  #closed = null;

  /** @param {Readonly<OptionsOfPool>} options */
  constructor(options) {
    /** @type {Required<OptionsOfPool>} */
    this.#options = { batchSize: 0, concurrency: 1, initializer: null, initArgs: [], ...options };
    this.later = new LaterLoads(this.#options.type);
    this.#meter = new CostMeter(this.#options);
    const { NativePool } = native();
    assertCanStart(this.#options);
    this.#clones = isWithin(this.#options) ? require('../transport/ports').clones : null;
    const { serialization } = this.#options;
    this.#moved = this.#clones && new (require('./moved-calls').MovedCalls)(this.#clones, serialization);
    this.#debugLog = options.debug ? new (require('./debug-log').DebugLog)(options.id) : null;
    if (schedulerOf(native()) === 'wasm') this.#debugLog?.write({ event: 'fallback', reason: native().reason });
    this.timeline = isTraced(this.#options) ? require('./trace-file').newTimeline(this.#options) : null;
    this.observer = this.#makeObserver();
    // First what may throw: then a carrier connects, and workers are being started when this returns.
    const parts = initParts(this.#options, this.#clones);
    this.#carrier = carrierFor(this.#options, this.#clones, () => this.#side(), native());
    this.#native = newPool(NativePool, nativeConfig(this.#options, schedulerOf(native())), {
      ...this.#carrier?.hooks,
      encode: () => this.#passEncoded(),
      answered: this.#passAnswered.bind(this),
      ended: this.#ended.bind(this),
      ready: this.#becameReady.bind(this),
      emitted: (/** @type {Emitted} */ ...message) => this.#jobs.emitted(...message),
      message: this.#print.bind(this),
      written: this.#printWritten.bind(this),
      event: this.#event.bind(this),
      closed: (/** @type {string} */ outliving) => {
        this.#letGo();
        if (outliving !== '[]') this.#closed?.reject(workersOutliveError(parse(outliving)));
        else if (this.lanes === null) this.#closed?.resolve();
        else void this.lanes.close().finally(() => this.#closed?.resolve());
      },
    }, parts, this.#registers);
    // Only now: it reads several files.
    const cpus = spinCpus(options, this.#carrier);
    if (cpus !== null) this.#native.setSpinCpus(cpus);
    this.#jobs = new (jobTable().JobTable)(this.#clones, this.#moved, this.#debugLog, this.timeline, this.#meter);
    this.#passJob = jobTable().passJob;
    this.#submit = this.#native.submitter();
    this.#flush = this.#native.flusher();
    this.#reply = this.#native.replier();
    this.#encoder = new (callEncoder().CallEncoder)({
      jobs: this.#jobs,
      moved: this.#moved,
      serialization,
      clones: this.#clones,
      isInline: options.type === PARALLELIZER_INLINE,
      sendDefinition: (worker, task, parts) =>
        void (this.#carrier?.define(task) || this.#tasks?.sendDefinition(worker, task, parts)),
      failed: (jobId, call, error) => this.#jobs.fail(jobId, call, error, String(error)),
      isDeferred: (worker, frame) => this.#native.isDeferred(worker, frame),
      sendDeferred: (worker, frame) => this.#native.sendDeferred(worker, frame),
      debugLog: this.#debugLog,
      timeline: this.timeline,
      meter: this.#meter,
    });
    this.later.addNext(tasks);
    this.later.addNext(watchedCalls);
    this.later.add(loadRest);
    // It measures from then on.
    if (this.#options.type === PARALLELIZER_INLINE) this.later.add(() => void this.#openAdvisor());
  }

  // ---- Jobs -------------------------------------------------------------------------------------------------------

  /**
   * Queues a job: all of it, or none.
   * @param {Job} job @returns {number} its number, to cancel it by
   * @param {import('./job-table').Entry['tracing']} [tracing] told of its calls; default: what channels ask for
   */
  submit(job, tracing) {
    const { calls, keys, timeout, task } = job;
    // First come, first served: what was gathered before it comes before it.
    this.#beforeFlush.forEach((act) => act());
    this.later.loadAfter(job);
    const moved = job.transferList === null ? null : this.#moved;
    this.#passJob(this.#registers, job, moved !== null);
    const limit = this.lanes === null ? timeout : 0; // Hosts keep it themselves.
    const jobId = keys === null && limit === 0 ? this.#submit() : this.#submit(keys, limit);
    if (jobId < 0) {
      if (jobId < -1) this.observer.refused(-2 - jobId);
      const error = jobId === -1 ? closedError(job.what)
        : queueFullError(-2 - jobId, this.#options.maxQueue ?? 0, calls);
      throw nameRun(error, () => runIdOf(job, 0));
    }
    const tag = ((task === null ? 0 : tasks().tagOf(task, job.spreadArguments)) | jobTable().talkOf(job)) >>> 0;
    const resource = job.resource ?? new AsyncResource('ParallelizerJob'); // Callbacks run in the submitter's context.
    this.#jobs.add(jobId, job, tag, resource, tracing ?? watchedCalls().tracingOf(job, this.#options, this.observer));
    this.#debugLog?.submitted(job);
    moved?.add(jobId, tag, job, job.transferList ?? [], () => this.#jobs.has(jobId));
    this.scheduleFlush();
    return jobId;
  }

  /**
   * The task that calls can run, with its number.
   * @param {unknown} task as the user gave it @param {boolean} [mayYield] whether it may be a generator function
   */
  taskOf(task, mayYield = false) {
    const found = (this.#tasks ??= new (tasks().TaskRegistry)()).of(task, 'task', mayYield);
    this.#carrier?.checkTask(found);
    return found;
  }

  /** Whether a job is in progress. @param {number} jobId */
  has(jobId) {
    return this.#jobs.has(jobId);
  }

  /**
   * How many calls of a task are half of what a worker may have in flight, by what is known of their cost and size,
   * and of how late this thread looks after its workers.
   * @param {import('./task-registry').Task} task @returns {number}
   */
  callsAhead({ id, bytes }) {
    return Math.min(this.#native.callsAhead(id), callEncoder().callsThatFit(bytes));
  }

  /** How long a call of a task takes, in microseconds, as far as is known; 0: nothing is. @param {number} taskId */
  callCost(taskId) {
    return this.#native.callCost(taskId);
  }

  /** Calls `act` before anything is submitted, and before what was goes out. @param {() => void} act */
  beforeFlush(act) {
    this.#beforeFlush.push(act);
  }

  /** What is submitted in one turn goes out together. */
  scheduleFlush() {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    nextTick(() => {
      if (this.#flushScheduled) this.flush();
    });
  }

  /** What was submitted goes out now. */
  flush() {
    this.#beforeFlush.forEach((act) => act());
    this.#flushScheduled = false;
    this.#meter.flush(this.#flush);
  }

  /** Settles what is left of a job as aborted. @param {number} jobId */
  cancel(jobId) {
    if (!this.#jobs.has(jobId)) return;
    this.#carrier?.withdraw(jobId, 0, true);
    this.#native.cancel(jobId);
  }

  /**
   * Tells the scheduler about the only call of a job.
   * @param {number} jobId
   * @param {'demand' | 'pause' | 'forbidRetries'} what demand: so many of the values that it yields were taken; pause:
   *   it waits for its reader, so its time does not pass
   * @param {number[]} about
   */
  tell(jobId, what, ...about) {
    if (this.#jobs.tells(jobId, what)) this.#native[what](jobId, ...about);
  }

  /** The reader of a job's only call leaves: if that runs, it is told; if not, it never does. @param {number} jobId */
  leave(jobId) {
    if (this.#jobs.tells(jobId, 'demand') && !this.#native.leave(jobId)) this.drop(jobId);
  }

  /**
   * Settles the calls of a job from this one on as aborted; those that run are told, and left to finish.
   * @param {number} jobId @param {number} [from]
   */
  drop(jobId, from = 0) {
    if (!this.#jobs.has(jobId)) return;
    this.#carrier?.withdraw(jobId, from, false);
    this.#native.dropCalls(jobId, from);
  }

  /**
   * Resolves when no worker runs a call any more of a job that has settled; see quiet.js.
   * @param {number} jobId @param {number} limit
   */
  whenQuiet(jobId, limit) {
    return require('./quiet').whenQuiet(() => this.#native, jobId, limit);
  }

  // ---- The life of the pool ---------------------------------------------------------------------------------------

  /** @returns {Promise<void>} */
  ready() {
    if (this.#closed !== null) return Promise.reject(closedError('ready()'));
    if (this.#ready !== null) return this.#ready.promise;
    const waiting = (this.#ready = withResolvers());
    this.#native.awaitReady();
    this.later.loadNext();
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

  #closing() {
    this.#closed ??= this.#whenClosed;
    return this.#closed.promise;
  }

  get isClosed() {
    return this.#closed !== null;
  }

  /** Resolves when `close` or `terminate`, which somebody calls, has been carried out. @returns {Promise<void>} */
  whenClosed() {
    return this.#whenClosed.promise;
  }

  /** After the last worker: the native pool refers to this object, and would keep itself alive through it. */
  #letGo() {
    this.#native = closedNative().closedNative(this.#native.stats());
    this.#submit = () => -1;
    this.#flush = () => {};
    this.#reply = () => [];
    this.#carrier?.letGo();
    // It keeps async contexts for what workers may still print.
    this.#output = null;
  }

  /** @returns {import('../../index').Stats} */
  stats() {
    const stats = { ...parse(this.#native.stats()), scheduler: schedulerOf(native()) };
    this.#carrier?.addTo(stats);
    return { ...stats, advice: this.#openAdvisor().advice(stats) };
  }

  #openAdvisor() {
    return (this.#advisor ??= new (require('./advisor').Advisor)(this.#options, this.#meter, this.#carrier));
  }

  /** How many calls wait, here or for a place on another machine. @returns {number} */
  get waiting() {
    return parse(this.#native.stats()).waiting + (this.lanes?.unbegun ?? 0);
  }

  /** What is special about workers on other machines; `null`: they are on this one. */
  get lanes() {
    return /** @type {RemoteCarrier | null} */ (this.#options.remote === null ? null : this.#carrier);
  }

  /** What the carrier of this pool's workers needs of it. @returns {import('../carriers/script-carrier').PoolSide} */
  #side() {
    const self = this;
    return {
      get native() {
        return self.#native;
      },
      encode: (worker, jobId, start, end, frame, before) =>
        this.#encoder.encode(worker, jobId, start, end, frame, before),
      job: (jobId) => this.#jobs.get(jobId)?.job,
      answered: (jobId, first, count, offset, flags, codecOf, tag, value, extras, worker, frame, micros) =>
        this.#jobs.answered(jobId, first, count, offset, flags, codecOf, tag, value, extras, worker, frame, micros),
      emitted: (...message) => this.#jobs.emitted(...message),
      message: this.#print.bind(this),
      written: this.#printWritten.bind(this),
      tell: (event) => this.observer.tell(event),
      flush: () => this.#flush(),
      reply: () => this.#reply(),
      registers: this.#registers,
    };
  }

  // ---- What the native side asks for and reports ------------------------------------------------------------------

  /** Encodes calls; which ones is in the registers. */
  #passEncoded() {
    const registers = this.#registers;
    const at = ARGUMENT_WORD;
    const start = registers[at + 3];
    const end = registers[at + 4];
    const parts = this.#encoder.encode(
      registers[at], longAt(registers, at + 1), start, end, registers[at + 5], registers[at + 6],
    );
    return passParts(registers, parts);
  }

  /**
   * Calls were answered; which ones, and the numbers of the part, are in the registers.
   * @param {string | Buffer} value @param {Parts | null} extras
   */
  #passAnswered(value, extras) {
    const registers = this.#registers;
    const at = ARGUMENT_WORD;
    this.#jobs.answered(
      longAt(registers, at), registers[at + 2], registers[at + 3], registers[at + 4],
      registers[FLAGS_FIELD], registers[CODEC_FIELD], registers[TAG_FIELD], value, extras,
      registers[at + 5], registers[at + 6], registers[at + 7],
    );
  }

  /**
   * Calls ended without an answer.
   * @param {number} jobId @param {number} first @param {number} end
   * @param {Ending | 'unsent'} ending unsent: the transport has refused it
   * @param {string | null} detail
   */
  #ended(jobId, first, end, ending, detail) {
    if (ending === 'unsent') {
      const error = tooLargeError('what the function is given', new Error(String(detail)));
      for (let call = first; call < end; call++) this.#jobs.fail(jobId, call, error, String(error));
      return;
    }
    const resource = this.#jobs.get(jobId)?.resource;
    // What their workers print before they stop is still the job's.
    if (resource && (ending === 'aborted' || ending === 'timedOut')) this.#openOutput().keepContext(jobId, resource);
    this.#jobs.ended(jobId, first, end, ending, () => (detail === null ? null : this.#exitError(detail, ending)));
  }

  /** @param {Ending | null} ending @param {string | null} detail */
  #becameReady(ending, detail) {
    const waiting = this.#ready;
    this.#ready = null;
    if (ending === null) this.later.loadWhenIdle();
    if (ending === null) waiting?.resolve();
    else waiting?.reject(detail === null ? closedError('ready()') : this.#exitError(detail, ending));
  }

  /** @param {string} detail an `ExitReport`, as JSON @param {Ending} ending @returns {unknown} */
  #exitError(detail, ending) {
    const report = fromJson(detail);
    return explainExit(report, {
      duringBoot: ending === 'bootFailed',
      filePath: this.#options.filePath,
      program: () => programOf(this.#options),
      lastWords: this.#output?.lastWords(report.worker),
      lastError: this.#carrier?.lastErrors.get(report.worker),
    });
  }

  #openOutput() {
    return (this.#output ??= new (workerOutput().WorkerOutput)());
  }

  /** @param {number} jobId @param {Parts} parts @param {number} [worker] */
  #print(jobId, parts, worker) {
    this.#openOutput().message(jobId, this.#jobs.get(jobId)?.resource, parts, worker);
  }

  /** @param {number} worker @param {'stdout' | 'stderr'} stream @param {Buffer} bytes */
  #printWritten(worker, stream, bytes) {
    this.#openOutput().written(worker, stream, bytes);
  }

  /** @param {string} json */
  #event(json) {
    const event = fromJson(json);
    const { event: name, worker, pid } = event;
    if (name === 'ready' && this.#options.type === PARALLELIZER_CHILD) this.#meter.started(worker, pid);
    if (name === 'gone') this.#meter.ended(worker);
    if (name === 'exited' || name === 'handedBack') {
      this.#output?.finishLines(worker);
      this.#tasks?.forget(worker);
    }
    this.observer.tell(event);
    if (!OBSERVED_ONLY.includes(name)) this.#debugLog?.write(event);
  }

  #makeObserver() {
    const { id, type, maxQueue } = this.#options;
    return new PoolObserver({
      id,
      type,
      maxQueue,
      timeline: this.timeline,
      watchQueue: () => {
        this.#native.watchQueue();
        this.scheduleFlush();
      },
      stats: () => this.#native.stats(),
    });
  }
}

/** Loads the rest while there are descriptors to open files with; a long-lived process may use them all up later. */
function loadRest() {
  codec().loadAll();
  [workerOutput, exitErrors, closedNative].forEach((load) => load());
  openChannels();
}

module.exports = { WorkerPool };
