'use strict';

/**
 * 400 items that compute, of which 20 cost 25 times as much as the rest: how close the time for the whole list is to
 * the ideal, which is the time that bare `node` processes take in the same round when each is handed an equal share of
 * the work. (One thread's time divided by the workers is less than two busy cores can reach.)
 *
 *   node benchmark/skew.js [--rounds 9] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { bare, contenders } = require('./support/peers/index.js');
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

/**
 * Bare processes, each of which gets an equal share: the items by cost, dealt in turn. They are told what nobody knows.
 * @param {number} workers @returns {import('./support/peers/index.js').Contender}
 */
function ideal(workers) {
  const contender = bare();
  return {
    ...contender,
    make: (task) => {
      const peer = contender.make(task);
      return {
        start: (count) => peer.start(count),
        call: (item) => peer.call(item),
        stop: () => peer.stop(),
        run: async (list) => {
          const byCost = [...list.keys()].sort((left, right) => list[right] - list[left]);
          const dealt = Array.from({ length: workers }, (_, worker) =>
            byCost.filter((_place, position) => position % workers === worker)).flat();
          const results = await peer.run(dealt.map((place) => list[place]));
          const inOrder = Array(list.length);
          dealt.forEach((place, position) => (inOrder[place] = results[position]));
          return inOrder;
        },
      };
    },
  };
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 9 });
  const suite = new Suite('skew', { workers, items: ITEMS, expensive: EXPENSIVE, factor: FACTOR, 'cheap, ms': CHEAP });
  const task = { filePath: require.resolve('./support/work.js'), name: 'burn' };
  const unit = stepsPerMillisecond() * CHEAP;

  const players = [ideal(workers), ...contenders({ oneAtATime: true })];
  await withStarted(players, task, workers, async (started) => {
    for (const placement of PLACEMENTS) {
      const list = listOf(placement, unit);
      const expected = list.map(burn);
      const rows = await contest(started, {
        rounds,
        warmups: 1,
        run: (peer) => peer.run(list),
        after: (results) => assert.deepEqual(results, expected),
      });
      const isIdeal = (/** @type {{ name: string }} */ { name }) => name === bare().name;
      const reached = rows.find(isIdeal)?.samples ?? [];
      suite.section({
        id: placement.replaceAll(' ', '-'),
        title: `${EXPENSIVE} expensive items of ${ITEMS}, ${placement}: time of the list ÷ ideal`,
        unit: '÷ ideal',
        rows: rows.filter((row) => !isIdeal(row)).map((row) => ({
          ...row,
          samples: row.samples.map((time, round) => time / reached[round]),
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
