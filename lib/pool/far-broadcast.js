'use strict';

/**
 * A broadcast to the processes of other machines: it waits for a host, and is for all that are there then.
 *
 * To its pool it is one more stream until it has begun, so that `close` waits for it and `terminate` ends it. Must not
 * depend on what is called.
 */

const { abortError } = require('../errors');
const { withResolvers } = require('../intrinsics/list');
const { onAbort } = require('../jobs/abort');
const { nameRun } = require('../jobs/run-id');

/** @typedef {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} WorkerPool */
/** @typedef {import('../jobs/job-table').Place} Place */
/** @typedef {import('./stream-iterator').Stream} Stream */
/** @typedef {Pick<Stream, 'drain' | 'fail'>} Waiting as its pool knows it before it begins */

/**
 * @param {WorkerPool} pool
 * @param {{ what: string, signal: AbortSignal | null, run: InstanceType<typeof import('../jobs/run-id').RunId> }} about
 * @param {(waiting: Waiting) => () => void} register returns what is to be called once it has begun, or has failed
 * @param {(places: readonly Place[]) => Promise<any[]>} start
 */
async function broadcastFar(pool, { what, signal, run }, register, start) {
  const lanes = /** @type {NonNullable<WorkerPool['lanes']>} */ (pool.lanes);
  const { promise: failed, reject } = withResolvers();
  // It may be told when nobody waits for it any more.
  failed.catch(() => {});
  const unregister = register({ drain() {}, fail: reject });
  const stopListening = signal === null ? () => {} : onAbort(signal, () => reject(abortError(signal.reason, what)));
  try {
    while (lanes.slots === 0) await Promise.race([pool.ready(), failed]);
    stopListening();
    return start(lanes.places);
  } catch (error) {
    stopListening();
    throw nameRun(error, () => run.text);
  } finally {
    unregister();
  }
}

module.exports = { broadcastFar };
