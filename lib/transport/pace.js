'use strict';

/**
 * When it pays to poll for a moment before going to sleep, learned from how long sleeps last: what `src/pace.rs` does,
 * with the same times. The reasons are there.
 *
 * Must not depend on what is polled, or on which clock.
 */

const {
  PACE_BUDGET, PACE_FIRST_BUDGET, PACE_FREE_LOSSES, PACE_FREE_MISSES, PACE_MAKE_UP, PACE_MAX_HELD_UP, PACE_MAX_PAUSE,
  PACE_MAX_SLEEP, PACE_MIN_SLEEP, PACE_PREEMPTED, WAITED_HIT, WAITED_MISSED, WAITING_ASLEEP, WAITING_GIVING_WAY,
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
  /** How many turns of giving way are to make up for what was lost by it. */
  #debt = 0;
  /** When the sleep began; 0: awake. */
  #asleep = 0;
  #isAfterMiss = false;
  /** How it waited last. */
  #waiting = WAITING_ASLEEP;

  /**
   * Whether to wait like this in this turn; otherwise the sleep begins now.
   * @param {number} waiting @param {() => number} clock
   */
  allows(waiting, clock) {
    this.#waiting = waiting;
    if (waiting === WAITING_ASLEEP) return false;
    if (this.#isPromising && this.#pause === 0) return true;
    if (this.#pause > 0) this.#pause--;
    this.#sleep(clock(), false);
    return false;
  }

  /** How long to poll at most. */
  get budget() {
    return this.#inStep ? PACE_BUDGET : PACE_FIRST_BUDGET;
  }

  /**
   * A wait that was no sleep is over.
   * @param {number} waited @param {() => number} clock is only read if this end goes to sleep after it
   */
  waited(waited, clock) {
    if (waited === WAITED_HIT) this.hit();
    else if (waited === WAITED_MISSED) this.missed(clock());
    else this.#preempted();
  }

  /** Others have kept the core that this end had given them. */
  #preempted() {
    this.#count(PACE_FREE_MISSES);
    this.#debt += PACE_MAKE_UP;
    if (this.#debt <= PACE_FREE_LOSSES * PACE_MAKE_UP) return;
    this.#debt = PACE_FREE_LOSSES * PACE_MAKE_UP;
    this.#pause = PACE_MAX_PAUSE;
  }

  /** The poll found something. */
  hit() {
    this.#misses = 0;
    if (this.#debt > 0) this.#debt--;
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
    const minSleep = this.#waiting === WAITING_GIVING_WAY ? 0 : PACE_MIN_SLEEP;
    this.#isPromising = !isHeldUp && slept >= minSleep && slept <= PACE_MAX_SLEEP;
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
