'use strict';

/**
 * `Parallelizer`: a batch in, one call per sub-batch, `{ responses, failures }` out.
 *
 * Keeps the pools of an instance and checks what its methods are given; plan.js cuts batches, run.js runs them. Must
 * not depend on how calls reach a worker.
 */

const { parallelizerOptions, runOptions, SINGLE_ID, PARALLELIZER_INLINE } = require('../options/options');
const { closedError, optionError } = require('../errors');
const { define } = require('../intrinsics/define');
const { all, withResolvers } = require('../intrinsics/list');
const { assertMayNest } = require('../host/nesting');
const { Instance, NO_TIMELINE, watchedRuns } = require('../jobs/observers');
const { addInstance, removeInstance } = require('../jobs/open-instances');
const { submitWatched, submittedTrace } = require('../jobs/run-id');
const { WorkerPool } = require('../jobs/worker-pool');

// Not needed to start workers, so loaded while they start.
const planner = () => require('./plan');
const runner = () => require('./run');
const recordRunner = () => require('./record-run');
const runTracing = () => require('../jobs/run-tracing');

/** @typedef {Readonly<import('../options/options').PoolOptions>} PoolOptions */
/** @typedef {Readonly<import('../options/options').RunOptions>} RunOptions */
/** @typedef {import('./run').Run} Run */
/** @typedef {InstanceType<typeof import('../errors').ParallelizerError>} ParallelizerError */
/** @typedef {import('../worker/invocation').EventKind} EventKind */
/** @typedef {{ options: PoolOptions, pool: InstanceType<typeof WorkerPool> }} Entry */
/**
 * `absence`: why there was no host in time, where one was waited for.
 * @typedef {{ entry: Entry, records: unknown[], params: unknown, absence: ParallelizerError | null }} RunItem
 */

/**
 * Runs the records of an event of AWS Lambda: the worker makes the argument of its function of them and of the context.
 * @typedef {(instance: unknown, id: unknown, records: unknown[], params: unknown, options: object, kind: EventKind) =>
 *   Run} RunEvent
 */

/** @type {RunEvent} */
let runEvent;

