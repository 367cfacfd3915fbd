'use strict';

/**
 * The function that Kafka's events go to. What it does itself is small: it hands all records to the worker function,
 * in as many invocations as they need, and answers where each partition is to resume.
 */

const path = require('node:path');
const { Pool, PARALLELIZER_REMOTE, task } = require('@parallelizer/node');
const { lambdaInvoke } = require('@parallelizer/node/lambda-invoke');

/** @typedef {{ topic: string, partition: number, offset: number, value: string }} KafkaRecord */
/** @typedef {{ eventSource: string, records: Record<string, KafkaRecord[]> }} KafkaEvent */

const sign = task(path.join(__dirname, 'invoice.js'), 'sign');

/**
 * @param {import('@parallelizer/node/lambda-invoke').LambdaInvokeOptions} settings
 * @param {(signed: import('./invoice.js').Signed) => void} store
 */
exports.makeHandler = (settings, store) => {
  // In Lambda at module level: its connections serve all events.
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: lambdaInvoke(settings), root: __dirname, retries: 2 });

  const handler = async (/** @type {KafkaEvent} */ event) => {
    const partitions = Object.entries(event.records);
    const orders = partitions.flatMap(([, records]) => records.map(read));
    const outcomes = await pool.map(sign, orders, { onError: 'collect' });
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') store(outcome.value);
    return { batchItemFailures: failuresOf(partitions, outcomes) };
  };
  return Object.assign(handler, { pool });
};

/** @param {KafkaRecord} record */
const read = ({ value }) => JSON.parse(Buffer.from(value, 'base64').toString());

/**
 * Where each partition that is not done is to resume: at its first record that has failed.
 *
 * @param {[name: string, records: KafkaRecord[]][]} partitions
 * @param {PromiseSettledResult<unknown>[]} outcomes of all records, in their order
 */
function failuresOf(partitions, outcomes) {
  const left = outcomes.values();
  return partitions.flatMap(([partition, records]) => {
    const own = records.map((record) => ({ record, outcome: left.next().value }));
    const failed = own.find(({ outcome }) => outcome?.status === 'rejected');
    return failed === undefined ? [] : [{ itemIdentifier: { partition, offset: failed.record.offset } }];
  });
}
