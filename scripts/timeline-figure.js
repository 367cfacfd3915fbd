'use strict';

/**
 * Makes docs/figures/timeline.svg, the picture of a timeline in docs/cli.md: what `parallelizer trace` draws of a run
 * in which one worker is killed in the middle, and the other one is given what is left.
 */

const fs = require('node:fs');
const path = require('node:path');

const { analyse } = require('../cli/lib/trace/analysis');
const { draw } = require('../cli/lib/trace/drawing');
const { readTimeline } = require('../cli/lib/trace/model');

const FILE = path.join(__dirname, '../docs/figures/timeline.svg');

/** @typedef {Record<string, unknown>} Args */

/**
 * @param {number} worker @param {string} cat @param {string} name
 * @param {number} from @param {number} to in milliseconds @param {Args} args
 */
function slice(worker, cat, name, from, to, args = {}) {
  return { ph: 'X', pid: 1, tid: worker + 1, cat, name, ts: from * 1000, dur: (to - from) * 1000, args };
}

/** @param {number} worker @param {number} from @param {number} to @param {string} name @param {Args} args */
function chunk(worker, from, to, name = 'enrich', args = {}) {
  const times = { sent: from * 1000, begun: from * 1000, answered: to * 1000, wait: Math.max(0, from - 1) * 1000 };
  return slice(worker, 'chunk', name, from, to, {
    ...times, method: name === 'rows' ? 'stream' : 'map', calls: name === 'rows' ? 1 : 25, run: (to - from) * 1000,
    outcome: 'answered', ...args,
  });
}

/** The picture. */
function figure() {
  const lane = (/** @type {number} */ tid, /** @type {Args} */ args) =>
    ({ ph: 'M', pid: 1, tid, name: 'thread_name', ts: 0, args });
  const run = { pid: 1, tid: 0, cat: 'run', name: 'map enrich', id: '1' };
  const traceEvents = [
    { ph: 'M', pid: 1, tid: 0, name: 'process_name', ts: 0, args: { name: 'Pool' } },
    lane(0, { name: 'caller' }),
    lane(1, { name: 'worker 0', workerIndex: 0 }),
    lane(2, { name: 'worker 1', workerIndex: 1 }),
    { ...run, ph: 'b', ts: 1000, args: { method: 'map', task: 'enrich', calls: 250 } },
    { ...run, ph: 'e', ts: 100_000 },
    slice(0, 'worker', 'boot', 0, 14), slice(1, 'worker', 'boot', 0, 15),
    ...[14, 25, 34, 46, 55, 66, 77, 86].map((from, i, all) => chunk(0, from + 0.2, all[i + 1] ?? 99)),
    chunk(1, 15.2, 27), chunk(1, 27.1, 40, 'enrich', { outcome: 'unanswered' }),
    { ...slice(1, 'worker', 'death', 40, 40, { reason: 'crashed', signal: 'SIGKILL' }), ph: 'i' },
    slice(1, 'worker', 'boot', 40.5, 54), chunk(1, 54.2, 82, 'rows', { yields: 96 }),
    ...[55, 63, 74].map((from) => slice(1, 'yield', 'yield', from, from + 5, { first: 0, values: 32 })),
  ];
  const timeline = readTimeline({ traceEvents });
  return `${draw(timeline, timeline.pools.map(analyse)).svg}\n`;
}

if (require.main === module) fs.writeFileSync(FILE, figure());

module.exports = { figure };
