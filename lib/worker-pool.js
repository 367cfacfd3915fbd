'use strict';

/**
 * One pool of workers, as the public classes use it: jobs in, outcomes out.
 *
 * Between the native pool, which knows numbers only, and the jobs, which know what a call is: keeps the jobs under way,
 * has their calls encoded when a worker has room, and hands each outcome to its job. May not know sub-batches, items
 * or options that are not its own.
 */

const { AsyncResource } = require('node:async_hooks');
const { StringDecoder } = require('node:string_decoder');
const { LATIN1, SKIPPED, decodeValues, encodeValues, pushClone, valuesOf, ERROR_TREE, FAILED } = require('./codec');
const { workerHeapMegabytes } = require('./cpus');
const { restoreError } = require('./error-codec');
const {
  ParallelizerError, closedError, moduleError, protocolError, queueFullError, serializationError, spawnFailedError,
  workerExited,
} = require('./errors');
const { inheritedEnv, inheritedExecArgv, resourceLimitFlags } = require('./exec-argv');
const { PARALLELIZER_INLINE, PARALLELIZER_THREADS } = require('./options');
const { surroundings } = require('./surroundings');

/**
 * What a worker is told to evaluate. Constant: no code is made of paths or data. The path of the addon is its argument.
 */
const BOOT_SCRIPT = `{
process.dlopen(module, process.argv[1]);
const native = module.exports;
const loader = require('node:vm').runInThisContext(native.workerModule('worker'), { filename: 'parallelizer:worker' });
loader(native.workerModule, require)('./bootstrap').boot(native, require, (url) => import(url));
}`;

/** The tag of calls whose answers are written out before the next one begins, see lib/worker/runner.js. */
const WATCHED = 1;

/**
 * What came of a call: its value, or why there is none. `text` is what the thrown value said of itself, in the worker.
 * @typedef {{ value: unknown } | { error: unknown, text: string }} Outcome
 */

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
 */

/**
 * The calls that are submitted together.
 * @typedef {object} Job
 * @property {number} calls
 * @property {Uint32Array | null} keys the key of each call, numbered in the order of their first call
 * @property {boolean} stopKeyOnError
 * @property {number} timeoutMs 0: none
 * @property {number} retries
 * @property {boolean} spread one call to each worker, also to those that are still starting
 * @property {boolean} watched whether it may be cancelled, or has a timeout
 * @property {readonly object[] | null} transferList moved at the submission, where workers share this process's memory
 * @property {(call: number) => unknown} argument what the worker is given; asked for when the call is sent
 * @property {(call: number, outcome: Outcome) => void} settled told once per call
 * @property {(ending: Ending, call: number, fate: Error | null) => Error} explain the error for a call that was not
 *   answered. `fate`: what became of its worker
 */

class WorkerPool {
  #options;
  /** What looks after workers that are no processes. */
  #carrier;
  /** @type {any} */
  #native;
  /** @type {Map<string, any>} Clones that were made at the submission, by job and call. */
  #moved = new Map();
  /** @type {Map<number, { job: Job, left: number, resource: AsyncResource }>} */
  #jobs = new Map();
  #flushScheduled = false;
  /** @type {ReturnType<typeof withResolvers> | null} */
  #ready = null;
  /** @type {ReturnType<typeof withResolvers> | null} */
  #closed = null;
  /** @type {Map<string, { decoder: StringDecoder, rest: string }>} Unfinished lines, by worker and stream. */
  #lines = new Map();

