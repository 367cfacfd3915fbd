'use strict';

/**
 * A short poll of a thread's port after its work, so that a call that is about to come finds it awake. (A worker process
 * does the same in src/binding/spin.rs.)
 *
 * 1. When a frame is served and the parent says that a CPU may be kept awake, it is polled for from a turn of the event
 *    loop of its own: the user's timers and promises have had their turn before, and have it again after each frame.
 * 2. It is not done while a call waits for something: that is what the thread has to do.
 * 3. When it pays is learned as in src/pace.rs, which explains it.
 *
 * May not know what is polled for.
 */

// The user's code may put others in their places.
const { setImmediate, performance } = globalThis;

const {
  PACE_BUDGET, PACE_FIRST_BUDGET, PACE_FREE_MISSES, PACE_MAX_SLEEP, PACE_MAX_PAUSE, PACE_PREEMPTED, PACE_MIN_SLEEP,
} = require('../transport/constants');

class Spin {
  #watch;
  #isScheduled = false;
  /** Whether the last sleep was one that a poll would have spared. */
  #isPromising = false;
  /** Whether the last poll was one that hit. */
  #inStep = false;
  /** In a row. */
  #misses = 0;
  /** Frames to let pass. */
  #pause = 0;
  /** When it went to sleep; 0: it did not. */
  #asleep = 0;
  #isAfterMiss = false;

  /**
   * @param {object} watch
   * @param {() => boolean} watch.isAllowed whether a CPU may be kept awake
   * @param {() => boolean} watch.isIdle whether nothing else is to be done
   * @param {(polls: boolean) => void} watch.poll is told whether `hasCome` is looked at without pause
   * @param {() => boolean} watch.hasCome whether something has come
   * @param {() => void} watch.take handles it
   */
  constructor(watch) {
    this.#watch = watch;
  }

  /** A frame has come by itself. */
  woken() {
    if (this.#asleep === 0) return;
    const slept = performance.now() - this.#asleep;
    this.#asleep = 0;
    if (slept < PACE_MIN_SLEEP && this.#isAfterMiss) this.#count(PACE_FREE_MISSES);
    this.#isPromising = slept >= PACE_MIN_SLEEP && slept <= PACE_MAX_SLEEP;
  }

  /** A frame is served. */
  served() {
    if (this.#isScheduled || !this.#watch.isAllowed()) return;
    if (this.#isPromising && this.#pause === 0) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        if (this.#watch.isIdle()) this.#spin();
      });
    } else {
      if (this.#pause > 0) this.#pause--;
      this.#sleep(performance.now(), false);
    }
  }

  #spin() {
    const { poll, hasCome, take } = this.#watch;
    poll(true);
    this.#wait(hasCome);
    poll(false);
    // It may have come between the last look and that.
    if (hasCome()) take();
  }

  /** @param {() => boolean} hasCome */
  #wait(hasCome) {
    const begin = performance.now();
    const budget = this.#inStep ? PACE_BUDGET : PACE_FIRST_BUDGET;
    for (let before = begin; !hasCome(); ) {
      const now = performance.now();
      if (now - before > PACE_PREEMPTED) {
        this.#count(PACE_FREE_MISSES);
        return;
      }
      if (now - begin >= budget) {
        this.#inStep = false;
        this.#sleep(now, true);
        this.#count(1);
        return;
      }
      before = now;
    }
    this.#misses = 0;
    this.#inStep = true;
  }

  /** @param {number} now @param {boolean} isAfterMiss */
  #sleep(now, isAfterMiss) {
    this.#asleep = now;
    this.#isAfterMiss = isAfterMiss;
  }

  /** @param {number} misses */
  #count(misses) {
    this.#misses += misses;
    if (this.#misses > PACE_FREE_MISSES) this.#pause = Math.min(2 ** (this.#misses - PACE_FREE_MISSES), PACE_MAX_PAUSE);
  }
}

module.exports = { Spin };
