'use strict';

/**
 * Workers that are *lanes*: chunks in flight to hosts on other machines, over an engine.
 *
 * 1. There are as many lanes as the hosts that are there can have, and one that waits for a host while there is none.
 * 2. A chunk is one message of the engine, and has in it whatever its host has to know. Its answers come as frames,
 *    in order, as those of a thread do; a frame that says how many calls may have begun comes before they do.
 * 3. A chunk that is lost is a worker that died: the scheduler decides what becomes of its calls. One that comes back
 *    unbegun waits a moment before it goes out again.
 * 4. Deadlines, grace periods and processes are the host's business. What is to be run again is not: a host reports the
 *    death of a process as such.
 *
 * Must not depend on what a call is for, nor on which engine it is.
 */

const { randomBytes } = require('node:crypto');
const { tooLargeError, withFields } = require('../errors');
const { setImmediate, setTimeout, wallTime } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const { CHUNK, FRAME, MESSAGE, Seal, chunkBody, unpackFrame } = require('../remote/chunk-bytes');
const { GuardedLink } = require('../remote/guarded-link');
const { HostWatch } = require('../remote/host-watch');
const { hostLostError, remoteProtocolError } = require('../remote/remote-errors');
const { pathFromRoot } = require('../remote/rooted-paths');
const {
  BEGUN, CALLS_FIELD, FLAGS_FIELD, LAST_BEGUN_WORD, MESSAGE: EMITTED, OUTPUT, PAGE_WORDS, PART_FIELDS, PART_SKIPPED,
  REPLY, RUN_FIELDS, VALUE_FIELD,
} = require('../transport/constants');
const { LaneCount } = require('./lane-count');
const { RepeatedMessages } = require('./repeated-messages');
const { ReturnBackoff } = require('./return-backoff');
const { ScriptCarrier } = require('./script-carrier');

/** @typedef {import('../codec/parts').Parts} Parts */
/** @typedef {import('../remote/chunk-bytes').ChunkHeader} ChunkHeader */
/** @typedef {import('../remote/chunk-bytes').Withdrawal} Withdrawal */
/** @typedef {import('../remote/chunk-bytes').Definition} Definition */
/** @typedef {import('../remote/chunk-bytes').Demand} Demand */
/** @typedef {import('../remote/engine').ChunkEnd} ChunkEnd */
/** @typedef {{ id: number, definition: Definition }} Task */
/** @typedef {import('../jobs/job-table').Place} Place */
/** @typedef {import('./script-carrier').PoolSide} PoolSide */

/**
 * A chunk in flight.
 * @typedef {object} Chunk
 * @property {string} id
 * @property {number} laneId
 * @property {number} frame
 * @property {number} seq
 * @property {number[]} runs job, first call and end of each run
 * @property {Parts} parts
 * @property {number} left calls without an answer
 * @property {number} received frames
 * @property {number} messages that were sent after it
 * @property {string | null} host the name of that which has it
 * @property {Place | null} place the only one that it is for
 */

/** @typedef {{ page: Uint32Array, chunk: Chunk | null, isReady: boolean }} Lane */

/** @extends {ScriptCarrier<Lane>} */
class RemoteCarrier extends ScriptCarrier {
  #options;
  #initParts;
  #seal;
  #link;
  #watch;
  #lanes;
  /** @type {import('../remote/chunk-bytes').PoolKey} */
  #poolKey;
  /** @type {Map<string, Chunk>} By id. */
  #chunks = new Map();
  #repeated;
  /** @type {Map<number, Task>} Those of the frame that is being encoded. */
  #tasks = new Map();
  /** @type {WeakSet<object>} Those whose paths are below the root. */
  #checked = new WeakSet();
  #producerId = randomBytes(9).toString('base64url');
  #count = 0;
  #backoff;
  #isClosed = false;
  #counts = { sent: 0, done: 0, lost: 0, returned: 0, late: 0 };

