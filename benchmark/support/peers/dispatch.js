'use strict';

/**
 * Calls over message ports, as one would write it by hand: each call has a number, goes to the worker with the fewest
 * under way, and is settled by the answer with that number.
 *
 * Only for comparison: it has no time limits and no restarts, and any error of a worker makes it fail.
 */

class Dispatcher {
  /**
   * @param {((message: { id: number, item: any }, extra?: any) => unknown)[]} senders one per worker
   * @param {number} [depth] how many calls one worker has under way; the others wait here
   */
  constructor(senders, depth = Infinity) {
    this.senders = senders;
    this.depth = depth;
    this.underWay = senders.map(() => 0);
    /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
    this.pending = new Map();
    /** @type {{ id: number, item: any, extra: any }[]} */
    this.waiting = [];
    this.head = 0;
    this.nextId = 0;
    /** @type {Error | undefined} */
    this.broken = undefined;
  }

  /** @param {any} item @param {any} [extra] the sender's further argument */
  call(item, extra) {
    return new Promise((resolve, reject) => {
      if (this.broken) {
        reject(this.broken);
        return;
      }
      const id = this.nextId;
      this.nextId += 1;
      this.pending.set(id, { resolve, reject });
      const worker = this.underWay.indexOf(Math.min(...this.underWay));
      if (this.underWay[worker] < this.depth) this.#send(worker, { id, item, extra });
      else this.waiting.push({ id, item, extra });
    });
  }

  /** @param {number} worker @param {{ id: number, result: any }} answer */
  settle(worker, { id, result }) {
    this.underWay[worker] -= 1;
    const call = this.pending.get(id);
    this.pending.delete(id);
    if (this.head < this.waiting.length) {
      this.#send(worker, this.waiting[this.head]);
      this.head += 1;
      if (this.head === this.waiting.length) {
        this.waiting = [];
        this.head = 0;
      }
    }
    call?.resolve(result);
  }

  /** @param {Error} error */
  fail(error) {
    this.broken = error;
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  /** @param {number} worker @param {{ id: number, item: any, extra: any }} call */
  #send(worker, { id, item, extra }) {
    this.underWay[worker] += 1;
    this.senders[worker]({ id, item }, extra);
  }
}

module.exports = { Dispatcher };
