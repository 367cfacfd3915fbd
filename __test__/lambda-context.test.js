'use strict';
// What surrounds a record: W3C trace context, Powertools' logger in workers, middy in front of a handler.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { records } = require('@parallelizer/node/lambda');
const { fixture, lines } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf, make, notificationOf, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(45);
const filePath = fixture('lambda-context.js');
const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const XRAY = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1';
const FROM_XRAY = '00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01';

/** A record of each source that carries such a header. */
const CARRIERS = {
  kafka: (value) => ({ ...make.kafka(r, { payload: 1 }), headers: [{ traceparent: [...Buffer.from(value)] }, { tracestate: [...Buffer.from('a=1')] }] }),
  sqs: (value) => ({
    ...make.sqs(r, { payload: 1 }),
    messageAttributes: { traceparent: { stringValue: value, dataType: 'String' }, tracestate: { stringValue: 'a=1', dataType: 'String' } },
  }),
  sns: (value) => {
    const raw = make.sns(r, { payload: 1 });
    return { ...raw, Sns: { ...raw.Sns, MessageAttributes: { traceparent: { Type: 'String', Value: value }, tracestate: { Type: 'String', Value: 'a=1' } } } };
  },
  activemq: (value) => ({ ...make.activemq(r, { payload: 1 }), properties: { traceparent: value, tracestate: 'a=1' } }),
  rabbitmq: (value) => {
    const raw = make.rabbitmq(r, { payload: 1 });
    const headers = { traceparent: { bytes: [...Buffer.from(value)] }, tracestate: 'a=1' };
    return { ...raw, basicProperties: { ...raw.basicProperties, headers } };
  },
};

for (const [source, carrier] of Object.entries(CARRIERS)) {
  test(`${source}: the trace context that a producer sent along`, () => {
    const [record] = records(eventOf(source, [carrier(PARENT)]));
    assert.deepEqual([record.traceparent, record.tracestate], [PARENT, 'a=1']);
    for (const odd of ['', 'x', PARENT.slice(1), PARENT.toUpperCase()]) {
      assert.equal(records(eventOf(source, [carrier(odd)]))[0].traceparent, null, odd);
    }
  });
}

test('without one; X-Ray’s of a message; of what holds a record', () => {
  for (const source of ['sqs', 'sns', 'kinesis', 'dynamodb', 's3', 'activemq', 'rabbitmq', 'firehose']) {
    const [record] = records(eventOf(source, [make[source](r, { payload: {} })]));
    assert.deepEqual([record.traceparent, record.tracestate], [null, null], source);
  }
  const raw = make.sqs(r, { payload: 1 });
  const traced = { ...raw, attributes: { ...raw.attributes, AWSTraceHeader: XRAY } };
  assert.equal(records(eventOf('sqs', [traced]))[0].traceparent, FROM_XRAY);
  const holding = { ...CARRIERS.sqs(PARENT), body: JSON.stringify(notificationOf(r, 'x')) };
  const [inner] = records(eventOf('sqs', [holding]), { envelope: 'sns' });
  assert.deepEqual([inner.source, inner.traceparent, inner.tracestate], ['sns', PARENT, 'a=1']);
});

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, { type: mode.type, filePath, parallelization: mode.hasWorkers ? 1 : 0, ...options });

  test('the invocation’s trace header as W3C has it', async (t) => {
    const { handler, log } = on(t, { recordFunctionName: 'trace' });
    const event = eventOf('sqs', [CARRIERS.sqs(PARENT)]);
    const headers = [
      [XRAY, FROM_XRAY], [XRAY.replace('Sampled=1', 'Sampled=0'), FROM_XRAY.replace(/1$/, '0')], [`${XRAY};Lineage=a:0`, FROM_XRAY],
      ['Root=1-5759e988-bd862e3fe1be46a994272793', null], ['nonsense', null], [undefined, null],
    ];
    for (const [xRayTraceId] of headers) await handler(event, contextOf(60_000, { xRayTraceId }));
    assert.deepEqual(lines(log).map((line) => JSON.parse(line)), headers.map(([, expected]) => [expected, PARENT, 'a=1']));
  });

  test('Powertools’ logger finds its keys in the worker’s context', async (t) => {
    const { handler, log } = on(t, { recordFunctionName: 'log' });
    const context = contextOf();
    await handler(eventOf('sqs', [make.sqs(r, { payload: { id: 7 } })]), context);
    const [entry] = lines(log).map((line) => JSON.parse(line));
    assert.deepEqual(
      [entry.message, entry.id, entry.service, entry.function_name, entry.function_request_id, entry.function_arn, Number(entry.function_memory_size)],
      ['stored', 7, 'orders', context.functionName, context.awsRequestId, context.invokedFunctionArn, Number(context.memoryLimitInMB)],
    );
  });

  test('middy in front of a handler: its middlewares see event, answer and error', async (t) => {
    const { default: middy } = await import('@middy/core');
    const seen = [];
    const middleware = {
      before: ({ event, context }) => { seen.push(['before', event.Records.length, context.functionName]); },
      after: ({ response }) => { seen.push(['after', identifiers(response).length]); },
      onError: ({ error }) => { seen.push(['error', error.code]); },
    };
    const raws = [make.sqs(r, { payload: {} }), make.sqs(r, { payload: {} })];
    const { handler } = on(t, { recordFunctionName: 'fail' });
    const wrapped = middy().use(middleware).handler(handler);
    assert.deepEqual(identifiers(await wrapped(eventOf('sqs', raws), contextOf())), raws.map(({ messageId }) => messageId));
    const throwing = on(t, { recordFunctionName: 'fail', throwOnFullBatchFailure: true });
    await assert.rejects(middy().use(middleware).handler(throwing.handler)(eventOf('sqs', raws), contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED' });
    assert.deepEqual(seen, [['before', 2, 'orders'], ['after', 2], ['before', 2, 'orders'], ['error', 'ERR_PARALLELIZER_RECORDS_FAILED']]);
  });
});

test('an answer that names every record of the largest batch there is has room within 6 MB', async (t) => {
  // 10,000 records, for each source that has a batch response.
  for (const source of ['kinesis', 'dynamodb', 'kafka', 'sqs']) {
    const { handler } = handlerFor(t, { filePath, recordFunctionName: 'fail', groupBy: () => 'one', parallelization: 0 });
    const raws = Array.from({ length: 10_000 }, (_, position) => make[source](r, { payload: {}, position, group: position }));
    const answer = await handler(eventOf(source, raws), contextOf());
    assert.equal(answer.batchItemFailures.length, 10_000, source);
    assert.ok(JSON.stringify(answer).length < 6 * 1024 * 1024 / 4);
  }
});
