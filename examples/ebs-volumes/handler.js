'use strict';

/** The Lambda handler: what you would deploy, if a request per instance is what you need. */

const path = require('node:path');
const { Parallelizer } = require('@parallelizer/node');
const { listInstances, sum } = require('./volumes.js');

// At module level: the workers start in Lambda's init phase and serve every invocation.
const parallelizer = new Parallelizer({
  filePath: path.join(__dirname, 'volumes.js'),
  processBatchFunctionName: 'totalOf',
});

exports.handler = async () => {
  const instances = await listInstances();
  const { responses, failures } = await parallelizer.run(instances);
  // A total without some of the instances would be wrong, not incomplete.
  if (failures.length > 0) throw new Error(failures.join('; '));
  return { instances: instances.length, gibibytes: sum(responses) };
};

/** For callers that are not Lambda and want the workers gone before they go on. */
exports.close = () => parallelizer.terminate();
