'use strict';

/**
 * Every error that this library raises itself: one class, and one factory per cause, so that all wording is in one
 * place. A message says what happened and what to do about it.
 *
 * Runs in the parent and in the workers, and adds to the start-up time of both, so it requires nothing at load time. It
 * never fails on a value that it is given to describe. Must not depend on options, pools or frames.
 */

/**
 * As `define` of lib/intrinsics/define.js, which would have to be loaded.
 * @param {object} target @param {PropertyKey} key @param {PropertyDescriptor} descriptor
 */
function define(target, key, descriptor) {
  Object.defineProperty(target, key, Object.setPrototypeOf(descriptor, null));
}

/**
 * As `Object.assign`, which would run into setters that others have put on `Object.prototype`.
 * @template {object} T, F
 * @param {T} error @param {F} fields
 * @returns {T & F}
 */
function withFields(error, fields) {
  Object.entries(/** @type {object} */ (fields)).forEach(({ 0: key, 1: value }) =>
    define(error, key, { value, writable: true, enumerable: true, configurable: true }));
  return /** @type {T & F} */ (error);
}

/** @typedef {import('../index').ParallelizerErrorCode} ParallelizerErrorCode */

/**
 * @typedef {object} ExitDetails
 * @property {number | null} pid
 * @property {number | null} exitCode `null` after a signal, or if it is not known
 * @property {string | null} signal
 * @property {string} stderr the last lines that the worker wrote
 */

const MAX_SHOWN = 80;
const MAX_CAUSE = 400;
const MAX_LISTED_EXPORTS = 20;
const STDERR_LINES_IN_MESSAGE = 10;
const STDERR_CHARACTERS_IN_MESSAGE = 1000;

class ParallelizerError extends Error {
  /**
   * Declared here, so that it is the error's own even if there is a setter of this name on `Object.prototype`.
   * @type {ParallelizerErrorCode}
   */
  code;

