'use strict';
// Events as Lambda's sources send them, what a response to one means, and what the workers of functions/store.js have
// stored.

const fs = require('node:fs');
const path = require('node:path');

const TOPIC = 'orders';
const base64 = (text) => Buffer.from(text).toString('base64');

/** @param {{ partition: number, offset: number, order?: object }[]} records */
function kafkaEvent(records) {
  const byPartition = {};
  for (const { partition, offset, order = {} } of records) {
    (byPartition[`${TOPIC}-${partition}`] ??= []).push({
      topic: TOPIC,
      partition,
      offset,
      timestamp: 1_767_225_600_000 + offset,
      timestampType: 'CREATE_TIME',
      key: base64(`customer-${offset % 97}`),
      value: base64(
        JSON.stringify({ customer: `customer-${offset % 97}`, lines: [{ article: 'a4711', count: 3 }], ...order }),
      ),
      headers: [{ source: [...Buffer.from('shop')] }],
    });
  }
  return { eventSource: 'aws:kafka', bootstrapServers: 'b-1.test:9092', records: byPartition };
}

/** @param {object[]} orders @param {{ fifo?: boolean, groups?: number }} [queue] message `i` has the id `message-i` */
function sqsEvent(orders, { fifo = false, groups = 10 } = {}) {
  return {
    Records: orders.map((order, i) => ({
      messageId: `message-${i}`,
      receiptHandle: 'handle',
      body: JSON.stringify({ customer: `customer-${i % 97}`, ...order }),
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: String(1_767_225_600_000 + i),
        ...(fifo ? { MessageGroupId: `group-${i % groups}`, SequenceNumber: String(10n ** 19n + BigInt(i)) } : {}),
      },
      messageAttributes: {},
      eventSource: 'aws:sqs',
      eventSourceARN: `arn:aws:sqs:eu-central-1:123456789012:orders${fifo ? '.fifo' : ''}`,
      awsRegion: 'eu-central-1',
    })),
  };
}

/** `records` spread over `partitions`, the first of each at offset `first`. */
function spread(records, partitions, first = 0) {
  return Array.from({ length: records }, (_, i) => ({
    partition: i % partitions,
    offset: first + Math.floor(i / partitions),
  }));
}

/** The offset from which each partition in a response resumes: { 'orders-0': 17 }. */
function checkpoints({ batchItemFailures }) {
  return Object.fromEntries(batchItemFailures.map(({ itemIdentifier: { partition, offset } }) => [partition, offset]));
}

/**
 * What the workers stored during an invocation, in the order in which they did: { requestId, group, id }.
 * @param {{ tmp: string }} environment @param {string} requestId
 */
function stored({ tmp }, requestId) {
  return fs
    .readdirSync(tmp)
    .filter((name) => name.startsWith(`stored-${requestId}-`))
    .flatMap((name) => fs.readFileSync(path.join(tmp, name), 'utf8').split('\n').filter(Boolean))
    .map((line) => JSON.parse(line))
    .sort((one, other) => (BigInt(one.at) < BigInt(other.at) ? -1 : 1));
}

module.exports = { TOPIC, checkpoints, kafkaEvent, spread, sqsEvent, stored };
