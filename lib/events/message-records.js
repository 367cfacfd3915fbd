'use strict';

/**
 * Messages and notifications: SQS, SNS, Amazon MQ (ActiveMQ, RabbitMQ) and S3. Of these only FIFO queues of SQS promise
 * an order that has to be kept.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { LambdaRecord, PayloadRecord, defineFields, fromBase64, fromDate } = require('./record');

/** @typedef {import('./record').Source} Source */

class SqsRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'sqs';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.messageId;
  }

  /** @override @returns {string | null} */
  get groupKey() {
    // Messages of a standard queue may have a group too, for fairness: it says nothing about their order.
    return isFifo(this.raw) ? (this.raw.attributes?.MessageGroupId ?? '') : null;
  }

  /** @override */
  get timestamp() {
    const sent = Number(this.raw.attributes?.SentTimestamp);
    return Number.isNaN(sent) ? undefined : sent;
  }

  /** @override @protected @param {string} name @returns {unknown} */
  carried(name) {
    return this.raw.messageAttributes?.[name]?.stringValue;
  }

  /** @override @protected @returns {unknown} */
  carriedByXRay() {
    return this.raw.attributes?.AWSTraceHeader;
  }

  /** @override @protected @returns {string} */
  decodeText() {
    return this.raw.body;
  }
}

class SnsRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'sns';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.Sns.MessageId;
  }

  /** @override */
  get timestamp() {
    return fromDate(this.raw.Sns.Timestamp);
  }

  /** @returns {string | null} */
  get subject() {
    return this.raw.Sns.Subject ?? null;
  }

  /** @override @protected @param {string} name @returns {unknown} */
  carried(name) {
    return this.raw.Sns.MessageAttributes?.[name]?.Value;
  }

  /** @override @protected @returns {string} */
  decodeText() {
    return this.raw.Sns.Message;
  }
}

class ActiveMqRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'activemq';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.messageID;
  }

  /** @override @returns {number | undefined} */
  get timestamp() {
    return this.raw.timestamp;
  }

  /** @returns {string | null} */
  get queue() {
    // Lambda's events and those of Pipes spell it differently.
    const { physicalName, physicalname } = this.raw.destination ?? {};
    return physicalName ?? physicalname ?? null;
  }

  /** @override @protected @param {string} name @returns {unknown} */
  carried(name) {
    return this.raw.properties?.[name];
  }

  /** @override @protected */
  decodeBytes() {
    return fromBase64(this.raw.data);
  }
}

class RabbitMqRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'rabbitmq';
  }

  /** Publishers need not give one. @override @returns {string | null} */
  get identifier() {
    return this.raw.basicProperties?.messageId ?? null;
  }

  /** @override */
  get timestamp() {
    // 'Jan 1, 1970, 12:33:41 AM', in UTC; newer versions of Java put a narrow space before the last word.
    const { timestamp } = this.raw.basicProperties ?? {};
    return typeof timestamp === 'string' ? fromDate(`${timestamp.replace(/\s/g, ' ')} UTC`) : undefined;
  }

  /** @returns {string | null} */
  get queue() {
    // 'orders::/', the virtual host last.
    const { eventSourceKey } = this.raw;
    return typeof eventSourceKey === 'string' ? eventSourceKey.split('::', 1)[0] : null;
  }

  /** @override @protected @param {string} name @returns {unknown} */
  carried(name) {
    const value = this.raw.basicProperties?.headers?.[name];
    return Array.isArray(value?.bytes) ? Buffer.from(value.bytes).toString('utf8') : value;
  }

  /** @override @protected */
  decodeBytes() {
    return fromBase64(this.raw.data);
  }
}

class S3Record extends LambdaRecord {
  /** @override @returns {Source} */
  get source() {
    return 's3';
  }

  /** @override */
  get identifier() {
    const { bucket, key, versionId } = this.value;
    return `${bucket}/${key}${versionId === null ? '' : `?versionId=${versionId}`}`;
  }

  /** @override */
  get timestamp() {
    return fromDate(this.raw.eventTime);
  }

  /** @returns {string} */
  get eventName() {
    return this.raw.eventName;
  }

  get value() {
    const { bucket, object } = this.raw.s3;
    return {
      eventName: this.eventName,
      /** @type {string} */
      bucket: bucket.name,
      key: decodeKey(object.key),
      /** @type {number | null} */
      size: object.size ?? null,
      /** @type {string | null} */
      eTag: object.eTag ?? null,
      /** @type {string | null} */
      versionId: object.versionId ?? null,
      /** @type {string | null} */
      sequencer: object.sequencer ?? null,
    };
  }
}

/** @param {any} raw an SQS record */
function isFifo({ eventSourceARN }) {
  return typeof eventSourceARN === 'string' && eventSourceARN.endsWith('.fifo');
}

/**
 * S3 writes keys as forms do: a space as `+`, whatever is not ASCII as `%xx`.
 * @param {string} key
 */
function decodeKey(key) {
  // S3 leaves no such character: this key has been decoded before, and a `+` in it is a plus.
  if (/[^!-~]/.test(key)) return key;
  const text = key.replaceAll('+', ' ');
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const COMMON = ['eventSource', 'eventSourceARN', 'awsRegion'];
const BROKER = ['eventSource', 'eventSourceArn', 'eventSourceKey', 'data', 'redelivered'];

defineFields(SqsRecord, [
  ...COMMON, 'messageId', 'receiptHandle', 'body', 'attributes', 'messageAttributes', 'md5OfBody',
  'md5OfMessageAttributes',
]);
defineFields(SnsRecord, ['Sns', 'EventSource', 'EventVersion', 'EventSubscriptionArn']);
defineFields(ActiveMqRecord, [
  ...BROKER, 'messageID', 'messageType', 'connectionId', 'persistent', 'destination', 'brokerInTime', 'brokerOutTime',
  'properties',
]);
defineFields(RabbitMqRecord, [...BROKER, 'basicProperties']);
defineFields(S3Record, [
  ...COMMON, 's3', 'eventTime', 'eventVersion', 'userIdentity', 'requestParameters', 'responseElements',
  'glacierEventData', 'replicationEventData', 'lifecycleEventData', 'intelligentTieringEventData',
]);

module.exports = { decodeKey, SqsRecord, SnsRecord, ActiveMqRecord, RabbitMqRecord, S3Record };
