'use strict';

/** How figures look in every table. */

/** @typedef {import('./rounds.js').Summary} Summary */

/**
 * A count.
 *
 * @param {number} value
 */
const count = (value) => value.toLocaleString('en');

/**
 * A measurement, with three significant digits, or the whole integer part if that has more.
 *
 * @param {number} value
 */
const figure = (value) => value.toLocaleString('en', value >= 1000
  ? { maximumFractionDigits: 0 }
  : { maximumSignificantDigits: 3, minimumSignificantDigits: 3 });

/** @param {Summary} summary */
const spread = ({ low, high }) => `${figure(low)} – ${figure(high)}`;

/** @param {Summary} summary */
const times = ({ median, low, high }) => `${median.toFixed(2)}× (${low.toFixed(2)} – ${high.toFixed(2)})`;

/**
 * A ratio in a table: 1 for what the others are compared with, nothing where there is nothing to compare with.
 *
 * @param {Summary | 'itself' | null | undefined} found
 */
const ratio = (found) => (found === 'itself' ? '1' : found ? times(found) : '');

module.exports = { count, figure, ratio, spread, times };
