'use strict';

/**
 * The thread that says that a producer or a host lives, as the main thread sees it.
 *
 * Must not depend on what a chunk is.
 */

const { Worker } = require('node:worker_threads');
const { clearTimeout, setTimeout } = require('../../intrinsics/clock');
const { LEASE_SCRIPT } = require('./lease-thread');

/** How often a lease is renewed while it lasts. */
const RENEWALS = 6;
/** No less often than this, in milliseconds. */
const MAX_INTERVAL = 300;
/** How often a producer says that it lives, in milliseconds. */
const PRODUCER_INTERVAL = 1000;

class Lease {
  #thread;
  /** @type {Promise<void>} */
  ready;
  /** @type {Promise<void>} Its end, which may come before anybody asks for it. */
  #ended;

  /**
   * @param {Readonly<import('./options').Settings>} settings @param {import('./redis').Keys} keys
   * @param {Pick<import('./lease-thread').LeaseData, 'lease' | 'producer' | 'host'>} data
   * @param {{ lost?: (chunkId: string) => void, leaseLost?: (why: string) => void, failed: (error: Error) => void }} on
   */
  constructor({ connection, cluster }, { hosts, jobs }, data, on) {
    const interval = data.host === null ? Math.min(PRODUCER_INTERVAL, Number(data.producer?.timeout) / RENEWALS)
      : Math.min(MAX_INTERVAL, data.lease / RENEWALS);
    const workerData = { ioredis: require.resolve('ioredis'), connection, cluster, hosts, jobs, interval, ...data };
    // Flags of the parent, such as those of a test runner, are not for it.
    this.#thread = new Worker(LEASE_SCRIPT, { eval: true, workerData, execArgv: [] });
    this.ready = new Promise((resolve) => {
      this.#thread.on('message', (message) => {
        if (message.ready === true) resolve();
        if (message.lost !== undefined) on.lost?.(message.lost);
        if (message.leaseLost !== undefined) on.leaseLost?.(message.leaseLost);
      });
    });
    this.#thread.on('error', (error) => {
      on.failed(error);
      on.leaseLost?.(`the thread that renews the lease has failed: ${error.message}`);
    });
    this.#ended = new Promise((resolve) => this.#thread.once('exit', () => resolve()));
    // Last: who listens holds the loop.
    this.#thread.unref();
  }

  /** @param {string} chunkId */
  taken(chunkId) {
    this.#thread.postMessage({ taken: chunkId });
  }

  /** @param {string} chunkId */
  ended(chunkId) {
    this.#thread.postMessage({ ended: chunkId });
  }

  /** @param {string} announcement */
  announce(announcement) {
    this.#thread.postMessage({ announcement });
  }

  /** Resolves once it is known that this one is gone, or cannot be made known. @returns {Promise<void>} */
  close() {
    this.#thread.ref();
    this.#thread.postMessage({ close: true });
    // Where Redis is not there, nobody can be told.
    const timer = setTimeout(() => void this.#thread.terminate(), 1000);
    return this.#ended.then(() => clearTimeout(timer));
  }

  /** Ends it at once, as the loss of a machine would. */
  terminate() {
    void this.#thread.terminate();
  }
}

module.exports = { Lease };
