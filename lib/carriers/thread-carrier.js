'use strict';

/**
 * Workers that are `worker_threads`, each with a `MessagePort` of its own: `parentPort` is left to the user's code.
 *
 * 1. A thread is started with a constant script. The memory that has the modules which it runs (`shared-chunks.js`),
 *    its port and the shared page are its `workerData`.
 * 2. `Stop` has it exit by itself, `kill` terminates it, also out of an endless loop.
 * 3. When it is gone, its port is read to the end before its end is reported.
 *
 * Must not depend on what a call is for.
 */

const { inspect } = require('node:util');
const { MessageChannel, MessagePort, Worker } = require('node:worker_threads');
const { importedModules, threadFlags } = require('../host/exec-argv');
const { suspendHeapFlags } = require('../host/heap-flags');
const { now, setImmediate } = require('../intrinsics/clock');
const { isSharedEnv } = require('../options/option-checks');
const {
  BYTES, CALLS, CANCEL, DEMAND, INIT, LOAD_FAILED, MEMORY, MESSAGE, NO_CODEC, OUTPUT, READY, REPLY, SHARED_WORDS,
  STDERR_TAIL, STOP, VALUE_FIELD, WAKE,
} = require('../transport/constants');
const { mayTakeLong } = require('../transport/ports');
const { Ring } = require('../transport/ring');
const { ThreadChannel } = require('../transport/thread-channel');
const { TimeSlice } = require('../transport/time-slice');
const { NativeRing } = require('./native-ring');
const { ScriptCarrier } = require('./script-carrier');
const { sharedChunks } = require('./shared-chunks');
const { THREAD_SCRIPT } = require('../worker/boot-script');
const { MESSAGE_ROOM } = require('../worker/message-room');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * A frame that was posted by a thread.
 * @typedef {{ channel: InstanceType<typeof ThreadChannel>, frame: any[] }} Posted
 */

/**
 * Has the addon handle what a thread has put into its ring; `false`: it is at it already.
 * @typedef {(id: number, wasWoken: boolean) => boolean} ReceiveShared
 */

/**
 * @typedef {object} ThreadWorker
 * @property {Worker} thread
 * @property {import('node:worker_threads').MessagePort} port
 * @property {Uint32Array} page
 * @property {InstanceType<typeof ThreadChannel>} channel
 * @property {string} stderr the end of what it wrote there
 * @property {number} onlineAt when it began to run; 0: not yet
 */

/** @extends {ScriptCarrier<ThreadWorker>} */
class ThreadCarrier extends ScriptCarrier {
  #options;
  #init;
  #initParts;
  /** @type {string | null} `null` where there is no addon. */
  #addonPath;
  #chunks;
  /** @type {ReceiveShared | null} */
  #receiveShared = null;
  /** @type {InstanceType<typeof TimeSlice<Posted>>} One for all threads, which share this one's time. */
  #slice = new TimeSlice(({ channel, frame }) => channel.receiveMessage(frame));

  /**
   * @param {import('./script-carrier').PoolSide} pool
   * @param {Readonly<import('../options/options').WorkerOptions>} options
   * @param {import('../worker/serve').Init} init
   * @param {() => Parts} initParts
   * @param {import('node:worker_threads').ResourceLimits} resourceLimits
   * @param {import('./shared-chunks').Source & Partial<Pick<typeof import('../../native'), 'addonPath'>>} native
   */
  constructor(pool, options, init, initParts, resourceLimits, native) {
    super(pool);
    this.#options = { ...options, resourceLimits };
    this.#init = init;
    this.#initParts = initParts;
    this.#addonPath = native.addonPath?.() ?? null;
    this.#chunks = sharedChunks(native);
  }

  /** @override */
  get mayGiveWay() {
    return this.#addonPath !== null;
  }

