'use strict';

/**
 * Checks what users pass, with one function per kind of value: each takes an option with its name, and returns a value
 * that the rest can rely on (lists and objects as frozen copies) or throws an error that names the option.
 *
 * `undefined` always stands for "not given". Must not depend on which options there are, what they do, or their
 * defaults.
 */

const path = require('node:path');
const { fileURLToPath } = require('node:url');
const { optionError } = require('../errors');
const { isProgramPath } = require('../host/program');

/** Node fires timers with longer delays at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

const RESOURCE_LIMITS = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb'];

/**
 * An option as the caller gave it, with its full name for messages.
 * @typedef {{ readonly name: string, readonly value: unknown }} Option
 */

/**
 * @typedef {object} ResourceLimits
 * @property {number} [maxOldGenerationSizeMb]
 * @property {number} [maxYoungGenerationSizeMb]
 * @property {number} [codeRangeSizeMb]
 * @property {number} [stackSizeMb]
 */

/** @param {unknown} value @returns {value is object} */
function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/** @param {unknown} value @returns {value is unknown[]} */
function isList(value) {
  try {
    return Array.isArray(value);
  } catch {
    return false; // A revoked Proxy.
  }
}

/** Longer chains of prototypes are a Proxy's. */
const MAX_PROTOTYPES = 100;

/**
 * Whether an object has a property only because there is one on `Object.prototype`: that is none of its options. What
 * a class or another prototype of the caller's has, is.
 * @param {object} object @param {string} key
 */
function isEveryones(object, key) {
  /** @type {object | null} */
  let holder = object;
  for (let i = 0; i < MAX_PROTOTYPES && holder !== null && !Object.hasOwn(holder, key); i++) {
    holder = Object.getPrototypeOf(holder);
  }
  // By its shape, since the object may be from another realm, such as Jest's.
  return holder !== null && Object.getPrototypeOf(holder) === null && Object.hasOwn(holder, 'isPrototypeOf');
}

/**
 * Runs something that may run the caller's code (a getter, a Proxy's trap, an iterator). What that throws becomes the
 * cause of an option error.
 * @template T
 * @param {string} name
 * @param {() => T} access
 * @param {string} [problem]
 * @returns {T}
 */
function accessing(name, access, problem = 'cannot be read') {
  try {
    return access();
  } catch (cause) {
    throw optionError(name, undefined, problem, { cause });
  }
}

/**
 * The name that was probably meant, at most two edits away.
 * @param {string} name @param {readonly string[]} known
 */
function nearest(name, known) {
  /** @type {string | undefined} */
  let best;
  let bestDistance = Math.min(3, name.length);
  known.forEach((candidate) => {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  });
  return best;
}

/**
 * The Levenshtein distance, row by row.
 * @param {string} a @param {string} b @param {number} limit the result at most, from where on it does not matter
 */
function editDistance(a, b, limit) {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * Throws for unknown names, and returns a function that reads the known ones. Each is to be read once, since a getter
 * may return another value the second time.
 * @param {unknown} input
 * @param {string} where what `input` is called in messages
 * @param {readonly string[]} known
 * @param {string} [prefix] what its options' names begin with in messages
 * @returns {(key: string) => Option}
 */
function reader(input, where, known, prefix = '') {
  if (!isObject(input) || isList(input)) throw optionError(where, input, 'an object');
  const keys = accessing(where, () => Object.keys(input));
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const meant = nearest(unknown, known);
    const hint = meant === undefined ? `the names are ${known.join(', ')}` : `did you mean "${meant}"?`;
    throw optionError(prefix + unknown, undefined, `is not known: ${hint}`);
  }
  return (key) => {
    const name = prefix + key;
    const value = accessing(name, () => {
      const found = Reflect.get(input, key);
      return found === undefined || isEveryones(input, key) ? undefined : found;
    });
    return { name, value };
  };
}

/**
 * Lets `null` mean "not given": only for options that the ancestor had, which are often filled from a configuration
 * that may lack them.
 * @param {Option} option
 * @returns {Option}
 */
function nullable({ name, value }) {
  return { name, value: value ?? undefined };
}

/** @param {Option} option @param {boolean} fallback */
function boolean({ name, value }, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw optionError(name, value, 'true or false');
  return value;
}

/**
 * @template {string | boolean} T
 * @param {Option} option @param {readonly T[]} choices @param {NoInfer<T>} fallback
 * @returns {T}
 */
