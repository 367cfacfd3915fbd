'use strict';

/**
 * `serve()`: a host, which takes the chunks of an engine's queue and runs them here.
 *
 * It holds the event loop while it serves, and installs no signal handler. Must not depend on what a chunk is.
 */

const { randomBytes } = require('node:crypto');
const { setTimeout } = require('../intrinsics/clock');
const { FORMAT } = require('../remote/chunk-bytes');
const { LANES_PER_SLOT } = require('../remote/host-watch');
const { noAddonError } = require('../remote/remote-errors');
const { ChunkServer } = require('./chunk-server');
const { serveOptions } = require('./serve-options');

/** How many processes are known to whoever kills them when the lease is lost. */
const MAX_PIDS = 4096;
/** How often their list is brought up to date, in milliseconds. */
const PIDS_INTERVAL = 250;

/** @typedef {import('../remote/engine').HostLink} HostLink */

class Host {
  #engine;
  #server;
  /** @type {HostLink} */
  #link;
  #pids = new Int32Array(new SharedArrayBuffer(MAX_PIDS * Int32Array.BYTES_PER_ELEMENT));
  #isOpen = true;
  /** @type {Promise<void> | null} */
  #closed = null;
  #onIdle = () => {};
  /** @type {string | null} */
  #problem = null;

  /** @param {ReturnType<typeof serveOptions>} options */
  constructor({ engine, host }) {
    this.#engine = engine;
    this.#server = new ChunkServer(host, () => this.#link.hasRoom?.());
    const { name, slots, lease } = host;
    const listen = /** @type {NonNullable<typeof engine.listen>} */ (engine.listen);
    this.#link = Reflect.apply(listen, engine, [{
      host: {
        id: `${name}-${process.pid}-${randomBytes(6).toString('hex')}`,
        name,
        slots,
        lanes: LANES_PER_SLOT * slots,
        sharesLanes: engine.sharesLanes === true,
        format: FORMAT.major,
      },
      lease,
      pids: this.#pids,
      lanes: () => this.#server.lanes,
      deliver: (/** @type {import('../remote/engine').Delivery} */ delivery) => {
        this.#server.take(delivery).finally(() => {
          if (this.#server.size === 0) this.#onIdle();
        });
      },
      cancelled: (/** @type {string} */ id, /** @type {Uint8Array} */ message) => this.#server.hear(id, message),
      dropped: (/** @type {string} */ id) => this.#server.drop(id),
      orphaned: (/** @type {string} */ id) => this.#server.orphan(id),
      leaseLost: (/** @type {string} */ why) => {
        this.#problem = why;
        void this.#server.loseAll();
      },
      failed: (/** @type {Error} */ error) => (this.#problem = error.message),
    }]);
    this.#listPids();
  }

  /** Also what holds the event loop. */
  #listPids() {
    if (!this.#isOpen) return;
    const pids = this.#server.pids().slice(0, MAX_PIDS);
    for (let i = 0; i < MAX_PIDS && (i < pids.length || this.#pids[i] !== 0); i++) {
      Atomics.store(this.#pids, i, pids[i] ?? 0);
    }
    setTimeout(() => this.#listPids(), PIDS_INTERVAL);
  }

  /** @returns {Promise<void>} */
  ready() {
    return this.#link.ready();
  }

  /** Takes nothing more, and resolves when what it has is finished. @returns {Promise<void>} */
  close() {
    return (this.#closed ??= this.#drain());
  }

  async #drain() {
    try {
      this.#link.pause();
    } catch (error) {
      this.#problem = String(error);
    }
    // Whatever the engine makes of it: the workers are to end, and nothing holds the event loop.
    try {
      while (this.#server.size > 0) await new Promise((resolve) => (this.#onIdle = () => resolve(undefined)));
      await this.#link.close();
    } finally {
      await this.#server.close();
      this.#isOpen = false;
    }
  }

  /** Ends at once: what it has is lost. @returns {Promise<void>} */
  async terminate() {
    this.#isOpen = false;
    try {
      this.#link.terminate();
    } finally {
      await this.#server.terminate();
    }
  }

  stats() {
    return { engine: this.#engine.name, ...this.#server.stats(), problem: this.#problem };
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

/**
 * @param {unknown} options see `ServeOptions` in index.d.ts
 * @returns {Promise<Host>}
 */
async function serve(options) {
  const { reason } = /** @type {{ reason?: string }} */ (require('../native/native'));
  if (reason !== undefined) throw noAddonError(reason);
  const host = new Host(serveOptions(options));
  try {
    await host.ready();
  } catch (error) {
    await host.terminate().catch(() => {});
    throw error;
  }
  return host;
}

module.exports = { serve };
