'use strict';

/**
 * What a host does with the chunks that it is given, whatever brings them: opens them, runs their calls on its pools,
 * sends back what becomes of these. `serve()` gives it the chunks of a queue, a function of AWS Lambda those that it is
 * invoked with.
 *
 * Must not depend on engines.
 */

const { withFields } = require('../errors');
const { wallTime } = require('../intrinsics/clock');
const { fromJson } = require('../intrinsics/json');
const { CHUNK, FRAME, MESSAGE, Seal, packFrame, readChunk } = require('../remote/chunk-bytes');
const { LANES_PER_SLOT, lanesFor } = require('../remote/host-watch');
const { refusals } = require('../remote/refusal');
const { remoteProtocolError } = require('../remote/remote-errors');
const { REPLY } = require('../transport/constants');
const { ChunkRun, NoPlace } = require('./chunk-run');
const { HeardMessages } = require('./heard-messages');
const { HostPools } = require('./host-pools');

/** How old a signed chunk may be, in milliseconds: older ones may be sent again by whoever has kept them. */
const MAX_AGE = 10 * 60_000;
/** So many chunks are remembered, so that none of them is run again. */
const MAX_REMEMBERED = 100_000;

/** @typedef {import('../remote/engine').Delivery} Delivery */
/** @typedef {Pick<InstanceType<typeof ChunkRun>,
 *   'abort' | 'counts' | 'demand' | 'lanesTaken' | 'orphan' | 'whenQuiet' | 'withdraw'>} Run */
/** @typedef {{ run: Run, heard: InstanceType<typeof HeardMessages>, done: Promise<void> }} Running */

class ChunkServer {
  #options;
  #onRoom;
  #seal;
  #pools;
  /** @type {Map<string, Running>} By the id of the chunk. */
  #running = new Map();
  /** @type {Set<string>} */
  #seen = new Set();
  #counts = { done: 0, returned: 0, lost: 0 };
  #calls = { done: 0, failed: 0 };

  /**
   * @param {Readonly<import('./serve-options').HostOptions>} options
   * @param {() => void} [onRoom] `lanes` may be more than it was, although no chunk has ended
   */
  constructor(options, onRoom = () => {}) {
    this.#options = options;
    this.#onRoom = onRoom;
    this.#seal = new Seal(options.secret);
    this.#pools = new HostPools(options);
  }

  /**
   * Runs a chunk. Resolves when it has ended, one way or another.
   * @param {Delivery} delivery
   * @returns {Promise<void>}
   */
  async take(delivery) {
    let running;
    try {
      running = this.#open(delivery);
    } catch (error) {
      this.#counts.returned++;
      await end(delivery, { kind: 'returned', why: `was not taken by a host: ${String(error)}` });
      return;
    }
    const { id } = delivery;
    this.#running.set(id, running);
    try {
      await running.done;
      this.#counts.done++;
      await end(delivery, { kind: 'done' });
    } catch (error) {
      if (error instanceof NoPlace) {
        this.#counts.returned++;
        const why = `was not begun by a host: ${error.message}`;
        await end(delivery, { kind: 'returned', why, isBusy: true });
      } else {
        this.#counts.lost++;
        // A frame was not accepted, and nothing more comes. Its producer takes a chunk that is done, and has calls
        // without an answer, for lost; and nobody keeps it for this host any longer.
        await end(delivery, { kind: 'done' });
      }
    } finally {
      this.#running.delete(id);
      const { done, failed } = running.run.counts;
      this.#calls.done += done;
      this.#calls.failed += failed;
    }
  }

