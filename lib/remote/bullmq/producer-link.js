'use strict';

/**
 * A producer's connection: chunks become jobs of the queue, frames come through a stream of the producer's own.
 *
 * 1. A job has no more in it than the names of its chunk and producer; the bytes have a key of their own. A chunk that
 *    is for one host alone is no job: its name is in a list of that host's.
 * 2. Frames are read from the stream in order, from where they were last read: a connection that breaks loses none.
 * 3. Once in a second each chunk in flight is looked at. One whose job is gone, or whose host has fetched or taken
 *    it and lost its lock, is lost. That is written into the stream, behind everything that was accepted of it, and
 *    holds once it is read there. (A stream that has lost its entries with its server is read from its beginning
 *    again.)
 *
 * Must not depend on what a chunk is.
 */

const { atMost, now, setTimeout, sleep } = require('../../intrinsics/clock');
const { FORMAT } = require('../chunk-bytes');
const { Lease } = require('./lease');
const {
  ADDRESSED, DONE, DROPPED, FRAME, LOST, MESSAGE, TAKEN_FOR, connect, execute, keysOf, note, readNote,
} = require('./redis');

/** How often chunks and hosts are looked at, in milliseconds. */
const LOOK_INTERVAL = 500;
/** How long a read of the stream waits, and so the longest that a stream that began anew is not noticed, in ms. */
const READ_BLOCK = 2000;
const MAX_READ = 256;
/** How many times `producerTimeout` the bytes of a chunk are kept; they are renewed for as long as it waits. */
const CHUNK_LIFETIMES = 4;
/** The wait after an error of the connection, in milliseconds. */
const PAUSE = 100;
/** What BullMQ adds to a job when a worker fetches it, together with its lock. */
const FETCHED = 'processedOn';

/** @typedef {import('../engine').ProducerSide} ProducerSide */
/** @typedef {import('../engine').ChunkEnd} ChunkEnd */
/**
 * @typedef {object} InFlight
 * @property {boolean} isSent
 * @property {boolean} isSuspect
 * @property {string | null} only the only host that it is for
 * @property {boolean} isOffered whether a host may have heard of it
 * @property {number} frames that were received of it
 */

class ProducerLink {
  #side;
  #keys;
  #client;
  #reader;
  #listener;
  #queue;
  #lease;
  /** @type {Map<string, InFlight>} */
  #chunks = new Map();
  #isClosed = false;
  #position = '0-0';
  #shownHosts = '[]';