  /** @param {Readonly<import('./options').PoolOptions>} options */
  constructor(options) {
    this.#options = options;
    this.#carrier = this.#makeCarrier();
    this.#native = new (native().NativePool)(JSON.stringify(nativeConfig(options)), {
      ...this.#carrier?.hooks,
      encode: (/** @type {number} */ id, /** @type {number} */ start, /** @type {number} */ end) =>
        this.#encode(id, start, end),
      answered: this.#answered.bind(this),
      ended: this.#ended.bind(this),
      ready: this.#becameReady.bind(this),
      output: this.#output.bind(this),
      printed: this.#printed.bind(this),
      event: this.#event.bind(this),
      closed: () => {
        this.#letGo();
        this.#closed?.resolve();
      },
    });
  }

  /**
   * Queues a job: all of it, or none.
   * @param {Job} job
   * @returns {number} its number, to cancel it by
   */
  submit(job) {
    const { calls, keys, stopKeyOnError, timeoutMs, retries, spread } = job;
    const id = this.#native.submit(calls, keys, stopKeyOnError, timeoutMs, retries, spread);
    if (id === -1) throw closedError('run()');
    if (id < 0) throw queueFullError(-2 - id, this.#options.maxQueue ?? 0, calls);
    // Callbacks run in the async context of whoever submitted.
    this.#jobs.set(id, { job, left: calls, resource: new AsyncResource('ParallelizerJob') });
    this.#moveNow(id, job);
    this.#scheduleFlush();
    return id;
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
    };
    if (options.type === PARALLELIZER_INLINE) return new (require('./inline-carrier').InlineCarrier)(side, options);
    if (options.type !== PARALLELIZER_THREADS) return null;
    const { ThreadCarrier } = require('./thread-carrier');
    return new ThreadCarrier(side, options, initOf(options), heapLimits(options), native().workerModule);
  }

  /**
   * Encodes calls at once, and detaches what they transfer.
   * @param {number} id @param {Job} job
   */
  #moveNow(id, job) {
    const clones = this.#carrier?.clones;
    if (job.transferList === null || clones === undefined) return;
    const left = new Set(job.transferList);
    for (let call = 0; call < job.calls; call++) {
      /** @type {import('./codec').Parts} */
      const parts = [];
      const failed = (/** @type {Error} */ error) => this.#moved.set(`${id} ${call}`, error);
      const value = job.argument(call);
      try {
        const share = takeShare(value, left, call === job.calls - 1);
        pushClone(value, share, this.#options.serialization, clones, parts, WATCHED, failed);
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

  /** @returns {import('../index').Stats} */
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
    this.#native = {
      submit: () => -1,
      stats: () => stats,
      jobOf: () => -1,
      workerReplied: () => [],
      flush: nothing,
      cancel: nothing,
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

  #closing() {
    this.#closed ??= withResolvers();
    return this.#closed.promise;
  }

  /** What is submitted in one turn goes out together. */
  #scheduleFlush() {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    process.nextTick(() => {
      this.#flushScheduled = false;
      this.#native.flush();
    });
  }

  // ---- What the native side asks and tells ------------------------------------------------------------------------

  /**
   * @param {number} id @param {number} start @param {number} end
   * @returns {import('./codec').Parts}
   */
  #encode(id, start, end) {
    const { job } = /** @type {{ job: Job }} */ (this.#jobs.get(id));
    /** @type {import('./codec').Parts} */
    const parts = [];
    const failed = (/** @type {number} */ call, /** @type {Error} */ error) => {
      parts.push(LATIN1, 0, SKIPPED, 1, 0, '');
      // Later: the native side has to book it first, or whatever the caller does about it would settle it again.
      process.nextTick(() => this.#settle(id, call, { error, text: String(error) }));
    };
    if (job.transferList !== null && this.#carrier !== null) {
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
    /** @type {unknown[]} */
    const values = [];
    for (let call = start; call < end; call++) values.push(job.argument(call));
    const clones = this.#carrier?.clones ?? null;
    // What is done must not be lost with a process that is killed in the next call. Whatever ends a thread but a full
    // heap lets it write out what it has, so that answers of unwatched calls may wait a millisecond for company.
    const tag = job.watched || this.#carrier === null ? WATCHED : 0;
    encodeValues(values, this.#options.serialization, clones, parts, tag, (index, error) =>
      failed(start + index, error),
    );
    return parts;
  }

  /**
   * @param {number} id @param {number} first @param {number} count @param {number} offset where in the part
   * @param {number} flags @param {number} codec @param {number} _tag @param {string | Buffer} value
   * @param {import('./codec').Parts | null} extras
   */
  #answered(id, first, count, offset, flags, codec, _tag, value, extras) {
    if ((flags & FAILED) !== 0) {
      this.#settle(id, first, codec === ERROR_TREE ? thrown(/** @type {string} */ (value)) : unreadable());
      return;
    }
    let values;
    try {
      const clones = this.#carrier?.clones ?? null;
      values = decodeValues(codec, value, offset + count, extras === null ? [] : valuesOf(extras), clones);
    } catch (cause) {
      values = null;
      for (let i = 0; i < count; i++) this.#settle(id, first + i, unreadable(cause));
    }
    for (let i = 0; values !== null && i < count; i++) this.#settle(id, first + i, { value: values[offset + i] });
  }

  /** @param {number} id @param {number} first @param {number} end @param {Ending} ending @param {string | null} detail */
  #ended(id, first, end, ending, detail) {
    const { job } = /** @type {{ job: Job }} */ (this.#jobs.get(id));
    for (let call = first; call < end; call++) {
      const error = job.explain(ending, call, detail === null ? null : this.#explainFate(detail, ending));
      this.#settle(id, call, { error, text: String(error) });
    }
  }

  /** @param {number} id @param {number} call @param {Outcome} outcome */
  #settle(id, call, outcome) {
    const entry = this.#jobs.get(id);
    if (entry === undefined) return;
    if (entry.job.transferList !== null) this.#moved.delete(`${id} ${call}`);
    if (--entry.left === 0) this.#jobs.delete(id);
    entry.resource.runInAsyncScope(entry.job.settled, entry.job, call, outcome);
  }

  /** @param {Ending | null} ending @param {string | null} detail */
  #becameReady(ending, detail) {
    const waiting = this.#ready;
    this.#ready = null;
    if (ending === null) waiting?.resolve();
    else waiting?.reject(detail === null ? closedError('ready()') : this.#explainFate(detail, ending));
  }

  /**
   * The error that says what became of a worker.
   * @param {string} detail @param {Ending} ending
   */
  #explainFate(detail, ending) {
    /** @type {Fate} */
    const fate = JSON.parse(detail);
    if (typeof fate.loadError === 'string') {
      const { value } = /** @type {{ value: unknown }} */ (restored(fate.loadError));
      const told = value instanceof ParallelizerError;
      return told ? value : moduleError(this.#options.filePath, { cause: value });
    }
    const cause = this.#carrier?.lastErrors.get(fate.worker);
    const error = fate.errno !== undefined ? spawnFailedError(fate)
      : workerExited({ ...fate, duringBoot: ending === 'bootFailed' });
    if (typeof fate.protocol === 'string') error.cause = protocolError(fate.protocol);
    else if (cause !== undefined) error.cause = cause;
    return error;
  }

  /** @param {number} id @param {import('./codec').Parts} parts */
  #output(id, parts) {
    const [level, text] = JSON.parse(/** @type {string} */ (parts[parts.length - 1]));
    const entry = this.#jobs.get(id);
    if (entry === undefined) print(level, text);
    else entry.resource.runInAsyncScope(print, null, level, text);
  }

  /** @param {number} worker @param {'stdout' | 'stderr'} stream @param {Buffer} bytes */
  #printed(worker, stream, bytes) {
    const key = `${worker} ${stream}`;
    let lines = this.#lines.get(key);
    if (lines === undefined) this.#lines.set(key, (lines = { decoder: new StringDecoder('utf8'), rest: '' }));
    const text = lines.rest + lines.decoder.write(bytes);
    // What came at once is one message, however many lines it has: a stack trace stays whole.
    const end = text.lastIndexOf('\n');
    lines.rest = text.slice(end + 1);
    if (end >= 0) print(stream === 'stdout' ? 'log' : 'error', text.slice(0, end));
  }

  /** @param {string} json */
  #event(json) {
    const { debug, stdio } = this.#options;
    if (!debug && (stdio !== 'forward' || this.#lines.size === 0)) return;
    const event = JSON.parse(json);
    if (event.event === 'exited') this.#finishLines(event.worker);
    if (debug) process.stderr.write(`${JSON.stringify({ parallelizer: this.#options.id, ...event })}\n`);
  }

  /** @param {number} worker */
  #finishLines(worker) {
    for (const stream of ['stdout', 'stderr']) {
      const key = `${worker} ${stream}`;
      const rest = this.#lines.get(key)?.rest ?? '';
      this.#lines.delete(key);
      if (rest !== '') print(stream === 'stdout' ? 'log' : 'error', rest);
    }
  }
}

