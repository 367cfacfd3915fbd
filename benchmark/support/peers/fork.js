'use strict';

/** A hand-written pool on `child_process.fork`: one message per call and one per answer. */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { Dispatcher } = require('./dispatch.js');

/** @typedef {import('./index.js').Task} Task */

class Fork {
  /**
   * @param {Task} task
   * @param {{ depth?: number, serialization?: 'json' | 'advanced' }} [options]
   */
  constructor(task, { depth, serialization = 'json' } = {}) {
    this.task = task;
    this.depth = depth;
    this.serialization = serialization;
    /** @type {import('node:child_process').ChildProcess[]} */
    this.children = [];
    this.dispatcher = new Dispatcher([]);
  }

  /** @param {number} workers */
  async start(workers) {
    const { filePath, name } = this.task;
    const { serialization } = this;
    this.children = Array.from(
      { length: workers },
      () => fork(path.join(__dirname, 'fork-worker.js'), [filePath, name], { serialization }),
    );
    this.dispatcher = new Dispatcher(this.children.map((child) => (message) => child.send(message)), this.depth);
    await Promise.all(this.children.map((child) => once(child, 'message')));
    for (const [worker, child] of this.children.entries()) {
      child.on('message', (/** @type {any} */ answer) => this.dispatcher.settle(worker, answer));
      child.on('exit', (code, signal) => this.dispatcher.fail(new Error(`a child ended with ${signal ?? code}`)));
    }
  }

  /** @param {any} item */
  call(item) {
    return this.dispatcher.call(item);
  }

  /** @param {any[]} list */
  run(list) {
    return Promise.all(list.map((item) => this.dispatcher.call(item)));
  }

  async stop() {
    await Promise.all(this.children.map((child) => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      return exit;
    }));
  }
}

module.exports = { Fork };
