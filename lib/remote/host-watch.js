'use strict';

/**
 * The hosts that a producer sees, and how long it has seen none.
 *
 * Only running time counts: of a process that was frozen, one step of the clock at most.
 *
 * Must not depend on chunks, lanes or workers.
 */

const { clearTimeout, now, setTimeout } = require('../intrinsics/clock');
const { FORMAT } = require('./chunk-bytes');

/** How many steps the time without a host is counted in. */
const STEPS = 20;
/** A host that is announced as larger is not believed. */
const MAX_SLOTS = 4096;
/** Chunks that a host has in flight for each slot: one that runs, and one that is on its way. */
const LANES_PER_SLOT = 2;

/** @typedef {import('./engine').HostSeen} HostSeen */

class HostWatch {
  #timeout;
  #onTimeout;
  /** @type {readonly HostSeen[]} That speak our version. */
  #hosts = [];
  /** @type {Map<string, number>} By id, how many lanes hosts have, and had before they began to drain. */
  #lanesOf = new Map();
  /** @type {number | null} The version of hosts that do not. */
  #otherFormat = null;
  /** @type {Set<string>} */
  #everSeen = new Set();
  #lastSeen = 0;
  #problem = /** @type {string | null} */ (null);
  #waited = 0;
  #lastLook = 0;
  /** @type {NodeJS.Timeout | null} */
  #timer = null;

  /** @param {number} timeout @param {() => void} onTimeout no host was there for so long */
  constructor(timeout, onTimeout) {
    this.#timeout = timeout;
    this.#onTimeout = onTimeout;
  }

  /** @param {readonly HostSeen[]} list all that there are now */
  update(list) {
    const [ours, others] = [true, false].map((isOurs) =>
      list.filter(({ format = FORMAT.major }) => (format === FORMAT.major) === isOurs));
    if (this.#hosts.length > 0) this.#lastSeen = now();
    // The order in which broadcasts answer.
    const compare = (/** @type {string} */ one, /** @type {string} */ other) =>
      (one < other ? -1 : one > other ? 1 : 0);
    this.#hosts = [...ours].sort((one, other) => compare(one.name, other.name) || compare(one.id, other.id));
    this.#lanesOf = new Map(ours.map((host) => [host.id, lanesOf(host) || (this.#lanesOf.get(host.id) ?? 0)]));
    this.#otherFormat = others[0]?.format ?? null;
    ours.forEach(({ id }) => this.#everSeen.add(id));
    if (ours.length > 0) {
      this.#lastSeen = now();
      this.#problem = null;
    }
    if (this.slots > 0) this.#stop();
  }

  /** @param {Error} error something is wrong with the connection */
  failed(error) {
    this.#problem = error.message;
  }

  get hosts() {
    return this.#hosts;
  }

  get slots() {
    return this.#hosts.reduce((sum, { slots }) => sum + bounded(slots), 0);
  }

  /** The processes of all hosts, in order. @returns {import('../jobs/job-table').Place[]} */
  get places() {
    return this.#hosts.flatMap(({ id, name, slots }) => Array.from({ length: bounded(slots) }, (_, workerIndex) =>
      ({ hostId: id, hostName: name, workerIndex })));
  }

  /** Whether a host takes calls. @param {string} id */
  takes(id) {
    return this.#hosts.some((host) => host.id === id && bounded(host.slots) > 0);
  }

  get lanes() {
    return this.#hosts.reduce((sum, host) => sum + lanesOf(host), 0);
  }

  /** Whether each host takes more chunks than it has lanes where these have few calls. */
  get areLanesShared() {
    return this.#hosts.every(({ sharesLanes = false }) => sharesLanes);
  }

  /** The names of the hosts that drain. */
  get drainingNames() {
    return new Set(this.#hosts.filter(({ slots }) => bounded(slots) === 0).map(({ name }) => name));
  }

  /** Whether there is a host that drains: it finishes what it has. */
  get isAnyDraining() {
    return this.#hosts.some(({ slots }) => bounded(slots) === 0);
  }

  /**
   * How many chunks in flight are at hosts that drain. A host that shares its name with others has no more of them than
   * it had lanes.
   * @param {readonly (string | null)[]} names of the hosts that have the chunks in flight
   */
  draining(names) {
    return this.#hosts.filter(({ slots }) => bounded(slots) === 0).reduce((sum, { id, name }) =>
      sum + Math.min(this.#lanesOf.get(id) ?? 0, names.filter((other) => other === name).length), 0);
  }

  get problem() {
    return this.#problem;
  }

  /** Somebody waits for a host from now on, unless one is there. */
  start() {
    if (this.#timer !== null || this.slots > 0) return;
    this.#waited = 0;
    this.#lastLook = now();
    this.#wait(Math.max(1, this.#timeout / STEPS));
  }

  /** @param {number} step */
  #wait(step) {
    this.#timer = setTimeout(() => this.#look(step), step);
    // Whoever waits has the loop held.
    this.#timer.unref();
  }

  /** @param {number} step */
  #look(step) {
    const time = now();
    this.#waited += Math.min(time - this.#lastLook, 2 * step);
    this.#lastLook = time;
    if (this.#waited < this.#timeout) {
      this.#wait(step);
      return;
    }
    this.#stop();
    this.#onTimeout();
  }

  #stop() {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  close() {
    this.#stop();
  }

  /** What is to be said of it where no host was there in time. @param {string} engine */
  absence(engine) {
    const seen = this.#everSeen.size;
    return {
      waited: this.#timeout,
      engine,
      seen,
      lastSeen: seen === 0 ? null : Math.round(now() - this.#lastSeen),
      others: this.#otherFormat === null ? null : { major: this.#otherFormat, minor: 0 },
      ours: FORMAT,
      problem: this.#problem,
    };
  }
}

/** @param {HostSeen} host */
function lanesOf({ slots, lanes }) {
  return bounded(lanes ?? LANES_PER_SLOT * slots);
}

/**
 * How much of a lane a chunk takes: a process runs `concurrency` calls at once, and what has fewer left leaves room.
 * @param {number} left its calls without an answer @param {number} concurrency
 */
function lanesTaken(left, concurrency) {
  return Math.min(1, Math.max(1, left) / concurrency);
}

/**
 * How many chunks there may be at once: those that there are, and as many as there is room for.
 * @param {number} lanes @param {number} chunks @param {number} taken so many lanes are, by these
 */
function lanesFor(lanes, chunks, taken) {
  // Thirds of a lane do not add up to a whole one.
  return chunks + Math.max(0, Math.ceil(lanes - taken - 1e-9));
}

/** @param {number} count */
function bounded(count) {
  return Number.isFinite(count) ? Math.min(Math.max(0, Math.floor(count)), MAX_SLOTS) : 0;
}

module.exports = { HostWatch, LANES_PER_SLOT, lanesFor, lanesTaken };
