'use strict';

/**
 * Timelines in Chrome's trace event format, as docs/observability.md describes it.
 *
 * Loaded when somebody asks. Must not depend on pools.
 */

const { now } = require('../intrinsics/clock');
const { firstHeard, messageEvent, talkArgs, talksOf, yieldEvents } = require('./talk-events');
const { taskLabel } = require('./task-label');
const { FIELDS, MAX_CHUNKS, RECORD } = require('./timeline');

/** The lane of the thread that has made the pool. */
const CALLER = 0;
/** Reasons for which a worker was meant to end. */
const ORDERLY = ['closed', 'idle', 'recycled'];

/** @typedef {InstanceType<typeof import('./timeline').Timeline>} Timeline */
/** @typedef {{ [field: string]: any }} TraceEvent */

/**
 * @typedef {object} Chunk
 * @property {string} id
 * @property {number} worker
 * @property {number} sentAt
 * @property {number} begunAt
 * @property {number} endedAt
 * @property {import('./timeline').ChunkJob} job
 * @property {number} first
 * @property {number} calls
 * @property {number} done
 * @property {number} failed
 * @property {number} jobs
 * @property {number} bytes
 * @property {number} submittedAt
 * @property {number} encodedFrom
 * @property {number} micros
 * @property {number} decodedFrom
 * @property {number} decodedAt
 * @property {'answered' | 'unanswered' | 'running'} outcome
 */

/**
 * @param {readonly Timeline[]} timelines
 * @returns {{ traceEvents: TraceEvent[] }}
 */
function traceOf(timelines) {
  const parts = timelines.map((timeline) => eventsOf(timeline));
  const events = parts.flatMap(({ events: some }) => some).sort((one, other) => one.ts - other.ts);
  return { traceEvents: parts.flatMap(({ metadata }) => metadata).concat(events) };
}

/** @param {Timeline} timeline @returns {{ metadata: TraceEvent[], events: TraceEvent[] }} */
function eventsOf(timeline) {
  const pid = timeline.number;
  const at = (/** @type {number} */ time) => (timeline.origin + time) * 1000;
  const lanes = new Lanes(timeline);
  /** @type {TraceEvent[]} */
  const events = [];
  /** @type {Map<number, number>} */
  const ends = new Map();
  for (const { kind, number, at: time } of timeline.events) if (kind === 'end') ends.set(number, time);
  const boots = timeline.events.filter(({ kind }) => kind === 'boot').map((event) => ({ ...event, endedAt: event.at }));
  // In the order of their ends, in which lanes are filled.
  const chunks = chunksOf(timeline, ends);
  const { talks, lost } = talksOf(timeline, chunks);
  const items = [...boots, ...chunks].sort((one, other) => one.endedAt - other.endedAt);
  for (const chunk of items) {
    if ('kind' in chunk) {
      events.push(bootEvent(chunk, lanes, pid, at));
      continue;
    }
    const { id, worker, job } = chunk;
    const talk = talks.get(chunk);
    const tid = lanes.take(worker, chunk, firstHeard(talk));
    const runId = job.run.text;
    const workerIndex = lanes.indexOf(worker);
    const [sent, begun, answered] = [chunk.sentAt, chunk.begunAt, chunk.endedAt].map(at);
    const about = { runId, first: chunk.first, calls: chunk.calls };
    const flow = { pid, cat: 'flow', id };
    const encode = { pid, tid: CALLER, ph: 'X', name: 'encode', cat: 'encode' };
    events.push(
      { pid, tid: CALLER, ph: 'b', name: 'wait', cat: 'wait', id, ts: at(chunk.submittedAt), args: about },
      { pid, tid: CALLER, ph: 'e', name: 'wait', cat: 'wait', id, ts: sent },
      { ...encode, ...span(at(chunk.encodedFrom), sent), args: { ...about, bytes: chunk.bytes, workerIndex } },
      { ...flow, tid: CALLER, ph: 's', name: 'sent', ts: at(chunk.encodedFrom) },
      {
        pid,
        tid,
        ph: 'X',
        name: labelOf(job, timeline) ?? methodOf(job),
        cat: 'chunk',
        ...span(begun, answered),
        args: {
          chunk: id,
          runId,
          method: methodOf(job),
          task: labelOf(job, timeline),
          ...(chunk.jobs > 1 ? { runs: chunk.jobs } : {}),
          first: chunk.first,
          calls: chunk.calls,
          done: chunk.done,
          failed: chunk.failed,
          bytes: chunk.bytes,
          workerIndex,
          wait: (chunk.sentAt - chunk.submittedAt) * 1000,
          run: chunk.micros,
          ...talkArgs(talk),
          sent,
          begun,
          answered,
          outcome: chunk.outcome,
        },
      },
      { ...flow, tid, ph: 'f', bp: 'e', name: 'sent', ts: begun },
    );
    for (const message of talk?.messages ?? []) events.push(messageEvent(message, { pid, tid, workerIndex }, at));
    if (talk !== undefined && talk.yielded !== null) {
      events.push(...yieldEvents(chunk, talk.yielded, { pid, tid, caller: CALLER, workerIndex }, at));
    }
    if (chunk.outcome !== 'answered') continue;
    events.push(
      { ...flow, tid, ph: 's', name: 'answered', ts: begun },
      {
        pid, tid: CALLER, ph: 'X', name: 'decode', cat: 'decode', ...span(at(chunk.decodedFrom), at(chunk.decodedAt)),
        args: { ...about, workerIndex },
      },
      { ...flow, tid: CALLER, ph: 'f', bp: 'e', name: 'answered', ts: at(chunk.decodedFrom) },
    );
  }
  for (const job of timeline.jobs) {
    if (job !== undefined) events.push(...runEvents(job, labelOf(job, timeline), pid, at));
  }
  for (const message of lost) {
    const { workerIndex } = message;
    events.push(messageEvent(message, { pid, tid: lanes.ofIndex(workerIndex), workerIndex }, at));
  }
  for (const event of timeline.events) {
    if (event.kind !== 'boot') events.push(workerEvent(event, lanes, pid, at));
  }
  return { metadata: lanes.metadata(pid), events };
}

