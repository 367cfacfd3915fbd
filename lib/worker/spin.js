'use strict';

/**
 * A short poll of a thread's channel after its work, so that a call that is about to come finds the thread awake. (A
 * worker process does the same in `src/binding/spin.rs`.)
 *
 * 1. When a frame has been served and the parent says that a CPU may be kept awake, the thread polls in a turn of the
 *    event loop of its own: the user's timers and promises had their turn before, and have it again after each frame.
 * 2. Where there is no such CPU, the thread has others run in that turn, the parent among them.
 * 3. It does neither while a call waits for something, since that is what the thread has to do then.
 * 4. When it pays is learned by `Pace`.
 *
 * Must not depend on what is polled for.
 */

const { now, setImmediate } = require('../intrinsics/clock');
const { WAITING_GIVING_WAY } = require('../transport/constants');
const { Pace } = require('../transport/pace');

class Spin {
  #watch;
  #pace = new Pace();
  #isScheduled = false;

  /**
   * @param {object} watch
   * @param {() => number} watch.waiting how to wait for the next frame
   * @param {() => boolean} watch.isIdle whether there is nothing else to do
   * @param {(awake: boolean) => void} watch.setAwake told whether `hasPending` is called before the thread sleeps
   * @param {() => boolean} watch.hasPending whether something has arrived
   * @param {() => void} watch.receivePending handles it
   * @param {() => number} watch.giveWay has others run until something has arrived, and says what became of that
   */
  constructor(watch) {
    this.#watch = watch;
  }

  /** A frame arrived without having been polled for. */
  woken() {
    this.#pace.woken(now);
  }

  /** A frame has been served. */
  served() {
    if (this.#isScheduled || !this.#pace.allows(this.#watch.waiting(), now)) return;
    this.#isScheduled = true;
    this.#watch.setAwake(true);
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#watch.isIdle()) this.#spin();
      else this.rest();
    });
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
    const { setAwake, hasPending, waiting, giveWay } = this.#watch;
    setAwake(true);
    if (waiting() === WAITING_GIVING_WAY) this.#pace.waited(giveWay(), now);
    else this.#poll(hasPending);
    this.rest();
  }

  /** @param {() => boolean} hasPending */
  #poll(hasPending) {
    const pace = this.#pace;
    const begin = now();
    for (let before = begin; !hasPending(); ) {
      const time = now();
      if (pace.wasPreempted(before, time)) return;
      if (time - begin >= pace.budget) {
        pace.missed(time);
        return;
      }
      before = time;
    }
    pace.hit();
  }
}

module.exports = { Spin };
