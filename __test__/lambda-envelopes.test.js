'use strict';
// The option `envelope`: records that hold records of another service are unpacked, and answered by what the source knows.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const zlib = require('node:zlib');

const { createHandler, records } = require('@parallelizer/node/lambda');
const { fixture, lines } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const {
  S3_TEST, aggregateOf, bridgedOf, changeOf, contextOf, eventOf, kinesisOf, logsOf, make, notificationOf, pipedOf, random,
} = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(42);
const filePath = fixture('lambda-envelopes.js');

const sqs = (body, group) => ({ ...make.sqs(r, { payload: null, group }), body: typeof body === 'string' ? body : JSON.stringify(body) });
const sns = (message) => {
  const raw = make.sns(r, { payload: null });
  return { ...raw, Sns: { ...raw.Sns, Message: JSON.stringify(message) } };
};
const s3 = (...names) => ({ Records: names.map((name) => {
  const raw = make.s3(r, { payload: 0 });
  return { ...raw, s3: { ...raw.s3, object: { ...raw.s3.object, key: name } } };
}) });
const users = (...list) => list.map((data, i) => ({ partitionKey: `key-${i % 2}`, data }));
const sourcesOf = (list) => list.map(({ source }) => source);
const unwrapped = (source, raws, envelope) => records(eventOf(source, raws), { envelope });

test('SNS within SQS', () => {
  const raw = sqs(notificationOf(r, { id: 7 }));
  for (const envelope of ['auto', 'sns', ['sns']]) {
    const [record, ...more] = unwrapped('sqs', [raw], envelope);
    assert.deepEqual(more, []);
    assert.deepEqual([record.source, record.identifier, record.groupKey], ['sns', raw.messageId, null]);
    assert.deepEqual([record.json, record.subject, record.timestamp], [{ id: 7 }, 'an order', Date.UTC(2024, 0, 1, 12)]);
    assert.equal(record.Sns.TopicArn, 'arn:aws:sns:eu-central-1:123456789012:orders');
    assert.equal(record.EventSubscriptionArn, 'arn:aws:sns:eu-central-1:123456789012:orders:1');
    assert.equal(record.Sns.SigningCertUrl, record.Sns.SigningCertURL);
    assert.equal(record.outer.raw, raw);
    assert.equal(record.outer.outer, null);
  }
});

test('S3 within SQS, within SNS, within SNS within SQS', () => {
  const event = s3('my+cat.jpg', '%C3%BCber.jpg');
  const cases = [['sqs', sqs(event), 1], ['sns', sns(event), 1], ['sqs', sqs(notificationOf(r, event)), 2]];
  for (const [source, raw, depth] of cases) {
    for (const envelope of ['auto', 's3', ...(depth === 2 ? [['sns', 's3']] : [])]) {
      const found = unwrapped(source, [raw], envelope);
      assert.deepEqual(found.map(({ value }) => value.key), ['my cat.jpg', 'über.jpg']);
      for (const record of found) {
        assert.equal(record.identifier, raw.messageId ?? raw.Sns.MessageId);
        assert.equal(depth === 2 ? record.outer.outer.raw : record.outer.raw, raw);
      }
    }
  }
});

test('S3’s test has no records, wherever it is', () => {
  for (const envelope of ['auto', 's3']) {
    for (const [source, raw] of [['sqs', sqs(S3_TEST)], ['sqs', sqs(notificationOf(r, S3_TEST))], ['sns', sns(S3_TEST)]]) {
      assert.deepEqual(unwrapped(source, [raw], envelope), []);
    }
  }
});

test('EventBridge within SQS', () => {
  const event = bridgedOf(r, { id: 7 });
  for (const raw of [sqs(event), sqs(notificationOf(r, event))]) {
    for (const envelope of ['auto', 'eventbridge']) {
      const [record] = unwrapped('sqs', [raw], envelope);
      assert.deepEqual([record.source, record.identifier], ['eventbridge', raw.messageId]);
      assert.deepEqual([record.json, record.value, record.detail], [{ id: 7 }, { id: 7 }, { id: 7 }]);
      assert.deepEqual([record.detailType, record.eventSource, record.id], ['OrderPlaced', 'shop', event.id]);
      assert.equal(record.timestamp, Date.UTC(2024, 0, 1, 12));
    }
  }
});

