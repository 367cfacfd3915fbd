'use strict';

/**
 * The total size of the EBS volumes of all EC2 instances, asked for in seven ways, against moto as it is and against
 * moto at EC2's distance. All must come to the same total.
 *
 *   npm start
 *   INSTANCES=300 LATENCY=20 npm start
 *
 * | environment | default            | meaning                                            |
 * |-------------|--------------------|----------------------------------------------------|
 * | `INSTANCES` | 100                | EC2 instances in the account                       |
 * | `LATENCY`   | 50                 | milliseconds until EC2, at its distance, answers   |
 * | `ROUNDS`    | 5                  | how often each way is measured, after a warm-up    |
 * | `WORKERS`   | one per usable CPU | processes, or threads                              |
 *
 * Exit code: 0; 1 when a total is wrong or something failed.
 */

const os = require('node:os');
const Table = require('cli-table3');
const { describeMachine, machine } = require('../../benchmark/support/machine.js');
const { alternate, ratios, summarize } = require('../../benchmark/support/rounds.js');
const { count, figure, spread, times } = require('../../benchmark/support/format.js');
const { obstacle, startCloud } = require('./cloud.js');
const { seed } = require('./seed.js');
const { listInstances, makeClient } = require('./volumes.js');
const { makeWays, ONE_QUERY, PROMISE_ALL, SEQUENTIAL } = require('./ways.js');

/** moto takes any; the SDK wants some, and its workers find them here. */
Object.assign(process.env, {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'example',
  AWS_SECRET_ACCESS_KEY: 'example',
  // Said by each worker, it would drown the table.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
});

/** @param {string} name @param {number} fallback */
function positiveInteger(name, fallback) {
  const value = Number(process.env[name] || fallback);
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a whole number of at least 1, not ${process.env[name]}`);
  }
  return value;
}

/**
 * @param {object} options
 * @param {string} options.endpoint
 * @param {string[]} options.instances
 * @param {number} options.expected GiB
 * @param {number} options.rounds
 * @param {number} options.workers
 * @returns {Promise<{ samples: Map<string, number[]>, busy: number }>} `busy`: the share of the time of `Promise.all`
 *   in which its one process computed
 */
async function measure({ endpoint, instances, expected, rounds, workers }) {
  const { ways, ready, close } = makeWays({ endpoint, workers });
  /** @type {number[]} */
  const busy = [];
  try {
    await ready;
    const samples = await alternate(ways.map(({ name, total }) => ({
      name,
      async run() {
        const before = process.cpuUsage();
        const found = await total(instances);
        const { user, system } = process.cpuUsage(before);
        return { found, computed: (user + system) / 1000 };
      },
      after({ found }) {
        if (found !== expected) throw new Error(`${name} finds ${found} GiB, where there are ${expected}`);
      },
      sample(milliseconds, { computed }) {
        if (name === PROMISE_ALL) busy.push(computed / milliseconds);
        return milliseconds;
      },
    })), {
      rounds,
      onSample: ({ name, round, milliseconds }) => {
        if (!process.stderr.isTTY) return;
        const which = round < 0 ? 'warm-up' : `round ${round + 1} of ${rounds}`;
        process.stderr.write(`\r\x1b[K${which}: ${name}, ${figure(milliseconds)} ms`);
      },
    });
    return { samples, busy: summarize(busy).median };
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    await close();
  }
}

/**
 * @param {string} title
 * @param {Map<string, number[]>} samples
 */
function printTable(title, samples) {
  const sequential = samples.get(SEQUENTIAL) ?? [];
  const promiseAll = samples.get(PROMISE_ALL) ?? [];
  const table = new Table({
    head: [title, 'ms (median)', 'middle half', 'speed × one after another', `speed × ${PROMISE_ALL} (middle half)`],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const [name, milliseconds] of samples) {
    const summary = summarize(milliseconds);
    table.push([
      name,
      figure(summary.median),
      spread(summary),
      name === SEQUENTIAL ? '1' : ratios(sequential, milliseconds).median.toFixed(2),
      name === PROMISE_ALL ? '1' : times(ratios(promiseAll, milliseconds)),
    ]);
  }
  console.log(table.toString());
}

/**
 * What the figures come to.
 *
 * @param {{ samples: Map<string, number[]>, busy: number }} result
 * @param {number} workers
 */
function conclude({ samples, busy }, workers) {
  const base = samples.get(PROMISE_ALL) ?? [];
  const others = [...samples.keys()].filter((name) => ![SEQUENTIAL, PROMISE_ALL, ONE_QUERY].includes(name));
  const [best] = others
    .map((name) => ({ name, ...ratios(base, samples.get(name) ?? []) }))
    .sort((left, right) => right.median - left.median);
  const single = ratios(base, samples.get(ONE_QUERY) ?? []).median;

  const share = `With ${PROMISE_ALL} one process computed in ${Math.round(busy * 100)} % of the time; in the rest it `
    + 'waited, for answers or for a core.';
  const speed = `${best.name}, has ${times(best)} the speed of ${PROMISE_ALL}.`;
  // A tenth is what one would not notice, and what noise can make up.
  let verdict = `${workers} workers are not worth it: the best, ${speed}`;
  if (best.median >= 1.1) {
    verdict = best.low > 1
      ? `${workers} workers are worth it: the best, ${speed}`
      : `Whether ${workers} workers are worth it is lost in the noise: the best, ${speed}`;
  }
  return `${share} ${verdict} Not asking for each instance has ${single.toFixed(1)} times that speed.`;
}

async function main() {
  const instanceCount = positiveInteger('INSTANCES', 100);
  const latency = positiveInteger('LATENCY', 50);
  const rounds = positiveInteger('ROUNDS', 5);
  const workers = positiveInteger('WORKERS', os.availableParallelism());
  const missing = obstacle();
  if (missing) throw new Error(missing);

  console.log(describeMachine(machine()));
  const cloud = await startCloud({ latency });
  try {
    const expected = await seed(cloud.moto, instanceCount);
    const ec2 = makeClient(cloud.moto);
    const instances = await listInstances(ec2);
    ec2.destroy();
    console.log(`${count(instances.length)} instances with ${count(expected)} GiB of volumes, ${rounds} rounds after a warm-up, ${workers} workers`);

    for (const [title, endpoint] of [
      ['moto as it is', cloud.moto],
      [`each answer after ${latency} ms`, cloud.distant],
    ]) {
      const result = await measure({ endpoint, instances, expected, rounds, workers });
      printTable(title, result.samples);
      console.log(conclude(result, workers));
    }
    console.log(`All ways found ${count(expected)} GiB, in every round.`);
  } finally {
    await cloud.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
