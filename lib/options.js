'use strict';

/**
 * What users pass, checked and completed: every option of the constructor and of `run` is read once, judged here and
 * copied into a frozen shape on which the rest can rely. The caller's objects are never changed, and never kept.
 *
 * May not know workers, queues or what the options do. `undefined` always stands for "not given".
 */

const path = require('node:path');
const { fileURLToPath } = require('node:url');
const { onLambda, usableCpus } = require('./cpus');
const { optionError } = require('./errors');

const PARALLELIZER_CHILD = 'child-process';
const PARALLELIZER_THREADS = 'worker-threads';
const PARALLELIZER_INLINE = 'inline';

/** The id of the only pool of an instance that was made from one object. */
const SINGLE_ID = 'single-process';
const MAX_WORKERS = 1024;
/** Node fires longer timers at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;
const DEFAULT_GRACE_PERIOD = 500;

const POOL_OPTIONS = [
  'id',
  'type',
  'filePath',
  'processBatchFunctionName',
  'parallelization',
  'parallelizationPerCPU',
  'tmpPath',
  'debug',
  'batchSize',
  'serialization',
  'timeout',
  'retries',
  'maxBatchesPerWorker',
  'maxWorkerMemory',
  'idleTimeout',
  'maxQueue',
  'env',
  'execArgv',
  'resourceLimits',
  'stdio',
  'spin',
  'gracePeriod',
];

const RUN_OPTIONS = ['signal', 'timeout', 'groupBy', 'stopKeyOnError', 'onProgress', 'context', 'transferList'];

const RESOURCE_LIMITS = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb'];

/**
 * One pool, as the rest of the library sees it. Frozen, and so is what it holds.
 * @typedef {object} PoolOptions
 * @property {string | number} id
 * @property {'child-process' | 'worker-threads' | 'inline'} type `inline` also for `parallelization: 0`
 * @property {string} filePath absolute
 * @property {string} functionName
 * @property {number} workers how many, which is also into how many a batch is cut by default; at least 1, even inline
 * @property {boolean} debug
 * @property {number} batchSize most records per sub-batch; 0: one sub-batch per worker
 * @property {'auto' | 'json' | 'advanced'} serialization
 * @property {number} timeoutMs per sub-batch; 0: none
 * @property {number} retries
 * @property {number} maxBatchesPerWorker 0: no limit
 * @property {number} maxWorkerMemory bytes; 0: no limit
 * @property {number} idleTimeoutMs 0: idle workers stay
 * @property {number | null} maxQueue waiting sub-batches; null: no limit (0 is one: nothing may wait)
 * @property {Readonly<Record<string, string>> | null} env all of a worker's environment, without a prototype; null: the parent's
 * @property {readonly string[] | null} execArgv null: the parent's
 * @property {Readonly<ResourceLimits> | null} resourceLimits
 * @property {'inherit' | 'forward' | 'ignore'} stdio
 * @property {'auto' | false} spin
 * @property {number} gracePeriodMs
 */

/**
 * @typedef {object} ResourceLimits
 * @property {number} [maxOldGenerationSizeMb]
 * @property {number} [maxYoungGenerationSizeMb]
 * @property {number} [codeRangeSizeMb]
 * @property {number} [stackSizeMb]
 */

/**
 * One call of `run`, as the rest of the library sees it. Frozen.
 * @typedef {object} RunOptions
 * @property {AbortSignal | null} signal
 * @property {number | null} timeoutMs null: the pool's
 * @property {((record: any) => unknown) | null} groupBy
 * @property {boolean} stopKeyOnError
 * @property {((progress: { done: number, total: number, failed: number }) => void) | null} onProgress
 * @property {unknown} context
 * @property {readonly object[] | null} transferList
 */

/**
 * One option as the caller gave it, with its full name for messages.
 * @typedef {{ readonly name: string, readonly value: unknown }} Option
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

/**
 * Runs the caller's code (a getter, a Proxy's trap, an iterator), whose exception becomes the cause of an option error.
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
 * The name that was probably meant: at most two edits away.
 * @param {string} name @param {readonly string[]} known
 */