  /** @param {Readonly<import('./options').Settings>} settings @param {ProducerSide} side */
  constructor(settings, side) {
    this.#side = side;
    this.#keys = keysOf(settings, FORMAT.major);
    const failed = (/** @type {Error} */ error) => {
      if (!this.#isClosed) side.failed(error);
    };
    this.#client = connect(settings, failed);
    this.#reader = connect(settings, failed);
    this.#listener = connect(settings, failed);
    const { Queue } = require('bullmq');
    this.#queue = new Queue(this.#keys.name, {
      connection: /** @type {any} */ (this.#client), prefix: settings.prefix, skipMetasUpdate: true,
    });
    this.#queue.on('error', failed);
    const { producerId, producerTimeout: timeout } = side;
    const producer = { key: this.#keys.producer(producerId), replies: this.#keys.replies(producerId), timeout };
    this.#lease = new Lease(settings, this.#keys, { lease: side.lease, producer, host: null }, { failed });
    void this.#read();
    void this.#look();
    this.#listener.subscribe(this.#keys.hosts).catch(failed);
    this.#listener.on('message', () => void this.#lookForHosts().catch(() => {}));
    void this.#checkPolicy().catch(() => {});
  }

  /** Says so where Redis may throw away what is in flight. */
  async #checkPolicy() {
    const memory = await this.#client.info('memory');
    const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1] ?? 'noeviction';
    if (policy === 'noeviction') return;
    const problem = `Redis evicts keys (maxmemory-policy is ${policy}), and may lose what is in flight: set noeviction`;
    process.emitWarning(problem, { type: 'ParallelizerWarning', code: 'PARALLELIZER_EVICTION' });
  }

  // ---- Sending ------------------------------------------------------------------------------------------

  /** @param {{ id: string, parts: readonly Uint8Array[], host?: string }} chunk */
  send({ id, parts, host = undefined }) {
    /** @type {InFlight} */
    const chunk = { isSent: false, isSuspect: false, isOffered: false, only: host ?? null, frames: 0 };
    this.#chunks.set(id, chunk);
    this.#add(id, Buffer.concat(parts), chunk).then(
      () => (chunk.isSent = true),
      (error) => this.#end(id, {
        kind: chunk.isOffered ? 'lost' : 'returned', why: `could not be sent: ${error.message}`,
      }),
    );
  }

  /** @param {string} id @param {Buffer} bytes @param {InFlight} chunk */
  async #add(id, bytes, chunk) {
    const { only } = chunk;
    const { producerId, producerTimeout } = this.#side;
    await execute(this.#client.pipeline()
      // The thread that says so has yet to start.
      .set(this.#keys.producer(producerId), '1', 'PX', producerTimeout)
      .set(this.#keys.chunk(id), bytes, 'PX', producerTimeout * CHUNK_LIFETIMES));
    if (!this.#chunks.has(id)) return;
    chunk.isOffered = true;
    if (only !== null) {
      const key = this.#keys.only(only);
      const list = this.#client.pipeline().rpush(key, JSON.stringify([id, producerId]));
      await execute(list.pexpire(key, producerTimeout * CHUNK_LIFETIMES));
      // It looks there from time to time as well.
      this.#client.publish(this.#keys.say, note(ADDRESSED, '', Buffer.from(only))).catch(() => {});
      return;
    }
    await this.#queue.add('chunk', { producer: producerId }, {
      jobId: id, attempts: 1, removeOnComplete: true, removeOnFail: true,
    });
  }

  /** @param {string} id @param {Uint8Array} message */
  cancel(id, message) {
    this.#client.publish(this.#keys.say, note(MESSAGE, id, message)).catch(() => {});
  }

  /** @param {string} id */
  release(id) {
    if (!this.#chunks.delete(id)) return;
    this.#discard(id).catch(() => {});
  }

  /** @param {string} id */
  async #discard(id) {
    await this.#client.del(this.#keys.chunk(id));
    await this.#client.publish(this.#keys.say, note(DROPPED, id));
    // Only if nobody has it: else its host ends it.
    await this.#queue.remove(id).catch(() => {});
  }

  // ---- Receiving ----------------------------------------------------------------------------------------

  async #read() {
    const key = this.#keys.replies(this.#side.producerId);
    while (!this.#isClosed) {
      try {
        const found = await this.#reader.xreadBuffer(
          'COUNT', MAX_READ, 'BLOCK', READ_BLOCK, 'STREAMS', key, this.#position,
        );
        if (found === null || this.#isClosed) continue;
        const [[, entries]] = /** @type {[Buffer, [Buffer, Buffer[]][]][]} */ (/** @type {unknown} */ (found));
        entries.forEach(([position, [, bytes]]) => {
          this.#position = position.toString();
          this.#received(bytes);
        });
        this.#client.xdel(key, ...entries.map(([position]) => position)).catch(() => {});
      } catch {
        if (this.#isClosed) return;
        await sleep(PAUSE);
      }
    }
  }

  /** @param {Buffer} bytes */
  #received(bytes) {
    const { kind, chunkId, rest } = readNote(bytes);
    const chunk = this.#chunks.get(chunkId);
    if (chunk === undefined) {
      if (kind === FRAME) this.#side.late(1);
      return;
    }
    if (kind === FRAME) this.#receivedFrame(chunkId, chunk, rest);
    else if (kind === DONE) this.#end(chunkId, { kind: 'done' });
    else this.#end(chunkId, { kind: kind === LOST ? 'lost' : 'returned', ...JSON.parse(rest.toString()) });
  }

  /** @param {string} chunkId @param {InFlight} chunk @param {Buffer} bytes */
  #receivedFrame(chunkId, chunk, bytes) {
    const number = bytes.readUInt32LE(0);
    // It was written twice.
    if (number < chunk.frames) return;
    chunk.frames = number + 1;
    this.#side.received(chunkId, Buffer.from(bytes.subarray(4)));
  }

  /** @param {string} id @param {ChunkEnd} end */
  #end(id, end) {
    if (!this.#chunks.delete(id) || this.#isClosed) return;
    if (end.kind !== 'done') this.#discard(id).catch(() => {});
    this.#side.ended(id, end);
  }

  // ---- Looking ------------------------------------------------------------------------------------------

  async #look() {
    while (!this.#isClosed) {
      const begun = now();
      try {
        await this.#lookForHosts();
        await this.#lookAtChunks();
      } catch {
        // The connection is being tried again.
      }
      await new Promise((resolve) => {
        setTimeout(resolve, Math.max(PAUSE, LOOK_INTERVAL - (now() - begun))).unref();
      });
    }
  }

  async #lookForHosts() {
    const ids = await this.#client.smembers(this.#keys.hosts);
    const texts = ids.length === 0 ? [] : await this.#client.mget(ids.map(this.#keys.host));
    const gone = ids.filter((_, i) => texts[i] === null);
    if (gone.length > 0) this.#client.srem(this.#keys.hosts, ...gone).catch(() => {});
    const shown = JSON.stringify(texts.filter((text) => text !== null).sort());
    if (shown === this.#shownHosts || this.#isClosed) return;
    this.#shownHosts = shown;
    this.#side.hosts(JSON.parse(shown).map((/** @type {string} */ text) => JSON.parse(text)));
  }

  async #lookAtChunks() {
    const sent = [...this.#chunks].filter(([, { isSent }]) => isSent);
    if (sent.length === 0) return;
    const pipeline = this.#client.pipeline();
    const lifetime = this.#side.producerTimeout * CHUNK_LIFETIMES;
    sent.forEach(([id, { only }]) => pipeline
      .exists(only === null ? this.#keys.job(id) : this.#keys.host(only))
      .get(this.#keys.taken(id))
      .exists(this.#keys.lock(id))
      .hexists(this.#keys.job(id), FETCHED)
      .pexpire(this.#keys.chunk(id), lifetime)
      .pexpire(this.#keys.taken(id), TAKEN_FOR));
    const answers = await execute(pipeline);
    /** @type {Buffer[]} */
    const lost = [];
    sent.forEach(([id, chunk], i) => {
      const [place, host, ...rest] = answers.slice(6 * i, 6 * i + 5);
      const [lock, isFetched, bytes] = rest.map((answer) => answer === 1);
      const why = whyLost(chunk, { place: place === 1, isTaken: host !== null, lock, isFetched, bytes });
      // Twice in a row, as it may be about to end, or to be taken.
      if (why !== null && chunk.isSuspect) {
        lost.push(note(LOST, id, Buffer.from(JSON.stringify({ why, host: nameIn(host) }))));
      }
      chunk.isSuspect = why !== null;
    });
    for (const bytes of lost) {
      const written = await this.#client.xadd(this.#keys.replies(this.#side.producerId), '*', 'n', bytes);
      // The stream is another one than was read so far: of a server without the old data, whose clock is behind. What
      // the old one had is gone, so nothing is read twice.
      if (written !== null && isBefore(written, this.#position)) this.#position = '0-0';
    }
  }

  // ---- The end ------------------------------------------------------------------------------------------

  async close() {
    if (this.#isClosed) return;
    const left = [...this.#chunks.keys()];
    this.#chunks.clear();
    this.#isClosed = true;
    const farewell = Promise.allSettled(left.map((id) => this.#discard(id)));
    await atMost(farewell, 1000);
    await this.#lease.close();
    this.#reader.disconnect();
    this.#listener.disconnect();
    await this.#queue.close().catch(() => {});
    this.#client.disconnect();
  }
}

/**
 * Whether an entry of a stream stands before another one.
 * @param {string} one its id: milliseconds and a number within them @param {string} other
 */
function isBefore(one, other) {
  const [[time, number], [otherTime, otherNumber]] = [one, other].map((id) => id.split('-').map(Number));
  return time < otherTime || (time === otherTime && number < otherNumber);
}

/**
 * Why nobody will answer a chunk, by what there is of it.
 * @param {InFlight} chunk
 * @param {{ place: boolean, isTaken: boolean, lock: boolean, isFetched: boolean, bytes: boolean }} found `place`: its
 *   job, or the only host that it is for; `isFetched`: by a host that has its lock, and may not have taken it yet
 */
function whyLost({ only }, { place, isTaken, lock, isFetched, bytes }) {
  if ((isTaken || isFetched) && !lock && (place || only !== null)) return 'was lost with its host';
  if (only === null) return place ? null : 'is not known to the engine any more';
  if (isTaken) return null;
  if (!place) return 'was for this host alone, which is gone';
  return bytes ? null : 'is not known to the engine any more';
}

/** @param {unknown} taken @returns {string | undefined} */
function nameIn(taken) {
  return typeof taken === 'string' ? taken : undefined;
}

module.exports = { ProducerLink };
