'use strict';

/** From samples to figures, tables and sentences. */

const Table = require('cli-table3');
const { count, figure } = require('../../benchmark/support/format.js');
const { summarize } = require('../../benchmark/support/rounds.js');
const { WORKS } = require('./plan.js');
const { ADDON, ALL, ONE, TWO, WAYS } = require('./ways.js');
const { model } = require('./model.js');
const { cost, defaultWorkers, gigabyteSeconds, vcpus } = require('./sizes.js');

/** A tenth is what one would not notice, and what noise can make up. */
const NOTICEABLE = 1.1;
/** From so many cores that others kept busy, figures at the larger sizes are theirs too. */
const NOISY = 0.2;

/**
 * @typedef {object} Row
 * @property {string} work
 * @property {number} size MB
 * @property {string} way
 * @property {number} workers 0 without the addon
 * @property {boolean} modelled
 * @property {import('../../benchmark/support/rounds.js').Summary | null} duration milliseconds; `null`: out of memory
 * @property {number | null} cpuTime milliseconds, the median
 * @property {number | null} peakMemory MB, the largest
 * @property {number | null} gigabyteSeconds
 * @property {number | null} cost US dollars per million invocations
 * @property {number} samples
 */

/** @param {number[]} values */
const median = (values) => summarize(values).median;

/**
 * @param {object} options
 * @param {import('./measure.js').Sample[]} options.samples
 * @param {number[]} options.modelled sizes
 * @param {import('./plan.js').Settings} options.settings
 * @returns {Row[]}
 */
function makeRows({ samples, modelled, settings }) {
  const sizes = [...new Set(samples.map(({ size }) => size))].sort((left, right) => left - right);
  /** @type {Row[]} */
  const rows = [];
  for (const work of Object.keys(WORKS)) {
    const workersOf = (/** @type {string} */ way, /** @type {number} */ size) => ({ [ADDON]: defaultWorkers(size), [TWO]: 2 })[way] ?? 0;
    const add = (/** @type {string} */ way, /** @type {number} */ size, /** @type {Partial<Row>} */ known) => {
      const duration = known.duration ?? null;
      rows.push({
        work,
        size,
        way,
        workers: workersOf(way, size),
        modelled: false,
        cpuTime: null,
        peakMemory: null,
        samples: 0,
        ...known,
        duration,
        gigabyteSeconds: duration && gigabyteSeconds(size, duration.median),
        cost: duration && cost(size, duration.median),
      });
    };

    for (const size of sizes) {
      for (const way of WAYS) {
        const found = samples.filter((sample) => sample.work === work && sample.size === size && sample.way === way);
        if (found.length === 0) continue;
        const durations = found.map(({ duration }) => duration);
        add(way, size, {
          duration: durations.includes(null) ? null : summarize(durations),
          cpuTime: median(found.map(({ cpuTime }) => cpuTime)),
          peakMemory: Math.max(...found.map(({ peakMemory }) => peakMemory ?? 0)) || null,
          samples: found.length,
        });
      }
    }
    const measured = (/** @type {string} */ way, /** @type {number} */ size) => find(rows, work, way, size)?.duration?.median;
    for (const size of modelled) {
      for (const way of WAYS) {
        const duration = model({ work, way, size, keys: settings.keys, measured, sizes });
        if (duration !== null) add(way, size, { duration: { median: duration, low: duration, high: duration }, modelled: true });
      }
    }
  }
  return rows;
}

/** @param {Row[]} rows @param {string} work @param {string} way @param {number} size */
const find = (rows, work, way, size) => rows.find((row) => row.work === work && row.way === way && row.size === size);

/** @param {Row[]} rows @param {string} work */
function tableOf(rows, work) {
  const sizes = [...new Set(rows.filter((row) => row.work === work).map(({ size }) => size))];
  return {
    head: ['MB', 'vCPUs', ...WAYS],
    body: sizes.map((size) => [
      count(size),
      vcpus(size).toFixed(2),
      ...WAYS.map((way) => {
        const row = find(rows, work, way, size);
        if (row === undefined) return way === TWO && find(rows, work, ADDON, size)?.workers === 2 ? 'the default' : '–';
        if (row.duration === null) return 'out of memory';
        const workers = way === ADDON ? `, ${row.workers} ${row.workers === 1 ? 'worker' : 'workers'}` : '';
        return `${row.modelled ? '≈ ' : ''}${figure(row.duration.median)} ms, $${figure(row.cost ?? 0)}${workers}`;
      }),
    ]),
  };
}