  /** @param {Delivery} delivery @returns {Running} */
  #open(delivery) {
    const { header, init, initParts, parts } = readChunk(this.#seal.open(CHUNK, delivery.id, 0, delivery.bytes));
    this.#remember(delivery.id, header.sent);
    let frames = 0;
    const send = (/** @type {number} */ kind, /** @type {number} */ seq, /** @type {number} */ aux,
      /** @type {import('../codec/parts').Parts} */ reply) => {
      const frame = this.#seal.seal(FRAME, delivery.id, frames, [packFrame(kind, 0, seq, aux, reply)]);
      const accepted = delivery.reply(Buffer.concat(frame));
      // Not if it could not be written: whoever has the other frames counts them.
      frames++;
      return accepted;
    };
    const { name, slots } = this.#options;
    return startRun(this.#pools, { header, init, initParts, parts }, {
      slots, host: name, send, onRoom: this.#onRoom,
    });
  }

  /** @param {string} id @param {number} sent */
  #remember(id, sent) {
    if (this.#options.secret === null) return;
    if (this.#seen.has(id)) throw remoteProtocolError('a chunk that was sent before');
    if (Math.abs(wallTime() - Number(sent)) > MAX_AGE) {
      throw remoteProtocolError('a chunk that is too old, or from a machine whose clock differs by minutes');
    }
    this.#seen.add(id);
    if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(/** @type {string} */ (this.#seen.values().next().value));
  }

  /** The producer of a chunk has something to say. @param {string} id @param {Uint8Array} message */
  hear(id, message) {
    const running = this.#running.get(id);
    if (running === undefined) return;
    running.heard.take(this.#seal.claimedNumber(message), (number) => {
      const said = fromJson(this.#seal.open(MESSAGE, id, number, message).toString());
      if ('taken' in said) running.run.demand(said);
      else running.run.withdraw(said);
    });
  }

  /** Nobody wants a chunk any more. @param {string} id */
  drop(id) {
    this.#running.get(id)?.run.abort(new Error('nobody wants the chunk any more'));
  }

  /** The producer of a chunk is gone. @param {string} id */
  orphan(id) {
    this.#running.get(id)?.run.orphan();
  }

  /** All chunks are lost to others: whatever still runs of them is killed. */
  async loseAll() {
    this.#running.forEach(({ run }) => run.abort(new Error('this host has lost its lease')));
    await this.#pools.terminate();
  }

  /** How many chunks it takes at once, besides those that are for it alone, by what those have left that it has. */
  get lanes() {
    let [chunks, taken] = [0, 0];
    this.#running.forEach(({ run: { lanesTaken } }) => {
      if (lanesTaken === null) return;
      chunks++;
      taken += lanesTaken;
    });
    return lanesFor(LANES_PER_SLOT * this.#options.slots, chunks, taken);
  }

  /** How many chunks it has. */
  get size() {
    return this.#running.size;
  }

  pids() {
    return this.#pools.pids();
  }

  stats() {
    const { done, failed } = [...this.#running.values()].reduce(
      (sum, { run }) => ({ done: sum.done + run.counts.done, failed: sum.failed + run.counts.failed }), this.#calls);
    const { name, slots } = this.#options;
    return { name, slots, chunks: { running: this.size, ...this.#counts }, done, failed, ...this.#pools.stats() };
  }

  /** For when it has no chunks any more. */
  async close() {
    await this.#pools.close();
  }

  async terminate() {
    await this.loseAll();
  }
}

/**
 * Runs a chunk; its pool is given back at the end.
 * @param {InstanceType<typeof HostPools>} pools @param {ReturnType<typeof readChunk>} chunk
 * @param {Omit<import('./chunk-run').RunContext, 'entry' | 'taskOf'>} context
 * @returns {Running}
 */
function startRun(pools, { header, init, initParts, parts }, context) {
  let entry;
  try {
    entry = pools.take(header.pool, init, initParts);
  } catch (error) {
    return refuse(parts, context, withFields(/** @type {Error} */ (error), { host: context.host }));
  }
  const taken = entry;
  const taskOf = (/** @type {import('../remote/chunk-bytes').Definition} */ definition) => pools.task(definition);
  const run = new ChunkRun(header, parts, { ...context, entry: taken, taskOf });
  const done = run.run().finally(() => void run.whenQuiet().finally(() => pools.giveBack(taken)));
  return { run, heard: new HeardMessages(), done };
}

/**
 * Has all calls of a chunk fail.
 * @param {import('../codec/parts').Parts} parts
 * @param {Pick<import('./chunk-run').RunContext, 'send'>} context @param {Error} error
 * @returns {Running}
 */
function refuse(parts, { send }, error) {
  const counts = { done: 0, failed: 0 };
  const sending = refusals(parts, error).map(({ offset, calls, parts: reply }) => {
    counts.failed += calls;
    return send(REPLY, offset, 0, reply);
  });
  const run = { counts, lanesTaken: 1, withdraw() {}, demand() {}, orphan() {}, abort() {}, whenQuiet: async () => {} };
  return { run, heard: new HeardMessages(), done: Promise.all(sending).then(() => {}) };
}

/**
 * Says the last of a chunk. Where that fails, its producer learns of it from the engine.
 * @param {Delivery} delivery @param {Parameters<Delivery['end']>[0]} how
 */
async function end(delivery, how) {
  try {
    await delivery.end(how);
  } catch {
    // The chunk was lost, or dropped; or the engine breaks its promise.
  }
}

module.exports = { ChunkServer };
