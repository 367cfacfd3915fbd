'use strict';

/**
 * Waits for workers to run nothing more of a job that has settled.
 *
 * Must not depend on what jobs are for.
 */

const { now, sleep } = require('../intrinsics/clock');

/** The longest time between two looks at what workers are doing, in milliseconds. */
const MAX_LOOK_INTERVAL = 10;
/**
 * How long to wait for workers that were killed to die, in milliseconds; and no longer than half of the limit, since a
 * thread in native code dies when that returns.
 */
const MAX_DEATH_TIME = 1000;

/**
 * Workers that still do after so many milliseconds are killed, as they would be at the end of the grace period.
 * @param {() => any} nativeOf the native pool, which another one takes the place of once it is closed
 * @param {number} jobId @param {number} limit
 */
async function whenQuiet(nativeOf, jobId, limit) {
  const start = now();
  for (let wait = 1; nativeOf().remainingCalls(jobId, false) > 0 && now() - start < limit; wait *= 2) {
    await sleep(Math.min(wait, MAX_LOOK_INTERVAL, Math.max(1, limit - (now() - start))));
  }
  nativeOf().killRemaining(jobId);
  const killed = now();
  const most = Math.min(MAX_DEATH_TIME, limit / 2);
  while (nativeOf().remainingCalls(jobId, true) > 0 && now() - killed < most) await sleep(1);
}

module.exports = { whenQuiet };
