'use strict';

/**
 * Workers that are processes, where there is no addon: three pipes to each, see `lib/transport/pipes.js`.
 *
 * 1. A process is started with a constant script. The modules that it runs, and what it is told first, are written to
 *    the pipe that its calls come through.
 * 2. Which call it has begun, and what it has answered, it writes before it goes on; so a death costs one call, though
 *    no memory is shared: the one to a file without a name, or as a frame where there is none, the other to its pipe.
 *    Calls that it has not begun cannot be recalled.
 * 3. `Stop` has it exit by itself, `kill` sends SIGKILL. Where it may not be killed, its pipes are closed, and its
 *    watchdog ends it.
 * 4. When it is gone, its pipe is read to the end before its end is reported.
 *
 * Must not depend on what a call is for.
 */

const { spawn } = require('node:child_process');
const { readSync } = require('node:fs');
const { Socket } = require('node:net');
const { clearTimeout, nextTick, setImmediate, setTimeout } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const {
  BEGUN, BYTES, CALLS, CANCEL, DEMAND, INIT, LAST_BEGUN_WORD, LOAD_FAILED, MEMORY, MESSAGE,
  MESSAGES_TAKEN_WORD, NO_CODEC, OUTPUT, PAGE_WORDS, READY, REPLY, STDERR_TAIL, STOP, UTF8, VALUE_FIELD,
  WAITING_POLLING, WAITING_WORD, WAKE,
} = require('../transport/constants');
const { BEGUN_FD, closeBegunFile, createBegunFile, readBegun } = require('../transport/begun-file');
const { FrameDecoder } = require('../transport/frame-codec');
const { LoopSpin } = require('../transport/loop-spin');
const { readPipe } = require('../transport/pipe-reader');
const { descriptorOf, sendFrame } = require('../transport/pipe-writer');
const { ANSWERS_FD, CALLS_FD, FAREWELL, PIPE_ROOM, TAKEN, WATCHDOG_FD } = require('../transport/pipes');
const { JoinedReplies } = require('./joined-replies');
const { ScriptCarrier } = require('./script-carrier');

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('node:net').Socket} Pipe */

/** Bytes that are read at once from a process that is to be caught up with. */
const READ = 256 * 1024;
/** How long output is waited for that somebody else (a grandchild) may hold open, in milliseconds. */
const OUTPUT_GRACE = 50;
/** How long a worker whose channel has ended may take to end itself, in milliseconds. */
const HANG_UP_GRACE = 1000;

/**
 * @typedef {object} ProcessWorker
 * @property {import('node:child_process').ChildProcess} child
 * @property {Uint32Array} page of this process's own: what the worker has said
 * @property {number | null} begunFile where it says which call it begins; null: in frames
 * @property {Pipe} calls
 * @property {Pipe} answers
 * @property {Pipe} watchdog
 * @property {InstanceType<typeof FrameDecoder>} decoder
 * @property {InstanceType<typeof JoinedReplies>} replies
 * @property {boolean} isRead whether what it sends is still handled
 * @property {NodeJS.Timeout | undefined} hungUp until when it may end itself, as its channel has ended
 * @property {Buffer} stderr the end of what it wrote there
 * @property {Record<string, unknown>} report what is known of its end
 */

/**
 * What is told to each worker, and how it is started: `processConfig` of `lib/jobs/worker-config.js`.
 * @typedef {object} ProcessConfig
 * @property {string} program
 * @property {string[]} args
 * @property {string[]} env
 * @property {'inherit' | 'forward' | 'ignore'} stdio
 * @property {string} init
 */

/** @extends {ScriptCarrier<ProcessWorker>} */
class ProcessCarrier extends ScriptCarrier {
  #config;
  #initParts;
  /** How many times frames are being handled that have come, one within the other; and whether there are replies. */
  #isReceiving = 0;
  #mustFlush = false;
  /** Waits for answers, where a worker was told that it may stay awake. */
  #spin = new LoopSpin();
  /** @type {Buffer} The modules that a worker runs, behind their length. */
  #modules;
  #env;

