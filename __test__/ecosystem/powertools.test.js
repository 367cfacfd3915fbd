'use strict';
// Powertools' Tracer, Idempotency and Parser in workers, under AWS's own runtime clients: what a worker traces is part
// of the invocation's trace, an item is done once, and a record that is not as its schema says is reported.

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');

const { waitFor } = require('../support/helpers');
const { clientFor } = require('../lambda/support/runtime-clients');
const { startEnvironment } = require('../lambda/support/environment');
const { ecosystemTest, project } = require('./support/projects');

const WORKER = `
const fs = require('node:fs');
const { z } = require('zod');
const { SqsRecordSchema } = require('@aws-lambda-powertools/parser/schemas/sqs');
const {
  IdempotencyConfig, IdempotencyItemAlreadyExistsError, makeIdempotent,
} = require('@aws-lambda-powertools/idempotency');
const { BasePersistenceLayer, IdempotencyRecord } = require('@aws-lambda-powertools/idempotency/persistence');
const { Tracer } = require('@aws-lambda-powertools/tracer');

const Order = z.object({ id: z.number(), amount: z.number().positive() });

// In a file for each key, which stands for the table that all workers and environments share.
class Files extends BasePersistenceLayer {
  #file = (key) => process.env.TEST_TMP + '/' + encodeURIComponent(key);
  #write(record, flag = 'w') {
    const text = JSON.stringify({ ...record, status: record.getStatus() });
    fs.writeFileSync(this.#file(record.idempotencyKey), text, { flag });
  }
  async _getRecord(key) {
    return new IdempotencyRecord(JSON.parse(fs.readFileSync(this.#file(key), 'utf8')));
  }
  async _putRecord(record) {
    try {
      this.#write(record, 'wx');
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      throw new IdempotencyItemAlreadyExistsError('known');
    }
  }
  async _updateRecord(record) {
    this.#write(record);
  }
  async _deleteRecord(record) {
    fs.unlinkSync(this.#file(record.idempotencyKey));
  }
}

const config = new IdempotencyConfig({ eventKeyJmesPath: 'id' });
const store = makeIdempotent(async ({ id }) => {
  console.log('STORED ' + id);
  return id;
}, { persistenceStore: new Files(), config });

const tracer = new Tracer({ serviceName: 'orders' });

exports.record = async ({ record, context }) => {
  config.registerLambdaContext(context);
  SqsRecordSchema.parse(record.raw);
  const order = Order.parse(record.json);
  const parent = tracer.getSegment();
  const segment = parent.addNewSubsegment('## store');
  tracer.setSegment(segment);
  try {
    await store(order);
    tracer.putAnnotation('order', String(order.id));
  } finally {
    segment.close();
    tracer.setSegment(parent);
  }
};
`;

const sqs = (id, order) => ({
  messageId: `m${id}`, receiptHandle: 'r', body: JSON.stringify(order),
  attributes: {
    ApproximateReceiveCount: '1', SentTimestamp: '1700000000000', SenderId: 's',
    ApproximateFirstReceiveTimestamp: '1700000000500',
  },
  messageAttributes: {}, md5OfBody: '0123456789abcdef0123456789abcdef', eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:eu-central-1:123456789012:orders', awsRegion: 'eu-central-1',
});

/** What listens where X-Ray's daemon would. */
async function startDaemon(t) {
  const socket = dgram.createSocket('udp4');
  const segments = [];
  // A line of JSON about the format, and the segment.
  socket.on('message', (message) => segments.push(JSON.parse(String(message).split('\n')[1])));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, segments };
}

for (const type of ['child-process', 'worker-threads']) {
  for (const format of ['Text', 'JSON']) {
    for (const client of [3, 4]) {
      ecosystemTest(`AWS's runtime client ${client}, ${type}, ${format} logs`, ['events'], async (t) => {
        const { missing } = clientFor(client);
        if (missing !== null) return t.skip(missing);
        const daemon = await startDaemon(t);
        const task = project(t, 'events', {
          'worker.js': WORKER,
          'function.js': `
            const { createHandler } = require('@parallelizer/node/lambda');
            exports.handler = createHandler({
              type: '${type}', filePath: __dirname + '/worker.js', recordFunctionName: 'record', parallelization: 2,
            });
          `,
        });
        const lambda = await startEnvironment(t, {
          task, handler: 'function.handler', client,
          env: { AWS_LAMBDA_LOG_FORMAT: format, AWS_XRAY_DAEMON_ADDRESS: daemon.address },
        });
        const orders = [{ id: 1, amount: 1 }, { id: 2, amount: -1 }, { id: 3, amount: 3 }, { id: 'none' }];
        const event = { Records: orders.map((order, i) => sqs(i + 1, order)) };
        const expected = { batchItemFailures: [{ itemIdentifier: 'm2' }, { itemIdentifier: 'm4' }] };
        const roots = new Set();
        for (let i = 1; i <= 2; i++) {
          const { status, body, requestId } = await lambda.invoke(event, { isTraced: true });
          assert.equal(status, 'response', lambda.output);
          assert.deepEqual(body, expected, lambda.output);
          await waitFor(() => daemon.segments.length >= 2 * i, 'the segments').catch((error) => {
            error.message += `\n${lambda.output}`;
            throw error;
          });
          const digits = requestId.replaceAll('-', '');
          const root = `1-${digits.slice(0, 8)}-${digits.slice(8)}`;
          const own = daemon.segments.filter(({ trace_id: trace }) => trace === root);
          assert.deepEqual(own.map(({ annotations }) => annotations.order).sort(), ['1', '3']);
          for (const { name, parent_id: parent } of own) {
            assert.deepEqual([name, parent], ['## store', digits.slice(0, 16)]);
          }
          roots.add(root);
        }
        assert.equal(roots.size, 2);
        assert.doesNotMatch(lambda.output, /registerLambdaContext/);
        const stored = () => lambda.output.match(/STORED \d/g) ?? [];
        await waitFor(() => stored().length >= 2, 'the lines of the workers');
        assert.deepEqual(stored().sort(), ['STORED 1', 'STORED 3']);
      });
    }
  }
}
