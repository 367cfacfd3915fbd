'use strict';

/**
 * What a worker prints through its parent: `mainLogger` and, with `stdio: 'forward'`, everything that its JavaScript
 * prints, message by message and with its level. (What native code writes to the descriptors, the parent reads there.)
 *
 * Must not depend on who prints it in the end, nor how.
 */

const { isError } = require('../codec/is-error');
const { define } = require('../intrinsics/define');
const { nextTick } = require('../intrinsics/clock');

/**
 * @callback Print
 * @param {string} level the method of `console`
 * @param {string} text one whole message, without the newline at its end
 * @param {import('../jobs/print').Form} [form]
 * @param {import('./runner').Call} [call] that it is about, where one is known
 * @returns {void}
 */

/** So many characters are kept of a message whose details cannot be printed. */
const MAX_SHOWN = 1024 * 1024;

/**
 * The `mainLogger` that user code is given.
 * @param {number} childId
 * @param {Print} print
 * @param {import('./runner').Call} call whose it is
 */
function createMainLogger(childId, print, call) {
  /** @param {{ message?: unknown, params?: Record<string, unknown>, logType?: string }} [entry] */
  return function mainLogger({ message, params = {}, logType = 'log' } = {}) {
    let line;
    try {
      line = stringify({ child_id: childId, ...params, message });
    } catch (error) {
      // Logging must not fail: the message matters more than its details.
      const shown = textOf(message).slice(0, MAX_SHOWN);
      line = stringify({ child_id: childId, message: shown, unserializable: String(error) });
    }
    print(String(logType), line, 'object', call);
  };
}

/** @param {unknown} value whose `toString` may throw, or may be none */
function textOf(value) {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

// The user's code may replace them.
const { parse, stringify } = JSON;

/** Methods of `console` that have a level of their own; the others print as `log`, or as `error` on stderr. */
const LEVELS = /** @type {const} */ (['info', 'debug', 'warn']);

/** The methods that print. The class `Console`, what only an inspector sees, and Node's own fields are left alone. */
const PRINTING = [
  'log', 'error', 'info', 'debug', 'warn', 'assert', 'trace', 'dir', 'dirxml', 'table', 'group', 'groupCollapsed',
  'groupEnd', 'count', 'countReset', 'time', 'timeLog', 'timeEnd',
];

/** Methods whose arguments can be sent as they are. */
const PLAIN = ['log', 'error', 'info', 'debug', 'warn'];

/**
 * From now on, sends to `print` what is printed here.
 * @param {Print} print
 * @param {boolean} structured whether objects and errors are passed as such, not as text
 */
function forwardOutput(print, structured) {
  /** @type {string | null} */
  let level = null;
  let inConsole = false;
  /** Print the lines that were begun, by stream. @type {Map<string, () => void>} */
  const beginnings = new Map();
  PRINTING.forEach((name) => {
    const method = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (console))[name];
    if (typeof method !== 'function') return;
    const own = LEVELS.find((each) => each === name);
    const forward = (/** @type {unknown[]} */ ...args) => {
      if (structured && !inConsole && PLAIN.includes(name) && hasStructure(args)) {
        beginnings.get(name === 'error' || name === 'warn' ? 'error' : 'log')?.();
        print(name, '', args.map((argument) => argumentOf(argument, args.length === 1)));
        return;
      }
      const outer = { level, inConsole };
      // `table` and the like print through `log`: the outermost method is the one that was called.
      level ??= own ?? null;
      inConsole = true;
      try {
        return Reflect.apply(method, console, args);
      } finally {
        level = outer.level;
        inConsole = outer.inConsole;
      }
    };
    Reflect.set(console, name, define(forward, 'name', { value: name, configurable: true }));
  });
  redirectWhenMade('stdout', 'log');
  redirectWhenMade('stderr', 'error');

  /**
   * Node makes a stream when it is asked for first, out of two dozen modules, which may take longer to load than all
   * else that a worker needs: it compiles them anew in a process with another limit of its heap, as on AWS Lambda.
   * @param {'stdout' | 'stderr'} name @param {string} fallback
   */
  function redirectWhenMade(name, fallback) {
    const found = Object.getOwnPropertyDescriptor(process, name);
    const make = found?.get;
    if (make === undefined || mayExist()) {
      redirect(process[name], fallback);
      return;
    }
    /** @type {NodeJS.WriteStream | null} */
    let stream = null;
    define(process, name, {
      ...found,
      get() {
        if (stream === null) {
          stream = /** @type {NodeJS.WriteStream} */ (Reflect.apply(make, process, []));
          redirect(stream, fallback);
        }
        return stream;
      },
    });
  }

  /** @param {NodeJS.WriteStream} stream @param {string} fallback */
  function redirect(stream, fallback) {
    let rest = '';
    const decoder = new (require('node:string_decoder').StringDecoder)('utf8');
    const flush = () => {
      if (rest !== '') print(fallback, rest, 'written');
      rest = '';
    };
    Reflect.set(stream, 'write', (/** @type {unknown} */ chunk, /** @type {unknown[]} */ ...args) => {
      const encoding = typeof args[0] === 'string' ? /** @type {BufferEncoding} */ (args[0]) : 'utf8';
      const text = typeof chunk === 'string' && encoding === 'utf8' ? chunk
        : decoder.write(bytesOf(chunk, encoding));
      if (inConsole) {
        // It ends a line that was begun without it.
        const begun = rest;
        rest = '';
        print(level ?? fallback, begun + (text.endsWith('\n') ? text.slice(0, -1) : text));
      } else {
        // A line may be written in pieces; a message ends with its line.
        rest += text;
        const end = rest.lastIndexOf('\n');
        if (end >= 0) {
          print(fallback, rest.slice(0, end), 'written');
          rest = rest.slice(end + 1);
        }
      }
      const done = args.findLast((argument) => typeof argument === 'function');
      if (typeof done === 'function') nextTick(done);
      return true;
    });
    beginnings.set(fallback, flush);
    process.on('exit', flush);
  }
}

