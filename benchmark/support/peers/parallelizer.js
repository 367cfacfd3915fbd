'use strict';

/** This package: a `Pool`, and a `Parallelizer` whose sub-batches are the workers' parts of a list. */

/** What is required: the package in this repository, or a path. */
const PACKAGE = process.env.BENCHMARK_PACKAGE ?? '@parallelizer/node';

/** @typedef {import('./index.js').Task} Task */
/** @typedef {'child-process' | 'worker-threads'} Type */

class OwnPool {
  /**
   * @param {Task} task
   * @param {{ type: Type, spin?: false, chunksPerWorker?: number }} options `chunksPerWorker`: into how many chunks
   *   a worker's part of a list is cut; without it, this is left to the pool
   */
  constructor(task, { chunksPerWorker, ...options }) {
    this.task = { filePath: task.filePath, name: task.name };
    this.options = options;
    this.chunksPerWorker = chunksPerWorker;
    this.workers = 1;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { Pool } = require(PACKAGE);
    this.workers = workers;
    this.pool = new Pool({ processes: workers, ...this.options });
    await this.pool.ready();
  }

  /** @param {any} item @param {readonly object[]} [transferList] */
  call(item, transferList) {
    return transferList ? this.pool.apply(this.task, [item], { transferList }) : this.pool.apply(this.task, [item]);
  }

  /** @param {any[]} list */
  run(list) {
    if (this.chunksPerWorker === undefined) return this.pool.map(this.task, list);
    const chunkSize = Math.ceil(list.length / (this.workers * this.chunksPerWorker));
    return this.pool.map(this.task, list, { chunkSize });
  }

  async stop() {
    await this.pool.terminate();
  }
}

class OwnParallelizer {
  /**
   * @param {Task} task its function takes `{ batch }`
   * @param {{ type: Type }} options
   */
  constructor(task, options) {
    this.task = task;
    this.options = options;
    /** @type {any} */
    this.parallelizer = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { Parallelizer } = require(PACKAGE);
    const { filePath, name } = this.task;
    this.parallelizer = new Parallelizer({
      ...this.options, filePath, processBatchFunctionName: name, parallelization: workers,
    });
    await this.parallelizer.ready();
  }

  /** @param {any} item */
  async call(item) {
    return (await this.run([item]))[0];
  }

  /** @param {any[]} list */
  async run(list) {
    const { responses, errors } = await this.parallelizer.run(list);
    if (errors.length > 0) throw errors[0];
    return responses.flat();
  }

  async stop() {
    await this.parallelizer.terminate();
  }
}

module.exports = { OwnPool, OwnParallelizer };
