'use strict';

/**
 * The results of a suite with several tables: each on stdout as soon as it is there, and under benchmark/results/ a
 * chart for each, and one JSON file with every sample.
 */

const Table = require('cli-table3');
const { barChart, lineChart } = require('./chart.js');
const { count, figure, ratio, spread } = require('./format.js');
const { describeMachine, describeVersions, machine } = require('./machine.js');
const { writeResult } = require('./results.js');
const { ratios, summarize } = require('./rounds.js');

/** @typedef {import('./rounds.js').Summary} Summary */
/** @typedef {import('./peers/index.js').Kind} Kind */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} mode
 * @property {Kind} kind
 * @property {number[]} samples by round
 */

/**
 * @typedef {object} Against a column of ratios, taken within a round
 * @property {string} head
 * @property {(row: Row, rows: Row[]) => Row | undefined} other what this row is compared with; undefined: nothing
 * @property {boolean} [inverse] the other's figure over the row's; for times, how many times as fast
 */

/** @param {Row} left @param {Row} right */
const same = (left, right) => left.name === right.name && left.mode === right.mode;

/**
 * @param {Kind} kind
 * @param {'lower' | 'higher'} better
 * @returns {Against['other']} the best of that kind and of the row's mode, by its median
 */
const bestOf = (kind, better) => (row, rows) => {
  const sign = better === 'lower' ? 1 : -1;
  return rows
    .filter((other) => other.kind === kind && other.mode === row.mode)
    .toSorted((left, right) => sign * (summarize(left.samples).median - summarize(right.samples).median))[0];
};

/** @param {(row: Row) => boolean} wanted @returns {Against['other']} */
const rowWhere = (wanted) => (_row, rows) => rows.find(wanted);

/** @param {'lower' | 'higher'} better @returns {Against[]} */
const bestPeers = (better) => [
  { head: '÷ best library', other: bestOf('library', better) },
  { head: '÷ by hand', other: bestOf('handwritten', better) },
];

class Suite {
  /**
   * @param {string} name also of its files
   * @param {Record<string, string | number>} setting
   */
  constructor(name, setting) {
    this.name = name;
    this.setting = setting;
    this.machine = machine();
    this.date = new Date().toISOString();
    /** @type {object[]} */
    this.sections = [];
    console.log(`\n== ${name}: ${Object.entries(setting).map(([key, value]) => `${key} ${value}`).join(', ')}`);
    console.log(describeMachine(this.machine));
    console.log(describeVersions(this.machine));
  }

  /**
   * @param {object} section
   * @param {string} section.id
   * @param {string} section.title
   * @param {string} section.unit
   * @param {Row[]} section.rows
   * @param {'lower' | 'higher'} [section.better]
   * @param {Against[]} [section.against] default: the best peers of the same mode
   * @param {boolean} [section.chart]
   */
  section({ id, title, unit, rows, better = 'lower', against = bestPeers(better), chart = true }) {
    const columns = against.filter(({ other }) => rows.some((row) => other(row, rows)));
    const found = rows.map((row) => ({
      ...row,
      ...summarize(row.samples),
      ratios: Object.fromEntries(columns.map(({ head, other, inverse }) => {
        const base = other(row, rows);
        if (!base || same(base, row)) return [head, base ? 'itself' : null];
        const found = inverse ? ratios(base.samples, row.samples) : ratios(row.samples, base.samples);
        return [head, { ...found, of: `${base.name}, ${base.mode}` }];
      })),
    }));

    const table = new Table({
      head: ['', '', `${unit} (median)`, 'quartiles', ...columns.map(({ head }) => `${head} (quartiles)`)],
      colAligns: ['left', 'left', 'right', 'right', ...columns.map(() => /** @type {const} */ ('right'))],
      style: { head: [], border: [], compact: true },
    });
    for (const row of found) {
      table.push([
        row.mode,
        row.name,
        figure(row.median),
        spread(row),
        ...columns.map(({ head }) => ratio(row.ratios[head])),
      ]);
    }
    console.log(`\n${title} (${rows[0].samples.length} rounds)`);
    console.log(table.toString());

    this.sections.push({ id, title, unit, better, rounds: rows[0].samples.length, rows: found });
    if (chart) {
      writeResult(`${this.name}-${id}.svg`, barChart({
        title,
        unit,
        bars: found.map((row) => ({ ...row, name: `${row.name}, ${row.mode}` })),
      }));
    }
    return found;
  }

  /**
   * One chart over several sections.
   *
   * @param {object} overview
   * @param {string} overview.id
   * @param {string} overview.title
   * @param {string} overview.unit
   * @param {string} overview.x
   * @param {Map<number, ({ name: string, mode: string, kind: Kind } & Summary)[]>} overview.sections by their place on
   *   the x axis
   */
  overview({ id, title, unit, x, sections }) {
    /** @type {Map<string, { name: string, kind: Kind, points: ({ x: number } & Summary)[] }>} */
    const lines = new Map();
    for (const [at, rows] of sections) {
      for (const { name, mode, kind, median, low, high } of rows) {
        const key = `${name}, ${mode}`;
        const line = lines.get(key) ?? { name: key, kind, points: [] };
        line.points.push({ x: at, median, low, high });
        lines.set(key, line);
      }
    }
    writeResult(`${this.name}-${id}.svg`, lineChart({ title, unit, x, lines: [...lines.values()] }));
  }

  /** Everything that was measured, and where and when. */
  record() {
    const { name, date, setting, sections } = this;
    return { name, date, machine: this.machine, setting, sections };
  }

  save() {
    writeResult(`${this.name}.json`, `${JSON.stringify(this.record(), null, 2)}\n`);
  }
}

module.exports = { Suite, bestOf, bestPeers, count, rowWhere };