  /**
   * @param {ParallelizerErrorCode} code
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }
}

// On the prototype, as in the built-in errors: an own `name` would show up wherever the error is logged.
define(ParallelizerError.prototype, 'name', {
  value: 'ParallelizerError',
  writable: true,
  configurable: true,
});

/** @param {string} text @param {number} length */
function shorten(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/**
 * One short line for any value. Of an object only its kind is shown, since its properties may be secrets.
 * @param {unknown} value
 */
function describe(value) {
  if (value === undefined || value === null) return String(value);
  try {
    // Loaded here, since only errors need it.
    const { inspect } = require('node:util');
    const options = { depth: -1, customInspect: false, breakLength: Infinity, maxStringLength: MAX_SHOWN };
    const line = inspect(value, options).split('\n', 1)[0];
    return `${shorten(line, MAX_SHOWN)} (${Array.isArray(value) ? 'array' : typeof value})`;
  } catch {
    // A revoked Proxy, or a getter that inspecting cannot avoid.
    return `a value of type ${typeof value}`;
  }
}

/**
 * What a caught value says of itself, in one short line; whatever was thrown, this does not throw.
 * @param {unknown} thrown
 */
function reasonText(thrown) {
  try {
    return shorten(String(thrown).split('\n', 1)[0], MAX_CAUSE) || describe(thrown);
  } catch {
    return describe(thrown);
  }
}

/**
 * @param {string} name the option, or a path to it such as `options[1].batchSize`
 * @param {unknown} value
 * @param {string} expected completes "must be …", or is the whole predicate where it begins with a verb of its own
 *   ("is required: …", "cannot …", "needs …")
 * @param {{ cause?: unknown }} [options] with a cause, its text takes the place of the value
 */
function optionError(name, value, expected, options) {
  const predicate = /^(?:is|cannot|needs|has|appears) /.test(expected) ? expected : `must be ${expected}`;
  let got = '';
  if (options !== undefined && Object.hasOwn(options, 'cause')) {
    got = `: ${reasonText(options.cause)}`;
  } else if (/(?:^|\.)env(?:[.[]|$)/.test(name)) {
    // Secrets are often kept in the environment.
    got = `, got a value of type ${value === null ? 'null' : typeof value}`;
  } else if (value !== undefined || predicate !== expected) {
    got = `, got ${describe(value)}`;
  }
  return new ParallelizerError('ERR_PARALLELIZER_OPTION', `option "${name}" ${predicate}${got}`, options);
}

/**
 * @param {string} place in the event, such as `event.Records[3].messageId`
 * @param {unknown} value
 * @param {string} problem a predicate
 */
function eventError(place, value, problem) {
  const got = value === undefined ? '' : `, got ${describe(value)}`;
  return new ParallelizerError('ERR_PARALLELIZER_OPTION', `"${place}" ${problem}${got}`);
}

/**
 * @param {{ failed: number, total: number, source: string, identifiers: unknown[], errors: Error[] }} details
 * @returns {ParallelizerError & { errors: Error[], identifiers: unknown[] }}
 */
function recordsFailedError({ failed, total, source, identifiers, errors }) {
  const first = errors.length === 0 ? '' : `, the first one because of ${reasonText(errors[0])}`;
  const error = new ParallelizerError(
    'ERR_PARALLELIZER_RECORDS_FAILED',
    `${failed} of ${total} records (${source}) are not done${first}; ` +
      'Lambda is told so by this error, and sends all of them again',
    errors.length === 0 ? undefined : { cause: errors[0] },
  );
  // An event is one run.
  const { runId } = /** @type {{ runId?: string }} */ (errors[0] ?? {});
  return withFields(error, runId === undefined ? { errors, identifiers } : { errors, identifiers, runId });
}

/**
 * @param {string} filePath
 * @param {{ cause?: unknown, functionName?: string, exports?: readonly string[] }} [details] `cause`: what loading
 *   the module threw; without one it lacks `functionName`, and `exports` are the names it has
 */
function moduleError(filePath, details = {}) {
  const { functionName, exports = [] } = details;
  if (Object.hasOwn(details, 'cause')) {
    return new ParallelizerError(
      'ERR_PARALLELIZER_MODULE',
      `the module "${filePath}" does not load: ${reasonText(details.cause)}. ` +
        'Its own error is the cause of this one; if the path is not the one you mean, correct "filePath"',
      { cause: details.cause },
    );
  }
  let has = 'it exports nothing: export that function';
  if (functionName !== undefined && exports.includes(functionName)) {
    has = 'what it exports under that name is not a function';
  } else if (exports.length > 0) {
    const listed = exports.slice(0, MAX_LISTED_EXPORTS).map((name) => `"${name}"`).join(', ');
    const more = exports.length - MAX_LISTED_EXPORTS;
    has = `it exports ${listed}${more > 0 ? ` and ${more} more` : ''}: name one of these, or export the function`;
  }
  return new ParallelizerError(
    'ERR_PARALLELIZER_MODULE',
    `the module "${filePath}" has no function "${functionName}"; ${has}`,
  );
}

/**
 * The end of what a worker wrote, as whole lines where possible.
 * @param {string} stderr
 */
function lastLines(stderr) {
  const lines = stderr.trimEnd().split('\n').slice(-STDERR_LINES_IN_MESSAGE);
  let length = lines.reduce((sum, line) => sum + line.length + 1, 0);
  while (lines.length > 1 && length > STDERR_CHARACTERS_IN_MESSAGE) {
    length -= /** @type {string} */ (lines.shift()).length + 1;
  }
  return lines.join('\n').slice(-STDERR_CHARACTERS_IN_MESSAGE);
}

/** The advice for a worker in which Node did not get as far as running anything. */
const SILENCE =
  'its Node had not begun to run, as when the system refuses it threads: use fewer workers, or raise the limit of ' +
  'processes and threads (ulimit -u)';

/** The advice for a worker process whose Node may not load the native part. */
const NO_ADDONS =
  'its Node was told to load no addons, and a worker process needs one: leave --no-addons out of "execArgv" and ' +
  'NODE_OPTIONS (with --permission, add --allow-addons), or use threads, which need none';

const FULL_HEAP = 'Node aborted, most often because its heap was full: use smaller batches or raise "resourceLimits"';
const CRASH = 'native code in it crashed: look at the native addons that your module loads';

/** What Windows says in place of signals, from this number on; and what is said of those that are known. */
const MIN_STATUS = 0xc0000000;
/** @type {Record<number, string>} */
const STATUS_ADVICE = {
  0xc0000005: CRASH,
  0xc000001d: CRASH,
  0xc0000094: CRASH,
  0xc0000374: CRASH,
  0xc0000409: FULL_HEAP,
  0xc00000fd: 'its stack was full: look for recursion without end, or raise "resourceLimits.stackSizeMb"',
  0xc000013a: 'Ctrl+C was pressed, or its console was closed',
};

/**
 * Why a worker may have ended in this way, and what helps.
 * @param {number | null} exitCode @param {string | null} signal @param {boolean} duringBoot @param {string} stderr
 */
function exitAdvice(exitCode, signal, duringBoot, stderr) {
  switch (signal) {
    case null:
      break;
    case 'SIGKILL':
      return 'something killed it, most often the system for want of memory: use fewer workers or smaller batches';
    case 'SIGABRT':
    case 'SIGTRAP':
      return FULL_HEAP;
    case 'SIGSEGV':
    case 'SIGBUS':
    case 'SIGILL':
    case 'SIGFPE':
      return CRASH;
    default:
      return 'something sent it that signal; set "retries" if its work may be run again';
  }
  if (exitCode === null) return 'how it ended is not known; set "retries" if its work may be run again';
  if (duringBoot && exitCode === 9) return 'Node refused its flags: check "execArgv" and NODE_OPTIONS';
  if (duringBoot && stderr.includes('ERR_DLOPEN_DISABLED')) return NO_ADDONS;
  if (exitCode === 0) return 'your code, or a module that it loads, called process.exit(): return instead';
  if (exitCode === 1 && process.platform === 'win32') {
    return 'an exception or a rejection in it was not caught, process.exit() was called, or another process ended it';
  }
  if (exitCode === 1) return 'an exception or a rejection in it was not caught, or process.exit() was called';
  // How Node ends when it aborts where there are no signals, and what a shell makes of SIGABRT.
  if (exitCode === 134) return FULL_HEAP;
  if (exitCode in STATUS_ADVICE) return STATUS_ADVICE[exitCode];
  return 'your code, or a module that it loads, ended the process';
}

/**
 * @param {object} details
 * @param {number | null} [details.pid]
 * @param {number | null} [details.exitCode]
 * @param {string | null} [details.signal]
 * @param {string} [details.stderr] the last lines that it wrote
 * @param {boolean} [details.duringBoot] whether it never became ready
 * @param {boolean} [details.silent] whether it was killed for never beginning to run
 * @param {string} [details.otherProgram] the program that it ran, if that may be no Node
 * @param {string} [details.what] the work that was lost with it, such as `sub-batch 3`
 * @returns {ParallelizerError & ExitDetails}
 */
function workerExited(details) {
  const {
    pid = null, exitCode = null, signal = null, stderr = '', duringBoot = false, silent = false, otherProgram, what,
  } = details;
  const code = exitCode !== null && exitCode >= MIN_STATUS ? `${exitCode} (0x${exitCode.toString(16)})` : exitCode;
  const how = signal !== null ? `was ended by ${signal}` : code !== null ? `exited with code ${code}` : 'ended';
  let when = duringBoot ? ' before it was ready' : '';
  if (what !== undefined) when += duringBoot ? ` to run ${what}` : ` while it ran ${what}`;
  let advice = silent ? SILENCE : exitAdvice(exitCode, signal, duringBoot, stderr);
  if (otherProgram !== undefined) {
    advice += `. If ${otherProgram} does not take the arguments of Node.js, name a program that does by "execPath"`;
  }
  let message = `a worker${pid === null ? '' : ` (pid ${pid})`} ${how}${when}; ${advice}`;
  const tail = lastLines(stderr);
  if (tail !== '') message += `\nThe last lines of its stderr:\n${tail}`;
  return withFields(new ParallelizerError('ERR_PARALLELIZER_WORKER_EXITED', message), {
    pid,
    exitCode,
    signal,
    stderr,
  });
}

/**
 * @param {{ pid: number | null, killError?: string | null }[]} workers that were killed and have not ended, with why
 *   they could not be
 * @returns {ParallelizerError & { pids: number[] }}
 */
function workersOutliveError(workers) {
  const pids = /** @type {number[]} */ (workers.map(({ pid }) => pid).filter((pid) => pid !== null));
  const reason = workers.map(({ killError }) => killError).find(Boolean) ?? null;
  const isOne = pids.length === 1;
  const which =
    isOne ? `a worker process (pid ${pids[0]})`
    : `${pids.length} worker processes (pids ${pids.join(', ')})`;
  const why =
    reason === null ? 'killing had no effect so far, as when a process hangs in the system'
    : `this process may not signal ${isOne ? 'it' : 'them'} (${reason}), as after a change of its user`;
  return withFields(
    new ParallelizerError(
      'ERR_PARALLELIZER_WORKER_OUTLIVES',
      `${which} could not be ended: ${why}; end ${isOne ? 'it' : 'them'} from outside, with "kill -9" as the same user`,
    ),
    { pids },
  );
}

/**
 * @param {{ errno?: number | string | null, message?: string, program?: string }} details `errno` as a number may have
 *   either sign
 * @returns {ParallelizerError & ExitDetails & { errno: number | string | null }}
 */
function spawnFailedError({ errno = null, message = '', program = process.execPath }) {
  let name = errno;
  if (typeof errno === 'number') {
    try {
      name = require('node:util').getSystemErrorName(-Math.abs(errno));
    } catch {
      name = `errno ${errno}`;
    }
  }
  const advice =
    name === 'EAGAIN' ? 'the limit of processes is reached: use fewer workers or raise it (ulimit -u)'
    : name === 'EMFILE' || name === 'ENFILE'
      ? 'no file descriptor is left: use fewer workers or raise the limit (ulimit -n)'
    : name === 'ENOMEM' ? 'there is no memory left for it: use fewer workers'
    : name === 'E2BIG' ? 'its environment is too large: pass a smaller "env"'
    : name === 'ENOENT' || name === 'EACCES' || name === 'ENOEXEC'
      ? `the program ${program} cannot be run; check "execPath"`
    : 'the system refused it';
  const detail = [name, message].filter((part) => part !== null && part !== '').join(': ');
  return withFields(
    new ParallelizerError(
      'ERR_PARALLELIZER_WORKER_EXITED',
      `a worker could not be started${detail === '' ? '' : ` (${detail})`}; ${advice}`,
    ),
    { pid: null, exitCode: null, signal: null, stderr: '', errno },
  );
}

/**
 * @param {number} ms
 * @param {string} what the work that was stopped, such as `sub-batch 3`
 * @param {string | null} [host] the other machine that ran it
 */
function timeoutError(ms, what, host = null) {
  const error = new ParallelizerError(
    'ERR_PARALLELIZER_TIMEOUT',
    `${what} did not finish within ${ms} ms of running; raise "timeout", or give each call less to do`,
  );
  return host === null ? error : withFields(error, { host });
}

/** @param {number} ms */
function notReadyError(ms) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_TIMEOUT',
    `the result was not there within ${ms} ms; the work goes on, and its result can be asked for again`,
  );
}

/**
 * @param {unknown} reason the signal's reason
 * @param {string} what the work that was stopped
 */
function abortError(reason, what) {
  const why = reason === undefined ? '' : `: ${reasonText(reason)}`;
  const error = new ParallelizerError('ERR_PARALLELIZER_ABORTED', `${what} was aborted by its signal${why}`, {
    cause: reason,
  });
  define(error, 'name', { value: 'AbortError', writable: true, configurable: true });
  // The first line of the stack has the name, and the stack was taken before the name was set.
  Error.captureStackTrace(error, abortError);
  return error;
}

/** @param {number} waiting @param {number} maxQueue @param {number} offered sub-batches of the call that was refused */
function queueFullError(waiting, maxQueue, offered) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_QUEUE_FULL',
    `the queue has no room for ${offered} more: ${waiting} are waiting and "maxQueue" is ${maxQueue}; ` +
      'wait for earlier calls to finish, or raise "maxQueue". Nothing of this call was run',
  );
}

