'use strict';

/**
 * `Parallelizer`: a batch in, one call per sub-batch, `{ responses, failures }` out.
 *
 * Cuts batches, gathers outcomes, and says which records an error is about. May not know how calls reach a worker.
 */

const { parallelizerOptions, runOptions, SINGLE_ID, PARALLELIZER_INLINE } = require('../options/options');
const { abortError, closedError, optionError, skippedError, timeoutError } = require('../errors');
const { assertMayNest } = require('../host/nesting');
const { WorkerPool } = require('../jobs/worker-pool');

// Not needed to start workers, and loaded while they do.
const abort = () => require('../jobs/abort');
const progress = () => require('../jobs/report');
const split = () => require('./split');

/** @typedef {Readonly<import('../options/options').PoolOptions>} PoolOptions */
/** @typedef {Readonly<import('../options/options').RunOptions>} RunOptions */
/** @typedef {{ responses: unknown[], failures: string[], errors: Error[] }} RunResult */
/** @typedef {{ value: unknown } | { error: unknown, text: string }} Outcome what came of a sub-batch */
/** @typedef {InstanceType<typeof WorkerPool>} Pool */

/**
 * A batch as it is handed out: `records(i)` gives the indices of the records of sub-batch `i`, `slice(i)` the records.
 * @typedef {object} Plan
 * @property {number} count
 * @property {(index: number) => unknown[]} slice
 * @property {(index: number) => number[]} records
 * @property {Uint32Array | null} keys
 * @property {boolean} spread whether there is one sub-batch per worker
 * @property {(index: number) => unknown} keyOf what `groupBy` returned for sub-batch `i`
 */

/**
 * A run that has started. `cancel` settles what is unfinished as aborted; `whenQuiet`, after that, tells when no worker
 * is at any of it any more, and kills those that are after so many milliseconds.
 * @typedef {{ promise: Promise<RunResult>, cancel: () => void, whenQuiet: (limit: number) => Promise<void> }} Run
 */

/**
 * Runs the records of an event of AWS Lambda: the worker makes of them, and of the context, what its function is given.
 * @typedef {(instance: unknown, id: unknown, records: unknown[], params: unknown, options: object, kind: EventKind) =>
 *   Run} RunEvent
 * @typedef {import('../worker/invocation').EventKind} EventKind
 */

/** @type {RunEvent} */
let runEvent;

class Parallelizer {
  static {
    runEvent = (instance, id, records, params, options, kind) => {
      if (typeof instance !== 'object' || instance === null || !(#pools in instance)) {
        throw optionError('parallelizer', instance, 'an instance of Parallelizer, from this very package');
      }
      return instance.#runEvent(id, records, params, options, kind);
    };
  }

  /** @type {Map<string, { options: PoolOptions, pool: Pool }>} By id, as text: 1 and '1' are one. */
  #pools = new Map();
  #isList;

  /** @param {unknown} options see `ParallelizerOptions` in index.d.ts */
  constructor(options) {
    const { list, entries } = parallelizerOptions(options);
    this.#isList = list;
    for (const entry of entries) {
      this.#pools.set(String(entry.id), { options: entry, pool: new WorkerPool(entry) });
    }
    setImmediate(loadRest).unref();
  }

  /**
   * @param {unknown} batch @param {unknown} [params] @param {unknown} [options]
   * @returns {Promise<any>}
   */
  async run(batch, params, options) {
    const settings = runOptions(options);
    if (!this.#isList) {
      const entry = /** @type {{ options: PoolOptions, pool: Pool }} */ (this.#pools.get(SINGLE_ID));
      return this.#start(entry, batch, 'batch', params, settings).promise;
    }
    const items = this.#items(batch, params);
    /** @type {Run[]} */
    const runs = [];
    try {
      for (const { entry, batch: records, params: own, name } of items) {
        runs.push(this.#start(entry, records, name, own, settings));
      }
    } catch (error) {
      // All or nothing, also where several pools are concerned.
      for (const run of runs) run.cancel();
      throw error;
    }
    return Promise.all(runs.map((run) => run.promise));
  }

  /** @type {(...args: [unknown, unknown[], unknown, object, EventKind]) => Run} */
  #runEvent(id, records, params, options, kind) {
    const entry = this.#pools.get(this.#isList ? String(id) : SINGLE_ID);
    if (entry === undefined) {
      throw optionError('id', id, `one of ${[...this.#pools.keys()].map((each) => `'${each}'`).join(', ')}`);
    }
    return this.#start(entry, records, 'event', params, runOptions(options), kind);
  }

  /** @returns {Promise<void>} */
  async ready() {
    const pools = [...this.#pools.values()];
    for (const { options } of pools) assertMayRun(options);
    await Promise.all(pools.map(({ pool }) => pool.ready()));
  }

  /** @param {unknown} [ids] */
  removeChildThreads(ids = null) {
    const wanted = ids === null ? [...this.#pools.keys()] : (Array.isArray(ids) ? ids : [ids]).map(String);
    for (const id of wanted) this.#pools.get(id)?.pool.removeWorkers();
  }

  /** @returns {Promise<void>} */
  async close() {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.close()));
  }

  /** @returns {Promise<void>} */
  async terminate() {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.terminate()));
  }

