'use strict';

/**
 * Calls that go to a host over Redis: this package against BullMQ with a job for each item, whose function runs in the
 * host itself or in a sandboxed processor, and against a pool on this machine. Everywhere one process runs the calls.
 *
 * - `rate`: items per second, by what an item costs; CPU time of each side for an item that costs nothing.
 * - `latency`: one call there and back.
 * - `chunks`: CPU time of each side for a chunk that has one call in it, by what that brings along.
 * - `recovery`: from a host's SIGKILL until another host has done the call that it was at.
 *
 *   node benchmark/remote.js [--rounds 5] [--quick] [--part rate]
 */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { cpuOfTree } = require('./support/cpu-tree.js');
const { optionsFromArgv } = require('./support/options.js');
const { BullmqPeer, OwnRemote } = require('./support/peers/remote.js');
const { own, OWN_NAME } = require('./support/peers/index.js');
const { hasRedis, startRedis } = require('./support/redis.js');
const { rowWhere, Suite } = require('./support/suite.js');
const { burn, stepsPerMillisecond } = require('./support/work.js');

/** @typedef {import('./support/contest.js').Started} Started */
/** @typedef {{ port: number, pid: number }} Redis */
/** @typedef {{ suite: Suite, rounds: number, quick: boolean, redis: Redis }} Setting */
/** @typedef {import('./support/suite.js').Row} Row */

/** What an item costs in milliseconds, and how many there are where each is a job, and where it is not. */
const COSTS = [
  { cost: 0, jobs: 4000, calls: 100_000 },
  { cost: 0.1, jobs: 4000, calls: 10_000 },
  { cost: 1, jobs: 1000, calls: 1000 },
  { cost: 10, jobs: 100, calls: 100 },
];
const SIDES = /** @type {const} */ (['producer', 'redis', 'host']);
/** Calls there and back that one sample is the mean of. */
const CALLS = 100;
const PROCESSES = 1;
/** How long the call runs that a host is killed at, in milliseconds. */
const LONG = 300;
const REMOTE = `${OWN_NAME}, remote`;
const LOCAL = `${OWN_NAME}, on this machine`;
const BULLMQ = 'BullMQ, a job for each item';

const task = { filePath: require.resolve('./support/remote-work.js'), name: 'burn' };
const byBullmq = { head: '× BullMQ', other: rowWhere(({ name }) => name === BULLMQ) };
const PARTS = { rate, latency, chunks, recovery };

/** How many bytes an item has, and how many of them there are. */
const SIZES = [{ bytes: 10, items: 4000 }, { bytes: 4096, items: 4000 }, { bytes: 65_536, items: 1000 }];
/** Of the host; for each of them there are two chunks in flight. */
const CHUNK_PROCESSES = 8;

/** @param {number} port */
const contendersOn = (port) => /** @type {any[]} */ ([
  { name: REMOTE, mode: 'child', kind: 'own', make: () => new OwnRemote(port, task) },
  { name: BULLMQ, mode: 'child', kind: 'library', make: () => new BullmqPeer(port, 'bullmq') },
  { name: 'BullMQ, sandboxed', mode: 'child', kind: 'library', make: () => new BullmqPeer(port, 'sandbox') },
  own('child', { name: LOCAL }),
]);

/** @param {Setting} setting */
async function rate({ suite, rounds, redis }) {
  await withStarted(contendersOn(redis.port), task, PROCESSES, async (started) => {
    const steps = stepsPerMillisecond();
    /** @type {Map<number, any[]>} */
    const byCost = new Map();
    for (const { cost, jobs, calls } of COSTS) {
      const list = Array(calls).fill(Math.round(cost * steps));
      const expected = Array(calls).fill(burn(list[0]));
      const lengthFor = (/** @type {{ kind: string }} */ { kind }) => (kind === 'library' ? jobs : calls);
      /** @type {Map<object, number[][]>} CPU time of an item by side, in microseconds */
      const cpu = new Map(started.map((contender) => [contender, []]));
      const rows = await contest(started, {
        rounds,
        warmups: 1,
        run: async (peer, contender, round) => {
          const length = lengthFor(contender);
          const before = cpuOfSides(peer, redis.pid);
          const begin = performance.now();
          const results = await peer.run(list.slice(0, length));
          const took = performance.now() - begin;
          const after = cpuOfSides(peer, redis.pid);
          if (round >= 0) cpu.get(contender)?.push(after.map((time, side) => ((time - before[side]) * 1000) / length));
          return { results, rate: (length * 1000) / took };
        },
        after: ({ results }, contender) => assert.deepEqual(results, expected.slice(0, lengthFor(contender))),
        sample: (_milliseconds, found) => found.rate,
      });
      byCost.set(cost, suite.section({
        id: `rate-${cost}`,
        title: `${cost === 0 ? 'No-op items' : `Items of ${cost} ms`}, one process`,
        unit: 'items/s',
        better: 'higher',
        rows,
        against: [byBullmq],
        chart: false,
      }));
      // Only there are the steps of 10 ms in which the system counts fine enough.
      if (cost !== 0) continue;
      SIDES.forEach((side, at) => {
        const samples = started.map((contender) => cpu.get(contender)?.map((times) => times[at]) ?? []);
        showCpu(suite, side, rows, samples);
      });
    }
    suite.overview({
      id: 'rate',
      title: 'Items per second',
      unit: 'items/s',
      x: 'ms of work in an item; no-op items are at 0.01',
      sections: new Map([...byCost].map(([cost, found]) => [cost || 0.01, found])),
    });
  });
}

/** CPU time so far in milliseconds, as in `SIDES`. @param {any} peer @param {number} redisPid */
function cpuOfSides(peer, redisPid) {
  const { user, system } = process.cpuUsage();
  const [host] = peer.hosts ?? [];
  return [(user + system) / 1000, cpuOfTree(redisPid), host === undefined ? 0 : cpuOfTree(host.pid)];
}

