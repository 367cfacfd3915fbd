'use strict';
// The records of an event as one list: their identifiers, their order, their content.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');

const lambda = require('@parallelizer/node/lambda');
const { root } = require('./support/helpers');
const { eventOf, make, random } = require('./support/lambda-events');

const { records } = lambda;
const r = random(42);
const plain = (record) => JSON.parse(JSON.stringify(record));

test('the same names can be imported from an ES module', async () => {
  const module = await import(pathToFileURL(path.join(root, 'lambda.js')));
  for (const name of Object.keys(lambda)) assert.equal(module[name], lambda[name]);
  assert.deepEqual(Object.keys(lambda).sort(), ['NonRetryableError', 'createHandler', 'processPartialResponse', 'records', 'unmarshall']);
});

for (const eventSource of ['aws:kafka', 'SelfManagedKafka', 'aws:SelfManagedKafka', 'aws:self-managed-kafka']) {
  test(`Kafka (${eventSource}): partition by partition, with key, value and headers decoded`, () => {
    const raws = [1, 0, 1].map((group, position) =>
      make.kafka(r, { payload: { n: position, name: 'Größe' }, group, position }),
    );
    raws[2].key = null;
    raws[2].headers = [{ a: [104, 105] }, { b: [-61, -92] }, { a: [106] }];
    const list = records({ ...eventOf('kafka', raws), eventSource });
    assert.deepEqual(
      list.map(({ identifier }) => identifier),
      [
        { partition: 'orders-1', offset: 1000 },
        { partition: 'orders-1', offset: 1002 },
        { partition: 'orders-0', offset: 1001 },
      ],
    );
    assert.deepEqual(
      list.map(({ groupKey }) => groupKey),
      ['orders-1', 'orders-1', 'orders-0'],
    );
    const [first, last] = list;
    assert.equal(first.source, 'kafka');
    assert.deepEqual(first.json, { n: 0, name: 'Größe' });
    assert.equal(first.value, '{"n":0,"name":"Größe"}');
    assert.deepEqual(first.bytes, Buffer.from('{"n":0,"name":"Größe"}'));
    assert.match(first.key, /^key-\d+$/);
    assert.deepEqual(first.keyBytes, Buffer.from(first.key));
    assert.match(first.headers.traceparent, /^00-/);
    assert.deepEqual(
      [first.topic, first.partition, first.offset, first.timestamp],
      ['orders', 1, 1000, 1_700_000_000_000],
    );
    assert.equal(first.raw, raws[0]);
    assert.deepEqual([last.key, last.keyBytes], [null, null]);
    assert.deepEqual({ ...last.headers }, { a: 'j', b: 'ä' });
  });
}

test('Kafka: a record without a value (a tombstone)', () => {
  for (const value of [null, undefined]) {
    const [record] = records(eventOf('kafka', [{ ...make.kafka(r, { payload: 1 }), value }]));
    assert.deepEqual([record.bytes, record.value, record.json], [null, null, null]);
  }
});

for (const source of ['kafka', 'sqs', 'kinesis', 'dynamodb', 's3', 'sns']) {
  test(`${source}: a record has what it has in the event, except for what is decoded`, () => {
    const raw = make[source](r, { payload: { n: 1 } });
    const [record] = records(eventOf(source, [raw]));
    for (const name of Object.keys(raw).filter(
      (name) => !(source === 'kafka' && ['key', 'value', 'headers'].includes(name)),
    )) {
      assert.equal(record[name], raw[name], name);
    }
  });
}

test('SQS: no order in a standard queue, even if messages have a group', () => {
  const raws = [make.sqs(r, { payload: { n: 1 } }), make.sqs(r, { payload: [2] })];
  raws[1].attributes.MessageGroupId = 'tenant-7';
  const list = records(eventOf('sqs', raws));
  assert.deepEqual(list.map(({ identifier }) => identifier), raws.map(({ messageId }) => messageId));
  assert.deepEqual(list.map(({ groupKey }) => groupKey), [null, null]);
  assert.deepEqual(list.map(({ json }) => json), [{ n: 1 }, [2]]);
  assert.deepEqual([list[0].value, list[0].bytes], ['{"n":1}', Buffer.from('{"n":1}')]);
  assert.equal(list[0].timestamp, 1_700_000_000_000);
});

