'use strict';

/** No pool: `Promise.all` in this thread. */

/** @typedef {import('./index.js').Task} Task */

class Inline {
  /** @param {Task} task */
  constructor(task) {
    this.task = task;
  }

  async start() {
    this.function = require(this.task.filePath)[this.task.name];
  }

  /** @param {any} item */
  async call(item) {
    return this.function(item);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map(this.function));
  }

  async stop() {}
}

module.exports = { Inline };
