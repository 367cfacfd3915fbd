'use strict';

/**
 * Who watches what happens in pools: listeners of an instance, subscribers of the channels of
 * `node:diagnostics_channel`, a timeline.
 *
 * Everything here is eagerly loaded and does next to nothing while nobody watches; what they are told is made by
 * pool-life.js, run-tracing.js, call-tracing.js and timeline.js, which are loaded once there is somebody. Must not
 * depend on what happens.
 */

const { EventEmitter } = require('node:events');
const { now } = require('../intrinsics/clock');

const life = () => require('./pool-life');

/** @typedef {InstanceType<typeof import('./worker-pool').WorkerPool>} WorkerPool */
/** @typedef {InstanceType<typeof import('./pool-life').PoolLife>} PoolLife */
/** @typedef {import('node:diagnostics_channel').Channel} Channel */

/**
 * The channels of what takes some time. (Not made by `tracingChannel`, which asks a list for its iterator.)
 * @typedef {object} Tracing
 * @property {Channel} start
 * @property {Channel} end
 * @property {Channel} asyncStart
 * @property {Channel} asyncEnd
 * @property {Channel} error
 */

/**
 * The channels that somebody may have subscribed to.
 * @typedef {object} Channels
 * @property {Tracing} run
 * @property {Tracing} call
 * @property {Channel} worker
 */

/** As many events are kept for who watches from later on: those of the first workers. */
const MAX_EARLY = 64;

/** Why there is no trace, in messages. */
const NO_TIMELINE = 'needs a timeline: give the constructor the option { trace: true }';

/** @type {Channels | null} */
let opened = null;

/**
 * The channels; null while nobody can have subscribed to any. Where Node has not loaded the module by itself, to load
 * it would be felt in a cold start.
 * @returns {Channels | null}
 */
function channels() {
  return opened ?? (isModuleLoaded() ? openChannels() : null);
}

/** @returns {Channels} */
function openChannels() {
  if (opened === null) {
    const { channel } = require('node:diagnostics_channel');
    const tracing = (/** @type {string} */ name) => ({
      start: channel(`tracing:parallelizer:${name}:start`),
      end: channel(`tracing:parallelizer:${name}:end`),
      asyncStart: channel(`tracing:parallelizer:${name}:asyncStart`),
      asyncEnd: channel(`tracing:parallelizer:${name}:asyncEnd`),
      error: channel(`tracing:parallelizer:${name}:error`),
    });
    opened = { run: tracing('run'), call: tracing('call'), worker: channel('parallelizer:worker') };
  }
  return opened;
}

function isModuleLoaded() {
  const { moduleLoadList: list } = /** @type {any} */ (process);
  return !Array.isArray(list) || list.includes('NativeModule diagnostics_channel');
}

/** Whether somebody has subscribed to any of these. @param {Tracing} tracing */
function isWatched({ start, end, asyncStart, asyncEnd, error }) {
  return (
    start.hasSubscribers || asyncEnd.hasSubscribers || error.hasSubscribers || end.hasSubscribers ||
    asyncStart.hasSubscribers
  );
}

/** The channel of runs, if somebody has subscribed to it. */
function watchedRuns() {
  const found = opened ?? channels();
  return found !== null && isWatched(found.run) ? found.run : null;
}

/** The channel of calls, if somebody has subscribed to it. */
function watchedCalls() {
  const found = opened ?? channels();
  return found !== null && isWatched(found.call) ? found.call : null;
}

/** @type {(instance: Instance, pools: readonly WorkerPool[]) => void} Has an instance emit the events of its pools. */
let emitFrom;

/** What `Pool` and `Parallelizer` have in common: they are emitters of what happens to their workers and queues. */
class Instance extends EventEmitter {
  /** @type {readonly WorkerPool[]} */
  #pools = [];

  constructor() {
    super();
  }

  static {
    emitFrom = (instance, pools) => {
      instance.#pools = pools;
      // What a pool owns must not refer to its instance, which could then never be collected.
      const reference = new WeakRef(instance);
      pools.forEach((pool) => pool.observer.emitTo(reference));
    };
  }

  /** @override @param {string | symbol} name @param {(...args: any[]) => void} listener */
  on(name, listener) {
    return this.addListener(name, listener);
  }

  /** @override @param {string | symbol} name @param {(...args: any[]) => void} listener */
  addListener(name, listener) {
    super.addListener(name, listener);
    this.#pools.forEach((pool) => pool.observer.listenedTo(name));
    return this;
  }

  /** @override @param {string | symbol} name @param {(...args: any[]) => void} listener */
  prependListener(name, listener) {
    super.prependListener(name, listener);
    this.#pools.forEach((pool) => pool.observer.listenedTo(name));
    return this;
  }
}

/** What happens to the workers and to the queue of one pool. */
class PoolObserver {
  #owner;
  /** @type {WeakRef<Instance> | null} */
  #emitter = null;
  #hasListeners = false;
  /** @type {PoolLife | null} */
  #life = null;
  /** @type {[event: any, at: number][]} What happened before there was a life. */
  #early = [];

  /** @param {import('./pool-life').PoolSide} owner */
  constructor(owner) {
    this.#owner = owner;
  }

  /** What the pool is known by. */
  get about() {
    const { id, type } = this.#owner;
    return { id, type };
  }

  /** @param {WeakRef<Instance>} emitter */
  emitTo(emitter) {
    this.#emitter = emitter;
  }

  /** Somebody listens to an event. @param {string | symbol} name */
  listenedTo(name) {
    if (!life().EVENTS.includes(String(name))) return;
    this.#hasListeners = true;
    this.life.listenedTo(String(name));
  }

  /** What is known of the workers. Made once somebody asks. */
  get life() {
    if (this.#life === null) {
      this.#life = new (life().PoolLife)(this.#owner, (name, payload) => this.#emit(name, payload));
      // Whoever comes now has missed these; what they say of the workers counts.
      const made = this.#life;
      this.#early.splice(0).forEach(({ 0: event, 1: at }) => made.remember(event, at));
    }
    return this.#life;
  }

  /** Something has happened. @param {{ event: string, [field: string]: any }} event */
  tell(event) {
    const isWatched = this.#hasListeners || this.#owner.timeline !== null || channels()?.worker.hasSubscribers === true;
    if (isWatched || this.#life !== null || this.#early.length === MAX_EARLY) this.life.tell(event, now());
    else this.#early.push([event, now()]);
  }

  /** A job was refused because so many calls wait. @param {number} waiting */
  refused(waiting) {
    if (this.#hasListeners) this.life.refused(waiting);
  }

  /** @param {string} name @param {object} payload */
  #emit(name, payload) {
    const channel = life().OF_WORKERS.includes(name) ? channels()?.worker : undefined;
    if (channel?.hasSubscribers) channel.publish({ event: name, ...payload });
    const emitter = this.#emitter?.deref();
    if (emitter !== undefined && emitter.listenerCount(name) > 0) {
      require('./report').report(() => void emitter.emit(name, payload));
    }
  }
}

module.exports = {
  Instance, NO_TIMELINE, PoolObserver, channels, emitFrom, isWatched, openChannels, watchedCalls, watchedRuns,
};
