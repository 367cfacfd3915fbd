'use strict';

/**
 * The figures of the README's picture: what a core more is worth for records that compute, what the way to the workers
 * and back costs, and how many calls a second there are. Each mode of this package is shown beside the best library of
 * that mode, named, and beside what is written by hand with Node's own modules.
 *
 * A shortened form of the suites `cpu`, `records` and `calls`, with the same contenders. `--publish` also writes the
 * picture and its samples to docs/figures/, for the README.
 *
 *   node benchmark/headline.js [--rounds 9] [--quick] [--publish]
 */

const assert = require('node:assert/strict');
const { makeEvent, recordsOf } = require('../examples/kafka-lambda/event.js');
const { panelChart } = require('./support/chart.js');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { count } = require('./support/format.js');
const { describeMachine, versionsOf } = require('./support/machine.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, inParts, ownBatches, OWN_NAME } = require('./support/peers/index.js');
const { publishResult, writeResult } = require('./support/results.js');
const { summarize } = require('./support/rounds.js');
const { bestOf, rowWhere, Suite } = require('./support/suite.js');
const work = require('./support/work.js');

/** @typedef {import('./support/suite.js').Row} Row */
/** @typedef {import('./support/peers/index.js').Contender} Contender */

const MODES = /** @type {const} */ (['child', 'threads']);
const MODE_NAMES = { child: 'processes', threads: 'threads' };

/** Each somewhat below a millisecond. */
const STEPS = Array.from({ length: 400 }, (_, index) => 400_000 + index);
const RECORDS = 1000;
/** One run takes a few milliseconds: too short to be timed alone. */
const RUNS_PER_SAMPLE = 10;
const UNDER_WAY = 20_000;

const oneThread = rowWhere(({ mode }) => mode === 'one thread');

async function main() {
  const { rounds, workers, publish } = optionsFromArgv({ rounds: 9 });
  const suite = new Suite('headline', { workers });
  const panels = [await computing(suite, rounds, workers), await carrying(suite, rounds, workers), await calling(suite, rounds, workers)];

  const svg = panelChart({
    title: `${OWN_NAME}: ${workers} workers beside the best library and code written by hand`,
    panels,
    footer: [
      `${describeMachine(suite.machine)}; ${workers} workers`,
      versionsOf(suite.machine, named(panels)),
      `${suite.date.slice(0, 10)}, load ${suite.machine.load[0].toFixed(1)} at the start; medians of ${rounds} alternating rounds, whiskers: the quartiles`,
    ],
  });
  suite.save();
  writeResult('headline.svg', svg);
  if (publish) publishResult('headline', { svg, record: suite.record() });
}

/** Work that has nothing but computing in it. @param {Suite} suite @param {number} rounds @param {number} workers */
async function computing(suite, rounds, workers) {
  const task = { filePath: require.resolve('./support/work.js'), name: 'burn', probe: 0 };
  const batchTask = { filePath: require.resolve('./support/work-batch.js'), name: 'burn' };
  const others = contenders({ oneAtATime: true }).filter(({ kind }) => kind !== 'own');
  const players = [...others, ...MODES.map((mode) => ownBatches(mode, batchTask))];
  const expected = STEPS.map((steps) => work.burn(steps));
  const rows = await withStarted(players, task, workers, (started) => contest(started, {
    rounds,
    warmups: 1,
    run: (peer) => peer.run(STEPS),
    after: (results) => assert.deepEqual(results, expected),
  }));
  suite.section({
    id: 'computing',
    title: '400 records that compute, by run',
    unit: 'ms',
    rows,
    against: [{ head: 'speed-up over one thread', other: oneThread, inverse: true }],
    chart: false,
  });
  // Of times, so that a panel's bars are what its title says.
  const base = /** @type {Row} */ (rows.find((row) => row.mode === 'one thread')).samples;
  const speedUps = rows.map((row) => ({ ...row, samples: row.samples.map((time, round) => base[round] / time) }));
  return {
    title: 'Computing: 400 records of integer arithmetic, run()',
    unit: 'times as fast as Promise.all in one thread; more is better',
    bars: headliners(speedUps, 'higher'),
  };
}

/** Records to the workers and back, with nothing done to them. @param {Suite} suite @param {number} rounds @param {number} workers */
async function carrying(suite, rounds, workers) {
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const batchTask = { filePath: require.resolve('./support/echo.js'), name: 'echo' };
  const peers = contenders().filter(({ kind }) => kind === 'library' || kind === 'handwritten').map(inParts);
  const players = [...peers, ...MODES.map((mode) => ownBatches(mode, batchTask))];
  const records = recordsOf(makeEvent({ records: RECORDS }));
  const bytes = Math.round(JSON.stringify(records).length / RECORDS);
  const rows = await withStarted(players, task, workers, (started) => contest(started, {
    rounds,
    warmups: 3,
    run: async (peer) => {
      for (let run = 1; run < RUNS_PER_SAMPLE; run += 1) await peer.run(records);
      return peer.run(records);
    },
    after: (results) => assert.deepEqual(results, records),
    sample: (milliseconds) => milliseconds / RUNS_PER_SAMPLE,
  }));
  suite.section({ id: 'carrying', title: `${count(RECORDS)} Kafka records of ${bytes} bytes there and back`, unit: 'ms', rows, chart: false });
  return {
    title: `Carrying: ${count(RECORDS)} Kafka records of ${bytes} bytes to the workers and back, run()`,
    unit: 'milliseconds; less is better',
    bars: headliners(rows, 'lower'),
  };
}

/** Calls that do nothing. @param {Suite} suite @param {number} rounds @param {number} workers */
async function calling(suite, rounds, workers) {
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const players = contenders().filter(({ kind }) => kind !== 'base');
  const items = [...Array(UNDER_WAY).keys()];
  const rows = await withStarted(players, task, workers, (started) => contest(started, {
    rounds,
    run: (peer) => Promise.all(items.map((item) => peer.call(item))),
    after: (results) => assert.deepEqual(results, items),
    sample: (milliseconds) => UNDER_WAY / milliseconds,
  }));
  suite.section({ id: 'calling', title: `No-op calls, ${count(UNDER_WAY)} under way`, unit: '1,000 calls/s', better: 'higher', rows, chart: false });
  return {
    title: `Calling: no-op calls of a Pool, ${count(UNDER_WAY)} in flight`,
    unit: 'thousands of calls per second; more is better',
    bars: headliners(rows, 'higher'),
  };
}

/**
 * Of each mode this package, the best library, and what is written by hand.
 *
 * @param {Row[]} rows
 * @param {'lower' | 'higher'} better
 */
function headliners(rows, better) {
  return MODES.flatMap((mode) => {
    const own = /** @type {Row} */ (rows.find((row) => row.kind === 'own' && row.mode === mode));
    const best = /** @type {Row} */ (bestOf('library', better)(own, rows));
    const handwritten = /** @type {Row} */ (bestOf('handwritten', better)(own, rows));
    return [
      { ...own, label: `${OWN_NAME}, ${MODE_NAMES[mode]}` },
      { ...best, label: `best library, ${MODE_NAMES[mode]}: ${best.name}` },
      { ...handwritten, label: `by hand: ${handwritten.name}` },
    ];
  }).map(({ label, name, kind, samples }) => ({ label, name, kind, ...summarize(samples) }));
}

/** @param {{ bars: { name: string, kind: string }[] }[]} panels @returns {string[]} the libraries that are shown */
const named = (panels) => [...new Set(panels.flatMap(({ bars }) => bars.filter(({ kind }) => kind === 'library').map(({ name }) => name)))];

runSuite(main);
