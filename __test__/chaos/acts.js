'use strict';
// What chaos runs in the workers. Each run of an item is noted first, in one file for all workers, so that the ledger
// knows how often it ran.

const fs = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const { frame, part } = require('../fixtures/raw-frames');

const CHANNEL = 3;
const REPLY = 18;
/** Sizes of results: through the socket, and through shared memory. */
const LARGE = 1 << 20;
const HUGE = 12 << 20;
const files = new Map();

function note(file, id) {
  let descriptor = files.get(file);
  if (descriptor === undefined) files.set(file, (descriptor = fs.openSync(file, 'a')));
  fs.writeSync(descriptor, `${id}\n`);
}

/** Whether this item acts now: with retries it does its harm only the first time, and talks each time. */
function isToAct({ file, id, act, once }) {
  if (!once || act === 'talk') return true;
  try {
    fs.closeSync(fs.openSync(`${file}.${id}`, 'wx'));
    return true;
  } catch {
    return false;
  }
}

/** How many messages an item sends. */
const MESSAGES = 5;

const forEver = () => new Promise(() => setInterval(() => {}, 1000));
const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
/** Ends the worker soon after, whatever it runs by then. */
const soon = (act) => void setTimeout(act, 2);

const acts = {
  value: () => {},
  think: () => {
    for (const end = performance.now() + 2; performance.now() < end; );
  },
  wait: () => later(3),
  // Says how far it is, of which nothing may be lost or come twice.
  talk: ({ id }, { emit }) => {
    for (let n = 0; n < MESSAGES; n++) emit({ id, n, payload: 'm'.repeat(id % 3 === 0 ? 5_000 : 5) });
  },
  throw: ({ id }) => {
    throw new RangeError(`item ${id}`);
  },
  reject: async ({ id }) => {
    await null;
    throw new RangeError(`item ${id}`);
  },
  exit: () => process.exit(3),
  kill: () => (isMainThread ? process.kill(process.pid, 'SIGKILL') : process.exit(9)),
  abort: () => (isMainThread ? process.abort() : process.exit(6)),
  straySoon: () => soon(() => Promise.reject(new Error('nobody waits for this'))),
  throwSoon: () => soon(() => { throw new Error('nobody catches this'); }),
  exitSoon: () => soon(() => process.exit(4)),
  loop: () => { for (;;); },
  hang: forEver,
  noise: () => process.stderr.write('x'.repeat(100_000)),
  heap: () => {
    const kept = [];
    for (;;) kept.push(new Array(10_000).fill(kept.length));
  },
  // Only a process has a channel that it could corrupt.
  garbage: () => (isMainThread ? fs.writeSync(CHANNEL, Buffer.alloc(4096, 0xa5)) : process.exit(2)),
  // A reply to a frame that it was never sent.
  forge: ({ id }) =>
    isMainThread
      ? fs.writeSync(
          CHANNEL,
          frame({ kind: REPLY, id: 2 ** 31 + id, seq: id % 3, parts: [part({ calls: 1 + (id % 5), bytes: '[]' })] }),
        )
      : process.exit(2),
  close: () => (isMainThread ? fs.closeSync(CHANNEL) : process.exit(2)),
  // Reads nothing for a while, whatever arrives.
  deaf: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40),
  large: () => {},
  huge: () => {},
};

/** @param {{ id: number, act: string, file: string, once: boolean, payload: unknown }} item */
function perform(item) {
  note(item.file, item.id);
  const answer = () => {
    if (item.act === 'large') return { id: item.id, text: 'y'.repeat(LARGE) };
    return item.act === 'huge' ? { id: item.id, bytes: Buffer.alloc(HUGE, 7) } : { id: item.id };
  };
  if (!isToAct(item)) return answer();
  const done = acts[item.act](item, this);
  return done instanceof Promise ? done.then(answer) : answer();
}

module.exports = { perform, LARGE, HUGE, MESSAGES };
