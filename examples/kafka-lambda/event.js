'use strict';

/**
 * Kafka events as Lambda's event source mapping delivers them: records grouped under
 * `topic-partition`, keys and values base64, header values as lists of signed bytes.
 *
 * Everything follows from the seed, so that every competitor can be given the same orders
 * and must come to the same rows.
 */

const { createHash } = require('node:crypto');
const { FIRST_NAMES, LAST_NAMES } = require('./names.js');

/**
 * @typedef {object} KafkaRecord
 * @property {string} topic
 * @property {number} partition
 * @property {number} offset
 * @property {number} timestamp
 * @property {'CREATE_TIME' | 'LOG_APPEND_TIME'} timestampType
 * @property {string} key base64
 * @property {string} value base64
 * @property {Record<string, number[]>[]} headers
 */

/**
 * @typedef {object} KafkaEvent
 * @property {'aws:kafka' | 'SelfManagedKafka'} eventSource
 * @property {string} eventSourceArn
 * @property {string} bootstrapServers
 * @property {Record<string, KafkaRecord[]>} records
 */

const EPOCH = Date.UTC(2025, 0, 6, 8);
const CURRENCIES = ['EUR', 'USD', 'GBP', 'SEK', 'PLN', 'JPY'];
const COUNTRIES = ['DE', 'ES', 'FR', 'GB', 'IT', 'JP', 'PL', 'PT', 'SE', 'US'];
const TAX_BASIS_POINTS = [0, 550, 700, 1000, 1900, 2100, 2500];
const DEFECTS = ['truncated', 'tampered', 'incomplete'];

/**
 * mulberry32: small, fast, and the same numbers on every machine.
 *
 * @param {number} seed
 * @returns {() => number} uniform in [0, 1)
 */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * @param {() => number} random
 * @param {boolean} screened whether an upstream service has already screened the customer
 */
function makeOrder(random, screened) {
  const integer = (/** @type {number} */ below) => Math.floor(random() * below);
  const pick = (/** @type {any[]} */ list) => list[integer(list.length)];

  const firstName = pick(FIRST_NAMES);
  const lastName = pick(LAST_NAMES);
  const country = pick(COUNTRIES);
  return {
    orderId: `o-${integer(2 ** 32).toString(16).padStart(8, '0')}`,
    placedAt: new Date(EPOCH + integer(86_400_000)).toISOString(),
    customer: {
      name: `${firstName} ${lastName}`,
      email: `${firstName}.${lastName}.${integer(1000)}@example.com`.toLowerCase(),
      country,
    },
    // One order in ten is shipped somewhere else.
    shipTo: random() < 0.1 ? pick(COUNTRIES) : country,
    screened,
    currency: pick(CURRENCIES),
    lines: Array.from({ length: 1 + integer(4) }, () => ({
      sku: `sku-${integer(100_000)}`,
      quantity: 1 + integer(5),
      unitPrice: 99 + integer(50_000),
      tax: pick(TAX_BASIS_POINTS),
    })),
  };
}

/**
 * What a producer with a bug sends now and then.
 *
 * @param {ReturnType<typeof makeOrder>} order
 * @param {string | undefined} defect
 */
function encodeOrder(order, defect) {
  if (defect === 'incomplete') return JSON.stringify({ ...order, lines: [] });
  const text = JSON.stringify(order);
  return defect === 'truncated' ? text.slice(0, text.length / 2) : text;
}

/** @param {string} text */
const checksum = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);

/**
 * Header values are Java bytes on the way here, hence signed.
 *
 * @param {string} name
 * @param {string} value
 */
const header = (name, value) => ({ [name]: [...new Int8Array(Buffer.from(value))] });

/** @param {() => number} random */
function traceparent(random) {
  const hex = (/** @type {number} */ digits) => Array.from(
    { length: digits },
    () => Math.floor(random() * 16).toString(16),
  ).join('');
  return `00-${hex(32)}-${hex(16)}-01`;
}

/**
 * 5,000 of these records are about 4.5 MB as JSON; Lambda's limit for an event is 6 MB.
 *
 * @param {object} [options]
 * @param {number} [options.records]
 * @param {number} [options.seed]
 * @param {string} [options.topic]
 * @param {number} [options.partitions]
 * @param {number} [options.firstOffset] in every partition
 * @param {boolean} [options.screened] orders that need no screening any more: cheap records
 * @returns {KafkaEvent}
 */
function makeEvent({
  records = 5000, seed = 1, topic = 'orders', partitions = 4, firstOffset = 0, screened = false,
} = {}) {
  const random = randomFrom(seed);
  /** @type {KafkaEvent['records']} */
  const byPartition = {};

  for (let index = 0; index < records; index += 1) {
    const partition = Math.floor(random() * partitions);
    const list = (byPartition[`${topic}-${partition}`] ??= []);

    const order = makeOrder(random, screened);
    const defect = random() < 0.01 ? DEFECTS[Math.floor(random() * DEFECTS.length)] : undefined;
    const text = encodeOrder(order, defect);

    list.push({
      topic,
      partition,
      offset: firstOffset + list.length,
      timestamp: EPOCH + index,
      timestampType: 'CREATE_TIME',
      key: Buffer.from(order.orderId).toString('base64'),
      value: Buffer.from(text).toString('base64'),
      headers: [
        header('checksum', checksum(defect === 'tampered' ? `${text} ` : text)),
        header('traceparent', traceparent(random)),
      ],
    });
  }

  return {
    eventSource: 'aws:kafka',
    eventSourceArn: 'arn:aws:kafka:eu-west-1:123456789012:cluster/orders/5f1c1b0e-8a53-4d43-9b0c-0d6a4f0e6d3a-2',
    bootstrapServers: 'b-1.orders.abc123.c2.kafka.eu-west-1.amazonaws.com:9094,'
      + 'b-2.orders.abc123.c2.kafka.eu-west-1.amazonaws.com:9094',
    records: byPartition,
  };
}

/**
 * @param {KafkaEvent} event
 * @returns {KafkaRecord[]} each partition's records in their order
 */
const recordsOf = (event) => Object.values(event.records).flat();

module.exports = { makeEvent, recordsOf };
