'use strict';

/**
 * The figures of one run of all suites, for the documentation: the charts, and a page with every table, the machine and
 * the date, in docs/figures/.
 *
 * Must not depend on what a suite measures.
 */

const fs = require('node:fs');
const path = require('node:path');
const { figure, ratio, spread } = require('./format.js');
const { describeMachine, describeVersions } = require('./machine.js');
const { FIGURES, RESULTS } = require('./results.js');

/** @typedef {import('./rounds.js').Summary} Summary */
/** @typedef {'itself' | Summary | null} Ratio */

/**
 * A table as a suite has saved it.
 * @typedef {object} Section
 * @property {string} title
 * @property {string} unit
 * @property {number} rounds
 * @property {(Summary & { mode?: string, name: string, ratios: Record<string, Ratio> })[]} rows
 */

/**
 * Copies the charts that were made since then, and writes the page.
 * @param {readonly string[]} names of suites @param {number} since milliseconds since 1970
 * @param {string} command that has run them
 */
function publishFigures(names, since, command) {
  fs.mkdirSync(FIGURES, { recursive: true });
  const made = fs.readdirSync(RESULTS).filter((file) => fs.statSync(path.join(RESULTS, file)).mtimeMs >= since);
  const saved = made.filter((file) => file.endsWith('.json')).map((file) => path.basename(file, '.json'));
  // A suite may save a part of it by itself.
  const isOf = (/** @type {string} */ suite, /** @type {string} */ name) =>
    name === suite || (name.startsWith(`${suite}-`) && !names.includes(name));
  const records = names.flatMap((suite) => saved.filter((name) => isOf(suite, name)).toSorted().map(recordOf));
  if (records.length === 0) return;
  const { machine, date } = records[0];
  const page = [
    '# The figures of one run',
    '',
    `All suites in one go, on ${date.slice(0, 10)}, as \`${command}\` has printed them.`,
    '',
    `${describeMachine(machine)}; load ${machine.load[0].toFixed(1)} at the start.`,
    ...wrapped(`${describeVersions(machine)}.`),
    '',
    'Medians of alternating rounds, with the middle half in brackets or in the next column. A ratio is taken within a',
    'round. [benchmark/README.md](../../benchmark/README.md) says what each suite measures and how to read it.',
  ];
  for (const record of records) {
    const charts = made.filter((file) => file === `${record.name}.svg` || isChartOf(record.name, file, saved));
    for (const chart of charts) fs.copyFileSync(path.join(RESULTS, chart), path.join(FIGURES, chart));
    page.push('', `## ${record.name}`, ...linesOf(record));
    for (const chart of charts) page.push('', `![${record.name}](${chart})`);
  }
  fs.writeFileSync(path.join(FIGURES, 'README.md'), `${page.join('\n')}\n`);
}

/** @param {string} name */
function recordOf(name) {
  return JSON.parse(fs.readFileSync(path.join(RESULTS, `${name}.json`), 'utf8'));
}

/**
 * Whether a chart is of this suite, and of none with a longer name.
 * @param {string} name @param {string} file @param {readonly string[]} names
 */
function isChartOf(name, file, names) {
  const longer = names.some((other) => other.startsWith(`${name}-`) && file.startsWith(other));
  return file.startsWith(`${name}-`) && file.endsWith('.svg') && !longer;
}

/** @param {any} record */
function linesOf(record) {
  if (record.comparisons !== undefined) {
    return record.comparisons.flatMap((/** @type {{ title: string, lines: string[] }} */ { title, lines }) =>
      ['', `${title}:`, '', '```', ...lines, '```']);
  }
  const sections = record.sections ?? [sectionOf(record)];
  return sections.flatMap((/** @type {Section} */ section) =>
    ['', `${section.title} (${section.rounds} rounds):`, '', ...tableOf(section)]);
}

/**
 * A record of a suite that has one table only.
 * @param {any} record
 * @returns {Section}
 */
function sectionOf({ title, rounds, compare, rows }) {
  return {
    title,
    unit: 'ms',
    rounds,
    rows: rows.map((/** @type {any} */ { name, milliseconds, ratio: byBase }) => ({
      name,
      ...milliseconds,
      ratios: Object.fromEntries(Object.entries(byBase).map(([base, found]) =>
        [`${compare} ÷ ${base}`, base === name ? 'itself' : found])),
    })),
  };
}

/** @param {Section} section */
function tableOf({ unit, rows }) {
  const heads = [...new Set(rows.flatMap(({ ratios }) => Object.keys(ratios)))];
  const hasModes = rows.some(({ mode }) => mode !== undefined);
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [
    line([...(hasModes ? [''] : []), '', unit, 'quartiles', ...heads]),
    line([...(hasModes ? ['---'] : []), '---', '---:', '---:', ...heads.map(() => '---:')]),
    ...rows.map((row) => line([
      ...(hasModes ? [row.mode ?? ''] : []),
      row.name,
      figure(row.median),
      spread(row),
      ...heads.map((head) => ratio(row.ratios[head])),
    ])),
  ];
}

/** A text in lines of their length. @param {string} text */
function wrapped(text) {
  return (text.match(/.{1,118}(?: |$)/g) ?? [text]).map((line) => line.trimEnd());
}

module.exports = { publishFigures };