/** @param {number} from @param {number} to */
function span(from, to) {
  return { ts: from, dur: Math.max(0, to - from) };
}

/** @param {import('./timeline').ChunkJob} job */
function methodOf({ method }) {
  return method.replace('()', '');
}

/** @param {import('./timeline').ChunkJob} job @param {Timeline} timeline */
function labelOf({ definition }, { functionName }) {
  return definition === null ? functionName : taskLabel(definition);
}

/**
 * @param {import('./timeline').JobNote} job @param {string | null} task @param {number} pid
 * @param {(time: number) => number} at
 * @returns {TraceEvent[]}
 */
function runEvents(job, task, pid, at) {
  const { calls, failed } = job;
  const id = job.run.text;
  const event = { pid, tid: CALLER, name: `${methodOf(job)} ${task ?? ''}`.trim(), cat: 'run', id };
  const args = { runId: id, method: methodOf(job), task, calls, failed };
  const begin = { ...event, ph: 'b', ts: at(job.submittedAt), args };
  return job.settledAt === 0 ? [begin] : [begin, { ...event, ph: 'e', ts: at(job.settledAt) }];
}

/**
 * @param {import('./timeline').WorkerEvent} event @param {Lanes} lanes @param {number} pid
 * @param {(time: number) => number} at
 * @returns {TraceEvent}
 */
function workerEvent({ kind, number, at: time, about }, lanes, pid, at) {
  const instant = { pid, tid: lanes.of(number), cat: 'worker', ph: 'i', s: 't', ts: at(time) };
  if (kind === 'recall') return { ...instant, name: 'recall', args: { workerIndex: lanes.indexOf(number), ...about } };
  return { ...instant, name: ORDERLY.includes(about.reason) ? 'exit' : 'death', args: about };
}

/**
 * @param {import('./timeline').WorkerEvent} event @param {Lanes} lanes @param {number} pid
 * @param {(time: number) => number} at
 * @returns {TraceEvent}
 */
function bootEvent({ number, at: time, about: { startedAt, pid: process, threadId } }, lanes, pid, at) {
  const args = { workerIndex: lanes.indexOf(number), ...(threadId === null ? { pid: process } : { threadId }) };
  // It may have been started while the worker that it replaces was busy.
  const begunAt = lanes.takeFirst(number, startedAt, time);
  return { pid, tid: lanes.of(number), ph: 'X', name: 'boot', cat: 'worker', ...span(at(begunAt), at(time)), args };
}

/**
 * The chunks of a timeline.
 * @param {Timeline} timeline @param {Map<number, number>} ends when workers have ended
 * @returns {Chunk[]}
 */
function chunksOf(timeline, ends) {
  const { records, chunkRuns, chunkMethods, chunkDefinitions } = timeline;
  const settled = new Set(timeline.jobs.flatMap((job) => (job !== undefined && job.settledAt > 0 ? [job.run] : [])));
  const time = now();
  /** @type {Chunk[]} */
  const chunks = [];
  for (let slot = 0; slot < MAX_CHUNKS; slot++) {
    const run = chunkRuns[slot];
    if (run === undefined) continue;
    const job = { run, method: chunkMethods[slot], definition: chunkDefinitions[slot] };
    /** @param {keyof typeof FIELDS} field */
    const field = (field) => records[slot * RECORD + FIELDS[field]];
    const worker = field('worker');
    const isAnswered = field('answered') > 0;
    const isOver = settled.has(run) || ends.has(worker);
    const endedAt = isAnswered ? field('answeredAt') : ends.get(worker) ?? (isOver ? field('sentAt') : time);
    chunks.push({
      id: `${timeline.number}.${field('frame')}`,
      worker,
      job,
      sentAt: field('sentAt'),
      begunAt: field('sentAt'),
      endedAt,
      first: field('first'),
      calls: field('calls'),
      done: field('answered'),
      failed: field('failed'),
      jobs: field('jobs'),
      bytes: field('bytes'),
      submittedAt: field('submittedAt'),
      encodedFrom: field('encodedFrom'),
      micros: field('micros'),
      decodedFrom: field('decodedFrom'),
      decodedAt: field('decodedAt'),
      outcome: isAnswered ? 'answered' : isOver ? 'unanswered' : 'running',
    });
  }
  return chunks.sort((one, other) => one.sentAt - other.sentAt);
}

