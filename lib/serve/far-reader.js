'use strict';

/**
 * The reader of a stream that runs on this host, as far as the host knows of it: what its producer says about it goes
 * on to the call, and the time in which the call waits for it is not the call's.
 *
 * What the producer says may come twice, or late. It is a count, so the highest one holds.
 *
 * Must not depend on how values travel.
 */

const { MAX_COUNT } = require('../transport/constants');

class FarReader {
  #pool;
  #jobId;
  #highWaterMark;
  #taken = 0;
  #yielded = 0;
  /** Whether it wants no more values. */
  #isGone = false;

  /**
   * @param {InstanceType<typeof import('../jobs/worker-pool').WorkerPool>} pool
   * @param {() => number} jobId that of the call
   * @param {number} highWaterMark
   */
  constructor(pool, jobId, highWaterMark) {
    this.#pool = pool;
    this.#jobId = jobId;
    this.#highWaterMark = highWaterMark;
  }

  /** The call has yielded a value, which is on its way. */
  sent() {
    this.#yielded++;
    if (!this.#isGone) this.#pauseIfFull();
  }

  /** @param {number} taken how many values so far; `MAX_COUNT`: no more are wanted */
  told(taken) {
    if (this.#isGone || taken <= this.#taken) return;
    this.#taken = taken;
    this.#isGone = taken === MAX_COUNT;
    if (this.#isGone) {
      this.#pool.leave(this.#jobId());
      return;
    }
    this.#pool.tell(this.#jobId(), 'demand', 0, taken);
    this.#pauseIfFull();
  }

  #pauseIfFull() {
    if (this.#yielded - this.#taken >= this.#highWaterMark) this.#pool.tell(this.#jobId(), 'pause', 0);
  }
}

module.exports = { FarReader };
