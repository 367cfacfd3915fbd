'use strict';
// A worker that is killed costs the records that it was running, and an invocation that takes too long costs itself.
// The next invocation works.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { TOPIC, checkpoints, kafkaEvent, spread, sqsEvent, stored } = require('./support/events');
const { gone, lines, waitFor } = require('../support/helpers');

const RECORDS = 400;
const PARTITIONS = 4;
const identifiers = ({ batchItemFailures }) => batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
const withFate = (records, fates) =>
  records.map((record, i) => ({ ...record, order: fates[i] ? { fate: fates[i] } : {} }));

for (const client of [3, 4]) {
  for (const boxed of [true, false]) {
    for (const fate of ['die', 'dieAfter']) {
      const when = fate === 'die' ? 'before it stores' : 'after it has stored';
      lambdaTest(
        `client ${client}${boxed ? '' : ', no box'}: a worker is killed ${when}: only its record is reported`,
        { client, boxed },
        async (t) => {
          const lambda = await startEnvironment(t, { handler: 'ingest.handler', client, boxed, megabytes: 3538 });
          const orders = Array.from({ length: RECORDS }, (_, i) => (i === 123 ? { fate } : {}));
          const { body, requestId } = await lambda.invoke(sqsEvent(orders));
          assert.deepEqual(identifiers(body), ['message-123']);
          assert.equal(stored(lambda, requestId).length, fate === 'die' ? RECORDS - 1 : RECORDS);

          // Kafka: its partition resumes from there; nothing after it has been begun.
          const records = withFate(spread(RECORDS, PARTITIONS), { 41: fate });
          const second = await lambda.invoke(kafkaEvent(records));
          assert.deepEqual(checkpoints(second.body), { [`${TOPIC}-1`]: 10 });
          const ofPartition = stored(lambda, second.requestId).filter(({ group }) => group === `${TOPIC}-1`);
          assert.equal(ofPartition.length, fate === 'die' ? 10 : 11);
          assert.equal(
            stored(lambda, second.requestId).length - ofPartition.length,
            (RECORDS * (PARTITIONS - 1)) / PARTITIONS,
          );

        const next = await lambda.invoke(kafkaEvent(spread(RECORDS, PARTITIONS)));
        assert.deepEqual(next.body, { batchItemFailures: [] });
        assert.equal(stored(lambda, next.requestId).length, RECORDS);
      });
    }
  }
}

lambdaTest('a worker is killed from outside: its sub-batch is reported, whole', {}, async (t) => {
  const lambda = await startEnvironment(t, {
    handler: 'ingest.handler',
    megabytes: 3538,
    env: { TEST_OPTIONS: '{ "processBatchFunctionName": "storeBatch" }' },
  });
  // Two sub-batches of ten; the second stops at its first record.
  const pending = lambda.invoke(sqsEvent(Array.from({ length: 20 }, (_, i) => (i === 10 ? { fate: 'gate' } : {}))));
  const [pid] = await waitFor(
    () => lines(`${lambda.tmp}/gate`).length > 0 && lines(`${lambda.tmp}/gate`).map(Number),
    'a worker at the gate',
  );
  assert.ok(lambda.workers().includes(pid));
  process.kill(pid, 'SIGKILL');
  const { body } = await pending;
  assert.deepEqual(identifiers(body), Array.from({ length: 10 }, (_, i) => `message-${10 + i}`));
  const next = await lambda.invoke(sqsEvent(Array.from({ length: 20 }, () => ({}))));
  assert.deepEqual(next.body, { batchItemFailures: [] });
});

for (const boxed of [true, false]) {
  lambdaTest(
    `time runs out${boxed ? '' : ', no box'}: what hangs is reported before Lambda gives up, and the environment lives`,
    { boxed },
    async (t) => {
      const lambda = await startEnvironment(t, { handler: 'ingest.handler', boxed, megabytes: 3538 });
      const orders = Array.from({ length: 100 }, (_, i) => (i === 7 ? { fate: 'hang' } : {}));
      const { status, body, requestId } = await lambda.invoke(sqsEvent(orders), { timeout: 4000 });
      assert.deepEqual([status, identifiers(body)], ['response', ['message-7']]);
      assert.equal(stored(lambda, requestId).length, 99);
      const next = await lambda.invoke(sqsEvent(orders.map(() => ({}))), { timeout: 20_000 });
      assert.deepEqual([next.status, next.body], ['response', { batchItemFailures: [] }]);
      assert.equal(stored(lambda, next.requestId).length, 100);
    },
  );

  lambdaTest(
    `the handler times out${boxed ? '' : ', no box'}: nothing is left, and the next environment works`,
    { boxed },
    async (t) => {
      const first = await startEnvironment(t, { handler: 'run.awaited', boxed, megabytes: 3538 });
      const pending = first.invoke({ batch: [{ do: 'loop' }, { do: 'block' }] }, { timeout: 3000 });
      await first.initialised();
      const workers = await waitFor(() => first.workers().length === 2 && first.workers(), 'the workers');
      assert.equal((await pending).status, 'timeout');
      await Promise.all(workers.map((pid) => gone(pid)));
      await first.exited;
      // All of them were killed at once, and a busy machine takes its time to end them.
      await waitFor(() => first.processes().length === 0, 'everything to end');
      const second = await startEnvironment(t, { handler: 'run.awaited', boxed, megabytes: 3538 });
      assert.deepEqual((await second.respond({ batch: [{ do: 'echo', value: 1 }] })).responses, [1]);
    },
  );
}

lambdaTest("the runtime's process alone is killed: its workers end by themselves, busy or not", {}, async (t) => {
  const lambda = await startEnvironment(t, { handler: 'run.awaited', megabytes: 3538 });
  const pending = lambda.invoke({ batch: [{ do: 'loop', file: `${lambda.tmp}/looping` }] });
  await waitFor(() => fs.existsSync(`${lambda.tmp}/looping`), 'the loop');
  const workers = lambda.workers();
  assert.equal(workers.length, 2);
  process.kill(lambda.runtimePid(), 'SIGKILL');
  assert.equal((await pending).status, 'gone');
  await Promise.all(workers.map((pid) => gone(pid)));
});

lambdaTest(
  'a worker that exhausts its heap is reported and replaced, within the memory of the function',
  { boxed: true },
  async (t) => {
    const lambda = await startEnvironment(t, { handler: 'run.awaited', boxed: true, megabytes: 512 });
    const { failures, errors } = await lambda.respond({ batch: [{ do: 'exhaustHeap' }] }, { timeout: 60_000 });
    assert.equal(failures.length, 1);
    assert.equal(errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
    assert.match(errors[0].message, /heap/i);
    assert.deepEqual((await lambda.respond({ batch: [{ do: 'echo', value: 'next' }] })).responses, ['next']);
  },
);
