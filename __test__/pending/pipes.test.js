'use strict';
// Events as EventBridge Pipes delivers them: a bare list of records, which for Kinesis and Kafka have their fields on top.
// They are handled as those of an event source mapping are, with the same answers.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const { forEachMode } = require('../support/modes');
const { handlerFor, identifiers, idsOf } = require('../support/lambda');

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64');
const ids = [1, 2, 3, 4, 5, 6];

/** A record of each source with a payload, in the form that Pipes gives it. */
const make = {
  sqs: (payload) => ({
    messageId: `message-${payload.id}`, receiptHandle: 'r', body: JSON.stringify(payload),
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1700000000000', SenderId: 's', ApproximateFirstReceiveTimestamp: '1700000000500' },
    messageAttributes: {}, md5OfBody: 'x', eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:eu-central-1:123456789012:orders', awsRegion: 'eu-central-1',
  }),
  kinesis: (payload) => ({
    kinesisSchemaVersion: '1.0', partitionKey: 'k', sequenceNumber: `49590338271490256608559692538361571095921575989136588${800 + payload.id}`,
    data: base64(payload), approximateArrivalTimestamp: 1_700_000_000.123,
    eventSource: 'aws:kinesis', eventVersion: '1.0', eventID: `shardId-000000000006:${payload.id}`, eventName: 'aws:kinesis:record',
    invokeIdentityArn: 'arn:i', awsRegion: 'eu-central-1', eventSourceARN: 'arn:aws:kinesis:eu-central-1:123456789012:stream/orders',
  }),
  dynamodb: (payload) => ({
    eventID: String(payload.id), eventName: 'INSERT', eventVersion: '1.1', eventSource: 'aws:dynamodb', awsRegion: 'eu-central-1',
    dynamodb: {
      ApproximateCreationDateTime: 1_700_000_000, Keys: { id: { S: String(payload.id) } },
      NewImage: { payload: { S: JSON.stringify(payload) } }, SequenceNumber: String(100 + payload.id), SizeBytes: 1, StreamViewType: 'NEW_IMAGE',
    },
    eventSourceARN: 'arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/1',
  }),
  'kafka (MSK)': (payload) => ({
    eventSource: 'aws:kafka', eventSourceArn: 'arn:aws:kafka:eu-central-1:123456789012:cluster/c/1', eventSourceKey: 'orders-0',
    topic: 'orders', partition: 0, offset: 100 + payload.id, timestamp: 1_700_000_000_000, timestampType: 'CREATE_TIME',
    key: 'YQ==', value: base64(payload), headers: [],
  }),
  'kafka (self-managed)': (payload) => ({
    eventSource: 'SelfManagedKafka', bootstrapServers: 'b:9092', eventSourceKey: 'orders-0',
    topic: 'orders', partition: 0, offset: 100 + payload.id, timestamp: 1_700_000_000_000, timestampType: 'CREATE_TIME',
    key: 'YQ==', value: base64(payload), headers: [],
  }),
  // AWS's own sample has the partition as text.
  'kafka (partition as text)': (payload) => ({ ...make['kafka (MSK)'](payload), partition: '0' }),
};

const identifierOf = {
  sqs: (id) => `message-${id}`,
  kinesis: (id) => `49590338271490256608559692538361571095921575989136588${800 + id}`,
  dynamodb: (id) => String(100 + id),
  kafka: (id) => ({ partition: 'orders-0', offset: 100 + id }),
};

for (const [name, record] of Object.entries(make)) {
  const source = name.split(' ')[0];

  test(`${name}: what a record is`, () => {
    const raws = ids.map((id) => record({ id }));
    const found = records(raws);
    assert.equal(found.length, ids.length);
    for (const [i, each] of found.entries()) {
      assert.equal(each.source, source);
      assert.deepEqual(each.identifier, identifierOf[source](ids[i]));
      assert.equal(each.raw, raws[i]);
      if (source !== 'dynamodb') assert.deepEqual(each.json, { id: ids[i] });
      assert.ok(Math.abs(each.timestamp - 1_700_000_000_000) < 1000, String(each.timestamp));
      assert.equal(each.groupKey, { sqs: null, kinesis: 'shardId-000000000006', dynamodb: raws[i].eventSourceARN, kafka: 'orders-0' }[source]);
      if (source === 'kinesis') {
        assert.equal(each.partitionKey, 'k');
        assert.equal(each.sequenceNumber, raws[i].sequenceNumber);
      }
    }
  });
}

test('an empty list, and lists of what Pipes does not deliver', () => {
  assert.deepEqual(records([]), []);
  for (const bad of [[1], [{}], ['text'], [null], [{ eventSource: 'aws:none' }], [make.sqs({ id: 1 }), make.dynamodb({ id: 2 })]]) {
    assert.throws(() => records(bad), ({ code, message }) => code === 'ERR_PARALLELIZER_OPTION' && message.includes('event['));
  }
});

forEachMode((mode) => {
  for (const [name, record] of Object.entries(make)) {
    const source = name.split(' ')[0];

    test(`${name}: a batch, and its failures`, async (t) => {
      const { handler, log } = handlerFor(t, { type: mode.type });
      assert.deepEqual(await handler(ids.map((id) => record({ id })), {}), { batchItemFailures: [] });
      assert.deepEqual(idsOf(log, 'done').sort(), ids);
      const answer = await handler(ids.map((id) => record({ id: id + 10, what: id === 3 ? 'throw' : 'ok', times: 9 })), {});
      const failed = { sqs: [13], kinesis: [13, 14, 15, 16], dynamodb: [13, 14, 15, 16], kafka: [13] }[source];
      assert.deepEqual(identifiers(answer), failed.map(identifierOf[source]));
    });
  }
});
