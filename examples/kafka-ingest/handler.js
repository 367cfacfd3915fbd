'use strict';

/**
 * The Lambda function: what you would deploy. Environment: `READINGS_STORE`, the URL of the store; `WORKERS`, how many
 * processes (unset: one for each vCPU).
 */

const path = require('node:path');
const { createHandler } = require('@parallelizer/node/lambda');

// At module level: the workers start in Lambda's init phase, and serve all invocations of the environment.
exports.handler = createHandler({
  filePath: path.join(__dirname, 'worker.js'),
  processBatchFunctionName: 'storeReadings',
  params: { store: process.env.READINGS_STORE },
  parallelization: process.env.WORKERS ? Number(process.env.WORKERS) : false,
  // What a worker that dies takes along at most, besides what follows in its partition.
  batchSize: 250,
  // What is not done is in the answer too; this is for the log.
  onError: (error, records) => {
    const { groupKey, identifier } = records[0];
    console.warn(`not done: ${records.length} records of ${groupKey} from offset ${identifier.offset}: ${error.message}`);
  },
});
