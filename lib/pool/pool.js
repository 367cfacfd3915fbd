'use strict';

/**
 * `Pool`: items in, one call per item, with the methods of Python's `multiprocessing.Pool`.
 *
 * Checks arguments, and hands lists to map-job.js, single calls to call-queue.js, and sources to item-stream.js. Must
 * not depend on how calls reach a worker.
 */

const { AsyncResource } = require('node:async_hooks');
const { closedError, optionError } = require('../errors');
const { once } = require('../intrinsics/once');
const { PARALLELIZER_INLINE } = require('../options/options');
const {
  applyAsyncOptions, applyOptions, assertCarried, broadcastOptions, mapAsyncOptions, mapOptions, poolSettings,
  streamOptions, yieldOptions,
} = require('../options/pool-options');
const { assertMayStart } = require('../host/nesting');
const { argumentList, argumentLists, listOf, opener } = require('./arguments');
const { Instance, NO_TIMELINE, watchedRuns } = require('../jobs/observers');
const { addInstance, removeInstance } = require('../jobs/open-instances');
const { nameRun, newRun } = require('../jobs/run-id');
const { WorkerPool } = require('../jobs/worker-pool');

// Not needed to start workers, so loaded while they start.
const asyncResult = once(() => require('./async-result'));
const callQueue = () => require('./call-queue');
const blockedStreams = () => require('./blocked-streams');
const farBroadcast = () => require('./far-broadcast');
const itemStream = () => require('./item-stream');
const mapJob = once(() => require('./map-job'));
const runTracing = () => require('../jobs/run-tracing');
const yieldStream = () => require('./yield-stream');

/** @typedef {import('../jobs/job-table').Place} Place */
/** @typedef {import('./far-broadcast').Waiting} Waiting */
/** @typedef {import('../jobs/task-registry').Task} Task */
/** @typedef {import('./call-queue').CallKind} CallKind */
/** @typedef {InstanceType<typeof import('../jobs/run-id').RunId>} RunId */

class Pool extends Instance {
  #settings;
  #pool;
  #calls;
  /** @type {Set<Waiting>} */
  #streams = new Set();
  /** @type {InstanceType<typeof import('./blocked-streams').BlockedStreams> | null} */
  #blocked = null;
  /** @type {'open' | 'closing' | 'terminated'} */
  #state = 'open';
  /** @type {WeakMap<Task, CallKind>} The kind of a task's calls with one argument and default options. */
  #kinds = new WeakMap();
  /** @type {WeakMap<Task, CallKind>} The same for other numbers of arguments. */
  #spreadKinds = new WeakMap();
  #mayStart = false;
  /** @type {RunId | null} That of the last `apply`; null: it was left to the queue of calls. */
  #ownRun = null;
  #opened;

  /** @param {unknown} [processes] @param {unknown} [options] see `PoolOptions` in index.d.ts */
  constructor(processes, options) {
    super();
    this.#settings = poolSettings(processes, options);
    this.#pool = new WorkerPool(this.#settings);
    this.#calls = new (callQueue().CallQueue)(this.#pool, this.#settings);
    this.#opened = addInstance(this, [{ pool: this.#pool, options: this.#settings }], new.target);
    this.#pool.later.addNext(mapJob);
    this.#pool.later.add(loadRest);
  }

  /**
   * @param {unknown} task @param {unknown} [args] @param {unknown} [options]
   * @returns {Promise<any>}
   */
  apply(task, args, options) {
    const channel = watchedRuns();
    if (channel === null) return this.#tryToApply(task, args, options, false);
    return this.#watched(channel, 'apply', task, () => this.#tryToApply(task, args, options, true));
  }