  /**
   * @param {import('./script-carrier').PoolSide} pool
   * @param {ProcessConfig} config
   * @param {() => Parts} initParts
   * @param {{ workerChunkNames(): string[], workerChunk(name: string): string }} native
   */
  constructor(pool, config, initParts, native) {
    super(pool);
    this.#config = config;
    this.#initParts = initParts;
    this.#env = environmentOf(config.env);
    /** @type {Record<string, string>} */
    const chunks = Object.create(null);
    native.workerChunkNames().forEach((name) => (chunks[name] = native.workerChunk(name)));
    const modules = Buffer.from(toJson(chunks));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(modules.length);
    this.#modules = Buffer.concat([length, modules]);
  }

  /** @override */
  get hooks() {
    return {
      ...super.hooks,
      killSilentWorker: (/** @type {number} */ id) => this.#killSilent(id),
      abandonWorker: (/** @type {number} */ id) => this.#abandon(id),
      sayFarewell: (/** @type {number} */ id) => this.#sayFarewell(id),
    };
  }

  /** @override @param {number} id @param {number} index */
  start(id, index) {
    const { program, args, stdio } = this.#config;
    const stdout = stdio === 'forward' ? 'pipe' : stdio;
    const begunFile = createBegunFile();
    let child;
    try {
      child = spawn(program, args, {
        env: this.#env,
        stdio: ['ignore', stdout, 'pipe', 'pipe', 'pipe', 'pipe', begunFile ?? 'ignore'],
        // In a group of its own: until it ignores what is sent to all of the parent's group, it is not to get it.
        detached: process.platform !== 'win32',
        windowsHide: true,
      });
    } catch (error) {
      if (begunFile !== null) closeBegunFile(begunFile);
      setImmediate(() => this.#spawnFailed(id, error));
      return null;
    }
    if (child.pid === undefined) {
      if (begunFile !== null) closeBegunFile(begunFile);
      child.on('error', (error) => this.#spawnFailed(id, error));
      return null;
    }
    const pipe = (/** @type {number} */ fd) => /** @type {Pipe} */ (child.stdio[fd]);
    /** @type {ProcessWorker} */
    const worker = {
      child,
      page: new Uint32Array(PAGE_WORDS),
      begunFile,
      calls: pipe(CALLS_FD),
      answers: readPipe(Socket, pipe(ANSWERS_FD), (bytes) => this.#received(id, worker, bytes, true)),
      watchdog: pipe(WATCHDOG_FD),
      decoder: new FrameDecoder(),
      replies: new JoinedReplies((frame, offset, micros, parts) => this.replied(id, frame, offset, micros, parts)),
      isRead: true,
      hungUp: undefined,
      stderr: Buffer.alloc(0),
      report: { loadError: null, protocol: null, silent: false, killError: null, outlives: false },
    };
    this.workers.set(id, worker);
    this.#listen(id, worker);
    worker.calls.write(this.#modules);
    if (index >= 0) this.assign(id, worker, index);
    setImmediate(() => this.pool.native.workerEvent(id, 'spawned', {}));
    return null;
  }

  /** @override @param {number} _id @param {ProcessWorker} worker @param {number} index */
  assign(_id, { calls, begunFile }, index) {
    /** @type {Parts} */
    const init = [UTF8, NO_CODEC, 0, 0, 0, this.#config.init];
    const descriptor = begunFile === null ? 0 : BEGUN_FD;
    sendFrame(calls, INIT, 0, descriptor, index, init.concat(this.#initParts()));
  }

  /** @override @param {number} _id @param {ProcessWorker} worker @param {number} seq @param {number} taken */
  demand(_id, { calls }, seq, taken) {
    sendFrame(calls, DEMAND, taken, seq, 0, []);
  }

  /** @param {number} id @param {ProcessWorker} worker */
  #listen(id, worker) {
    const { child, calls, answers, watchdog } = worker;
    const { stdio } = this.#config;
    child.stderr?.on('data', (bytes) => this.#printed(id, worker, 'stderr', bytes));
    if (stdio === 'forward') child.stdout?.on('data', (bytes) => this.#printed(id, worker, 'stdout', bytes));
    // That the other end is gone is no news: how the process ended is.
    const streams = [calls, answers, watchdog, child.stderr, child.stdout];
    streams.forEach((stream) => stream?.on('error', () => {}));
    child.on('error', (error) => this.#killFailed(id, worker, error));
    // Unless that is its end, its own code has closed it: no call would reach it any more.
    calls.once('close', () => {
      if (!worker.isRead) return;
      worker.hungUp = setTimeout(() => this.giveUp(id, 'it has closed its channel'), HANG_UP_GRACE);
    });
    child.on('exit', (exitCode, signal) => this.#exited(id, worker, exitCode, signal));
    // Work in progress keeps the process alive, not a worker that waits for work.
    child.unref();
    streams.forEach((stream) => /** @type {Pipe | null} */ (stream)?.unref());
  }

  // ---- What the native side asks for ----------------------------------------------------------------------

  /**
   * @override
   * @param {number} id @param {ProcessWorker} worker @param {number} frame @param {number} seq @param {Parts} parts
   */
  deliver(id, worker, frame, seq, parts) {
    try {
      const waiting = worker.page[WAITING_WORD];
      sendFrame(worker.calls, CALLS, frame, seq, waiting, parts);
      if (waiting === WAITING_POLLING) this.#spin.expect();
    } catch (error) {
      this.giveUp(id, `it would have to be sent what there is no memory for: ${String(error)}`);
    }
  }

  /** @override @param {number} _id @param {ProcessWorker} worker @param {number[]} seqs */
  revoke(_id, { calls, watchdog }, seqs) {
    const words = Buffer.alloc((1 + seqs.length) * 4);
    words.writeUInt32LE(seqs.length);
    seqs.forEach((seq, i) => words.writeUInt32LE(seq, (1 + i) * 4));
    // The one is read as soon as the worker's loop turns, the other whatever it does.
    sendFrame(calls, CANCEL, 0, 0, 0, [BYTES, NO_CODEC, 0, 0, 0, words.subarray(4)]);
    watchdog.write(words);
  }

  /** @override */
  recall() {
    return undefined;
  }

  /** @override @param {number} _id @param {ProcessWorker} worker */
  stop(_id, { calls }) {
    sendFrame(calls, STOP, 0, 0, 0, []);
  }

  /** @override @param {number} _id @param {ProcessWorker} worker */
  kill(_id, { child }) {
    // Where that is refused, 'error' is emitted.
    child.kill('SIGKILL');
  }

  /** @param {number} id */
  #killSilent(id) {
    const worker = this.workers.get(id);
    if (worker === undefined) return;
    worker.report.silent = true;
    this.kill(id, worker);
  }

  /** It does not end although it was killed. @param {number} id */
  #abandon(id) {
    const worker = this.workers.get(id);
    if (worker === undefined) return;
    worker.report.outlives = true;
    hangUp(worker);
    this.pool.native.setExitReport(id, toJson(worker.report));
  }

  /** This process ends in an orderly way, and the worker has nothing to do. @param {number} id */
  #sayFarewell(id) {
    const worker = this.workers.get(id);
    if (worker === undefined) return;
    const word = Buffer.alloc(4);
    word.writeUInt32LE(FAREWELL);
    worker.watchdog.write(word);
    this.stop(id, worker);
  }

  /** @override @param {number} id @param {ProcessWorker} worker */
  catchUp(id, worker) {
    const fd = descriptorOf(worker.answers);
    const goesOn = this.untilCaughtUp(PIPE_ROOM);
    // Without one only the loop reads.
    while (fd >= 0 && goesOn()) {
      const bytes = Buffer.allocUnsafe(READ);
      let count = 0;
      try {
        count = readSync(fd, bytes, 0, READ, null);
      } catch {
        // There is nothing now.
      }
      if (count === 0) return;
      this.#received(id, worker, bytes.subarray(0, count));
    }
  }

  /** @override @param {ProcessWorker} worker */
  lastBegun({ begunFile, page }) {
    return begunFile === null ? page[LAST_BEGUN_WORD] : readBegun(begunFile);
  }

  /** @override @param {number} id */
  pidOf(id) {
    return this.workers.get(id)?.child.pid ?? null;
  }

  // ---- What a worker says ---------------------------------------------------------------------------------

  /** @param {number} id @param {ProcessWorker} worker @param {Buffer} bytes @param {boolean} [isLent] */
  #received(id, worker, bytes, isLent) {
    if (!worker.isRead) return;
    this.#spin.arrived();
    worker.decoder.add(bytes, isLent);
    this.#isReceiving++;
    for (let frame = this.#next(id, worker); frame !== null; frame = this.#next(id, worker)) {
      try {
        this.#receive(id, worker, frame[0], frame[1], frame[2], frame[3], frame[4]);
      } catch (error) {
        // What code of the user's throws concerns none of the frames that follow.
        nextTick(() => {
          throw error;
        });
      }
    }
    worker.decoder.keep();
    worker.replies.finish();
    this.#isReceiving--;
    if (this.#isReceiving === 0 && this.#mustFlush) this.afterReply();
  }

  /** @override */
  afterReply() {
    // Once for all that has come together.
    this.#mustFlush = this.#isReceiving > 0;
    if (!this.#mustFlush) this.pool.flush();
  }

  /** The next whole frame of a worker, if there is one. @param {number} id @param {ProcessWorker} worker */
  #next(id, worker) {
    if (!worker.isRead) return null;
    try {
      return worker.decoder.next();
    } catch (error) {
      // What came before it counts.
      worker.replies.finish();
      this.giveUp(id, /** @type {Error} */ (error).message);
      return null;
    }
  }

  /**
   * @param {number} id @param {ProcessWorker} worker @param {number} kind @param {number} frame @param {number} seq
   * @param {number} aux @param {Parts} parts
   */
  #receive(id, worker, kind, frame, seq, aux, parts) {
    const { native } = this.pool;
    if (kind === REPLY) {
      worker.replies.add(frame, seq, aux, parts);
      return;
    }
    // Whatever it is about comes after those.
    worker.replies.finish();
    switch (kind) {
      case BEGUN:
        worker.page[LAST_BEGUN_WORD] = seq;
        native.workerBegun(id, seq);
        break;
      case READY:
        native.workerReady(id);
        break;
      case LOAD_FAILED:
        worker.report.loadError = typeof parts[VALUE_FIELD] === 'string' ? parts[VALUE_FIELD] : null;
        native.workerLoadFailed(id, toJson(worker.report));
        break;
      case OUTPUT:
        this.pool.message(native.jobOf(id, seq), parts, id);
        break;
      case MESSAGE:
        this.emitted(id, seq, frame, aux, parts);
        this.#tellTaken(worker);
        break;
      case MEMORY:
        native.workerMemory(id, aux * 1024);
        break;
      case WAKE:
        break;
      default:
        this.giveUp(id, 'a frame that only a parent sends');
    }
  }

  /** Tells a worker how much of the messages was handled. @param {ProcessWorker} worker */
  #tellTaken({ page, watchdog }) {
    const words = Buffer.alloc(8);
    words.writeUInt32LE(TAKEN);
    words.writeUInt32LE(page[MESSAGES_TAKEN_WORD], 4);
    watchdog.write(words);
  }

  /** @override @param {number} id @param {string} why */
  giveUp(id, why) {
    const worker = this.workers.get(id);
    if (worker === undefined) return;
    worker.report.protocol ??= why;
    worker.isRead = false;
    this.pool.native.workerEvent(id, 'protocol', { detail: why });
    this.pool.native.setExitReport(id, toJson(worker.report));
    this.pool.native.giveUpWorker(id);
  }

  /** @param {number} id @param {ProcessWorker} worker @param {'stdout' | 'stderr'} stream @param {Buffer} bytes */
  #printed(id, worker, stream, bytes) {
    if (stream === 'stderr') worker.stderr = Buffer.concat([worker.stderr, bytes]).subarray(-STDERR_TAIL);
    if (this.#config.stdio === 'forward') this.pool.written(id, stream, bytes);
    else if (this.#config.stdio === 'inherit') process.stderr.write(bytes);
  }

  // ---- Its end --------------------------------------------------------------------------------------------

  /** @param {number} id @param {any} error */
  #spawnFailed(id, error) {
    const errno = typeof error.errno === 'number' ? Math.abs(error.errno) : null;
    this.gone(id, { errno, message: error.message });
    // Now: nothing else of it comes.
    this.pool.flush();
  }

  /** @param {number} id @param {ProcessWorker} worker @param {Error} error */
  #killFailed(id, worker, error) {
    worker.report.killError = error.message;
    this.pool.native.workerEvent(id, 'killFailed', { message: error.message });
    // Its watchdog ends it then.
    hangUp(worker);
  }

  /**
   * Handles what is left in the pipe of a worker that is gone; others may hold it open.
   * @param {number} id @param {ProcessWorker} worker @param {() => void} done
   */
  #readToTheEnd(id, worker, done) {
    const { answers } = worker;
    this.catchUp(id, worker);
    if (answers.closed || descriptorOf(answers) >= 0) {
      done();
      return;
    }
    // Only the loop reads it: the end is where nothing has come in a whole turn.
    const { bytesRead } = answers;
    setImmediate(() => setImmediate(() => {
      if (answers.bytesRead === bytesRead) done();
      else this.#readToTheEnd(id, worker, done);
    }));
  }

  /**
   * @param {number} id @param {ProcessWorker} worker @param {number | null} exitCode @param {string | null} signal
   */
  #exited(id, worker, exitCode, signal) {
    const { child, answers } = worker;
    const open = [answers, child.stderr, child.stdout].filter((stream) => stream !== null && !stream.closed);
    /** @type {NodeJS.Timeout | undefined} */
    let limit;
    const finish = () => {
      if (limit === undefined) return;
      clearTimeout(limit);
      limit = undefined;
      this.#readToTheEnd(id, worker, report);
    };
    const report = () => {
      hangUp(worker);
      clearTimeout(worker.hungUp);
      const stderr = worker.stderr.toString();
      // Of one that was given up for lost, its end is told already.
      if (worker.report.outlives === true) this.workers.delete(id);
      else this.gone(id, { ...worker.report, exitCode, signal, stderr });
      if (worker.begunFile !== null) closeBegunFile(worker.begunFile);
    };
    limit = setTimeout(finish, OUTPUT_GRACE);
    let left = open.length;
    if (left === 0) setImmediate(finish);
    open.forEach((stream) => stream?.once('close', () => {
      if (--left === 0) finish();
    }));
  }
}

/** Nothing more is sent to it or read. @param {ProcessWorker} worker */
function hangUp(worker) {
  worker.isRead = false;
  [worker.calls, worker.answers, worker.watchdog].forEach((pipe) => pipe.destroy());
}

/** @param {readonly string[]} list NAME=value each */
function environmentOf(list) {
  /** @type {Record<string, string>} */
  const env = Object.create(null);
  list.forEach((entry) => {
    // The names of some of Windows' variables begin with this character.
    const at = entry.indexOf('=', 1);
    env[entry.slice(0, at)] = entry.slice(at + 1);
  });
  return env;
}

module.exports = { ProcessCarrier };
