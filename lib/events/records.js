'use strict';

/**
 * One record of an event, whatever its source: what names it, what its order is kept by, and its payload, decoded when
 * it is asked for.
 *
 * The same classes serve the handler and the workers. Between them only `raw` travels, the record as it stood in the
 * event, so that Base64 and JSON are decoded where the record is used, on all cores.
 *
 * May not know events, workers or answers. Runs in workers, too: it requires nothing at load time.
 */

/** @typedef {'kafka' | 'sqs' | 'kinesis' | 'dynamodb' | 's3' | 'sns'} Source */

/** `undefined`: not decoded yet. */
const UNKNOWN = undefined;

class LambdaRecord {
  /** @param {any} raw */
  constructor(raw) {
    this.raw = raw;
  }

  /** @returns {Source} */
  get source() {
    throw new Error('each source has its own');
  }

  /** What a partial batch response calls it. @returns {unknown} */
  get identifier() {
    throw new Error('each source has its own');
  }

  /** Records that have it in common are in order; `null` where the source has no order. @returns {string | null} */
  get groupKey() {
    return null;
  }

  /** Milliseconds since 1970; `undefined` where the record does not say. @returns {number | undefined} */
  get timestamp() {
    return undefined;
  }
}

/** A record whose payload is bytes, or text that is as good as bytes. */
class PayloadRecord extends LambdaRecord {
  /** @type {Buffer | null | undefined} */
  #bytes = UNKNOWN;
  /** @type {string | null | undefined} */
  #value = UNKNOWN;
  /** @type {unknown} */
  #json = UNKNOWN;

