'use strict';

/**
 * The two texts that Lambda and a function on a Kafka topic exchange: the event, and the partial batch response to it.
 * This is Lambda's side of it; it knows nothing of what the function does.
 */

/**
 * @typedef {object} KafkaRecord
 * @property {string} topic
 * @property {number} partition
 * @property {number} offset
 * @property {number} timestamp
 * @property {'CREATE_TIME' | 'LOG_APPEND_TIME'} timestampType
 * @property {string} key base64
 * @property {string} value base64
 * @property {Record<string, number[]>[]} headers values as lists of signed bytes, as Java has them
 */

/**
 * @typedef {object} KafkaEvent
 * @property {'SelfManagedKafka'} eventSource
 * @property {string} bootstrapServers
 * @property {Record<string, KafkaRecord[]>} records by `topic-partition`, in the order of their offsets
 */

/** @param {Buffer | string | null | undefined} bytes */
const base64 = (bytes) => Buffer.from(bytes ?? '').toString('base64');

/**
 * @param {string} topic
 * @param {number} partition
 * @param {import('kafkajs').KafkaMessage} message
 * @returns {KafkaRecord}
 */
function toRecord(topic, partition, { offset, timestamp, key, value, headers }) {
  return {
    topic,
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    timestampType: 'CREATE_TIME',
    key: base64(key),
    value: base64(value),
    headers: Object.entries(headers ?? {}).flatMap(([name, values]) => [values ?? ''].flat().map((one) => ({
      [name]: [...new Int8Array(Buffer.from(one))],
    }))),
  };
}

/**
 * From where each partition of an event is to be delivered next: behind its last record, or from the offset that the
 * response names. A response that cannot be understood is the failure of the whole event, as it is for Lambda.
 *
 * @param {KafkaEvent} event
 * @param {unknown} response
 * @returns {Map<string, number>} offsets by `topic-partition`
 */
function checkpoints(event, response) {
  const whole = Object.entries(event.records);
  const next = new Map(whole.map(([name, records]) => [name, records[records.length - 1].offset + 1]));

  const failures = /** @type {any} */ (response)?.batchItemFailures ?? [];
  for (const failure of failures) {
    const { partition, offset } = failure?.itemIdentifier ?? {};
    const known = event.records[partition]?.some((record) => record.offset === offset);
    if (!known) return new Map(whole.map(([name, records]) => [name, records[0].offset]));
    next.set(partition, Math.min(next.get(partition) ?? offset, offset));
  }
  return next;
}

module.exports = { toRecord, checkpoints };
