'use strict';

/**
 * What users pass to `Parallelizer`, checked and completed: every option of the constructor and of `run` is read once,
 * checked, and copied into a frozen object that the rest can rely on. The caller's objects are never changed and never
 * kept. The options that every kind of pool has are read here for all of them.
 *
 * `undefined` always stands for "not given". Must not depend on workers, queues, or what the options do.
 */

const { hasManyEnvironments, onLambda, usableCpus } = require('../host/cpus');
const { optionError } = require('../errors');
const {
  abortSignal, boolean, callback, duration, environment, execArguments, functionName, integer, isList,
  isObject, limits, listOf, milliseconds, modulePath, nullable, oneOf, priority, program, reader,
  transferables,
} = require('./option-checks');

const PARALLELIZER_CHILD = 'child-process';
const PARALLELIZER_THREADS = 'worker-threads';
const PARALLELIZER_INLINE = 'inline';
/** @type {'remote'} */
const PARALLELIZER_REMOTE = 'remote';

/** The options that only pools have whose calls run on other machines. */
const REMOTE_OPTIONS = ['engine', 'root', 'hostTimeout', 'lease', 'producerTimeout', 'secret'];
/** What checks them: nobody else loads it. */
const ofRemote = () => require('./remote-options');

/** The id of the only pool of an instance that is made from one object. */
const SINGLE_ID = 'single-process';
const MAX_WORKERS = 1024;
const DEFAULT_GRACE_PERIOD = 500;

/** The options that `workerOptions` reads. */
const WORKER_OPTIONS = [
  'type',
  'debug',
  'serialization',
  'timeout',
  'retries',
  'maxWorkerMemory',
  'idleTimeout',
  'maxQueue',
  'env',
  'execPath',
  'execArgv',
  'resourceLimits',
  'stdio',
  'spin',
  'gracePeriod',
  'shared',
  'trace',
].concat(REMOTE_OPTIONS);

const POOL_OPTIONS = [
  'id',
  'filePath',
  'processBatchFunctionName',
  'parallelization',
  'parallelizationPerCPU',
  'tmpPath',
  'batchSize',
  'maxBatchesPerWorker',
].concat(WORKER_OPTIONS);

const RUN_OPTIONS = [
  'signal', 'timeout', 'groupBy', 'stopKeyOnError', 'onProgress', 'onMessage', 'priority', 'context', 'transferList',
];

/** @typedef {import('./option-checks').Option} Option */

/**
 * The options that every kind of pool has. A call is a sub-batch or an item. Durations are milliseconds.
 * @typedef {object} WorkerOptions
 * @property {'child-process' | 'worker-threads' | 'inline' | 'remote'} type `inline` also if 0 workers were asked for
 * @property {boolean} isGivenInline whether the option `type` says so, however many workers were asked for
 * @property {number} workers at least 1, even inline; 1 where hosts say how many there are
 * @property {boolean} debug
 * @property {'auto' | 'json' | 'advanced'} serialization
 * @property {number} timeout per call; 0: none
 * @property {number} retries
 * @property {number} maxWorkerMemory bytes; 0: no limit
 * @property {number} idleTimeout 0: idle workers stay
 * @property {number | null} maxQueue waiting calls; null: no limit (0 is a limit: no call may wait)
 * @property {Readonly<Record<string, string>> | typeof import('node:worker_threads').SHARE_ENV | null} env a worker's
 *   whole environment, without a prototype; null: a copy of the parent's; SHARE_ENV: the parent's itself
 * @property {string | null} execPath the program of processes, absolute or to be looked up; null: the parent's
 * @property {readonly string[] | null} execArgv null: the parent's
 * @property {Readonly<import('./option-checks').ResourceLimits> | null} resourceLimits
 * @property {'inherit' | 'forward' | 'ignore'} stdio
 * @property {'auto' | false} spin
 * @property {number} gracePeriod
 * @property {boolean} shared whether all pools with these options in this process have the same workers
 * @property {boolean} trace whether a timeline is kept
 * @property {Readonly<import('./remote-options').RemoteOptions> | null} remote `null` unless the workers are elsewhere
 */

