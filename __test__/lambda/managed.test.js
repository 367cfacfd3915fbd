'use strict';
// Lambda Managed Instances: the runtime client loads the handler in several threads of one process, and invocations
// overlap. Each gets its own response, from one set of workers.

const assert = require('node:assert/strict');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { kafkaEvent, spread, stored } = require('./support/events');
const { gone } = require('../support/helpers');

const THREADS = 4;
const EVENTS = 24;
const RECORDS = 200;

for (const type of ['child-process', 'worker-threads']) {
  lambdaTest(`${type}: ${THREADS} threads of the runtime with overlapping invocations`, { client: 4 }, async (t) => {
    const lambda = await startEnvironment(t, {
      handler: 'ingest.handler',
      client: 4,
      megabytes: 3538,
      env: {
        AWS_LAMBDA_MAX_CONCURRENCY: '16',
        AWS_LAMBDA_NODEJS_WORKER_COUNT: String(THREADS),
        TEST_OPTIONS: JSON.stringify({ type, recordFunctionName: 'storeOne' }),
      },
    });
    const events = Array.from({ length: EVENTS }, (_, i) => kafkaEvent(spread(RECORDS, 4, i * RECORDS)));
    const outcomes = await Promise.all(events.map((event) => lambda.invoke(event)));
    for (const [i, { status, body, requestId }] of outcomes.entries()) {
      assert.deepEqual([status, body], ['response', { batchItemFailures: [] }]);
      const ids = stored(lambda, requestId)
        .map(({ id }) => `${id.partition} ${id.offset}`)
        .sort();
      const expected = spread(RECORDS, 4, i * RECORDS)
        .map(({ partition, offset }) => `orders-${partition} ${offset}`)
        .sort();
      assert.deepEqual(ids, expected);
    }
    const workers = lambda.workers();
    assert.equal(workers.length, type === 'child-process' ? 2 : 0, 'worker processes, of two CPUs');
    process.kill(lambda.runtimePid(), 'SIGKILL');
    await Promise.all(workers.map((pid) => gone(pid)));
  });
}
