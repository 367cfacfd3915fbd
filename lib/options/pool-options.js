'use strict';

/**
 * What users pass to `Pool` and to its methods, checked and completed as in options.js: read once, and copied into
 * frozen objects.
 *
 * `undefined` always stands for "not given". Must not depend on workers, tasks, or what the options do: a task is
 * passed on as it is.
 */

const { usableCpus } = require('../host/cpus');
const { optionError } = require('../errors');
const {
  abortSignal, callback, duration, integer, isObject, listOf, milliseconds, nullable, oneOf, priority, reader,
  transferables,
} = require('./option-checks');
const { MAX_WORKERS, WORKER_OPTIONS, workerNumber, workerOptions } = require('./options');

const POOL_OPTIONS = ['processes', 'initializer', 'initArgs', 'maxTasksPerChild', 'concurrency'].concat(WORKER_OPTIONS);
const CALL_OPTIONS = ['signal', 'timeout', 'retries', 'priority', 'onMessage'];
const APPLY_OPTIONS = CALL_OPTIONS.concat('transferList');
const STREAM_OPTIONS = CALL_OPTIONS.concat('chunkSize', 'onProgress', 'onError');
const BROADCAST_OPTIONS = CALL_OPTIONS.concat('onError');
const YIELD_OPTIONS = CALL_OPTIONS.concat('highWaterMark');
const MAP_OPTIONS = STREAM_OPTIONS.concat('transferList');
const CALLBACKS = ['callback', 'errorCallback'];
const APPLY_ASYNC_OPTIONS = APPLY_OPTIONS.concat(CALLBACKS);
const MAP_ASYNC_OPTIONS = MAP_OPTIONS.concat(CALLBACKS);

/** @typedef {import('./option-checks').Option} Option */
/** @typedef {import('./options').WorkerOptions} WorkerOptions */

/**
 * @typedef {object} ItemOptions
 * @property {'pool'} id
 * @property {null} filePath each task names its own
 * @property {null} functionName
 * @property {0} batchSize
 * @property {number} maxCallsPerWorker `maxTasksPerChild`; 0: no limit
 * @property {number} concurrency how many items one worker runs at the same time
 * @property {unknown} initializer as the user gave it; null: none
 * @property {readonly unknown[]} initArgs
 */

/**
 * The options of a `Pool`. Frozen, and so is what it holds, except for the user's values.
 * @typedef {WorkerOptions & ItemOptions} PoolSettings
 */

/** @typedef {(value: any, info: { index: number, workerIndex: number, attempt: number }) => void} OnMessage */

/**
 * Options of each call. Frozen.
 * @typedef {object} CallOptions
 * @property {AbortSignal | null} signal
 * @property {number | null} timeout milliseconds; null: the pool's
 * @property {number | null} retries null: the pool's
 * @property {number} priority
 * @property {OnMessage | null} onMessage
 */

/**
 * @typedef {object} ChunkOptions
 * @property {number} chunkSize 0: adapts to the cost of an item
 * @property {((progress: { done: number, total: number | undefined, failed: number }) => void) | null} onProgress
 * @property {boolean} collect whether to give settled results instead of the first error
 */

/** @typedef {{ transferList: readonly object[] | null }} TransferOptions */

/**
 * @typedef {object} Callbacks
 * @property {((value: any) => void) | null} callback
 * @property {((error: unknown) => void) | null} errorCallback
 */

/** @typedef {CallOptions & TransferOptions} ApplyOptions */
/** @typedef {CallOptions & ChunkOptions} StreamOptions */
/** @typedef {StreamOptions & TransferOptions} MapOptions */

/**
 * What the constructor was given.
 * @param {unknown} [processes] or an object that takes the place of both arguments
 * @param {unknown} [options]
 * @returns {Readonly<PoolSettings>}
 */
function poolSettings(processes, options) {
  if (!isObject(processes)) return settingsOf(processes, options === undefined ? {} : options);
  if (options !== undefined) throw optionError('options', undefined, 'is given twice: the first argument is one, too');
  return settingsOf(undefined, processes);
}

