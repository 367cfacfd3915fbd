'use strict';
// What people put around events of AWS Lambda: Powertools' Batch, Idempotency, Parser and Kafka consumer, middy; and
// records that hold others, or are packed: aggregated, gzip'd, enveloped.

const assert = require('node:assert/strict');

const { ecosystemTest, jsonLines, project, succeed } = require('./support/projects');

const TYPES = ['child-process', 'worker-threads', 'inline'];

const prelude = (type) => `
const assert = require('node:assert/strict');
const { createHandler, records } = require('@parallelizer/node/lambda');
const type = '${type}';
const worker = __dirname + '/worker.js';
const make = (recordFunctionName, options) => createHandler({ type, filePath: worker, recordFunctionName, parallelization: 1, onError() {}, ...options });
const context = { awsRequestId: 'request', getRemainingTimeInMillis: () => 30000, functionName: 'project', invokedFunctionArn: 'arn:project', callbackWaitsForEmptyEventLoop: true };
const sqs = (id, body) => ({
  messageId: id, receiptHandle: 'r', body: typeof body === 'string' ? body : JSON.stringify(body),
  attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1700000000000', SenderId: 's', ApproximateFirstReceiveTimestamp: '1700000000500' },
  messageAttributes: {}, md5OfBody: '0123456789abcdef0123456789abcdef', eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:eu-central-1:123456789012:orders', awsRegion: 'eu-central-1',
});
const kinesis = (number, bytes) => ({
  kinesis: { kinesisSchemaVersion: '1.0', partitionKey: 'k', sequenceNumber: number, data: Buffer.from(bytes).toString('base64'), approximateArrivalTimestamp: 1700000000 },
  eventSource: 'aws:kinesis', eventVersion: '1.0', eventID: 'shardId-000000000000:' + number, eventName: 'aws:kinesis:record',
  invokeIdentityArn: 'arn:i', awsRegion: 'eu-central-1', eventSourceARN: 'arn:aws:kinesis:eu-central-1:123456789012:stream/orders',
});
const kafka = (list) => ({
  eventSource: 'aws:kafka', eventSourceArn: 'arn:c', bootstrapServers: 'b:9092',
  records: { 'orders-0': list.map((value, i) => ({
    topic: 'orders', partition: 0, offset: i, timestamp: 1700000000000, timestampType: 'CREATE_TIME', key: Buffer.from('k').toString('base64'),
    value: Buffer.from(JSON.stringify(value)).toString('base64'), headers: [],
  })) },
});
`;

/** Runs a program in each mode; it prints what it has found as one line of JSON. */
function eventTest(name, { worker, body, expected }) {
  for (const type of TYPES) {
    ecosystemTest(`${name}: ${type}`, ['events'], async (t) => {
      const folder = project(t, 'events', {
        'worker.js': worker,
        'program.js': `${prelude(type)}\n(async () => {\n${body}\n})().then(() => process.exit(), (error) => { console.error(error); process.exit(1); });`,
      });
      const { stdout, output } = await succeed(t, folder, [process.execPath, 'program.js']);
      assert.deepEqual(jsonLines(stdout), [expected], output);
    });
  }
}

eventTest('Powertools Parser in the worker', {
  worker: `
    const { SqsRecordSchema } = require('@aws-lambda-powertools/parser/schemas/sqs');
    const { z } = require('zod');
    const Order = z.object({ id: z.number() });
    exports.record = ({ record }) => {
      SqsRecordSchema.parse(record.raw);
      Order.parse(record.json);
    };
  `,
  body: `
    const handler = make('record');
    const answer = await handler({ Records: [sqs('m1', { id: 1 }), sqs('m2', { id: 'none' }), sqs('m3', { id: 3 })] }, context);
    console.log(JSON.stringify(answer));
  `,
  expected: { batchItemFailures: [{ itemIdentifier: 'm2' }] },
});

eventTest('Powertools Batch in the handler, each record on a worker', {
  worker: "exports.work = (body) => { if (JSON.parse(body).bad) throw new Error('bad'); return 'done'; };",
  body: `
    const { Pool } = require('@parallelizer/node');
    const { BatchProcessor, EventType, processPartialResponse } = require('@aws-lambda-powertools/batch');
    const pool = new Pool({ type, processes: 1 });
    const processor = new BatchProcessor(EventType.SQS);
    const event = { Records: [sqs('m1', {}), sqs('m2', { bad: true }), sqs('m3', {})] };
    const answer = await processPartialResponse(event, ({ body }) => pool.apply({ filePath: worker, name: 'work' }, [body]), processor, { context });
    console.log(JSON.stringify(answer));
  `,
  expected: { batchItemFailures: [{ itemIdentifier: 'm2' }] },
});

