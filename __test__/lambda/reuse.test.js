'use strict';
// Warm invocations: the same workers serve all of them, and neither they nor the handler notice a freeze between two
// that is longer than every limit.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { kafkaEvent, spread, stored } = require('./support/events');
const { isRunning, sleep, waitFor } = require('../support/helpers');

const INVOCATIONS = 50;
const RECORDS = 100;
/** Shorter than a freeze. */
const LIMITS = { timeout: 1000, gracePeriod: 200 };
const FROZEN = 1600;

for (const [megabytes, workers, boxed] of [
  [512, 1, true],
  [3538, 2, true],
  [3538, 2, false],
]) {
  lambdaTest(
    `${megabytes} MB${boxed ? '' : ', no box'}: ${INVOCATIONS} invocations and some freezes, one set of workers`,
    { boxed },
    async (t) => {
      const lambda = await startEnvironment(t, {
        handler: 'ingest.handler',
        megabytes,
        boxed,
        env: { TEST_OPTIONS: JSON.stringify({ recordFunctionName: 'storeOne', ...LIMITS }) },
      });
      await lambda.initialised();
      const pids = await waitFor(() => lambda.workers().length === workers && lambda.workers().sort(), 'the workers');
      for (let i = 0; i < INVOCATIONS; i++) {
        if (i % 15 === 10) {
          await lambda.freeze();
          await sleep(FROZEN);
          await lambda.thaw();
        }
        const { status, body, requestId } = await lambda.invoke(kafkaEvent(spread(RECORDS, 4, i * RECORDS)));
        assert.deepEqual([status, body], ['response', { batchItemFailures: [] }]);
        assert.equal(stored(lambda, requestId).length, RECORDS);
        assert.deepEqual(lambda.workers().sort(), pids, `after invocation ${i}`);
      }
    },
  );
}

for (const boxed of [true, false]) {
  lambdaTest(
    `a freeze in the middle of an invocation${boxed ? '' : ', no box'}: no false time-out`,
    { boxed },
    async (t) => {
      const lambda = await startEnvironment(t, {
        handler: 'run.awaited',
        megabytes: 3538,
        boxed,
        env: { TEST_OPTIONS: JSON.stringify(LIMITS) },
      });
      await lambda.initialised();
      const pids = await waitFor(() => lambda.workers().length === 2 && lambda.workers().sort(), 'the workers');
      const file = `${boxed ? '/tmp' : lambda.tmp}/gate`;
      const pending = lambda.respond({
        batch: [
          { do: 'gate', file, value: 1 },
          { do: 'sleep', ms: 500, value: 2 },
        ],
      });
      await waitFor(() => fs.existsSync(`${lambda.tmp}/gate.started`), 'the work to begin');
      await lambda.freeze();
      await sleep(FROZEN);
      await lambda.thaw();
      fs.writeFileSync(`${lambda.tmp}/gate.go`, '');
      assert.deepEqual(await pending, { responses: [1, 2], failures: [], errors: [] });
      assert.deepEqual(lambda.workers().sort(), pids);
    },
  );
}

lambdaTest('idle workers whose time is up during a freeze are replaced without a call noticing', {}, async (t) => {
  const lambda = await startEnvironment(t, {
    handler: 'ingest.handler',
    megabytes: 3538,
    env: { TEST_OPTIONS: JSON.stringify({ recordFunctionName: 'storeOne', idleTimeout: 300, ...LIMITS }) },
  });
  for (let i = 0; i < 4; i++) {
    const { body } = await lambda.invoke(kafkaEvent(spread(RECORDS, 4)));
    assert.deepEqual(body, { batchItemFailures: [] });
    const used = lambda.workers();
    await lambda.freeze();
    await sleep(600);
    await lambda.thaw();
    // Half of the time they are gone when the next event arrives, otherwise they are just about to stop.
    if (i % 2 === 1) await waitFor(() => !used.some(isRunning), 'idle workers to stop');
  }
});
