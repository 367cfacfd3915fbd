'use strict';

/**
 * Whether somebody watches the calls of a job. What tells of them is loaded only then.
 *
 * Must not depend on how calls are run.
 */

const { watchedCalls } = require('./observers');

/**
 * Who is told of the calls of a job; `null`: nobody watches them.
 * @param {import('./job-table').Job} job
 * @param {Pick<import('./call-tracing').TracedPool, 'id' | 'type' | 'functionName'>} options of its pool
 * @param {InstanceType<typeof import('./observers').PoolObserver>} observer
 */
function tracingOf(job, { id, type, functionName }, observer) {
  if (job.run.trace === null && watchedCalls() === null) return null;
  const workerOf = (/** @type {number} */ worker) => observer.life.worker(worker);
  return new (require('./call-tracing').CallTracing)(job, { id, type, functionName, workerOf });
}

module.exports = { tracingOf };