/** @param {Row[]} rows @param {string} work */
function terminalTable(rows, work) {
  const { head, body } = tableOf(rows, work);
  const table = new Table({ head, colAligns: head.map(() => 'right'), style: { head: [], border: [], compact: true } });
  table.push(...body);
  return table.toString();
}

/** @param {Row[]} rows @param {string} work */
function markdownTable(rows, work) {
  const { head, body } = tableOf(rows, work);
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '--:')), ...body.map(line)].join('\n');
}

/** @param {{ size: number, gain: number }[]} gains */
const list = (gains) => gains.map(({ size, gain }) => `${count(size)} MB (${gain.toFixed(2)} ×)`).join(', ');

/**
 * How many times as fast as `base` the addon is, where both were measured, and whether that is more than noise.
 *
 * @param {Row[]} rows
 * @param {string} base
 */
function gains(rows, base) {
  return rows.filter((row) => row.way === ADDON).flatMap(({ work, size, duration }) => {
    const other = find(rows, work, base, size)?.duration;
    if (!duration || !other) return [];
    const gain = other.median / duration.median;
    return [{
      size,
      gain,
      faster: gain >= NOTICEABLE && other.low > duration.high,
      slower: gain <= 1 / NOTICEABLE && other.high < duration.low,
    }];
  });
}

/**
 * What the figures come to, for someone who has to choose a size: sentences.
 *
 * @param {Row[]} all
 * @param {string} work
 * @param {number} cores of this machine
 */
function conclude(all, work, cores) {
  // The database needs a core too.
  const most = work === 'write' ? cores - 1 : cores;
  const rows = all.filter((row) => row.work === work && !row.modelled && vcpus(row.size) <= most);
  const sentences = work === 'write' && rows.length > 0 ? [`Up to ${most} ${most === 1 ? 'vCPU' : 'vCPUs'}, where a core is left for the database:`] : [];
  for (const way of [ONE, ALL, ADDON]) {
    const own = rows.filter((row) => row.way === way && row.cost !== null);
    if (own.length === 0) continue;
    const least = Math.min(...own.map((row) => row.cost ?? Infinity));
    // Of what costs as good as the same, the fastest.
    const [best] = own
      .filter((row) => (row.cost ?? Infinity) < least * NOTICEABLE)
      .sort((left, right) => left.duration.median - right.duration.median);
    sentences.push(`${way}: choose ${count(best.size)} MB, the fastest of those that cost least: ${figure(best.duration.median)} ms, `
      + `$${figure(best.cost)} per million invocations.`);
  }
  // One write after another is slow whatever else one does: what the addon adds shows against Promise.all.
  for (const base of work === 'derive' ? [ONE, ALL] : [ALL]) {
    const compared = gains(rows, base);
    if (compared.length === 0) continue;
    const faster = compared.filter((one) => one.faster);
    const slower = compared.filter((one) => one.slower);
    const parts = [
      faster.length > 0 ? `faster at ${list(faster)}` : 'not faster at any size',
      ...(slower.length > 0 ? [`slower at ${list(slower)}`] : []),
    ];
    sentences.push(`${ADDON} against ${base}: ${parts.join(', ')}.`);
  }
  return sentences;
}

/**
 * @param {import('./measure.js').Sample[]} samples
 * @returns {string | undefined} a warning
 */
function noise(samples) {
  // While keys are derived nobody else of this run computes.
  const others = median(samples.filter(({ work }) => work === 'derive').map((sample) => sample.others));
  return others < NOISY
    ? undefined
    : `Other processes kept ${others.toFixed(1)} of this machine's cores busy meanwhile. They come second, but they share its caches.`;
}

module.exports = { makeRows, terminalTable, markdownTable, conclude, noise };
