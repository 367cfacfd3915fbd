'use strict';

/**
 * 400 items that compute, of which 20 cost 25 times as much as the rest: how close the time for the whole list is to
 * the ideal, which is the time of the same list in one thread in the same round, divided by the workers.
 *
 *   node benchmark/skew.js [--rounds 9] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders } = require('./support/peers/index.js');
const { bestOf, Suite } = require('./support/suite.js');
const { burn, stepsPerMillisecond } = require('./support/work.js');

const ITEMS = 400;
const EXPENSIVE = 20;
const FACTOR = 25;
/** The cost of a cheap item, in milliseconds. */
const CHEAP = 0.5;

/** @typedef {'at random places' | 'at the start' | 'at the end'} Placement */
/** @type {Placement[]} */
const PLACEMENTS = ['at random places', 'at the start', 'at the end'];

/**
 * @param {Placement} placement
 * @param {number} unit
 */
function listOf(placement, unit) {
  const expensive = places(placement);
  return Array.from({ length: ITEMS }, (_, index) => Math.round(expensive.has(index) ? unit * FACTOR : unit));
}

/** @param {Placement} placement @returns {Set<number>} */
function places(placement) {
  if (placement === 'at the start') return new Set(Array(EXPENSIVE).keys());
  if (placement === 'at the end') return new Set(Array.from({ length: EXPENSIVE }, (_, index) => ITEMS - 1 - index));
  // The same places in every run of the suite.
  const found = new Set();
  for (let state = 1; found.size < EXPENSIVE; state = (state * 48_271) % 2_147_483_647) found.add(state % ITEMS);
  return found;
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 9 });
  const suite = new Suite('skew', { workers, items: ITEMS, expensive: EXPENSIVE, factor: FACTOR, 'cheap, ms': CHEAP });
  const task = { filePath: require.resolve('./support/work.js'), name: 'burn' };
  const unit = stepsPerMillisecond() * CHEAP;

  await withStarted(contenders({ oneAtATime: true }), task, workers, async (started) => {
    for (const placement of PLACEMENTS) {
      const list = listOf(placement, unit);
      const expected = list.map(burn);
      const rows = await contest(started, {
        rounds,
        warmups: 1,
        run: (peer) => peer.run(list),
        after: (results) => assert.deepEqual(results, expected),
      });
      const inline = rows.find(({ kind }) => kind === 'base')?.samples ?? [];
      suite.section({
        id: placement.replaceAll(' ', '-'),
        title: `${EXPENSIVE} expensive items of ${ITEMS}, ${placement}: time of the list ÷ ideal`,
        unit: '÷ ideal',
        rows: rows.map((row) => ({
          ...row,
          samples: row.samples.map((time, round) => time / (inline[round] / workers)),
        })),
        against: [
          { head: '÷ best library', other: bestOf('library', 'lower') },
          { head: '÷ by hand', other: bestOf('handwritten', 'lower') },
        ],
      });
    }
  });
  suite.save();
}

runSuite(main);
