'use strict';

/**
 * The records of an event, whatever their source: made from their raw form in the handler and again in each worker, and
 * found by what they are called.
 *
 * Must not depend on events, workers or answers. Runs in workers too: the classes of a source are loaded when its first
 * record is made, since a worker sees one source only.
 */

const { blankOf, keepOnce } = require('../intrinsics/keep');
const { LambdaRecord, asInner, nameOf } = require('./record');
const { traceparentOf } = require('./trace-context');

/** @typedef {import('./record').Source} Source */
/** @typedef {InstanceType<typeof LambdaRecord>} AnyRecord */

/**
 * What there is to know beside the raw form, the same for all records of an event.
 * @typedef {object} RecordFormat
 * @property {Source} source
 * @property {boolean} piped whether EventBridge Pipes delivered it, not Lambda's event source mapping
 * @property {import('./attribute-values').Numbers} numbers
 */

/** @param {Source} source @returns {new (raw: any, format: RecordFormat) => AnyRecord} */
function classOf(source) {
  switch (source) {
    case 'kafka':
      return require('./stream-records').KafkaRecord;
    case 'kinesis':
      return require('./stream-records').KinesisRecord;
    case 'dynamodb':
      return require('./stream-records').DynamoDbRecord;
    case 'sqs':
      return require('./message-records').SqsRecord;
    case 'sns':
      return require('./message-records').SnsRecord;
    case 'activemq':
      return require('./message-records').ActiveMqRecord;
    case 'rabbitmq':
      return require('./message-records').RabbitMqRecord;
    case 's3':
      return require('./message-records').S3Record;
    case 'firehose':
      return require('./task-records').FirehoseRecord;
    case 's3-batch':
      return require('./task-records').S3BatchRecord;
    case 'documentdb':
      return require('./task-records').DocumentDbRecord;
    case 'cloudwatch-logs':
      return require('./inner-records').CloudWatchLogsRecord;
    case 'eventbridge':
      return require('./inner-records').EventBridgeRecord;
  }
}

/**
 * @param {RecordFormat} format @param {readonly unknown[]} raws
 * @returns {AnyRecord[]}
 */
function wrapRecords(format, raws) {
  const Class = classOf(format.source);
  const first = raws[0];
  if (typeof first === 'object' && first !== null) {
    keepOnce(`${format.source} with ${Object.keys(first)}`, () => new Class(blankOf(first), format));
  }
  return raws.map((raw) => new Class(raw, format));
}

/** @param {RecordFormat} format @param {unknown} raw */
function wrapRecord(format, raw) {
  return new (classOf(format.source))(raw, format);
}

/**
 * Whether something is a record, and not what identifies one. By its shape: it may be of another copy of this library,
 * or of another realm, such as Jest's.
 * @param {unknown} value
 * @returns {value is AnyRecord}
 */
function isRecord(value) {
  return typeof value === 'object' && value !== null && 'raw' in value && 'identifier' in value;
}

/**
 * A record that stands in another one.
 * @param {Source} source @param {unknown} raw @param {AnyRecord} outer
 * @param {import('./attribute-values').Numbers} [numbers]
 */
function wrapInner(source, raw, outer, numbers = 'exact') {
  return asInner(new (classOf(source))(raw, { source, piped: false, numbers }), outer);
}

/** One of an aggregate's records. @param {any} raw @param {Buffer} data @param {AnyRecord} outer */
function wrapUserRecord(raw, data, outer) {
  const { UserRecord } = require('./inner-records');
  return asInner(new UserRecord(raw, data), outer);
}

/**
 * Where records stand that are given by their identifiers, or as records.
 * @param {readonly AnyRecord[]} records @param {readonly unknown[]} named
 * @param {string} where they are named, for the message
 * @returns {number[]} each once, in order
 */
function positionsOf(records, named, where) {
  const places = placesBy(records, (record) => nameOf(record.identifier));
  /** @type {typeof places[] | null} */
  let aliases = null;
  /** @type {Set<number>} */
  const positions = new Set();
  for (const each of named) {
    const name = nameOf(isRecord(each) ? each.identifier : each);
    let found = places.get(name);
    if (found === undefined) {
      // A function that was written for Lambda's events names records of a stream by their sequence numbers, also where
      // Pipes delivers them; and the other way round.
      aliases ??= ['sequenceNumber', 'eventID'].map((field) =>
        placesBy(records, (record) => Reflect.get(record, field)));
      found = aliases.find((alias) => alias.has(name))?.get(name);
    }
    if (found === undefined) throw new TypeError(`${where} names ${name}, which is no record of this sub-batch`);
    for (const i of found) positions.add(i);
  }
  return [...positions].sort((a, b) => a - b);
}

/**
 * @param {readonly AnyRecord[]} records @param {(record: AnyRecord) => string | undefined} name
 * @returns {Map<string, number[]>} lists, since a queue may deliver a message twice within one batch
 */
function placesBy(records, name) {
  /** @type {Map<string, number[]>} */
  const places = new Map();
  for (const [i, record] of records.entries()) {
    const key = name(record);
    if (key === undefined) continue;
    const known = places.get(key);
    if (known === undefined) places.set(key, [i]);
    else known.push(i);
  }
  return places;
}

/**
 * The identifiers of records that are given by any of their names, or as records.
 * @param {readonly AnyRecord[]} records @param {readonly unknown[]} named @param {string} where
 */
function identifiersOf(records, named, where) {
  return positionsOf(records, named, where).map((i) => records[i].identifier);
}

module.exports = {
  LambdaRecord, classOf, identifiersOf, nameOf, positionsOf, traceparentOf, wrapInner, wrapRecord, wrapRecords,
  wrapUserRecord,
};
