'use strict';
// The list of records that EventBridge Pipes invokes a function with, and how it is answered; events of Amazon MQ.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { processPartialResponse, records } = require('@parallelizer/node/lambda');
const { fixture, make: makeParallelizer } = require('./support/helpers');
const { handlerFor, identifiers, idsOf } = require('./support/lambda');
const { contextOf, make, pipedOf, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(24);
const SOURCES = ['sqs', 'kinesis', 'dynamodb', 'kafka', 'activemq', 'rabbitmq'];

/** Records of a source, as Lambda has them. */
const rawsOf = (source, payloads, groups = []) =>
  payloads.map((payload, position) =>
    make[source](r, { payload: { id: position, ...payload }, position, group: groups[position] }));
const listOf = (source, raws) => raws.map((raw) => pipedOf(source, raw));
const refused = (event, pattern) =>
  assert.throws(() => records(event), (error) => {
    assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
    assert.match(error.message, pattern);
    return true;
  });

test('an empty list has no records', () => assert.deepEqual(records([]), []));

test('Kinesis: the fields of the stream stand beside the others, and are found where Lambda has them as well', () => {
  const [raw] = rawsOf('kinesis', [{ n: 1 }], [6]);
  const piped = pipedOf('kinesis', raw);
  assert.equal(piped.kinesis, undefined);
  const [fromLambda] = records({ Records: [raw] });
  const [fromPipes] = records([piped]);
  for (const record of [fromLambda, fromPipes]) {
    for (const [name, value] of Object.entries(raw.kinesis)) assert.equal(record.kinesis[name], value, name);
    assert.deepEqual(record.json, { id: 0, n: 1 });
    assert.equal(record.groupKey, 'shardId-000000000006');
    assert.equal(record.partitionKey, raw.kinesis.partitionKey);
    assert.equal(record.sequenceNumber, raw.kinesis.sequenceNumber);
    assert.equal(record.data, raw.kinesis.data);
    assert.equal(record.timestamp, 1_700_000_000_123);
  }
  assert.equal(fromLambda.identifier, raw.kinesis.sequenceNumber);
  assert.equal(fromPipes.identifier, raw.eventID);
});

test('Kinesis: a list of records in the form of Lambda’s events is no list of Pipes', () => {
  const [raw] = rawsOf('kinesis', [{}]);
  assert.equal(records([raw])[0].identifier, raw.kinesis.sequenceNumber);
});

test('SQS and DynamoDB: what orders them, and when they were written', () => {
  const [sqs] = records(listOf('sqs', rawsOf('sqs', [{}])));
  const [raw] = listOf('dynamodb', rawsOf('dynamodb', [{}]));
  const [dynamodb] = records([raw]);
  assert.equal(sqs.groupKey, null);
  assert.equal(dynamodb.groupKey, raw.eventSourceARN);
  for (const [{ timestamp }, expected] of [
    [sqs, Number(sqs.attributes.SentTimestamp)], [dynamodb, raw.dynamodb.ApproximateCreationDateTime * 1000],
  ]) {
    assert.equal(timestamp, expected);
  }
});

test('DynamoDB: what it is called is the event’s id', () => {
  const [raw] = rawsOf('dynamodb', [{}]);
  const [record] = records([raw]);
  assert.deepEqual([record.identifier, record.sequenceNumber], [raw.eventID, raw.dynamodb.SequenceNumber]);
  assert.deepEqual(record.keys, { id: '0' });
});

test('Kafka: partitions as text, and without a topic', () => {
  const [raw] = listOf('kafka', rawsOf('kafka', [{ n: 1 }], [7]));
  const { topic, ...withoutTopic } = raw;
  for (const each of [raw, { ...raw, partition: '7' }, withoutTopic, { ...withoutTopic, partition: '7' }]) {
    for (const eventSource of ['aws:kafka', 'SelfManagedKafka', 'aws:SelfManagedKafka']) {
      const [record] = records([{ ...each, eventSource }]);
      assert.deepEqual([record.source, record.topic, record.partition], ['kafka', topic, 7]);
      assert.deepEqual(record.identifier, { partition: 'orders-7', offset: 1000 });
      assert.equal(record.groupKey, 'orders-7');
      assert.deepEqual(record.json, { id: 0, n: 1 });
      assert.match(record.key, /^key-/);
      assert.equal(record.eventSourceArn, raw.eventSourceArn);
    }
  }
  for (const partition of ['', 'x', '-1', null, 1.5]) refused([{ ...raw, partition }], /event\[0\]\.partition" must be an integer/);
});

test('Kafka: partitions as text in Lambda’s events', () => {
  const [raw] = rawsOf('kafka', [{ n: 1 }], [7]);
  const event = { eventSource: 'aws:SelfManagedKafka', records: { 'orders-7': [{ ...raw, partition: '7' }] } };
  const [record] = records(event);
  assert.deepEqual([record.partition, record.groupKey], [7, 'orders-7']);
});

test('Amazon MQ: the same records from Pipes and from Lambda', () => {
  const [active] = rawsOf('activemq', [{ n: 1 }]);
  const [rabbit] = rawsOf('rabbitmq', [{ n: 1 }]);
  const { eventSource, eventSourceArn, ...message } = active;
  const { eventSource: rabbitSource, eventSourceArn: rabbitArn, eventSourceKey, ...delivery } = rabbit;
  const lists = [
    records([active]),
    records({ eventSource, eventSourceArn, messages: [message] }),
    records({ eventSource: 'aws:mq', eventSourceArn, messages: [{ ...message, destination: { physicalName: 'orders' } }] }),
    records([rabbit]),
    records({ eventSource: rabbitSource, eventSourceArn: rabbitArn, rmqMessagesByQueue: { [eventSourceKey]: [delivery] } }),
  ];
  for (const [i, [record]] of lists.entries()) {
    assert.equal(record.source, i < 3 ? 'activemq' : 'rabbitmq');
    assert.deepEqual(record.json, { id: 0, n: 1 });
    assert.equal(record.queue, 'orders');
    assert.equal(record.groupKey, null);
    assert.equal(record.eventSourceArn, i < 3 ? eventSourceArn : rabbitArn);
  }
  assert.deepEqual([lists[0][0].identifier, lists[3][0].identifier], [active.messageID, 'm-0']);
  assert.deepEqual([lists[0][0].timestamp, lists[3][0].timestamp], [1_700_000_000_000, 2021_000]);
  assert.deepEqual(lists[1][0].raw, active);
  assert.deepEqual(lists[4][0].raw, rabbit);
  assert.equal(records([{ ...rabbit, basicProperties: { messageId: null } }])[0].identifier, null);
  for (const event of [{ eventSource: 'aws:mq', messages: [] }, { eventSource: 'aws:rmq', rmqMessagesByQueue: {} }]) {
    assert.deepEqual(records(event), []);
  }
  refused({ eventSource: 'aws:rmq', rmqMessagesByQueue: { a: {} } }, /"event\.rmqMessagesByQueue\['a'\]" must be a list/);
  refused({ eventSource: 'aws:mq', messages: [{ ...message, data: 7 }] }, /"event\.messages\[0\]\.data" must be Base64/);
});

test('lists that are not as Pipes sends them are refused', () => {
  const [sqs] = rawsOf('sqs', [{}]);
  const [kafka] = listOf('kafka', rawsOf('kafka', [{}]));
  refused([sqs, kafka], /"event\[1\]\.eventSource" must be 'aws:sqs', as that of the first record, got 'aws:kafka'/);
  refused([sqs, null], /"event\[1\]\.eventSource" must be 'aws:sqs'/);
  refused([{ id: 7, amount: 1 }], /"event\[0\]\.eventSource" must be one of aws:sqs.*\(the record has: id, amount\).*Pipes/);
  refused([1, 2], /"event\[0\]\.eventSource" must be one of aws:sqs/);
  for (const one of [[sqs], {}, 'text', null]) refused([one], /"event\[0\]\.eventSource" must be one of aws:sqs/);
  refused([{ eventSource: 'aws:codecommit' }], /must be one of aws:sqs.*got 'aws:codecommit'/);
  refused([{ ...sqs, messageId: 7 }], /"event\[0\]\.messageId" must be a string, got 7/);
});

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, { type: mode.type, ...options });
  const bad = { what: 'throw', times: 99 };
  const good = {};

  test('an empty list is done', async (t) => {
    const { handler } = on(t);
    assert.deepEqual(await handler([], contextOf()), { batchItemFailures: [] });
  });

  for (const source of SOURCES) {
    test(`${source}: a list of which all is done`, async (t) => {
      const { handler, log } = on(t);
      const list = listOf(source, rawsOf(source, [good, good, good]));
      assert.deepEqual(await handler(list, contextOf()), { batchItemFailures: [] });
      assert.deepEqual(idsOf(log, 'done').sort(), [0, 1, 2]);
    });
  }

  test('SQS, FIFO too: the ids of the messages', async (t) => {
    const { handler } = on(t);
    const raws = rawsOf('sqs', [good, bad, good]);
    assert.deepEqual(identifiers(await handler(raws, contextOf())), [raws[1].messageId]);
    const fifo = rawsOf('sqs', [good, bad, good, good], [1, 2, 1, 2]);
    assert.deepEqual(identifiers(await handler(fifo, contextOf())), [fifo[1].messageId, fifo[3].messageId]);
  });

  test('Kinesis and DynamoDB: the ids of the events, as AWS documents it for Pipes', async (t) => {
    for (const source of ['kinesis', 'dynamodb']) {
      const { handler, log } = on(t);
      const list = listOf(source, rawsOf(source, [good, bad, good]));
      assert.deepEqual(identifiers(await handler(list, contextOf())), [list[1].eventID, list[2].eventID]);
      assert.deepEqual(idsOf(log, 'begin'), [0, 1]);
    }
  });

  test('Kafka and Amazon MQ: an error, after which Pipes sends the batch again', async (t) => {
    for (const source of ['kafka', 'activemq', 'rabbitmq']) {
      const { handler, errors } = on(t);
      const list = listOf(source, rawsOf(source, [good, bad, good]));
      await assert.rejects(handler(list, contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED' });
      assert.deepEqual(errors.map(({ records: [{ raw }] }) => raw), [list[1]]);
    }
  });

  test('Kafka: offsets for whoever says that they are heeded', async (t) => {
    const { handler } = on(t, { reportBatchItemFailures: true });
    const list = listOf('kafka', rawsOf('kafka', [good, bad, good, good], [0, 0, 1, 0]));
    assert.deepEqual(identifiers(await handler(list, contextOf())), [{ partition: 'orders-0', offset: 1001 }]);
    await assert.rejects(handler(listOf('activemq', rawsOf('activemq', [bad])), contextOf()), {
      code: 'ERR_PARALLELIZER_RECORDS_FAILED',
    });
  });

  test('a function may name records as it would in Lambda’s events', async (t) => {
    for (const source of ['kinesis', 'dynamodb']) {
      const raws = rawsOf(source, [good, good, good]);
      for (const by of ['sequenceNumber', 'eventID', 'identifier']) {
        for (const [list, expected] of [
          [listOf(source, raws), (record) => record.eventID],
          [{ Records: raws }, (record) => record.kinesis?.sequenceNumber ?? record.dynamodb.SequenceNumber],
        ]) {
          const { handler } = on(t, {
            filePath: fixture('lambda-fields.js'), processBatchFunctionName: 'name', params: { by, at: [1] },
          });
          assert.deepEqual(identifiers(await handler(list, contextOf())), raws.slice(1).map(expected), `${source} ${by}`);
          await handler.parallelizer.terminate();
        }
      }
    }
  });

  test('processPartialResponse takes lists as well', async (t) => {
    const { log } = on(t);
    const parallelizer = makeParallelizer(t, {
      type: mode.type, filePath: fixture('lambda-worker.js'), processBatchFunctionName: 'batch',
    });
    const list = listOf('kinesis', rawsOf('kinesis', [good, bad]));
    const answer = await processPartialResponse(list, contextOf(), parallelizer, { params: { log }, onError() {} });
    assert.deepEqual(identifiers(answer), [list[1].eventID]);
    assert.deepEqual(await processPartialResponse([], contextOf(), parallelizer), { batchItemFailures: [] });
  });

  test('params may be made of the list', async (t) => {
    const { log } = on(t);
    const { handler } = on(t, { params: (event) => ({ log: `${log}-${event.length}` }) });
    await handler(rawsOf('sqs', [good, good]), contextOf());
    assert.deepEqual(idsOf(`${log}-2`, 'done').sort(), [0, 1]);
  });
});
