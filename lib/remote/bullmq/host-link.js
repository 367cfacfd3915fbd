'use strict';

/**
 * A host's connection: takes jobs of the queue, and sends frames into the streams of their producers.
 *
 * 1. Jobs are fetched by hand, as many as there are lanes. A job that was taken before, by anybody, is not taken
 *    again, whatever the queue thinks of it; nor is one whose lock is lost, since its producer may have seen that.
 *    Chunks that are for this host alone are in a list of its own, and are no jobs: it makes their locks itself.
 * 2. What a producer has to say comes through a channel, and is for whoever has the chunk.
 * 3. The locks of its jobs are renewed by a thread, which also watches that this succeeds.
 * 4. A fetch that fails, or never comes back after Redis was away, is tried again on a new worker.
 *
 * Must not depend on what a chunk is.
 */

const { randomBytes } = require('node:crypto');
const { atMost, setTimeout, sleep } = require('../../intrinsics/clock');
const { FORMAT } = require('../chunk-bytes');
const { Lease } = require('./lease');
const {
  ADDRESSED, DONE, DROPPED, FRAME, MESSAGE, RETURNED, TAKEN_FOR, connect, execute, keysOf, note, numbered, readNote,
} = require('./redis');

/** How long frames are kept for a producer that does not renew them, in milliseconds. */
const REPLIES_FOR = 10 * 60_000;
/** How long a fetch waits for a job, in seconds. */
const FETCH_BLOCK = 2;
/** The wait after an error of the connection, in milliseconds. */
const PAUSE = 100;
/** How often jobs are looked for whose host is gone, and whose producer is as well, in milliseconds. */
const STALLED_INTERVAL = 30_000;
/** How often it is looked whether the producers of chunks live, and for chunks of its own, in milliseconds. */
const LOOK_INTERVAL = 1000;

/** @typedef {import('../engine').HostSide} HostSide */
/**
 * @typedef {object} Taken
 * @property {any} job null for what is for this host alone
 * @property {string} producerId
 * @property {boolean} isEnded
 * @property {number} frames that were sent of it
 */

class HostLink {
  #settings;
  #side;
  #keys;
  #client;
  #listener;
  #lease;
  #failed;
  #token = randomBytes(12).toString('hex');
  /** @type {any} BullMQ's. */
  #worker;
  /** @type {Map<string, Taken>} */
  #taken = new Map();
  /** How many of them have come from the queue. */
  #fromQueue = 0;
  #isTakingOwn = false;
  #isOwnDue = false;
  #isPaused = false;
  #isClosed = false;
  #onRoom = () => {};
  /** @type {Promise<void>} */
  #fetching;

