'use strict';
// A record has every field that it has in the event, known to this library or not, in the handler's process and in workers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { createHandler, records } = require('@parallelizer/node/lambda');
const { lines, temporary } = require('../support/helpers');
const { forEachMode } = require('../support/modes');

const schema = { dataFormat: 'AVRO', schemaId: '1234' };

/** Raw records, as AWS sends them today or may tomorrow. */
const RAW = {
  kafka: {
    topic: 'orders', partition: 0, offset: 15, timestamp: 1_700_000_000_000, timestampType: 'CREATE_TIME',
    key: 'YQ==', value: 'e30=', headers: [], keySchemaMetadata: schema, valueSchemaMetadata: { ...schema, schemaId: '5678' },
  },
  sqs: {
    messageId: 'm1', receiptHandle: 'r', body: '{}', attributes: { AWSTraceHeader: 'Root=1' }, messageAttributes: {},
    md5OfBody: 'x', eventSource: 'aws:sqs', eventSourceARN: 'arn:q', awsRegion: 'eu-central-1',
  },
  kinesis: {
    kinesis: { kinesisSchemaVersion: '1.0', partitionKey: 'k', sequenceNumber: '1', data: 'e30=', approximateArrivalTimestamp: 1.5, encryptionType: 'KMS' },
    eventSource: 'aws:kinesis', eventVersion: '1.0', eventID: 'shardId-000000000000:1', eventName: 'aws:kinesis:record',
    invokeIdentityArn: 'arn:i', awsRegion: 'eu-central-1', eventSourceARN: 'arn:s',
  },
  dynamodb: {
    eventID: '1', eventName: 'REMOVE', eventVersion: '1.1', eventSource: 'aws:dynamodb', awsRegion: 'eu-central-1',
    dynamodb: { Keys: { id: { S: 'a' } }, SequenceNumber: '1', StreamViewType: 'KEYS_ONLY' },
    userIdentity: { principalId: 'dynamodb.amazonaws.com', type: 'Service' }, eventSourceARN: 'arn:t', tableName: 'orders',
  },
  s3: {
    eventVersion: '2.3', eventSource: 'aws:s3', awsRegion: 'eu-central-1', eventTime: '2026-01-01T00:00:00.000Z',
    eventName: 'ObjectRestore:Completed', userIdentity: { principalId: 'p' }, requestParameters: { sourceIPAddress: '127.0.0.1' },
    responseElements: { 'x-amz-request-id': 'i' }, s3: { bucket: { name: 'b', arn: 'arn:b' }, object: { key: 'k', size: 1 } },
    glacierEventData: { restoreEventData: { lifecycleRestorationExpiryTime: '2026-01-02T00:00:00.000Z' } },
    replicationEventData: { replicationRuleId: 'r', destinationBucket: 'd', s3Operation: 'OBJECT_PUT', requestTime: 't', failureReason: 'f' },
    lifecycleEventData: { transitionEventData: { destinationStorageClass: 'GLACIER' } },
    intelligentTieringEventData: { destinationAccessTier: 'ARCHIVE_ACCESS' },
  },
  sns: {
    EventSource: 'aws:sns', EventVersion: '1.0', EventSubscriptionArn: 'arn:s',
    Sns: { MessageId: 'm', Message: '{}', Timestamp: '2026-01-01T00:00:00.000Z', Subject: null },
  },
};
/** A field that nobody has heard of yet, and one whose name a record's own property has. */
const LATER = { notYetInvented: { deep: [1, 2] }, 'with-dash': true, tenantId: 't' };

const eventOf = (source, raw) => source === 'kafka'
  ? { eventSource: 'aws:kafka', eventSourceArn: 'arn:c', bootstrapServers: 'b:9092', records: { 'orders-0': [raw] } }
  : { Records: [raw] };

for (const [source, known] of Object.entries(RAW)) {
  const raw = { ...known, ...LATER };

  test(`${source}: in the handler`, () => {
    const [record] = records(eventOf(source, raw));
    for (const [name, value] of Object.entries(raw)) {
      // The payload of Kafka is decoded under these names; `raw` has them as they came.
      if (source === 'kafka' && ['key', 'value', 'headers'].includes(name)) continue;
      assert.deepEqual(record[name], value, name);
      assert.ok(name in record, name);
    }
    assert.deepEqual(record.raw, raw);
    assert.equal(record.notThere, undefined);
  });

  test(`${source}: what a record has of its own stays`, () => {
    const clash = { ...raw, source: 'clash', identifier: 'clash', groupKey: 'clash', raw: 'clash', constructor: 'clash', toString: 'clash', ['__proto__']: 'x' };
    const [plain] = records(eventOf(source, raw));
    const [record] = records(eventOf(source, clash));
    assert.equal(record.source, source);
    assert.deepEqual(record.identifier, plain.identifier);
    assert.equal(record.groupKey, plain.groupKey);
    assert.deepEqual(record.raw, clash);
    assert.equal(record.constructor, plain.constructor);
    assert.equal(typeof record.toString, 'function');
  });
}

forEachMode((mode) => {
  for (const [source, known] of Object.entries(RAW)) {
    test(`${source}: in a worker`, async (t) => {
      const raw = { ...known, ...LATER };
      const dir = temporary(t);
      const log = path.join(dir, 'log');
      fs.writeFileSync(path.join(dir, 'worker.js'), `
        exports.record = ({ record, params }) => {
          const found = {};
          for (const name of params.names) found[name] = record[name];
          require('node:fs').appendFileSync(params.log, JSON.stringify(found) + '\\n');
        };
      `);
      const names = Object.keys(raw).filter((name) => !(source === 'kafka' && ['key', 'value', 'headers'].includes(name)));
      const handler = createHandler({
        type: mode.type, filePath: path.join(dir, 'worker.js'), recordFunctionName: 'record', parallelization: 1, params: { log, names },
      });
      t.after(() => handler.parallelizer.terminate());
      await handler(eventOf(source, raw), {});
      assert.deepEqual(lines(log).map((line) => JSON.parse(line)), [Object.fromEntries(names.map((name) => [name, raw[name]]))]);
    });
  }
});