/** Whether what streams are made of is loaded: somebody may have one, and to make one costs little. */
function mayExist() {
  const { moduleLoadList: loaded } = /** @type {{ moduleLoadList?: unknown }} */ (/** @type {unknown} */ (process));
  return !Array.isArray(loaded) || loaded.includes('NativeModule stream');
}

/** @param {unknown} chunk @param {BufferEncoding} encoding */
function bytesOf(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(/** @type {Uint8Array} */ (chunk));
}

/**
 * Whether a message is more than its text: a single object, or an error among its arguments.
 * @param {unknown[]} args
 */
function hasStructure(args) {
  if (args.length === 1) return typeof args[0] === 'object' && args[0] !== null;
  return args.some(isError);
}

/**
 * @param {unknown} argument @param {boolean} isAlone
 * @returns {{ value?: unknown, shown?: string, error?: unknown }}
 */
function argumentOf(argument, isAlone) {
  if (isError(argument)) return { error: require('../codec/error-flattener').flattenError(argument) };
  const isText = ['string', 'boolean'].includes(typeof argument) || argument === null || Number.isFinite(argument);
  if (isText) return { value: argument };
  if (isAlone) {
    try {
      return { value: parse(stringify(argument, errorAsObject)) };
    } catch {
      // A cycle, a BigInt.
    }
  }
  return { shown: require('node:util').inspect(argument) };
}

/** The form in which the runtime of AWS Lambda logs an error. @param {string} _key @param {unknown} value */
function errorAsObject(_key, value) {
  if (!isError(value)) return value;
  const errorType = value.constructor?.name ?? 'UnknownError';
  return { errorType, errorMessage: value.message, stackTrace: value.stack?.split('\n'), ...value };
}

module.exports = { createMainLogger, forwardOutput };