  /**
   * @param {unknown} task @param {unknown} args @param {unknown} options @param {boolean} isWatched
   * @returns {Promise<any>}
   */
  #tryToApply(task, args, options, isWatched) {
    try {
      return this.#apply('apply()', task, args, applyOptions(options), isWatched);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param {unknown} task @param {unknown} [args] @param {unknown} [options] */
  applyAsync(task, args, options) {
    /** @type {ReturnType<typeof applyAsyncOptions>} */
    let settings = NO_CALLBACKS;
    const channel = watchedRuns();
    const act = () => {
      settings = applyAsyncOptions(options);
      return this.#apply('applyAsync()', task, args, settings, channel !== null);
    };
    const promise = channel === null ? act() : this.#watched(channel, 'applyAsync', task, act);
    const run = this.#ownRun;
    return resultOf(promise, run === null ? this.#calls.nameOfLast() : () => run.text, settings);
  }

  /**
   * @param {unknown} task @param {unknown} iterable @param {unknown} [options]
   * @returns {Promise<any[]>}
   */
  map(task, iterable, options) {
    return this.#mapped('map', task, () => listOf(iterable, 'map'), false, options);
  }

  /** @param {unknown} task @param {unknown} iterable @param {unknown} [options] */
  mapAsync(task, iterable, options) {
    return this.#mappedLater('mapAsync', task, () => listOf(iterable, 'map'), false, options);
  }

  /**
   * @param {unknown} task @param {unknown} iterable @param {unknown} [options]
   * @returns {Promise<any[]>}
   */
  starmap(task, iterable, options) {
    return this.#mapped('starmap', task, () => argumentLists(iterable), true, options);
  }

  /** @param {unknown} task @param {unknown} iterable @param {unknown} [options] */
  starmapAsync(task, iterable, options) {
    return this.#mappedLater('starmapAsync', task, () => argumentLists(iterable), true, options);
  }

  /** @param {unknown} task @param {unknown} source @param {unknown} [options] */
  imap(task, source, options) {
    return this.#streamed('imap', task, source, true, options);
  }

  /** @param {unknown} task @param {unknown} source @param {unknown} [options] */
  imapUnordered(task, source, options) {
    return this.#streamed('imapUnordered', task, source, false, options);
  }

  /**
   * Calls a task once on every worker.
   * @param {unknown} task @param {unknown} [args] @param {unknown} [options]
   * @returns {Promise<any[]>} a result for each worker, in the order of their indices
   */
  broadcast(task, args, options) {
    const act = () => this.#broadcast(task, args, options);
    const channel = watchedRuns();
    return channel === null ? act() : this.#watched(channel, 'broadcast', task, act);
  }

  /** @param {unknown} task @param {unknown} args @param {unknown} options @returns {Promise<any[]>} */
  async #broadcast(task, args, options) {
    const what = 'broadcast()';
    const settings = broadcastOptions(options);
    assertCarried(what, this.#settings, 'canAddress', 'its hosts cannot be told apart');
    const found = this.#pool.taskOf(task);
    const list = argumentList(args).slice();
    const { shared, type, workers } = this.#settings;
    const isInline = type === PARALLELIZER_INLINE;
    if (shared && !isInline) {
      throw optionError(what, undefined, 'cannot be used where workers are "shared": others use them, too');
    }
    const run = newRun();
    this.#assertUsable(what, run);
    const kind = { ...this.#request(what, found, true, settings), isList: false, run, pinned: true };
    const start = (/** @type {number} */ count, /** @type {readonly Place[] | null} */ places) => {
      const request = { ...kind, items: Array(count).fill(list), places };
      // A chunk of its own for each, so that none waits for other calls of its worker that have nothing to do with it.
      const others = { chunkSize: 1, transferList: null, onProgress: null };
      return mapJob().startMap(this.#pool, request, { ...settings, ...others });
    };
    if (this.#pool.lanes === null) return start(isInline ? 1 : workers, null);
    const register = (/** @type {Waiting} */ waiting) => {
      this.#streams.add(waiting);
      return () => {
        this.#streams.delete(waiting);
        this.#closeWhenRead();
      };
    };
    const about = { what, signal: settings.signal, run };
    return farBroadcast().broadcastFar(this.#pool, about, register, (places) => start(places.length, places));
  }

  /**
   * Calls a generator function, or one that returns an iterable, and hands out what that yields.
   * @param {unknown} task @param {unknown} [args] @param {unknown} [options]
   */
  stream(task, args, options) {
    const channel = watchedRuns();
    if (channel === null) return this.#yielded(task, args, options, () => {});
    return runTracing().traceStream(channel, this.#about('stream', task), (ended) =>
      this.#yielded(task, args, options, ended));
  }

  /**
   * @param {unknown} task @param {unknown} args @param {unknown} options
   * @param {(failure: { error: unknown } | null) => void} onEnded is told of its end
   */
  #yielded(task, args, options, onEnded) {
    const { signal, onMessage, highWaterMark, ...settings } = yieldOptions(options);
    assertCarried('stream()', this.#settings, 'canTell', 'nothing reaches what runs there, so no generator could wait');
    const found = this.#pool.taskOf(task, true);
    const list = argumentList(args).slice();
    const run = newRun();
    this.#assertUsable('stream()', run);
    const { gracePeriod, workers, concurrency } = this.#settings;
    const places = () => (this.#pool.lanes?.slots ?? workers) * concurrency;
    this.#blocked ??= new (blockedStreams().BlockedStreams)(places, () => this.#pool.waiting > 0);
    const request = {
      ...this.#request('stream()', found, true, { ...settings, signal, onMessage }),
      run, args: list, highWaterMark, signal, onMessage: bound(onMessage), onEnded,
    };
    const stream = new (yieldStream().YieldStream)(this.#pool, request, gracePeriod, this.#blocked, (ended) => {
      this.#streams.delete(ended);
      this.#closeWhenRead();
    });
    if (!stream.isReleased) this.#streams.add(stream);
    return itemStream().iteratorOf(stream);
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

  /** Whether workers pay, by what was measured. */
  advice() {
    return this.#pool.stats().advice;
  }

  /** What the workers did and when, in Chrome's trace event format. */
  trace() {
    const { timeline } = this.#pool;
    if (timeline === null) throw optionError('trace()', undefined, NO_TIMELINE);
    return require('../jobs/trace-events').traceOf([timeline]);
  }

  async [Symbol.asyncDispose]() {
    this.close();
    await this.join();
  }

  /**
   * Runs something as a run that others watch.
   * @param {import('../jobs/observers').Tracing} channel @param {string} method
   * @param {unknown} task @param {() => Promise<any>} act
   * @returns {Promise<any>}
   */
  #watched(channel, method, task, act) {
    return runTracing().traceRun(channel, this.#about(method, task), act);
  }

  /** What those are told who watch a run. @param {string} method @param {unknown} task */
  #about(method, task) {
    const { id, type } = this.#settings;
    return { method, id, type, task };
  }

  /**
   * @param {'map' | 'starmap'} method @param {unknown} task @param {() => unknown[]} list @param {boolean} isSpread
   * @param {unknown} options
   */
  #mapped(method, task, list, isSpread, options) {
    const act = async () => this.#map(`${method}()`, task, list(), isSpread, mapOptions(options));
    const channel = watchedRuns();
    return channel === null ? act() : this.#watched(channel, method, task, act);
  }

  /**
   * @param {string} method @param {unknown} task @param {() => unknown[]} list @param {boolean} isSpread
   * @param {unknown} options
   */
  #mappedLater(method, task, list, isSpread, options) {
    /** @type {ReturnType<typeof mapAsyncOptions>} */
    let settings = NO_MAP_CALLBACKS;
    /** @type {RunId | null} */
    let run = null;
    const act = () => {
      settings = mapAsyncOptions(options);
      return this.#map(`${method}()`, task, list(), isSpread, settings, (run = newRun()));
    };
    const channel = watchedRuns();
    const promise = channel === null ? act() : this.#watched(channel, method, task, act);
    return resultOf(promise, () => /** @type {RunId} */ (run).text, settings);
  }

  /**
   * @param {string} method @param {unknown} task @param {unknown} source @param {boolean} isOrdered
   * @param {unknown} options
   */
  #streamed(method, task, source, isOrdered, options) {
    const what = `${method}()`;
    const channel = watchedRuns();
    if (channel === null) return this.#stream(what, task, source, isOrdered, options, null);
    return runTracing().traceStream(channel, this.#about(method, task), (ended) =>
      this.#stream(what, task, source, isOrdered, options, ended));
  }

  /**
   * @param {string} what @param {unknown} task @param {unknown} args
   * @param {Readonly<import('../options/pool-options').ApplyOptions>} options
   * @param {boolean} isWatched whether it is a run that others are told of
   * @returns {Promise<any>}
   */
  #apply(what, task, args, options, isWatched) {
    const found = this.#pool.taskOf(task);
    const list = argumentList(args);
    this.#assertUsable(what);
    const { signal, transferList, onMessage } = options;
    this.#ownRun = null;
    if (signal !== null || transferList !== null || onMessage !== null || isWatched) {
      // A job of its own, so that it can be cancelled or watched without affecting others.
      const run = (this.#ownRun = newRun());
      const { timeout, retries, priority } = this.#request(what, found, true, options);
      // (To spread others into these would take six times as long.)
      const request = {
        what, task: found, spreadArguments: true, timeout, retries, priority, isList: false, items: [list.slice()], run,
      };
      const settings = { signal, transferList, onMessage, chunkSize: 0, onProgress: null, collect: false };
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
    const hasDefaults = options.timeout === null && options.retries === null && options.priority === 0;
    let kind = hasDefaults ? kinds.get(task) : undefined;
    if (kind === undefined) {
      const { timeout, retries, priority } = this.#request(what, task, isSpread, options);
      kind = {
        what, task, spreadArguments: isSpread, timeout, retries, priority, run: null, signal: null, onMessage: null,
        owner: null, submitted: null, isList: false, chunkSize: 0,
      };
      if (hasDefaults) kinds.set(task, kind);
    }
    return kind;
  }

  /**
   * What all calls have in common, whatever the method.
   * @param {string} what @param {Task} task @param {boolean} spreadArguments
   * @param {Readonly<import('../options/pool-options').CallOptions>} options
   */
  #request(what, task, spreadArguments, { timeout, retries, priority }) {
    const { timeout: poolTimeout, retries: poolRetries } = this.#settings;
    return { what, task, spreadArguments, timeout: timeout ?? poolTimeout, retries: retries ?? poolRetries, priority };
  }

  /**
   * @param {string} what @param {unknown} task @param {readonly unknown[]} items @param {boolean} spreadArguments
   * @param {Readonly<import('../options/pool-options').MapOptions>} options
   * @param {RunId} [run]
   */
  #map(what, task, items, spreadArguments, options, run = newRun()) {
    const found = this.#pool.taskOf(task);
    this.#assertUsable(what, run);
    const request = { ...this.#request(what, found, spreadArguments, options), isList: true, items, run };
    return mapJob().startMap(this.#pool, request, options);
  }

  /**
   * @param {string} what @param {unknown} task @param {unknown} source @param {boolean} isOrdered
   * @param {unknown} input the options
   * @param {((failure: { error: unknown } | null) => void) | null} ended is told of its end
   */
  #stream(what, task, source, isOrdered, input, ended) {
    const options = streamOptions(input);
    const found = this.#pool.taskOf(task);
    const { open, isAsync } = opener(source);
    this.#assertUsable(what);
    const { signal, chunkSize, collect, onProgress } = options;
    const request = this.#request(what, found, false, options);
    const stream = new (itemStream().ItemStream)({
      pool: this.#pool,
      calls: this.#calls,
      kind: { ...request, isList: true, run: newRun(), signal, chunkSize, onMessage: bound(options.onMessage) },
      source: open,
      isAsync,
      isOrdered,
      collect,
      onProgress: onProgress === null ? null : AsyncResource.bind(onProgress),
      settings: this.#settings,
      onReleased: (released) => {
        this.#streams.delete(released);
        this.#closeWhenRead();
      },
      onEnded: ended,
    });
    if (!stream.isOver) this.#streams.add(stream);
    return itemStream().iteratorOf(stream);
  }

  /** @param {string} what @param {RunId} [run] */
  #assertUsable(what, run) {
    if (this.#state !== 'open') throw nameRun(closedError(what), () => (run ?? newRun()).text);
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

/** For as long as options have not been looked at. */
const NO_CALLBACKS = applyAsyncOptions(undefined);
const NO_MAP_CALLBACKS = mapAsyncOptions(undefined);

/** Loads the rest while there are descriptors to open files with; a long-lived process may use them all up later. */
function loadRest() {
  [asyncResult, blockedStreams, itemStream, yieldStream].forEach((load) => load());
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

/** @template {Function} T @param {T | null} listener @returns {T | null} */
function bound(listener) {
  return listener && /** @type {any} */ (AsyncResource.bind(/** @type {any} */ (listener)));
}

module.exports = { Pool };
