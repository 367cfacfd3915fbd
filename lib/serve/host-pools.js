'use strict';

/**
 * The pools of a host: one for each module, or for each initializer, that its chunks ask for. The one that was used
 * longest ago goes first, once it has nothing to do.
 *
 * Must not depend on chunks, nor on what brings them.
 */

const { createHash } = require('node:crypto');
const { decodeValues } = require('../codec/codec');
const { valuesOf } = require('../codec/parts');
const { optionError } = require('../errors');
const { toJson } = require('../intrinsics/json');
const { ReadTask } = require('../jobs/task-registry');
const { WorkerPool } = require('../jobs/worker-pool');
const { pathBelowRoot } = require('../remote/rooted-paths');
const { CODEC_FIELD, PART_FIELDS, VALUE_FIELD } = require('../transport/constants');
const { StreamPlaces } = require('./stream-places');

/** @typedef {import('../remote/chunk-bytes').Definition} Definition */
/** @typedef {import('../remote/chunk-bytes').PoolKey} PoolKey */
/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * @typedef {object} HostPool
 * @property {InstanceType<typeof WorkerPool>} pool
 * @property {number} chunks that it is at work on
 * @property {InstanceType<typeof StreamPlaces>} places
 * @property {number} concurrency
 * @property {import('../codec/codec').Serialization} serialization
 */

class HostPools {
  #options;
  /** @type {Map<string, HostPool>} In the order of their last use. */
  #pools = new Map();
  /** @type {Set<InstanceType<typeof WorkerPool>>} Those that are being closed. */
  #closing = new Set();

  /** @param {Readonly<import('./serve-options').HostOptions>} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * The pool for a chunk, which is to be given back. Throws where its module, or its initializer, is not to be run.
   * @param {PoolKey} wanted @param {Buffer} init stands for the arguments of the initializer @param {() => Parts} parts
   * @returns {HostPool}
   */
  take(wanted, init, parts) {
    const key = createHash('sha256').update(toJson(wanted)).update('\0').update(init).digest('base64');
    const entry = this.#pools.get(key) ?? this.#make(wanted, parts);
    this.#pools.delete(key);
    this.#pools.set(key, entry);
    entry.chunks++;
    this.#closeUnused();
    return entry;
  }

  /** @param {HostPool} entry */
  giveBack(entry) {
    entry.chunks--;
    this.#closeUnused();
  }

  /**
   * A task of a chunk, as the pools take it. Throws where it is not to be run.
   * @param {Definition} definition
   */
  task(definition) {
    if ('source' in definition) {
      if (!this.#options.allowFunctions) {
        throw optionError('task', undefined, 'cannot be a function by its source: this host has no "allowFunctions"');
      }
      return new ReadTask({ source: String(definition.source) });
    }
    const filePath = pathBelowRoot(this.#options.root, definition.filePath);
    return new ReadTask({ filePath, name: String(definition.name) });
  }

  /** @param {PoolKey} wanted @param {() => Parts} parts @returns {HostPool} */
  #make(wanted, parts) {
    const { filePath, functionName, initializer, serialization, concurrency, gracePeriod, maxCallsPerWorker } = wanted;
    const pool = new WorkerPool({
      ...this.#options.workers,
      id: 'host',
      filePath: filePath === null ? null : pathBelowRoot(this.#options.root, filePath),
      functionName: functionName === null ? null : String(functionName),
      initializer: initializer === null ? null : this.task(initializer),
      initArgs: initializer === null ? [] : argumentsIn(parts()),
      serialization,
      concurrency,
      gracePeriod,
      maxCallsPerWorker,
      // What is run again is for the producer to say, and limits are those of its calls.
      retries: 0,
      timeout: 0,
      maxQueue: null,
    });
    const places = new StreamPlaces(this.#options.slots * concurrency);
    return { pool, chunks: 0, places, concurrency, serialization };
  }

  #closeUnused() {
    for (const [key, { pool, chunks }] of this.#pools) {
      if (this.#pools.size <= this.#options.maxPools) return;
      if (chunks > 0) continue;
      this.#pools.delete(key);
      this.#closing.add(pool);
      pool.close().catch(() => {}).finally(() => this.#closing.delete(pool));
    }
  }

  /** @returns {{ streams: number, pools: import('../../index').Stats[] }} */
  stats() {
    const entries = [...this.#pools.values()];
    const streams = entries.reduce((sum, { places }) => sum + places.open, 0);
    return { streams, pools: entries.map(({ pool }) => pool.stats()) };
  }

  /** The processes that run the user's code. @returns {number[]} */
  pids() {
    const pools = [...this.#pools.values()].map(({ pool }) => pool).concat(...this.#closing);
    return pools.flatMap((pool) => pool.stats().workers.map(({ pid }) => pid)).filter((pid) => pid !== null);
  }

  /** Stops the workers, which have nothing left to do. */
  async close() {
    const pools = [...this.#pools.values()].map(({ pool }) => pool);
    this.#pools.clear();
    await Promise.all(pools.concat(...this.#closing).map((pool) => pool.close().catch(() => {})));
  }

  /** Kills them. @returns {Promise<void>} */
  async terminate() {
    const pools = [...this.#pools.values()].map(({ pool }) => pool);
    this.#pools.clear();
    await Promise.all(pools.concat(...this.#closing).map((pool) => pool.terminate().catch(() => {})));
  }
}

/** @param {Parts} parts @returns {unknown[]} */
function argumentsIn(parts) {
  const extras = valuesOf(parts.slice(PART_FIELDS));
  const codec = /** @type {number} */ (parts[CODEC_FIELD]);
  const values = decodeValues(codec, /** @type {string} */ (parts[VALUE_FIELD]), 1, extras, null);
  return Array.isArray(values[0]) ? values[0] : [];
}

module.exports = { HostPools };
