'use strict';

/**
 * What every worker does once it is connected: loads the user's module, says so, serves calls.
 *
 * May not know whether it is a process or a thread.
 */

const { createMainLogger, forwardOutput } = require('./output');
const { Runner } = require('./runner');
const { decodeValues } = require('../codec/codec');
const { PART_FIELDS, pushText, valuesOf } = require('../codec/parts');
const { CALLS, CANCEL, STOP, READY, LOAD_FAILED, REPLY, BEGUN, OUTPUT, MEMORY } = require('../transport/constants');
const { findFunction, loadModule } = require('./module-loader');

/**
 * What the parent says first.
 * @typedef {object} Init
 * @property {string | null} filePath the module that every call is for; null: each call names its task
 * @property {string | null} functionName
 * @property {{ tag: number, definition: string } | null} initializer a task that is run before any call, with the value
 *   that comes with this
 * @property {number} concurrency how many calls run at the same time
 * @property {import('../codec/codec').Serialization} serialization
 * @property {boolean} forward whether output goes through the parent
 * @property {boolean} structured whether objects and errors are printed as such
 * @property {boolean} reportMemory
 * @property {number} depth how many workers this one is nested in, itself included
 * @property {string[]} ancestry the modules that those run
 */

/**
 * @typedef {object} Connection
 * @property {(kind: number, id: number, seq: number, aux: number, parts: import('../codec/parts').Parts) => void} send
 * @property {() => void} poll handles what has come, now
 * @property {() => void} [served] is told when the calls of a frame are answered
 * @property {Uint32Array | null} page the memory shared with the parent
 * @property {() => number} memory bytes in use
 * @property {import('../codec/codec').Clones | null} clones
 */

/**
 * @param {Connection} connection
 * @param {Init} init
 * @param {import('../codec/parts').Parts} initParts
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load
 * @returns {{ onFrame: (kind: number, id: number, seq: number, parts: import('../codec/parts').Parts) => void, flush: () => void, isIdle: () => boolean }}
 */
function serve(connection, init, initParts, nodeRequire, load) {
  const { send } = connection;
  /** @type {InstanceType<typeof Runner> | null} */
  let runner = null;
  /** @type {[kind: number, id: number, seq: number, parts: import('../codec/parts').Parts][]} What came before it was there. */
  const early = [];
  /** @type {import('./output').Print} */
  const print = (...message) => send(OUTPUT, 0, runner?.current ?? 0, 0, textPart(JSON.stringify(message)));
  if (init.forward) forwardOutput(print, init.structured);

  /** @param {import('./runner').Callees} callees */
  const begin = (callees) => {
    runner = new Runner({
      port: {
        reply: (frame, offset, micros, parts) => send(REPLY, frame, offset, micros, parts),
        begun: (seq) => send(BEGUN, 0, seq, 0, []),
        poll: connection.poll,
        served: () => {
          if (init.reportMemory) send(MEMORY, 0, 0, connection.memory() / 1024, []);
          connection.served?.();
        },
      },
      page: connection.page,
      serialization: init.serialization,
      clones: connection.clones,
      callees,
      concurrency: init.concurrency,
      tracker: trackerFor(init, nodeRequire),
    });
    send(READY, 0, 0, 0, []);
    // What was cancelled meanwhile must not begin.
    const [cancels, others] = [early.filter(([kind]) => kind === CANCEL), early.filter(([kind]) => kind !== CANCEL)];
    for (const frame of [...cancels, ...others]) onFrame(...frame);
    early.length = 0;
  };
  /** @param {unknown} error */
  const fail = (error) =>
    send(LOAD_FAILED, 0, 0, 0, textPart(JSON.stringify(require('../codec/error-flattener').flattenError(error))));

  try {
    const prepared = prepare(init, initParts, connection.clones, nodeRequire, load, (args) =>
      createMainLogger(args[2], print),
    );
    if (prepared instanceof Promise) prepared.then(begin).catch(fail);
    else begin(prepared);
  } catch (error) {
    fail(error);
  }

  return { onFrame, flush: () => runner?.flush(), isIdle: () => runner?.isIdle ?? false };

  /** @param {number} kind @param {number} id @param {number} seq @param {import('../codec/parts').Parts} parts */
  function onFrame(kind, id, seq, parts) {
    if (kind === STOP) exitWhenPrinted();
    else if (runner === null) early.push([kind, id, seq, parts]);
    else if (kind === CALLS) runner.enqueue({ id, seq, parts });
    else if (kind === CANCEL) runner.cancel(numbersOf(/** @type {Uint8Array} */ (parts[PART_FIELDS - 1])));
  }
}

