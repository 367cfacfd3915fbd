'use strict';

/** A hand-written pool on `worker_threads`: one message per call and one per answer. */

const { once } = require('node:events');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { Dispatcher } = require('./dispatch.js');

/** @typedef {import('./index.js').Task} Task */

class Threads {
  /**
   * @param {Task} task
   * @param {{ depth?: number, transfer?: boolean }} [options] `transfer`: items and results are buffers, and are moved
   */
  constructor(task, { depth, transfer = false } = {}) {
    this.task = task;
    this.depth = depth;
    this.transfer = transfer;
    /** @type {Worker[]} */
    this.workers = [];
    this.dispatcher = new Dispatcher([]);
  }

  /** @param {number} workers */
  async start(workers) {
    const workerData = { ...this.task, transfer: this.transfer };
    this.workers = Array.from(
      { length: workers },
      () => new Worker(path.join(__dirname, 'threads-worker.js'), { workerData }),
    );
    this.dispatcher = new Dispatcher(
      this.workers.map((worker) => (message, list) => worker.postMessage(message, list)),
      this.depth,
    );
    await Promise.all(this.workers.map((worker) => once(worker, 'message')));
    for (const [index, worker] of this.workers.entries()) {
      worker.on('message', (answer) => this.dispatcher.settle(index, answer));
      worker.on('error', (error) => this.dispatcher.fail(error));
    }
  }

  /** @param {any} item */
  call(item) {
    return this.dispatcher.call(item, this.transfer ? [item.buffer] : undefined);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.call(item)));
  }

  async stop() {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

module.exports = { Threads };