eventTest('Powertools Batch in the worker, for a sub-batch', {
  worker: `
    const { BatchProcessor, EventType, processPartialResponse } = require('@aws-lambda-powertools/batch');
    const processor = new BatchProcessor(EventType.SQS);
    exports.batch = ({ batch }) => processPartialResponse({ Records: batch.map(({ raw }) => raw) }, ({ body }) => {
      if (JSON.parse(body).bad) throw new Error('bad');
    }, processor, { throwOnFullBatchFailure: false });
  `,
  body: `
    const handler = createHandler({ type, filePath: worker, processBatchFunctionName: 'batch', parallelization: 1, onError() {} });
    console.log(JSON.stringify(await handler({ Records: [sqs('m1', {}), sqs('m2', { bad: true }), sqs('m3', {})] }, context)));
  `,
  expected: { batchItemFailures: [{ itemIdentifier: 'm2' }] },
});

eventTest('Powertools Idempotency in the worker', {
  worker: `
    const { IdempotencyConfig, makeIdempotent } = require('@aws-lambda-powertools/idempotency');
    const { BasePersistenceLayer } = require('@aws-lambda-powertools/idempotency/persistence');
    const { IdempotencyItemAlreadyExistsError } = require('@aws-lambda-powertools/idempotency');
    // Within this worker only, which is enough to see that each is done once.
    class Memory extends BasePersistenceLayer {
      items = new Map();
      async _getRecord(key) { return this.items.get(key); }
      async _putRecord(record) {
        const known = this.items.get(record.idempotencyKey);
        if (known !== undefined) throw new IdempotencyItemAlreadyExistsError('known', known);
        this.items.set(record.idempotencyKey, record);
      }
      async _updateRecord(record) { this.items.set(record.idempotencyKey, record); }
      async _deleteRecord(record) { this.items.delete(record.idempotencyKey); }
    }
    let done = 0;
    const once = makeIdempotent(async (payload) => { done++; return payload.id; }, {
      persistenceStore: new Memory(), config: new IdempotencyConfig({ eventKeyJmesPath: 'id' }),
    });
    exports.record = async ({ record, context }) => {
      await once(record.json);
      require('node:fs').writeFileSync(__dirname + '/done', String(done));
      if (typeof context.getRemainingTimeInMillis() !== 'number') throw new Error('no context');
    };
  `,
  body: `
    const handler = make('record');
    const event = { Records: [sqs('m1', { id: 1 }), sqs('m2', { id: 2 }), sqs('m3', { id: 1 })] };
    const answers = [await handler(event, context), await handler(event, context)];
    console.log(JSON.stringify([answers, require('node:fs').readFileSync(__dirname + '/done', 'utf8')]));
  `,
  expected: [[{ batchItemFailures: [] }, { batchItemFailures: [] }], '2'],
});

eventTest('middy around a handler', {
  worker: "exports.record = ({ record }) => { if (record.json.bad) throw new Error('bad'); };",
  body: `
    const { default: middy } = await import('@middy/core');
    const handler = middy(make('record'));
    console.log(JSON.stringify(await handler({ Records: [sqs('m1', {}), sqs('m2', { bad: true })] }, context)));
  `,
  expected: { batchItemFailures: [{ itemIdentifier: 'm2' }] },
});

/** A refusal that says what has happened to the event. */
const REFUSED = `
  const told = (error) => [error.code, /parsed before/i.test(error.message), /middy|kafkaConsumer|middleware/i.test(error.message)];
`;

eventTest("middy's event normalizer before a handler: refused, and told why", {
  worker: 'exports.record = () => {};',
  body: `${REFUSED}
    const { default: middy } = await import('@middy/core');
    const { default: normalizer } = await import('@middy/event-normalizer');
    const handler = middy(make('record')).use(normalizer());
    const found = [];
    for (const event of [{ Records: [sqs('m1', { id: 1 })] }, { Records: [kinesis('1', '{"id":1}')] }, kafka([{ id: 1 }])]) {
      found.push(await handler(event, context).then(() => ['taken'], told));
    }
    console.log(JSON.stringify(found));
  `,
  expected: [0, 1, 2].map(() => ['ERR_PARALLELIZER_OPTION', true, true]),
});

eventTest("Powertools' kafkaConsumer before a handler: refused, and told why", {
  worker: 'exports.record = () => {};',
  body: `${REFUSED}
    const { SchemaType, kafkaConsumer } = require('@aws-lambda-powertools/kafka');
    const handler = kafkaConsumer(make('record'), { value: { type: SchemaType.JSON } });
    console.log(JSON.stringify([await handler(kafka([{ id: 1 }]), context).then(() => ['taken'], told)]));
  `,
  expected: [['ERR_PARALLELIZER_OPTION', true, true]],
});

