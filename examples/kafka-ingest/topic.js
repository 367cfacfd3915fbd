'use strict';

/** Fills the topic. */

const { Partitioners } = require('kafkajs');
const { makeMessage } = require('./telemetry.js');

const TOPIC = 'telemetry';
/** What one request to the broker holds. */
const PER_REQUEST = 1000;

/**
 * @param {import('kafkajs').Kafka} kafka
 * @param {number} records
 * @returns {Promise<Map<number, number>>} how many records each partition has
 */
async function produce(kafka, records) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  try {
    for (let first = 0; first < records; first += PER_REQUEST) {
      const length = Math.min(PER_REQUEST, records - first);
      const messages = Array.from({ length }, (_, index) => makeMessage(first + index));
      await producer.send({ topic: TOPIC, messages });
    }
  } finally {
    await producer.disconnect();
  }
  return countRecords(kafka, records);
}

/**
 * The broker keeps 5 MiB of a partition, and drops what is older: then nobody could count what has got lost.
 *
 * @param {import('kafkajs').Kafka} kafka
 * @param {number} expected
 */
async function countRecords(kafka, expected) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const partitions = await admin.fetchTopicOffsets(TOPIC);
    const kept = partitions.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
    if (kept < expected) {
      throw new RangeError(`the broker, which is one for tests, has room for ${kept} of ${expected} records: ask for fewer`);
    }
    return new Map(partitions.map(({ partition, high }) => [partition, Number(high)]));
  } finally {
    await admin.disconnect();
  }
}

module.exports = { TOPIC, produce };
