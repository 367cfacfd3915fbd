'use strict';

/**
 * How long a caller waits for a pool that did not exist: from the constructor to the first result
 * of one record, inside a process that has been running for a while. The measure is what nobody
 * can go below by much: `node -e 0`, spawned from the same process and waited for.
 *
 *   node benchmark/cold.js [--rounds 20]
 */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const os = require('node:os');
const { Parallelizer, PARALLELIZER_CHILD } = require('@parallelizer/node');
const { figure, spread } = require('./support/format.js');
const { report, roundsFromArgv } = require('./support/report.js');
const { alternate, summarize } = require('./support/rounds.js');

const NODE = 'node -e 0';

async function bareNode() {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
}

async function main() {
  const rounds = roundsFromArgv(20);
  const filePath = require.resolve('./support/echo.js');
  /** @type {number[]} how long each counted constructor held its caller */
  const constructors = [];

  const coldPool = (/** @type {number} */ workers) => ({
    name: `@parallelizer/node, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    run: async (/** @type {number} */ round) => {
      const begin = performance.now();
      const parallelizer = new Parallelizer({
        type: PARALLELIZER_CHILD,
        filePath,
        processBatchFunctionName: 'echo',
        parallelization: workers,
      });
      if (round >= 0) constructors.push(performance.now() - begin);
      return { parallelizer, result: await parallelizer.run([1]) };
    },
    after: async ({ parallelizer, result }) => {
      // Gone before the next one is timed.
      await parallelizer.terminate();
      assert.deepEqual(result.responses, [[1]]);
    },
  });

  // One worker is what one record needs; one per CPU is what a caller has by default.
  const counts = [...new Set([1, os.availableParallelism()])];
  const samples = await alternate(
    [{ name: NODE, run: bareNode }, ...counts.map(coldPool)],
    { rounds, warmups: 2 },
  );

  report({
    name: 'cold',
    title: `From the constructor to the first result, against ${NODE}`,
    samples,
    unit: 'start',
    bases: [NODE],
    compare: 'time',
  });
  const held = summarize(constructors);
  console.log(`The constructor itself: ${figure(held.median)} ms (${spread(held)}).`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
