'use strict';

/**
 * What the option `debug` writes: a line of JSON on stderr for each event in the life of workers, runs and chunks.
 *
 * A chunk, the calls of a run that are encoded for a worker together, is named by the run and the number of its first
 * call: `RUN#CALL`. Where single calls were gathered, each of which is a run of its own, that run is the first one's.
 *
 * Must not depend on why something happens.
 */

const { runIdOf } = require('./run-id');
const { toJson } = require('../intrinsics/json');

/** @typedef {import('./job-table').Job} Job */

class DebugLog {
  #id;

  /** @param {string | number} id that of the pool */
  constructor(id) {
    this.#id = id;
  }

  /** @param {object} event */
  write(event) {
    process.stderr.write(`${toJson({ parallelizer: this.#id, ...event })}\n`);
  }

  /** @param {Job} job */
  submitted(job) {
    this.write({ event: 'submitted', runId: runIdOf(job, 0), what: job.what, calls: job.calls });
  }

  /** @param {Job} job @param {number} worker @param {number} first @param {number} calls */
  sent(job, worker, first, calls) {
    this.write({ event: 'sent', worker, runId: runIdOf(job, first), chunk: `${runIdOf(job, 0)}#${first}`, calls });
  }

  /** @param {import('./job-table').Entry} entry */
  settled({ job, failures }) {
    this.write({ event: 'settled', runId: runIdOf(job, 0), what: job.what, calls: job.calls, failed: failures });
  }
}

module.exports = { DebugLog };