  stats() {
    if (!this.#isList) return [...this.#pools.values()][0].pool.stats();
    return Object.fromEntries([...this.#pools].map(([id, { pool }]) => [id, pool.stats()]));
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  /**
   * What the list form of `run` was given, checked before any of it starts.
   * @param {unknown} items @param {unknown} params
   */
  #items(items, params) {
    if (!Array.isArray(items)) {
      throw optionError('batch', items, 'a list of { id, batch, params }, since this instance was made from a list');
    }
    return items.map((item, i) => {
      const name = `[${i}]`;
      if (typeof item !== 'object' || item === null) throw optionError(name, item, 'an object { id, batch, params }');
      const entry = this.#pools.get(String(item.id));
      if (entry === undefined) {
        throw optionError(`${name}.id`, item.id, `one of ${[...this.#pools.keys()].map((id) => `'${id}'`).join(', ')}`);
      }
      const own = item.params === undefined ? params : item.params;
      return { entry, batch: recordsOf(item.batch, `${name}.batch`), params: own, name: `${name}.batch` };
    });
  }

  /**
   * @param {{ options: PoolOptions, pool: Pool }} entry @param {unknown} batch @param {string} name
   * @param {unknown} params @param {RunOptions} settings @param {EventKind | null} [kind]
   * @returns {Run}
   */
  #start({ options, pool }, batch, name, params, settings, kind = null) {
    assertMayRun(options);
    const records = recordsOf(batch, name);
    const plan = settings.groupBy === null ? planEvenly(records, options) : planByKey(records, options, settings.groupBy);
    return startRun(pool, options, plan, params, settings, kind);
  }
}

/** @param {PoolOptions} options */
function assertMayRun({ type, filePath }) {
  // What runs in this very process starts no workers.
  if (type !== PARALLELIZER_INLINE) assertMayNest(filePath);
}

/**
 * A copy of the records: what the caller does to the list later does not matter.
 * @param {unknown} batch @param {string} name
 * @returns {unknown[]}
 */
function recordsOf(batch, name) {
  if (Array.isArray(batch)) return batch.slice();
  if (ArrayBuffer.isView(batch) && !(batch instanceof DataView)) {
    return Array.from(/** @type {Iterable<unknown>} */ (/** @type {unknown} */ (batch)));
  }
  throw optionError(name, batch, 'an array, or a typed array, of records');
}

/** @param {unknown[]} records @param {PoolOptions} options @returns {Plan} */
function planEvenly(records, { workers, batchSize }) {
  const bounds = batchSize > 0 ? split().splitBySize(records.length, batchSize) : split().splitEvenly(records.length, workers);
  return {
    count: bounds.length,
    slice: (index) => records.slice(...bounds[index]),
    records: (index) => range(...bounds[index]),
    keys: null,
    spread: batchSize === 0,
    keyOf: () => undefined,
  };
}

/** @param {number} start @param {number} end */
function range(start, end) {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/**
 * One key per sub-batch; a large one makes several.
 * @param {unknown[]} records @param {PoolOptions} options @param {(record: unknown) => unknown} groupBy
 * @returns {Plan}
 */
function planByKey(records, { batchSize }, groupBy) {
  /** @type {Map<unknown, number[]>} */
  const groups = new Map();
  for (let i = 0; i < records.length; i++) {
    let key;
    try {
      key = groupBy(records[i]);
    } catch (cause) {
      throw optionError('groupBy', undefined, `has thrown for the record at index ${i}`, { cause });
    }
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  /** @type {{ key: unknown, number: number, indices: number[] }[]} */
  const pieces = [];
  let number = 0;
  for (const [key, indices] of groups) {
    const bounds = split().splitBySize(indices.length, batchSize > 0 ? batchSize : indices.length);
    for (const [start, end] of bounds) pieces.push({ key, number, indices: indices.slice(start, end) });
    number++;
  }
  return {
    count: pieces.length,
    slice: (index) => pieces[index].indices.map((i) => records[i]),
    records: (index) => pieces[index].indices,
    keys: Uint32Array.from(pieces, (piece) => piece.number),
    spread: false,
    keyOf: (index) => pieces[index].key,
  };
}

/**
 * Runs a plan on a pool.
 * @param {Pool} pool @param {PoolOptions} options @param {Plan} plan @param {unknown} params
 * @param {RunOptions} settings @param {EventKind | null} kind
 * @returns {Run}
 */
function startRun(pool, options, plan, params, settings, kind) {
  const { signal, onProgress, context } = settings;
  const timeoutMs = settings.timeoutMs ?? options.timeoutMs;
  const total = plan.count;
  /** @type {Outcome[]} */
  const outcomes = new Array(total);
  let done = 0;
  let failed = 0;
  /** @type {(result: RunResult) => void} */
  let resolve = () => {};
  /** @type {Promise<RunResult>} */
  const promise = new Promise((fulfil) => (resolve = fulfil));
  if (pool.isClosed) throw closedError('run()');
  if (total === 0) {
    resolve(gather([], plan));
    return { promise, cancel() {}, whenQuiet: async () => {} };
  }
  /** @type {() => void} */
  let stopListening = () => {};
  /** @param {number} index @param {Outcome} outcome */
  const settled = (index, outcome) => {
    outcomes[index] = outcome;
    done++;
    if ('error' in outcome) failed++;
    if (onProgress !== null) progress().report(onProgress, { done, total, failed });
    if (done === total) {
      stopListening();
      resolve(gather(outcomes, plan));
    }
  };
  const id = pool.submit({
    what: 'run()',
    calls: total,
    keys: plan.keys,
    stopKeyOnError: settings.stopKeyOnError,
    timeoutMs,
    // What was moved is gone with the worker.
    retries: settings.transferList === null ? options.retries : 0,
    spread: plan.spread,
    watched: signal !== null || timeoutMs > 0,
    transferList: settings.transferList,
    argument: (index) => {
      const shared = [plan.slice(index), params === undefined ? null : params, index];
      if (kind !== null) return [...shared, context, kind];
      // `undefined` has no JSON: most calls have no context.
      return context === undefined ? shared : [...shared, context];
    },
    succeeded(first, count, values, offset) {
      for (let i = 0; i < count; i++) settled(first + i, { value: values[offset + i] });
    },
    failed: (index, error, text) => settled(index, { error, text }),
    ended(first, end, ending, explainFate) {
      for (let index = first; index < end; index++) {
        const what = `sub-batch ${index}`;
        const error =
          ending === 'aborted' ? abortError(signal?.reason, what)
          : ending === 'timedOut' ? timeoutError(timeoutMs, what)
          : ending === 'skipped' ? skippedError(plan.keyOf(index))
          : (explainFate() ?? closedError(what));
        settled(index, { error, text: String(error) });
      }
    },
  });
  const cancel = () => pool.cancel(id);
  if (signal !== null) {
    if (signal.aborted) cancel();
    else stopListening = abort().onAbort(signal, cancel);
  }
  return { promise, cancel, whenQuiet: (limit) => pool.whenQuiet(id, limit) };
}

/**
 * @param {Outcome[]} outcomes @param {Plan} plan
 * @returns {RunResult}
 */
function gather(outcomes, plan) {
  /** @type {{ responses: unknown[], failures: string[] }} */
  const result = { responses: [], failures: [] };
  /** @type {Error[]} */
  const errors = [];
  for (const [index, outcome] of outcomes.entries()) {
    if ('error' in outcome) {
      result.failures.push(outcome.text);
      errors.push(annotated(outcome, index, plan.records(index)));
    } else {
      result.responses.push(outcome.value);
    }
  }
  // Not enumerable: whoever compares, prints or serialises the result sees what the ancestor's users saw.
  return Object.defineProperty(/** @type {RunResult} */ (result), 'errors', { value: errors });
}

/**
 * The error of a sub-batch, with what it is about.
 * @param {{ error: unknown, text: string }} outcome @param {number} batchIndex @param {number[]} records
 */
function annotated({ error, text }, batchIndex, records) {
  // Each sub-batch needs one of its own to write on.
  const own = error instanceof Error ? error : new Error(text, { cause: error });
  for (const [key, value] of Object.entries({ batchIndex, records })) {
    Object.defineProperty(own, key, { value, writable: true, configurable: true, enumerable: false });
  }
  return own;
}

/** While there are descriptors to open files with; a long-lived process may use them all up later. */
function loadRest() {
  for (const load of [abort, progress, split]) load();
}

module.exports = { Parallelizer, runEvent };
