'use strict';

/** https://github.com/josdejong/workerpool */

const path = require('node:path');

/** @typedef {import('./index.js').Task} Task */

class WorkerpoolPeer {
  /**
   * @param {Task} task
   * @param {{ workerType: 'thread' | 'process' }} options
   */
  constructor(task, { workerType }) {
    this.task = task;
    this.workerType = workerType;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const workerpool = require('workerpool');
    const { filePath, name } = this.task;
    this.pool = workerpool.pool(path.join(__dirname, 'workerpool-worker.js'), {
      workerType: this.workerType,
      minWorkers: workers,
      maxWorkers: workers,
      forkArgs: [filePath, name],
      workerThreadOpts: { argv: [filePath, name] },
    });
    await this.run(Array(workers).fill(this.task.probe ?? 0));
  }

  /** @param {any} item */
  call(item) {
    return this.pool.exec('run', [item]);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.pool.exec('run', [item])));
  }

  async stop() {
    await this.pool.terminate(true);
  }
}

module.exports = { WorkerpoolPeer };