/**
 * @param {unknown} processes the argument @param {unknown} input
 * @returns {Readonly<PoolSettings>}
 */
function settingsOf(processes, input) {
  const option = reader(input, 'options', POOL_OPTIONS);
  const workers = workerCount(nullable({ name: 'processes', value: processes }), nullable(option('processes')));
  const { initializer, initArgs } = initialization(option('initializer'), option('initArgs'));
  const ofWorkers = workerOptions(option, workers, POOL_OPTIONS);
  if (ofWorkers.remote !== null) {
    require('./remote-options').refuseHostOptions((name) => ({ name, value: processes ?? undefined }), ['processes']);
  }
  return Object.freeze({
    id: 'pool',
    filePath: null,
    functionName: null,
    batchSize: 0,
    maxCallsPerWorker: integer(option('maxTasksPerChild'), 1, 0),
    concurrency: integer(option('concurrency'), 1, 1),
    initializer,
    initArgs,
    ...ofWorkers,
  });
}

/**
 * How many workers; 0 stands for inline.
 * @param {Option} argument @param {Option} option
 */
function workerCount(argument, option) {
  if (argument.value !== undefined && option.value !== undefined) {
    throw optionError('processes', undefined, 'is given twice: as the first argument, and in the options');
  }
  const given = argument.value === undefined ? option : argument;
  // On a machine with more CPUs than the limit, nobody has asked for more.
  return given.value === undefined ? Math.min(usableCpus(), MAX_WORKERS) : workerNumber(given);
}

/** @param {Option} initializer @param {Option} initArgs */
function initialization({ name, value }, initArgs) {
  if (value === null) throw optionError(name, value, "a task: a function, { filePath, name } or 'path#name'");
  const list = listOf(initArgs, 'an array, the arguments of the initializer');
  if (list !== null && value === undefined) {
    throw optionError(initArgs.name, undefined, 'needs "initializer": there is nothing to pass these to');
  }
  return { initializer: value ?? null, initArgs: Object.freeze(list ?? []) };
}

/**
 * @param {(key: string) => Option} option
 * @returns {CallOptions}
 */
function callOptions(option) {
  return {
    signal: abortSignal(option('signal')),
    timeout: duration(option('timeout'), null),
    retries: integer(option('retries'), 0, null),
    priority: priority(option('priority')),
    onMessage: callback(option('onMessage')),
  };
}

// What follows adds properties to what there is, one by one: to spread that into another object takes six times as
// long, and these run for each call.

/**
 * @param {(key: string) => Option} option
 * @returns {StreamOptions}
 */
function chunkedOptions(option) {
  const options = /** @type {StreamOptions} */ (callOptions(option));
  options.chunkSize = integer(option('chunkSize'), 1, 0);
  options.onProgress = callback(option('onProgress'));
  options.collect = collects(option('onError'));
  return options;
}

/**
 * @param {(key: string) => Option} option
 * @returns {ApplyOptions}
 */
function transferringOptions(option) {
  const options = /** @type {ApplyOptions} */ (callOptions(option));
  options.transferList = transferables(option('transferList'));
  return options;
}

/**
 * @param {(key: string) => Option} option
 * @returns {MapOptions}
 */
function transferringListOptions(option) {
  const options = /** @type {MapOptions} */ (chunkedOptions(option));
  options.transferList = transferables(option('transferList'));
  return options;
}

/**
 * @template {ApplyOptions} T
 * @param {T} given
 * @param {(key: string) => Option} option
 * @returns {T & Callbacks}
 */
function addCallbacks(given, option) {
  const options = /** @type {T & Callbacks} */ (given);
  options.callback = callback(option('callback'));
  options.errorCallback = callback(option('errorCallback'));
  return options;
}

/**
 * What one call of `apply` was given.
 * @param {unknown} [input]
 * @returns {Readonly<ApplyOptions>}
 */
