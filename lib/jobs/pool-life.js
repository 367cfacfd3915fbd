'use strict';

/**
 * What happens to the workers and to the queue of a pool, as listeners and subscribers are told.
 *
 * They are told between two callbacks of the native side and not within one: they may do with the pool what they like.
 * Must not depend on how the pool comes to know of it.
 */

const { nextTick } = require('../intrinsics/clock');
const { fromJson } = require('../intrinsics/json');
const { PARALLELIZER_THREADS } = require('../options/options');

/** The events of an instance: those of its workers, which have a channel as well, and those of its queue. */
const OF_WORKERS = ['workerStart', 'workerReady', 'workerExit', 'restart'];
const EVENTS = OF_WORKERS.concat('saturated', 'drain');
/** The ids of pools that have none of the user's. */
const UNNAMED = ['pool', 'single-process'];

/**
 * What a worker is known by.
 * @typedef {object} Worker
 * @property {number | null} workerIndex null while it waits for that of the worker that it replaces
 * @property {number | null} pid
 * @property {number | null} threadId
 * @property {number} startedAt
 * @property {boolean} isStarted whether it runs
 * @property {boolean} isTold whether its start has been told
 */

/**
 * What a life needs of its pool.
 * @typedef {object} PoolSide
 * @property {string | number} id
 * @property {string} type
 * @property {number | null} maxQueue
 * @property {InstanceType<typeof import('./timeline').Timeline> | null} timeline
 * @property {() => void} watchQueue has the native side tell of the queue
 * @property {() => string} stats as JSON
 */

class PoolLife {
  #pool;
  #emit;
  /** @type {Map<number, Worker>} By number: those that are there. */
  #workers = new Map();
  /** @type {[name: string, payload: object][]} What has not been told yet. */
  #untold = [];
  /** Whether calls wait, as far as listeners know. */
  #isWaiting = false;
  #isSaturated = false;

  /** @param {PoolSide} pool @param {(name: string, payload: object) => void} emit */
  constructor(pool, emit) {
    this.#pool = pool;
    this.#emit = emit;
  }

  /** @param {string} name of an event */
  listenedTo(name) {
    if (name === 'saturated' || name === 'drain') this.#pool.watchQueue();
  }

  /** @param {number} number @returns {Worker | undefined} */
  worker(number) {
    return this.#workers.get(number);
  }

  /**
   * Notes what an event says, and tells nobody.
   * @param {any} event @param {number} at
   */
  remember(event, at) {
    this.tell(event, at);
    this.#untold.length = 0;
  }

  /**
   * @param {{ event: string, [field: string]: any }} event as the native side, or a carrier, tells it
   * @param {number} at
   */
  tell(event, at) {
    if (event.event === 'queue') {
      this.#queueChanged(event.waiting, event.isFull);
      return;
    }
    const worker = this.#workerOf(event, at);
    switch (event.event) {
      case 'named':
        worker.threadId = event.threadId;
        break;
      case 'spawned':
      case 'started':
        worker.isStarted = true;
        if (worker.workerIndex !== null) this.#started(worker);
        break;
      case 'adopted':
        worker.isTold = true;
        break;
      case 'ready':
        this.#started(worker);
        this.#say('workerReady', { ...this.#named(worker), uptime: at - worker.startedAt });
        this.#pool.timeline?.booted(event.worker, worker, at);
        break;
      case 'recall':
        this.#pool.timeline?.recalled(event.worker, worker, event.calls, at);
        break;
      case 'handedBack':
        this.#workers.delete(event.worker);
        break;
      case 'gone':
        this.#gone(event, worker, at);
        break;
      default:
        break;
    }
  }

  /** @param {any} event @param {number} at */
  #workerOf({ worker: number, workerIndex, pid }, at) {
    let worker = this.#workers.get(number);
    if (worker === undefined) {
      const unknown = { pid: null, threadId: null, isStarted: false, isTold: false };
      // The engine says null where a worker waits for the index of another, and nothing where it keeps none.
      const index = workerIndex === undefined ? this.#freeIndex() : workerIndex;
      this.#workers.set(number, (worker = { ...unknown, workerIndex: index, startedAt: at }));
    }
    if (workerIndex !== undefined && typeof worker.workerIndex !== 'number') worker.workerIndex = workerIndex;
    worker.pid = pid ?? worker.pid;
    return worker;
  }

  /** The lowest index that no worker has. */
  #freeIndex() {
    const taken = new Set();
    this.#workers.forEach(({ workerIndex }) => taken.add(workerIndex));
    let index = 0;
    while (taken.has(index)) index++;
    return index;
  }

  /** @param {Worker} worker */
  #started(worker) {
    if (worker.isTold) return;
    worker.isTold = true;
    this.#say('workerStart', this.#named(worker));
  }

  /** @param {any} event @param {Worker} worker @param {number} at */
  #gone({ worker: number, reason, exitCode, signal, calls, isRestart }, worker, at) {
    this.#workers.delete(number);
    if (worker.isStarted) this.#started(worker);
    const named = this.#named(worker);
    const how = { reason, exitCode: exitCode ?? null, signal: signal ?? null };
    const exit = { ...named, ...how, calls, uptime: at - worker.startedAt };
    this.#say('workerExit', exit);
    this.#pool.timeline?.ended(number, worker, exit, at);
    if (isRestart) this.#say('restart', { ...named, reason, restarts: fromJson(this.#pool.stats()).restarts });
  }

  /** @param {Worker} worker */
  #named({ workerIndex, pid, threadId }) {
    const { id, type } = this.#pool;
    return {
      ...(UNNAMED.includes(String(id)) ? {} : { id }),
      workerIndex,
      ...(type === PARALLELIZER_THREADS ? { threadId } : { pid }),
    };
  }

  // ---- The queue --------------------------------------------------------------------------------------------------

  /** @param {number} waiting */
  refused(waiting) {
    this.#saturated(waiting);
    // Or it would not say so if nothing waits any more.
    this.#pool.watchQueue();
  }

  /** @param {number} waiting @param {boolean} isFull */
  #queueChanged(waiting, isFull) {
    this.#isWaiting ||= waiting > 0;
    if (isFull) {
      this.#saturated(waiting);
    } else if (waiting === 0 && (this.#isWaiting || this.#isSaturated)) {
      this.#isWaiting = false;
      this.#isSaturated = false;
      this.#say('drain', { ...this.#ofPool(), waiting });
    }
  }

  /** @param {number} waiting */
  #saturated(waiting) {
    if (this.#isSaturated) return;
    this.#isSaturated = true;
    this.#say('saturated', { ...this.#ofPool(), waiting, maxQueue: this.#pool.maxQueue });
  }

  #ofPool() {
    const { id } = this.#pool;
    return UNNAMED.includes(String(id)) ? {} : { id };
  }

  // ---- Telling ----------------------------------------------------------------------------------------------------

  /** @param {string} name @param {object} payload */
  #say(name, payload) {
    if (this.#untold.push([name, payload]) > 1) return;
    nextTick(() => {
      this.#untold.splice(0).forEach(({ 0: event, 1: about }) => this.#emit(event, about));
    });
  }
}

module.exports = { EVENTS, OF_WORKERS, PoolLife };