  /** @returns {Buffer | null} */
  get bytes() {
    if (this.#bytes === UNKNOWN) this.#bytes = this.decodeBytes();
    return this.#bytes;
  }

  /** The payload as text. @returns {string | null} */
  get value() {
    if (this.#value === UNKNOWN) this.#value = this.decodeText();
    return this.#value;
  }

  /** The payload as parsed JSON; `null` where there is none. */
  get json() {
    if (this.#json !== UNKNOWN) return this.#json;
    const text = this.value;
    try {
      return (this.#json = text === null ? null : JSON.parse(text));
    } catch (cause) {
      const { message } = /** @type {Error} */ (cause);
      throw new SyntaxError(`the ${this.source} record ${nameOf(this.identifier)} is no JSON: ${message}`, { cause });
    }
  }

  /** @protected @returns {Buffer | null} */
  decodeBytes() {
    const text = this.value;
    return text === null ? null : Buffer.from(text);
  }

  /** @protected @returns {string | null} */
  decodeText() {
    const bytes = this.bytes;
    return bytes === null ? null : bytes.toString('utf8');
  }
}

class KafkaRecord extends PayloadRecord {
  /** @override @returns {Source} */
  get source() {
    return 'kafka';
  }

  /** @override @returns {{ partition: string, offset: number }} */
  get identifier() {
    return { partition: /** @type {string} */ (this.groupKey), offset: this.raw.offset };
  }

  /** @override */
  get groupKey() {
    return `${this.raw.topic}-${this.raw.partition}`;
  }

  /** @override @returns {number | undefined} */
  get timestamp() {
    return this.raw.timestamp;
  }

  /** @returns {string} */
  get topic() {
    return this.raw.topic;
  }

  /** @returns {number} */
  get partition() {
    return this.raw.partition;
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

  /** By name, as text; of two with one name the last. @returns {Record<string, string>} */
  get headers() {
    const headers = Object.create(null);
    for (const each of this.raw.headers ?? []) {
      for (const [name, bytes] of Object.entries(each)) {
        headers[name] = Buffer.from(/** @type {number[]} */ (bytes)).toString('utf8');
      }
    }
    return headers;
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

  /** @override @returns {string} */
  get identifier() {
    return this.raw.kinesis.sequenceNumber;
  }

  /** @override */
  get groupKey() {
    // 'shardId-000000000006:49590338271490256608559692538361571095921575989136588898'
    const { eventID, eventSourceARN } = this.raw;
    const end = typeof eventID === 'string' ? eventID.lastIndexOf(':') : -1;
    return end > 0 ? eventID.slice(0, end) : (eventSourceARN ?? '');
  }

  /** @override */
  get timestamp() {
    return fromSeconds(this.raw.kinesis.approximateArrivalTimestamp);
  }

  /** @returns {string} */
  get partitionKey() {
    return this.raw.kinesis.partitionKey;
  }

  /** @override @protected */
  decodeBytes() {
    return fromBase64(this.raw.kinesis.data);
  }
}

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
    // Messages of a standard queue may have a group as well, for fairness: it says nothing about their order.
    return isFifo(this.raw) ? (this.raw.attributes?.MessageGroupId ?? '') : null;
  }

  /** @override */
  get timestamp() {
    const sent = Number(this.raw.attributes?.SentTimestamp);
    return Number.isNaN(sent) ? undefined : sent;
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

  /** @override @protected @returns {string} */
  decodeText() {
    return this.raw.Sns.Message;
  }
}

class DynamoDbRecord extends LambdaRecord {
  /** @type {Map<string, Record<string, unknown> | null>} */
  #images = new Map();

  /** @override @returns {Source} */
  get source() {
    return 'dynamodb';
  }

  /** @override @returns {string} */
  get identifier() {
    return this.raw.dynamodb.SequenceNumber;
  }

  /** The record does not name its shard; an event has records of one only. @override @returns {string} */
  get groupKey() {
    return this.raw.eventSourceARN ?? '';
  }

  /** @override */
  get timestamp() {
    return fromSeconds(this.raw.dynamodb.ApproximateCreationDateTime);
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
      image = attributes ? require('./attribute-values').itemOf(attributes) : null;
      this.#images.set(name, /** @type {any} */ (image));
    }
    return image;
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

/** @param {string | null | undefined} text */
function fromBase64(text) {
  return text === null || text === undefined ? null : Buffer.from(text, 'base64');
}

/** @param {unknown} seconds */
function fromSeconds(seconds) {
  return typeof seconds === 'number' ? Math.round(seconds * 1000) : undefined;
}

/** @param {unknown} date */
function fromDate(date) {
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** S3 writes keys as forms do. @param {string} key */
function decodeKey(key) {
  const text = key.replaceAll('+', ' ');
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * An identifier in a message.
 * @param {any} identifier
 */
function nameOf(identifier) {
  return typeof identifier === 'object' && identifier !== null
    ? `${identifier.partition}@${identifier.offset}`
    : String(identifier);
}

/** @type {Record<Source, new (raw: any) => LambdaRecord>} */
const CLASSES = {
  kafka: KafkaRecord,
  sqs: SqsRecord,
  kinesis: KinesisRecord,
  dynamodb: DynamoDbRecord,
  s3: S3Record,
  sns: SnsRecord,
};

/** Fields that records have in events, besides those above: functions that were written for these find them. */
const OWN_FIELDS = {
  kafka: ['timestampType'],
  sqs: ['messageId', 'receiptHandle', 'body', 'attributes', 'messageAttributes', 'md5OfBody', 'md5OfMessageAttributes'],
  kinesis: ['kinesis', 'eventID', 'eventName', 'eventVersion', 'invokeIdentityArn'],
  dynamodb: ['dynamodb', 'eventID', 'eventVersion', 'userIdentity'],
  s3: ['s3', 'eventTime', 'eventVersion', 'userIdentity', 'requestParameters', 'responseElements', 'glacierEventData'],
  sns: ['Sns', 'EventSource', 'EventVersion', 'EventSubscriptionArn'],
};
const COMMON_FIELDS = ['eventSource', 'eventSourceARN', 'awsRegion'];

for (const [source, fields] of Object.entries(OWN_FIELDS)) {
  for (const name of [...fields, ...COMMON_FIELDS]) {
    Object.defineProperty(CLASSES[/** @type {Source} */ (source)].prototype, name, {
      /** @this {LambdaRecord} */
      get() {
        return this.raw[name];
      },
      configurable: true,
    });
  }
}

/**
 * @param {Source} source @param {readonly unknown[]} raws
 * @returns {LambdaRecord[]}
 */
function wrapRecords(source, raws) {
  const Class = CLASSES[source];
  return raws.map((raw) => new Class(raw));
}

/**
 * Where records stand that are named by identifiers, or by themselves.
 * @param {readonly LambdaRecord[]} records @param {readonly unknown[]} named
 * @param {string} where they are named, for the message
 * @returns {number[]} each once, in order
 */
function positionsOf(records, named, where) {
  /** @type {Map<string, number[]>} A queue may deliver a message twice within one batch. */
  const places = new Map();
  for (const [i, record] of records.entries()) {
    const name = nameOf(record.identifier);
    const known = places.get(name);
    if (known === undefined) places.set(name, [i]);
    else known.push(i);
  }
  /** @type {Set<number>} */
  const positions = new Set();
  for (const each of named) {
    const identifier = each instanceof LambdaRecord ? each.identifier : each;
    const found = places.get(nameOf(identifier));
    if (found === undefined) {
      throw new TypeError(`${where} names ${nameOf(identifier)}, which is no record of this sub-batch`);
    }
    for (const i of found) positions.add(i);
  }
  return [...positions].sort((a, b) => a - b);
}

/**
 * The identifiers of records that are named so, or by themselves.
 * @param {readonly LambdaRecord[]} records @param {readonly unknown[]} named @param {string} where
 */
function identifiersOf(records, named, where) {
  return positionsOf(records, named, where).map((i) => records[i].identifier);
}

module.exports = { LambdaRecord, wrapRecords, positionsOf, identifiersOf, isFifo };
