'use strict';

/** https://github.com/poolifier/poolifier */

const path = require('node:path');

/** @typedef {import('./index.js').Task} Task */

class PoolifierPeer {
  /**
   * @param {Task} task
   * @param {{ cluster: boolean, queue?: boolean }} options `queue`: whether a worker gets a task only when it is free
   */
  constructor(task, { cluster, queue = false }) {
    this.task = task;
    this.cluster = cluster;
    this.queue = queue;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { FixedClusterPool, FixedThreadPool } = require('poolifier');
    const Pool = this.cluster ? FixedClusterPool : FixedThreadPool;
    const script = path.join(__dirname, this.cluster ? 'poolifier-cluster-worker.js' : 'poolifier-thread-worker.js');
    const { filePath, name } = this.task;
    this.pool = new Pool(workers, script, {
      enableTasksQueue: this.queue,
      ...(this.cluster
        ? { env: { BENCHMARK_FILE: filePath, BENCHMARK_NAME: name } }
        : { workerOptions: { argv: [filePath, name] } }),
    });
    await this.run(Array(workers).fill(this.task.probe ?? 0));
  }

  /** @param {any} item */
  call(item) {
    return this.pool.execute(item);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.pool.execute(item)));
  }

  async stop() {
    await this.pool.destroy();
  }
}

module.exports = { PoolifierPeer };
