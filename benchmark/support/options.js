'use strict';

/** The command-line options of every suite. */

const { parseArgs } = require('node:util');

/** The package's default on the machine that the targets are for. */
const WORKERS = 2;

/** The part of the rounds that is run with `--quick`. */
const QUICK_ROUNDS = 3;

/**
 * @param {object} fallback
 * @param {number} fallback.rounds without `--rounds` and `--quick`
 * @returns {{ rounds: number, quick: boolean, workers: number, part: string | undefined, publish: boolean }}
 *   `part`: the only part of the suite that is wanted, where it has parts; `publish`: whether the result goes into the
 *   documentation
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