test('SQS: the message group is the order of a FIFO queue', () => {
  const list = records(eventOf('sqs', [0, 1, 0].map((group) => make.sqs(r, { payload: {}, group }))));
  assert.deepEqual(list.map(({ groupKey }) => groupKey), ['group-0', 'group-1', 'group-0']);
});

test('Kinesis: by shard, with and without enhanced fan-out', () => {
  for (const consumer of [false, true]) {
    const raws = [6, 6].map((group, position) => make.kinesis(r, { payload: { position }, group, position, consumer }));
    const [first, second] = records(eventOf('kinesis', raws));
    assert.equal(first.groupKey, 'shardId-000000000006');
    assert.equal(second.identifier, raws[1].kinesis.sequenceNumber);
    assert.deepEqual(second.json, { position: 1 });
    assert.match(first.partitionKey, /^customer-/);
    assert.equal(first.timestamp, 1_700_000_000_123);
  }
  const [record] = records(eventOf('kinesis', [{ ...make.kinesis(r, { payload: 1 }), eventID: undefined }]));
  assert.match(record.groupKey, /^arn:aws:kinesis:/);
});

test('Kinesis: data that is not text', () => {
  const bytes = Buffer.from([0, 255, 128, 7]);
  const raw = make.kinesis(r, { payload: 1 });
  raw.kinesis.data = bytes.toString('base64');
  assert.deepEqual(records(eventOf('kinesis', [raw]))[0].bytes, bytes);
});

test('DynamoDB: images have the types that they declare', () => {
  const raw = make.dynamodb(r, { payload: { id: 7 } });
  raw.dynamodb.NewImage = {
    s: { S: 'text' },
    n: { N: '-1.5e3' },
    big: { N: '12345678901234567890' },
    b: { B: Buffer.from([1, 2, 255]).toString('base64') },
    yes: { BOOL: true },
    nothing: { NULL: true },
    m: { M: { l: { L: [{ N: '1' }, { S: 'x' }, { M: {} }] } } },
    ss: { SS: ['a', 'b'] },
    ns: { NS: ['1', '2.5'] },
    bs: { BS: ['AQ=='] },
    ['__proto__']: { S: 'own' },
  };
  const [record] = records(eventOf('dynamodb', [raw]));
  const image = record.newImage;
  assert.deepEqual(
    Object.entries(image),
    Object.entries({
      s: 'text',
      n: -1500,
      big: 12345678901234567890n,
      b: Buffer.from([1, 2, 255]),
      yes: true,
      nothing: null,
      m: { l: [1, 'x', {}] },
      ss: new Set(['a', 'b']),
      ns: new Set([1, 2.5]),
      bs: new Set([Buffer.from([1])]),
      ['__proto__']: 'own',
    }),
  );
  assert.equal(Object.getPrototypeOf(image), Object.prototype);
  assert.equal(record.newImage, image, 'made once');
  assert.deepEqual(record.keys, { id: '7' });
  assert.deepEqual(record.oldImage, { id: '7', version: -1 });
  assert.equal(record.eventName, 'MODIFY');
  assert.deepEqual(Object.keys(record.value), ['eventName', 'keys', 'newImage', 'oldImage']);
  assert.equal(record.identifier, raw.dynamodb.SequenceNumber);
  assert.match(record.groupKey, /^arn:aws:dynamodb:/);
  assert.equal(record.timestamp, 1_700_000_000_000);
});

test('DynamoDB: images that the stream does not carry; unknown types', () => {
  const raw = make.dynamodb(r, { payload: { id: 7 } });
  delete raw.dynamodb.OldImage;
  raw.dynamodb.NewImage = { what: { X: 1 } };
  const [record] = records(eventOf('dynamodb', [raw]));
  assert.equal(record.oldImage, null);
  assert.throws(() => record.newImage, /no type that is known: it has X/);
});