  /** @override @param {number} id @param {number} index */
  start(id, index) {
    const { resourceLimits, stdio } = this.#options;
    const { execArgv, env } = flagsOf(this.#options);
    const { port1: port, port2 } = new MessageChannel();
    const page = new Uint32Array(new SharedArrayBuffer(SHARED_WORDS * Uint32Array.BYTES_PER_ELEMENT));
    const imports = importedModules(execArgv ?? process.execArgv, isSharedEnv(env) ? process.env : env ?? process.env);
    const initParts = this.#initParts();
    const restoreHeapFlags = resourceLimits.maxOldGenerationSizeMb === undefined ? () => {} : suspendHeapFlags();
    let thread;
    try {
      thread = new Worker(THREAD_SCRIPT, {
        eval: true,
        workerData: {
          chunks: this.#chunks, imports, init: this.#init, initParts, port: port2, page,
          addonPath: this.#addonPath, index,
        },
        transferList: portsAmong(initParts).concat(port2),
        resourceLimits,
        ...(env === null ? {} : { env }),
        ...(execArgv === null ? {} : { execArgv: execArgv.slice() }),
      });
    } catch (error) {
      restoreHeapFlags();
      port.close();
      this.#startFailed(id, error);
      return null;
    }
    /** @type {InstanceType<typeof ThreadChannel>} */
    const channel = new ThreadChannel({
      port,
      words: page,
      ring: this.#addonPath === null ? new Ring(page, true) : this.#nativeRing(id, page),
      // Not those of others, whose rings may be being read further up the stack.
      drain: (goesOn) => this.#slice.drain((posted) => posted.channel === channel && goesOn()),
      receive: (kind, frame, seq, aux, parts) => this.#receive(id, kind, frame, seq, aux, parts),
    });
    const worker = { thread, port, page, channel, stderr: '', onlineAt: 0 };
    this.workers.set(id, worker);
    this.pool.tell({ event: 'named', worker: id, threadId: thread.threadId });
    port.on('message', (frame) => this.#slice.add({ channel, frame }, mayTakeLong(frame)));
    thread.on('error', (error) => this.#failed(id, worker, error));
    thread.on('online', () => {
      restoreHeapFlags();
      worker.onlineAt = now();
      if (this.workers.get(id) === worker) this.pool.native.workerAlive(id);
      this.pool.tell({ event: 'started', worker: id });
    });
    thread.on('exit', (code) => {
      restoreHeapFlags();
      this.#exited(id, worker, code);
    });
    // By itself Node pipes both to the streams of the process. (To ask it not to, and read them, would keep the process
    // alive.)
    if (stdio !== 'inherit') thread.stderr.unpipe(process.stderr);
    if (stdio === 'ignore') thread.stdout.unpipe(process.stdout).resume();
    // (What was piped does not flow by itself when it is no longer.)
    thread.stderr.on('data', (bytes) => this.#printed(worker, String(bytes))).resume();
    // Work in progress keeps the process alive, not a thread that waits for work.
    port.unref();
    thread.unref();
    return [page, channel.counts];
  }

  /** @param {number} id @param {Uint32Array} page */
  #nativeRing(id, page) {
    return new NativeRing(page, (wasWoken) => {
      // Not before: this object is there before the native pool.
      this.#receiveShared ??= /** @type {ReceiveShared} */ (this.pool.native.sharedReceiver());
      return this.#receiveShared(id, wasWoken);
    });
  }

  /** @override */
  letGo() {
    this.#receiveShared = () => true;
  }

  /** @override */
  get hooks() {
    return {
      ...super.hooks,
      postCalls: (/** @type {[id: number, frame: number, seq: number, aux: number, parts: Parts]} */ ...calls) => {
        const { 0: id, 1: frame, 2: seq, 3: aux, 4: parts } = calls;
        this.workers.get(id)?.channel.post(CALLS, frame, seq, aux, parts);
      },
      wakeWorker: (/** @type {number} */ id) => this.workers.get(id)?.channel.postFrame(WAKE, 0, 0, 0, []),
    };
  }

  /** @override @param {number} id */
  busyTime(id) {
    const worker = this.workers.get(id);
    if (worker === undefined || worker.onlineAt === 0) return null;
    // Node's `active` of a thread is off by the age of the process, as it compares two clocks; `idle` is right.
    const { idle } = worker.thread.performance.eventLoopUtilization();
    return idle > 0 ? Math.max(0, now() - worker.onlineAt - idle) : null;
  }

  /** @override @param {number} _id @param {ThreadWorker} worker @param {number} index */
  assign(_id, { channel }, index) {
    channel.post(INIT, 0, index, 0, []);
  }

  /**
   * @override
   * @param {number} _id @param {ThreadWorker} worker @param {number} frame @param {number} seq @param {Parts} parts
   * @param {number[]} _runs @param {boolean} isPatient
   */
  deliver(_id, { channel }, frame, seq, parts, _runs, isPatient) {
    channel.send(CALLS, frame, seq, isPatient ? 1 : 0, parts);
  }

  /** @override @param {number} _id @param {ThreadWorker} worker @param {number[]} seqs */
  revoke(_id, { channel }, seqs) {
    const bytes = Buffer.alloc(seqs.length * 4);
    seqs.forEach((seq, i) => bytes.writeUInt32LE(seq, i * 4));
    channel.post(CANCEL, 0, 0, 0, [BYTES, NO_CODEC, 0, 0, 0, bytes]);
  }

  /** @override @param {number} _id @param {ThreadWorker} worker @param {number} seq @param {number} taken */
  demand(_id, { channel }, seq, taken) {
    channel.send(DEMAND, taken, seq, 0, []);
  }

  /** @override @param {number} _id @param {ThreadWorker} worker */
  stop(_id, { channel }) {
    channel.post(STOP, 0, 0, 0, []);
  }

  /** @override @param {number} _id @param {ThreadWorker} worker */
  kill(_id, { thread }) {
    void thread.terminate();
  }

  /** @override @param {number} _id @param {ThreadWorker} worker */
  catchUp(_id, { channel }) {
    channel.receiveAll(this.untilCaughtUp(MESSAGE_ROOM));
  }

  /** @param {number} id @param {unknown} error */
  #startFailed(id, error) {
    this.lastErrors.set(id, /** @type {Error} */ (error));
    // Not now: the pool may be in the middle of being made.
    setImmediate(() => this.gone(id, { errno: null, message: String(error) }));
  }

  /**
   * @param {number} id @param {number} kind @param {number} frame @param {number} seq @param {number} aux
   * @param {Parts} parts
   */
  #receive(id, kind, frame, seq, aux, parts) {
    const { native } = this.pool;
    switch (kind) {
      case READY:
        native.workerReady(id);
        break;
      case LOAD_FAILED:
        this.loadFailed(id, /** @type {string} */ (parts[VALUE_FIELD]));
        break;
      case REPLY:
        this.replied(id, frame, seq, aux, parts);
        break;
      case OUTPUT:
        this.pool.message(native.jobOf(id, seq), parts, id);
        break;
      case MESSAGE:
        this.emitted(id, seq, frame, aux, parts);
        break;
      case MEMORY:
        native.workerMemory(id, aux * 1024);
        break;
      default:
        break;
    }
  }

  /**
   * @param {number} id @param {ThreadWorker} worker
   * @param {Error} error what the thread did not catch, or what Node says about its end
   */
  #failed(id, worker, error) {
    this.lastErrors.set(id, error);
    const text = `${inspect(error)}\n`;
    if (this.#options.stdio === 'inherit') process.stderr.write(text);
    this.#printed(worker, text);
  }

  /** @param {ThreadWorker} worker @param {string} text */
  #printed(worker, text) {
    worker.stderr = (worker.stderr + text).slice(-STDERR_TAIL);
    if (this.#options.stdio === 'forward') console.error(text.replace(/\n$/, ''));
  }

  /** @param {number} id @param {ThreadWorker} worker @param {number} exitCode */
  #exited(id, worker, exitCode) {
    worker.channel.receiveAll();
    worker.port.close();
    // The last of what it printed may still be on its way through the stream.
    setImmediate(() => {
      const notBegun = beginningFailed(this.lastErrors.get(id));
      this.gone(id, notBegun ?? { exitCode, signal: null, stderr: worker.stderr });
    });
  }
}

/**
 * What a thread is told of flags and environment; null: it inherits this process's.
 * @param {Readonly<import('../options/options').WorkerOptions>} options
 * @returns {Pick<import('../options/options').WorkerOptions, 'execArgv' | 'env'>}
 */
function flagsOf({ execArgv, env }) {
  if (isSharedEnv(env)) return { execArgv: execArgv ?? threadFlags()?.execArgv ?? null, env };
  const given = execArgv === null ? threadFlags(env ?? undefined) : null;
  return given ?? { execArgv, env };
}

/**
 * What Node says of a thread that it could not begin, whose exit code is 0.
 * @param {Error | undefined} error @returns {{ errno: string | null, message: string } | null}
 */
function beginningFailed(error) {
  if (error === undefined || Reflect.get(error, 'code') !== 'ERR_WORKER_INIT_FAILED') return null;
  return { errno: /: (E[A-Z0-9]+)$/.exec(error.message)?.[1] ?? null, message: error.message };
}

/** @param {readonly unknown[]} values */
function portsAmong(values) {
  return values.filter((value) => value instanceof MessagePort);
}

module.exports = { ThreadCarrier };
