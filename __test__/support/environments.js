'use strict';
// Several environments of one process, each a thread with its own pool (fixtures/environment-owner.js).

const { once } = require('node:events');
const { Worker } = require('node:worker_threads');

const { fixture, within } = require('./helpers');

class Environment {
  #waiting = new Map();
  #count = 0;

  constructor(t, kind, options) {
    this.thread = new Worker(fixture('environment-owner.js'), { workerData: { kind, options } });
    this.thread.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(Object.assign(new Error(error.text), { code: error.code }));
    });
    this.exited = once(this.thread, 'exit');
    this.exited.catch(() => {});
    t.after(() => this.thread.terminate());
  }

  /** Calls a function in the environment, sent as its source, with the environment's instance and this argument. */
  do(act, argument) {
    const id = this.#count++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.thread.postMessage({ id, source: String(act), argument });
    return within(answer, `an environment to ${act}`, 60_000);
  }

  /** The same, without a result. */
  tell(act, argument) {
    this.do(act, argument).catch(() => {});
  }

  close() {
    return this.do(async (instance) => {
      if (typeof instance.join !== 'function') return instance.close();
      instance.close();
      return instance.join();
    });
  }

  terminate() {
    return this.thread.terminate();
  }
}

/** This many environments with the same pool. */
const environments = (t, count, kind, options) =>
  Array.from({ length: count }, () => new Environment(t, kind, { shared: true, ...options }));

module.exports = { environments };