/**
 * @typedef {object} BatchOptions
 * @property {string | number} id
 * @property {string} filePath absolute
 * @property {string} functionName
 * @property {number} maxCallsPerWorker `maxBatchesPerWorker`; 0: no limit
 * @property {number} batchSize the most records per sub-batch; 0: one sub-batch per worker
 */

/**
 * The options of one pool of a `Parallelizer`. Frozen, and so is what it holds.
 * @typedef {WorkerOptions & BatchOptions} PoolOptions
 */

/**
 * The options of one call of `run`. Frozen.
 * @typedef {object} RunOptions
 * @property {AbortSignal | null} signal
 * @property {number | null} timeout milliseconds; null: the pool's
 * @property {((record: any) => unknown) | null} groupBy
 * @property {boolean} stopKeyOnError
 * @property {((progress: { done: number, total: number, failed: number }) => void) | null} onProgress
 * @property {((value: any, info: { batchIndex: number, workerIndex: number, attempt: number }) => void) | null}
 *   onMessage
 * @property {number} priority
 * @property {unknown} context
 * @property {readonly object[] | null} transferList
 */

/**
 * How many workers; 0 stands for inline.
 * @param {Option} exact @param {Option} perCpu
 */
function workerCount(exact, perCpu) {
  const factor = cpuFactor(perCpu);
  if (exact.value !== undefined && exact.value !== false) {
    return workerNumber(exact, ', or false to follow the CPUs');
  }
  const count = Math.max(1, Math.round(usableCpus() * factor));
  if (count > MAX_WORKERS) {
    throw optionError(perCpu.name, perCpu.value, `low enough to give ${MAX_WORKERS} workers at most`);
  }
  return count;
}

/**
 * Checks a number of workers.
 * @param {Option} option @param {string} [or] what else is allowed, for the message
 */
function workerNumber({ name, value }, or = '') {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_WORKERS) {
    throw optionError(name, value, `a number of workers from 0 (inline) to ${MAX_WORKERS}${or}`);
  }
  return value;
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
 * Accepted for the ancestor's users, and without effect; checked nevertheless, so that a mistake in it shows.
 * @param {Option} option
 */
function temporaryPath({ name, value }) {
  if (value !== undefined && typeof value !== 'string') throw optionError(name, value, 'a string');
}

/** @param {Option} option @param {boolean} inList @returns {string | number} */
function poolId({ name, value }, inList) {
  if (!inList && value === undefined) return SINGLE_ID;
  const valid = typeof value === 'string' ? value !== '' : typeof value === 'number' && Number.isFinite(value);
  if (!valid) throw optionError(name, value, 'a non-empty string or a number, which names this pool');
  // The only pool has the id that it has in the ancestor.
  return inList ? /** @type {string | number} */ (value) : SINGLE_ID;
}

/**
 * The options that every kind of pool has.
 * @param {(key: string) => Option} option
 * @param {number} workers 0 stands for inline
 * @param {readonly string[]} known the names of all options that there are
 * @returns {WorkerOptions}
 */
function workerOptions(option, workers, known) {
  const types = /** @type {const} */ (
    [PARALLELIZER_CHILD, PARALLELIZER_THREADS, PARALLELIZER_INLINE, PARALLELIZER_REMOTE]);
  const serializations = /** @type {const} */ (['auto', 'json', 'advanced']);
  const outputs = /** @type {const} */ (['inherit', 'forward', 'ignore']);
  const spins = /** @type {const} */ (['auto', false]);
  const sharings = /** @type {const} */ (['auto', true, false]);

  const given = oneOf(option('type'), types, PARALLELIZER_CHILD);
  const isRemote = given === PARALLELIZER_REMOTE;
  const type = workers === 0 && !isRemote ? PARALLELIZER_INLINE : given;
  if (isRemote) ofRemote().refuseHostOptions(option, known);
  return {
    type,
    isGivenInline: given === PARALLELIZER_INLINE,
    workers: isRemote ? 1 : Math.max(1, workers),
    debug: boolean(nullable(option('debug')), false),
    serialization: oneOf(option('serialization'), serializations, 'auto'),
    timeout: duration(option('timeout'), 0),
    retries: integer(option('retries'), 0, 0),
    maxWorkerMemory: integer(option('maxWorkerMemory'), 1, 0),
    idleTimeout: duration(option('idleTimeout'), 0),
    maxQueue: integer(option('maxQueue'), 0, null),
    env: environment(option('env'), type !== PARALLELIZER_CHILD),
    execPath: program(option('execPath')),
    execArgv: flags(option('execArgv')),
    resourceLimits: limits(option('resourceLimits')),
    stdio: oneOf(option('stdio'), outputs, onLambda() ? 'forward' : 'inherit'),
    spin: oneOf(option('spin'), spins, 'auto'),
    gracePeriod: milliseconds(option('gracePeriod'), DEFAULT_GRACE_PERIOD),
    shared: !isRemote && isShared(oneOf(option('shared'), sharings, 'auto')),
    trace: boolean(option('trace'), false),
    remote: isRemote ? ofRemote().remoteOptions(option) : noRemoteOptions(option),
  };
}