/**
 * Prints on this process's console, whatever the worker calls the level.
 * @param {string} level @param {string} text
 */
function print(level, text) {
  const methods = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (console));
  const method = Object.hasOwn(methods, level) ? methods[level] : undefined;
  try {
    if (typeof method === 'function') method.call(console, text);
    else console.log(text);
  } catch {
    // `Console` is no method that prints, and a console may be patched; the message must come out all the same.
    process.stdout.write(`${text}\n`);
  }
}

/** @param {string} tree */
function restored(tree) {
  const parsed = JSON.parse(tree);
  return { value: restoreError(parsed), text: String(parsed.text) };
}

/** @param {string} tree @returns {Outcome} */
function thrown(tree) {
  try {
    const { value, text } = restored(tree);
    return { error: value, text };
  } catch (cause) {
    return unreadable(cause);
  }
}

/** @param {unknown} [cause] @returns {Outcome} */
function unreadable(cause) {
  const error = protocolError('a result that cannot be decoded', cause);
  return { error, text: String(error) };
}

/** @returns {{ promise: Promise<void>, resolve: () => void, reject: (error: Error) => void }} */
function withResolvers() {
  /** @type {any} */
  const deferred = {};
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
  return deferred;
}

/** The addon; a thread that only asks where it runs must not load it. */
function native() {
  return require('../native.js');
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
 * @param {Readonly<import('./options').PoolOptions>} options
 */
function heapLimits(options) {
  const heap = workerHeapMegabytes(options.workers);
  return { ...(heap === null ? {} : { maxOldGenerationSizeMb: heap }), ...options.resourceLimits };
}

/**
 * What a worker is told first.
 * @param {Readonly<import('./options').PoolOptions>} options
 * @returns {import('./worker/serve').Init}
 */
function initOf(options) {
  const { depth, ancestry } = surroundings();
  return {
    filePath: options.filePath,
    functionName: options.functionName,
    serialization: options.serialization,
    forward: options.stdio === 'forward',
    reportMemory: options.maxWorkerMemory > 0,
    depth: depth + 1,
    ancestry: [...ancestry, options.filePath],
  };
}

/**
 * What the native side needs to know.
 * @param {Readonly<import('./options').PoolOptions>} options
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
    // A worker's module may build an instance as it loads; only one that is used may start more workers.
    lazy: surroundings().depth > 0,
    ...(isProcess ? { process: processConfig(options) } : {}),
  };
}

/** @param {Readonly<import('./options').PoolOptions>} options */
function processConfig(options) {
  const flags = resourceLimitFlags(heapLimits(options));
  const env = options.env ?? inheritedEnv();
  const execArgv = options.execArgv ?? inheritedExecArgv();
  return {
    program: process.execPath,
    args: [...execArgv, ...flags, '--input-type=commonjs', '-e', BOOT_SCRIPT, native().addonPath()],
    env: Object.keys(env).map((name) => `${name}=${env[name]}`),
    stdio: options.stdio,
    init: JSON.stringify(initOf(options)),
  };
}

module.exports = { WorkerPool };
