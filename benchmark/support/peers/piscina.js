'use strict';

/** https://github.com/piscinajs/piscina */

/** @typedef {import('./index.js').Task} Task */

class PiscinaPeer {
  /** @param {Task} task */
  constructor(task) {
    this.task = task;
    /** @type {any} */
    this.pool = undefined;
  }

  /** @param {number} workers */
  async start(workers) {
    const { Piscina } = require('piscina');
    const { filePath, name } = this.task;
    this.pool = new Piscina({ filename: filePath, name, minThreads: workers, maxThreads: workers });
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

module.exports = { PiscinaPeer };
