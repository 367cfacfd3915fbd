'use strict';

/**
 * What Lambda puts between a Kafka topic and a function: reads the topic as a consumer group, makes events of what it
 * reads, invokes the function, commits what the function has done, and delivers again what it has not.
 *
 * One event at a time, as Lambda does for one consumer; and here only when `poll` asks for one, so that a caller can
 * run two of these in turn. The function sees nothing but JSON.
 */

const { setTimeout: sleep } = require('node:timers/promises');
const { checkpoints, toRecord } = require('./lambda-event.js');

/** @typedef {import('./lambda-event.js').KafkaRecord} KafkaRecord */
/** @typedef {import('./lambda-event.js').KafkaEvent} KafkaEvent */

/** Lambda's limit for an event is 6 MB; what is not records is small. */
const MAXIMUM_EVENT_BYTES = 6_000_000 - 10_000;

/**
 * @typedef {object} Delivery what became of one event
 * @property {number} records that the event had
 * @property {number} redelivered of them, how many the function had been given before
 * @property {number} completed records that are done with, and committed
 * @property {number} milliseconds that the function took
 * @property {unknown} error that the function threw, if it did
 */

class EventSourceMapping {
  /** Resolves with the next thing that happens. */
  #change = Promise.resolve();
  #resolveChange = () => {};

  /**
   * @param {object} options
   * @param {import('kafkajs').Kafka} options.kafka
   * @param {string} options.bootstrapServers
   * @param {string} options.topic
   * @param {string} options.groupId
   * @param {number} [options.batchSize] most records of an event; Lambda allows 10,000
   * @param {number} [options.batchingWindow] milliseconds to wait for more records than there are
   * @param {number} [options.sessionTimeout] milliseconds after which a consumer that says nothing is given up
   * @param {(event: KafkaEvent) => Promise<unknown>} options.invoke
   */
  constructor({
    kafka, bootstrapServers, topic, groupId, batchSize = 100, batchingWindow = 500, sessionTimeout = 30_000, invoke,
  }) {
    this.bootstrapServers = bootstrapServers;
    this.topic = topic;
    this.batchSize = batchSize;
    this.batchingWindow = batchingWindow;
    this.invoke = invoke;
    this.heartbeatInterval = sessionTimeout / 10;
    this.consumer = kafka.consumer({
      groupId,
      sessionTimeout,
      rebalanceTimeout: sessionTimeout,
      heartbeatInterval: this.heartbeatInterval,
      maxWaitTimeInMs: 200,
    });
    /** What was read and is not done with, by partition. @type {Map<number, KafkaRecord[]>} */
    this.buffers = new Map();
    /** The offset behind the last record that the function was given, by partition. @type {Map<number, number>} */
    this.delivered = new Map();
    this.#announce();
  }

  async start() {
    const { consumer } = this;
    // After a rebalance everything comes anew from what is committed.
    consumer.on(consumer.events.GROUP_JOIN, () => this.buffers.clear());
    await consumer.connect();
    await consumer.subscribe({ topic: this.topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 64,
      eachBatch: (payload) => this.#receive(payload),
    });
    return this;
  }

  async stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.#announce();
    await this.consumer.disconnect();
  }

  /** Keeps what was read, and has kafkajs wait with the partition's next part until there is room for it. */
  async #receive(/** @type {import('kafkajs').EachBatchPayload} */ { batch: { partition, messages }, heartbeat, isStale, isRunning }) {
    const buffer = this.buffers.get(partition) ?? [];
    this.buffers.set(partition, buffer);
    for (const message of messages) buffer.push(toRecord(this.topic, partition, message));
    this.#announce();

    const stillFull = () => !this.stopped && isRunning() && !isStale() && buffer.length >= this.batchSize;
    while (stillFull()) {
      await Promise.race([this.#change, sleep(this.heartbeatInterval)]);
      await heartbeat();
    }
  }

  /** Wakes whoever waits for records, for room, or for the end. */
  #announce() {
    this.#resolveChange();
    this.#change = new Promise((resolve) => {
      this.#resolveChange = resolve;
    });
  }

  #waiting() {
    let records = 0;
    for (const buffer of this.buffers.values()) records += buffer.length;
    return records;
  }

  /** Waits for a full event, or for the end of the batching window if there is less to read. */
  async #fill() {
    while (!this.stopped && this.#waiting() === 0) await this.#change;
    const end = performance.now() + this.batchingWindow;
    while (!this.stopped && this.#waiting() < this.batchSize) {
      const left = end - performance.now();
      if (left <= 0) break;
      await Promise.race([this.#change, sleep(left)]);
    }
  }

  /** @returns {KafkaEvent} of each partition an equal share, as far as it has that much */
  #takeEvent() {
    /** @type {KafkaEvent} */
    const event = { eventSource: 'SelfManagedKafka', bootstrapServers: this.bootstrapServers, records: {} };
    const buffers = [...this.buffers].filter(([, buffer]) => buffer.length > 0);
    buffers.sort(([, left], [, right]) => left.length - right.length);

    let records = this.batchSize;
    let bytes = MAXIMUM_EVENT_BYTES;
    for (const [index, [partition, buffer]] of buffers.entries()) {
      const share = Math.ceil(records / (buffers.length - index));
      const taken = [];
      for (const record of buffer.slice(0, share)) {
        bytes -= JSON.stringify(record).length + 1;
        if (bytes < 0) break;
        taken.push(record);
      }
      if (taken.length > 0) event.records[`${this.topic}-${partition}`] = taken;
      records -= taken.length;
    }
    return event;
  }

  /**
   * One event, from its records to their commit.
   *
   * @returns {Promise<Delivery | null>} `null` after `stop`
   */
  async poll() {
    await this.#fill();
    if (this.stopped) return null;
    const event = this.#takeEvent();
    const text = JSON.stringify(event);

    let response;
    let error;
    const begin = performance.now();
    try {
      response = await this.invoke(JSON.parse(text));
    } catch (thrown) {
      error = thrown;
    }
    const milliseconds = performance.now() - begin;

    // A function that throws has done nothing, as far as Lambda can know.
    const outcome = error === undefined ? JSON.parse(JSON.stringify(response ?? null)) : UNKNOWN;
    return { ...(await this.#settle(event, checkpoints(event, outcome))), milliseconds, error };
  }

  /**
   * @param {KafkaEvent} event
   * @param {Map<string, number>} next
   */
  async #settle(event, next) {
    const outcome = { records: 0, redelivered: 0, completed: 0 };
    const offsets = [];
    for (const [name, records] of Object.entries(event.records)) {
      const { partition } = records[0];
      const resume = /** @type {number} */ (next.get(name));
      const known = this.delivered.get(partition) ?? 0;

      outcome.records += records.length;
      outcome.redelivered += records.filter(({ offset }) => offset < known).length;
      outcome.completed += records.filter(({ offset }) => offset < resume).length;
      this.delivered.set(partition, Math.max(known, records[records.length - 1].offset + 1));

      const buffer = this.buffers.get(partition);
      const done = buffer?.findIndex(({ offset }) => offset >= resume) ?? 0;
      buffer?.splice(0, done < 0 ? buffer.length : done);
      offsets.push({ topic: this.topic, partition, offset: String(resume) });
    }
    await this.consumer.commitOffsets(offsets);
    this.#announce();
    return outcome;
  }
}

/** Names no record, so that everything comes again. */
const UNKNOWN = { batchItemFailures: [{ itemIdentifier: null }] };

module.exports = { EventSourceMapping };
