'use strict';

/**
 * The events that Lambda's sources and EventBridge Pipes send, and the records in them.
 *
 * | what sends it | the event |
 * |---|---|
 * | SQS, Kinesis, DynamoDB, S3, SNS | `{ Records: [record, …] }` |
 * | Kafka | `{ eventSource, records: { 'topic-0': [record, …] } }` |
 * | ActiveMQ | `{ eventSource, eventSourceArn, messages: [record, …] }` |
 * | RabbitMQ | `{ eventSource, eventSourceArn, rmqMessagesByQueue: { 'queue::/': [record, …] } }` |
 * | Pipes | `[record, …]`, each with its `eventSource` |
 * | Firehose, S3 Batch Operations, DocumentDB, CloudWatch Logs | see whole-events.js |
 *
 * Must not depend on what becomes of the records.
 */

const { isList, isObject } = require('../options/option-checks');
const { eventError } = require('../errors');
const { wrapRecords } = require('../events/records');
const { PARSED, checkRecords } = require('./record-checks');
const { decodingOptions } = require('./options');

/** @typedef {import('../events/record').Source} Source */
/** @typedef {import('../events/records').RecordFormat} RecordFormat */
/** @typedef {import('../events/attribute-values').Numbers} Numbers */
/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */

/**
 * What `eventSource` says (SNS: `EventSource`) in records and events.
 * @type {Map<string, Source>}
 */
const SOURCES = new Map([
  ['aws:sqs', 'sqs'],
  ['aws:kinesis', 'kinesis'],
  ['aws:dynamodb', 'dynamodb'],
  ['aws:s3', 's3'],
  ['aws:sns', 'sns'],
  ['aws:kafka', 'kafka'],
  ['aws:mq', 'activemq'],
  ['aws:amq', 'activemq'],
  ['aws:rmq', 'rabbitmq'],
]);

/** Events have `SelfManagedKafka`, AWS's samples several spellings. */
const SELF_MANAGED_KAFKA = /^(?:aws:)?self-?managed-?(?:apache-?)?kafka$/i;

/** Sources whose events have `Records`. */
const LISTED = ['aws:sqs', 'aws:kinesis', 'aws:dynamodb', 'aws:s3', 'aws:sns'];
/** Sources of pipes. */
const PIPED = ['aws:sqs', 'aws:kinesis', 'aws:dynamodb', 'aws:kafka', 'SelfManagedKafka', 'aws:amq', 'aws:rmq'];

const EXPECTED =
  'an event of Kafka (MSK or self-managed), SQS, Kinesis, DynamoDB streams, S3, SNS, Amazon MQ, DocumentDB, ' +
  'CloudWatch Logs, Firehose or S3 Batch Operations, or the list of records that EventBridge Pipes sends';

/** What an event holds. (A class, because a getter in a literal costs a hidden class, which keeps the event alive.) */
class Contents {
  /** @type {LambdaRecord[] | null} */
  #records = null;

  /**
   * @param {RecordFormat | null} format `null`: there are no records, which alone would tell
   * @param {unknown[]} raws the records as they stood in the event
   */
  constructor(format, raws) {
    this.format = format;
    this.raws = raws;
  }

  /** Made when they are first asked for. */
  get records() {
    if (this.#records === null) {
      this.#records = this.format === null ? [] : wrapRecords(this.format, this.raws);
    }
    return this.#records;
  }
}

/**
 * @param {unknown} event
 * @param {Numbers} [numbers]
 * @returns {Contents}
 */
function readEvent(event, numbers = 'exact') {
  const found = isList(event) ? readList(event, 'event', true) : readObject(event);
  if (found === null) return new Contents(null, []);
  const { source, raws, piped } = found;
  return new Contents({ source, piped, numbers }, raws);
}

/** @typedef {{ source: Source, raws: unknown[], piped: boolean }} Found */

/** @param {unknown} event @returns {Found | null} */
function readObject(event) {
  if (!isObject(event)) throw eventError('event', event, `must be ${EXPECTED}`);
  /** @type {Record<string, unknown>} */
  const { eventSource, records, messages, rmqMessagesByQueue, Records } = { ...event };
  const source = sourceNamed(eventSource);
  if (source === 'kafka') return readGroups(records, 'event.records', 'kafka', 'partition', "'topic-0'");
  const isBroker = source === 'activemq' || source === 'rabbitmq';
  if (isBroker && isList(messages)) return readBroker(event, 'activemq', readMessages(messages));
  if (isBroker && rmqMessagesByQueue !== undefined) {
    const place = 'event.rmqMessagesByQueue';
    return readBroker(event, 'rabbitmq', readGroups(rmqMessagesByQueue, place, 'rabbitmq', 'queue', "'orders::/'"));
  }
  if (isList(Records)) return readList(Records, 'event.Records', false);
  const whole = require('./whole-events').readWholeEvent(event);
  if (whole !== null) return whole;
  throw eventError('event', undefined, `must be ${EXPECTED}, and is one${descriptionOf(event)}`);
}

/**
 * Records that say themselves where they are from.
 * @param {unknown[]} list @param {string} place @param {boolean} piped
 * @returns {Found | null}
 */