test('auto: what holds nothing that is known stays as it is', () => {
  const bodies = [
    'text', '', '{', '[]', 'null', '7', '{}', { id: 1 }, { Type: 'Notification' }, { Records: [] }, { Records: [{ id: 1 }] },
    { Records: 7 }, { Event: 's3:TestEvent' }, { detail: {} }, { 'detail-type': 'x', detail: {} },
  ];
  const found = unwrapped('sqs', bodies.map((body) => sqs(body)), 'auto');
  assert.deepEqual(sourcesOf(found), bodies.map(() => 'sqs'));
  assert.ok(found.every(({ outer }) => outer === null));
  const inner = unwrapped('sqs', [sqs(notificationOf(r, 'text'))], 'auto');
  assert.deepEqual([inner[0].source, inner[0].value], ['sns', 'text']);
  for (const source of ['kafka', 'dynamodb', 's3', 'kinesis']) {
    assert.deepEqual(sourcesOf(unwrapped(source, [make[source](r, { payload: { id: 1 } })], 'auto')), [source]);
  }
  const odd = [Buffer.from('f3899ac2', 'hex'), zlib.gzipSync('text'), zlib.gzipSync('{}'), Buffer.from([0x1f, 0x8b, 1]), '{', '{}'];
  assert.deepEqual(sourcesOf(unwrapped('kinesis', odd.map((bytes) => kinesisOf(r, bytes)), 'auto')), odd.map(() => 'kinesis'));
});

test('aggregates: records of their own, with their keys, in order', () => {
  const list = [{ partitionKey: 'a', hashKey: '12', data: '{"id":1}' }, { partitionKey: 'b', data: 'x'.repeat(300) }, { partitionKey: 'a', data: '' }];
  const raw = kinesisOf(r, aggregateOf(list), { position: 5 });
  for (const [found, identifier] of [
    ...['auto', 'kpl'].map((envelope) => [unwrapped('kinesis', [raw], envelope), raw.kinesis.sequenceNumber]),
    [records([pipedOf('kinesis', raw)], { envelope: 'kpl' }), raw.eventID],
  ]) {
    assert.deepEqual(found.map(({ partitionKey }) => partitionKey), ['a', 'b', 'a']);
    assert.deepEqual(found.map(({ explicitHashKey }) => explicitHashKey), ['12', null, null]);
    assert.deepEqual(found.map(({ value }) => value), list.map(({ data }) => data));
    assert.deepEqual(found.map(({ data }) => data), list.map(({ data }) => Buffer.from(data).toString('base64')));
    assert.deepEqual(found.map(({ subSequenceNumber }) => subSequenceNumber), [0, 1, 2]);
    assert.deepEqual(found[0].json, { id: 1 });
    for (const record of found) {
      assert.deepEqual([record.sequenceNumber, record.identifier], [raw.kinesis.sequenceNumber, identifier]);
      assert.equal(record.groupKey, 'shardId-000000000000');
      assert.equal(record.timestamp, 1_700_000_005_123);
    }
  }
});

test('a stream may have aggregates and other records; one with a wrong digest is no aggregate', () => {
  const good = aggregateOf(users('a', 'b'));
  const wrong = Buffer.from(good);
  wrong[wrong.length - 1] ^= 1;
  const found = unwrapped('kinesis', [good, 'plain', wrong].map((bytes, position) => kinesisOf(r, bytes, { position })), 'kpl');
  assert.deepEqual(found.map(({ bytes }) => bytes.toString('latin1')), ['a', 'b', 'plain', wrong.toString('latin1')]);
});

test('lines of CloudWatch Logs within Kinesis, aggregated or not; none in a control message', () => {
  const logs = logsOf(['{"level":"warn"}', 'text']);
  for (const [bytes, envelope] of [[logs, 'auto'], [logs, 'cloudwatch-logs'], [aggregateOf(users(logs)), ['kpl', 'cloudwatch-logs']], [aggregateOf(users(logs)), 'auto']]) {
    const raw = kinesisOf(r, bytes);
    const found = unwrapped('kinesis', [raw], envelope);
    assert.deepEqual(found.map(({ message }) => message), ['{"level":"warn"}', 'text']);
    const [{ source, identifier, json, logGroup, logStream, owner, timestamp, subscriptionFilters, id }] = found;
    assert.deepEqual(
      [source, identifier, json, logGroup, logStream, owner, timestamp, subscriptionFilters],
      ['cloudwatch-logs', raw.kinesis.sequenceNumber, { level: 'warn' }, '/aws/lambda/orders', '2024/01/01/[$LATEST]abc', '123456789012', 1_700_000_000_000, ['all']],
    );
    assert.match(id, /^3669550/);
  }
  for (const envelope of ['auto', 'cloudwatch-logs']) {
    assert.deepEqual(unwrapped('kinesis', [kinesisOf(r, logsOf([''], 'CONTROL_MESSAGE'))], envelope), []);
  }
});

