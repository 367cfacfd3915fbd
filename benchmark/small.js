'use strict';

/**
 * Lists of 1 to 10,000 items that do nothing through `map`: how long a list takes, against one chunk per worker
 * (`chunkSize: n / 2`), which is the best that can be done with two workers, and against the peers.
 *
 *   node benchmark/small.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, own, OWN_NAME } = require('./support/peers/index.js');
const { bestPeers, rowWhere, Suite } = require('./support/suite.js');

const COUNTS = [1, 10, 100, 1000, 10_000];
/** A list is run so often for one sample that this many items come together. */
const ITEMS_PER_SAMPLE = 10_000;
const MAX_RUNS = 500;
/** Until the compiler has optimized every contender's code. */
const WARMUPS = 4;

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 15 });
  const suite = new Suite('small', { workers });
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const inOneChunk = `${OWN_NAME}, one chunk per worker`;
  const chunked = /** @type {const} */ (['child', 'threads'])
    .map((mode) => own(mode, { name: inOneChunk, chunksPerWorker: 1 }));
  const everyone = [...contenders(), ...chunked];

  await withStarted(everyone, task, workers, async (started) => {
    /** @type {Map<number, any[]>} */
    const byCount = new Map();
    for (const count of COUNTS) {
      const list = [...Array(count).keys()];
      const runs = Math.min(MAX_RUNS, Math.ceil(ITEMS_PER_SAMPLE / count));
      const rows = await contest(started, {
        rounds,
        warmups: WARMUPS,
        run: async (peer) => {
          for (let run = 1; run < runs; run += 1) await peer.run(list);
          return peer.run(list);
        },
        after: (results) => assert.deepEqual(results, list),
        sample: (milliseconds) => (milliseconds * 1000) / runs,
      });
      byCount.set(count, suite.section({
        id: `items-${count}`,
        title: `A list of ${count.toLocaleString('en')} no-op ${count === 1 ? 'item' : 'items'}`,
        unit: 'µs',
        rows,
        against: [
          ...bestPeers('lower'),
          {
            head: '÷ one chunk per worker',
            other: ({ kind, mode }) => (
              kind === 'own' ? rowWhere((row) => row.name === inOneChunk && row.mode === mode)(rows[0], rows) : undefined
            ),
          },
        ],
        chart: false,
      }));
    }
    suite.overview({ id: 'overview', title: 'A list of no-op items', unit: 'µs', x: 'items', sections: byCount });
  });
  suite.save();
}

runSuite(main);