function readList(list, place, piped) {
  if (list.length === 0) return null;
  const known = piped ? [...new Set([...PIPED, ...LISTED])] : LISTED;
  const first = eventSourceOf(list[0]);
  const source = sourceNamed(first);
  if (source === null || (!piped && !LISTED.includes(/** @type {string} */ (first)))) {
    const has = isObject(list[0]) ? ` (the record has: ${keysOf(list[0])})` : '';
    const why = piped && first === undefined ? '; a list has to be as EventBridge Pipes sends it' : '';
    throw eventError(`${place}[0].eventSource`, first ?? list[0], `must be one of ${known.join(', ')}${has}${why}`);
  }
  for (let i = 1; i < list.length; i++) {
    const own = eventSourceOf(list[i]);
    if (own !== first && sourceNamed(own) !== source) {
      throw eventError(`${place}[${i}].eventSource`, own, `must be '${first}', as that of the first record`);
    }
  }
  checkRecords(list, source, (i) => `${place}[${i}]`);
  return { source, raws: list, piped };
}

/**
 * Lists of records by what groups them.
 * @param {unknown} groups @param {string} place @param {Source} source
 * @param {string} group what each list is of @param {string} example a key
 * @returns {Found}
 */
function readGroups(groups, place, source, group, example) {
  if (!isObject(groups) || isList(groups)) {
    const parsed = isList(groups) && source === 'kafka' ? `: ${PARSED}` : '';
    throw eventError(place, groups, `must be an object with a list per ${group}, such as ${example}${parsed}`);
  }
  /** @type {unknown[]} */
  const raws = [];
  for (const [key, list] of Object.entries(groups)) {
    if (!isList(list)) throw eventError(`${place}['${key}']`, list, 'must be a list of records');
    checkRecords(list, source, (i) => `${place}['${key}'][${i}]`);
    for (const raw of list) {
      raws.push(source === 'rabbitmq' ? { .../** @type {object} */ (raw), eventSourceKey: key } : raw);
    }
  }
  return { source, raws, piped: false };
}

/** @param {unknown[]} messages @returns {Found} */
function readMessages(messages) {
  checkRecords(messages, 'activemq', (i) => `event.messages[${i}]`);
  return { source: 'activemq', raws: messages, piped: false };
}

/**
 * Messages of a broker as Pipes delivers them: with what the event says for all of them.
 * @param {object} event @param {Source} source @param {Found} found
 * @returns {Found}
 */
function readBroker(event, source, { raws, piped }) {
  const { eventSource, eventSourceArn } = /** @type {Record<string, unknown>} */ (event);
  return { source, piped, raws: raws.map((raw) => ({ eventSource, eventSourceArn, .../** @type {object} */ (raw) })) };
}

/** @param {unknown} eventSource @returns {Source | null} */
function sourceNamed(eventSource) {
  if (typeof eventSource !== 'string') return null;
  return SOURCES.get(eventSource) ?? (SELF_MANAGED_KAFKA.test(eventSource) ? 'kafka' : null);
}

/** @param {any} raw @returns {unknown} */
function eventSourceOf(raw) {
  return raw?.eventSource ?? raw?.EventSource;
}

/**
 * What an event that is refused looks like, as the end of "it is one".
 * @param {object} event
 */
function descriptionOf(event) {
  const { eventSource } = /** @type {Record<string, unknown>} */ (event);
  let text = typeof eventSource === 'string' ? ` of '${eventSource}'` : '';
  text += ` without "Records" (it has: ${keysOf(event)}`;
  for (const [key, list] of Object.entries(event)) {
    if (!isList(list) || !isObject(list[0])) continue;
    const source = eventSourceOf(list[0]);
    text += `; the first of "${key}" has: ${keysOf(list[0])}`;
    if (typeof source === 'string') text += `, eventSource '${source}'`;
    break;
  }
  return `${text})`;
}

/** @param {object} object */
function keysOf(object) {
  const keys = Object.keys(object);
  return keys.length === 0 ? 'nothing' : `${keys.slice(0, 10).join(', ')}${keys.length > 10 ? ', …' : ''}`;
}

/**
 * The records of an event as one list.
 * @param {unknown} event
 * @param {unknown} [options] see `DecodingOptions` in lambda.d.ts
 * @returns {LambdaRecord[]}
 */
function records(event, options) {
  const { numbers, envelope } = decodingOptions(options);
  const { records: found } = readEvent(event, numbers);
  if (envelope === null) return found;
  return found.flatMap((record) => require('../events/envelopes').unwrap(record, envelope, numbers));
}

/**
 * An item of DynamoDB, as events and exports have it, in JavaScript's values.
 * @param {unknown} item
 * @param {unknown} [options] see `DecodingOptions` in lambda.d.ts
 * @returns {Record<string, unknown>}
 */
function unmarshall(item, options) {
  const { numbers } = decodingOptions(options);
  if (!isObject(item) || isList(item)) {
    throw eventError('item', item, "must be attribute values by name, such as { id: { S: 'text' } }");
  }
  return require('../events/attribute-values').decodeItem(item, numbers);
}

module.exports = { readEvent, records, unmarshall };
