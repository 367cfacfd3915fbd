'use strict';

/**
 * What every worker does once it is connected: loads the user's module, tells the parent, serves calls.
 *
 * Must not depend on whether it runs in a process or a thread.
 */

const { isPromise } = require('node:util').types;
const { currentCalls, runningCall, serveCurrent, trackCalls } = require('./current-call');
const { createMainLogger, forwardOutput } = require('./output');
const { messageText, shortened, thrownText } = require('./replies');
const { Runner } = require('./runner');
const { withCall } = require('./running-call');
const { decodeValues } = require('../codec/codec');
const { PART_FIELDS, pushText, refusalIn, valuesOf } = require('../codec/parts');
const { define } = require('../intrinsics/define');
const { toJson } = require('../intrinsics/json');
const {
  CALLS, CANCEL, DEMAND, LOAD_FAILED, MEMORY, OUTPUT, READY, REPLY, STOP,
} = require('../transport/constants');
const { findFunction, loadModule } = require('./module-loader');
const { Settling, unsettledInitializer, unsettledModule } = require('./settling');
const { callUser } = require('./user-function');

/** The variable of a worker's environment that has its index. */
const INDEX_VARIABLE = 'PARALLELIZER_WORKER_INDEX';

/**
 * What the parent sends first.
 * @typedef {object} Init
 * @property {string | null} filePath the module of all calls; null: each call names its task
 * @property {string | null} functionName
 * @property {{ tag: number, definition: string } | null} initializer a task that runs before any call, with
 *   the value that accompanies this
 * @property {number} concurrency how many calls may run at the same time
 * @property {import('../codec/codec').Serialization} serialization
 * @property {boolean} forward whether output goes through the parent
 * @property {boolean} structured whether objects and errors are forwarded as such, not as text
 * @property {boolean} reportMemory
 * @property {number} depth how many workers deep this one is nested, itself included
 * @property {string[]} ancestry the modules that those workers run
 * @property {boolean} sharesEnv whether `process.env` is the parent's own
 */

/** @typedef {import('../transport/ring').ShortAnswer} ShortAnswer */

/**
 * @typedef {object} Connection
 * @property {(kind: number, id: number, seq: number, aux: number, parts: import('../codec/parts').Parts) => void} send
 * @property {Connection['send'] | null} publish sends what arrives whatever becomes of this end; the parent need not
 *   look for it before `wake`. `null` where that costs as much as to send
 * @property {((id: number, seq: number, micros: number, answer: ShortAnswer) => void) | null} publishAnswer the same
 *   for the answer to one call
 * @property {((seq: number) => void) | null} begun tells the parent which call begins; `null` where it sees the page
 * @property {import('./messages').SendMessage} sendMessage sends a message, which arrives whatever becomes of this end
 * @property {number} messageRoom how much of the messages may be under way, in bytes
 * @property {() => void} wake has the other end look for what was published
 * @property {() => void} poll handles the frames that have arrived, now
 * @property {() => void} [served] is called when the calls of a frame are answered
 * @property {Uint32Array | null} page the memory shared with the parent, or with what speaks for it
 * @property {(held: boolean) => void} hold whether it keeps the event loop alive, as it does at first
 * @property {() => number} memory bytes in use
 * @property {import('../codec/codec').Clones | null} clones
 * @property {number} workerIndex
 */

/**
 * @typedef {object} Server
 * @property {import('../transport/frame-channel').Receive} onFrame
 * @property {() => void} flush
 * @property {() => boolean} isIdle
 */

/** @typedef {Parameters<Server['onFrame']>} Frame */
/** @typedef {import('./module-loader').Loaders} Loaders */

/**
 * @param {Connection} connection
 * @param {Init} init
 * @param {import('../codec/parts').Parts} initParts
 * @param {Loaders} loaders
 * @returns {Server}
 */