function nearest(name, known) {
  let best;
  let bestDistance = Math.min(3, name.length);
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/**
 * Levenshtein's distance, row by row.
 * @param {string} a @param {string} b @param {number} limit from here on the exact number does not matter
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
 * Refuses unknown names and gives back how to read the known ones: each is to be read once, since a getter may give
 * another value the second time.
 * @param {unknown} input
 * @param {string} where what `input` is called in messages
 * @param {readonly string[]} known
 * @param {string} [prefix] what its options' names begin with in messages
 * @returns {(key: string) => Option}
 */
function reader(input, where, known, prefix = '') {
  if (!isObject(input) || isList(input)) throw optionError(where, input, 'an object');
  for (const key of accessing(where, () => Object.keys(input))) {
    if (known.includes(key)) continue;
    const meant = nearest(key, known);
    const hint = meant === undefined ? `the names are ${known.join(', ')}` : `did you mean "${meant}"?`;
    throw optionError(prefix + key, undefined, `is not known: ${hint}`);
  }
  return (key) => ({ name: prefix + key, value: accessing(prefix + key, () => Reflect.get(input, key)) });
}

/**
 * `null` passes as "not given" in the options that the ancestor had and that are often filled from configuration
 * which may lack them; nowhere else.
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
 * @template {string | false} T
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
 * @param {Option} option @param {0 | 1} least @param {T} fallback
 * @returns {number | T}
 */
function integer({ name, value }, least, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw optionError(name, value, least === 0 ? 'an integer, 0 or more' : 'a positive integer');
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

/** @param {Option} option */
function gracePeriod({ name, value }) {
  if (value === undefined) return DEFAULT_GRACE_PERIOD;
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_MILLISECONDS)) {
    throw optionError(name, value, `a number of milliseconds from 0 to ${MAX_MILLISECONDS}`);
  }
  return value;
}

/**
 * The text of a URL that means a file or could be taken to.
 * @param {unknown} value
 * @returns {string | null}
 */
function urlText(value) {
  if (typeof value === 'string') return /^file:/i.test(value) ? value : null;
  // By its shape, as Node itself tells one: it may be a URL of another realm, such as Jest's.
  if (isObject(value) && 'href' in value && 'protocol' in value) return String(value.href);
  return null;
}

/**
 * Whether there is such a file is for the worker to find out, as the module loader sees it.
 * @param {Option} option
 * @returns {string} absolute
 */
function modulePath({ name, value }) {
  if (value === undefined || value === null || value === '') {
    throw optionError(name, undefined, 'is required: the path or file: URL of the module that has your function');
  }
  const url = accessing(name, () => urlText(value));
  if (url === null && typeof value !== 'string') throw optionError(name, value, 'a path, a file: URL string or a URL');
  if (url === null && /^(?:[a-z][a-z\d+.-]*:\/\/|(?:data|node|blob):)/i.test(String(value))) {
    throw optionError(name, value, 'a path or a file: URL, since a worker loads files only');
  }
  const file = url === null ? String(value) : accessing(name, () => fileURLToPath(url), 'cannot be turned into a path');
  if (file.includes('\0')) throw optionError(name, file, 'a path without NUL bytes');
  return path.resolve(file);
}

/** @param {Option} option */
function functionName({ name, value }) {
  if (value === undefined || value === null || value === '') {
    throw optionError(name, undefined, "is required: the name of the function that the module exports ('default' works)");
  }
  if (typeof value !== 'string') throw optionError(name, value, 'a string, the name of an exported function');
  return value;
}

/**
 * How many workers; 0 stands for inline.
 * @param {Option} exact @param {Option} perCpu
 */
function workerCount(exact, perCpu) {
  const factor = cpuFactor(perCpu);
  if (exact.value !== undefined && exact.value !== false) {
    const { name, value } = exact;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_WORKERS) {
      throw optionError(name, value, `a number of workers from 0 (inline) to ${MAX_WORKERS}, or false to follow the CPUs`);
    }
    return value;
  }
  const count = Math.max(1, Math.round(usableCpus() * factor));
  if (count > MAX_WORKERS) {
    throw optionError(perCpu.name, perCpu.value, `low enough to give ${MAX_WORKERS} workers at most`);
  }
  return count;
}

/** @param {Option} option */
function cpuFactor({ name, value }) {
  if (value === undefined) return 1;
  const factor = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof factor !== 'number' || !(factor > 0 && factor < Infinity)) {
    throw optionError(name, value, 'a number above 0, or a string with one');
  }
  return factor;
}

