'use strict';

/**
 * The cost of an item that does nothing, for lists of 10³ to 10⁶ items through `map`, and with 1 to 16 workers. The
 * hand-written peers send each worker its whole part in one message; libraries make one call per item, and stop at
 * 10⁴ items.
 *
 *   node benchmark/growth.js [--rounds 7] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, inParts, own } = require('./support/peers/index.js');
const { Suite } = require('./support/suite.js');

const ITEMS = [1000, 10_000, 100_000, 1_000_000];
const LIBRARY_LIMIT = 10_000;
const WORKERS = [1, 2, 4, 8, 16];
const ITEMS_FOR_WORKERS = 100_000;
/** Small lists are timed over many runs. */
const ITEMS_PER_SAMPLE = 20_000;

const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };

/**
 * @param {import('./support/contest.js').Started[]} started
 * @param {number} count
 * @param {number} rounds
 */
function costPerItem(started, count, rounds) {
  const list = [...Array(count).keys()];
  const runs = Math.max(1, ITEMS_PER_SAMPLE / count);
  return contest(started, {
    rounds,
    run: async (peer) => {
      for (let run = 1; run < runs; run += 1) await peer.run(list);
      return peer.run(list);
    },
    after: (results) => assert.deepEqual(results, list),
    sample: (milliseconds) => (milliseconds * 1000) / (runs * count),
  });
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 7 });
  const suite = new Suite('growth', { workers });
  const all = contenders();
  const players = all.map((contender) => (contender.kind === 'handwritten' ? inParts(contender) : contender));
  /** @type {Map<number, any[]>} */
  const byItems = new Map();

  await withStarted(players, task, workers, async (started) => {
    for (const count of ITEMS) {
      const rows = await costPerItem(
        started.filter(({ kind }) => kind !== 'library' || count <= LIBRARY_LIMIT),
        count,
        rounds,
      );
      byItems.set(count, suite.section({
        id: `items-${count}`,
        title: `${count.toLocaleString('en')} no-op items`,
        unit: 'µs per item',
        rows,
        chart: false,
      }));
    }
  });
  suite.overview({ id: 'items', title: 'Cost of a no-op item', unit: 'µs per item', x: 'items', sections: byItems });

  /** @type {Map<number, any[]>} */
  const byWorkers = new Map();
  const few = [own('child'), own('threads'), ...all.filter(({ kind }) => kind === 'handwritten').map(inParts)]
    .toSorted((left, right) => left.mode.localeCompare(right.mode));
  for (const count of WORKERS) {
    await withStarted(few, task, count, async (started) => {
      const rows = await costPerItem(started, ITEMS_FOR_WORKERS, rounds);
      byWorkers.set(count, suite.section({
        id: `workers-${count}`,
        title: `${ITEMS_FOR_WORKERS.toLocaleString('en')} no-op items, ${count} ${count === 1 ? 'worker' : 'workers'}`,
        unit: 'µs per item',
        rows,
        chart: false,
      }));
    });
  }
  suite.overview({
    id: 'workers',
    title: `Cost of a no-op item of ${ITEMS_FOR_WORKERS.toLocaleString('en')}`,
    unit: 'µs per item',
    x: 'workers',
    sections: byWorkers,
  });
  suite.save();
}

runSuite(main);
