'use strict';

/**
 * What calls say while they run, as events of a timeline: messages are moments on the lane of their worker, values that
 * a stream yields are slices within that of its call, and times in which it waits for its reader are the caller's.
 *
 * Must not depend on how chunks are shown.
 */

const { runIdOf } = require('./run-id');

/** @typedef {import('./trace-events').Chunk} Chunk */
/** @typedef {import('./trace-events').TraceEvent} TraceEvent */
/** @typedef {import('./timeline').JobNote} JobNote */

/**
 * What a chunk's calls have said.
 * @typedef {object} Talk
 * @property {import('./timeline').Message[]} messages
 * @property {import('./timeline').Yielded | null} yielded
 */

/**
 * Finds the chunk that each message and each stream is of.
 * @param {InstanceType<typeof import('./timeline').Timeline>} timeline
 * @param {readonly Chunk[]} chunks in the order in which they were sent
 * @returns {{ talks: Map<Chunk, Talk>, lost: import('./timeline').Message[] }} `lost`: messages of chunks that are not
 *   kept any more, or that others have begun
 */
function talksOf({ messages, jobs }, chunks) {
  /** @type {Map<unknown, Chunk[]>} */
  const byRun = new Map();
  for (const chunk of chunks) {
    const found = byRun.get(chunk.job.run);
    if (found === undefined) byRun.set(chunk.job.run, [chunk]);
    else found.push(chunk);
  }
  /** @type {Map<Chunk, Talk>} */
  const talks = new Map();
  const talkOf = (/** @type {Chunk} */ chunk) => {
    let talk = talks.get(chunk);
    if (talk === undefined) talks.set(chunk, (talk = { messages: [], yielded: null }));
    return talk;
  };
  /** @type {import('./timeline').Message[]} */
  const lost = [];
  for (const message of messages) {
    const { job, call, at } = message;
    // The latest, if it was sent more than once.
    const chunk = byRun.get(job.run)?.findLast(({ first, calls, sentAt }) =>
      first <= call && call < first + calls && sentAt <= at);
    if (chunk === undefined) lost.push(message);
    else talkOf(chunk).messages.push(message);
  }
  for (const note of jobs) {
    if (note === undefined || note.yielded === null) continue;
    const { from } = note.yielded.values.list[0];
    const chunk = byRun.get(note.run)?.findLast(({ sentAt }) => sentAt <= from);
    if (chunk !== undefined) talkOf(chunk).yielded = note.yielded;
  }
  return { talks, lost };
}

/** When a chunk was heard of first; Infinity: never before its answer. @param {Talk | undefined} talk */
function firstHeard(talk) {
  const { messages = [], yielded = null } = talk ?? {};
  return Math.min(Infinity, ...messages.slice(0, 1).map(({ at }) => at), yielded?.values.list[0].from ?? Infinity);
}

/** What a chunk's `args` say of it. @param {Talk | undefined} talk */
function talkArgs(talk) {
  if (talk === undefined) return {};
  const { messages, yielded } = talk;
  const paused = yielded?.pauses.list.reduce((sum, { from, to }) => sum + to - from, 0) ?? 0;
  return {
    ...(messages.length > 0 ? { messages: messages.length } : {}),
    ...(yielded === null ? {} : { yields: yielded.values.count, paused: paused * 1000 }),
  };
}

/**
 * @param {import('./timeline').Message} message
 * @param {{ pid: number, tid: number, workerIndex: number | null }} place @param {(time: number) => number} at
 * @returns {TraceEvent}
 */
function messageEvent({ job, call, at: time, attempt, bytes }, { workerIndex, ...place }, at) {
  const args = { runId: runIdOf(job, call), call: job.isRunEach === true ? 0 : call, attempt, bytes, workerIndex };
  return { ...place, ph: 'i', s: 't', name: 'message', cat: 'message', ts: at(time), args };
}

/**
 * @param {Chunk} chunk @param {import('./timeline').Yielded} yielded
 * @param {{ pid: number, tid: number, caller: number, workerIndex: number | null }} place
 * @param {(time: number) => number} at
 * @returns {TraceEvent[]}
 */
function yieldEvents({ id, job, begunAt, endedAt }, { values, pauses, pausedAt }, place, at) {
  const { pid, tid, caller, workerIndex } = place;
  const runId = job.run.text;
  let first = 0;
  const slices = values.list.map(({ from, to, count }) => {
    const [start, end] = [from, to].map((time) => at(Math.min(endedAt, Math.max(begunAt, time))));
    const args = { runId, first, values: count, workerIndex };
    first += count;
    return { pid, tid, ph: 'X', name: 'yield', cat: 'yield', ts: start, dur: end - start, args };
  });
  const paused = { pid, tid: caller, name: 'paused', cat: 'pause', id };
  const waits = pauses.list.flatMap(({ from, to, count }) => [
    { ...paused, ph: 'b', ts: at(from), args: { runId, pauses: count, workerIndex } },
    { ...paused, ph: 'e', ts: at(to) },
  ]);
  const open = pausedAt > 0 ? [{ ...paused, ph: 'b', ts: at(pausedAt), args: { runId, pauses: 1, workerIndex } }] : [];
  return [...slices, ...waits, ...open];
}

module.exports = { firstHeard, messageEvent, talkArgs, talksOf, yieldEvents };
