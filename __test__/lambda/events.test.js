'use strict';
// Events of a thousand records and more, at each memory size: what is done is stored once and in order, what is not is
// reported, and nothing else is.

const assert = require('node:assert/strict');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { TOPIC, checkpoints, kafkaEvent, spread, sqsEvent, stored } = require('./support/events');

const RECORDS = 1200;
const PARTITIONS = 8;
/** A few in the middle that cannot be stored, two of them in one partition. */
const BAD = new Set([100, 108, 555]);

const records = spread(RECORDS, PARTITIONS).map((record, i) => ({
  ...record,
  order: BAD.has(i) ? { fate: 'throw' } : {},
}));
const functions = { 'one by one': 'recordFunctionName', 'by sub-batches': 'processBatchFunctionName' };
const optionsFor = (option, more) =>
  JSON.stringify({ [option]: option === 'recordFunctionName' ? 'storeOne' : 'storeBatch', ...more });

/** What is reported to Kafka, and what is stored, if the first bad record ends its partition. */
const expectedCheckpoints = Object.fromEntries(
  [100, 555].map((i) => [`${TOPIC}-${records[i].partition}`, records[i].offset]),
);

const sizes = [
  { megabytes: 512, boxed: true },
  { megabytes: 1769, boxed: true },
  { megabytes: 3538, boxed: true },
  { megabytes: 3538, boxed: true, client: 4 },
  { megabytes: 3538, boxed: false },
];

for (const { megabytes, boxed, client = 3 } of sizes) {
  const where = `${megabytes} MB${boxed ? '' : ', no box'}, client ${client}`;
  for (const [how, option] of Object.entries(functions)) {
    lambdaTest(`${where}: ${RECORDS} records of Kafka, ${how}`, { boxed, client }, async (t) => {
      const lambda = await startEnvironment(t, {
        handler: 'ingest.handler',
        megabytes,
        boxed,
        client,
        env: { TEST_OPTIONS: optionsFor(option) },
      });
      for (let round = 0; round < 2; round++) {
        const { status, body, requestId } = await lambda.invoke(kafkaEvent(records));
        assert.equal(status, 'response', JSON.stringify(body));
        const reported = checkpoints(body);
        const done = stored(lambda, requestId);
        if (option === 'recordFunctionName') {
          assert.deepEqual(reported, expectedCheckpoints);
        } else {
          // The sub-batch failed as a whole: from its first record on.
          assert.deepEqual(Object.keys(reported).sort(), Object.keys(expectedCheckpoints).sort());
        }
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const group = `${TOPIC}-${partition}`;
          const offsets = done.filter((one) => one.group === group).map((one) => one.id.offset);
          const last = expectedCheckpoints[group] ?? RECORDS / PARTITIONS;
          assert.deepEqual(offsets, Array.from({ length: last }, (_, i) => i), group);
          assert.ok((reported[group] ?? last) <= last);
        }
      }
    });
  }

  lambdaTest(`${where}: ${RECORDS} messages of SQS`, { boxed, client }, async (t) => {
    const lambda = await startEnvironment(t, { handler: 'ingest.handler', megabytes, boxed, client });
    const event = sqsEvent(records.map(({ order }) => order));
    for (let round = 0; round < 2; round++) {
      const { status, body, requestId } = await lambda.invoke(event);
      assert.equal(status, 'response', JSON.stringify(body));
      assert.deepEqual(
        body.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier).sort(),
        [...BAD].map((i) => `message-${i}`).sort(),
      );
      const ids = stored(lambda, requestId)
        .map(({ id }) => id)
        .sort();
      assert.deepEqual(
        ids,
        records
          .map((_, i) => i)
          .filter((i) => !BAD.has(i))
          .map((i) => `message-${i}`)
          .sort(),
      );
    }
  });
}

lambdaTest(
  'messages of a FIFO queue: after the first failure the rest of its group is reported, unprocessed',
  {},
  async (t) => {
    const lambda = await startEnvironment(t, { handler: 'ingest.handler', megabytes: 3538 });
    const groups = 10;
    const event = sqsEvent(
      records.map(({ order }) => order),
      { fifo: true, groups },
    );
    const { body, requestId } = await lambda.invoke(event);
    const firstBad = new Map();
    for (const i of BAD) if (!firstBad.has(i % groups)) firstBad.set(i % groups, i);
    const expected = records.map((_, i) => i).filter((i) => i >= (firstBad.get(i % groups) ?? Infinity));
    assert.deepEqual(
      body.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier).sort(),
      expected.map((i) => `message-${i}`).sort(),
    );
    assert.equal(stored(lambda, requestId).length, RECORDS - expected.length);
  },
);

for (const client of [3, 4]) {
  lambdaTest(
    `client ${client}: a warm worker has the trace header of the invocation that it works for`,
    { client },
    async (t) => {
      const lambda = await startEnvironment(t, { handler: 'ingest.handler', client });
      const headers = new Set();
      for (let i = 0; i < 3; i++) {
        const { requestId } = await lambda.invoke(sqsEvent([{}, {}]));
        const traces = stored(lambda, requestId).map(({ trace }) => trace);
        assert.equal(traces.length, 2);
        for (const trace of traces) assert.ok(trace.startsWith(`Root=1-${requestId.slice(0, 8)}`), trace);
        headers.add(traces[0]);
      }
      assert.equal(headers.size, 3);
    },
  );
}
