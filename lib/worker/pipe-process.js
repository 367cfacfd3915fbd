'use strict';

/**
 * The entry point of a worker process that has no addon: `bootstrap.js` over pipes, see `lib/transport/pipes.js`.
 *
 * 1. The parent starts `node -e` with a constant script, which reads this source from the pipe.
 * 2. The `Init` frame follows there, and is read without a turn of the event loop; so are calls that came with it.
 * 3. The watchdog is started before any module of the user's. It starts on a thread of its own, beside that.
 * 4. What it says is written synchronously: the number of a call that begins, and the answer before it, are out before
 *    it runs.
 * 5. After an answer the loop may stay awake for a moment, if the parent says that there is a CPU for it.
 * 6. However this process ends, what it has answered is in the pipe. It ends by SIGKILL where its parent is gone.
 *
 * This runs in every worker, so it loads nothing before it is needed.
 */

const { fromJson } = require('../intrinsics/json');
const { nextTick } = require('../intrinsics/clock');
const {
  BEGUN, CALLS, CANCEL, INIT, MESSAGE, PAGE_WORDS, PART_FIELDS, STOP, WAITING_POLLING, WAITING_WORD,
} = require('../transport/constants');
const { BEGUN_FD } = require('../transport/begun-file');
const { FrameDecoder, frameLength, writeFrame } = require('../transport/frame-codec');
const { LoopSpin } = require('../transport/loop-spin');
const { readDescriptor } = require('../transport/pipe-reader');
const {
  ANSWERS_FD, CALLS_FD, CANCELLED, MAX_CANCELLED, PIPE_ROOM, WATCHDOG_SCRIPT, WATCHDOG_WORDS, WRITTEN_WORD,
} = require('../transport/pipes');
const { ignoreGroupSignals } = require('./group-signals');
const { imitateFork } = require('./imitated-fork');
const { announceIndex, serve, markAsWorker, removeScriptGlobals } = require('./serve');

/** Frames up to this size are written from memory that is kept, in bytes. */
const SCRATCH = 64 * 1024;
/** How much is written at once, in bytes: systems take no more than some 2 GiB. */
const MAX_WRITE = 2 ** 30;
/** How much is read at once before there is an event loop to read with, in bytes. */
const FIRST_READ = 64 * 1024;

/**
 * @param {import('./module-loader').Loaders} loaders
 */
function bootPipes(loaders) {
  const { require: nodeRequire } = loaders;
  // The user's code may replace them.
  const { readSync, writeSync } = nodeRequire('node:fs');
  const decoder = new FrameDecoder();
  const words = new Uint32Array(new SharedArrayBuffer(WATCHDOG_WORDS * Uint32Array.BYTES_PER_ELEMENT));
  const scratch = Buffer.allocUnsafeSlow(SCRATCH);
  /** @type {ReturnType<typeof serve> | null} */
  let served = null;
  /** @type {any} The pipe that calls come through, once the event loop reads it. */
  let calls = null;
  let isHeld = true;
  let isToldToStop = false;
  let seen = 0;
  /** Waits for the next calls. */
  const spin = new LoopSpin(() => served !== null && served.isIdle());

  /** @type {import('../transport/frame-codec').Receive} */
  const send = (kind, id, seq, aux, parts) => {
    const length = frameLength(parts);
    const buffer = length <= SCRATCH ? scratch : Buffer.allocUnsafeSlow(length);
    writeFrame(buffer, 0, length, kind, id, seq, aux, parts);
    // Nobody is left to be told, where the parent has said farewell.
    if (!writeAll(writeSync, buffer, length) && !isToldToStop) endNow();
  };

  /** Has calls cancelled that the watchdog was told of. */
  const takeCancelled = () => {
    const written = Atomics.load(words, WRITTEN_WORD);
    const count = Math.min((written - seen) >>> 0, MAX_CANCELLED);
    if (count === 0) return;
    const seqs = Buffer.alloc(count * 4);
    for (let i = 0; i < count; i++) {
      const at = (written - count + i) >>> 0;
      seqs.writeUInt32LE(Atomics.load(words, CANCELLED + (at % MAX_CANCELLED)), i * 4);
    }
    seen = written;
    served?.onFrame(CANCEL, 0, 0, 0, [0, 0, 0, 0, 0, seqs]);
  };

  /** @param {Buffer} bytes */
  const receive = (bytes) => {
    decoder.add(bytes, true);
    let frame;
    while ((frame = nextFrame(decoder)) !== null) {
      const { 0: kind, 1: id, 2: seq, 3: aux, 4: parts } = frame;
      if (kind === STOP) isToldToStop = true;
      if (kind === CALLS) {
        spin.arrived();
        words[WAITING_WORD] = aux;
      }
      if (kind === INIT) {
        start(fromJson(String(parts[PART_FIELDS - 1])), parts.slice(PART_FIELDS), seq === BEGUN_FD, aux);
        continue;
      }
      // Each answer is sent at once, so that it does not matter whether anybody is in a hurry.
      if (served !== null) served.onFrame(kind, id, seq, 0, parts);
      else if (kind === STOP) process.exit();
    }
    decoder.keep();
  };

  ignoreGroupSignals();
  process.on('exit', () => served?.flush());
  send(BEGUN, 0, 0, 0, []);
  // The parent writes it right away; only where another worker still has the index of this one, it comes later.
  while (served === null) {
    const bytes = Buffer.allocUnsafeSlow(FIRST_READ);
    receive(bytes.subarray(0, readSome(readSync, bytes)));
  }

  /**
   * @param {import('./serve').Init} init @param {any[]} initParts @param {boolean} hasFile @param {number} workerIndex
   */
  function start(init, initParts, hasFile, workerIndex) {
    announceIndex(workerIndex);
    const { builtinModules } = nodeRequire('node:module');
    removeScriptGlobals(builtinModules);
    // Node sets one of them again after the script has ended.
    nextTick(removeScriptGlobals, builtinModules);
    markAsWorker(init);
    imitateFork(init.filePath);
    const isWatched = startWatchdog(nodeRequire, words, takeCancelled);
    nextTick(() => {
      calls = readDescriptor(nodeRequire('node:net').Socket, CALLS_FD, receive);
      calls.on('error', () => {});
      // Who was told to stop does so by itself, and the watchdog sees to it that it does.
      calls.on('close', () => isToldToStop || endNow());
      if (!isHeld) calls.unref();
    });
    served = serve(
      {
        send,
        publish: null,
        publishAnswer: null,
        begun: hasFile ? beginInFile(writeSync) : (seq) => send(BEGUN, 0, seq, 0, []),
        sendMessage(size, seq, index, parts) {
          send(MESSAGE, size, seq, index, parts);
          return true;
        },
        // It is the watchdog that is told what was handled: without one only the pipe holds messages up.
        messageRoom: isWatched ? PIPE_ROOM : Infinity,
        wake: () => {},
        poll: takeCancelled,
        served: () => words[WAITING_WORD] === WAITING_POLLING && spin.expect(),
        hold(held) {
          isHeld = held;
          if (held) calls?.ref();
          else calls?.unref();
        },
        page: words.subarray(0, PAGE_WORDS),
        memory: process.memoryUsage.rss,
        clones: null,
        workerIndex,
      },
      init,
      initParts,
      loaders,
    );
  }
}