function serve(connection, init, initParts, loaders) {
  const { send, publish } = connection;
  /** @type {InstanceType<typeof Runner> | null} */
  let runner = null;
  /** @type {Frame[]} The frames that arrived before there was a runner. */
  const early = [];
  /** @type {import('./output').Print} */
  const print = (level, text, form, call = runningCall() ?? undefined) => {
    /** @type {[level: string, text: string, form?: unknown]} */
    const message = form === undefined ? [level, text] : [level, text, form];
    const sendText = (/** @type {string} */ line) => send(OUTPUT, 0, call?.seq ?? 0, 0, textPart(line));
    try {
      sendText(messageText(message));
    } catch {
      // To print must not fail, whatever the transport says of a message.
      sendText(toJson(shortened(message)));
    }
  };
  if (init.forward) forwardOutput(print, init.structured);
  if (process.env.WATCH_REPORT_DEPENDENCIES !== undefined) require('./watch-mode').reportLoadedFiles(print);

  /** @param {import('./runner').Callees} callees */
  const begin = (callees) => {
    runner = new Runner({
      port: {
        reply: (frame, offset, micros, parts) => send(REPLY, frame, offset, micros, parts),
        publish: publish && ((frame, offset, micros, parts) => publish(REPLY, frame, offset, micros, parts)),
        publishShort: connection.publishAnswer,
        told: connection.wake,
        isLocal: false,
        begun: connection.begun,
        sendMessage: connection.sendMessage,
        messageRoom: connection.messageRoom,
        poll: connection.poll,
        served: () => {
          if (init.reportMemory) send(MEMORY, 0, 0, connection.memory() / 1024, []);
          connection.served?.();
        },
      },
      workerIndex: connection.workerIndex,
      page: connection.page,
      serialization: init.serialization,
      clones: connection.clones,
      callees,
      concurrency: init.concurrency,
    });
    serveCurrent(runner);
    send(READY, 0, 0, 0, []);
    // Cancellations first: the calls that they are about must not begin.
    const frames = early.filter(isCancel).concat(early.filter((frame) => !isCancel(frame)));
    frames.forEach((frame) => Reflect.apply(onFrame, undefined, frame));
    early.length = 0;
  };
  /** @param {unknown} error */
  const fail = (error) =>
    send(LOAD_FAILED, 0, 0, 0, textPart(thrownText(error)));

  try {
    /** @type {MakeLogger} */
    const makeLogger = (index, call) => createMainLogger(index, print, call);
    const settling = new Settling(connection.hold);
    // The output of calls that run at the same time has to be told apart.
    if (init.forward && init.concurrency > 1) trackCalls();
    const { clones, workerIndex } = connection;
    const prepared = prepare(init, initParts, clones, loaders, makeLogger, settling, workerIndex);
    if (isPromise(prepared)) prepared.then(begin).catch(fail);
    else begin(prepared);
  } catch (error) {
    fail(error);
  }

  return { onFrame, flush: () => runner?.flush(), isIdle: () => runner?.isIdle ?? false };

  /** @type {Server['onFrame']} */
  function onFrame(kind, id, seq, aux, parts) {
    if (kind === STOP && runner?.hasTraced) require('./trace-context').flush(exitWhenPrinted);
    else if (kind === STOP) exitWhenPrinted();
    else if (runner === null) early.push([kind, id, seq, aux, parts]);
    else if (kind === CALLS) runner.enqueue({ id, seq, parts, isPatient: aux !== 0 });
    else if (kind === DEMAND) runner.demand(seq, id);
    else if (kind === CANCEL) runner.cancel(numbersOf(/** @type {Uint8Array} */ (parts[PART_FIELDS - 1])));
  }
}

/**
 * Gets the functions that calls run: loads the user's module, or runs the initializer.
 * @param {Init} init
 * @param {import('../codec/parts').Parts} initParts
 * @param {import('../codec/codec').Clones | null} clones
 * @param {Loaders} loaders
 * @param {MakeLogger} makeLogger
 * @param {import('./settling').Watcher} settling
 * @param {number} workerIndex
 * @returns {import('./runner').Callees | Promise<import('./runner').Callees>} throws, or rejects, with what the user's
 *   code threw
 */
function prepare(init, initParts, clones, loaders, makeLogger, settling, workerIndex) {
  const { filePath, functionName, initializer, serialization } = init;
  if (filePath === null) {
    const tasks = new (require('./tasks').Tasks)(loaders, settling);
    if (initializer === null) return tasks;
    return settling.watch(initialize(tasks, initializer, initParts, clones, workerIndex), unsettledInitializer);
  }
  const modules = { filePath, loaders, settling, serialization };
  /** @param {unknown} loaded */
  const found = (loaded) => {
    const fn = findFunction(filePath, /** @type {string} */ (functionName), loaded);
    // A variable that never changes is as good as a constant to V8, see user-function.js.
    const held = [fn];
    /** @type {import('./runner').Callee} */
    const callee = (args, call) => invoke(held[0], args, call, makeLogger, modules);
    return {
      of: () => callee,
      list: (/** @type {any} */ shared) => new (require('./record-list').RecordList)(fn, shared, makeLogger, modules),
      define() {},
    };
  };
  const loaded = loadModule(filePath, loaders);
  // Not just any thenable: a module may export a function called `then`.
  return isPromise(loaded) ? settling.watch(loaded, unsettledModule).then(found) : found(loaded);
}

