'use strict';

/**
 * When it pays to poll for a moment before going to sleep, learned from how long sleeps last: what `src/pace.rs` does,
 * with the same times. The reasons are there.
 *
 * Must not depend on what is polled, or on which clock.
 */

const {
  PACE_BUDGET, PACE_FIRST_BUDGET, PACE_FREE_MISSES, PACE_MAX_HELD_UP, PACE_MAX_PAUSE, PACE_MAX_SLEEP, PACE_MIN_SLEEP,
  PACE_PREEMPTED,
} = require('./constants');

/** Times are in milliseconds. */
class Pace {
  /** Whether a poll would have saved the last sleep. */
  #isPromising = false;
  /** Whether the last poll hit. */
  #inStep = false;
  /** Misses in a row; what is worse than a miss counts as several. */
  #misses = 0;
  /** How many turns are to pass without a poll. */
  #pause = 0;
  /** When the sleep began; 0: awake. */
  #asleep = 0;
  #isAfterMiss = false;

  /**
   * Whether to poll in this turn; otherwise the sleep begins now.
   * @param {() => number} clock
   */
  allows(clock) {
    if (this.#isPromising && this.#pause === 0) return true;
    if (this.#pause > 0) this.#pause--;
    this.#sleep(clock(), false);
    return false;
  }

  /** How long to poll at most. */
  get budget() {
    return this.#inStep ? PACE_BUDGET : PACE_FIRST_BUDGET;
  }

  /** The poll found something. */
  hit() {
    this.#misses = 0;
    this.#inStep = true;
  }

  /** The poll found nothing, and the sleep begins. @param {number} time */
  missed(time) {
    this.#inStep = false;
    this.#sleep(time, true);
    this.#count(1);
  }

  /**
   * Whether somebody else had the core between two looks at the clock. The poll ends then.
   * @param {number} before @param {number} time
   */
  wasPreempted(before, time) {
    if (time - before <= PACE_PREEMPTED) return false;
    this.#count(PACE_FREE_MISSES);
    return true;
  }

  /** What was waited for has arrived. @param {() => number} clock is only read if that ends a sleep */
  woken(clock) {
    if (this.#asleep === 0) return;
    const slept = clock() - this.#asleep;
    this.#asleep = 0;
    const isHeldUp = this.#isAfterMiss && slept < PACE_MAX_HELD_UP;
    if (isHeldUp) this.#count(PACE_FREE_MISSES);
    this.#isPromising = !isHeldUp && slept >= PACE_MIN_SLEEP && slept <= PACE_MAX_SLEEP;
  }

  /** @param {number} time @param {boolean} isAfterMiss */
  #sleep(time, isAfterMiss) {
    this.#asleep = time;
    this.#isAfterMiss = isAfterMiss;
  }

  /** @param {number} misses */
  #count(misses) {
    this.#misses += misses;
    if (this.#misses > PACE_FREE_MISSES) this.#pause = Math.min(2 ** (this.#misses - PACE_FREE_MISSES), PACE_MAX_PAUSE);
  }
}

module.exports = { Pace };
