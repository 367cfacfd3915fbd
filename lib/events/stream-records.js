'use strict';

/**
 * Records of streams, which are in order within a shard or partition: Kafka, Kinesis, DynamoDB.
 *
 * Lambda's event source mappings and EventBridge Pipes deliver them in different forms. Kinesis: Lambda has the fields
 * of the record below `kinesis`, Pipes has them beside the others; here they are found in both places. Kafka: a
 * partition may be a number or text, and Pipes may leave out the topic, which `eventSourceKey` names as well.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { LambdaRecord, PayloadRecord, defineFields, fromBase64, fromSeconds } = require('./record');

/** @typedef {import('./record').Source} Source */
/** @typedef {import('./records').RecordFormat} RecordFormat */

class KafkaRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'kafka';
  }

  /** @override @returns {{ partition: string, offset: number }} */
  get identifier() {
    return { partition: this.groupKey, offset: this.raw.offset };
  }

  /** @override @returns {string} */
  get groupKey() {
    return `${this.topic}-${this.raw.partition}`;
  }

  /** @override @returns {number | undefined} */
  get timestamp() {
    return this.raw.timestamp;
  }

  /** @returns {string} */
  get topic() {
    const { topic, eventSourceKey, partition } = this.raw;
    return topic ?? eventSourceKey.slice(0, -`-${partition}`.length);
  }

  /** @returns {number} */
  get partition() {
    return Number(this.raw.partition);
  }

  /** @returns {number} */
  get offset() {
    return this.raw.offset;
  }

  /** @returns {string | null} */
  get key() {
    return this.keyBytes?.toString('utf8') ?? null;
  }

  /** @returns {Buffer | null} */
  get keyBytes() {
    return fromBase64(this.raw.key);
  }

  /** By name, as text; of several with one name the last. @returns {Record<string, string>} */
  get headers() {
    const headers = Object.create(null);
    for (const each of this.raw.headers ?? []) {
      for (const [name, bytes] of Object.entries(each)) {
        headers[name] = Buffer.from(/** @type {number[]} */ (bytes)).toString('utf8');
      }
    }
    return headers;
  }

  /** @override @protected @param {string} name */
  carried(name) {
    return this.headers[name];
  }

  /** @override @protected */
  decodeBytes() {
    return fromBase64(this.raw.value);
  }
}

class KinesisRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'kinesis';
  }

  /** Lambda looks for the sequence number, Pipes for the event's. @override @returns {string} */
  get identifier() {
    const { kinesis, eventID, sequenceNumber } = this.raw;
    return kinesis === undefined ? (eventID ?? sequenceNumber) : kinesis.sequenceNumber;
  }

  /** @override @returns {string} */
  get groupKey() {
    // 'shardId-000000000006:49590338271490256608559692538361571095921575989136588898'
    const { eventID, eventSourceARN } = this.raw;
    const end = typeof eventID === 'string' ? eventID.lastIndexOf(':') : -1;
    return end > 0 ? eventID.slice(0, end) : (eventSourceARN ?? '');
  }

  /** @override */
  get timestamp() {
    return fromSeconds(this.kinesis.approximateArrivalTimestamp);
  }

  /** The stream's part of the record, in either form. @returns {any} */
  get kinesis() {
    return this.raw.kinesis ?? this.raw;
  }

  /** @returns {string} */
  get partitionKey() {
    return this.kinesis.partitionKey;
  }

  /** @returns {string} */
  get sequenceNumber() {
    return this.kinesis.sequenceNumber;
  }

  /** Base64. @returns {string} */
  get data() {
    return this.kinesis.data;
  }

  /** @override @protected */
  decodeBytes() {
    return fromBase64(this.data);
  }
}

/** In the year 5138; as milliseconds, in 1973. */
const MAX_SECONDS = 1e11;

class DynamoDbRecord extends LambdaRecord {
  /** @type {RecordFormat} */
  #format;
  /** @type {Map<string, Record<string, unknown> | null>} */
  #images = new Map();

  /** @param {any} raw @param {RecordFormat} format */
  constructor(raw, format) {
    super(raw);
    this.#format = format;
  }

  /** @override @returns {Source} */
  get source() {
    return 'dynamodb';
  }

  /** Lambda looks for the sequence number, Pipes for the event's. @override @returns {string} */
  get identifier() {
    return this.#format.piped ? (this.raw.eventID ?? this.sequenceNumber) : this.sequenceNumber;
  }

  /** The record does not name its shard; an event has records of one only. @override @returns {string} */
  get groupKey() {
    return this.raw.eventSourceARN ?? '';
  }

  /** @override */
  get timestamp() {
    const { ApproximateCreationDateTime: time, ApproximateCreationDateTimePrecision: precision } = this.raw.dynamodb;
    // A table's stream has seconds; a stream of Kinesis that a table writes to is finer, and need not say so.
    if (precision === 'MICROSECOND') return fromSeconds(time / 1e6);
    return fromSeconds(precision === 'MILLISECOND' || time > MAX_SECONDS ? time / 1e3 : time);
  }

  /** Within a record of Kinesis, that one's. @returns {string} */
  get sequenceNumber() {
    return this.raw.dynamodb.SequenceNumber ?? Reflect.get(this.outer ?? {}, 'sequenceNumber');
  }

  /** @returns {'INSERT' | 'MODIFY' | 'REMOVE'} */
  get eventName() {
    return this.raw.eventName;
  }

  get keys() {
    return this.#image('Keys');
  }

  get newImage() {
    return this.#image('NewImage');
  }

  get oldImage() {
    return this.#image('OldImage');
  }

  get value() {
    return { eventName: this.eventName, keys: this.keys, newImage: this.newImage, oldImage: this.oldImage };
  }

  /** @param {string} name */
  #image(name) {
    let image = this.#images.get(name);
    if (image === undefined) {
      const attributes = this.raw.dynamodb[name];
      const owner = `the dynamodb record ${this.sequenceNumber}`;
      image = attributes
        ? require('./attribute-values').decodeItem(attributes, this.#format.numbers, name, owner)
        : null;
      this.#images.set(name, /** @type {any} */ (image));
    }
    return image;
  }
}

const COMMON = ['eventSource', 'awsRegion', 'eventID', 'eventVersion'];

defineFields(KafkaRecord, [
  'timestampType', 'keySchemaMetadata', 'valueSchemaMetadata', 'eventSource', 'eventSourceArn', 'eventSourceKey',
  'bootstrapServers',
]);
defineFields(KinesisRecord, [...COMMON, 'eventSourceARN', 'eventName', 'invokeIdentityArn']);
defineFields(DynamoDbRecord, [
  ...COMMON, 'eventSourceARN', 'dynamodb', 'userIdentity', 'recordFormat', 'tableName',
]);

module.exports = { KafkaRecord, KinesisRecord, DynamoDbRecord };
