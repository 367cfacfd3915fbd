'use strict';

/**
 * Events that Lambda's sources send, and the records in them.
 *
 * May not know what becomes of the records.
 */

const { isList, isObject } = require('../options/option-checks');
const { eventError } = require('../errors');
const { isFifo, wrapRecords } = require('../events/records');

/** @typedef {import('../events/records').Source} Source */
/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */

/**
 * @typedef {object} Kind
 * @property {Source} source
 * @property {[path: readonly string[], type: 'string' | 'number'][]} required what a record cannot do without
 */

/** By what a record says in `eventSource` (SNS: `EventSource`). */
const KINDS = new Map(
  /** @type {[string, Kind][]} */ ([
    ['aws:sqs', { source: 'sqs', required: [[['messageId'], 'string'], [['body'], 'string']] }],
    ['aws:kinesis', { source: 'kinesis', required: [[['kinesis', 'sequenceNumber'], 'string'], [['kinesis', 'data'], 'string']] }],
    ['aws:dynamodb', { source: 'dynamodb', required: [[['dynamodb', 'SequenceNumber'], 'string']] }],
    ['aws:s3', { source: 's3', required: [[['s3', 'bucket', 'name'], 'string'], [['s3', 'object', 'key'], 'string']] }],
    ['aws:sns', { source: 'sns', required: [[['Sns', 'MessageId'], 'string'], [['Sns', 'Message'], 'string']] }],
  ]),
);

/** @type {Kind} */
const KAFKA = { source: 'kafka', required: [[['topic'], 'string'], [['partition'], 'number'], [['offset'], 'number']] };
const KAFKA_SOURCES = ['aws:kafka', 'SelfManagedKafka'];

const EXPECTED = 'an event of Kafka (MSK or self-managed), SQS, Kinesis, DynamoDB streams, S3 or SNS';

/**
 * What an event holds.
 * @typedef {object} Contents
 * @property {Source | null} source `null`: it has no records, which alone tell
 * @property {boolean} isFifo whether it is of an SQS queue that is one
 * @property {unknown[]} raws the records as they stand in the event
 * @property {LambdaRecord[]} records
 */

/**
 * @param {unknown} event
 * @returns {Contents}
 */
function readEvent(event) {
  if (!isObject(event)) throw eventError('event', event, `must be ${EXPECTED}`);
  const { eventSource, records, Records } = /** @type {Record<string, unknown>} */ (event);
  if (KAFKA_SOURCES.includes(/** @type {string} */ (eventSource))) return readKafka(records);
  if (!isList(Records)) {
    const named = typeof eventSource === 'string' ? ` of '${eventSource}'` : '';
    const keys = Object.keys(event).slice(0, 10).join(', ');
    throw eventError('event', undefined, `must be ${EXPECTED}, and is one${named} without "Records" (it has: ${keys || 'nothing'})`);
  }
  if (Records.length === 0) return { source: null, isFifo: false, raws: [], records: [] };
  const first = sourceOf(Records[0]);
  const kind = KINDS.get(String(first));
  if (kind === undefined) {
    throw eventError('event.Records[0].eventSource', first, `must be one of ${[...KINDS.keys()].join(', ')}`);
  }
  for (const [i, raw] of Records.entries()) {
    if (sourceOf(raw) !== first) {
      throw eventError(`event.Records[${i}].eventSource`, sourceOf(raw), `must be '${first}', as that of the first record`);
    }
    check(raw, kind, () => `event.Records[${i}]`);
  }
  return {
    source: kind.source,
    isFifo: kind.source === 'sqs' && isFifo(Records[0]),
    raws: Records,
    records: wrapRecords(kind.source, Records),
  };
}

/** @param {unknown} byPartition @returns {Contents} */
function readKafka(byPartition) {
  if (!isObject(byPartition) || isList(byPartition)) {
    throw eventError('event.records', byPartition, "must be an object with a list of records per partition, such as 'topic-0'");
  }
  /** @type {unknown[]} */
  const raws = [];
  for (const [partition, list] of Object.entries(byPartition)) {
    if (!isList(list)) throw eventError(`event.records['${partition}']`, list, 'must be a list of records');
    for (const [i, raw] of list.entries()) {
      check(raw, KAFKA, () => `event.records['${partition}'][${i}]`);
      raws.push(raw);
    }
  }
  return { source: 'kafka', isFifo: false, raws, records: wrapRecords('kafka', raws) };
}

/** @param {any} raw */
function sourceOf(raw) {
  return isObject(raw) ? (Reflect.get(raw, 'eventSource') ?? Reflect.get(raw, 'EventSource')) : undefined;
}

/**
 * What names a record must be there: an answer that names none fails the whole batch.
 * @param {any} raw @param {Kind} kind @param {() => string} place
 */
function check(raw, { required }, place) {
  if (!isObject(raw)) throw eventError(place(), raw, 'must be a record');
  for (const [path, type] of required) {
    /** @type {any} */
    let value = raw;
    for (const key of path) value = value?.[key];
    const isGood = type === 'number' ? Number.isSafeInteger(value) : typeof value === 'string';
    if (!isGood) throw eventError(`${place()}.${path.join('.')}`, value, `must be ${type === 'number' ? 'an integer' : 'a string'}`);
  }
}

/**
 * The records of an event as one list.
 * @param {unknown} event
 * @returns {LambdaRecord[]}
 */
function records(event) {
  return readEvent(event).records;
}

module.exports = { readEvent, records };