/** @param {(key: string) => Option} option @returns {null} */
function noRemoteOptions(option) {
  const given = REMOTE_OPTIONS.map(option).find(({ value }) => value !== undefined);
  if (given !== undefined) throw optionError(given.name, undefined, `needs "type": '${PARALLELIZER_REMOTE}'`);
  return null;
}

/** @param {Option} option */
function flags(option) {
  const list = execArguments(option);
  return list === null ? null : require('../host/exec-argv').ownExecArgv(list);
}

/** @param {'auto' | boolean} choice */
function isShared(choice) {
  return choice === 'auto' ? hasManyEnvironments() : choice;
}

/**
 * @param {unknown} input
 * @param {string} where what the object is called in messages
 * @param {boolean} inList
 * @returns {Readonly<PoolOptions>}
 */
function poolOptions(input, where, inList) {
  const option = reader(input, where, POOL_OPTIONS, inList ? `${where}.` : '');
  // The required ones first: if one is missing, that is the most useful error.
  const filePath = modulePath(option('filePath'));
  const exportName = functionName(option('processBatchFunctionName'));
  const id = poolId(inList ? option('id') : nullable(option('id')), inList);
  const workers = workerCount(nullable(option('parallelization')), nullable(option('parallelizationPerCPU')));
  temporaryPath(nullable(option('tmpPath')));
  return Object.freeze({
    id,
    filePath,
    functionName: exportName,
    batchSize: integer(option('batchSize'), 1, 0),
    maxCallsPerWorker: integer(option('maxBatchesPerWorker'), 1, 0),
    ...workerOptions(option, workers, POOL_OPTIONS),
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
  const items = /** @type {unknown[]} */ (listOf({ name: 'options', value: input }, 'an object, or a list of objects'));
  if (items.length === 0) throw optionError('options', undefined, 'is an empty list: give it one object per pool');
  const entries = items.map((item, i) => poolOptions(item, `options[${i}]`, true));
  const places = new Map();
  entries.forEach(({ id }, i) => {
    // 1 and '1' are the same wherever pools are looked up by id.
    const first = places.get(String(id));
    if (first !== undefined) {
      throw optionError(`options[${i}].id`, id, `unique, and options[${first}] has it`);
    }
    places.set(String(id), i);
  });
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
    timeout: duration(option('timeout'), null),
    groupBy,
    stopKeyOnError,
    onProgress: callback(option('onProgress')),
    onMessage: callback(option('onMessage')),
    priority: priority(option('priority')),
    context: option('context').value,
    transferList: transferables(option('transferList')),
  });
}

/** Most calls have none. */
const NO_RUN_OPTIONS = runOptions({});

module.exports = {
  PARALLELIZER_CHILD,
  PARALLELIZER_THREADS,
  PARALLELIZER_INLINE,
  PARALLELIZER_REMOTE,
  SINGLE_ID,
  MAX_WORKERS,
  WORKER_OPTIONS,
  POOL_OPTIONS,
  parallelizerOptions,
  runOptions,
  workerNumber,
  workerOptions,
};
