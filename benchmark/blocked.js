'use strict';

/**
 * Items of about a millisecond while the caller's thread is blocked again and again: how long the whole list takes, and
 * how many times as long as with the thread free. Whoever posts everything at once has no need of the caller meanwhile;
 * whoever hands calls out one by one does.
 *
 * The thread waits for something that does not come (`Atomics.wait`), so that it takes no CPU time from the workers.
 *
 *   node benchmark/blocked.js [--rounds 5] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders } = require('./support/peers/index.js');
const { Suite } = require('./support/suite.js');
const { burn, stepsPerMillisecond } = require('./support/work.js');

const ITEMS = 400;
/** How long the thread is blocked at a time, in milliseconds. */
const BLOCKS = [0, 5, 20, 100];

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Blocks the thread again and again, with a turn of the event loop in between, until it is told to stop.
 *
 * @param {number} milliseconds at a time; 0: not at all
 */
function block(milliseconds) {
  let isOn = milliseconds > 0;
  const again = () => {
    if (!isOn) return;
    Atomics.wait(never, 0, 0, milliseconds);
    setImmediate(again);
  };
  if (isOn) setImmediate(again);
  return () => {
    isOn = false;
  };
}

async function main() {
  const { rounds, workers } = optionsFromArgv({ rounds: 5 });
  const suite = new Suite('blocked', { workers, items: ITEMS, 'ms per item': 1 });
  const task = { filePath: require.resolve('./support/work.js'), name: 'burn' };
  const list = Array(ITEMS).fill(Math.round(stepsPerMillisecond()));
  const expected = list.map(burn);
  /** Nothing blocks a thread that does the work itself. */
  const everyone = contenders().filter(({ kind }) => kind !== 'base');

  await withStarted(everyone, task, workers, async (started) => {
    /** @type {Map<number, any[]>} */
    const byBlock = new Map();
    for (const milliseconds of BLOCKS) {
      const rows = await contest(started, {
        // Who needs the caller for each item takes half a minute then.
        rounds: milliseconds < 100 ? rounds : Math.min(rounds, 2),
        warmups: milliseconds < 100 ? 1 : 0,
        run: async (peer) => {
          const release = block(milliseconds);
          try {
            return await peer.run(list);
          } finally {
            release();
          }
        },
        after: (results) => assert.deepEqual(results, expected),
      });
      const how = `the caller blocked ${milliseconds} ms at a time`;
      byBlock.set(milliseconds, suite.section({
        id: `${milliseconds}-ms`,
        title: milliseconds === 0 ? `${ITEMS} items of 1 ms` : `${ITEMS} items of 1 ms, ${how}`,
        unit: 'ms',
        rows,
        chart: false,
      }));
      if (milliseconds === 0) continue;
      const free = byBlock.get(0) ?? [];
      suite.section({
        id: `${milliseconds}-ms-by-free`,
        title: `The same ÷ the time with the caller free`,
        unit: '÷ free',
        rows: rows.map((row, index) => ({
          ...row,
          samples: row.samples.map((time, round) => time / free[index].samples[round]),
        })),
        against: [],
      });
    }
    suite.overview({
      id: 'overview',
      title: `${ITEMS} items of 1 ms`,
      unit: 'ms',
      x: 'the caller is blocked so many ms at a time',
      // Its axes are logarithmic.
      sections: new Map([...byBlock].filter(([milliseconds]) => milliseconds > 0)),
    });
  });
  suite.save();
}

runSuite(main);
