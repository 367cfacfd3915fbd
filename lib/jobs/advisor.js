'use strict';

/**
 * Puts together what `advice()` is reckoned from: what the meter of a pool has counted, and what can be seen of its
 * workers now.
 *
 * Loaded when somebody asks. Must not depend on what follows from it.
 */

const { busyTimeOf } = require('../host/busy-time');
const { usableCpus } = require('../host/cpus');
const { PARALLELIZER_INLINE, PARALLELIZER_THREADS } = require('../options/options');
const { adviceOf } = require('./advice');

/** Workers say little about how their calls spend the time before they have run for as long, in milliseconds. */
const MIN_TIME = 20;

/** @typedef {Omit<import('../../index').Stats, 'advice'>} Stats */

class Advisor {
  #options;
  #meter;
  #carrier;
  /** @type {number | null} The part of their time for which calls compute, as seen last. */
  #computing = null;
  /** For how long this thread had had something to do before; only inline. */
  #busyBefore;

  /**
   * @param {import('./worker-config').PoolOptions} options
   * @param {InstanceType<typeof import('./cost-meter').CostMeter>} meter
   * @param {{ busyTime(id: number): number | null } | null} carrier null: the addon looks after the workers itself
   */
  constructor(options, meter, carrier) {
    this.#options = options;
    this.#meter = meter;
    this.#carrier = carrier;
    this.#busyBefore = options.type === PARALLELIZER_INLINE ? ownBusyTime() : 0;
  }

  /** @param {Stats} stats @returns {import('../../index').Advice} */
  advice(stats) {
    const { calls, run, encoding, decoding, message, messages, bytesSent, bytesReceived } = this.#meter;
    this.#computing = this.#share(stats) ?? this.#computing;
    const costs = {
      calls,
      run: run.value / 1000,
      computing: this.#computing,
      codec: encoding.value + decoding.value,
      message: message.value,
      messages: messages.value,
      bytes: Math.round(bytesSent.value + bytesReceived.value),
      demand: this.#meter.demand.value,
      demandInChunks: this.#meter.demandInChunks.value,
      cpus: usableCpus(),
    };
    // On other machines there is a CPU for each slot, as far as is known.
    const slots = stats.remote?.slots ?? 0;
    if (stats.remote === undefined) return adviceOf(costs, this.#options);
    return adviceOf({ ...costs, cpus: Math.max(1, slots) }, { ...this.#options, workers: Math.max(1, slots) });
  }

  /**
   * For which part of the time of their calls the workers have had something to do.
   * @param {Stats} stats @returns {number | null} null: not known
   */
  #share({ workers, runTime, done }) {
    if (this.#options.type === PARALLELIZER_INLINE) {
      return shareOf(ownBusyTime() - this.#busyBefore, done * runTime.mean);
    }
    if (this.#options.remote !== null) return null;
    let busy = 0;
    let ran = 0;
    for (let i = 0; i < workers.length; i++) {
      const { id, pid, done: calls } = workers[i];
      if (calls === 0) continue;
      // Threads have the process id of this process.
      const time = this.#options.type === PARALLELIZER_THREADS ? this.#carrier?.busyTime(id) ?? null
        : pid === null ? null : busyTimeOf(pid);
      if (time === null) return null;
      busy += Math.max(0, time - this.#meter.busyBefore(id));
      ran += calls * runTime.mean;
    }
    return shareOf(busy, ran);
  }
}

/** @param {number} busy @param {number} ran */
function shareOf(busy, ran) {
  return ran < MIN_TIME ? null : Math.min(1, busy / ran);
}

/** For how long this thread has had something to do. */
function ownBusyTime() {
  return require('node:perf_hooks').performance.eventLoopUtilization().active;
}

module.exports = { Advisor };
