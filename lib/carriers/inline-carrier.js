'use strict';

/**
 * Runs calls in the calling process, without workers. Values still go through the codec, so that the function sees what
 * it would see in a worker, and cannot change what the caller passed.
 *
 * A call that runs here cannot be stopped: one that times out or is aborted goes on, and its result is dropped. The
 * worker that it was on is replaced, as a process would be.
 *
 * Must not depend on what a call is for.
 */

const Module = require('node:module');
const path = require('node:path');
const { flattenError } = require('../codec/error-flattener');
const { queueMicrotask, setImmediate } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const { PAGE_WORDS } = require('../transport/constants');
const { clones } = require('../transport/ports');
const { createMainLogger } = require('../worker/output');
const { MESSAGE_ROOM } = require('../worker/message-room');
const { Runner } = require('../worker/runner');
const { prepare } = require('../worker/serve');
const { Settling } = require('../worker/settling');
const { ScriptCarrier } = require('./script-carrier');

/** @typedef {import('../codec/parts').Parts} Parts */

/**
 * @typedef {object} InlineWorker
 * @property {InstanceType<typeof Runner> | null} runner `null` while the module is being loaded
 * @property {((runner: InstanceType<typeof Runner>) => void)[]} early what to do when there is one
 * @property {number} undelivered frames that are on their way to it
 * @property {number[]} revoked calls that were cancelled meanwhile, and may be in them
 * @property {Uint32Array} page
 * @property {[seq: number, size: number, workerIndex: number, parts: Parts][]} messages what its calls have emitted,
 *   and their caller was not told yet
 */

/** @extends {ScriptCarrier<InlineWorker>} */
class InlineCarrier extends ScriptCarrier {
  #init;
  #initParts;
  /** The loop is the caller's: it is empty only if nothing of his is left either. */
  #settling = new Settling((held) => this.pool.native.suspendHold(!held));

  /**
   * @param {import('./script-carrier').PoolSide} pool
   * @param {import('../worker/serve').Init} init
   * @param {() => Parts} initParts
   */
  constructor(pool, init, initParts) {
    super(pool);
    this.#init = init;
    this.#initParts = initParts;
  }

  /** @override @param {number} id @param {number} index */
  start(id, index) {
    /** @type {InlineWorker} */
    const worker = {
      runner: null, early: [], undelivered: 0, revoked: [], page: new Uint32Array(PAGE_WORDS), messages: [],
    };
    this.workers.set(id, worker);
    if (index >= 0) this.assign(id, worker);
    return null;
  }

  /** @override @param {number} id @param {InlineWorker} worker */
  assign(id, worker) {
    // Not inside the constructor of the caller's instance: the module may be the one that makes the instance.
    setImmediate(() => void this.#load(id, worker));
  }

  /** @param {number} id @param {InlineWorker} worker */
  async #load(id, worker) {
    const { filePath, serialization, concurrency } = this.#init;
    this.pool.tell({ event: 'started', worker: id });
    let callees;
    try {
      // Printed in the async context of the caller, as the output of workers is.
      /** @type {import('../worker/output').Print} */
      const print = (level, text, form, call) =>
        this.pool.message(this.pool.native.jobOf(id, call?.seq ?? 0), [toJson([level, text, form])]);
      /** @type {import('../worker/serve').MakeLogger} */
      const logger = (index, call) => createMainLogger(index, print, call);
      const loaders = {
        require: Module.createRequire(filePath ?? path.resolve('task.js')),
        Module,
        import: require('../package/import-module').importModule,
      };
      callees = await prepare(this.#init, this.#initParts(), clones, loaders, logger, this.#settling, 0);
    } catch (error) {
      if (this.workers.has(id)) this.loadFailed(id, toJson(flattenError(error)));
      return;
    }
    if (!this.workers.has(id)) return;
    const runner = (worker.runner = new Runner({
      port: {
        reply: (frame, offset, micros, parts) => {
          // A worker that was replaced has nobody to answer to.
          if (this.workers.get(id) !== worker) return;
          this.#tell(id, worker);
          this.replied(id, frame, offset, micros, parts);
        },
        sendMessage: (size, seq, workerIndex, message) => {
          // Not now: the listener must not run within the function.
          const count = worker.messages.push([seq, size, workerIndex, message]);
          if (count === 1) queueMicrotask(() => this.#tell(id, worker));
          return true;
        },
        messageRoom: MESSAGE_ROOM,
        publish: null,
        publishShort: null,
        told: () => {},
        isLocal: true,
        begun: null,
        poll: () => {},
        served: () => {},
      },
      // There is one process.
      workerIndex: 0,
      page: worker.page,
      serialization,
      clones,
      callees,
      concurrency,
    }));
    this.pool.native.workerReady(id);
    worker.early.splice(0).forEach((act) => act(runner));
  }

  /** Tells the callers what their calls have emitted. @param {number} id @param {InlineWorker} worker */
  #tell(id, worker) {
    for (let next = worker.messages.shift(); next !== undefined; next = worker.messages.shift()) {
      if (this.workers.get(id) === worker) this.emitted(id, next[0], next[1], next[2], next[3]);
    }
  }

  /** @override @param {number} _id @param {InlineWorker} worker @param {number} seq @param {number} taken */
  demand(_id, worker, seq, taken) {
    setImmediate(() => worker.runner?.demand(seq, taken));
  }

  /**
   * @override
   * @param {number} _id @param {InlineWorker} worker @param {number} frame @param {number} seq @param {Parts} parts
   */
  deliver(_id, worker, frame, seq, parts) {
    // Not now: user code is not entered from within the scheduler.
    worker.undelivered++;
    setImmediate(() => {
      worker.undelivered--;
      // Any of those that are still on their way may have them.
      const revoked = worker.undelivered > 0 ? worker.revoked.slice() : worker.revoked.splice(0);
      const calls = { id: frame, seq, parts, isPatient: false };
      const act = (/** @type {InstanceType<typeof Runner>} */ runner) => {
        // The runner forgets what it has been told of calls that it does not have.
        if (revoked.length > 0) runner.cancel(revoked);
        runner.enqueue(calls);
      };
      if (worker.runner === null) worker.early.push(act);
      else act(worker.runner);
    });
  }

  /** @override @param {number} _id @param {InlineWorker} worker @param {number[]} seqs */
  revoke(_id, worker, seqs) {
    const act = (/** @type {InstanceType<typeof Runner>} */ runner) => runner.cancel(seqs);
    if (worker.undelivered > 0) for (let i = 0; i < seqs.length; i++) worker.revoked.push(seqs[i]);
    // Ahead of the calls that it is about, so that they do not begin.
    if (worker.runner === null) worker.early.unshift(act);
    else act(worker.runner);
  }

  /** @override @param {number} _id @param {InlineWorker} worker */
  catchUp(_id, worker) {
    worker.runner?.flush();
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
