'use strict';

/**
 * Work that only computes: the speed-up over one thread, compared in the same rounds with that of as many bare `node`
 * processes as there are workers. Those show what the cores can do.
 *
 *   node benchmark/cpu.js [--rounds 7] [--quick]
 */

const assert = require('node:assert/strict');
const { contest, runSuite, withStarted } = require('./support/contest.js');
const { optionsFromArgv } = require('./support/options.js');
const { bare, contenders, own, ownBatches, OWN_NAME } = require('./support/peers/index.js');
const { rowWhere, Suite } = require('./support/suite.js');
const work = require('./support/work.js');

const MODES = /** @type {const} */ (['child', 'threads']);

/** @param {number} iterations */
const secrets = (iterations) => Array.from({ length: 4 }, (_, index) => ({ secret: `secret ${index}`, iterations }));

/** About a millisecond each. */
const STEPS = Array.from({ length: 400 }, (_, index) => 400_000 + index);

/**
 * @param {number} iterations
 * @returns {{ id: 'derive' | 'burn', title: string, list: any[], probe: any }[]}
 */
const workloads = (iterations) => [
  {
    id: 'derive',
    title: `PBKDF2, 4 keys of ${iterations.toLocaleString('en')} iterations`,
    list: secrets(iterations),
    probe: { secret: '', iterations: 1 },
  },
  { id: 'burn', title: '400 records of integer arithmetic', list: STEPS, probe: 0 },
];

async function main() {
  const { rounds, quick, workers } = optionsFromArgv({ rounds: 7 });
  const suite = new Suite('cpu', { workers });

  for (const { id, title, list, probe } of workloads(quick ? 100_000 : 1_000_000)) {
    const task = { filePath: require.resolve('./support/work.js'), name: id, probe };
    const batchTask = { filePath: require.resolve('./support/work-batch.js'), name: id };
    const others = contenders({ oneAtATime: true }).filter(({ kind }) => kind !== 'own');
    const players = [
      ...others.filter(({ kind }) => kind === 'base'),
      bare(),
      ...MODES.flatMap((mode) => [
        ownBatches(mode, batchTask),
        own(mode, { name: `${OWN_NAME}, map` }),
        ...others.filter((other) => other.mode === mode),
      ]),
    ];
    const expected = list.map((item) => work[id](item));

    await withStarted(players, task, workers, async (started) => {
      const rows = await contest(started, {
        rounds,
        warmups: 1,
        run: (peer) => peer.run(list),
        after: (results) => assert.deepEqual(results, expected),
      });
      suite.section({
        id,
        title,
        unit: 'ms',
        rows,
        against: [
          { head: 'speed-up over one thread', other: rowWhere(({ mode }) => mode === 'one thread'), inverse: true },
          {
            head: 'speed-up ÷ that of bare processes',
            other: rowWhere(({ kind, mode }) => kind === 'base' && mode === 'child'),
            inverse: true,
          },
        ],
      });
    });
  }
  suite.save();
}

runSuite(main);
