'use strict';

/**
 * Workers that are none: the calls run in the calling process. Values still go through the codec, so that what a worker
 * function sees is what it would see in a worker, and what the caller passed is not changed by it.
 *
 * A call cannot be taken from a function that runs here: one that times out or is aborted goes on, and what it returns is
 * dropped; the worker that it was on is replaced, as a process would be.
 */

const { createRequire } = require('node:module');
const path = require('node:path');
const { flattenError } = require('../codec/error-codec');
const { PAGE_WORDS } = require('../transport/constants');
const { clones } = require('../transport/ports');
const { ScriptCarrier } = require('./script-carrier');
const { createMainLogger } = require('../worker/output');
const { Runner } = require('../worker/runner');
const { prepare } = require('../worker/serve');

/**
 * @typedef {object} Inline
 * @property {InstanceType<typeof Runner> | null} runner
 * @property {((runner: InstanceType<typeof Runner>) => void)[]} early what came before it was there
 * @property {Uint32Array} page
 */

/** @extends {ScriptCarrier<Inline>} */
class InlineCarrier extends ScriptCarrier {
  #init;
  #initParts;

  /**
   * @param {import('./script-carrier').PoolSide} pool
   * @param {import('../worker/serve').Init} init
   * @param {() => import('../codec/codec').Parts} initParts
   */
  constructor(pool, init, initParts) {
    super(pool);
    this.#init = init;
    this.#initParts = initParts;
  }

  /** @override @param {number} id */
  start(id) {
    /** @type {Inline} */
    const worker = { runner: null, early: [], page: new Uint32Array(PAGE_WORDS) };
    this.workers.set(id, worker);
    // Not within the constructor of the caller's instance: the module may be the one that makes it.
    setImmediate(() => void this.#load(id, worker));
    return null;
  }

  /** @param {number} id @param {Inline} worker */
  async #load(id, worker) {
    const { filePath, serialization, concurrency } = this.#init;
    let callees;
    try {
      const nodeRequire = createRequire(filePath ?? path.resolve('task.js'));
      // Printed in the async context of the caller, as what comes from a worker is.
      const logger = (/** @type {any} */ args, /** @type {{ readonly seq: number }} */ call) =>
        createMainLogger(args[2], (...message) =>
          this.pool.output(this.pool.native.jobOf(id, call.seq), [JSON.stringify(message)]),
        );
      const load = (/** @type {string} */ url) => import(url);
      callees = await prepare(this.#init, this.#initParts(), clones, nodeRequire, load, logger);
    } catch (error) {
      if (this.workers.has(id)) this.loadFailed(id, JSON.stringify(flattenError(error)));
      return;
    }
    if (!this.workers.has(id)) return;
    worker.runner = new Runner({
      port: {
        reply: (frame, offset, micros, parts) => {
          // One that was replaced has nobody to answer to.
          if (this.workers.get(id) === worker) this.replied(id, frame, offset, micros, parts);
        },
        begun: () => {},
        poll: () => {},
        served: () => {},
      },
      page: worker.page,
      serialization,
      clones,
      callees,
      concurrency,
    });
    this.pool.native.workerReady(id);
    for (const act of worker.early.splice(0)) act(worker.runner);
  }

  /** @override @param {number} _id @param {Inline} worker @param {number} frame @param {number} seq @param {import('../codec/codec').Parts} parts */
  deliver(_id, worker, frame, seq, parts) {
    // User code is not entered from within the scheduler.
    setImmediate(() => {
      const act = (/** @type {InstanceType<typeof Runner>} */ runner) => runner.enqueue({ id: frame, seq, parts });
      if (worker.runner === null) worker.early.push(act);
      else act(worker.runner);
    });
  }

  /** @override @param {number} _id @param {Inline} worker @param {number[]} seqs */
  revoke(_id, worker, seqs) {
    const act = (/** @type {InstanceType<typeof Runner>} */ runner) => runner.cancel(seqs);
    // Before the calls that it is about, which must not begin then.
    if (worker.runner === null) worker.early.unshift(act);
    else act(worker.runner);
  }

  /** @override @param {number} id */
  stop(id) {
    this.kill(id);
  }

  /** @override @param {number} id */
  kill(id) {
    setImmediate(() => {
      if (this.workers.has(id)) this.gone(id, { exitCode: null, signal: null, stderr: '' });
    });
  }
}

module.exports = { InlineCarrier };
