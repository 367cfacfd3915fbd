'use strict';
// Events that are refused: those that somebody has parsed before, and those of sources that nobody serves here. The message
// says what the event looks like and what to do.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const { root } = require('./support/helpers');
const { handlerFor } = require('./support/lambda');
const { contextOf, eventOf, make, pipedOf, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(27);
const PARSED = /seems to have been parsed before.*middy.*Powertools.*as Lambda delivered it/;

/** Events as a normalizer makes them: every payload is the value that it stood for. */
const NORMALIZED = {
  sqs: [(raw) => ({ ...raw, body: JSON.parse(raw.body) }), 'body'],
  sns: [(raw) => ({ ...raw, Sns: { ...raw.Sns, Message: JSON.parse(raw.Sns.Message) } }), 'Sns.Message'],
  kinesis: [(raw) => ({ ...raw, kinesis: { ...raw.kinesis, data: { id: 1 } } }), 'kinesis.data'],
  dynamodb: [(raw) => ({ ...raw, dynamodb: { ...raw.dynamodb, Keys: { id: '1' }, NewImage: { id: '1' } } }), 'dynamodb.Keys.id'],
  kafka: [(raw) => ({ ...raw, value: { id: 1 } }), 'value'],
  activemq: [(raw) => ({ ...raw, data: { id: 1 } }), 'data'],
  rabbitmq: [(raw) => ({ ...raw, data: { id: 1 } }), 'data'],
};

const refused = (event, ...patterns) =>
  assert.throws(() => records(event), (error) => {
    assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
const field = (name) => new RegExp(`${name.replaceAll('.', '\\.')}" must be`);

for (const [source, [normalize, name]] of Object.entries(NORMALIZED)) {
  test(`${source}: an event that has been normalized`, () => {
    const raws = [make[source](r, { payload: { id: 1 } }), make[source](r, { payload: { id: 2 } })];
    const lists = [raws.map(normalize), [raws[0], normalize(raws[1])]];
    for (const list of lists) {
      if (!source.endsWith('mq')) refused(eventOf(source, list), field(name), PARSED);
      refused(list.map((raw) => pipedOf(source, raw)), field(name.replace('kinesis.', '')), PARSED);
    }
  });
}

test('payloads that were decoded and are text', () => {
  const kinesis = make.kinesis(r, { payload: 1 });
  for (const data of ['{"id":1}', '[1]', '"text"', 'two words', 'größer', 'a,b']) {
    refused({ Records: [{ ...kinesis, kinesis: { ...kinesis.kinesis, data } }] }, field('kinesis.data'), PARSED);
    refused(eventOf('kafka', [{ ...make.kafka(r, { payload: 1 }), value: data }]), field('value'), PARSED);
    refused(eventOf('kafka', [{ ...make.kafka(r, { payload: 1 }), key: data }]), field('key'), PARSED);
  }
  // Base64 in all its forms is taken.
  for (const data of ['', 'YQ', 'YQ==', '-_8', '+/8=', `${'YWFh'.repeat(1000)}`, 'YWFh\r\nYWFh']) {
    const [record] = records({ Records: [{ ...kinesis, kinesis: { ...kinesis.kinesis, data } }] });
    assert.deepEqual(record.bytes, Buffer.from(data, 'base64'));
  }
});

test('DynamoDB: keys of every type that keys have are taken, and records without any', () => {
  const raw = make.dynamodb(r, { payload: { id: 1 } });
  const withKeys = (Keys) => ({ Records: [{ ...raw, dynamodb: { ...raw.dynamodb, Keys } }] });
  for (const value of [{ S: 'a' }, { N: '1' }, { B: 'YQ==' }]) assert.equal(records(withKeys({ id: value })).length, 1);
  for (const none of [undefined, null, {}]) assert.equal(records(withKeys(none)).length, 1);
  for (const value of [1, 'a', Buffer.from('a'), null, new Set([1])]) refused(withKeys({ id: value }), field('Keys.id'), PARSED);
});

test('what kafkaConsumer of Powertools makes of an event', () => {
  const consumed = { topic: 'orders', partition: 0, offset: 1, timestamp: 1, key: 'a', value: { id: 1 }, originalValue: 'e30=' };
  refused({ eventSource: 'aws:kafka', records: [consumed] }, field('event.records'), PARSED);
});

test('S3: a key that has been decoded already is left as it is', () => {
  const keyOf = (key) => {
    const raw = make.s3(r, { payload: 1 });
    raw.s3.object = { key };
    return records({ Records: [raw] })[0].value.key;
  };
  assert.equal(keyOf('my folder/a+b%20c.txt'), 'my folder/a+b%20c.txt');
  assert.equal(keyOf('über/a+b'), 'über/a+b');
  assert.equal(keyOf('my+folder/a%2Bb%2520c.txt'), 'my folder/a+b%20c.txt');
  assert.equal(keyOf('100%25+%F0%9F%98%80/(a)!*\'&$@=;:,?'), '100% 😀/(a)!*\'&$@=;:,?');
  assert.equal(keyOf('100%+sure'), '100% sure');
});

test('other events: what they look like', () => {
  refused({ version: '0', 'detail-type': 'Order', source: 'shop', detail: {} }, /\(it has: version, detail-type, source, detail\)/);
  refused({ logs: { data: '' } }, /\(it has: logs\)/);
  refused({ streamArn: 'a', records: [{ recordId: '1', data: '' }] }, /\(it has: streamArn, records; the first of "records" has: recordId, data\)/);
  refused({ eventSource: 'aws:neptune', events: [{ event: {} }] }, /one of 'aws:neptune' without "Records" \(it has: eventSource, events; the first of "events" has: event\)/);
  refused({ messages: [{ eventSource: 'aws:x' }] }, /the first of "messages" has: eventSource, eventSource 'aws:x'/);
  refused({ Records: [{ eventSource: 'aws:ses', ses: {} }] }, /must be one of aws:sqs, .*the record has: eventSource, ses.*got 'aws:ses'/);
  refused({}, /\(it has: nothing\)/);
  for (const event of [{}, { logs: {} }]) {
    refused(event, /Kafka .*SQS, Kinesis, DynamoDB streams, S3, SNS, Amazon MQ, DocumentDB, CloudWatch Logs, Firehose or S3 Batch Operations, or the list of records that EventBridge Pipes sends/);
  }
});

test('other events that functions often get: what they look like', () => {
  for (const [event, pattern] of [
    [{ version: '2.0', routeKey: 'GET /', rawPath: '/', headers: {}, requestContext: { http: {} } }, /routeKey/],
    [{ id: 'i', 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} }, /detail-type/],
    [{ Records: [{ eventSource: 'aws:codecommit', codecommit: {}, eventTriggerName: 't' }] }, /aws:codecommit/],
    [{ Records: [{ cf: { request: {} } }] }, /the record has: cf/],
    [{ eventSource: 'aws:kafka', bootstrapServers: 'b' }, /records/],
    ['{"Records":[]}', /JSON|string/],
  ]) refused(event, pattern);
});

test('the documentation says what to do about events that were parsed before', () => {
  const text = fs.readFileSync(path.join(root, 'docs', 'lambda.md'), 'utf8');
  assert.match(text, /event.normalizer/);
  assert.match(text, /kafkaConsumer/);
});

test('Kafka under other names', () => {
  const raw = make.kafka(r, { payload: { n: 1 } });
  for (const eventSource of ['aws:SelfManagedKafka', 'selfManagedKafka', 'aws:selfmanagedkafka', 'aws:self-managed-kafka', 'SelfManagedApacheKafka']) {
    const [record] = records({ ...eventOf('kafka', [raw]), eventSource });
    assert.deepEqual([record.source, record.json, record.raw], ['kafka', { n: 1 }, raw]);
  }
  for (const eventSource of ['kafkaesque', 'aws:kafkas', 'my:SelfManagedKafka']) refused({ ...eventOf('kafka', [raw]), eventSource }, /is one of/);
});

forEachMode((mode) => {
  test('a handler rejects them, and serves the next event', async (t) => {
    const { handler } = handlerFor(t, { type: mode.type });
    for (const [source, [normalize]] of Object.entries(NORMALIZED)) {
      const list = [normalize(make[source](r, { payload: { id: 1 } }))];
      const event = source.endsWith('mq') ? list : eventOf(source, list);
      await assert.rejects(handler(event, contextOf()), (error) => PARSED.test(error.message) && error.code === 'ERR_PARALLELIZER_OPTION');
    }
    const kafka = { ...eventOf('kafka', [make.kafka(r, { payload: { id: 1 } })]), eventSource: 'aws:SelfManagedKafka' };
    assert.deepEqual(await handler(kafka, contextOf()), { batchItemFailures: [] });
  });
});
