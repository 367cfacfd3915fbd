'use strict';

/**
 * A process that makes one pool, prints one number and exits: the milliseconds from loading the pool's package to the
 * first result, or the private bytes of this process and its descendants once the workers are idle. Or one that makes a
 * handler for Lambda, and prints the milliseconds from loading the package to its first answer.
 *
 *   node benchmark/support/fresh.js <name> <mode> first-result|memory <workers>
 *   node benchmark/support/fresh.js <name> <mode> first-answer <workers>
 */

const { readdirSync, readFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { contenders } = require('./peers/index.js');

/** By then a worker has finished what it does after its first call. */
const SETTLE = 500;

/** How many messages the first event of a handler has. */
const MESSAGES = 100;

/** @returns {Map<number, number[]>} */
function childrenByParent() {
  const children = new Map();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // The name in brackets may contain anything.
      const parent = Number(readFileSync(`/proc/${entry}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // The process has ended meanwhile.
    }
  }
  return children;
}

/** @param {number} pid */
function privateBytes(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].map(([, value]) => Number(value));
  return kilobytes.reduce((sum, value) => sum + value, 0) * 1024;
}

/** @param {number} root */
function privateBytesOfTree(root) {
  const children = childrenByParent();
  let sum = 0;
  for (const pids = [root]; pids.length > 0;) {
    const pid = /** @type {number} */ (pids.pop());
    sum += privateBytes(pid);
    pids.push(...(children.get(pid) ?? []));
  }
  return sum;
}

/** @param {string} mode @param {number} workers */
async function firstAnswer(mode, workers) {
  const event = {
    Records: Array.from({ length: MESSAGES }, (_, i) => ({
      messageId: String(i),
      receiptHandle: 'receipt',
      body: '{}',
      attributes: {},
      messageAttributes: {},
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:eu-central-1:123456789012:orders',
    })),
  };
  const begin = performance.now();
  const { createHandler } = require(`${process.env.BENCHMARK_PACKAGE ?? '@parallelizer/node'}/lambda`);
  const handler = createHandler({
    type: mode === 'child' ? 'child-process' : 'worker-threads',
    filePath: require.resolve('./echo-record.js'),
    recordFunctionName: 'echo',
    parallelization: workers,
  });
  const answer = await handler(event, { getRemainingTimeInMillis: () => 60_000 });
  console.log(performance.now() - begin);
  if (answer.batchItemFailures.length > 0) throw new Error('not done');
  process.exit();
}

async function main() {
  const [name, mode, what, workers] = process.argv.slice(2);
  if (what === 'first-answer') return firstAnswer(mode, Number(workers));
  const contender = contenders().find((one) => one.name === name && one.mode === mode);
  if (!contender) throw new Error(`no such contender: ${name}, ${mode}`);
  const peer = contender.make({ filePath: require.resolve('./work.js'), name: 'echo' });

  const begin = performance.now();
  await peer.start(Number(workers));
  const result = await peer.call(1);
  const milliseconds = performance.now() - begin;
  if (result !== 1) throw new Error(`not the result: ${result}`);

  if (what === 'memory') {
    // Has every worker run something.
    await Promise.all(Array.from({ length: 50 * Number(workers) }, (_, item) => peer.call(item)));
    await sleep(SETTLE);
    console.log(privateBytesOfTree(process.pid));
  } else {
    console.log(milliseconds);
  }
  await peer.stop();
  process.exit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
