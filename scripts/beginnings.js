'use strict';

/**
 * What users of the package begin with, run once so that V8 compiles it: see `compile-package.js`. Also a task of that,
 * since workers load functions from a file.
 */

const double = (/** @type {number} */ value) => value * 2;
const doubleAll = (/** @type {{ batch: number[] }} */ { batch }) => batch.map(double);
const take = (/** @type {{ messageId: string }} */ record) => record.messageId;

const TYPES = ['child-process', 'worker-threads'];

/** @param {string} message */
const record = (message) => ({
  messageId: message,
  receiptHandle: message,
  body: '{}',
  attributes: {},
  messageAttributes: {},
  eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:eu-west-1:123456789012:orders',
});

/** @param {string} folder of the package */
async function begin(folder) {
  const { Pool, Parallelizer } = require(folder);
  const { createHandler } = require(`${folder}/lambda.js`);
  const filePath = __filename;
  for (const type of TYPES) {
    const pool = new Pool({ processes: 2, type });
    await pool.apply({ filePath, name: 'double' }, [1]);
    await pool.map({ filePath, name: 'double' }, [1, 2, 3, 4]);
    const parallelizer = new Parallelizer({ type, filePath, processBatchFunctionName: 'doubleAll', parallelization: 2 });
    await parallelizer.run([1, 2, 3, 4]);
    const handler = createHandler({ type, filePath, recordFunctionName: 'take', parallelization: 2 });
    await handler({ Records: ['a', 'b', 'c'].map(record) });
  }
}

module.exports = { begin, double, doubleAll, take };
