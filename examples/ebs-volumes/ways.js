'use strict';

/** The ways to ask for the volumes of many instances. Each gives the total in GiB, and differs in nothing else. */

const path = require('node:path');
const { Parallelizer, Pool, PARALLELIZER_THREADS } = require('@parallelizer/node');
const { attachedTotal, makeClient, sizeOf, sum } = require('./volumes.js');

const SEQUENTIAL = 'one after another';
const PROMISE_ALL = 'Promise.all';
const ONE_QUERY = 'one query for all';

const filePath = path.join(__dirname, 'volumes.js');

/**
 * @typedef {object} Way
 * @property {string} name
 * @property {(instances: string[]) => Promise<number>} total
 */

/**
 * @param {object} options
 * @param {string} options.endpoint where EC2 is
 * @param {number} options.workers
 * @returns {{ ways: Way[], ready: Promise<unknown>, close: () => Promise<unknown> }}
 */
function makeWays({ endpoint, workers }) {
  const ec2 = makeClient(endpoint);
  const env = { ...process.env, AWS_ENDPOINT_URL_EC2: endpoint };

  const batches = { filePath, processBatchFunctionName: 'totalOf', parallelization: workers, env };
  const processes = new Parallelizer(batches);
  const threads = new Parallelizer({ ...batches, type: PARALLELIZER_THREADS });
  const oneByOne = new Pool(workers, { env });
  const pool = new Pool(workers, { env, concurrency: 100 });

  /** @param {typeof processes} parallelizer */
  const inBatches = (parallelizer) => async (/** @type {string[]} */ instances) => {
    const { responses, failures } = await parallelizer.run(instances);
    if (failures.length > 0) throw new Error(failures.join('; '));
    return sum(responses);
  };
  /** @param {Pool} which */
  const itemwise = (which) => async (/** @type {string[]} */ instances) => (
    sum(await which.map({ filePath, name: 'sizeOf' }, instances))
  );

  return {
    ways: [
      {
        name: SEQUENTIAL,
        async total(instances) {
          let size = 0;
          for (const id of instances) size += await sizeOf(id, ec2);
          return size;
        },
      },
      // As Python's multiprocessing.Pool does it: a process waits for its answer before it asks for the next.
      { name: 'Pool', total: itemwise(oneByOne) },
      { name: PROMISE_ALL, total: async (instances) => sum(await Promise.all(instances.map((id) => sizeOf(id, ec2)))) },
      { name: 'Pool, concurrency 100', total: itemwise(pool) },
      { name: 'Parallelizer, processes', total: inBatches(processes) },
      { name: 'Parallelizer, threads', total: inBatches(threads) },
      { name: ONE_QUERY, total: () => attachedTotal(ec2) },
    ],
    ready: Promise.all([processes, threads, oneByOne, pool].map((workerSet) => workerSet.ready())),
    async close() {
      ec2.destroy();
      await Promise.all([processes, threads, oneByOne, pool].map((workerSet) => workerSet.terminate()));
    },
  };
}

module.exports = { makeWays, SEQUENTIAL, PROMISE_ALL, ONE_QUERY };
