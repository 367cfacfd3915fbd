'use strict';
// One round of chaos: a pool, work of every kind, and attacks on it until everything has settled. The seed determines
// what is offered and what is done to it; the timing depends on the machine.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Pool } = require('@parallelizer/node');
const { Ledger } = require('./ledger');
const { Random } = require('./random');

const task = { filePath: path.join(__dirname, 'acts.js'), name: 'perform' };
const HARMLESS = [
  ...Array(6).fill('value'), 'think', 'wait', 'talk', 'talk', 'throw', 'reject',
];
const HARMFUL = [
  'exit',
  'kill',
  'abort',
  'straySoon',
  'throwSoon',
  'exitSoon',
  'noise',
  'garbage',
  'forge',
  'close',
  'deaf',
  'large',
  'huge',
];
/** Everything has settled by then even on a slow machine. */
const DEADLINE = 120_000;

/**
 * @param {number} seed @param {'child-process' | 'worker-threads'} type @param {number} size roughly how many items
 * @returns {Promise<Record<string, number>>} what became of the items
 */
async function round(seed, type, size) {
  const random = new Random(seed);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-chaos-'));
  const ledger = new Ledger(path.join(dir, 'runs'));
  const retries = random.chance(0.4) ? 1000 : 0;
  const timeout = random.chance(0.3) ? random.between(200, 600) : undefined;
  const pool = new Pool(random.between(1, 4), {
    type,
    retries,
    timeout,
    gracePeriod: random.pick([0, 20, 500]),
    concurrency: random.pick([1, 1, 3]),
    maxTasksPerChild: random.chance(0.2) ? random.between(5, 50) : undefined,
    idleTimeout: random.chance(0.2) ? 30 : undefined,
    serialization: random.pick(['auto', 'auto', 'advanced']),
    execArgv: type === 'child-process' ? ['--max-old-space-size=64'] : undefined,
    resourceLimits: type === 'worker-threads' ? { maxOldGenerationSizeMb: 32 } : undefined,
    stdio: 'ignore',
  });
  const attacker = attack(pool, new Random(seed ^ 0x5eed), type);
  const harm = random.pick([0, 0.005, 0.03]);
  const work = [];
  try {
    for (let left = size; left > 0; ) {
      const count = Math.min(left, random.between(1, Math.max(1, size >> 2)));
      left -= count;
      const items = Array.from({ length: count }, () =>
        ledger.accept(actOf(random, harm, timeout), { retries, timed: timeout !== undefined }),
      );
      work.push(offer(pool, random, ledger, items));
      if (random.chance(0.3)) await sleep(random.between(0, 20));
    }
    const ending = random.pick(['join', 'join', 'close', 'terminate']);
    await Promise.race([end(pool, ending, random, ledger, work), expire(seed, pool, ledger)]);
    const counts = ledger.check();
    assert.deepEqual(pool.stats().workers, [], 'no worker is left');
    return counts;
  } finally {
    attacker.stop();
    await pool.terminate();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

function actOf(random, harm, timeout) {
  if (!random.chance(harm)) return random.pick(HARMLESS);
  if (timeout !== undefined && random.chance(0.4)) return random.pick(['loop', 'hang']);
  return random.chance(0.03) ? 'heap' : random.pick(HARMFUL);
}

/** Offers items by one of the methods; resolves when all of them have settled. */
async function offer(pool, random, ledger, items) {
  const controller = random.chance(0.15) ? new AbortController() : null;
  const ids = items.map(({ id }) => id);
  if (controller !== null) {
    setTimeout(() => {
      ledger.abort(ids);
      controller.abort();
    }, random.between(0, 60)).unref();
  }
  const signal = controller?.signal;
  const chunkSize = random.pick([undefined, undefined, 1, 7]);
  const priority = random.pick([undefined, undefined, -1, 2]);
  const onMessage = random.chance(0.6) ? (value, info) => ledger.hear(value, info) : undefined;
  const book = (id, { value, reason }) => (reason === undefined ? ledger.succeed(id, value) : ledger.fail(id, reason));
  switch (random.pick(['map', 'map', 'imap', 'imapUnordered', 'apply'])) {
    case 'map': {
      const outcomes = await pool.map(task, items, { onError: 'collect', signal, chunkSize, priority, onMessage });
      return outcomes.forEach((outcome, i) => book(ids[i], outcome));
    }
    case 'apply': {
      const calls = items.map((item) =>
        pool.apply(task, [item], { signal, priority, onMessage }).then(
          (value) => ({ value }),
          (reason) => ({ reason }),
        ),
      );
      return (await Promise.all(calls)).forEach((outcome, i) => book(ids[i], outcome));
    }
    case 'imap': {
      let next = 0;
      const stream = pool.imap(task, items, { onError: 'collect', signal, chunkSize, priority, onMessage });
      return drain(stream, ledger, ids, (outcome) => book(ids[next++], outcome));
    }
    default: {
      const stream = pool.imapUnordered(task, items, { onError: 'collect', signal, chunkSize, priority, onMessage });
      await drain(stream, ledger, ids, ({ value, reason }) => {
        if (reason === undefined) return ledger.succeed(value.id, value);
        // An error of this library names its item by its index, a thrown one by its text.
        const id = reason.records ? ids[reason.records[0]] : Number(/\d+/.exec(reason.message));
        return ledger.fail(id, reason);
      });
    }
  }
}

/** Takes what a stream yields; if it is cut short, what it has not yielded has failed with that error. */
async function drain(stream, ledger, ids, take) {
  try {
    for await (const outcome of stream) take(outcome);
  } catch (error) {
    for (const id of ids) if (ledger.items.get(id).outcome === null) ledger.fail(id, error);
  }
}

async function end(pool, ending, random, ledger, work) {
  if (ending === 'terminate') {
    await sleep(random.between(0, 100));
    ledger.isEnded = true;
    await pool.terminate();
    await Promise.all(work);
  } else {
    if (ending === 'join') await Promise.all(work);
    // Otherwise close in the middle of it: what was accepted is finished all the same.
    else await sleep(random.between(0, 30));
    pool.close();
    await pool.join();
    await Promise.all(work);
  }
}

async function expire(seed, pool, ledger) {
  await sleep(DEADLINE, undefined, { ref: false });
  const open = [...ledger.items].filter(([, { outcome }]) => outcome === null).map(([id, { act }]) => `${id} ${act}`);
  throw new Error(`seed ${seed}: not settled: ${open.slice(0, 20).join(', ')}; ${JSON.stringify(pool.stats())}`);
}

/** Kills, stops and continues workers that are processes; also with threads, reads nothing for a while. */
function attack(pool, random, type) {
  if (random.chance(0.2)) return { stop() {} };
  if (type !== 'child-process') {
    const timer = setInterval(() => stall(random.between(1, 60)), 100);
    return { stop: () => clearInterval(timer) };
  }
  const pace = random.pick([10, 30, 60]);
  const stopped = new Set();
  const signal = (pid, name) => {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  // On a busy machine workers would be killed faster than they start.
  let left = 40;
  const timer = setInterval(() => {
    if (left-- <= 0) return;
    if (random.chance(0.1)) return stall(random.between(1, 60));
    // A worker that is always killed before it is up gets nothing done.
    const isHit = ({ pid, state }) => pid !== null && (state !== 'starting' || random.chance(0.02));
    const targets = pool.stats().workers.filter(isHit);
    if (targets.length === 0) return;
    const { pid } = random.pick(targets);
    if (random.chance(0.7)) {
      signal(pid, 'SIGKILL');
    } else {
      signal(pid, 'SIGSTOP');
      stopped.add(pid);
      setTimeout(() => {
        stopped.delete(pid);
        signal(pid, 'SIGCONT');
      }, random.between(1, 40));
    }
  }, pace);
  return {
    stop() {
      clearInterval(timer);
      for (const pid of stopped) signal(pid, 'SIGCONT');
    },
  };
}

/** Keeps the event loop from reading what the workers send. */
function stall(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

module.exports = { round };