/**
 * Says in a file which call begins.
 * @param {typeof import('node:fs').writeSync} writeSync
 */
function beginInFile(writeSync) {
  const bytes = Buffer.allocUnsafeSlow(Uint32Array.BYTES_PER_ELEMENT);
  return (/** @type {number} */ seq) => {
    bytes.writeUInt32LE(seq);
    try {
      writeSync(BEGUN_FD, bytes, 0, bytes.length, 0);
    } catch {
      // Somebody here has closed it: nobody could tell any more what this worker has begun.
      endNow();
    }
  };
}

/**
 * @param {NodeRequire} nodeRequire @param {Uint32Array} words @param {() => void} onCancelled
 * @returns {boolean} whether there is one
 */
function startWatchdog(nodeRequire, words, onCancelled) {
  try {
    const { Worker } = nodeRequire('node:worker_threads');
    // Without the flags, preloaded modules and environment of the user's.
    const watchdog = new Worker(WATCHDOG_SCRIPT, {
      eval: true,
      workerData: words,
      execArgv: [],
      env: {},
      stdin: false,
      trackUnmanagedFds: false,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    watchdog.on('message', onCancelled);
    watchdog.on('error', () => {});
    watchdog.unref();
    return true;
  } catch {
    // The permission model may forbid threads: then the parent's end is noticed when this thread has nothing to do.
    return false;
  }
}

/** @param {InstanceType<typeof FrameDecoder>} decoder */
function nextFrame(decoder) {
  try {
    return decoder.next();
  } catch (error) {
    // The parent reports the end of stderr along with this worker's death.
    const why = /** @type {Error} */ (error).message;
    process.stderr.write(`parallelizer: what the parent has sent cannot be read: ${why}\n`);
    return endNow();
  }
}

/**
 * @param {typeof import('node:fs').readSync} readSync @param {Buffer} bytes
 * @returns {number} how many were read
 */
function readSome(readSync, bytes) {
  for (;;) {
    try {
      const count = readSync(CALLS_FD, bytes, 0, bytes.length, null);
      if (count > 0) return count;
    } catch (error) {
      if (mayTryAgain(error)) continue;
    }
    endNow();
  }
}

/**
 * @param {typeof import('node:fs').writeSync} writeSync @param {Buffer} bytes @param {number} length
 * @returns {boolean} whether all of it was written: otherwise the parent is gone, or somebody here has closed the pipe
 */
function writeAll(writeSync, bytes, length) {
  for (let at = 0; at < length; ) {
    try {
      at += writeSync(ANSWERS_FD, bytes, at, Math.min(length - at, MAX_WRITE));
    } catch (error) {
      if (!mayTryAgain(error)) return false;
    }
  }
  return true;
}

/** Whether a system call has failed for the moment only; waits for a moment then. @param {any} error */
function mayTryAgain(error) {
  if (error?.code === 'EINTR') return true;
  if (error?.code !== 'EAGAIN') return false;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  return true;
}

/** @returns {never} */
function endNow() {
  for (;;) process.kill(process.pid, 'SIGKILL');
}

module.exports = { bootPipes };