function oneOf({ name, value }, choices, fallback) {
  if (value === undefined) return fallback;
  const choice = choices.find((each) => each === value);
  if (choice !== undefined) return choice;
  const shown = choices.map((each) => (typeof each === 'string' ? `'${each}'` : String(each)));
  throw optionError(name, value, `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`);
}

/**
 * @template {number | null} T
 * @param {Option} option @param {0 | 1} min @param {T} fallback
 * @returns {number | T}
 */
function integer({ name, value }, min, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
    throw optionError(name, value, min === 0 ? 'an integer, 0 or more' : 'a positive integer');
  }
  return value;
}

/** What goes first: 0 unless it is given. @param {Option} option @returns {number} */
function priority({ name, value }) {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw optionError(name, value, 'an integer, of which higher ones go first');
  }
  return value;
}

/**
 * @template {number | null} T
 * @param {Option} option @param {T} fallback
 * @returns {number | T}
 */
function duration({ name, value }, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value > 0 && value <= MAX_MILLISECONDS)) {
    throw optionError(
      name,
      value,
      `a number of milliseconds above 0, at most ${MAX_MILLISECONDS} (leave it out for no limit)`,
    );
  }
  return value;
}

/**
 * A duration that may be 0, which has a meaning of its own.
 * @template {number | null} T
 * @param {Option} option @param {T} fallback
 * @returns {number | T}
 */
function milliseconds({ name, value }, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_MILLISECONDS)) {
    throw optionError(name, value, `a number of milliseconds from 0 to ${MAX_MILLISECONDS}`);
  }
  return value;
}

/**
 * The text of a value that is a file: URL or another URL object; `null` for anything else.
 * @param {unknown} value
 * @returns {string | null}
 */
function urlText(value) {
  if (typeof value === 'string') return /^file:/i.test(value) ? value : null;
  // Told by its shape, as Node itself does, since it may be from another realm, such as Jest's.
  if (isObject(value) && 'href' in value && 'protocol' in value) return String(value.href);
  return null;
}

/**
 * Does not look for the file: the worker's module loader finds out whether there is one.
 * @param {Option} option
 * @returns {string} absolute
 */
function modulePath({ name, value }) {
  if (value === undefined || value === null || value === '') {
    throw optionError(name, undefined, 'is required: the path or file: URL of the module that has your function');
  }
  const url = accessing(name, () => urlText(value));
  if (url === null && typeof value !== 'string') throw optionError(name, value, 'a path, a file: URL string or a URL');
  if (url === null && /^(?:[a-z][a-z\d+.-]+:\/\/|(?:data|node|blob):)/i.test(String(value))) {
    throw optionError(name, value, 'a path or a file: URL, since a worker loads files only');
  }
  const file = url === null ? String(value) : accessing(name, () => fileURLToPath(url), 'cannot be turned into a path');
  if (file.includes('\0')) throw optionError(name, file, 'a path without NUL bytes');
  return path.resolve(file);
}

/** @param {Option} option */
function functionName({ name, value }) {
  if (value === undefined || value === null || value === '') {
    const expected = "is required: the name of the function that the module exports ('default' works)";
    throw optionError(name, undefined, expected);
  }
  if (typeof value !== 'string') throw optionError(name, value, 'a string, the name of an exported function');
  return value;
}

/**
 * Whether an environment is the parent's own. Its symbol is the same everywhere: Node's module need not be loaded.
 * @param {unknown} env
 * @returns {env is typeof import('node:worker_threads').SHARE_ENV}
 */
function isSharedEnv(env) {
  return env === Symbol.for('nodejs.worker_threads.SHARE_ENV');
}

/**
 * @param {Option} option
 * @param {boolean} isShareable whether a worker can have the very environment of this process
 * @returns {Readonly<Record<string, string>> | typeof import('node:worker_threads').SHARE_ENV | null}
 */
