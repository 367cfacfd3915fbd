'use strict';

/**
 * `Pool`: items in, one call per item, with the methods of Python's `multiprocessing.Pool`.
 *
 * Checks arguments, and hands lists to map-job.js, single calls to call-queue.js, and sources to item-stream.js. Must
 * not depend on how calls reach a worker.
 */

const { AsyncResource } = require('node:async_hooks');
const { closedError, optionError } = require('../errors');
const { PARALLELIZER_INLINE } = require('../options/options');
const {
  applyAsyncOptions, applyOptions, mapAsyncOptions, mapOptions, poolSettings, streamOptions,
} = require('../options/pool-options');
const { assertMayStart } = require('../host/nesting');
const { addInstance, removeInstance } = require('../jobs/open-instances');
const { RunId, nameRun } = require('../jobs/run-id');
const { WorkerPool } = require('../jobs/worker-pool');

// Not needed to start workers, so loaded while they start.
const asyncResult = () => require('./async-result');
const callQueue = () => require('./call-queue');
const itemStream = () => require('./item-stream');
const mapJob = () => require('./map-job');

/** @typedef {import('../jobs/task-registry').Task} Task */
/** @typedef {import('./call-queue').CallKind} CallKind */

class Pool {
  #settings;
  #pool;
  #calls;
  /** @type {Set<InstanceType<typeof import('./item-stream').ItemStream>>} */
  #streams = new Set();
  /** @type {'open' | 'closing' | 'terminated'} */
  #state = 'open';
  /** @type {WeakMap<Task, CallKind>} The kind of a task's calls with one argument and default options. */
  #kinds = new WeakMap();
  /** @type {WeakMap<Task, CallKind>} The same for other numbers of arguments. */
  #spreadKinds = new WeakMap();
  #mayStart = false;
  /** @type {InstanceType<typeof RunId> | null} That of the last `apply`; null: it was left to the queue of calls. */
  #ownRun = null;
  #opened;

  /** @param {unknown} [processes] @param {unknown} [options] see `PoolOptions` in index.d.ts */
  constructor(processes, options) {
    this.#settings = poolSettings(processes, options);
    this.#pool = new WorkerPool(this.#settings);
    this.#calls = new (callQueue().CallQueue)(this.#pool, this.#settings);
    this.#opened = addInstance(this, [{ pool: this.#pool, options: this.#settings }], new.target);
    this.#pool.loadLater(loadRest);
  }

