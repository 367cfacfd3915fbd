'use strict';

/**
 * Metrics: counts and durations of calls as they end, and what pools say of themselves when somebody collects.
 *
 * What a pool that is closed has counted stays in the sums. Must not depend on spans.
 */

const { openPools } = require('../jobs/open-instances');
const { subscribe, typeOf, unsubscribe } = require('./spans');

/** @typedef {import('../../index').RunMessage} RunMessage */
/** @typedef {import('../../index').CallMessage} CallMessage */
/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {import('@opentelemetry/api').Attributes} Attributes */

/** In seconds. */
const BOUNDARIES = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

/**
 * @param {import('../jobs/observers').Channels} channels @param {import('@opentelemetry/api').Meter} meter
 * @returns {() => void} ends it
 */
function watchMetrics(channels, meter) {
  const calls = meter.createCounter('parallelizer.calls', {
    unit: '{call}', description: 'Sub-batches and items that have settled, failed ones included',
  });
  const failures = meter.createCounter('parallelizer.calls.failed', {
    unit: '{call}', description: 'Those that have failed, by code',
  });
  const advice = { explicitBucketBoundaries: BOUNDARIES };
  const waits = meter.createHistogram('parallelizer.call.wait', {
    unit: 's', description: 'How long sub-batches, and chunks of items, have waited for a worker', advice,
  });
  const durations = meter.createHistogram('parallelizer.call.duration', {
    unit: 's', description: 'How long calls have run in the worker: of a chunk, each on average', advice,
  });
  /** What of a run was counted with its calls. @type {WeakMap<RunMessage, { calls: number, failed: number }>} */
  const counted = new WeakMap();

  const ofCalls = {
    asyncEnd(/** @type {CallMessage} */ message) {
      const { parent, settled, failed, wait, run } = message;
      const attributes = attributesOf(message);
      if (settled === 0) return;
      waits.record(wait / 1000, attributes);
      durations.record(run / 1000 / settled, attributes);
      calls.add(settled, attributes);
      if (failed > 0) failures.add(failed, { ...attributes, 'error.type': typeOf(message.error) });
      if (parent === null) return;
      const sum = counted.get(parent) ?? { calls: 0, failed: 0 };
      counted.set(parent, { calls: sum.calls + settled, failed: sum.failed + failed });
    },
  };
  const ofRuns = {
    // Calls that no worker was sent have failed, too.
    asyncEnd(/** @type {RunMessage} */ message) {
      const sum = counted.get(message) ?? { calls: 0, failed: 0 };
      const rest = message.failed - sum.failed;
      if (rest <= 0) return;
      const attributes = attributesOf(message);
      calls.add(rest, attributes);
      failures.add(rest, { ...attributes, 'error.type': typeOf(message.error ?? lastErrorOf(message.result)) });
    },
  };
  const pools = watchPools(meter);
  subscribe(channels.call, /** @type {any} */ (ofCalls));
  subscribe(channels.run, /** @type {any} */ (ofRuns));
  return () => {
    unsubscribe(channels.call, /** @type {any} */ (ofCalls));
    unsubscribe(channels.run, /** @type {any} */ (ofRuns));
    pools();
  };
}

/** @param {import('@opentelemetry/api').Meter} meter @returns {() => void} ends it */
function watchPools(meter) {
  const workers = meter.createObservableGauge('parallelizer.workers', {
    unit: '{worker}', description: 'Workers that there are, by state',
  });
  const busy = meter.createObservableGauge('parallelizer.workers.busy', {
    unit: '{worker}', description: 'Workers that have calls',
  });
  const queue = meter.createObservableGauge('parallelizer.queue.length', {
    unit: '{call}', description: 'Calls that wait for a worker',
  });
  const restarts = meter.createObservableCounter('parallelizer.worker.restarts', {
    unit: '{worker}', description: 'Workers that were replaced',
  });
  const bytes = meter.createObservableCounter('parallelizer.io', {
    unit: 'By', description: 'Bytes sent to workers and received from them',
  });
  const instruments = [workers, busy, queue, restarts, bytes];
  /** Pools that were open at the last look. @type {Set<WorkerPool>} */
  let known = new Set();
  /** What those have counted that are not any more. */
  const past = new Sums();

  /** @param {import('@opentelemetry/api').BatchObservableResult} result */
  const observe = (result) => {
    const open = new Set(openPools());
    for (const pool of known) if (!open.has(pool)) past.add(pool);
    known = open;
    const sums = new Sums(past);
    for (const pool of open) sums.add(pool);
    for (const { attributes, states, waiting, restarts: replaced, sent, received } of sums.all()) {
      for (const [state, count] of Object.entries(states)) {
        result.observe(workers, count, { ...attributes, 'parallelizer.worker.state': state });
      }
      result.observe(busy, states.busy, attributes);
      result.observe(queue, waiting, attributes);
      result.observe(restarts, replaced, attributes);
      result.observe(bytes, sent, { ...attributes, 'network.io.direction': 'transmit' });
      result.observe(bytes, received, { ...attributes, 'network.io.direction': 'receive' });
    }
  };
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}

/**
 * What pools of the same name have counted together.
 * @typedef {object} Sum
 * @property {Attributes} attributes
 * @property {Record<string, number>} states
 * @property {number} waiting
 * @property {number} restarts
 * @property {number} sent
 * @property {number} received
 */

class Sums {
  /** @type {Map<string, Sum>} */
  #sums = new Map();

  /** @param {Sums} [past] what counts on, of pools that are no more */
  constructor(past) {
    if (past === undefined) return;
    for (const [key, sum] of past.#sums) this.#sums.set(key, { ...sum, states: noWorkers(), waiting: 0 });
  }

  /** @param {WorkerPool} pool */
  add(pool) {
    const { id, type } = pool.observer.about;
    const stats = pool.stats();
    const key = `${type} ${id}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      const attributes = { 'parallelizer.pool.id': String(id), 'parallelizer.pool.type': type };
      sum = { attributes, states: noWorkers(), waiting: 0, restarts: 0, sent: 0, received: 0 };
      this.#sums.set(key, sum);
    }
    for (const { state } of stats.workers) sum.states[state]++;
    sum.waiting += stats.waiting;
    sum.restarts += stats.restarts;
    sum.sent += stats.bytesSent;
    sum.received += stats.bytesReceived;
  }

  all() {
    return [...this.#sums.values()];
  }
}

/** @returns {Record<string, number>} */
function noWorkers() {
  return { starting: 0, ready: 0, busy: 0, stopping: 0 };
}

/** @param {RunMessage | CallMessage} message @returns {Attributes} */
function attributesOf({ id, type, method, task }) {
  return {
    'parallelizer.pool.id': String(id),
    'parallelizer.pool.type': type,
    'parallelizer.method': method,
    ...(task === null ? {} : { 'code.function.name': task }),
  };
}

/** The last error of a run that has a result all the same. @param {any} result */
function lastErrorOf(result) {
  const errors = result?.errors;
  return Array.isArray(errors) ? errors[errors.length - 1] : { name: 'unknown' };
}

module.exports = { watchMetrics };
