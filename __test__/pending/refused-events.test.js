'use strict';
// Events in odd forms: those that samples have are taken; what is refused is told by what it looks like, and by what to do.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const { root } = require('../support/helpers');

const kafkaRecord = { topic: 'orders', partition: 0, offset: 1, timestamp: 1, timestampType: 'CREATE_TIME', key: null, value: 'e30=', headers: [] };

for (const eventSource of ['aws:kafka', 'SelfManagedKafka', 'aws:SelfManagedKafka']) {
  test(`Kafka by the name of ${eventSource}`, () => {
    const [record] = records({ eventSource, bootstrapServers: 'b:9092', records: { 'orders-0': [kafkaRecord] } });
    assert.equal(record.source, 'kafka');
    assert.deepEqual(record.identifier, { partition: 'orders-0', offset: 1 });
  });
}

const refusal = (event) => {
  try {
    records(event);
  } catch (error) {
    assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
    return error.message;
  }
  return assert.fail('it was taken');
};

/** What a message has to say of an event that is none of ours. */
const LOOKS_LIKE = {
  'a request of API Gateway': [{ version: '2.0', routeKey: 'GET /', rawPath: '/', headers: {}, requestContext: { http: {} } }, /routeKey|API Gateway/],
  'an event of EventBridge': [{ version: '0', id: 'i', 'detail-type': 'Order', source: 'shop', detail: {} }, /detail-type|EventBridge/],
  'a scheduled event': [{ id: 'i', 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} }, /detail-type|Scheduled/],
  'CloudWatch logs': [{ awslogs: { data: 'H4s=' } }, /awslogs/],
  'Firehose': [{ invocationId: 'i', deliveryStreamArn: 'arn', region: 'r', records: [{ recordId: '1', data: 'e30=' }] }, /deliveryStreamArn|Firehose/],
  'Amazon MQ': [{ eventSource: 'aws:mq', eventSourceArn: 'arn', messages: [] }, /aws:mq/],
  'records of an unknown source': [{ Records: [{ eventSource: 'aws:codecommit', codecommit: {}, eventTriggerName: 't' }] }, /aws:codecommit/],
  'records without a source': [{ Records: [{ cf: { request: {} } }] }, /\bcf\b/],
  'Kafka without records': [{ eventSource: 'aws:kafka', bootstrapServers: 'b' }, /records/],
  'a text': ['{"Records":[]}', /JSON|string/],
};

for (const [what, [event, pattern]] of Object.entries(LOOKS_LIKE)) {
  test(`refused, and told what it looks like: ${what}`, () => {
    assert.match(refusal(event), pattern);
  });
}

/** Events after a middleware has parsed what is in them. */
const NORMALIZED = {
  'SQS by middy': { Records: [{ messageId: 'm', body: { id: 1 }, eventSource: 'aws:sqs', eventSourceARN: 'arn:q' }] },
  'Kinesis by middy': { Records: [{ kinesis: { sequenceNumber: '1', data: { id: 1 } }, eventSource: 'aws:kinesis' }] },
  'SNS by middy': { Records: [{ Sns: { MessageId: 'm', Message: { id: 1 } }, EventSource: 'aws:sns' }] },
  'Kafka by middy': { eventSource: 'aws:kafka', records: { 'orders-0': [{ ...kafkaRecord, value: { id: 1 } }] } },
  'Kafka by kafkaConsumer': { eventSource: 'aws:kafka', records: [{ ...kafkaRecord, value: { id: 1 }, originalValue: 'e30=' }] },
};

for (const [what, event] of Object.entries(NORMALIZED)) {
  test(`an event that is normalized already: ${what}`, () => {
    const message = refusal(event);
    assert.match(message, /parsed already|normali[sz]ed/i, message);
    assert.match(message, /middleware|middy|kafkaConsumer/i, message);
  });
}

test('the documentation says what to do about normalized events', () => {
  const text = fs.readFileSync(path.join(root, 'docs', 'lambda.md'), 'utf8');
  assert.match(text, /event-normalizer/);
  assert.match(text, /kafkaConsumer/);
});
