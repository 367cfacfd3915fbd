'use strict';

/**
 * A producer whose hosts are invocations of a Lambda function: each chunk is the event of one, and its frames are the
 * response, streamed.
 *
 * - Lambda starts as many environments as there are invocations, so the function is one host to the producer: with as
 *   many lanes as there may be invocations at once.
 * - Chunks wait here until one may begin. An invocation that Lambda refuses (429) has not run: its chunk waits again,
 *   and there are fewer at once for a while.
 * - A function that cannot be invoked at all (not there, not allowed, not reached), or takes no chunk (of another
 *   version, with another secret), is no host, until a try succeeds.
 * - What the producer says about a chunk that runs goes nowhere: Lambda has no way to tell an invocation anything.
 *
 * Must not depend on what is in a chunk.
 */

const { describe, failureOf } = require('./failures');
const { DONE, FRAME, HELLO, LOST, RETURNED, RecordReader, eventOf } = require('./records');
const { Throttle } = require('./throttle');

/** @typedef {import('../engine').ProducerSide} ProducerSide */
/** @typedef {import('../engine').ProducerLink} ProducerLink */
/** @typedef {import('../engine').ChunkEnd} ChunkEnd */

/**
 * The part of the SDK that is used.
 * @typedef {object} Sdk
 * @property {LambdaClient} client
 * @property {new (input: object) => object} InvokeWithResponseStreamCommand
 */
/**
 * @typedef {object} LambdaClient
 * @property {(command: object, options?: { abortSignal?: AbortSignal }) =>
 *   Promise<{ EventStream?: AsyncIterable<StreamEvent> }>} send
 * @property {{ maxAttempts?: number | (() => Promise<number>) }} [config]
 * @property {() => void} [destroy]
 */
/**
 * @typedef {object} StreamEvent
 * @property {{ Payload?: Uint8Array }} [PayloadChunk]
 * @property {{ ErrorCode?: string, ErrorDetails?: string }} [InvokeComplete]
 */

/**
 * @typedef {object} FunctionSettings
 * @property {string} functionName
 * @property {string | undefined} qualifier
 * @property {number} concurrency
 * @property {number} slots of each invocation
 */

/**
 * A chunk that has not ended.
 * @typedef {{ id: string, parts: readonly Uint8Array[], abort: AbortController, isOver: boolean }} Entry
 */

/** After so many chunks in a row that it has not taken, a function is no host. */
const MAX_RETURNS = 3;

class LambdaProducer {
  #settings;
  #side;
  #throttle;
  /** @type {Promise<Sdk>} */
  #sdk;
  /** Those that no invocation has, oldest first. @type {Entry[]} */
  #waiting = [];
  /** All that have not ended. @type {Map<string, Entry>} */
  #entries = new Map();
  #running = 0;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #isClosed = false;
  /** Whether the last try says that there is a function to invoke. */
  #isThere = true;
  /** How many chunks in a row the function has not taken. */
  #returns = 0;
  /** What was announced last. */
  #announced = '';

  /** @param {FunctionSettings} settings @param {Promise<Sdk>} sdk @param {ProducerSide} side */
  constructor(settings, sdk, side) {
    this.#settings = settings;
    this.#side = side;
    this.#sdk = sdk;
    this.#throttle = new Throttle(settings.concurrency);
    sdk.then(
      () => this.#announce(),
      (error) => {
        this.#isThere = false;
        this.#announce();
        this.#fail(error);
      },
    );
  }

  /** @returns {ProducerLink} */
  get link() {
    return {
      send: ({ id, parts }) => {
        const entry = { id, parts, abort: new AbortController(), isOver: false };
        this.#entries.set(id, entry);
        this.#waiting.push(entry);
        // Not at once: the scheduler may be in the middle of something.
        this.#pumpIn(0);
      },
      cancel() {},
      release: (id) => this.#release(id),
      close: async () => {
        this.#isClosed = true;
        if (this.#timer !== null) clearTimeout(this.#timer);
        [...this.#entries.keys()].forEach((id) => this.#release(id));
      },
    };
  }

  /** @param {string} id */
  #release(id) {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.isOver = true;
    this.#entries.delete(id);
    const place = this.#waiting.indexOf(entry);
    if (place >= 0) this.#waiting.splice(place, 1);
    // Nobody reads the response any more. The function goes on until its chunk's deadline: it cannot be told.
    entry.abort.abort();
  }

  #announce() {
    if (this.#isClosed) return;
    const { functionName, qualifier, slots } = this.#settings;
    const name = qualifier === undefined ? functionName : `${functionName}:${qualifier}`;
    const lanes = this.#throttle.limit;
    const hosts = this.#isThere ? [{ id: name, name, slots: lanes * slots, lanes }] : [];
    const announced = JSON.stringify(hosts);
    if (announced === this.#announced) return;
    this.#announced = announced;
    this.#side.hosts(hosts);
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!this.#isClosed) this.#side.failed(error instanceof Error ? error : new Error(describe(error)));
  }

  /** @param {number} delay */
  #pumpIn(delay) {
    if (this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, delay);
    this.#timer.unref();
  }

  /** Begins as many invocations as there may be. */
  #pump() {
    while (this.#waiting.length > 0) {
      // As long as it is not known whether there is a function, one is enough to find out.
      const limit = this.#isThere ? this.#throttle.limit : 1;
      if (this.#running >= limit) return;
      const delay = this.#throttle.delay(Date.now());
      if (delay > 0) return this.#pumpIn(delay);
      const entry = /** @type {Entry} */ (this.#waiting.shift());
      this.#running++;
      this.#invoke(entry).then((end) => {
        this.#running--;
        if (end !== null) this.#end(entry, end);
        this.#announce();
        this.#pump();
      });
    }
  }

