'use strict';
// The fields that AWS documents for the records of each source, one by one: the samples of these tests have them, a
// record gives them under their names, and what is made of them is right.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const {
  bridgedOf, changeOf, eventOf, kinesisOf, make, notificationOf, pipedOf, random,
} = require('./support/lambda-events');

const r = random(46);
const payload = { id: 7 };
const one = (source, raw, options) => records(eventOf(source, [raw]), options)[0];
const inSqs = (body) => ({ ...make.sqs(r, { payload }), body: JSON.stringify(body) });

/**
 * By source: a record, and its documented fields as `path: type`, or `path: [type, what the record makes of it, as name]`.
 * `?` marks fields that need not be there.
 */
const TABLES = {
  'Kafka (MSK, self-managed)': [one('kafka', make.kafka(r, { payload, group: 3 })), {
    topic: ['string', 'topic', 'orders'], partition: ['number', 'partition', 3], offset: ['number', 'offset', 1000],
    timestamp: ['number', 'timestamp', 1_700_000_000_000], timestampType: 'string', key: 'string', value: ['string', 'json', payload],
    headers: 'object', 'keySchemaMetadata?': 'object', 'valueSchemaMetadata?': 'object',
  }],
  'Kafka, from EventBridge Pipes': [records([pipedOf('kafka', make.kafka(r, { payload }))])[0], {
    eventSource: 'string', eventSourceArn: 'string', eventSourceKey: 'string', topic: 'string', partition: 'number', offset: 'number',
    timestamp: 'number', timestampType: 'string', key: 'string', value: ['string', 'json', payload], headers: 'object',
  }],
  'SQS': [one('sqs', make.sqs(r, { payload, group: 1 })), {
    messageId: 'string', receiptHandle: 'string', body: ['string', 'json', payload], attributes: 'object',
    'attributes.ApproximateReceiveCount': 'string', 'attributes.SentTimestamp': ['string', 'timestamp', 1_700_000_000_000],
    'attributes.SenderId': 'string', 'attributes.ApproximateFirstReceiveTimestamp': 'string', 'attributes.SequenceNumber?': 'string',
    'attributes.MessageGroupId?': ['string', 'groupKey', 'group-1'], 'attributes.MessageDeduplicationId?': 'string',
    'attributes.AWSTraceHeader?': 'string', 'attributes.DeadLetterQueueSourceArn?': 'string', messageAttributes: 'object',
    md5OfBody: 'string', 'md5OfMessageAttributes?': 'string', eventSource: 'string', eventSourceARN: 'string', awsRegion: 'string',
  }],
  'Kinesis': [one('kinesis', make.kinesis(r, { payload })), {
    kinesis: 'object', 'kinesis.kinesisSchemaVersion': 'string', 'kinesis.partitionKey': 'string', 'kinesis.sequenceNumber': 'string',
    'kinesis.data': ['string', 'json', payload], 'kinesis.approximateArrivalTimestamp': ['number', 'timestamp', 1_700_000_000_123],
    'kinesis.encryptionType?': 'string', eventSource: 'string', eventVersion: 'string', eventID: ['string', 'groupKey', 'shardId-000000000000'],
    eventName: 'string', invokeIdentityArn: 'string', awsRegion: 'string', eventSourceARN: 'string',
  }],
  'Kinesis, from EventBridge Pipes': [records([pipedOf('kinesis', make.kinesis(r, { payload }))])[0], {
    kinesisSchemaVersion: 'string', partitionKey: 'string', sequenceNumber: 'string', data: ['string', 'json', payload],
    approximateArrivalTimestamp: 'number', eventSource: 'string', eventVersion: 'string', eventID: 'string', eventName: 'string',
    invokeIdentityArn: 'string', awsRegion: 'string', eventSourceARN: 'string',
  }],
  'DynamoDB streams': [one('dynamodb', make.dynamodb(r, { payload, position: 1 })), {
    eventID: 'string', eventName: ['string', 'eventName', 'MODIFY'], eventVersion: 'string', eventSource: 'string', awsRegion: 'string',
    dynamodb: 'object', 'dynamodb.ApproximateCreationDateTime': ['number', 'timestamp', 1_700_000_001_000],
    'dynamodb.Keys': ['object', 'keys', { id: '7' }], 'dynamodb.NewImage?': ['object', 'newImage', { id: '7', payload: '{"id":7}', version: 1 }],
    'dynamodb.OldImage?': ['object', 'oldImage', { id: '7', version: 0 }], 'dynamodb.SequenceNumber': ['string', 'sequenceNumber', '111000000000000000001'],
    'dynamodb.SizeBytes': 'number', 'dynamodb.StreamViewType': 'string', eventSourceARN: 'string', 'userIdentity?': 'object',
  }],
  'DynamoDB within Kinesis': [one('kinesis', kinesisOf(r, JSON.stringify(changeOf(r, payload))), { envelope: 'dynamodb' }), {
    awsRegion: 'string', eventID: 'string', eventName: ['string', 'eventName', 'MODIFY'], userIdentity: 'object', recordFormat: 'string',
    tableName: 'string', dynamodb: 'object', 'dynamodb.ApproximateCreationDateTime': ['number', 'timestamp', 1_700_000_000_000],
    'dynamodb.Keys': ['object', 'keys', { id: '7' }], 'dynamodb.NewImage?': 'object', 'dynamodb.OldImage?': 'object',
    'dynamodb.SizeBytes': 'number', eventSource: 'string',
  }],
  'S3': [one('s3', make.s3(r, { payload: 'a b' })), {
    eventVersion: 'string', eventSource: 'string', awsRegion: 'string', eventTime: ['string', 'timestamp', Date.UTC(2024, 0, 1, 12)],
    eventName: ['string', 'eventName', 'ObjectCreated:Put'], userIdentity: 'object', 'userIdentity.principalId': 'string',
    requestParameters: 'object', 'requestParameters.sourceIPAddress': 'string', responseElements: 'object', s3: 'object',
    's3.s3SchemaVersion': 'string', 's3.configurationId': 'string', 's3.bucket.name': 'string', 's3.bucket.ownerIdentity.principalId': 'string',
    's3.bucket.arn': 'string', 's3.object.key': ['string', 'identifier', 'pictures/"a b"'], 's3.object.size?': 'number', 's3.object.eTag?': 'string',
    's3.object.versionId?': 'string', 's3.object.sequencer?': 'string', 'glacierEventData?': 'object', 'replicationEventData?': 'object',
    'lifecycleEventData?': 'object', 'intelligentTieringEventData?': 'object',
  }],
  'SNS': [one('sns', make.sns(r, { payload })), {
    EventVersion: 'string', EventSubscriptionArn: 'string', EventSource: 'string', Sns: 'object', 'Sns.SignatureVersion': 'string',
    'Sns.Timestamp': ['string', 'timestamp', Date.UTC(2024, 0, 1, 12)], 'Sns.Signature': 'string', 'Sns.MessageId': 'string',
    'Sns.Message': ['string', 'json', payload], 'Sns.MessageAttributes': 'object', 'Sns.Type': 'string', 'Sns.TopicArn': 'string',
    'Sns.Subject?': ['string', 'subject', 'an order'], 'Sns.SigningCertUrl?': 'string', 'Sns.UnsubscribeUrl?': 'string',
  }],
  'SNS within SQS': [one('sqs', inSqs(notificationOf(r, payload)), { envelope: 'sns' }), {
    Sns: 'object', 'Sns.Type': 'string', 'Sns.MessageId': 'string', 'Sns.TopicArn': 'string', 'Sns.Subject?': 'string',
    'Sns.Message': ['string', 'json', payload], 'Sns.Timestamp': 'string', 'Sns.SignatureVersion': 'string', 'Sns.Signature': 'string',
    'Sns.SigningCertURL': 'string', 'Sns.UnsubscribeURL': 'string', 'Sns.MessageAttributes?': 'object',
  }],
  'EventBridge within SQS': [one('sqs', inSqs(bridgedOf(r, payload)), { envelope: 'eventbridge' }), {
    version: 'string', id: 'string', 'detail-type': ['string', 'detailType', 'OrderPlaced'], account: 'string',
    time: ['string', 'timestamp', Date.UTC(2024, 0, 1, 12)], region: 'string', resources: 'object', detail: ['object', 'json', payload],
  }],
  'Amazon MQ (ActiveMQ)': [one('activemq', make.activemq(r, { payload })), {
    messageID: ['string', 'identifier', 'ID:b-1.mq.eu-central-1.amazonaws.com-37557-0:1:1:1:1'], messageType: 'string',
    data: ['string', 'json', payload], connectionId: 'string', redelivered: 'boolean', destination: 'object',
    'destination.physicalname': ['string', 'queue', 'orders'], timestamp: 'number', brokerInTime: 'number', brokerOutTime: 'number',
    'persistent?': 'boolean', 'properties?': 'object',
  }],
  'Amazon MQ (RabbitMQ)': [one('rabbitmq', make.rabbitmq(r, { payload })), {
    basicProperties: 'object', 'basicProperties.contentType': 'string', 'basicProperties.headers': 'object',
    'basicProperties.messageId': ['string', 'identifier', 'm-0'], 'basicProperties.timestamp': ['string', 'timestamp', 2021_000],
    'basicProperties.bodySize': 'number', redelivered: 'boolean', data: ['string', 'json', payload],
  }],
  'DocumentDB': [one('documentdb', make.documentdb(r, { payload })), {
    event: 'object', 'event._id._data': 'string', 'event.clusterTime.$timestamp.t': ['number', 'timestamp', 1_700_000_000_000],
    'event.documentKey._id.$oid': ['string', 'documentKey', { _id: '0'.repeat(24) }], 'event.fullDocument?': 'object', 'event.ns.db': 'string',
    'event.ns.coll': ['string', 'ns', { db: 'shop', coll: 'orders' }], 'event.operationType': ['string', 'operationType', 'insert'],
    eventSource: 'string', eventSourceArn: 'string',
  }],
  'CloudWatch Logs': [one('cloudwatch-logs', make['cloudwatch-logs'](r, { payload })), {
    messageType: 'string', owner: 'string', logGroup: 'string', logStream: 'string', subscriptionFilters: 'object', id: 'string',
    timestamp: ['number', 'timestamp', 1_700_000_000_000], message: ['string', 'json', payload], 'extractedFields?': 'object',
  }],
  'Firehose': [one('firehose', make.firehose(r, { payload })), {
    recordId: 'string', approximateArrivalTimestamp: ['number', 'timestamp', 1_700_000_000_000], data: ['string', 'json', payload],
    kinesisRecordMetadata: 'object', 'kinesisRecordMetadata.shardId': 'string', 'kinesisRecordMetadata.partitionKey': 'string',
    'kinesisRecordMetadata.approximateArrivalTimestamp': 'number', 'kinesisRecordMetadata.sequenceNumber': 'string',
    'kinesisRecordMetadata.subsequenceNumber': 'string',
  }],
  'S3 Batch Operations': [one('s3-batch', make['s3-batch'](r, { payload: 'a b' })), {
    taskId: 'string', s3Key: ['string', 'value', { bucket: 'pictures', key: '"a b"', versionId: null }], s3VersionId: 'object', s3BucketArn: 'string',
    job: 'object', 'job.id': 'string', invocationId: 'string', invocationSchemaVersion: 'string',
  }],
};

/** @param {any} object @param {string} path */
const at = (object, path) => path.split('.').reduce((value, key) => value?.[key], object);

/** Kafka's own names for what is decoded. */
const DECODED = new Set(['key', 'value', 'headers']);

for (const [source, [record, table]] of Object.entries(TABLES)) {
  test(`${source}: the fields that AWS documents`, () => {
    for (const [field, expected] of Object.entries(table)) {
      const path = field.replace('?', '');
      const [type, name, made] = Array.isArray(expected) ? expected : [expected];
      const raw = at(record.raw, path);
      if (field.endsWith('?') && raw === undefined) {
        assert.equal(at(record, path) ?? null, null, path);
        continue;
      }
      assert.equal(typeof raw, type, `${path} of the sample`);
      const isDecoded = record.source === 'kafka' && DECODED.has(path);
      if (!isDecoded) assert.deepEqual(at(record, path), raw, path);
      if (name !== undefined) assert.deepEqual(record[name], made, `${name}, of ${path}`);
    }
  });
}
