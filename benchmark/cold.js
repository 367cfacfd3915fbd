'use strict';

/**
 * How long a caller waits for a pool that did not exist, and what an idle worker costs.
 *
 * First in a process that has been running for a while: from the constructor to the first result of one record. Then in
 * a fresh process, including loading the package, in the form in which it is published, and in one that is started as
 * AWS Lambda starts a function. The yardstick is what no pool can undercut by much: `node -e 0`, spawned and awaited in
 * the same round. Then the private memory of an idle worker.
 *
 *   node benchmark/cold.js [--rounds 20] [--quick]
 */

const assert = require('node:assert/strict');
const { execFile, spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync, mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { Parallelizer, PARALLELIZER_CHILD, PARALLELIZER_THREADS } = require('@parallelizer/node');
const { runSuite } = require('./support/contest.js');
const { figure, spread } = require('./support/format.js');
const { optionsFromArgv } = require('./support/options.js');
const { contenders } = require('./support/peers/index.js');
const { publish } = require('./support/published.js');
const { alternate, summarize } = require('./support/rounds.js');
const { rowWhere, Suite } = require('./support/suite.js');

/** @typedef {import('./support/suite.js').Row} Row */
/** @typedef {import('./support/rounds.js').Competitor} Competitor */

const NODE = 'node -e 0';
/** How AWS Lambda starts a function with 3,538 MB, as far as it matters to how long that takes. */
const ON_LAMBDA = {
  flags: ['--expose-gc', '--max-old-space-size=3000', '--max-semi-space-size=150'],
  env: { AWS_LAMBDA_FUNCTION_NAME: 'orders', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '3538' },
};
/** Idle workers, from whose memory that of a pool with one worker is subtracted. */
const MORE_WORKERS = 4;

async function bareNode() {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
}

/** @type {Omit<Row, 'samples'> & { run: () => Promise<unknown> }} */
const REFERENCE = { name: NODE, mode: 'bare', kind: 'base', run: bareNode };

const againstNode = [{ head: `÷ ${NODE}`, other: rowWhere(({ mode }) => mode === REFERENCE.mode) }];

/**
 * @param {(Omit<Row, 'samples'> & Omit<Competitor, 'name'>)[]} players
 * @param {{ rounds: number, warmups: number }} options
 * @returns {Promise<Row[]>}
 */
async function take(players, options) {
  const samples = await alternate(
    players.map((player, index) => ({ ...player, name: String(index) })),
    options,
  );
  return players.map(({ name, mode, kind }, index) => ({
    name,
    mode,
    kind,
    samples: samples.get(String(index)) ?? [],
  }));
}

/** @param {InstanceType<typeof Suite>} suite @param {number} rounds */
async function inThisProcess(suite, rounds) {
  const filePath = require.resolve('./support/echo.js');
  /** @type {number[]} how long each counted constructor call took */
  const constructors = [];

  const coldPool = (/** @type {'child' | 'threads'} */ mode, /** @type {number} */ workers) => ({
    name: `@parallelizer/node, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    mode,
    kind: /** @type {const} */ ('own'),
    run: async (/** @type {number} */ round) => {
      const begin = performance.now();
      const parallelizer = new Parallelizer({
        type: mode === 'child' ? PARALLELIZER_CHILD : PARALLELIZER_THREADS,
        filePath,
        processBatchFunctionName: 'echo',
        parallelization: workers,
      });
      if (round >= 0 && mode === 'child') constructors.push(performance.now() - begin);
      return { parallelizer, result: await parallelizer.run([1]) };
    },
    after: async (/** @type {any} */ { parallelizer, result }) => {
      // Gone before the next one is timed.
      await parallelizer.terminate();
      assert.deepEqual(result.responses, [[1]]);
    },
  });

  // One record needs one worker; by default there is one per CPU.
  const counts = [...new Set([1, os.availableParallelism()])];
  const rows = await take(
    [
      REFERENCE,
      ...counts.map((count) => coldPool('child', count)),
      ...counts.map((count) => coldPool('threads', count)),
    ],
    { rounds, warmups: 2 },
  );
  suite.section({
    id: 'first-result',
    title: 'From the constructor to the first result',
    unit: 'ms',
    rows,
    against: againstNode,
  });
  const held = summarize(constructors);
  console.log(`The constructor itself, child processes: ${figure(held.median)} ms (${spread(held)}).`);
}

/**
 * @param {{ name: string, mode: string }} contender
 * @param {'first-result' | 'first-answer' | 'memory'} what
 * @param {number} workers
 * @param {{ flags: string[], env: Record<string, string> }} [started]
 * @returns {Promise<number>}
 */
async function inFreshProcess({ name, mode }, what, workers, { flags, env } = { flags: [], env: {} }) {
  const args = [...flags, require.resolve('./support/fresh.js'), name, mode, what, String(workers)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
  const value = Number(stdout);
  assert.ok(value > 0, `${name}, ${mode}: ${stdout}`);
  return value;
}

async function main() {
  const { rounds, quick } = optionsFromArgv({ rounds: 20 });
  const suite = new Suite('cold', {});
  await inThisProcess(suite, rounds);
  const published = mkdtempSync(path.join(os.tmpdir(), 'parallelizer-published-'));
  try {
    process.env.BENCHMARK_PACKAGE = await publish(published);
    await inFreshProcesses(suite, rounds, quick);
  } finally {
    rmSync(published, { recursive: true });
  }
  suite.save();
}

/** @param {InstanceType<typeof Suite>} suite @param {number} rounds @param {boolean} quick */
async function inFreshProcesses(suite, rounds, quick) {
  const pools = contenders().filter(({ kind }) => kind !== 'base');
  const sample = (/** @type {number} */ _milliseconds, /** @type {number} */ value) => value;
  const fresh = await take([
    REFERENCE,
    ...pools.map((pool) => ({ ...pool, run: () => inFreshProcess(pool, 'first-result', 1), sample })),
  ], { rounds, warmups: 1 });
  suite.section({
    id: 'fresh',
    title: 'In a fresh process: from loading the package to the first result of one worker',
    unit: 'ms',
    rows: fresh,
    against: againstNode,
  });

  const handlers = /** @type {const} */ (['child', 'threads']).map((mode) => ({
    name: '@parallelizer/node, a handler',
    mode,
    kind: /** @type {const} */ ('own'),
    run: () => inFreshProcess({ name: '', mode }, 'first-answer', 2, ON_LAMBDA),
    sample,
  }));
  const onLambda = await take([
    REFERENCE,
    ...pools.map((pool) => ({ ...pool, run: () => inFreshProcess(pool, 'first-result', 2, ON_LAMBDA), sample })),
    ...handlers,
  ], { rounds, warmups: 1 });
  suite.section({
    id: 'on-lambda',
    title: 'Started as AWS Lambda does: from loading the package to the first result of two workers',
    unit: 'ms',
    rows: onLambda,
    against: againstNode,
  });

  if (existsSync('/proc/self/smaps_rollup')) {
    const idle = await take(pools.map((pool) => ({
      ...pool,
      run: async () => {
        const more = await inFreshProcess(pool, 'memory', 1 + MORE_WORKERS);
        return (more - await inFreshProcess(pool, 'memory', 1)) / MORE_WORKERS / 2 ** 20;
      },
      sample,
    })), { rounds: quick ? 1 : Math.min(rounds, 5), warmups: 0 });
    suite.section({ id: 'memory', title: 'Private memory of one more idle worker', unit: 'MiB', rows: idle });
  } else {
    console.log('\nMemory is not measured: it needs /proc/…/smaps_rollup.');
  }
}

runSuite(main);