  /** @param {Entry} entry @param {ChunkEnd} end */
  #end(entry, end) {
    if (entry.isOver) return;
    entry.isOver = true;
    this.#entries.delete(entry.id);
    if (!this.#isClosed) this.#side.ended(entry.id, end);
  }

  /** It has not run: it is the next one again. @param {Entry} entry */
  #putBack(entry) {
    if (entry.isOver) return;
    this.#waiting.unshift(entry);
  }

  /**
   * Runs a chunk; never rejects.
   * @param {Entry} entry
   * @returns {Promise<ChunkEnd | null>} null: it waits again, or nobody wants it
   */
  async #invoke(entry) {
    /** @type {ChunkEnd | null} */
    let end = null;
    /** @type {string | undefined} */
    let host;
    const reader = new RecordReader((kind, bytes) => {
      if (kind === HELLO) host = bytes.toString();
      else if (kind === DONE) end ??= this.#done();
      else if (kind === RETURNED) end ??= { kind: 'returned', why: bytes.toString(), host };
      else if (kind === LOST) end ??= { kind: 'lost', why: bytes.toString(), host };
      else if (kind === FRAME && end === null) this.#receive(entry, bytes);
    });
    /** The end that the function has said, unless nothing is to be expected of it. */
    const said = () => {
      if (end?.kind !== 'returned' || ++this.#returns < MAX_RETURNS) return end;
      return this.#retreat(entry, new Error(`the function does not take it: ${end.why}`));
    };
    let sdk;
    try {
      sdk = await this.#sdk;
    } catch (error) {
      return this.#retreat(entry, error);
    }
    let hasResponse = false;
    try {
      const { client, InvokeWithResponseStreamCommand } = sdk;
      const { functionName, qualifier } = this.#settings;
      const input = { FunctionName: functionName, Qualifier: qualifier, Payload: eventOf(entry.id, entry.parts) };
      const command = new InvokeWithResponseStreamCommand(input);
      const { EventStream: events } = await client.send(command, { abortSignal: entry.abort.signal });
      hasResponse = true;
      this.#letIn();
      if (events === undefined) throw new Error('Lambda has answered without a stream');
      for await (const { PayloadChunk: payload, InvokeComplete: complete } of events) {
        if (payload?.Payload !== undefined) reader.push(payload.Payload);
        if (complete?.ErrorCode !== undefined) {
          if (end === null) return { kind: 'lost', why: `was lost with its function: ${explain(complete)}`, host };
        }
      }
      return said() ?? (end === null ? this.#unknown('has no end: the response was cut off', host) : null);
    } catch (error) {
      if (end !== null || entry.isOver) return said();
      return this.#failed(entry, error, hasResponse, host);
    }
  }

  /** Lambda has let one in. */
  #letIn() {
    this.#throttle.succeeded();
    this.#announce();
  }

  /** The function does what it is there for. @returns {ChunkEnd} */
  #done() {
    this.#returns = 0;
    this.#isThere = true;
    this.#announce();
    return { kind: 'done' };
  }

  /** @param {Entry} entry @param {Buffer} bytes */
  #receive(entry, bytes) {
    if (this.#isClosed) return;
    if (entry.isOver) this.#side.late(1);
    else this.#side.received(entry.id, bytes);
  }

  /**
   * @param {Entry} entry @param {unknown} error @param {boolean} hasResponse @param {string | undefined} host
   * @returns {ChunkEnd | null}
   */
  #failed(entry, error, hasResponse, host) {
    const failure = failureOf(error, hasResponse);
    if (failure === 'unknown') {
      this.#fail(error);
      return this.#unknown(`may have run: ${describe(error)}`, host);
    }
    if (failure === 'tooLarge') return { kind: 'lost', why: `was refused: ${describe(error)}`, host };
    if (failure !== 'throttled') return this.#retreat(entry, error);
    this.#putBack(entry);
    this.#throttle.refused(this.#running - 1, Date.now());
    return null;
  }

  /**
   * There is no function to be had: none is announced until a try succeeds.
   * @param {Entry} entry @param {unknown} error
   */
  #retreat(entry, error) {
    this.#putBack(entry);
    this.#throttle.wait(Date.now());
    this.#isThere = false;
    this.#announce();
    this.#fail(error);
    return null;
  }

  /** @param {string} why @param {string | undefined} host @returns {ChunkEnd} */
  #unknown(why, host) {
    return { kind: 'lost', why, host, mayHaveRun: true };
  }
}

/** @param {{ ErrorCode?: string, ErrorDetails?: string }} complete */
function explain({ ErrorCode: code, ErrorDetails: details }) {
  let message = details;
  try {
    message = /** @type {{ errorMessage?: string }} */ (JSON.parse(details ?? '')).errorMessage ?? details;
  } catch {
    // Lambda's own errors are plain text.
  }
  return message === undefined || message === '' ? String(code) : `${code}: ${message}`;
}

module.exports = { LambdaProducer };