/**
 * Accepted for the ancestor's users, and of no effect; judged, so that a slip in it shows.
 * @param {Option} option
 */
function temporaryPath({ name, value }) {
  if (value !== undefined && typeof value !== 'string') throw optionError(name, value, 'a string');
}

/**
 * @param {Option} option
 * @returns {PoolOptions['env']}
 */
function environment({ name, value }) {
  if (value === undefined) return null;
  if (!isObject(value) || isList(value)) throw optionError(name, value, 'an object of strings');
  const given = accessing(name, () => {
    const entries = [];
    // Inherited ones, too, as `fork` takes them.
    for (const key in value) entries.push({ key, text: Reflect.get(value, key) });
    return entries;
  });
  // Without a prototype, so that a variable called __proto__ is one.
  const env = Object.create(null);
  for (const { key, text } of given) {
    if (text === undefined) continue;
    const variable = name + (/^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
    if (key === '' || /[=\0]/.test(key)) {
      throw optionError(variable, undefined, 'cannot be a variable: its name is empty, or has "=" or a NUL byte in it');
    }
    if (typeof text !== 'string') throw optionError(variable, text, 'a string');
    if (text.includes('\0')) throw optionError(variable, text, 'a string without NUL bytes');
    env[key] = text;
  }
  return Object.freeze(env);
}

/**
 * @param {Option} option
 * @returns {PoolOptions['execArgv']}
 */
function execArguments({ name, value }) {
  const list = listOf({ name, value }, 'an array of strings');
  if (list === null) return null;
  for (const [i, argument] of list.entries()) {
    if (typeof argument !== 'string') throw optionError(`${name}[${i}]`, argument, 'a string');
    if (argument.includes('\0')) throw optionError(`${name}[${i}]`, argument, 'a string without NUL bytes');
  }
  return /** @type {readonly string[]} */ (Object.freeze(list));
}

/**
 * @param {Option} option
 * @returns {RunOptions['transferList']}
 */
function transferables({ name, value }) {
  const list = listOf({ name, value }, 'an array of transferable objects');
  if (list === null) return null;
  for (const [i, item] of list.entries()) {
    // Which objects can be transferred is for the encoder to say.
    if (!isObject(item)) throw optionError(`${name}[${i}]`, item, 'a transferable object, such as an ArrayBuffer');
  }
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
  return accessing(name, () => Array.from(value));
}

/**
 * @param {Option} option
 * @returns {PoolOptions['resourceLimits']}
 */
function limits({ name, value }) {
  if (value === undefined) return null;
  const read = reader(value, name, RESOURCE_LIMITS, `${name}.`);
  /** @type {Record<string, number>} */
  const copy = {};
  for (const key of RESOURCE_LIMITS) {
    const { name: limit, value: megabytes } = read(key);
    if (megabytes === undefined) continue;
    if (typeof megabytes !== 'number' || !(megabytes > 0 && megabytes < Infinity)) {
      throw optionError(limit, megabytes, 'a number of megabytes above 0');
    }
    copy[key] = megabytes;
  }
  return Object.freeze(copy);
}

/** @param {Option} option @param {boolean} inList @returns {string | number} */
function poolId({ name, value }, inList) {
  if (!inList && value === undefined) return SINGLE_ID;
  const valid = typeof value === 'string' ? value !== '' : typeof value === 'number' && Number.isFinite(value);
  if (!valid) throw optionError(name, value, 'a non-empty string or a number, which names this pool');
  // Without a list there is nothing to tell apart, and the ancestor calls it this.
  return inList ? /** @type {string | number} */ (value) : SINGLE_ID;
}

/** @param {Option} option @returns {AbortSignal | null} */
function abortSignal({ name, value }) {
  if (value === undefined) return null;
  // By its shape: polyfills and other realms have signals of their own.
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

/**
 * @param {unknown} input
 * @param {string} where what the object is called in messages
 * @param {boolean} inList
 * @returns {Readonly<PoolOptions>}
 */
function poolOptions(input, where, inList) {
  const option = reader(input, where, POOL_OPTIONS, inList ? `${where}.` : '');
  const types = /** @type {const} */ ([PARALLELIZER_CHILD, PARALLELIZER_THREADS, PARALLELIZER_INLINE]);
  const serializations = /** @type {const} */ (['auto', 'json', 'advanced']);
  const outputs = /** @type {const} */ (['inherit', 'forward', 'ignore']);
  const spins = /** @type {const} */ (['auto', false]);

  // The required ones first: who forgets one should hear of that before anything else.
  const filePath = modulePath(option('filePath'));
  const exportName = functionName(option('processBatchFunctionName'));
  const id = poolId(inList ? option('id') : nullable(option('id')), inList);
  const type = oneOf(option('type'), types, PARALLELIZER_CHILD);
  const workers = workerCount(nullable(option('parallelization')), nullable(option('parallelizationPerCPU')));
  temporaryPath(nullable(option('tmpPath')));
  return Object.freeze({
    id,
    type: workers === 0 ? PARALLELIZER_INLINE : type,
    filePath,
    functionName: exportName,
    workers: Math.max(1, workers),
    debug: boolean(nullable(option('debug')), false),
    batchSize: integer(option('batchSize'), 1, 0),
    serialization: oneOf(option('serialization'), serializations, 'auto'),
    timeoutMs: duration(option('timeout'), 0),
    retries: integer(option('retries'), 0, 0),
    maxBatchesPerWorker: integer(option('maxBatchesPerWorker'), 1, 0),
    maxWorkerMemory: integer(option('maxWorkerMemory'), 1, 0),
    idleTimeoutMs: duration(option('idleTimeout'), 0),
    maxQueue: integer(option('maxQueue'), 0, null),
    env: environment(option('env')),
    execArgv: execArguments(option('execArgv')),
    resourceLimits: limits(option('resourceLimits')),
    stdio: oneOf(option('stdio'), outputs, onLambda() ? 'forward' : 'inherit'),
    spin: oneOf(option('spin'), spins, 'auto'),
    gracePeriodMs: gracePeriod(option('gracePeriod')),
  });
}

/**
 * What the constructor was given.
 * @param {unknown} input one object, or a list of them
 * @returns {{ list: boolean, entries: readonly Readonly<PoolOptions>[] }}
 */
function parallelizerOptions(input) {
  if (!isList(input)) {
    if (!isObject(input)) throw optionError('options', input, 'an object, or a list of objects with an "id" each');
    return { list: false, entries: [poolOptions(input, 'options', false)] };
  }
  const items = accessing('options', () => Array.from(input));
  if (items.length === 0) throw optionError('options', undefined, 'is an empty list: give it one object per pool');
  const entries = items.map((item, i) => poolOptions(item, `options[${i}]`, true));
  const places = new Map();
  for (const [i, { id }] of entries.entries()) {
    // 1 and '1' are the same key wherever pools are looked up by name.
    const first = places.get(String(id));
    if (first !== undefined) {
      throw optionError(`options[${i}].id`, id, `unique, and options[${first}] has it`);
    }
    places.set(String(id), i);
  }
  return { list: true, entries: Object.freeze(entries) };
}

/**
 * What one call of `run` was given.
 * @param {unknown} [input]
 * @returns {Readonly<RunOptions>}
 */
function runOptions(input) {
  if (input === undefined) return NO_RUN_OPTIONS;
  const option = reader(input, 'runOptions', RUN_OPTIONS);
  const groupBy = callback(option('groupBy'));
  const stopKeyOnError = boolean(option('stopKeyOnError'), false);
  if (stopKeyOnError && groupBy === null) {
    throw optionError('stopKeyOnError', undefined, 'needs "groupBy": without keys there is none to stop');
  }
  return Object.freeze({
    signal: abortSignal(option('signal')),
    timeoutMs: duration(option('timeout'), null),
    groupBy,
    stopKeyOnError,
    onProgress: callback(option('onProgress')),
    context: option('context').value,
    transferList: transferables(option('transferList')),
  });
}

/** Most calls give none. */
const NO_RUN_OPTIONS = runOptions({});

module.exports = {
  PARALLELIZER_CHILD,
  PARALLELIZER_THREADS,
  PARALLELIZER_INLINE,
  SINGLE_ID,
  parallelizerOptions,
  runOptions,
};
