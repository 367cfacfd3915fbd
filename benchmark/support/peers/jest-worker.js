'use strict';

/** https://github.com/jestjs/jest/tree/main/packages/jest-worker */

/** @typedef {import('./index.js').Task} Task */

class JestWorkerPeer {
  /**
   * @param {Task} task
   * @param {{ threads: boolean }} options
   */
  constructor(task, { threads }) {
    this.task = task;
    this.threads = threads;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { Worker } = require('jest-worker');
    const { filePath, name } = this.task;
    this.pool = new Worker(filePath, {
      numWorkers: workers, enableWorkerThreads: this.threads, exposedMethods: [name],
    });
    this.function = /** @type {any} */ (this.pool)[name];
    await this.run(Array(workers).fill(this.task.probe ?? 0));
  }

  /** @param {any} item */
  call(item) {
    return this.function(item);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.function(item)));
  }

  async stop() {
    await this.pool.end();
  }
}

module.exports = { JestWorkerPeer };