function applyOptions(input) {
  return input === undefined ? NO_APPLY_OPTIONS : transferringOptions(reader(input, 'options', APPLY_OPTIONS));
}

/**
 * @param {unknown} [input]
 * @returns {Readonly<ApplyOptions & Callbacks>}
 */
function applyAsyncOptions(input) {
  if (input === undefined) return NO_APPLY_ASYNC_OPTIONS;
  const option = reader(input, 'options', APPLY_ASYNC_OPTIONS);
  return addCallbacks(transferringOptions(option), option);
}

/**
 * What one call of `map` or `starmap` was given.
 * @param {unknown} [input]
 * @returns {Readonly<MapOptions>}
 */
function mapOptions(input) {
  return input === undefined ? NO_MAP_OPTIONS : transferringListOptions(reader(input, 'options', MAP_OPTIONS));
}

/**
 * @param {unknown} [input]
 * @returns {Readonly<MapOptions & Callbacks>}
 */
function mapAsyncOptions(input) {
  if (input === undefined) return NO_MAP_ASYNC_OPTIONS;
  const option = reader(input, 'options', MAP_ASYNC_OPTIONS);
  return addCallbacks(transferringListOptions(option), option);
}

/**
 * What one call of `imap` or `imapUnordered` was given.
 * @param {unknown} [input]
 * @returns {Readonly<StreamOptions>}
 */
function streamOptions(input) {
  if (input === undefined) return NO_STREAM_OPTIONS;
  return chunkedOptions(reader(input, 'options', STREAM_OPTIONS));
}

/**
 * What one call of `broadcast` was given.
 * @param {unknown} [input]
 * @returns {Readonly<CallOptions & { collect: boolean }>}
 */
function broadcastOptions(input) {
  const option = reader(input === undefined ? {} : input, 'options', BROADCAST_OPTIONS);
  return { ...callOptions(option), collect: collects(option('onError')) };
}

/**
 * What one call of `stream` was given.
 * @param {unknown} [input]
 * @returns {Readonly<CallOptions & { highWaterMark: number }>}
 */
function yieldOptions(input) {
  const option = reader(input === undefined ? {} : input, 'options', YIELD_OPTIONS);
  return { ...callOptions(option), highWaterMark: integer(option('highWaterMark'), 1, 16) };
}

/**
 * Refuses a method where calls run on other machines, and the engine that connects them cannot do what it needs.
 * @param {string} what @param {Pick<WorkerOptions, 'remote'>} settings
 * @param {'canTell' | 'canAddress'} ability @param {string} otherwise what it means that the engine has it not
 */
function assertCarried(what, { remote }, ability, otherwise) {
  if (remote === null || remote.engine[ability] === true) return;
  throw optionError(what, undefined, `cannot be used over the engine ${remote.engine.name}: ${otherwise}`);
}

/** @param {Option} option */
function collects(option) {
  return oneOf(option, /** @type {const} */ (['reject', 'collect']), 'reject') === 'collect';
}

/**
 * How long `get` and `wait` of an `AsyncResult` may take, in milliseconds.
 * @param {unknown} [value]
 * @returns {number | null} null: no limit (0 is a limit)
 */
function timeoutArgument(value) {
  return milliseconds(nullable({ name: 'timeout', value }), null);
}

/** Most calls have none. */
const NO_APPLY_OPTIONS = Object.freeze(applyOptions({}));
const NO_APPLY_ASYNC_OPTIONS = Object.freeze(applyAsyncOptions({}));
const NO_MAP_OPTIONS = Object.freeze(mapOptions({}));
const NO_MAP_ASYNC_OPTIONS = Object.freeze(mapAsyncOptions({}));
const NO_STREAM_OPTIONS = Object.freeze(streamOptions({}));

module.exports = {
  assertCarried,
  poolSettings,
  applyOptions,
  applyAsyncOptions,
  broadcastOptions,
  mapOptions,
  mapAsyncOptions,
  streamOptions,
  yieldOptions,
  timeoutArgument,
};