test('changes of DynamoDB within Kinesis', () => {
  const change = changeOf(r, { id: 7 });
  const raw = kinesisOf(r, JSON.stringify(change));
  for (const envelope of ['auto', 'dynamodb']) {
    const [record] = unwrapped('kinesis', [raw], envelope);
    assert.deepEqual([record.source, record.identifier, record.sequenceNumber], ['dynamodb', raw.kinesis.sequenceNumber, raw.kinesis.sequenceNumber]);
    assert.deepEqual([record.eventName, record.keys, record.newImage.version, record.tableName], ['MODIFY', { id: '7' }, 0, 'orders']);
    assert.equal(record.timestamp, 1_700_000_000_000);
  }
  const micro = { ...change, dynamodb: { ...change.dynamodb, ApproximateCreationDateTime: 1_700_000_000_000_123, ApproximateCreationDateTimePrecision: 'MICROSECOND' } };
  assert.equal(unwrapped('kinesis', [kinesisOf(r, JSON.stringify(micro))], 'dynamodb')[0].timestamp, 1_700_000_000_000);
  const long = { ...change, dynamodb: { ...change.dynamodb, NewImage: { n: { N: '0.10000000000000000001' } } } };
  const [record] = unwrapped('kinesis', [kinesisOf(r, JSON.stringify(long))], 'dynamodb');
  assert.throws(() => record.newImage, /NewImage\.n of the dynamodb record \d+ is 0\.10000000000000000001/);
  const [text] = records(eventOf('kinesis', [kinesisOf(r, JSON.stringify(long))]), { envelope: 'dynamodb', numbers: 'string' });
  assert.deepEqual(text.newImage, { n: '0.10000000000000000001' });
});

