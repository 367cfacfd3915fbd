'use strict';

/** An event as Lambda makes it of a Kafka topic: records by partition, their values in base64. */

const TOPIC = 'invoices';

/** @param {{ records: number, partitions?: number, spoiled?: number[] }} options `spoiled`: records without an amount */
exports.makeEvent = ({ records, partitions = 4, spoiled = [] }) => {
  /** @type {import('./event-function.js').KafkaEvent} */
  const event = { eventSource: 'SelfManagedKafka', records: {} };
  for (let i = 0; i < records; i++) {
    const partition = i % partitions;
    const order = { invoice: `R-${i}`, customer: `customer ${i % 97}`, cents: spoiled.includes(i) ? null : 100 + i };
    const list = (event.records[`${TOPIC}-${partition}`] ??= []);
    const value = Buffer.from(JSON.stringify(order)).toString('base64');
    list.push({ topic: TOPIC, partition, offset: list.length, value });
  }
  return event;
};