/**
 * Gets what calls run: loads the user's module, or runs the initializer.
 * @param {Init} init
 * @param {import('../codec/parts').Parts} initParts
 * @param {import('../codec/codec').Clones | null} clones
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load
 * @param {MakeLogger} makeLogger
 * @returns {import('./runner').Callees | Promise<import('./runner').Callees>} throws, or rejects, with what the user's
 *   code threw
 */
function prepare({ filePath, functionName, initializer }, initParts, clones, nodeRequire, load, makeLogger) {
  if (filePath === null) {
    const tasks = new (require('./tasks').Tasks)(nodeRequire, load);
    return initializer === null ? tasks : initialize(tasks, initializer, initParts, clones);
  }
  /** @param {unknown} loaded */
  const found = (loaded) => {
    const fn = findFunction(filePath, /** @type {string} */ (functionName), loaded);
    /** @type {import('./runner').Callee} */
    const callee = (args, call) => invoke(fn, args, call, makeLogger);
    return { of: () => callee, define() {} };
  };
  const loaded = loadModule(filePath, nodeRequire, load);
  // Not any thenable: a module may export a function called `then`.
  return loaded instanceof Promise ? loaded.then(found) : found(loaded);
}

/**
 * @param {InstanceType<typeof import('./tasks').Tasks>} tasks
 * @param {{ tag: number, definition: string }} initializer
 * @param {import('../codec/parts').Parts} parts
 * @param {import('../codec/codec').Clones | null} clones
 */
async function initialize(tasks, { tag, definition }, parts, clones) {
  tasks.define(definition);
  const callee = await tasks.of(tag);
  const [, codec, , , , value] = /** @type {[number, number, number, number, number, string]} */ (parts);
  const [args] = decodeValues(codec, value, 1, valuesOf(parts.slice(PART_FIELDS)), clones);
  // There is no call yet that could be aborted.
  await callee(args, /** @type {any} */ (Object.freeze({ signal: new AbortController().signal })));
  return tasks;
}

/**
 * @callback MakeLogger
 * @param {any} args what a call was sent
 * @param {{ readonly seq: number }} call
 * @returns {(entry: any) => void}
 */

/**
 * Calls the user's function with a sub-batch.
 * @param {Function} fn
 * @param {any} args what the parent sent: batch, params, index of the sub-batch, context, and what the records of an
 *   event of AWS Lambda are
 * @param {{ readonly signal: AbortSignal, readonly seq: number }} call
 * @param {MakeLogger} makeLogger
 */
function invoke(fn, args, call, makeLogger) {
  const [batch, params, batchIndex, context, event] = args;
  if (event !== undefined) return require('./invocation').invokeForEvent(fn, args, call, makeLogger(args, call));
  return fn({
    batch,
    params,
    mainLogger: makeLogger(args, call),
    // Made when it is asked for.
    get signal() {
      return call.signal;
    },
    batchIndex,
    context,
  });
}

/**
 * Only where it matters which of several calls says something.
 * @param {Init} init @param {NodeRequire} nodeRequire
 */
function trackerFor({ concurrency, forward }, nodeRequire) {
  return concurrency > 1 && forward ? new (nodeRequire('node:async_hooks').AsyncLocalStorage)() : null;
}

/** What was printed may still be on its way into a pipe that is full: `process.exit` would drop it. */
function exitWhenPrinted() {
  let open = 1;
  const done = () => {
    if (--open === 0) process.exit();
  };
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength === 0) continue;
    open++;
    stream.write('', done);
  }
  done();
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
 * Tells the library's copies in this worker where they are, see lib/host/nesting.js.
 * @param {Init} init
 */
function markAsWorker({ depth, ancestry }) {
  Object.defineProperty(globalThis, Symbol.for('@parallelizer/node'), {
    value: Object.freeze({ depth, ancestry: Object.freeze(ancestry) }),
  });
}

/**
 * Removes what a script that was given as text finds in its global object, and a module does not.
 * @param {NodeRequire} nodeRequire
 */
function removeScriptGlobals(nodeRequire) {
  const globals = /** @type {Record<string, unknown>} */ (globalThis);
  const real = ['console', 'process', 'crypto'];
  for (const name of nodeRequire('node:module').builtinModules) {
    if (!real.includes(name)) delete globals[name];
  }
  for (const name of ['require', 'module', 'exports', '__filename', '__dirname']) delete globals[name];
}

module.exports = { serve, prepare, markAsWorker, removeScriptGlobals };
