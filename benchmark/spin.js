'use strict';

/**
 * What polling before sleeping gains and costs: the round trip of a no-op call with and without it, the CPU time that
 * all processes spend on it, the lateness of a 5 ms interval meanwhile, and the CPU time of an idle pool.
 *
 *   node benchmark/spin.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { readdirSync, readFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { own, OWN_NAME } = require('./support/peers/index.js');
const { summarize } = require('./support/rounds.js');
const { Suite } = require('./support/suite.js');

const TRIPS = 2000;
const WARMUPS = 5;
const INTERVAL = 5;
const IDLE = 1000;

const OFF = `${OWN_NAME}, spin: false`;

/** @typedef {{ result: number, trip: number, cpu: number, late: number }} Measured */

/** @param {import('./support/peers/index.js').Peer} peer @returns {number[]} this process and its workers */
function processesOf(peer) {
  const { workers } = /** @type {any} */ (peer).pool.stats();
  return [
    ...new Set([process.pid, ...workers.map((/** @type {{ pid: number | null }} */ { pid }) => pid ?? process.pid)]),
  ];
}

/** @param {number[]} pids @returns {number} milliseconds of CPU time so far; NaN if the system does not say */
function cpuTime(pids) {
  try {
    return pids
      .flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`))
      .reduce((sum, file) => sum + Number(readFileSync(file, 'utf8').split(' ')[0]), 0) / 1e6;
  } catch {
    return NaN;
  }
}

/** @param {import('./support/peers/index.js').Peer} peer @returns {Promise<Measured>} */
async function measure(peer) {
  const pids = processesOf(peer);
  /** @type {number[]} */
  const lateness = [];
  let last = performance.now();
  const interval = setInterval(() => {
    const now = performance.now();
    lateness.push(Math.max(0, now - last - INTERVAL));
    last = now;
  }, INTERVAL);
  const before = cpuTime(pids);
  const begin = performance.now();
  let result = 0;
  for (let trip = 0; trip < TRIPS; trip += 1) result += await peer.call(trip);
  const milliseconds = performance.now() - begin;
  const cpu = cpuTime(pids) - before;
  clearInterval(interval);
  return {
    result,
    trip: (milliseconds * 1000) / TRIPS,
    cpu: (cpu * 1000) / TRIPS,
    late: lateness.length > 0 ? summarize(lateness).median : NaN,
  };
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 15 });
  const suite = new Suite('spin', { workers, trips: TRIPS });
  const players = /** @type {const} */ (['child', 'threads']).flatMap((mode) => [
    own(mode),
    own(mode, { name: OFF, spin: false }),
  ]);
  /** @type {import('./support/suite.js').Against[]} */
  const against = [
    { head: '÷ spin: false', other: ({ mode }, rows) => rows.find((row) => row.name === OFF && row.mode === mode) },
  ];

  await withStarted(
    players,
    { filePath: require.resolve('./support/work.js'), name: 'echo' },
    workers,
    async (started) => {
      /** @type {Map<object, Measured[]>} */
      const all = new Map(started.map((contender) => [contender, []]));
      await contest(started, {
        rounds,
        warmups: WARMUPS,
        run: (peer) => measure(peer),
        after: (/** @type {Measured} */ measured, contender) => {
          assert.equal(measured.result, (TRIPS * (TRIPS - 1)) / 2);
          all.get(contender)?.push(measured);
        },
      });
      /** @param {'trip' | 'cpu' | 'late'} what */
      const rowsOf = (what) =>
        started.map((contender) => ({
          name: contender.name,
          mode: contender.mode,
          kind: contender.kind,
          samples: (all.get(contender) ?? []).slice(-rounds).map((measured) => measured[what]),
        }));
      const known = (/** @type {{ samples: number[] }[]} */ rows) =>
        rows.every(({ samples }) => samples.every(Number.isFinite));

      suite.section({
        id: 'round-trip',
        title: 'Round trip of a no-op call',
        unit: 'µs',
        rows: rowsOf('trip'),
        against,
      });
      const cpu = rowsOf('cpu');
      if (known(cpu))
        suite.section({
          id: 'cpu',
          title: 'CPU time of a round trip, caller and workers',
          unit: 'µs',
          rows: cpu,
          against,
        });
      suite.section({
        id: 'interval',
        title: `Lateness of a ${INTERVAL} ms interval during the round trips, its median in a round`,
        unit: 'ms',
        rows: rowsOf('late'),
        against: [],
      });

      if (known(cpu)) {
        const idle = await contest(started, {
          rounds: Math.min(rounds, 5),
          warmups: 0,
          run: async (peer) => {
            // The aftermath of the calls before it is over.
            await sleep(IDLE / 2);
            const pids = processesOf(peer);
            const before = cpuTime(pids);
            await sleep(IDLE);
            return (cpuTime(pids) - before) / (IDLE / 1000);
          },
          sample: (_milliseconds, used) => used,
        });
        suite.section({
          id: 'idle',
          title: 'CPU time of the caller and its idle workers',
          unit: 'ms per second',
          rows: idle,
          against: [],
        });
      }
    },
  );
  suite.save();
}

runSuite(main);