eventTest('records that hold others, or are packed', {
  worker: `
    const zlib = require('node:zlib');
    const fs = require('node:fs');
    const note = (value) => fs.appendFileSync(__dirname + '/seen', JSON.stringify(value) + '\\n');
    exports.gzip = ({ record }) => note(JSON.parse(zlib.gunzipSync(record.bytes)));
    exports.logs = ({ record }) => { for (const { message } of JSON.parse(zlib.gunzipSync(record.bytes)).logEvents) note(message); };
    exports.base64 = ({ record }) => note(JSON.parse(zlib.gunzipSync(Buffer.from(record.value, 'base64'))));
    exports.sns = ({ record }) => note(JSON.parse(record.json.Message));
    exports.s3 = ({ record }) => {
      const { records } = require('@parallelizer/node/lambda');
      for (const { value } of records(record.json)) note([value.bucket, value.key]);
    };
    exports.aggregated = ({ record }) => {
      const { deaggregateSync } = require('aws-kinesis-agg');
      deaggregateSync(record.raw.kinesis, true, (error, inner) => {
        if (error) throw error;
        for (const { data, partitionKey } of inner) note([partitionKey, Buffer.from(data, 'base64').toString()]);
      });
    };
  `,
  body: `
    const zlib = require('node:zlib');
    const aggregator = require('aws-kinesis-agg');
    const aggregated = await new Promise((resolve, reject) => {
      const builder = new aggregator.RecordAggregator();
      for (const id of [1, 2]) builder.addUserRecord({ partitionKey: 'k' + id, data: Buffer.from('inner ' + id) });
      const built = builder.build();
      built === undefined ? reject(new Error('nothing was built')) : resolve(built.data ?? built.Data);
    });
    const s3 = { Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Put', s3: { bucket: { name: 'b' }, object: { key: 'a+b.txt' } } }] };
    const cases = {
      gzip: { Records: [kinesis('1', zlib.gzipSync('{"id":1}'))] },
      logs: { Records: [kinesis('1', zlib.gzipSync(JSON.stringify({ messageType: 'DATA_MESSAGE', logEvents: [{ message: 'one' }, { message: 'two' }] })))] },
      base64: { Records: [sqs('m1', zlib.gzipSync('{"id":2}').toString('base64'))] },
      sns: { Records: [sqs('m1', { Type: 'Notification', Message: JSON.stringify({ id: 3 }) })] },
      s3: { Records: [sqs('m1', s3)] },
      aggregated: { Records: [kinesis('1', aggregated)] },
    };
    const answers = [];
    for (const [name, event] of Object.entries(cases)) {
      const handler = make(name, { onError: (error) => console.error(name, error) });
      answers.push(await handler(event, context));
      await handler.parallelizer.close();
    }
    const seen = require('node:fs').readFileSync(__dirname + '/seen', 'utf8').trim().split('\\n').map((line) => JSON.parse(line));
    console.log(JSON.stringify([answers.every(({ batchItemFailures }) => batchItemFailures.length === 0), seen]));
  `,
  expected: [true, [{ id: 1 }, 'one', 'two', { id: 2 }, { id: 3 }, ['b', 'a b.txt'], ['k1', 'inner 1'], ['k2', 'inner 2']]],
});

eventTest("DynamoDB's images, beside what the SDK makes of them", {
  worker: 'exports.record = () => {};',
  body: `
    const { unmarshall } = require('@aws-sdk/util-dynamodb');
    const image = { s: { S: 'x' }, n: { N: '1.5' }, big: { N: '9007199254740993' }, l: { L: [{ BOOL: true }, { NULL: true }] }, m: { M: { a: { SS: ['p', 'q'] } } }, ns: { NS: ['1', '2'] } };
    const recordOf = (NewImage) => records({ Records: [{ eventSource: 'aws:dynamodb', eventName: 'INSERT', dynamodb: { SequenceNumber: '1', Keys: {}, NewImage } }] })[0];
    assert.deepEqual(recordOf(image).newImage, unmarshall(image));
    const lossy = { n: { N: '12345678901234567890.5' } };
    const outcomes = [() => unmarshall(lossy), () => recordOf(lossy).newImage].map((act) => { try { act(); return 'a value'; } catch { return 'an error'; } });
    console.log(JSON.stringify(outcomes));
  `,
  expected: ['an error', 'an error'],
});
