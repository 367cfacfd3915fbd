'use strict';

/**
 * Metrics of an invocation, as one line of CloudWatch's Embedded Metric Format on stdout.
 *
 * The line is nothing but the JSON, since CloudWatch reads no metrics out of a line that has anything else: so it is
 * not printed by `console.log`, before which Lambda puts the time. Every metric is one finite number; what is not known
 * is left out. Must not depend on what events hold.
 */

const fs = require('node:fs');
const { now, wallTime } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const { report } = require('../jobs/report');
const { RunMeter } = require('../jobs/run-meter');
const { RunTrace } = require('../jobs/run-tracing');
const { PARALLELIZER_CHILD } = require('../options/options');

/** @typedef {{ namespace: string, dimensions: Readonly<Record<string, string>> | null }} MetricsOptions */
/** @typedef {InstanceType<typeof import('../parallelizer/parallelizer').Parallelizer>} Parallelizer */

/** The unit of each metric. */
const UNITS = Object.freeze({
  Records: 'Count',
  Failed: 'Count',
  Duration: 'Milliseconds',
  WaitP50: 'Milliseconds',
  WaitP99: 'Milliseconds',
  RunP50: 'Milliseconds',
  RunP99: 'Milliseconds',
  Restarts: 'Count',
  PeakMemory: 'Bytes',
});

/** What is known of an invocation. */
class InvocationMetrics {
  #meter = new RunMeter();
  /** What has its run measured. */
  trace = new RunTrace(null, this.#meter);
  /** @type {number | undefined} Records of the event. */
  records = undefined;
  /** @type {number | undefined} Those that are not done. */
  failed = undefined;
  #options;
  #parallelizer;
  #type;
  #begun = now();
  #restarts;

  /** @param {MetricsOptions} options @param {Parallelizer} parallelizer @param {string} type */
  constructor(options, parallelizer, type) {
    this.#options = options;
    this.#parallelizer = parallelizer;
    this.#type = type;
    this.#restarts = statsOf(parallelizer).restarts;
  }

  /** Writes the line. @param {any} context Lambda's */
  write(context) {
    const stats = statsOf(this.#parallelizer);
    const meter = this.#meter;
    const values = {
      Records: this.records,
      Failed: this.failed,
      Duration: now() - this.#begun,
      WaitP50: meter.waitAt(0.5),
      WaitP99: meter.waitAt(0.99),
      RunP50: meter.runAt(0.5),
      RunP99: meter.runAt(0.99),
      Restarts: stats.restarts - this.#restarts,
      PeakMemory: this.#type === PARALLELIZER_CHILD ? peakMemory(stats.workers) : undefined,
    };
    const line = toJson(documentOf(this.#options, dimensionsOf(this.#options, context), values));
    // As it is now: others may have put something in its place.
    report(() => void process.stdout.write(`${line}\n`));
  }
}

/** @param {Parallelizer} parallelizer */
function statsOf(parallelizer) {
  // A handler's instance is made from one object.
  return /** @type {import('../../index').Stats} */ (parallelizer.stats());
}

/**
 * @param {MetricsOptions} options @param {Readonly<Record<string, string>>} dimensions
 * @param {Readonly<Record<string, number | undefined>>} values
 */
function documentOf({ namespace }, dimensions, values) {
  const known = Object.entries(values).filter(({ 1: value }) => Number.isFinite(value));
  const metrics = known.map(({ 0: name }) => ({ Name: name, Unit: UNITS[/** @type {keyof typeof UNITS} */ (name)] }));
  const directive = { Namespace: namespace, Dimensions: [Object.keys(dimensions)], Metrics: metrics };
  return {
    _aws: { Timestamp: wallTime(), CloudWatchMetrics: [directive] },
    ...dimensions,
    ...Object.fromEntries(known.map(({ 0: name, 1: value }) => [name, Math.round(Number(value) * 1000) / 1000])),
  };
}

/** @param {MetricsOptions} options @param {any} context @returns {Readonly<Record<string, string>>} */
function dimensionsOf({ dimensions }, context) {
  if (dimensions !== null) return dimensions;
  const name = context?.functionName ?? process.env.AWS_LAMBDA_FUNCTION_NAME;
  return { FunctionName: typeof name === 'string' && name !== '' ? name : 'unknown' };
}

/**
 * The most memory that any worker has had, in bytes, where the system says so.
 * @param {readonly { pid: number | null }[]} workers
 */
function peakMemory(workers) {
  const peaks = workers.map(({ pid }) => {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
      return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) * 1024;
    } catch {
      // It has just ended, or this is no Linux.
      return NaN;
    }
  });
  const known = peaks.filter(Number.isFinite);
  return known.length === 0 ? undefined : known.reduce((most, peak) => Math.max(most, peak));
}

module.exports = { InvocationMetrics, UNITS };
