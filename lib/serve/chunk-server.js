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
const { refusal } = require('../remote/refusal');
const { remoteProtocolError } = require('../remote/remote-errors');
const { CALLS_FIELD, PART_FIELDS, REPLY } = require('../transport/constants');
const { ChunkRun, NoPlace } = require('./chunk-run');
const { HostPools } = require('./host-pools');

/** How old a signed chunk may be, in milliseconds: older ones may be sent again by whoever has kept them. */
const MAX_AGE = 10 * 60_000;
/**
 * So many messages about a chunk may be missed in a row: those that were sent while nobody had it, most often, of which
 * there may be one for each of its calls, and are then said again.
 */
const MAX_MISSED = 4096;
/** So many chunks are remembered, so that none of them is run again. */
const MAX_REMEMBERED = 100_000;

/** @typedef {import('../remote/engine').Delivery} Delivery */
/** @typedef {Pick<InstanceType<typeof ChunkRun>,
 *   'abort' | 'counts' | 'demand' | 'orphan' | 'whenQuiet' | 'withdraw'>} Run */
/** @typedef {{ run: Run, messages: number, done: Promise<void> }} Running */

class ChunkServer {
  #options;
  #seal;
  #pools;
  /** @type {Map<string, Running>} By the id of the chunk. */
  #running = new Map();
  /** @type {Set<string>} */
  #seen = new Set();
  #counts = { done: 0, returned: 0, lost: 0 };
  #calls = { done: 0, failed: 0 };

  /** @param {Readonly<import('./serve-options').HostOptions>} options */
  constructor(options) {
    this.#options = options;
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
      await delivery.end({ kind: 'returned', why: `was not taken by a host: ${String(error)}` }).catch(() => {});
      return;
    }
    const { id } = delivery;
    this.#running.set(id, running);
    try {
      await running.done;
      this.#counts.done++;
      await delivery.end({ kind: 'done' }).catch(() => {});
    } catch (error) {
      if (error instanceof NoPlace) {
        this.#counts.returned++;
        const why = `was not begun by a host: ${error.message}`;
        await delivery.end({ kind: 'returned', why, isBusy: true }).catch(() => {});
      } else {
        this.#counts.lost++;
        // A frame was not accepted, and nothing more comes. Its producer takes a chunk that is done, and has calls
        // without an answer, for lost; and nobody keeps it for this host any longer.
        await delivery.end({ kind: 'done' }).catch(() => {});
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
      // Not if it could not be written: whoever has the other frames counts them.
      frames++;
      return delivery.reply(Buffer.concat(frame));
    };
    const { name, slots } = this.#options;
    return startRun(this.#pools, { header, init, initParts, parts }, { slots, host: name, send });
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
    const first = running.messages;
    for (let number = first; number < first + MAX_MISSED; number++) {
      try {
        const body = this.#seal.open(MESSAGE, id, number, message);
        running.messages = number + 1;
        const said = fromJson(body.toString());
        if ('taken' in said) running.run.demand(said);
        else running.run.withdraw(said);
        return;
      } catch {
        // Messages before it have not come, or whoever sent it is not the producer.
      }
    }
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
  return { run, messages: 0, done };
}

/**
 * Has all calls of a chunk fail.
 * @param {import('../codec/parts').Parts} parts
 * @param {Pick<import('./chunk-run').RunContext, 'send'>} context @param {Error} error
 * @returns {Running}
 */
function refuse(parts, { send }, error) {
  const counts = { done: 0, failed: 0 };
  /** @type {Promise<void>[]} */
  const sending = [];
  for (let at = 0, offset = 0; at < parts.length; at += PART_FIELDS) {
    const calls = Number(parts[at + CALLS_FIELD]);
    const refused = refusal(parts, at, error);
    if (refused !== null) sending.push(send(REPLY, offset, 0, refused));
    offset += calls;
    counts.failed += calls;
  }
  const run = { counts, withdraw() {}, demand() {}, orphan() {}, abort() {}, whenQuiet: async () => {} };
  return { run, messages: 0, done: Promise.all(sending).then(() => {}) };
}

module.exports = { ChunkServer };