/**
 * @param {InstanceType<typeof import('./tasks').Tasks>} tasks
 * @param {{ tag: number, definition: string }} initializer
 * @param {import('../codec/parts').Parts} parts
 * @param {import('../codec/codec').Clones | null} clones
 * @param {number} workerIndex
 */
async function initialize(tasks, { tag, definition }, parts, clones, workerIndex) {
  tasks.define(definition);
  const callee = await tasks.of(tag);
  const refusal = refusalIn(parts, 0, parts.length);
  if (refusal !== null) throw require('../errors').tooLargeError('"initArgs"', new Error(refusal));
  const { 1: codec, 5: value } = /** @type {[number, number, number, number, number, string]} */ (parts);
  const { 0: args } = decodeValues(codec, value, 1, valuesOf(parts.slice(PART_FIELDS)), clones);
  // There is no call yet that could be aborted.
  const call = { signal: new AbortController().signal, workerIndex };
  await callee(args, /** @type {any} */ (Object.freeze(call)));
  return tasks;
}

/**
 * @callback MakeLogger
 * @param {number} index of the sub-batch
 * @param {import('./runner').Call} call
 * @returns {(entry: any) => void}
 */

/**
 * Calls the user's function with a sub-batch.
 * @param {Function} fn
 * @param {any} args what the parent sent: batch, params, index of the sub-batch, context and, for an event of AWS
 *   Lambda, the kind of its records
 * @param {import('./runner').Call} call
 * @param {MakeLogger} makeLogger
 * @param {import('./record-steps').Modules} modules
 */
function invoke(fn, args, call, makeLogger, modules) {
  const { 0: batch, 1: params, 2: batchIndex, 3: context, 4: event } = args;
  if (event !== undefined) {
    return require('./invocation').invokeForEvent(fn, args, call, makeLogger(batchIndex, call), modules);
  }
  const { workerIndex } = call;
  const mainLogger = makeLogger(batchIndex, call);
  const given = withCall({ batch, params, mainLogger, batchIndex, workerIndex, context }, call);
  return callUser(fn, undefined, given);
}

/** Waits for output that is still queued because a pipe is full: `process.exit` would drop it. */
function exitWhenPrinted() {
  // To ask a stream that was never used would make it, which takes a worker longer than all the rest of its end.
  const loaded = /** @type {{ moduleLoadList?: string[] }} */ (process).moduleLoadList;
  if (loaded !== undefined && !loaded.includes('NativeModule stream')) return process.exit();
  let open = 1;
  const done = () => {
    if (--open === 0) process.exit();
  };
  const names = /** @type {const} */ (['stdout', 'stderr']);
  names.forEach((name) => {
    try {
      const stream = process[name];
      if (stream.writableLength === 0) return;
      stream.write('', done);
      open++;
    } catch {
      // Node cannot make the stream, after what the user's code has done to the globals: nothing was written to it.
    }
  });
  done();
}

/** @param {Frame} frame */
function isCancel(frame) {
  return frame[0] === CANCEL;
}

/** @param {string} text */
function textPart(text) {
  /** @type {import('../codec/parts').Parts} */
  const parts = [];
  pushText(parts, 0, 0, 0, 0, text);
  return parts;
}

/** @param {Uint8Array} bytes little-endian words */
function numbersOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getUint32(i * 4, true));
}

/**
 * Tells all copies of the library in this worker that they are in one, see lib/host/nesting.js.
 * @param {Init} init
 */
function markAsWorker({ depth, ancestry }) {
  define(globalThis, Symbol.for('@parallelizer/node'), {
    value: Object.freeze({ depth, ancestry: Object.freeze(ancestry), ...currentCalls }),
  });
}

/**
 * Lets the user's code know which of the workers this is, before any of it is loaded.
 * @param {number} workerIndex
 */
function announceIndex(workerIndex) {
  process.env[INDEX_VARIABLE] = String(workerIndex);
}

/**
 * Removes the globals that a script given as text has and a module does not.
 * @param {readonly string[]} builtinModules those that it can use without requiring them
 */
function removeScriptGlobals(builtinModules) {
  const globals = /** @type {Record<string, unknown>} */ (globalThis);
  const real = ['console', 'process', 'crypto'];
  builtinModules.forEach((name) => {
    if (!real.includes(name)) delete globals[name];
  });
  ['require', 'module', 'exports', '__filename', '__dirname'].forEach((name) => delete globals[name]);
}

module.exports = { announceIndex, serve, prepare, markAsWorker, removeScriptGlobals };
