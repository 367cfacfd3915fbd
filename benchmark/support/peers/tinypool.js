'use strict';

/** https://github.com/tinylibs/tinypool */

/** @typedef {import('./index.js').Task} Task */

class TinypoolPeer {
  /**
   * @param {Task} task
   * @param {{ runtime: 'worker_threads' | 'child_process', serialization?: 'advanced' }} options
   */
  constructor(task, options) {
    this.task = task;
    this.options = options;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { default: Tinypool } = await import('tinypool');
    const { filePath, name } = this.task;
    this.pool = new Tinypool({
      filename: filePath, name, minThreads: workers, maxThreads: workers, ...this.options,
    });
    await this.run(Array(workers).fill(this.task.probe ?? 0));
  }

  /** @param {any} item */
  call(item) {
    return this.pool.run(item);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.pool.run(item)));
  }

  async stop() {
    await this.pool.destroy();
  }
}

module.exports = { TinypoolPeer };