test('what is not in its envelope is an error that names the record', () => {
  const raw = sqs({ id: 1 });
  for (const [envelope, title] of [['sns', 'a notification of SNS'], ['s3', 'a notification of S3'], ['eventbridge', 'an event of EventBridge'], [['sns', 's3'], 'a notification of SNS']]) {
    assert.throws(() => unwrapped('sqs', [raw], envelope), { code: 'ERR_PARALLELIZER_DECODE', message: `the sqs record ${raw.messageId} cannot be read as ${title}: TypeError: it is none` });
  }
  assert.throws(() => unwrapped('kinesis', [kinesisOf(r, [0x1f, 0x8b, 9])], 'cloudwatch-logs'), { code: 'ERR_PARALLELIZER_DECODE' });
  const bad = (envelope) => assert.throws(() => createHandler({ filePath, recordFunctionName: 'tell', envelope }), /"envelope" must be 'auto', one of 'sns', 's3'/);
  for (const envelope of ['SNS', [], ['sns', 'x'], ['s3', 's3'], 7, {}]) bad(envelope);
});

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, {
    type: mode.type, filePath, parallelization: mode.hasWorkers ? 2 : 0, envelope: 'auto',
    ...(options?.processBatchFunctionName === undefined ? { recordFunctionName: 'tell' } : {}), ...options,
  });
  const told = (log) => lines(log).map((line) => JSON.parse(line));

  test('the answer names the outer message, if anything in it fails; what follows in it is not tried', async (t) => {
    for (const recordFunctionName of ['tell', 'tellLater']) {
      const { handler, log, errors } = on(t, { recordFunctionName });
      const raws = [sqs(s3('a', 'bad', 'c')), sqs(s3('d', 'e')), sqs(notificationOf(r, s3('bad'))), sqs(S3_TEST), sqs('plain')];
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[0].messageId, raws[2].messageId]);
      assert.deepEqual(told(log).map(({ value }) => value.key ?? value).sort(), ['a', 'bad', 'bad', 'd', 'e', 'plain']);
      assert.deepEqual(errors.map(({ error, records: [{ raw }] }) => [error.message, raw]).sort(), [['a bad one', raws[0]], ['a bad one', raws[2]]].sort());
    }
  });

  test('S3’s test is done, and never comes again', async (t) => {
    for (const options of [{}, { processBatchFunctionName: 'tellAll' }, { envelope: 's3' }]) {
      const { handler, log } = on(t, options);
      assert.deepEqual(await handler(eventOf('sqs', [sqs(S3_TEST)]), contextOf()), { batchItemFailures: [] });
      assert.deepEqual(await handler(eventOf('sns', [sns(S3_TEST)]), contextOf()), { batchItemFailures: [] });
      assert.deepEqual(lines(log), []);
    }
  });

  test('sub-batches have the records within; those that fail are answered by what holds them', async (t) => {
    const { handler, log } = on(t, { processBatchFunctionName: 'tellAll', parallelization: mode.hasWorkers ? 1 : 0 });
    const raws = [sqs(s3('a', 'b')), sqs(notificationOf(r, 'bad')), sqs('c'), sqs(s3('d', 'bad'))];
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId, raws[3].messageId]);
    assert.deepEqual(told(log)[0].map(({ source }) => source), ['s3', 's3', 'sns', 'sqs', 's3', 's3']);
  });

  test('a FIFO queue keeps its order', async (t) => {
    const { handler, log } = on(t);
    const raws = [['a', 1], ['bad', 1], ['c', 2], ['d', 1]].map(([name, group]) => sqs(notificationOf(r, name), group));
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId, raws[3].messageId]);
    assert.deepEqual(told(log).map(({ value, groupKey }) => value + groupKey).sort(), ['agroup-1', 'badgroup-1', 'cgroup-2']);
  });

  test('aggregates: in order, answered by the number of the aggregate', async (t) => {
    for (const options of [{}, { recordFunctionName: 'tellLater' }, { processBatchFunctionName: 'tellAll' }]) {
      const { handler, log } = on(t, { envelope: 'kpl', ...options });
      const lists = [['a', 'b', 'c'], ['d'], ['e', 'bad', 'f'], ['g', 'h']];
      const raws = lists.map((list, position) => kinesisOf(r, aggregateOf(users(...list)), { position }));
      assert.deepEqual(identifiers(await handler(eventOf('kinesis', raws), contextOf())), [2, 3].map((i) => raws[i].kinesis.sequenceNumber));
      const all = options.processBatchFunctionName !== undefined;
      assert.deepEqual(told(log).flat().map(({ value }) => value), all ? lists.flat() : ['a', 'b', 'c', 'd', 'e', 'bad']);
      assert.deepEqual(told(log).flat().slice(0, 3).map(({ sub, key, identifier }) => [sub, key, identifier]),
        [[0, 'key-0'], [1, 'key-1'], [2, 'key-0']].map((each) => [...each, raws[0].kinesis.sequenceNumber]));
    }
  });

  test('an aggregate of many records, none of which waits', async (t) => {
    const { handler, log } = on(t, { envelope: 'kpl' });
    const raw = kinesisOf(r, aggregateOf(users(...Array.from({ length: 5000 }, (_, i) => String(i)))));
    assert.deepEqual(await handler(eventOf('kinesis', [raw]), contextOf()), { batchItemFailures: [] });
    assert.deepEqual(told(log).map(({ value }) => Number(value)), Array.from({ length: 5000 }, (_, i) => i));
  });

  test('groupBy is given the records within; what shares a key is one group', async (t) => {
    const { handler, log } = on(t, { envelope: 'kpl', groupBy: (record) => record.partitionKey });
    const aggregate = (position, ...pairs) => kinesisOf(r, aggregateOf(pairs.map(([partitionKey, data]) => ({ partitionKey, data }))), { position });
    const raws = [
      aggregate(0, ['x', '0x'], ['y', '0y']), aggregate(1, ['z', '1z bad']), aggregate(2, ['y', '2y'], ['w', '2w']),
      aggregate(3, ['z', '3z']), aggregate(4, ['w', '4w']),
    ];
    const answer = await handler(eventOf('kinesis', raws), contextOf());
    assert.deepEqual(identifiers(answer), [1, 3].map((i) => raws[i].kinesis.sequenceNumber));
    const values = told(log).map(({ value }) => value);
    assert.deepEqual(values.filter((value) => !value.includes('z')), ['0x', '0y', '2y', '2w', '4w']);
    assert.deepEqual(values.filter((value) => value.includes('z')), ['1z bad']);
  });

  test('groupBy, where a record cannot be unpacked: that one fails', async (t) => {
    const { handler, log, errors } = on(t, { envelope: 'sns', groupBy: ({ value }) => value });
    const raws = [sqs(notificationOf(r, 'a')), sqs('x'), sqs(notificationOf(r, 'b'))];
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
    assert.deepEqual(told(log).map(({ value }) => value).sort(), ['a', 'b']);
    assert.deepEqual(errors.map(({ error }) => error.code), ['ERR_PARALLELIZER_DECODE']);
  });

  test('what is unpacked is decoded and checked by itself', async (t) => {
    const { handler, log, errors } = on(t, { recordFunctionName: 'fields', params: { fields: ['data', 'logGroup'] }, decode: 'json' });
    const logs = [logsOf(['{"id":1}', '{"id":2}']), logsOf(['{"id":3}', 'text', '{"id":5}'])];
    const raws = logs.map((bytes, position) => kinesisOf(r, bytes, { position }));
    assert.deepEqual(identifiers(await handler(eventOf('kinesis', raws), contextOf())), [raws[1].kinesis.sequenceNumber]);
    assert.deepEqual(told(log).map(({ data }) => data.id), [1, 2, 3]);
    assert.match(errors[0].error.message, /the cloudwatch-logs record \d+ cannot be read as JSON/);
  });
});
