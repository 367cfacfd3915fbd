'use strict';

/**
 * Loads what is not needed for the first results: right after these, because loading takes as long as a good part of a
 * worker's start. Or in the turn after the workers have started, where somebody has waited for that and submits nothing
 * at once: then no call has to wait for it.
 *
 * Must not depend on what it loads.
 */

const { setImmediate } = require('../intrinsics/clock');
const { PARALLELIZER_CHILD } = require('../options/options');

/** @typedef {import('./job-table').Job} Job */

// How many calls each of a job's callbacks settles, by its arguments. Not made anew for every job: first calls may be
// many.
const SUCCEEDED = (/** @type {any[]} */ { 1: count }) => count;
const FAILED = () => 1;
const ENDED = (/** @type {any[]} */ { 0: first, 1: end }) => end - first;

/** @param {() => unknown} load */
function tryToLoad(load) {
  try {
    load();
  } catch {
    // It is loaded when it is needed, and says then why it cannot be. Here the error would end the process.
  }
}

class LaterLoads {
  #type;
  /** @type {(() => void)[]} */
  #rest = [];
  /** @type {(() => void)[]} What a first call needs. */
  #next = [];
  /** Whether a job is under way after which it is loaded. */
  #isAwaited = false;

  /** @param {string} type that of the pool */
  constructor(type) {
    this.#type = type;
  }

  /**
   * Where calls run in this very process, it is loaded in the next turn: they may leave no descriptor to load anything
   * with.
   * @param {() => void} load
   */
  add(load) {
    this.#rest.push(load);
    if (this.#type !== PARALLELIZER_CHILD) setImmediate(() => this.#load());
  }

  /** Adds what a first call needs, and loads by itself if it comes before. @param {() => void} load */
  addNext(load) {
    this.#next.push(load);
    this.add(() => this.loadNext());
  }

  /** Loads that now: workers start meanwhile, and this thread waits for them. */
  loadNext() {
    this.#next.splice(0).forEach(tryToLoad);
  }

  #load() {
    this.#rest.splice(0).forEach(tryToLoad);
  }

  /** Has the rest loaded in the next turn, unless a job has been submitted by then. */
  loadWhenIdle() {
    setImmediate(() => {
      if (!this.#isAwaited) this.#load();
    });
  }

  /**
   * Has the rest loaded once all calls of this job are settled. No timer does it: that may find that a test runner has
   * taken the modules away.
   * @param {Job} job
   */
  loadAfter(job) {
    if (this.#rest.length === 0) return;
    this.#isAwaited = true;
    let left = job.calls;
    const after = (
      /** @type {(...args: any[]) => void} */ settle,
      /** @type {(args: any[]) => number} */ callsIn,
    ) => (/** @type {any[]} */ ...args) => {
      left -= callsIn(args);
      const rest = left > 0 ? [] : this.#rest.splice(0);
      if (rest.length > 0) setImmediate(() => rest.forEach(tryToLoad));
      Reflect.apply(settle, job, args);
    };
    job.succeeded = after(job.succeeded, SUCCEEDED);
    job.failed = after(job.failed, FAILED);
    job.ended = after(job.ended, ENDED);
  }
}

module.exports = { LaterLoads, tryToLoad };
