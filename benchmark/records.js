'use strict';

/**
 * The round trip of Kafka records of about 900 bytes to two workers that return what they got. The peers make one call
 * per worker, with its part of the records.
 *
 *   node benchmark/records.js [--rounds 15] [--quick]
 */

const assert = require('node:assert/strict');
const { makeEvent, recordsOf } = require('../examples/kafka-lambda/event.js');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders, inParts, own, ownBatches, OWN_NAME } = require('./support/peers/index.js');
const { Suite } = require('./support/suite.js');

const COUNTS = [1000, 10_000];
/** Runs per sample, so that it is long enough to be timed. */
const RECORDS_PER_SAMPLE = 10_000;

const MODES = /** @type {const} */ (['child', 'threads']);

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 15 });
  const suite = new Suite('records', { workers });
  const task = { filePath: require.resolve('./support/work.js'), name: 'echo' };
  const batchTask = { filePath: require.resolve('./support/echo.js'), name: 'echo' };
  const peers = contenders().filter(({ kind }) => kind === 'library' || kind === 'handwritten').map(inParts);
  const players = MODES.flatMap((mode) => [
    ownBatches(mode, batchTask),
    own(mode, { name: `${OWN_NAME}, map` }),
    ...peers.filter((peer) => peer.mode === mode),
  ]);

  await withStarted(players, task, workers, async (started) => {
    for (const count of COUNTS) {
      const records = recordsOf(makeEvent({ records: count }));
      const runs = RECORDS_PER_SAMPLE / count;
      const rows = await contest(started, {
        rounds,
        run: async (peer) => {
          for (let run = 1; run < runs; run += 1) await peer.run(records);
          return peer.run(records);
        },
        after: (results) => assert.deepEqual(results, records),
        sample: (milliseconds) => milliseconds / runs,
      });
      const bytes = Math.round(JSON.stringify(records).length / count);
      suite.section({
        id: String(count),
        title: `${count.toLocaleString('en')} Kafka records of ${bytes} bytes there and back`,
        unit: 'ms',
        rows,
      });
    }
  });
  suite.save();
}

runSuite(main);