  /** @param {Readonly<import('./options').Settings>} settings @param {HostSide} side */
  constructor(settings, side) {
    this.#settings = settings;
    this.#side = side;
    this.#keys = keysOf(settings, FORMAT.major);
    this.#failed = (/** @type {Error} */ error) => {
      if (!this.#isClosed) side.failed(error);
    };
    this.#client = connect(settings, this.#failed);
    this.#listener = connect(settings, this.#failed);
    this.#worker = this.#makeWorker();
    const announcement = JSON.stringify(side.host);
    const { id } = side.host;
    const host = { id, key: this.#keys.host(id), token: this.#token, announcement, pids: side.pids };
    this.#lease = new Lease(settings, this.#keys, { lease: side.lease, producer: null, host }, {
      failed: this.#failed,
      lost: (chunkId) => this.#drop(chunkId),
      leaseLost: (why) => this.#leaseLost(why),
    });
    this.#listener.on('messageBuffer', (_channel, bytes) => this.#said(bytes));
    this.#listener.subscribe(this.#keys.say).catch(this.#failed);
    this.#fetching = this.#fetch();
    void this.#look();
  }

  #makeWorker() {
    const { Worker } = require('bullmq');
    const worker = new Worker(this.#keys.name, null, {
      connection: /** @type {any} */ (this.#client),
      prefix: this.#settings.prefix,
      autorun: false,
      lockDuration: this.#side.lease,
      skipLockRenewal: true,
      stalledInterval: STALLED_INTERVAL,
      maxStalledCount: 0,
      drainDelay: FETCH_BLOCK,
    });
    worker.on('error', this.#failed);
    worker.startStalledCheckTimer().catch(this.#failed);
    return worker;
  }

  // ---- Taking -------------------------------------------------------------------------------------------

  async #fetch() {
    const { lanes = 2 * this.#side.host.slots } = this.#side.host;
    const hasRoom = () => this.#fromQueue < (this.#side.lanes?.() ?? lanes);
    await this.#lease.ready;
    while (!this.#isPaused) {
      if (!hasRoom()) {
        await new Promise((resolve) => (this.#onRoom = () => resolve(undefined)));
        continue;
      }
      try {
        const job = await this.#worker.getNextJob(this.#token);
        if (job !== undefined && job !== null) await this.#take(job.id, String(job.data?.producer), job);
      } catch (error) {
        if (this.#isPaused) return;
        this.#failed(/** @type {Error} */ (error));
        await sleep(PAUSE);
      }
    }
  }

  /** Takes what is for this host alone; also while it drains, as that was sent before it was seen to. */
  async #takeOwn() {
    this.#isOwnDue = true;
    if (this.#isTakingOwn) return;
    this.#isTakingOwn = true;
    const key = this.#keys.only(this.#side.host.id);
    try {
      await this.#lease.ready;
      while (this.#isOwnDue && !this.#isClosed) {
        this.#isOwnDue = false;
        for (const text of await this.#client.lrange(key, 0, -1)) {
          const [id, producerId] = JSON.parse(text).map(String);
          if (!this.#taken.has(id)) await this.#take(id, producerId, null);
          // Only now: the answer to a command that removes it might be lost.
          await this.#client.lrem(key, 1, text);
        }
      }
    } catch {
      // The connection is being tried again, and so is this.
    }
    this.#isTakingOwn = false;
  }

  /** @param {string} id @param {string} producerId @param {any} job */
  async #take(id, producerId, job) {
    // A job's lock is there already; without one, the thread would have the chunk for lost.
    if (job !== null) this.#lease.taken(id);
    const bytes = await this.#claim(id, producerId, job === null);
    if (job === null) this.#lease.taken(id);
    if (bytes === null || this.#isClosed) {
      // It was taken before, was released, or its producer is gone.
      await this.#finish(id, job);
      return;
    }
    /** @type {Taken} */
    const taken = { job, producerId, isEnded: false, frames: 0 };
    this.#taken.set(id, taken);
    if (job !== null) this.#fromQueue++;
    this.#client.del(this.#keys.chunk(id)).catch(() => {});
    this.#side.deliver({
      id,
      bytes,
      reply: (frame) => this.#reply(id, taken, note(FRAME, id, numbered(taken.frames++, frame))),
      end: (end) => this.#end(id, taken, end),
    });
  }

  /**
   * Marks a chunk as taken. What goes wrong is tried again: a job that is neither claimed nor finished would be
   * nobody's. (A lock that is lost never comes back: whoever has it after that has had it before.)
   * @param {string} id @param {string} producerId @param {boolean} isOwn whether it has no lock yet
   * @returns {Promise<Buffer | null>} its bytes; `null`: it is not to be run
   */
  async #claim(id, producerId, isOwn) {
    const { host, lease } = this.#side;
    while (!this.#isClosed) {
      try {
        const claim = this.#client.pipeline()
          .set(this.#keys.taken(id), host.name, 'PX', Math.max(TAKEN_FOR, lease), 'NX')
          .getBuffer(this.#keys.chunk(id))
          .exists(this.#keys.producer(producerId));
        if (isOwn) claim.set(this.#keys.lock(id), this.#token, 'PX', lease);
        claim.get(this.#keys.lock(id));
        const answers = await execute(claim);
        const [isFirst, bytes, producer] = answers;
        const isLocked = answers[answers.length - 1] === this.#token;
        return isFirst === null || producer === 0 || !isLocked ? null : bytes;
      } catch (error) {
        this.#failed(/** @type {Error} */ (error));
        await sleep(PAUSE);
      }
    }
    return null;
  }

  /** @param {string} id @param {any} job */
  async #finish(id, job) {
    this.#lease.ended(id);
    const finished = job === null ? this.#client.del(this.#keys.lock(id)) : job.moveToCompleted('', this.#token, false);
    await finished.catch(() => {});
  }

  // ---- Answering ----------------------------------------------------------------------------------------

  /** @param {string} id @param {Taken} taken @param {Buffer} bytes */
  async #reply(id, taken, bytes) {
    if (taken.isEnded || this.#isClosed) throw new Error(`the chunk ${id} has ended`);
    const key = this.#keys.replies(taken.producerId);
    await execute(this.#client.pipeline().xadd(key, '*', 'n', bytes).pexpire(key, REPLIES_FOR));
  }

  /**
   * @param {string} id @param {Taken} taken
   * @param {{ kind: 'done' } | { kind: 'returned', why: string, isBusy?: boolean }} end
   */
  async #end(id, taken, end) {
    const rest = end.kind === 'done' ? Buffer.alloc(0)
      : Buffer.from(JSON.stringify({ why: end.why, host: this.#side.host.name, isBusy: end.isBusy }));
    try {
      await this.#reply(id, taken, note(end.kind === 'done' ? DONE : RETURNED, id, rest));
    } finally {
      this.#leave(id, taken);
    }
  }

  /** @param {string} id @param {Taken} taken */
  #leave(id, taken) {
    taken.isEnded = true;
    if (this.#taken.get(id) !== taken) return;
    this.#taken.delete(id);
    if (taken.job !== null) this.#fromQueue--;
    void this.#finish(id, taken.job);
    this.#onRoom();
  }

  // ---- What is heard ------------------------------------------------------------------------------------

  /** @param {Buffer} bytes */
  #said(bytes) {
    const { kind, chunkId, rest } = readNote(bytes);
    if (kind === ADDRESSED && rest.toString() === this.#side.host.id) void this.#takeOwn();
    if (!this.#taken.has(chunkId)) return;
    if (kind === MESSAGE) this.#side.cancelled(chunkId, Buffer.from(rest));
    else if (kind === DROPPED) this.#drop(chunkId);
  }

  /** @param {string} chunkId */
  #drop(chunkId) {
    const taken = this.#taken.get(chunkId);
    if (taken === undefined) return;
    this.#leave(chunkId, taken);
    this.#side.dropped(chunkId);
  }

  /** @param {string} why */
  #leaseLost(why) {
    if (this.#isClosed) return;
    [...this.#taken].forEach(([id, taken]) => this.#leave(id, taken));
    this.#side.leaseLost(why);
  }

  /**
   * Looks for chunks that are for this host alone, and says which have lost their producer: its key expires when it has
   * been silent for too long.
   */
  async #look() {
    /** @type {Set<string>} Twice in a row: a server that has lost its data is told again within a second. */
    let missing = new Set();
    while (!this.#isClosed) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL).unref());
      void this.#takeOwn();
      const ids = [...new Set([...this.#taken.values()].map(({ producerId }) => producerId))];
      if (ids.length === 0) continue;
      try {
        const pipeline = this.#client.pipeline();
        ids.forEach((id) => pipeline.exists(this.#keys.producer(id)));
        const found = await execute(pipeline);
        const gone = ids.filter((_, i) => found[i] === 0);
        const orphaned = gone.filter((id) => missing.has(id));
        missing = new Set(gone);
        this.#taken.forEach(({ producerId }, chunkId) => {
          if (orphaned.includes(producerId)) this.#side.orphaned?.(chunkId);
        });
      } catch {
        // The connection is being tried again.
        missing = new Set();
      }
    }
  }

  // ---- The whole ----------------------------------------------------------------------------------------

  /** @returns {Promise<void>} */
  ready() {
    return this.#lease.ready;
  }

  hasRoom() {
    this.#onRoom();
  }

  pause() {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#lease.announce(JSON.stringify({ ...this.#side.host, slots: 0, lanes: 0 }));
    this.#onRoom();
    // A fetch that waits ends; what it has just got is finished like the rest.
    void this.#worker.close(true).catch(() => {});
  }

  async close() {
    this.pause();
    this.#isClosed = true;
    await atMost(this.#fetching, FETCH_BLOCK * 1000);
    // What was sent to it since is not for anybody else, and ends with its announcement.
    this.#client.del(this.#keys.only(this.#side.host.id)).catch(() => {});
    await this.#lease.close();
    this.#disconnect();
  }

  terminate() {
    if (this.#isClosed) return;
    this.#isPaused = true;
    this.#isClosed = true;
    this.#onRoom();
    this.#lease.terminate();
    this.#disconnect();
    void this.#worker.close(true).catch(() => {});
  }

  #disconnect() {
    this.#client.disconnect();
    this.#listener.disconnect();
  }
}

module.exports = { HostLink };
