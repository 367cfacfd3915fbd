'use strict';
// A record has every field that it has in the event, also those that nobody knew when this was written.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const { fixture } = require('./support/helpers');
const { handlerFor } = require('./support/lambda');
const { contextOf, eventOf, make, pipedOf, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(23);

/** Where AWS puts fields, by source: at each of these places there may come more. */
const PLACES = {
  kafka: [], sqs: ['attributes', 'messageAttributes'], kinesis: ['kinesis'], dynamodb: ['dynamodb', 'userIdentity'],
  s3: ['s3', 'userIdentity', 'requestParameters', 'responseElements'], sns: ['Sns'],
  activemq: ['destination'], rabbitmq: ['basicProperties'],
};

/** Fields that a source really has, beside those that every record has. */
const OPTIONAL = {
  kafka: {
    keySchemaMetadata: { dataFormat: 'JSON', schemaId: '1234' },
    valueSchemaMetadata: { dataFormat: 'AVRO', schemaId: '5678' },
  },
  sqs: { md5OfMessageAttributes: 'd25a6aea97eb8f585bfa92d314504a92' },
  kinesis: { 'with-dash': true },
  dynamodb: { userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' } },
  s3: {
    glacierEventData: { restoreEventData: { lifecycleRestorationExpiryTime: '1970-01-01T00:00:00.000Z' } },
    replicationEventData: { replicationRuleId: 'rule', destinationBucket: 'arn:aws:s3:::copy', s3Operation: 'OBJECT_PUT' },
    lifecycleEventData: { transitionEventData: { destinationStorageClass: 'GLACIER' } },
    intelligentTieringEventData: { destinationAccessTier: 'ARCHIVE_ACCESS' },
  },
};

/** A raw record with fields that there may be and some that there will be. */
function futureRecord(source) {
  const raw = {
    ...make[source](r, { payload: { id: 1 } }), ...OPTIONAL[source],
    fieldOfTomorrow: { nested: [1, 'x'] }, emptyOfTomorrow: null, falseOfTomorrow: false,
  };
  for (const place of PLACES[source]) raw[place] = { ...raw[place], fieldOfTomorrow: `in ${place}` };
  return raw;
}

/** What this library decodes. */
const DECODED = { kafka: ['key', 'value', 'headers', 'topic'] };
const namesOf = (source, raw) => Object.keys(raw).filter((name) => !(DECODED[source] ?? []).includes(name));
const eventFor = (source, raws) => (source.endsWith('mq') ? raws : eventOf(source, raws));

/** Sources whose events say for all records what others say in each; Pipes does not read from them. */
const WHOLE = ['firehose', 's3-batch', 'documentdb', 'cloudwatch-logs'];

for (const source of Object.keys(PLACES)) {
  for (const how of ['by itself', 'from Pipes']) {
    test(`${source} ${how}: every field, known or not`, () => {
      const raw = how === 'from Pipes' ? pipedOf(source, futureRecord(source)) : futureRecord(source);
      const [record] = records(how === 'from Pipes' ? [raw] : eventFor(source, [raw]));
      for (const name of namesOf(source, raw)) assert.equal(record[name], raw[name], name);
      assert.equal(record.raw, raw);
      assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(record))), ['raw']);
    });
  }
}

for (const source of WHOLE) {
  test(`${source}: every field, known or not`, () => {
    const raw = { ...make[source](r, { payload: { id: 1 } }), fieldOfTomorrow: { nested: [1, 'x'] }, emptyOfTomorrow: null };
    const [record] = records(eventOf(source, [raw]));
    for (const name of Object.keys(raw)) assert.deepEqual(record[name], raw[name], name);
    for (const name of Object.keys(raw)) assert.deepEqual(record.raw[name], raw[name], name);
    assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(record))), ['raw']);
  });
}

test('a field that one record has and the next has not', () => {
  const [first, second] = records(eventOf('sqs', [futureRecord('sqs'), make.sqs(r, { payload: 1 })]));
  assert.ok('fieldOfTomorrow' in first);
  assert.equal('fieldOfTomorrow' in second, false);
});

for (const source of Object.keys(PLACES)) {
  test(`${source}: a field of the event takes the name of nothing that a record has of its own`, () => {
    const raw = futureRecord(source);
    const clash = { ...raw, constructor: 'clash', toString: 'clash' };
    for (const name of ['source', 'identifier', 'groupKey', 'raw']) clash[name] = 'clash';
    Object.defineProperty(clash, '__proto__', { value: 'clash', enumerable: true });
    const [plain] = records(eventFor(source, [raw]));
    const [record] = records(eventFor(source, [clash]));
    assert.deepEqual([record.source, record.groupKey], [source, plain.groupKey]);
    assert.deepEqual(record.identifier, plain.identifier);
    assert.equal(record.raw, clash);
    assert.equal(record.constructor, plain.constructor);
    assert.equal(typeof record.toString, 'function');
    assert.equal(record.notThere, undefined);
  });
}

test('fields whose names every object has harm nothing', () => {
  const raw = JSON.parse(JSON.stringify(make.sqs(r, { payload: { n: 1 } })).replace(/}$/, ',"__proto__":{"a":1},"constructor":7}'));
  const [record] = records(eventOf('sqs', [raw]));
  assert.equal(record.a, undefined);
  assert.equal(record.source, 'sqs');
  assert.deepEqual(record.json, { n: 1 });
  assert.equal(record.raw.constructor, 7);
});

forEachMode((mode) => {
  test('they are there in a worker, too', async (t) => {
    for (const source of Object.keys(PLACES)) {
      const raw = futureRecord(source);
      const fields = namesOf(source, raw);
      const { handler, errors } = handlerFor(t, {
        type: mode.type, filePath: fixture('lambda-fields.js'), recordFunctionName: 'tell', params: { fields },
      });
      await handler(eventFor(source, [raw]), contextOf()).catch(() => {});
      assert.deepEqual(errors[0].error.fields, Object.fromEntries(fields.map((name) => [name, raw[name]])), source);
      await handler.parallelizer.terminate();
    }
  });
});
