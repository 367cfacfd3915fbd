'use strict';

/** What the command line of every suite understands. */

const { parseArgs } = require('node:util');

/** As the package has by default on the machine that the targets are for. */
const WORKERS = 2;

/** What is left of the rounds with `--quick`. */
const QUICK_ROUNDS = 3;

/**
 * @param {object} fallback
 * @param {number} fallback.rounds without `--rounds` and `--quick`
 * @returns {{ rounds: number, quick: boolean, workers: number, part: string | undefined, publish: boolean }}
 *   `part`: what a suite asks of itself in a child; `publish`: whether the result goes into the documentation
 */
function optionsFromArgv(fallback) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      part: { type: 'string' },
      publish: { type: 'boolean', default: false },
    },
  });
  const quick = values.quick === true;
  const rounds = Number(values.rounds ?? (quick ? Math.min(QUICK_ROUNDS, fallback.rounds) : fallback.rounds));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`--rounds must be a whole number of at least 1, not ${values.rounds}`);
  }
  return { rounds, quick, workers: WORKERS, part: values.part, publish: values.publish === true };
}

module.exports = { optionsFromArgv };
