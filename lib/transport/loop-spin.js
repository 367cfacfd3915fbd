'use strict';

/**
 * Keeps the event loop turning for a moment while something is expected through a pipe, instead of letting it sleep: to
 * wake a halted core takes longer than all the rest of a round trip.
 *
 * 1. Nothing is read out of turn. A turn has its timers, pipes and promises as always; only, it does not wait for them.
 * 2. When that pays is learned by `Pace`. A turn that takes long for whatever reason ends it: the loop has other work,
 *    or somebody else needs the core.
 *
 * Must not depend on what is expected, nor from whom.
 */

const { now, setImmediate } = require('../intrinsics/clock');
const { WAITING_POLLING } = require('./constants');
const { Pace } = require('./pace');

class LoopSpin {
  #isWanted;
  #pace = new Pace();
  #isTurning = false;
  #isExpecting = false;
  /** When the loop turned first since something has been expected, and last; 0: it has not. */
  #begin = 0;
  #before = 0;

  /** @param {() => boolean} [isWanted] asked in each turn: whether to stay awake for what is expected */
  constructor(isWanted = () => true) {
    this.#isWanted = isWanted;
  }

  /** Something is expected from now on. */
  expect() {
    if (this.#isExpecting) return;
    this.#isExpecting = true;
    this.#begin = 0;
    if (!this.#isTurning && this.#pace.allows(WAITING_POLLING, now)) this.#turnAgain();
  }

  /** It has arrived. */
  arrived() {
    if (!this.#isExpecting) return;
    this.#isExpecting = false;
    if (this.#isTurning) this.#pace.hit();
    else this.#pace.woken(now);
  }

  #turnAgain() {
    this.#isTurning = true;
    setImmediate(this.#turn);
  }

  #turn = () => {
    this.#isTurning = false;
    if (!this.#isExpecting || !this.#isWanted()) return;
    const time = now();
    if (this.#begin === 0) {
      this.#begin = time;
    } else {
      if (this.#pace.wasPreempted(this.#before, time)) return;
      if (time - this.#begin >= this.#pace.budget) {
        this.#pace.missed(time);
        return;
      }
    }
    this.#before = time;
    this.#turnAgain();
  };
}

module.exports = { LoopSpin };
