'use strict';

/**
 * The Lambda handler. Environment: `ORDERS_STORE`, the directory of the database; `WORKERS`,
 * how many processes (unset: one for each usable CPU).
 */

const path = require('node:path');
const { Parallelizer, PARALLELIZER_CHILD } = require('@parallelizer/node');
const { recordsOf } = require('./event.js');
const { PARAMS } = require('./params.js');

// At module level: the workers start in Lambda's init phase, which has the full CPU, and are
// reused by every invocation that this environment serves.
const parallelizer = new Parallelizer({
  type: PARALLELIZER_CHILD,
  filePath: path.join(__dirname, 'worker.js'),
  processBatchFunctionName: 'processBatch',
  parallelization: Number(process.env.WORKERS) || false,
});

/**
 * Offsets are the rows' keys, so no row depends on another and the records may be split
 * anywhere. Where a partition's order matters, give `run` a `groupBy`.
 *
 * @param {import('./event.js').KafkaEvent} event
 */
exports.handler = async (event) => {
  const params = { ...PARAMS, storePath: process.env.ORDERS_STORE };
  const { responses, failures } = await parallelizer.run(recordsOf(event), params);

  // An invocation that throws is delivered again. Rows already stored are then written over
  // with the same values.
  if (failures.length > 0) throw new Error(`${failures.length} sub-batches failed: ${failures.join('; ')}`);

  return {
    stored: responses.reduce((sum, { stored }) => sum + stored, 0),
    rejected: responses.reduce((sum, { rejected }) => sum + rejected, 0),
  };
};

/** For callers that are not Lambda and want the workers gone before they go on. */
exports.close = () => parallelizer.terminate();