/** @param {Suite} suite @param {string} side @param {Row[]} rows @param {number[][]} samples */
function showCpu(suite, side, rows, samples) {
  suite.section({
    id: `cpu-${side}`,
    title: `CPU time of the ${side} for a no-op item`,
    unit: 'µs',
    rows: rows.map((row, at) => ({ ...row, samples: samples[at] }))
      .filter(({ name }) => side === 'producer' || name !== LOCAL),
    against: [],
    chart: false,
  });
}

/** @param {Setting} setting */
async function latency({ suite, rounds, redis }) {
  await withStarted(contendersOn(redis.port), task, PROCESSES, async (started) => {
    const rows = await contest(started, {
      rounds,
      warmups: 1,
      run: async (peer) => {
        for (let call = 1; call < CALLS; call += 1) await peer.call(0);
        return peer.call(0);
      },
      after: (result) => assert.equal(result, burn(0)),
      sample: (milliseconds) => milliseconds / CALLS,
    });
    suite.section({ id: 'latency', title: 'One no-op call there and back', unit: 'ms', rows, against: [byBullmq] });
  });
}

/** @param {Setting} setting */
async function chunks({ suite, rounds, redis }) {
  const peer = new OwnRemote(redis.port, { ...task, name: 'sizeOf' });
  await peer.start(CHUNK_PROCESSES);
  try {
    const pool = /** @type {import('@parallelizer/node').Pool} */ (peer.pool);
    for (const { bytes, items } of SIZES) {
      const list = Array(items).fill('x'.repeat(bytes));
      /** @type {number[][]} microseconds, by side */
      const samples = SIDES.map(() => []);
      for (let round = -1; round < rounds; round += 1) {
        const before = cpuOfSides(peer, redis.pid);
        const results = await pool.map(peer.task, list, { chunkSize: 1 });
        const after = cpuOfSides(peer, redis.pid);
        assert.ok(results.every((result) => result === bytes));
        if (round >= 0) samples.forEach((each, side) => each.push(((after[side] - before[side]) * 1000) / items));
      }
      suite.section({
        id: `chunk-${bytes}`,
        title: `CPU time of a chunk with one call of ${bytes} bytes, ${2 * CHUNK_PROCESSES} in flight`,
        unit: 'µs',
        rows: SIDES.map((side, at) => ({ name: side, mode: 'child', kind: 'own', samples: samples[at] })),
        against: [],
        chart: false,
      });
    }
  } finally {
    await peer.stop();
  }
}

/** @param {Setting} setting */
async function recovery({ suite, rounds, quick, redis }) {
  const own = () => new OwnRemote(redis.port, { ...task, name: 'tellAndBurn' }, { retries: 1 });
  /** @type {Row[]} */
  const rows = [{ name: REMOTE, mode: 'child', kind: 'own', samples: await deaths(own, rounds) }];
  // It looks for jobs whose host is gone every 30 s, and waits for the lock to expire: up to a minute.
  if (!quick) {
    const samples = await deaths(() => new BullmqPeer(redis.port, 'bullmq', 'tellAndBurn'), 1);
    rows.push({ name: 'BullMQ with its defaults, once', mode: 'child', kind: 'library', samples });
  }
  suite.section({
    id: 'recovery',
    title: `A host is killed at a call of ${LONG} ms: until another one has done it`,
    unit: 'ms',
    rows,
    against: [],
    chart: false,
  });
}

/** @param {() => OwnRemote | BullmqPeer} make @param {number} rounds @returns {Promise<number[]>} milliseconds */
async function deaths(make, rounds) {
  const steps = Math.round(LONG * stepsPerMillisecond());
  const expected = burn(steps);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-remote-'));
  /** @type {number[]} */
  const samples = [];
  for (let round = 0; round < rounds; round += 1) {
    const file = path.join(directory, String(round));
    const peer = make();
    try {
      await peer.start(PROCESSES);
      await peer.startHost(PROCESSES);
      const result = peer.call({ file, steps });
      const pids = await told(file);
      const victim = peer.hosts.find(({ pid }) => pids.includes(Number(pid)));
      assert.ok(victim, 'the call runs in one of the hosts');
      const ended = once(victim, 'exit');
      victim.kill('SIGKILL');
      await ended;
      const begin = performance.now();
      assert.equal(await result, expected);
      samples.push(performance.now() - begin);
      assert.equal(fs.readFileSync(file, 'utf8').split('\n').length, 3, 'the call was run twice');
    } finally {
      await peer.stop();
    }
  }
  fs.rmSync(directory, { recursive: true });
  return samples;
}

/** What the function has said of where it runs. @param {string} file @returns {Promise<number[]>} */
async function told(file) {
  for (;;) {
    const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    if (text.endsWith('\n')) return text.trim().split(' ').map(Number);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function main() {
  const { rounds, quick, part } = optionsFromArgv({ rounds: 5 });
  if (part !== undefined && !Object.hasOwn(PARTS, part)) {
    throw new RangeError(`--part must be one of ${Object.keys(PARTS).join(', ')}, not ${part}`);
  }
  if (!hasRedis()) {
    console.log('SKIPPED: there is no redis-server (apt-get install redis-server)');
    return;
  }
  const suite = new Suite(part === undefined ? 'remote' : `remote-${part}`, { processes: PROCESSES });
  const redis = await startRedis();
  try {
    for (const [name, measure] of Object.entries(PARTS)) {
      if (part === undefined || part === name) await measure({ suite, rounds, quick, redis });
    }
    suite.save();
  } finally {
    await redis.stop();
  }
}

runSuite(main);