/**
 * A call emits faster than its caller takes it.
 * @param {number} waiting @param {number} size bytes
 */
function messagesFullError(waiting, size) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_QUEUE_FULL',
    `there is no room for a message of ${size} bytes: ${waiting} bytes that were emitted before have not been taken; ` +
      'await what emit() returns, emit less, or make "onMessage" faster',
  );
}

/** @param {string} what what was refused or lost, such as `run()` or `sub-batch 3` */
function closedError(what) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_CLOSED',
    `${what} was not carried out: its pool was closed, or its workers were removed; use a pool that is open, ` +
      'and close it after its last result',
  );
}

/** @param {unknown} key what `groupBy` returned */
function skippedError(key) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_SKIPPED',
    `skipped: an earlier record of the key ${describe(key)} failed and "stopKeyOnError" is set; ` +
      'run these records again once that one is dealt with',
  );
}

/**
 * @param {string} path where it is in the value, such as `batch[3].socket`
 * @param {unknown} value what cannot travel
 * @param {unknown} [cause] what the encoder threw
 * @param {string} [what] what it is, if `value` does not say
 */
function serializationError(path, value, cause, what = describe(value)) {
  const why = cause === undefined ? '' : ` (${reasonText(cause)})`;
  return new ParallelizerError(
    'ERR_PARALLELIZER_SERIALIZATION',
    `${path} cannot travel between the caller and a worker, it is ${what}${why}; ` +
      'send plain data, and make such things inside the worker',
    cause === undefined ? undefined : { cause },
  );
}

/**
 * There is more of a value than V8, or memory, has room for.
 * @param {string} what
 * @param {unknown} cause
 */
function tooLargeError(what, cause) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_SERIALIZATION',
    `${what} cannot travel between the caller and a worker, there is too much of it (${reasonText(cause)}); ` +
      'send it in several calls, or the name of a file that has it',
    { cause },
  );
}

/** @param {string} detail what was received @param {unknown} [cause] */
function protocolError(detail, cause) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_PROTOCOL',
    `a worker sent what this library does not understand (${detail}) and was stopped; ` +
      'something in it writes to a descriptor that is not its own',
    cause === undefined ? undefined : { cause },
  );
}

module.exports = {
  ParallelizerError,
  withFields,
  reasonText,
  optionError,
  eventError,
  recordsFailedError,
  moduleError,
  workerExited,
  spawnFailedError,
  workersOutliveError,
  timeoutError,
  notReadyError,
  abortError,
  queueFullError,
  messagesFullError,
  closedError,
  skippedError,
  serializationError,
  tooLargeError,
  protocolError,
};
