'use strict';

/**
 * Compares competitors with each other on a machine that is not quiet.
 *
 * Every round runs each competitor once, so that whatever else the machine does affects all of them alike, and ratios
 * are taken within a round before the median is taken over the rounds. The order rotates, so that none always runs in
 * the wake of the same neighbor.
 */

/**
 * @typedef {object} Competitor
 * @property {string} name
 * @property {(round: number) => Promise<unknown>} run what is timed; the round is negative while warming up
 * @property {(result: any, round: number) => unknown} [after] not timed: checks, tidying up
 * @property {(milliseconds: number, result: any) => number} [sample] the figure, if it is not the time
 */

/** @typedef {{ median: number, low: number, high: number }} Summary `low` and `high` are the quartiles */

/**
 * @param {Competitor[]} competitors
 * @param {object} options
 * @param {number} options.rounds
 * @param {number} [options.warmups] rounds that are run and not counted
 * @param {AbortSignal} [options.signal] stops before the next run
 * @param {(round: number) => unknown} [options.beforeRound] not timed
 * @param {(sample: { name: string, round: number, milliseconds: number }) => void} [options.onSample]
 * @returns {Promise<Map<string, number[]>>} milliseconds, or what `sample` made of them, by name, indexed by round
 */
async function alternate(competitors, { rounds, warmups = 1, signal, beforeRound, onSample }) {
  /** @type {Map<string, number[]>} */
  const samples = new Map(competitors.map(({ name }) => [name, []]));

  for (let round = -warmups; round < rounds; round += 1) {
    await beforeRound?.(round);
    for (const { name, run, after, sample } of rotate(competitors, round + warmups)) {
      signal?.throwIfAborted();
      const begin = performance.now();
      const result = await run(round);
      const milliseconds = performance.now() - begin;
      await after?.(result, round);
      if (round >= 0) samples.get(name)?.push(sample ? sample(milliseconds, result) : milliseconds);
      onSample?.({ name, round, milliseconds });
    }
  }
  return samples;
}

/**
 * @template T
 * @param {T[]} list
 * @param {number} by
 */
function rotate(list, by) {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/**
 * @param {number[]} values
 * @returns {Summary}
 */
function summarize(values) {
  const sorted = values.toSorted((left, right) => left - right);
  const quantile = (/** @type {number} */ share) => {
    const at = (sorted.length - 1) * share;
    const below = sorted[Math.floor(at)];
    return below + (sorted[Math.ceil(at)] - below) * (at % 1);
  };
  return { median: quantile(0.5), low: quantile(0.25), high: quantile(0.75) };
}

/**
 * Ratios taken round by round, so that what slowed down a whole round cancels out. If they are times, with `over` the
 * base's and `under` a competitor's, the ratio says how many times as fast the competitor is.
 *
 * @param {number[]} over
 * @param {number[]} under
 */
const ratios = (over, under) => summarize(over.map((value, round) => value / under[round]));

module.exports = { alternate, summarize, ratios };