test('S3: the key as S3 itself writes it', () => {
  const raw = make.s3(r, { payload: 0 });
  raw.s3.object = { key: 'my+folder/%C3%BCber%2Bplus.txt', size: 5, eTag: 'e', versionId: 'v1', sequencer: '00' };
  const [record] = records(eventOf('s3', [raw]));
  assert.deepEqual(record.value, {
    eventName: 'ObjectCreated:Put',
    bucket: 'pictures',
    key: 'my folder/über+plus.txt',
    size: 5,
    eTag: 'e',
    versionId: 'v1',
    sequencer: '00',
  });
  assert.equal(record.identifier, 'pictures/my folder/über+plus.txt?versionId=v1');
  assert.equal(record.groupKey, null);
  raw.s3.object = { key: 'broken%E0%A4' };
  assert.deepEqual(
    [records(eventOf('s3', [raw]))[0].value.key, records(eventOf('s3', [raw]))[0].value.size],
    ['broken%E0%A4', null],
  );
});

test('SNS: message and subject', () => {
  const raw = make.sns(r, { payload: { n: 1 } });
  const [record] = records(eventOf('sns', [raw]));
  assert.deepEqual(
    [record.source, record.identifier, record.groupKey, record.subject],
    ['sns', raw.Sns.MessageId, null, 'an order'],
  );
  assert.deepEqual(record.json, { n: 1 });
  assert.equal(record.timestamp, Date.parse('2024-01-01T12:00:00.000Z'));
});

test('the error for a payload that is not JSON says which record it is of', () => {
  const raw = { ...make.sqs(r, { payload: 0 }), body: '{oops' };
  const [record] = records(eventOf('sqs', [raw]));
  assert.throws(
    () => record.json,
    (error) =>
      error instanceof SyntaxError && error.message.includes(raw.messageId) && error.cause instanceof SyntaxError,
  );
  assert.equal(record.value, '{oops');
});

test('nothing is decoded before it is read, and a record is serialized in its raw form', () => {
  const raw = make.kafka(r, { payload: 1 });
  Object.defineProperty(raw, 'value', { get: () => assert.fail('read too early') });
  const list = records(eventOf('kafka', [raw]));
  assert.equal(list[0].groupKey, 'orders-0');
  const [record] = records(eventOf('kafka', [make.kafka(r, { payload: 1 })]));
  assert.deepEqual(Object.keys(plain(record)), ['raw']);
});

test('events without records', () => {
  const kafka = [{ eventSource: 'aws:kafka', records: {} }, { eventSource: 'aws:kafka', records: { 'a-0': [] } }];
  for (const event of [[], { Records: [] }, ...kafka]) {
    assert.deepEqual(records(event), []);
  }
});

test('errors name what is wrong with an event', () => {
  const bad = (event, pattern) => assert.throws(() => records(event), (error) => {
    assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
    assert.match(error.message, pattern);
    return true;
  });
  const sqs = () => make.sqs(r, { payload: 0 });
  for (const event of [undefined, null, 7, 'text']) bad(event, /"event" must be an event of Kafka/);
  bad({ httpMethod: 'GET', path: '/' }, /without "Records" \(it has: httpMethod, path\)/);
  bad({ eventSource: 'aws:neptune', events: [] }, /one of 'aws:neptune' without "Records"/);
  bad(
    { Records: [{ eventSource: 'aws:codecommit' }] },
    /"event\.Records\[0\]\.eventSource" must be one of aws:sqs.*codecommit/,
  );
  bad({ Records: [null] }, /"event\.Records\[0\]\.eventSource"/);
  bad(
    { Records: [sqs(), make.sns(r, { payload: 0 })] },
    /"event\.Records\[1\]\.eventSource" must be 'aws:sqs', as that of the first record, got 'aws:sns'/,
  );
  bad(
    { Records: [sqs(), { ...sqs(), messageId: null }] },
    /"event\.Records\[1\]\.messageId" must be a string, got null/,
  );
  bad(
    { Records: [{ ...make.kinesis(r, { payload: 0 }), kinesis: undefined }] },
    /"event\.Records\[0\]\.kinesis\.sequenceNumber" must be a string/,
  );
  bad({ eventSource: 'aws:kafka' }, /"event\.records" must be an object/);
  bad({ eventSource: 'aws:kafka', records: { 'a-0': {} } }, /"event\.records\['a-0'\]" must be a list/);
  const kafka = make.kafka(r, { payload: 0 });
  bad(
    { eventSource: 'aws:kafka', records: { 'a-0': [kafka, { ...kafka, offset: '7' }] } },
    /"event\.records\['a-0'\]\[1\]\.offset" must be an integer, got '7'/,
  );
});