/** Which lane is whose. Slices of one lane do not overlap. */
class Lanes {
  #timeline;
  /** @type {Map<string, { tid: number, freeAt: number }[]>} The lanes of a worker, by its key. */
  #lanes = new Map();
  #count = CALLER;

  /** @param {Timeline} timeline */
  constructor(timeline) {
    this.#timeline = timeline;
    const numbers = [...timeline.workers.keys()].sort((one, other) => this.#order(one) - this.#order(other));
    for (const number of numbers) this.of(number);
  }

  /** @param {number} number @returns {number | null} */
  indexOf(number) {
    return this.#timeline.workers.get(number)?.workerIndex ?? null;
  }

  /** @param {number} number */
  #order(number) {
    return this.indexOf(number) ?? Infinity;
  }

  /** @param {number} number @returns {{ tid: number, freeAt: number }[]} */
  #of(number) {
    const index = this.indexOf(number);
    return this.#at(index === null ? `number ${number}` : `index ${index}`);
  }

  /** @param {string} key @returns {{ tid: number, freeAt: number }[]} */
  #at(key) {
    let lanes = this.#lanes.get(key);
    if (lanes === undefined) this.#lanes.set(key, (lanes = [{ tid: ++this.#count, freeAt: -Infinity }]));
    return lanes;
  }

  /** The first lane of a worker. @param {number} number */
  of(number) {
    return this.#of(number)[0].tid;
  }

  /** The same of a worker of which only that is known. @param {number} workerIndex */
  ofIndex(workerIndex) {
    return this.#at(`index ${workerIndex}`)[0].tid;
  }

  /**
   * The lane of a chunk, which is given the time at which it must have begun.
   * @param {number} number @param {Chunk} chunk one that ends after those before it
   * @param {number} heardAt when something came of it that only running calls say
   */
  take(number, chunk, heardAt) {
    const lanes = this.#of(number);
    const begun = Math.min(chunk.endedAt, heardAt, Math.max(chunk.sentAt, chunk.endedAt - chunk.micros / 1000));
    // One after another, whatever the clock of the worker says; side by side only where workers do that.
    let lane = this.#timeline.isConcurrent ? lanes.find(({ freeAt }) => freeAt <= begun) : lanes[0];
    if (lane === undefined) lanes.push((lane = { tid: ++this.#count, freeAt: -Infinity }));
    chunk.begunAt = Math.min(chunk.endedAt, Math.max(begun, lane.freeAt));
    lane.freeAt = chunk.endedAt;
    return lane.tid;
  }

  /**
   * Takes the first lane of a worker for a time, as far as it is free.
   * @param {number} number @param {number} from @param {number} to
   * @returns {number} from when on it is
   */
  takeFirst(number, from, to) {
    const lane = this.#of(number)[0];
    const begun = Math.min(to, Math.max(from, lane.freeAt));
    lane.freeAt = to;
    return begun;
  }

  /** @param {number} pid @returns {TraceEvent[]} */
  metadata(pid) {
    const { id, functionName } = this.#timeline;
    const named = id === 'pool' ? 'Pool' : `Parallelizer ${id === 'single-process' ? functionName : id}`;
    const meta = (/** @type {string} */ name, /** @type {number} */ tid, /** @type {object} */ args) =>
      ({ pid, tid, ph: 'M', name, ts: 0, args });
    const events = [
      meta('process_name', CALLER, { name: named }),
      meta('thread_name', CALLER, { name: 'caller' }),
      meta('thread_sort_index', CALLER, { sort_index: 0 }),
    ];
    for (const [key, lanes] of this.#lanes) {
      const [kind, number] = key.split(' ');
      lanes.forEach(({ tid }, i) => {
        const name = `${kind === 'index' ? 'worker' : 'worker number'} ${number}${i === 0 ? '' : ` (${i + 1})`}`;
        const workerIndex = kind === 'index' ? Number(number) : null;
        events.push(meta('thread_name', tid, { name, workerIndex }));
        events.push(meta('thread_sort_index', tid, { sort_index: 1 + (workerIndex ?? Number(number)) }));
      });
    }
    return events;
  }
}

module.exports = { traceOf };
