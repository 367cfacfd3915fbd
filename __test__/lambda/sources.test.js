'use strict';
// In AWS's runtime clients: what records hold is unpacked, decoded and checked in workers; sources that want an answer
// for each record get one; what is not worth another try is discarded in its turn.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { lambdaTest, startEnvironment } = require('./support/environment');
const {
  S3_TEST, aggregateOf, eventOf, kinesisOf, make, notificationOf, random,
} = require('../support/lambda-events');

const r = random(47);
const COUNT = 1000;

const started = (t, options, more = {}) => startEnvironment(t, {
  handler: 'ingest.handler', megabytes: 3538, boxed: true, ...more,
  env: { TEST_OPTIONS: JSON.stringify({ filePath: 'unpack.js', ...options }) },
});

/** What the workers noted during an invocation. */
function noted({ tmp }, requestId) {
  const file = path.join(tmp, `noted-${requestId}`);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
}

for (const client of [3, 4]) {
  const test = (name, run) => lambdaTest(`client ${client}: ${name}`, { boxed: true, client }, run);
  const start = (t, options) => started(t, options, { client });

  test('aggregates of Kinesis, decoded and checked', async (t) => {
    const lambda = await start(t, { recordFunctionName: 'keep', envelope: 'kpl', decode: 'decode', schema: 'Order' });
    const orders = Array.from({ length: COUNT }, (_, id) => ({ id: id === 700 ? 'no number' : id }));
    const raws = [];
    for (let at = 0; at < COUNT; at += 10) {
      const users = orders.slice(at, at + 10).map((order) => ({ partitionKey: 'a', data: JSON.stringify(order) }));
      raws.push(kinesisOf(r, aggregateOf(users), { position: raws.length }));
    }
    const { status, body, requestId } = await lambda.invoke(eventOf('kinesis', raws));
    assert.equal(status, 'response', JSON.stringify(body));
    assert.equal(body.batchItemFailures[0].itemIdentifier, raws[70].kinesis.sequenceNumber);
    assert.equal(body.batchItemFailures.length, 30);
    const lines = noted(lambda, requestId);
    assert.deepEqual(lines.map(({ id }) => id), Array.from({ length: 700 }, (_, id) => id));
    assert.deepEqual(lines[13], {
      id: 13, data: { id: 13, decoded: true, checked: true }, identifier: raws[1].kinesis.sequenceNumber, sub: 3,
    });
    assert.match(lambda.output, /does not fit the schema: id: no number/);
  });

  test('SNS within SQS FIFO, with what is discarded in its turn', async (t) => {
    const lambda = await start(t, { recordFunctionName: 'keep', envelope: 'auto', decode: 'json', onDiscard: 'toDeadLetters' });
    const raws = Array.from({ length: 100 }, (_, id) => ({
      ...make.sqs(r, { payload: null, group: id % 2, position: id }),
      body: JSON.stringify(id === 50 ? S3_TEST : notificationOf(r, { id, ...(id === 21 ? { fate: 'never' } : {}), ...(id === 60 ? { fate: 'die' } : {}) })),
    }));
    const { status, body, requestId } = await lambda.invoke(eventOf('sqs', raws));
    assert.equal(status, 'response', JSON.stringify(body));
    const even = raws.filter((_, id) => id % 2 === 0 && id >= 60);
    assert.deepEqual(body.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), even.map(({ messageId }) => messageId));
    const lines = noted(lambda, requestId);
    const ids = (parity) => lines.filter((line) => raws.findIndex(({ messageId }) => messageId === (line.identifier ?? line.dead)) % 2 === parity);
    assert.deepEqual(ids(0).map(({ id }) => id), Array.from({ length: 30 }, (_, i) => 2 * i).filter((id) => id !== 50));
    assert.deepEqual(ids(1).map(({ id, dead }) => id ?? dead), Array.from({ length: 50 }, (_, i) => (i === 10 ? raws[21].messageId : 2 * i + 1)));
  });

  test('Firehose and S3 Batch Operations', async (t) => {
    const orders = Array.from({ length: COUNT }, (_, id) => ({
      id, ...(id === 10 ? { fate: 'throw' } : {}), ...(id === 500 ? { fate: 'die' } : {}), ...(id === 900 ? { keep: false } : {}),
    }));
    const firehose = await start(t, { recordFunctionName: 'clean' });
    const raws = orders.map((payload, position) => make.firehose(r, { payload, position }));
    const { status, body } = await firehose.invoke(eventOf('firehose', raws));
    assert.equal(status, 'response', JSON.stringify(body));
    assert.deepEqual(body.records.map(({ recordId }) => recordId), raws.map(({ recordId }) => recordId));
    for (const [id, { result, data }] of body.records.entries()) {
      const expected = id === 10 || id === 500 ? 'ProcessingFailed' : id === 900 ? 'Dropped' : 'Ok';
      assert.equal(result, expected, `record ${id}`);
      if (result === 'Ok') assert.equal(Buffer.from(data, 'base64').toString(), `${id}\n`);
    }
    const batch = await start(t, { recordFunctionName: 'resize' });
    const tasks = [{ id: 0 }, { id: 1, fate: 'throw' }, { id: 2, fate: 'never' }].map((payload, position) => make['s3-batch'](r, { payload, position }));
    const answer = await batch.invoke(eventOf('s3-batch', tasks));
    assert.deepEqual(answer.body.results.map(({ resultCode, resultString }) => [resultCode, resultString]), [
      ['Succeeded', 'resized pictures'], ['TemporaryFailure', 'an order that cannot be stored'], ['PermanentFailure', 'an order that never can be'],
    ]);
  });
}