function environment({ name, value }, isShareable) {
  if (value === undefined) return null;
  if (isSharedEnv(value)) {
    if (isShareable) return value;
    const problem = "cannot be SHARE_ENV for processes, which have an environment each: use type 'worker-threads'";
    throw optionError(name, value, problem);
  }
  if (!isObject(value) || isList(value)) throw optionError(name, value, 'an object of strings');
  /** @type {{ key: string, text: unknown }[]} */
  const given = [];
  accessing(name, () => {
    // Inherited ones too, as `fork` does.
    for (const key in value) if (!isEveryones(value, key)) given.push({ key, text: Reflect.get(value, key) });
  });
  // Without a prototype, so that a variable may be called __proto__.
  const env = Object.create(null);
  given.forEach(({ key, text }) => {
    if (text === undefined) return;
    const variable = name + (/^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
    if (key === '' || /[=\0]/.test(key)) {
      throw optionError(variable, undefined, 'cannot be a variable: its name is empty, or has "=" or a NUL byte in it');
    }
    if (typeof text !== 'string') throw optionError(variable, text, 'a string');
    if (text.includes('\0')) throw optionError(variable, text, 'a string without NUL bytes');
    env[key] = text;
  });
  return Object.freeze(env);
}

/**
 * The program of a worker process. Whether there is one is found out when it is started.
 * @param {Option} option
 * @returns {string | null} absolute, or a name to be looked up as the shell does
 */
function program({ name, value }) {
  if (value === undefined) return null;
  if (typeof value !== 'string' || value === '') {
    throw optionError(name, value, 'the path or the name of a Node.js program');
  }
  if (value.includes('\0')) throw optionError(name, value, 'a path without NUL bytes');
  return isProgramPath(value) ? path.resolve(value) : value;
}

/**
 * @param {Option} option
 * @returns {readonly string[] | null}
 */
function execArguments({ name, value }) {
  const list = listOf({ name, value }, 'an array of strings');
  if (list === null) return null;
  list.forEach((argument, i) => {
    if (typeof argument !== 'string') throw optionError(`${name}[${i}]`, argument, 'a string');
    if (argument.includes('\0')) throw optionError(`${name}[${i}]`, argument, 'a string without NUL bytes');
  });
  return /** @type {readonly string[]} */ (Object.freeze(list));
}

/**
 * @param {Option} option
 * @returns {readonly object[] | null}
 */
function transferables({ name, value }) {
  const list = listOf({ name, value }, 'an array of transferable objects');
  if (list === null) return null;
  list.forEach((item, i) => {
    // The encoder finds out whether it can be transferred.
    if (!isObject(item)) throw optionError(`${name}[${i}]`, item, 'a transferable object, such as an ArrayBuffer');
  });
  return /** @type {readonly object[]} */ (Object.freeze(list));
}

/**
 * A copy of a list.
 * @param {Option} option @param {string} expected
 * @returns {unknown[] | null}
 */
function listOf({ name, value }, expected) {
  if (value === undefined) return null;
  if (!isList(value)) throw optionError(name, value, expected);
  return accessing(name, () => {
    // A list of the caller's own kind says itself what it holds.
    const isPlain = Object.getPrototypeOf(value) === Array.prototype && !Object.hasOwn(value, Symbol.iterator);
    return isPlain ? Array.from({ length: value.length }, (_, i) => value[i]) : Array.from(value);
  });
}

/**
 * @param {Option} option
 * @returns {Readonly<ResourceLimits> | null}
 */
function limits({ name, value }) {
  if (value === undefined) return null;
  const read = reader(value, name, RESOURCE_LIMITS, `${name}.`);
  /** @type {Record<string, number>} */
  const copy = {};
  RESOURCE_LIMITS.forEach((key) => {
    const { name: limit, value: megabytes } = read(key);
    if (megabytes === undefined) return;
    if (typeof megabytes !== 'number' || !(megabytes > 0 && megabytes < Infinity)) {
      throw optionError(limit, megabytes, 'a number of megabytes above 0');
    }
    copy[key] = megabytes;
  });
  return Object.freeze(copy);
}

/** @param {Option} option @returns {AbortSignal | null} */
function abortSignal({ name, value }) {
  if (value === undefined) return null;
  // Told by its shape, since polyfills and other realms have their own signals.
  const valid = accessing(
    name,
    () =>
      isObject(value) &&
      typeof Reflect.get(value, 'aborted') === 'boolean' &&
      typeof Reflect.get(value, 'addEventListener') === 'function' &&
      typeof Reflect.get(value, 'removeEventListener') === 'function',
  );
  if (!valid) throw optionError(name, value, "an AbortSignal, an AbortController's signal");
  return /** @type {AbortSignal} */ (value);
}

/** @param {Option} option @returns {((...args: any[]) => any) | null} */
function callback({ name, value }) {
  if (value === undefined) return null;
  if (typeof value !== 'function') throw optionError(name, value, 'a function');
  return /** @type {(...args: any[]) => any} */ (value);
}

module.exports = {
  isObject,
  isList,
  accessing,
  reader,
  nullable,
  boolean,
  oneOf,
  integer,
  priority,
  duration,
  milliseconds,
  modulePath,
  functionName,
  environment,
  isSharedEnv,
  program,
  execArguments,
  transferables,
  listOf,
  limits,
  abortSignal,
  callback,
};
