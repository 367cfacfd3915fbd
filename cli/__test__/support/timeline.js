'use strict';
// A timeline that is made by hand, in the format that docs/observability.md describes.

const START = 1.7e15;

/** Two workers and their caller; times are in microseconds since the start. */
class Timeline {
  events = [];
  #chunks = 0;

  constructor(workers = 2) {
    const meta = (tid, name, args) => this.events.push({ ph: 'M', pid: 1, tid, name, ts: 0, args });
    meta(0, 'process_name', { name: 'Pool of orders' });
    meta(0, 'thread_name', { name: 'caller' });
    for (let i = workers - 1; i >= 0; i--) meta(i + 1, 'thread_name', { name: `worker ${i}`, workerIndex: i });
  }

  span(tid, cat, name, from, to, args = {}) {
    this.events.push({ ph: 'X', pid: 1, tid, cat, name, ts: START + from, dur: to - from, args });
    return this;
  }

  boot(worker, from, to) {
    return this.span(worker + 1, 'worker', 'boot', from, to, { workerIndex: worker, pid: 100 + worker });
  }

  chunk(worker, from, to, { submitted = from, name = 'sizeOf', ...args } = {}) {
    const first = 5 * this.#chunks++;
    return this.span(worker + 1, 'chunk', name, from, to, {
      ...{ chunk: `r1#${first}`, runId: 'r1', method: 'map', task: name, first, calls: 5, failed: 0, bytes: 1234 },
      ...{ workerIndex: worker, wait: from - submitted, run: to - from, outcome: 'answered' },
      ...{ sent: START + from, begun: START + from, answered: START + to, ...args },
    });
  }

  run(from, to) {
    const event = { pid: 1, tid: 0, cat: 'run', name: 'map sizeOf', id: 'r1' };
    this.events.push({ ...event, ph: 'b', ts: START + from, args: { runId: 'r1', method: 'map', task: 'sizeOf', calls: 10 } });
    this.events.push({ ...event, ph: 'e', ts: START + to, args: { failed: 0 } });
    return this;
  }

  death(worker, at) {
    const args = { workerIndex: worker, pid: 100 + worker, reason: 'killed', exitCode: null, signal: 'SIGKILL', calls: 5 };
    this.events.push({ ph: 'i', pid: 1, tid: worker + 1, cat: 'worker', name: 'death', ts: START + at, args });
    return this;
  }

  message(worker, at, call = 0) {
    const args = { runId: 'r1', call, attempt: 1, bytes: 12, workerIndex: worker };
    this.events.push({ ph: 'i', pid: 1, tid: worker + 1, cat: 'message', name: 'message', ts: START + at, args });
    return this;
  }

  yields(worker, from, to, first, values) {
    return this.span(worker + 1, 'yield', 'yield', from, to, { runId: 'r1', first, values, workerIndex: worker });
  }

  get json() {
    return JSON.stringify({ traceEvents: this.events });
  }
}

/** One in which worker 0 has the critical path, and worker 1 dies and is idle then. */
function example() {
  const timeline = new Timeline().run(1000, 100_000).boot(0, 0, 20_000).boot(1, 0, 25_000);
  for (let i = 0; i < 8; i++) timeline.chunk(0, 20_100 + i * 9_900, 30_000 + i * 9_900, { submitted: 1000 });
  timeline.chunk(1, 25_100, 40_000, { submitted: 1000, name: 'store <b>&"' }).death(1, 40_000).boot(1, 41_000, 60_000);
  return timeline.span(0, 'encode', 'encode', 1100, 1300, { calls: 5, bytes: 1234 });
}

/** One with calls that talk: a stream that yields in three bursts, and one that emits. */
function talking() {
  const timeline = new Timeline().run(0, 100_000).boot(0, 0, 5000).boot(1, 0, 5000);
  const stream = { name: 'rows', method: 'stream', calls: 1, yields: 48, paused: 20_000 };
  timeline.chunk(0, 6000, 96_000, stream).chunk(1, 6000, 60_000, { name: 'speaks', calls: 1, messages: 3 });
  [6000, 30_000, 80_000].forEach((at, i) => timeline.yields(0, at, at + 9000, 16 * i, 16));
  [10_000, 30_000, 50_000].forEach((at, i) => timeline.message(1, at, i));
  return timeline;
}

module.exports = { Timeline, example, talking };
