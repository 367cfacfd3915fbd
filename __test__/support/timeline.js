'use strict';
// What tests of timelines share.

const assert = require('node:assert/strict');

/** What any reader of Chrome's trace event format relies on. */
function assertWellFormed({ traceEvents }) {
  assert.deepEqual(JSON.parse(JSON.stringify(traceEvents)), traceEvents, 'plain data');
  /** @type {Map<string, number>} */
  const open = new Map();
  /** @type {Map<string, { ts: number, end: number, name: string }[]>} */
  const lanes = new Map();
  let last = -Infinity;
  for (const event of traceEvents) {
    for (const field of ['pid', 'tid', 'ts']) assert.equal(typeof event[field], 'number', JSON.stringify(event));
    assert.equal(typeof event.name, 'string');
    assert.ok('MXbesfi'.includes(event.ph), event.ph);
    if (event.ph === 'M') continue;
    assert.ok(event.ts >= last, 'in the order of time');
    last = event.ts;
    const key = [event.pid, event.cat, event.id, event.name].join();
    if (event.ph === 'X') {
      assert.ok(event.dur >= 0, JSON.stringify(event));
      const lane = `${event.pid} ${event.tid}`;
      if (!lanes.has(lane)) lanes.set(lane, []);
      lanes.get(lane).push({ ts: event.ts, end: event.ts + event.dur, name: event.name });
    } else if ('bs'.includes(event.ph)) {
      assert.equal(typeof event.id, 'string');
      open.set(key, (open.get(key) ?? 0) + 1);
    } else if ('ef'.includes(event.ph)) {
      assert.ok(open.get(key) > 0, `${event.ph} of what has not begun: ${key}`);
      open.set(key, open.get(key) - 1);
    }
  }
  // Slices of one lane lie behind one another, or within one another. (Times are rounded to a quarter microsecond.)
  for (const [lane, slices] of lanes) {
    const stack = [];
    for (const slice of slices.sort((one, other) => one.ts - other.ts || other.end - one.end)) {
      while (stack.length > 0 && stack.at(-1).end <= slice.ts + 0.5) stack.pop();
      if (stack.length > 0) assert.ok(slice.end <= stack.at(-1).end + 0.5, `${lane}: ${slice.name} in ${stack.at(-1).name}`);
      stack.push(slice);
    }
  }
  return traceEvents;
}

const of = (events, cat) => events.filter((event) => event.cat === cat);

module.exports = { assertWellFormed, of };
