'use strict';

/**
 * How many lanes a pool may have: as many as its hosts have, and those whose chunks a draining host has.
 *
 * A lane is room for as many calls as a process runs at once, and a chunk may have fewer. With `concurrency`, calls
 * that come one by one would leave most of it unused, and an open stream would hold all of it. So where hosts take more
 * chunks for it, a chunk counts for what it has left, and there are as many lanes as that leaves room for, beside those
 * that have a chunk. The number changes with every chunk, and is told once in a turn of the event loop.
 *
 * Must not depend on what is in a chunk.
 */

const { setImmediate } = require('../intrinsics/clock');
const { lanesFor, lanesTaken } = require('../remote/host-watch');

/** @typedef {{ left: number, host: string | null }} Chunk */

class LaneCount {
  #watch;
  #concurrency;
  #chunks;
  #set;
  #isDue = false;
  #isClosed = false;

  /**
   * @param {InstanceType<typeof import('../remote/host-watch').HostWatch>} watch
   * @param {number} concurrency how many calls a process runs at once
   * @param {ReadonlyMap<string, Chunk>} chunks those in flight
   * @param {(count: number) => void} set there may be so many
   */
  constructor(watch, concurrency, chunks, set) {
    this.#watch = watch;
    this.#concurrency = concurrency;
    this.#chunks = chunks;
    this.#set = set;
  }

  get #areShared() {
    return this.#concurrency > 1 && this.#watch.areLanesShared && this.#watch.lanes > 0;
  }

  /** The hosts have changed. */
  update() {
    if (!this.#isClosed) this.#set(this.#areShared ? this.#shared() : this.#fixed());
  }

  /** A chunk has come, is gone, or has fewer calls left. */
  changed() {
    if (this.#isDue || !(this.#areShared || this.#watch.isAnyDraining)) return;
    this.#isDue = true;
    // Later: the scheduler may be in the middle of sending it.
    setImmediate(() => {
      this.#isDue = false;
      this.update();
    });
  }

  /** At least one, which waits for a host while there is none. */
  #fixed() {
    const { lanes } = this.#watch;
    return Math.max(1, lanes) + this.#watch.draining([...this.#chunks.values()].map(({ host }) => host));
  }

  #shared() {
    const { lanes, drainingNames } = this.#watch;
    let taken = 0;
    this.#chunks.forEach(({ host, left }) => {
      // What a draining host has takes no room of the others.
      if (host === null || !drainingNames.has(host)) taken += lanesTaken(left, this.#concurrency);
    });
    return lanesFor(lanes, this.#chunks.size, taken);
  }

  close() {
    this.#isClosed = true;
  }
}

module.exports = { LaneCount };
