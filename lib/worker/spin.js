'use strict';

/**
 * A short poll of a thread's channel after its work, so that a call that is about to come finds the thread awake. (A
 * worker process does the same in `src/binding/spin.rs`.)
 *
 * 1. When a frame has been served and the parent says that a CPU may be kept awake, the thread polls in a turn of the
 *    event loop of its own: the user's timers and promises had their turn before, and have it again after each frame.
 * 2. It does not poll while a call waits for something, since that is what the thread has to do then.
 * 3. When it pays is learned as in `src/pace.rs`, which explains it; the times are the same.
 *
 * Must not depend on what is polled for.
 */

const { now, setImmediate } = require('../intrinsics/clock');

const {
  PACE_BUDGET, PACE_FIRST_BUDGET, PACE_FREE_MISSES, PACE_MAX_HELD_UP, PACE_MAX_PAUSE, PACE_MAX_SLEEP, PACE_MIN_SLEEP,
  PACE_PREEMPTED,
} = require('../transport/constants');

class Spin {
  #watch;
  #isScheduled = false;
  /** Whether a poll would have saved the last sleep. */
  #isPromising = false;
  /** Whether the last poll hit. */
  #inStep = false;
  /** Misses in a row; what is worse than a miss counts as several. */
  #misses = 0;
  /** How many frames to serve without a poll. */
  #pause = 0;
  /** When the thread went to sleep; 0: it did not. */
  #asleep = 0;
  #isAfterMiss = false;

  /**
   * @param {object} watch
   * @param {() => boolean} watch.isAllowed whether a CPU may be kept awake
   * @param {() => boolean} watch.isIdle whether there is nothing else to do
   * @param {(awake: boolean) => void} watch.setAwake told whether `hasPending` is called before the thread sleeps
   * @param {() => boolean} watch.hasPending whether something has arrived
   * @param {() => void} watch.receivePending handles it
   */
  constructor(watch) {
    this.#watch = watch;
  }

  /** A frame arrived without having been polled for. */
  woken() {
    if (this.#asleep === 0) return;
    const slept = now() - this.#asleep;
    this.#asleep = 0;
    const isHeldUp = this.#isAfterMiss && slept < PACE_MAX_HELD_UP;
    if (isHeldUp) this.#count(PACE_FREE_MISSES);
    this.#isPromising = !isHeldUp && slept >= PACE_MIN_SLEEP && slept <= PACE_MAX_SLEEP;
  }

  /** A frame has been served. */
  served() {
    if (this.#isScheduled || !this.#watch.isAllowed()) return;
    if (this.#isPromising && this.#pause === 0) {
      this.#isScheduled = true;
      this.#watch.setAwake(true);
      setImmediate(() => {
        this.#isScheduled = false;
        if (this.#watch.isIdle()) this.#spin();
        else this.rest();
      });
    } else {
      if (this.#pause > 0) this.#pause--;
      this.#sleep(now(), false);
    }
  }

  /** The thread has nothing to do now, unless something has arrived; or else a poll follows, and then this. */
  rest() {
    if (this.#isScheduled) return;
    const { setAwake, hasPending, receivePending } = this.#watch;
    setAwake(false);
    if (!hasPending()) return;
    // It arrived between the last look and that.
    setAwake(true);
    try {
      receivePending();
    } finally {
      this.#restSoon();
    }
  }

  /** Not at once: the user's timers and promises have their turn in between. */
  #restSoon() {
    // What has been served may have led to a poll, after which the thread rests.
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.rest();
    });
  }

  #spin() {
    const { setAwake, hasPending } = this.#watch;
    setAwake(true);
    this.#wait(hasPending);
    this.rest();
  }

  /** @param {() => boolean} hasPending */
  #wait(hasPending) {
    const begin = now();
    const budget = this.#inStep ? PACE_BUDGET : PACE_FIRST_BUDGET;
    for (let before = begin; !hasPending(); ) {
      const time = now();
      if (time - before > PACE_PREEMPTED) {
        this.#count(PACE_FREE_MISSES);
        return;
      }
      if (time - begin >= budget) {
        this.#inStep = false;
        this.#sleep(time, true);
        this.#count(1);
        return;
      }
      before = time;
    }
    this.#misses = 0;
    this.#inStep = true;
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

module.exports = { Spin };