  /**
   * @param {PoolSide} pool
   * @param {import('../jobs/worker-config').PoolOptions} options
   * @param {{ task: Task } | null} initializer
   * @param {() => Parts} initParts
   */
  constructor(pool, options, initializer, initParts) {
    super(pool);
    const remote = /** @type {import('../options/remote-options').RemoteOptions} */ (options.remote);
    this.#options = remote;
    this.#initParts = initParts;
    this.#seal = new Seal(remote.secret);
    this.#backoff = new ReturnBackoff(remote.hostTimeout);
    this.#poolKey = {
      filePath: options.filePath === null ? null : pathFromRoot(remote.root, options.filePath, 'filePath'),
      functionName: options.functionName,
      initializer: initializer === null ? null : this.#rooted(initializer.task.definition, 'initializer'),
      serialization: options.serialization,
      concurrency: options.concurrency,
      gracePeriod: options.gracePeriod,
      maxCallsPerWorker: options.maxCallsPerWorker,
    };
    this.#watch = new HostWatch(remote.hostTimeout, () => this.#noHost());
    this.#lanes = new LaneCount(this.#watch, options.concurrency, this.#chunks, (count) =>
      this.pool.native.setWorkers(count));
    /** @type {import('../remote/engine').ProducerSide} */
    const side = {
      producerId: this.#producerId,
      lease: remote.lease,
      producerTimeout: remote.producerTimeout,
      hosts: (hosts) => this.#hostsChanged(hosts),
      received: (chunkId, frame) => this.#received(chunkId, frame),
      ended: (chunkId, end) => this.#ended(chunkId, end),
      late: (frames) => (this.#counts.late += frames),
      failed: (error) => this.#watch.failed(error),
    };
    this.#link = new GuardedLink(remote.engine.connect(side), side);
    this.#repeated = new RepeatedMessages((chunkId, message) => this.#link.cancel(chunkId, message));
  }

  // ---- Lanes --------------------------------------------------------------------------------------------

  /** @override @param {number} id */
  start(id) {
    this.workers.set(id, { page: new Uint32Array(PAGE_WORDS), chunk: null, isReady: false });
    // Not now: the pool may be in the middle of being made.
    setImmediate(() => this.#makeReady(id));
    return null;
  }

  /** @param {number} id */
  #makeReady(id) {
    const lane = this.workers.get(id);
    if (lane === undefined || lane.isReady) return;
    if (this.#watch.slots === 0) {
      this.#watch.start();
      return;
    }
    lane.isReady = true;
    this.pool.native.workerReady(id);
  }

  /** @param {readonly import('../remote/engine').HostSeen[]} hosts */
  #hostsChanged(hosts) {
    if (this.#isClosed) return;
    this.#watch.update(hosts);
    this.#lanes.update();
    if (this.#watch.slots > 0) return [...this.workers.keys()].forEach((id) => this.#makeReady(id));
    // A lane that leads nowhere is not ready: its successor waits for a host.
    this.workers.forEach(({ isReady, chunk }, id) => {
      if (isReady && chunk === null) this.gone(id, { lost: 'has no host any more' });
    });
    if (this.workers.size > 0) this.#watch.start();
  }

  /** No host was there for as long as somebody may wait for one. */
  #noHost() {
    const report = { noHost: this.#watch.absence(this.#options.engine.name) };
    // What waits in the engine: nobody has begun it. A host that drains finishes what it has.
    [...this.#chunks.values()].filter(({ host }) => host === null).forEach((chunk) =>
      this.#lose(chunk, 'waited for a host in vain'));
    [...this.workers].filter(([, { isReady }]) => !isReady).forEach(([id]) => {
      if (this.workers.has(id)) this.pool.native.workerLoadFailed(id, toJson(report));
    });
  }

  /** How many calls the hosts that are there run at the same instant. */
  get slots() {
    return this.#watch.slots;
  }

  /** The processes of the hosts that are there. */
  get places() {
    return this.#watch.places;
  }

  /** How many calls are in flight without having begun: their hosts have no place for them yet. */
  get unbegun() {
    return [...this.#chunks.values()].reduce((sum, { host, left }) => sum + (host === null ? left : 0), 0);
  }

  /** @override */
  pidOf() {
    return null;
  }

  /** @override @param {number} id */
  stop(id) {
    this.#end(id, null);
  }

  /** @override @param {number} id @param {Lane} lane */
  kill(id, { chunk }) {
    if (chunk !== null) this.#forget(chunk);
    this.#end(id, { lost: 'was given up' });
  }

  /** @param {number} id @param {object | null} report */
  #end(id, report) {
    setImmediate(() => {
      if (this.workers.has(id)) this.gone(id, report ?? { exitCode: null, signal: null, stderr: '' });
    });
  }

  // ---- Chunks -------------------------------------------------------------------------------------------

  /**
   * Notes a task of the frame that is being encoded: a host may not have heard of it.
   * @override @param {Task} task
   */
  define(task) {
    this.#tasks.set(task.id, task);
    return true;
  }

  /**
   * Refuses a task that hosts cannot have.
   * @override @param {Task} task
   */
  checkTask(task) {
    if (this.#checked.has(task)) return;
    this.#rooted(task.definition, 'task');
    this.#checked.add(task);
  }

  /** @param {Definition} definition @param {string} name @returns {Definition} */
  #rooted(definition, name) {
    if ('source' in definition) return definition;
    return { filePath: pathFromRoot(this.#options.root, definition.filePath, name), name: definition.name };
  }

  /**
   * @override
   * @param {number} laneId @param {Lane} lane @param {number} frame @param {number} seq @param {Parts} parts
   * @param {number[]} runs job, first call and end of each, as they are sent
   */
  deliver(laneId, lane, frame, seq, parts, runs) {
    const id = `${this.#producerId}.${(++this.#count).toString(36)}`;
    let calls = 0;
    for (let at = 0; at < parts.length; at += PART_FIELDS) {
      // What could not be encoded expects no answer.
      if ((Number(parts[at + FLAGS_FIELD]) & PART_SKIPPED) === 0) calls += Number(parts[at + CALLS_FIELD]);
    }
    const place = this.pool.job(runs[0])?.places?.[runs[1]] ?? null;
    /** @type {Chunk} */
    const chunk = {
      id, laneId, frame, seq, runs, parts, left: calls, received: 0, messages: 0, host: null, place,
    };
    lane.chunk = chunk;
    this.#chunks.set(id, chunk);
    this.#lanes.changed();
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    if (place !== null && !this.#watch.takes(place.hostId)) {
      const details = { host: place.hostName, lost: 'was for this host alone, which is gone' };
      setImmediate(() => this.#refuse(chunk, hostLostError(details)));
      return;
    }
    try {
      const header = this.#headerOf(runs, tasks, place);
      const sealed = this.#seal.seal(CHUNK, id, 0, chunkBody(header, this.#initParts(), seq, parts));
      const bytes = sealed.reduce((sum, part) => sum + part.length, 0);
      const { maxChunkBytes = Infinity } = this.#options.engine;
      if (bytes > maxChunkBytes) {
        throw new Error(`${bytes} bytes, and ${this.#options.engine.name} takes ${maxChunkBytes} at most`);
      }
      this.#counts.sent++;
      this.#watch.start();
      this.#link.send({ id, parts: sealed, ...(place === null ? {} : { host: place.hostId }) });
    } catch (error) {
      // Later: the scheduler is in the middle of sending it.
      setImmediate(() => this.#refuse(chunk, tooLargeError('what the function is given', error)));
    }
  }

  /** @param {number[]} runs @param {Task[]} tasks @param {Place | null} place @returns {ChunkHeader} */
  #headerOf(runs, tasks, place) {
    /** @type {[number, number][]} */
    const timeouts = [];
    for (let at = 0; at < runs.length; at += RUN_FIELDS) {
      timeouts.push([runs[at + 2] - runs[at + 1], this.pool.job(runs[at])?.timeout ?? 0]);
    }
    return {
      pool: this.#poolKey,
      runs: timeouts,
      tasks: tasks.map(({ id, definition }) => [id, this.#rooted(definition, 'task')]),
      sent: wallTime(),
      ...(place === null ? {} : { worker: place.workerIndex }),
    };
  }

  /**
   * A chunk cannot be sent: its calls fail.
   * @param {Chunk} chunk @param {unknown} error
   */
  #refuse(chunk, error) {
    if (this.#chunks.get(chunk.id) !== chunk) return;
    this.#forget(chunk);
    this.#answerAll(chunk, error);
  }

  /** @param {Chunk} chunk @param {unknown} error */
  #answerAll({ laneId, frame, parts }, error) {
    const { refusals } = require('../remote/refusal');
    refusals(parts, error).forEach((reply) => this.replied(laneId, frame, reply.offset, 0, reply.parts));
  }

  /**
   * Calls of a job are not wanted any more, from this one on; `isFinal`: those that run are ended.
   * @override @param {number} jobId @param {number} from @param {boolean} isFinal
   */
  withdraw(jobId, from, isFinal) {
    this.#chunks.forEach((chunk) => {
      const { runs } = chunk;
      for (let at = 0, offset = 0; at < runs.length; at += RUN_FIELDS) {
        const end = offset + runs[at + 2] - runs[at + 1];
        const first = offset + Math.max(0, from - runs[at + 1]);
        if (runs[at] === jobId && first < end) {
          const message = { first, end, isFinal };
          this.#repeated.said(chunk.id, `withdrawal ${first}`, message, this.#say(chunk, message));
        }
        offset = end;
      }
    });
  }

  /**
   * The reader of a stream has taken so many of its values.
   * @override @param {number} _id @param {Lane} lane @param {number} seq @param {number} taken
   */
  demand(_id, { chunk }, seq, taken) {
    if (chunk === null) return;
    const call = (seq - chunk.seq) >>> 0;
    this.#repeated.said(chunk.id, `demand ${call}`, { first: call, end: call + 1 }, this.#say(chunk, { call, taken }));
  }

  /**
   * Asks for calls that a host may not have begun: it answers those as skipped that it has not.
   * @override @param {number} id @param {number} from @param {number} until
   * @returns {number | undefined} the number of the call that may have begun last
   */
  recall(id, from, until) {
    const lane = this.workers.get(id);
    if (lane === undefined) return undefined;
    const { chunk, page } = lane;
    if (chunk !== null) {
      const [first, end] = [from, until].map((seq) => (seq - chunk.seq) | 0);
      this.#say(chunk, { first: Math.max(0, first), end, isFinal: false, isRecall: true });
    }
    return Atomics.load(page, LAST_BEGUN_WORD);
  }

  /** @param {Chunk} chunk @param {Withdrawal | Demand} message @returns {Buffer} as it was sent */
  #say(chunk, message) {
    const number = chunk.messages++;
    const bytes = Buffer.concat(
      this.#seal.seal(MESSAGE, chunk.id, number, [Buffer.from(toJson({ ...message, number }))]));
    this.#link.cancel(chunk.id, bytes);
    return bytes;
  }

  // ---- What the engine says -----------------------------------------------------------------------------

  /** @param {string} chunkId @param {Uint8Array} bytes */
  #received(chunkId, bytes) {
    const chunk = this.#chunks.get(chunkId);
    if (chunk === undefined) {
      this.#counts.late++;
      return;
    }
    try {
      const { kind, seq, aux, parts } = unpackFrame(this.#seal.open(FRAME, chunkId, chunk.received++, bytes));
      if (kind === REPLY) this.#replied(chunk, seq, aux, parts);
      else if (kind === BEGUN) this.#begun(chunk, seq, parts);
      else if (kind === EMITTED) this.emitted(chunk.laneId, chunk.seq + seq, 0, aux, parts);
      else if (kind === OUTPUT) this.pool.message(this.pool.native.jobOf(chunk.laneId, chunk.seq + seq), parts);
    } catch (error) {
      this.#break(chunk, /** @type {Error} */ (error));
    }
  }

  /** @param {Chunk} chunk @param {number} seq @param {number} micros @param {Parts} parts */
  #replied(chunk, seq, micros, parts) {
    let calls = 0;
    for (let at = CALLS_FIELD; at < parts.length; at += PART_FIELDS) calls += Number(parts[at]);
    this.#repeated.answered(chunk.id, seq, seq + calls);
    this.replied(chunk.laneId, chunk.frame, seq, micros, parts);
    chunk.left -= calls;
    this.#lanes.changed();
  }

  /** @param {Chunk} chunk @param {number} count how many of its calls may have begun @param {Parts} parts */
  #begun(chunk, count, parts) {
    const lane = this.workers.get(chunk.laneId);
    // The first of these frames has the name.
    if (parts.length > 0 && parts[VALUE_FIELD] !== '') {
      chunk.host = String(parts[VALUE_FIELD]);
      this.#lanes.changed();
      this.#backoff.taken();
      this.#repeated.sayAll(chunk.id);
    }
    if (lane?.chunk === chunk) Atomics.store(lane.page, LAST_BEGUN_WORD, (chunk.seq + count - 1) >>> 0);
  }

  /** Nobody knows how far a chunk has come. @param {Chunk} chunk */
  #mayHaveBegun(chunk) {
    const { runs } = chunk;
    let count = 0;
    for (let at = 0; at < runs.length; at += RUN_FIELDS) count += runs[at + 2] - runs[at + 1];
    this.#begun(chunk, count, []);
  }

  /** A frame cannot be used: nothing of its chunk can. @param {Chunk} chunk @param {Error} error */
  #break(chunk, error) {
    // It may be the frame that says so.
    this.#mayHaveBegun(chunk);
    this.#lose(chunk, 'is answered with what is not to be used', error.message);
  }

  /** @param {string} chunkId @param {ChunkEnd} end */
  #ended(chunkId, end) {
    const chunk = this.#chunks.get(chunkId);
    if (chunk === undefined) return;
    if (end.kind === 'lost') {
      chunk.host ??= end.host ?? chunk.place?.hostName ?? null;
      if (end.mayHaveRun === true) this.#mayHaveBegun(chunk);
      this.#lose(chunk, end.why);
    } else if (end.kind === 'returned') {
      this.#return(chunk, end);
    } else if (chunk.left > 0) {
      this.#lose(chunk, 'ended before all of its calls were answered');
    } else {
      this.#counts.done++;
      this.#backoff.taken();
      this.#forget(chunk);
    }
  }

  /** @param {Chunk} chunk @param {string} lost @param {string} [protocol] what came in place of its answers */
  #lose(chunk, lost, protocol) {
    this.#counts.lost++;
    // Of a chunk that is answered its lane may have the next one already.
    const hasLane = this.workers.get(chunk.laneId)?.chunk === chunk;
    this.#forget(chunk);
    if (chunk.left > 0 && hasLane) {
      this.gone(chunk.laneId, { exitCode: null, signal: null, stderr: '', host: chunk.host, lost, protocol });
    }
  }

  /** @param {Chunk} chunk @param {{ why: string, host?: string, isBusy?: boolean }} end */
  #return(chunk, { why, host, isBusy = false }) {
    this.#counts.returned++;
    this.#forget(chunk, false);
    const { wait, isRefused } = this.#backoff.returned(isBusy);
    setTimeout(() => {
      const lane = this.workers.get(chunk.laneId);
      if (lane?.chunk !== chunk) return;
      lane.chunk = null;
      if (isRefused) this.#answerAll(chunk, withFields(remoteProtocolError(why), host === undefined ? {} : { host }));
      else this.pool.native.workerReturned(chunk.laneId, chunk.frame);
    }, wait).unref();
  }

  /** Nothing more is expected of a chunk. @param {Chunk} chunk @param {boolean} [freesLane] */
  #forget(chunk, freesLane = true) {
    this.#chunks.delete(chunk.id);
    this.#repeated.forget(chunk.id);
    this.#link.release(chunk.id);
    const lane = this.workers.get(chunk.laneId);
    if (freesLane && lane?.chunk === chunk) lane.chunk = null;
    this.#lanes.changed();
  }

  // ---- The whole ----------------------------------------------------------------------------------------

  /** @override */
  stats() {
    const { engine } = this.#options;
    const hosts = this.#watch.hosts.map(({ id, name, slots }) => ({ id, name, slots }));
    const { slots, lanes, problem } = this.#watch;
    return { remote: { engine: engine.name, hosts, slots, lanes, chunks: { ...this.#counts }, problem } };
  }

  /** There are no more lanes, and will not be. @returns {Promise<void>} */
  async close() {
    this.#isClosed = true;
    this.#watch.close();
    this.#lanes.close();
    this.#repeated.close();
    await this.#link.close();
  }
}

module.exports = { RemoteCarrier };