class Parallelizer extends Instance {
  static {
    runEvent = (instance, id, records, params, options, kind) => {
      if (typeof instance !== 'object' || instance === null || !(#pools in instance)) {
        throw optionError('parallelizer', instance, 'an instance of Parallelizer, from this very package');
      }
      return instance.#runEvent(id, records, params, options, kind);
    };
  }

  /** @type {Map<string, Entry>} By id as text: 1 and '1' are the same. */
  #pools = new Map();
  #isList;
  #opened;
  /** @type {Set<Promise<void>>} Runs that were accepted and wait for hosts. */
  #waiting = new Set();
  /** Ends what they wait for. */
  #stopWaiting = withResolvers();
  #isClosing = false;

  /** @param {unknown} options see `ParallelizerOptions` in index.d.ts */
  constructor(options) {
    super();
    const { list, entries } = parallelizerOptions(options);
    this.#isList = list;
    entries.forEach((entry) => {
      this.#pools.set(String(entry.id), { options: entry, pool: new WorkerPool(entry) });
    });
    this.#opened = addInstance(this, [...this.#pools.values()], new.target);
    this.#pools.forEach(({ pool }) => pool.later.addNext(loadNext));
  }

  /**
   * @param {unknown} batch @param {unknown} [params] @param {unknown} [options]
   * @returns {Promise<any>}
   */
  run(batch, params, options) {
    const channel = watchedRuns();
    const act = () => this.#run(batch, params, options);
    return channel === null ? act() : runTracing().traceRun(channel, this.#about('run'), act);
  }

  /**
   * @param {unknown} batch @param {unknown} params @param {unknown} options
   * @returns {Promise<any>}
   */
  async #run(batch, params, options) {
    const settings = runOptions(options);
    if (this.#waiting.size > 0 && this.#isClosing) throw closedError('run()');
    const items = this.#items(batch, params);
    if (settings.groupBy !== null || !items.some(({ entry }) => waitsForHosts(entry))) {
      return this.#startAll(items, settings);
    }
    const trace = submittedTrace();
    const seen = this.#hostsSeen(items, settings.signal);
    this.#waiting.add(seen);
    await seen;
    this.#waiting.delete(seen);
    return trace === null ? this.#startAll(items, settings)
      : submitWatched(trace, () => this.#startAll(items, settings));
  }

  /** @param {RunItem[]} items @param {RunOptions} settings @returns {Promise<any>} */
  #startAll(items, settings) {
    if (!this.#isList) return this.#startItem(items[0], settings).promise;
    /** @type {Run[]} */
    const runs = [];
    try {
      items.forEach((item) => runs.push(this.#startItem(item, settings)));
    } catch (error) {
      // All or nothing, across all pools.
      runs.forEach((run) => run.cancel());
      throw error;
    }
    return all(runs.map((run) => run.promise));
  }

  /** @type {(...args: [unknown, unknown[], unknown, object, EventKind]) => Run} */
  #runEvent(id, records, params, options, kind) {
    const entry = this.#pools.get(this.#isList ? String(id) : SINGLE_ID);
    if (entry === undefined) {
      throw optionError('id', id, this.#knownIds());
    }
    const settings = runOptions(options);
    const start = () => this.#start(entry, recordsOf(records, 'event'), params, settings, kind);
    const channel = watchedRuns();
    if (channel === null) return start();
    /** @type {Run | null} */
    let run = null;
    const promise = runTracing().traceRun(channel, this.#about('run'), () => {
      const started = (run = start());
      return started.promise;
    });
    return { .../** @type {Run} */ (/** @type {unknown} */ (run)), promise };
  }

  /** What those are told who watch a run. @param {string} method */
  #about(method) {
    const { 0: entry } = [...this.#pools.values()];
    const { id, type, functionName } = entry.options;
    if (!this.#isList) return { method, id, type, task: functionName };
    return { method, id: [...this.#pools.keys()].join(), type, task: null };
  }

  /** @returns {Promise<void>} */
  async ready() {
    const pools = [...this.#pools.values()];
    pools.forEach(({ options }) => assertMayRun(options));
    await all(pools.map(({ pool }) => pool.ready()));
  }

  /** @param {unknown} [ids] */
  removeChildThreads(ids = null) {
    const wanted = ids === null ? [...this.#pools.keys()] : (Array.isArray(ids) ? ids : [ids]).map(String);
    const remove = () => wanted.forEach((id) => this.#pools.get(id)?.pool.removeWorkers());
    if (this.#waiting.size > 0) void this.#endWaiting().then(remove);
    else remove();
  }

  /** @returns {Promise<void>} */
  async close() {
    removeInstance(this.#opened);
    this.#isClosing = true;
    // Whoever has waited for hosts submits before this goes on.
    if (this.#waiting.size > 0) await all([...this.#waiting]);
    await all([...this.#pools.values()].map(({ pool }) => pool.close()));
  }

  /** @returns {Promise<void>} */
  async terminate() {
    removeInstance(this.#opened);
    this.#isClosing = true;
    if (this.#waiting.size > 0) await this.#endWaiting();
    await all([...this.#pools.values()].map(({ pool }) => pool.terminate()));
  }

  stats() {
    return this.#ofEach((pool) => pool.stats());
  }

  /** Whether workers pay, by what was measured. */
  advice() {
    return this.#ofEach((pool) => pool.stats().advice);
  }

  /**
   * What each pool says of itself, by id; of an instance with one pool what that says.
   * @template T @param {(pool: Entry['pool']) => T} ask
   * @returns {T | Record<string, T>}
   */
  #ofEach(ask) {
    if (!this.#isList) return ask([...this.#pools.values()][0].pool);
    /** @type {Record<string, T>} */
    const found = {};
    const own = { writable: true, enumerable: true, configurable: true };
    this.#pools.forEach(({ pool }, id) => define(found, id, { value: ask(pool), ...own }));
    return found;
  }

  /** What the workers did and when, in Chrome's trace event format. */
  trace() {
    const all = [...this.#pools.values()].map(({ pool }) => pool.timeline);
    const timelines = all.filter((timeline) => timeline !== null);
    if (timelines.length === 0) throw optionError('trace()', undefined, NO_TIMELINE);
    return require('../jobs/trace-events').traceOf(timelines);
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  /**
   * Resolves once it is known how many workers a batch is for, where hosts say so; or none can be waited for. What
   * comes of it is told to the calls.
   * @param {RunItem[]} items @param {AbortSignal | null} signal
   */
  async #hostsSeen(items, signal) {
    const waiting = items.filter(({ entry }) => waitsForHosts(entry)).map((item) =>
      item.entry.pool.ready().catch((error) => void (item.absence = error)));
    const { promise: aborted, resolve } = withResolvers();
    const stopListening = signal === null ? () => {} : require('../jobs/abort').onAbort(signal, resolve);
    await Promise.race([all(waiting), aborted, this.#stopWaiting.promise]);
    stopListening();
  }

  /** Has the runs that wait for hosts submit what they have, so that it settles as all others do. */
  async #endWaiting() {
    const waiting = [...this.#waiting];
    this.#stopWaiting.resolve();
    this.#stopWaiting = withResolvers();
    await all(waiting);
  }

  #knownIds() {
    return `one of ${[...this.#pools.keys()].map((id) => `'${id}'`).join(', ')}`;
  }

  /**
   * What `run` was given, all of it checked, and copied, before any of it starts.
   * @param {unknown} items @param {unknown} params
   * @returns {RunItem[]}
   */
  #items(items, params) {
    if (!this.#isList) {
      const entry = /** @type {Entry} */ (this.#pools.get(SINGLE_ID));
      assertMayRun(entry.options);
      return [{ entry, records: recordsOf(items, 'batch'), params, absence: null }];
    }
    if (!Array.isArray(items)) {
      throw optionError('batch', items, 'a list of { id, batch, params }, since this instance was made from a list');
    }
    /** @type {RunItem[]} */
    const found = [];
    // Not with `map`, which passes over holes.
    for (let i = 0; i < items.length; i++) {
      const name = `[${i}]`;
      const { id, batch, params: own = params } = readItem(name, items[i]);
      const entry = typeof id === 'object' ? undefined : this.#pools.get(String(id));
      if (entry === undefined) throw optionError(`${name}.id`, id, this.#knownIds());
      found.push({ entry, records: recordsOf(batch, `${name}.batch`), params: own, absence: null });
    }
    if (found.length === 0 && [...this.#pools.values()].every(({ pool }) => pool.isClosed)) throw closedError('run()');
    return found;
  }

  /** @param {RunItem} item @param {RunOptions} settings @returns {Run} */
  #startItem({ entry, records, params, absence }, settings) {
    // Whoever has waited for a host in vain does not wait again.
    if (absence === null || entry.pool.isClosed || !waitsForHosts(entry)) {
      return this.#start(entry, records, params, settings);
    }
    const plan = planner().planBatch(records, { ...entry.options, workers: 1 }, null);
    return runner().failedRun(plan, settings, absence);
  }

  /**
   * @param {Entry} entry @param {unknown[]} records @param {unknown} params @param {RunOptions} settings
   * @param {EventKind | null} [kind]
   * @returns {Run}
   */
  #start({ options, pool }, records, params, settings, kind = null) {
    assertMayRun(options);
    // What comes before the function or is wanted of its results is a matter of each record by itself.
    const isSingle = kind !== null && kind.steps === undefined && kind.results === undefined;
    // A host has many workers, which would run a list's records of one key side by side.
    const isListed = isSingle && options.batchSize === 1 && records.length > 0 && pool.lanes === null;
    if (isListed && recordRunner().canShare(params, settings.context)) {
      const { planRecords } = planner();
      const { startRecordRun } = recordRunner();
      return startRecordRun(pool, options, planRecords(records, settings.groupBy), params, settings, kind);
    }
    const workers = pool.lanes === null ? options.workers : Math.max(1, pool.lanes.slots);
    const plan = planner().planBatch(records, { ...options, workers }, settings.groupBy);
    return runner().startRun(pool, options, plan, params, settings, kind);
  }
}

/** Whether it is not known yet how many workers a batch is for. @param {Entry} entry */
function waitsForHosts({ pool, options }) {
  return pool.lanes !== null && options.batchSize === 0 && pool.lanes.slots === 0;
}

/** @param {PoolOptions} options */
function assertMayRun({ type, filePath }) {
  // Inline starts no workers.
  if (type !== PARALLELIZER_INLINE) assertMayNest(filePath);
}

/**
 * @param {string} name @param {any} item if it is one; its getters may throw
 * @returns {{ id: unknown, batch: unknown, params: unknown }}
 */
function readItem(name, item) {
  if (typeof item !== 'object' || item === null) throw optionError(name, item, 'an object { id, batch, params }');
  try {
    const { id, batch, params } = item;
    return { id, batch, params };
  } catch (cause) {
    throw optionError(name, undefined, 'cannot be read: a getter of it has thrown', { cause });
  }
}

/**
 * A copy of the records, so that it does not matter what the caller does to the list later.
 * @param {unknown} batch @param {string} name
 * @returns {unknown[]}
 */
function recordsOf(batch, name) {
  if (Array.isArray(batch)) return batch.slice();
  // A DataView has no length; its class may be of another realm.
  if (ArrayBuffer.isView(batch) && 'length' in batch) {
    return Array.from(/** @type {Iterable<unknown>} */ (/** @type {unknown} */ (batch)));
  }
  throw optionError(name, batch, 'an array, or a typed array, of records');
}

/** Loads what a run needs. */
function loadNext() {
  [planner, runner].forEach((load) => load());
}

module.exports = { Parallelizer, runEvent };
