'use strict';

/**
 * Where the time went: gaps in which a worker had nothing to do although a run was in progress, and the critical path,
 * the chain of chunks by which the whole took as long as it did.
 */

/** @typedef {import('./model').Timeline} Timeline */
/** @typedef {import('./model').PoolLanes} PoolLanes */
/** @typedef {import('./model').Lane} Lane */
/** @typedef {import('./model').Span} Span */
/** @typedef {import('./model').Gap} Gap */

/** @typedef {{ lane: Lane, span: Span }} Step */

/**
 * @typedef {object} Findings of one pool
 * @property {number} workers @property {number} chunks @property {number} calls @property {number} failed
 * @property {number} busy how long chunks ran, of all workers together
 * @property {number} available how long workers could have run them, while runs were in progress
 * @property {number} elapsed how long any run was in progress
 * @property {{ lane: Lane, gap: Gap }[]} gaps the longest first
 * @property {Step[]} path in the order of time
 * @property {number} pathBusy how long the chunks of the path ran
 */

/** Two times that are nearer than this are the same, in microseconds: clocks of two processes are compared. */
const NEAR = 50;

/** Merges intervals that overlap. @param {readonly Gap[]} intervals @returns {Gap[]} in order */
function merged(intervals) {
  /** @type {Gap[]} */
  const found = [];
  for (const { from, to } of intervals.toSorted((a, b) => a.from - b.from)) {
    const last = found[found.length - 1];
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else found.push({ from, to });
  }
  return found;
}

/**
 * What is in the first and not in the second, both in order.
 * @param {Gap[]} first @param {Gap[]} second
 * @returns {Gap[]}
 */
function without(first, second) {
  /** @type {Gap[]} */
  const left = [];
  let i = 0;
  for (const { from, to } of first) {
    let at = from;
    while (i < second.length && second[i].to <= from) i++;
    for (let j = i; j < second.length && second[j].from < to; j++) {
      if (second[j].from > at) left.push({ from: at, to: second[j].from });
      at = Math.max(at, second[j].to);
    }
    if (at < to) left.push({ from: at, to });
  }
  return left;
}

/** @param {readonly Gap[]} intervals */
const lengthOf = (intervals) => intervals.reduce((sum, { from, to }) => sum + to - from, 0);

/** When its calls were submitted. @param {Span} chunk */
function submittedAt({ from, args }) {
  const sent = typeof args.sent === 'number' && typeof args.begun === 'number' ? from - (args.begun - args.sent) : from;
  return Math.min(from, sent - (typeof args.wait === 'number' ? args.wait : 0));
}

/**
 * The chain that ends with what was done last. Each step is what the next one had to wait for: the chunk or the start
 * of the worker before it on the same lane or, if that was over by then, the answer upon which it was submitted.
 * @param {Lane[]} lanes
 * @returns {Step[]}
 */
function criticalPath(lanes) {
  /** @type {Step[]} By the time at which they end. */
  const steps = lanes
    .flatMap((lane) => lane.spans.map((span) => ({ lane, span })))
    .filter(({ span: { kind } }) => kind === 'chunk' || kind === 'boot')
    .sort((a, b) => a.span.to - b.span.to);
  /** @type {Map<Lane, number[]>} */
  const byLane = new Map(lanes.map((lane) => [lane, []]));
  steps.forEach(({ lane }, i) => byLane.get(lane)?.push(i));
  let current = steps.findLastIndex(({ span }) => span.kind === 'chunk');
  /** @type {Step[]} */
  const path = [];
  while (current >= 0) {
    const step = steps[current];
    path.push(step);
    if (step.span.kind === 'boot') break;
    const submitted = submittedAt(step.span);
    const own = /** @type {number[]} */ (byLane.get(step.lane));
    const before = lastBefore(own.map((i) => steps[i]), step.span.from + NEAR, (i) => own[i] < current);
    const previous = before < 0 ? -1 : own[before];
    // It waited for its worker if it was there before that was free.
    if (previous >= 0 && steps[previous].span.to >= submitted - NEAR) current = previous;
    else current = lastBefore(steps, submitted + NEAR, (i) => i < current && steps[i].span.kind === 'chunk');
  }
  return path.reverse();
}

/** @param {Step[]} steps by their ends @param {number} time @param {(index: number) => boolean} isMeant */
function lastBefore(steps, time, isMeant) {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle].span.to <= time) low = middle + 1;
    else high = middle;
  }
  let at = low - 1;
  while (at >= 0 && !isMeant(at)) at--;
  return at;
}

/**
 * Finds both, and notes them in the timeline.
 * @param {PoolLanes} pool
 * @returns {Findings}
 */
function analyse({ lanes, runs }) {
  const workers = lanes.filter(({ workerIndex }) => workerIndex !== null);
  const chunks = workers.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'chunk'));
  const inProgress = merged(runs.length > 0 ? runs : chunks);
  for (const lane of workers) lane.gaps = without(inProgress, merged(lane.spans));
  const path = criticalPath(workers);
  for (const { span } of path) span.isCritical = true;
  const pathChunks = path.filter(({ span }) => span.kind === 'chunk');
  const sum = (/** @type {(args: any) => unknown} */ of) => {
    return chunks.reduce((total, { args }) => total + (Number(of(args)) || 0), 0);
  };
  const elapsed = lengthOf(inProgress);
  return {
    // One that runs several chunks at a time has as many lanes.
    workers: new Set(workers.map(({ workerIndex }) => workerIndex)).size,
    chunks: chunks.length,
    // What was recalled from one worker is in a chunk of another as well.
    calls: sum(({ done, calls }) => done ?? calls),
    failed: sum(({ failed }) => failed),
    busy: lengthOf(workers.flatMap(({ spans }) => merged(spans.filter(({ kind }) => kind === 'chunk')))),
    available: elapsed * workers.length,
    elapsed,
    gaps: workers
      .flatMap((lane) => lane.gaps.map((gap) => ({ lane, gap })))
      .sort((a, b) => b.gap.to - b.gap.from - (a.gap.to - a.gap.from)),
    path,
    pathBusy: lengthOf(pathChunks.map(({ span }) => span)),
  };
}

module.exports = { analyse };