  /**
   * @param {unknown} task @param {unknown} [args] @param {unknown} [options]
   * @returns {Promise<any>}
   */
  apply(task, args, options) {
    try {
      return this.#apply('apply()', task, args, applyOptions(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param {unknown} task @param {unknown} [args] @param {unknown} [options] */
  applyAsync(task, args, options) {
    const settings = applyAsyncOptions(options);
    const promise = this.#apply('applyAsync()', task, args, settings);
    const run = this.#ownRun;
    return resultOf(promise, run === null ? this.#calls.nameOfLast() : () => run.text, settings);
  }

  /**
   * @param {unknown} task @param {unknown} iterable @param {unknown} [options]
   * @returns {Promise<any[]>}
   */
  async map(task, iterable, options) {
    return this.#map('map()', task, listOf(iterable, 'map'), false, mapOptions(options));
  }

  /** @param {unknown} task @param {unknown} iterable @param {unknown} [options] */
  mapAsync(task, iterable, options) {
    const settings = mapAsyncOptions(options);
    const run = new RunId();
    const promise = this.#map('mapAsync()', task, listOf(iterable, 'map'), false, settings, run);
    return resultOf(promise, () => run.text, settings);
  }

  /**
   * @param {unknown} task @param {unknown} iterable @param {unknown} [options]
   * @returns {Promise<any[]>}
   */
  async starmap(task, iterable, options) {
    return this.#map('starmap()', task, argumentLists(iterable), true, mapOptions(options));
  }

  /** @param {unknown} task @param {unknown} iterable @param {unknown} [options] */
  starmapAsync(task, iterable, options) {
    const settings = mapAsyncOptions(options);
    const run = new RunId();
    const promise = this.#map('starmapAsync()', task, argumentLists(iterable), true, settings, run);
    return resultOf(promise, () => run.text, settings);
  }

  /** @param {unknown} task @param {unknown} source @param {unknown} [options] */
  imap(task, source, options) {
    return this.#stream('imap()', task, source, true, options);
  }

  /** @param {unknown} task @param {unknown} source @param {unknown} [options] */
  imapUnordered(task, source, options) {
    return this.#stream('imapUnordered()', task, source, false, options);
  }

  /** @returns {Promise<void>} */
  async ready() {
    if (this.#state !== 'open') throw closedError('ready()');
    this.#assertMayStart();
    await this.#pool.ready();
  }

  /** Accepts nothing more; what was accepted is finished. */
  close() {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    removeInstance(this.#opened);
    this.#calls.flush();
    this.#closeWhenRead();
  }

  /** @returns {Promise<void>} */
  async join() {
    if (this.#state === 'open') {
      throw optionError('join()', undefined, 'cannot be called on an open pool: call close() or terminate() first');
    }
    // There may be nobody left to take their results.
    for (const stream of this.#streams) stream.drain();
    await this.#pool.whenClosed();
  }

  /** @returns {Promise<void>} */
  async terminate() {
    this.#state = 'terminated';
    removeInstance(this.#opened);
    // First, so that they stop reading.
    for (const stream of this.#streams) stream.fail(closedError('a stream'));
    this.#calls.flush();
    await this.#pool.terminate();
  }

  stats() {
    return this.#pool.stats();
  }

  async [Symbol.asyncDispose]() {
    this.close();
    await this.join();
  }

  /**
   * @param {string} what @param {unknown} task @param {unknown} args
   * @param {Readonly<import('../options/pool-options').ApplyOptions>} options
   * @returns {Promise<any>}
   */
  #apply(what, task, args, options) {
    const found = this.#pool.taskOf(task);
    const list = args === undefined ? [] : args;
    if (!Array.isArray(list)) throw optionError('args', args, 'an array, the arguments of the function');
    this.#assertUsable(what);
    const { signal, transferList } = options;
    this.#ownRun = null;
    if (signal !== null || transferList !== null) {
      // A job of its own, so that it can be cancelled without affecting others.
      const run = (this.#ownRun = new RunId());
      const request = { ...this.#request(what, found, true, options), isList: false, items: [list], run };
      const settings = { ...options, chunkSize: 0, onProgress: null, collect: false };
      return mapJob().startMap(this.#pool, request, settings).then(({ 0: value }) => value);
    }
    // A single argument, which most calls have, is not wrapped in a list: that costs less to encode.
    const isSpread = list.length !== 1;
    const kind = this.#kindOf(what, found, isSpread, options);
    const argument = isSpread ? list.slice() : list[0];
    const promise = new Promise(keepResolve);
    try {
      this.#calls.add(kind, argument, lastResolve, null);
    } catch (error) {
      return Promise.reject(error);
    }
    return promise;
  }

  /**
   * @param {string} what @param {Task} task @param {boolean} isSpread
   * @param {Readonly<import('../options/pool-options').ApplyOptions>} options
   * @returns {CallKind}
   */
  #kindOf(what, task, isSpread, options) {
    const kinds = isSpread ? this.#spreadKinds : this.#kinds;
    const hasDefaults = options.timeout === null && options.retries === null;
    let kind = hasDefaults ? kinds.get(task) : undefined;
    if (kind === undefined) {
      const request = this.#request(what, task, isSpread, options);
      kind = { ...request, isList: false, run: null, signal: null, chunkSize: 0, owner: null, submitted: null };
      if (hasDefaults) kinds.set(task, kind);
    }
    return kind;
  }

  /**
   * What all calls have in common, whatever the method.
   * @param {string} what @param {Task} task @param {boolean} spreadArguments
   * @param {Readonly<import('../options/pool-options').CallOptions>} options
   */
  #request(what, task, spreadArguments, { timeout, retries }) {
    const { timeout: poolTimeout, retries: poolRetries } = this.#settings;
    return { what, task, spreadArguments, timeout: timeout ?? poolTimeout, retries: retries ?? poolRetries };
  }

  /**
   * @param {string} what @param {unknown} task @param {readonly unknown[]} items @param {boolean} spreadArguments
   * @param {Readonly<import('../options/pool-options').MapOptions>} options
   * @param {InstanceType<typeof RunId>} [run]
   */
  #map(what, task, items, spreadArguments, options, run = new RunId()) {
    const found = this.#pool.taskOf(task);
    this.#assertUsable(what, run);
    // First come, first served.
    this.#calls.flush();
    const request = { ...this.#request(what, found, spreadArguments, options), isList: true, items, run };
    return mapJob().startMap(this.#pool, request, options);
  }

  /**
   * @param {string} what @param {unknown} task @param {unknown} source @param {boolean} isOrdered
   * @param {unknown} input the options
   */
  #stream(what, task, source, isOrdered, input) {
    const options = streamOptions(input);
    const found = this.#pool.taskOf(task);
    const { open, isAsync } = opener(source);
    this.#assertUsable(what);
    const { signal, chunkSize, collect, onProgress } = options;
    const stream = new (itemStream().ItemStream)({
      pool: this.#pool,
      calls: this.#calls,
      kind: { ...this.#request(what, found, false, options), isList: true, run: new RunId(), signal, chunkSize },
      source: open,
      isAsync,
      isOrdered,
      collect,
      onProgress: onProgress === null ? null : AsyncResource.bind(onProgress),
      settings: this.#settings,
      onReleased: (ended) => {
        this.#streams.delete(ended);
        this.#closeWhenRead();
      },
    });
    if (!stream.isOver) this.#streams.add(stream);
    return itemStream().iteratorOf(stream);
  }

  /** @param {string} what @param {InstanceType<typeof RunId>} [run] */
  #assertUsable(what, run) {
    if (this.#state !== 'open') throw nameRun(closedError(what), () => (run ?? new RunId()).text);
    this.#assertMayStart();
  }

  #assertMayStart() {
    if (this.#mayStart) return;
    if (this.#settings.type !== PARALLELIZER_INLINE) assertMayStart('Pool');
    this.#mayStart = true;
  }

  /** Streams that were made before `close` are read to their end first. */
  #closeWhenRead() {
    if (this.#state === 'closing' && this.#streams.size === 0) this.#pool.close();
  }
}

/** Loads the rest while there are descriptors to open files with; a long-lived process may use them all up later. */
function loadRest() {
  [asyncResult, itemStream, mapJob].forEach((load) => load());
}

/** @type {(value: any) => void} Resolves the promise that was made last. */
let lastResolve;

/** One executor for all promises: a closure for each would be a quarter of the garbage that a call leaves. */
const keepResolve = (/** @type {(value: any) => void} */ resolve) => {
  lastResolve = resolve;
};

/**
 * @param {Promise<any>} promise @param {() => string} nameOf names the run
 * @param {Readonly<import('../options/pool-options').Callbacks>} callbacks
 */
function resultOf(promise, nameOf, { callback, errorCallback }) {
  return new (asyncResult().AsyncResult)(promise, nameOf, callback, errorCallback);
}

/**
 * A copy of the items, so that it does not matter what the caller does to the list later.
 * @param {unknown} iterable @param {string} method
 * @returns {unknown[]}
 */
function listOf(iterable, method) {
  if (Array.isArray(iterable)) return iterable.slice();
  if (isIterable(iterable)) return Array.from(iterable);
  const expected = isAsyncIterable(iterable) ? `an iterable; an asynchronous one is for i${method}()`
    : 'an iterable, such as an array';
  throw optionError('iterable', iterable, expected);
}

/**
 * @param {unknown} iterable
 * @returns {unknown[][]}
 */
function argumentLists(iterable) {
  const items = listOf(iterable, 'map');
  return items.map((item, i) => {
    if (Array.isArray(item)) return item;
    if (!isIterable(item)) throw optionError(`iterable[${i}]`, item, 'an array, the arguments of one call');
    return Array.from(item);
  });
}

/**
 * @param {unknown} source
 * @returns {{ open: () => Iterator<unknown> | AsyncIterator<unknown>, isAsync: boolean }}
 */
function opener(source) {
  if (isAsyncIterable(source)) return { open: () => source[Symbol.asyncIterator](), isAsync: true };
  if (isIterable(source)) return { open: () => source[Symbol.iterator](), isAsync: false };
  throw optionError('source', source, 'an iterable or an asynchronous iterable');
}

/** @param {unknown} value @returns {value is Iterable<unknown>} */
function isIterable(value) {
  return hasMethod(value, Symbol.iterator);
}

/** @param {unknown} value @returns {value is AsyncIterable<unknown>} */
function isAsyncIterable(value) {
  return hasMethod(value, Symbol.asyncIterator);
}

/** @param {unknown} value @param {symbol} name */
function hasMethod(value, name) {
  return value !== null && value !== undefined && typeof Reflect.get(Object(value), name) === 'function';
}

module.exports = { Pool };
