'use strict';

/**
 * What a timeline says, in the form that it is drawn in: pools with their lanes, and what happened on each of them. The
 * format that is read is described in docs/observability.md of the library; what is not of it is left out.
 *
 * All times are microseconds since the first event.
 */

/**
 * @typedef {object} Span
 * @property {'chunk' | 'boot' | 'encode' | 'decode' | 'run' | 'yield'} kind
 * @property {string} name @property {number} from @property {number} to
 * @property {Record<string, any>} args as they were traced
 * @property {boolean} [isCritical]
 */

/** @typedef {{ kind: string, at: number, args: Record<string, any> }} Mark a moment: a death, a recall, a message */
/** @typedef {{ from: number, to: number }} Gap */

/**
 * @typedef {object} Lane
 * @property {string} name @property {number | null} workerIndex `null`: of the thread that has the pool
 * @property {Span[]} spans in order @property {Mark[]} marks
 * @property {Gap[]} gaps in which a worker could have worked, and did not
 */

/** @typedef {{ name: string, lanes: Lane[], runs: Span[] }} PoolLanes */
/** @typedef {{ pools: PoolLanes[], length: number }} Timeline */

/**
 * @typedef {object} TraceEvent
 * @property {string} name @property {string} [cat] @property {string} ph
 * @property {number} pid @property {number} tid @property {number} ts @property {number} [dur]
 * @property {any} [id] @property {any} [args]
 */

const KINDS = /** @type {Record<string, Span['kind']>} */ ({
  chunk: 'chunk', worker: 'boot', encode: 'encode', decode: 'decode', run: 'run', yield: 'yield',
});

class NoTimeline extends Error {
  /** @override */
  name = 'NoTimeline';
}

/** @param {unknown} event @returns {event is TraceEvent} */
function isEvent(event) {
  const { ph, ts } = /** @type {any} */ (event ?? {});
  return typeof ph === 'string' && (ph === 'M' || Number.isFinite(ts));
}

/** Others write such files as well, with whatever they like in them. @param {TraceEvent} event @returns {TraceEvent} */
function inForm({ name, cat, dur, pid, tid, args, ...rest }) {
  const isTable = typeof args === 'object' && args !== null && !Array.isArray(args);
  return {
    ...rest,
    name: String(name ?? ''),
    cat: typeof cat === 'string' ? cat : '',
    dur: typeof dur === 'number' && dur >= 0 ? dur : 0,
    pid: Number(pid) || 0,
    tid: Number(tid) || 0,
    args: isTable ? args : {},
  };
}

/**
 * @param {unknown} trace what was in the file
 * @returns {Timeline}
 */
function readTimeline(trace) {
  const list = Array.isArray(trace) ? trace : /** @type {any} */ (trace)?.traceEvents;
  if (!Array.isArray(list)) throw new NoTimeline('has no "traceEvents"');
  const events = list.filter(isEvent).map(inForm);
  const timed = events.filter(({ ph }) => ph !== 'M');
  if (timed.length === 0) throw new NoTimeline('has no events: nothing has run while it was traced');
  const start = timed.reduce((least, { ts }) => Math.min(least, ts), Infinity);
  /** @type {Map<number, { pool: PoolLanes, lanes: Map<number, Lane> }>} */
  const pools = new Map();
  const poolOf = (/** @type {number} */ pid) => {
    let found = pools.get(pid);
    if (found === undefined) {
      found = { pool: { name: `pool ${pid}`, lanes: [], runs: [] }, lanes: new Map() };
      pools.set(pid, found);
    }
    return found;
  };
  const laneOf = (/** @type {TraceEvent} */ { pid, tid }) => {
    const { lanes } = poolOf(pid);
    let lane = lanes.get(tid);
    if (lane === undefined) {
      lane = { name: `thread ${tid}`, workerIndex: null, spans: [], marks: [], gaps: [] };
      lanes.set(tid, lane);
    }
    return lane;
  };
  /** @type {Map<string, Span>} */
  const open = new Map();
  let length = 0;
  for (const event of events) {
    const { name, cat = '', ph, pid, ts, dur = 0, id, args = {} } = event;
    if (ph === 'M') {
      if (name === 'process_name') poolOf(pid).pool.name = String(args.name);
      if (name === 'thread_name') {
        const lane = laneOf(event);
        lane.name = String(args.name);
        lane.workerIndex = typeof args.workerIndex === 'number' ? args.workerIndex : workerIn(lane.name);
      }
      continue;
    }
    const from = ts - start;
    const kind = Object.hasOwn(KINDS, cat) ? KINDS[cat] : undefined;
    length = Math.max(length, from + (ph === 'X' ? dur : 0));
    if (ph === 'X' && kind !== undefined) laneOf(event).spans.push({ kind, name, from, to: from + dur, args });
    else if (ph === 'i' || ph === 'I') laneOf(event).marks.push({ kind: name, at: from, args });
    else if (kind === 'run' && ph === 'b') {
      const run = { kind, name, from, to: NaN, args };
      open.set(`${pid} ${id}`, run);
      poolOf(pid).pool.runs.push(run);
    } else if (kind === 'run' && ph === 'e') {
      const run = open.get(`${pid} ${id}`);
      if (run !== undefined) Object.assign(run, { to: from, args: { ...run.args, ...args } });
    }
  }
  for (const { pool, lanes } of pools.values()) {
    // What had not settled when the trace was taken goes on to its end.
    for (const run of pool.runs) if (Number.isNaN(run.to)) run.to = length;
    // Thread 0 is the one that has the pool.
    for (const [tid, lane] of lanes) if (tid !== 0) lane.workerIndex ??= tid;
    const inOrder = [...lanes].sort(([a, left], [b, right]) => order(left) - order(right) || a - b);
    pool.lanes = inOrder.map(([, lane]) => lane);
    for (const lane of pool.lanes) lane.spans.sort((a, b) => a.from - b.from);
  }
  return { pools: [...pools].sort(([a], [b]) => a - b).map(([, { pool }]) => pool), length };
}

/** @param {string} name */
function workerIn(name) {
  const [, index] = /^worker \D*(\d+)/.exec(name) ?? [];
  return index === undefined ? null : Number(index);
}

/** The thread that has the pool comes first. @param {Lane} lane */
const order = ({ workerIndex }) => workerIndex ?? -1;

module.exports = { NoTimeline, readTimeline };
