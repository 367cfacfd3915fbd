'use strict';

/**
 * The results of a benchmark with one table: on stdout, and under benchmark/results/ as a chart and as JSON with every
 * sample.
 */

const Table = require('cli-table3');
const { barChart } = require('./chart.js');
const { figure, spread, times } = require('./format.js');
const { describeMachine, machine } = require('./machine.js');
const { optionsFromArgv } = require('./options.js');
const { writeResult } = require('./results.js');
const { ratios, summarize } = require('./rounds.js');

/**
 * @param {number} fallback
 * @returns {number} `--rounds` of the command line, or fewer rounds with `--quick`
 */
const roundsFromArgv = (fallback) => optionsFromArgv({ rounds: fallback }).rounds;

/**
 * @param {object} benchmark
 * @param {string} benchmark.name also the name of its JSON file
 * @param {string} benchmark.title
 * @param {Map<string, number[]>} benchmark.samples milliseconds by competitor, indexed by round
 * @param {string} benchmark.unit what a sample is the time for: `batch`, `start`
 * @param {string[]} benchmark.bases the competitors that all others are compared with
 * @param {'speed' | 'time'} [benchmark.compare] whether 2× means half or twice the time
 * @param {Record<string, string | number>} [benchmark.setting]
 */
function report({ name, title, samples, unit, bases, compare = 'speed', setting = {} }) {
  const where = machine();
  const rounds = [...samples.values()][0].length;
  const against = (/** @type {string} */ base, /** @type {number[]} */ milliseconds) => {
    const other = samples.get(base) ?? [];
    return compare === 'speed' ? ratios(other, milliseconds) : ratios(milliseconds, other);
  };
  const rows = [...samples].map(([competitor, milliseconds]) => ({
    name: competitor,
    milliseconds: summarize(milliseconds),
    ratio: Object.fromEntries(bases.map((base) => [base, against(base, milliseconds)])),
    samples: milliseconds,
  }));

  const table = new Table({
    head: ['', `ms per ${unit} (median)`, 'middle half', ...bases.map((base) => `${compare} ÷ ${base} (middle half)`)],
    colAligns: ['left', 'right', 'right', ...bases.map(() => /** @type {const} */ ('right'))],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    table.push([
      row.name,
      figure(row.milliseconds.median),
      spread(row.milliseconds),
      ...bases.map((base) => (base === row.name ? '1' : times(row.ratio[base]))),
    ]);
  }

  console.log(`\n${title}`);
  console.log(Object.entries({ ...setting, rounds }).map(([key, value]) => `${key}: ${value}`).join(', '));
  console.log(describeMachine(where));
  console.log(table.toString());

  const date = new Date().toISOString();
  const record = { name, title, date, machine: where, setting, rounds, compare, rows };
  writeResult(`${name}.json`, `${JSON.stringify(record, null, 2)}\n`);
  writeResult(`${name}.svg`, barChart({
    title,
    unit: `ms per ${unit}`,
    bars: rows.map((row) => ({ name: row.name, kind: bases.includes(row.name) ? 'base' : 'own', ...row.milliseconds })),
  }));
}

module.exports = { report, roundsFromArgv };
