'use strict';
// Events in which thousands of records fail, or thousands are done beside one that fails: which are which is known of
// each, however many errors there are, and whatever else these bring along.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { temporary } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const WORKER = `
  class NonRetryableError extends Error {}
  exports.decode = ({ json }) => {
    if (json.bad) throw Object.assign(new NonRetryableError('bad '.repeat(300)), { id: json.n });
    return json;
  };
  const one = new NonRetryableError('always the same');
  exports.decodeSame = ({ json }) => {
    if (json.bad) throw one;
    return json;
  };
  exports.batch = ({ batch }) => batch.map(({ data }) => data.n);
  exports.bulk = ({ batch }) => {
    const failed = batch.filter(({ json }) => json.bad);
    const results = batch.map(({ json }) => ({ n: json.n, status: 'written', attempts: [1, 2] }));
    throw Object.assign(new Error('a bulk write'), { results, failed });
  };
  exports.reported = ({ batch }) => ({
    batchItemFailures: batch.filter(({ json }) => json.bad).map(({ identifier }) => ({ itemIdentifier: identifier })),
  });`;

const sqs = (bodies) => eventOf('sqs', bodies.map((body, i) => ({
  messageId: `m${i}`, receiptHandle: 'r', body, attributes: {}, messageAttributes: {}, eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:eu-central-1:1:orders', awsRegion: 'eu-central-1',
})));
const base64 = (text) => Buffer.from(text).toString('base64');
const firehose = (texts) => ({
  invocationId: 'i', deliveryStreamArn: 'arn:aws:firehose:eu-central-1:1:deliverystream/d', region: 'eu-central-1',
  records: texts.map((text, i) => ({ recordId: `r${i}`, data: base64(text), approximateArrivalTimestamp: 1 })),
});
const kinesis = (texts) => ({
  ...eventOf('kinesis', texts.map((text, i) => ({
    kinesis: {
      sequenceNumber: String(10_000 + i), partitionKey: 'a', data: base64(text), kinesisSchemaVersion: '1.0',
      approximateArrivalTimestamp: 1,
    },
    eventSource: 'aws:kinesis', eventID: `shardId-0:${10_000 + i}`, eventName: 'aws:kinesis:record', awsRegion: 'eu-central-1',
    eventSourceARN: 'arn:aws:kinesis:eu-central-1:1:stream/orders',
  }))),
  window: { start: '2024-01-01T12:00:00Z', end: '2024-01-01T12:02:00Z' }, state: {}, shardId: 'shardId-0',
});
const range = (count) => Array.from({ length: count }, (_, i) => i);

forEachMode((mode) => {
  const on = (t, options) => {
    const filePath = path.join(temporary(t), 'worker.js');
    fs.writeFileSync(filePath, WORKER);
    return handlerFor(t, { type: mode.type, parallelization: mode.hasWorkers ? 1 : 0, filePath, ...options });
  };

  test('thousands that cannot be read: each is reported, or each is discarded, and no other', async (t) => {
    const isBad = (i) => i % 2 === 1;
    const event = sqs(range(8000).map((i) => (isBad(i) ? '{' : JSON.stringify({ n: i }))));
    const bad = range(8000).filter(isBad).map((i) => `m${i}`);
    const reporting = on(t, { processBatchFunctionName: 'batch', decode: 'json' });
    assert.deepEqual(identifiers(await reporting.handler(event, contextOf())), bad);
    const discarded = [];
    const onDiscard = (_error, records) => void records.forEach(({ identifier }) => discarded.push(identifier));
    const discarding = on(t, { processBatchFunctionName: 'batch', decode: 'json', discardInvalid: true, onDiscard });
    assert.deepEqual(identifiers(await discarding.handler(event, contextOf())), []);
    assert.deepEqual(discarded, bad);
  });

  test('thousands that are not worth another try, by the name of their class alone', async (t) => {
    const isBad = (i) => i % 2 === 1;
    for (const [count, decode] of [[10_000, 'decode'], [4, 'decodeSame']]) {
      const event = sqs(range(count).map((i) => JSON.stringify({ n: i, bad: isBad(i) })));
      const discarded = [];
      const onDiscard = (error, records) => void records.forEach(({ identifier }) => discarded.push([identifier, error instanceof Error]));
      const { handler, errors } = on(t, { processBatchFunctionName: 'batch', decode, onDiscard });
      assert.deepEqual([identifiers(await handler(event, contextOf())), errors], [[], []]);
      assert.deepEqual(discarded, range(count).filter(isBad).map((i) => [`m${i}`, true]));
    }
  });

  test('an error that names records is about these, whatever it brings along, and however many there are', async (t) => {
    for (const processBatchFunctionName of ['bulk', 'reported']) {
      for (const every of [600, 2]) {
        const { handler } = on(t, { processBatchFunctionName });
        const event = sqs(range(6000).map((i) => JSON.stringify({ n: i, bad: i % every === 1 })));
        const bad = range(6000).filter((i) => i % every === 1).map((i) => `m${i}`);
        assert.deepEqual(identifiers(await handler(event, contextOf())), bad);
      }
    }
  });

  test('results of thousands that are done, beside one that fails', async (t) => {
    const texts = range(6000).map((i) => (i === 5 ? '{' : JSON.stringify({ n: i })));
    const one = { processBatchFunctionName: 'batch', decode: 'json' };
    const { records } = await on(t, one).handler(firehose(texts), contextOf());
    assert.deepEqual(records.map(({ result }) => result), texts.map((_, i) => (i === 5 ? 'ProcessingFailed' : 'Ok')));
    assert.deepEqual(records.slice(6).map(({ data }) => Buffer.from(data, 'base64').toString()), range(6000).slice(6).map(String));
    const last = range(3000).map((i) => (i === 2999 ? '{' : JSON.stringify({ n: i })));
    const reduce = (state, n) => ({ count: (state.count ?? 0) + 1, sum: (state.sum ?? 0) + n });
    const answer = await on(t, { ...one, window: { reduce } }).handler(kinesis(last), contextOf());
    assert.deepEqual(answer.state, { count: 2999, sum: (2998 * 2999) / 2 });
    assert.deepEqual(identifiers(answer), ['12999']);
  });
});
