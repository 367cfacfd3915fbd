'use strict';

/**
 * Whether a record has what it cannot do without: what names it, since an answer that names nothing fails the whole
 * batch, and a payload in the form in which AWS delivers it.
 *
 * Events are often parsed before the handler, by a middleware or a parser. Such an event is refused here, with what to
 * do about it: decoded again it would give rubbish, and it would lose what the library is for, decoding in the workers.
 *
 * Must not depend on how a record is decoded. Payloads that are getters, as that of the first record in a list tells,
 * are not read.
 */

const { isObject } = require('../options/option-checks');
const { eventError } = require('../errors');

/** @typedef {import('../events/record').Source} Source */

/**
 * - `text`: names the record
 * - `integer`, `digits`: likewise; the latter may be text
 * - `body`: a payload
 * - `base64`: a payload; `base64?`: may be missing
 * @typedef {'text' | 'integer' | 'digits' | 'body' | 'base64' | 'base64?'} Type
 */

/** @type {[path: string, type: Type][]} */
const KAFKA = [['partition', 'digits'], ['offset', 'integer'], ['key', 'base64?'], ['value', 'base64?']];

/** @type {Partial<Record<Source, (raw: any) => [path: string[], type: Type][]>>} */
const FIELDS = {
  sqs: fields(['messageId', 'text'], ['body', 'body']),
  sns: fields(['Sns.MessageId', 'text'], ['Sns.Message', 'body']),
  s3: fields(['s3.bucket.name', 'text'], ['s3.object.key', 'text']),
  dynamodb: fields(['dynamodb.SequenceNumber', 'text']),
  kinesis: either(
    // Pipes has no object for the stream's part.
    (raw) => raw.kinesis === undefined && raw.sequenceNumber !== undefined,
    fields(['sequenceNumber', 'text'], ['data', 'base64']),
    fields(['kinesis.sequenceNumber', 'text'], ['kinesis.data', 'base64']),
  ),
  kafka: either(
    (raw) => raw.topic === undefined && raw.eventSourceKey !== undefined,
    fields(['eventSourceKey', 'text'], ...KAFKA),
    fields(['topic', 'text'], ...KAFKA),
  ),
  activemq: fields(['messageID', 'text'], ['data', 'base64']),
  rabbitmq: fields(['data', 'base64']),
  firehose: either(
    // Where the source is Kafka, the payload has another name.
    (raw) => raw.kafkaRecordValue !== undefined,
    fields(['recordId', 'text'], ['kafkaRecordValue', 'base64']),
    fields(['recordId', 'text'], ['data', 'base64']),
  ),
  's3-batch': fields(['taskId', 'text'], ['s3Key', 'text']),
  documentdb: fields(['event.operationType', 'text']),
  'cloudwatch-logs': fields(['id', 'text'], ['message', 'text']),
};

const PARSED =
  "the event seems to have been parsed before, as middy's event normalizer and Powertools' parser and kafkaConsumer " +
  'do; pass on the event as Lambda delivered it, since records are decoded in the workers';

/** How many characters tell whether a text may be Base64. */
const BASE64_PROBE = 64;

/**
 * Checks a list of records. What parses records before the handler does so with all of them, so the first one tells
 * whether payloads are getters: to look for one takes several times as long as to read.
 * @param {readonly unknown[]} list @param {Source} source @param {(index: number) => string} place for messages
 */
function checkRecords(list, source, place) {
  let mayHaveGetters = true;
  for (let i = 0; i < list.length; i++) mayHaveGetters = checkRecord(list[i], source, place, i, mayHaveGetters);
}

/**
 * @param {unknown} raw @param {Source} source @param {(index: number) => string} place for messages
 * @param {number} index @param {boolean} mayHaveGetters
 * @returns {boolean} whether a payload of it is a getter
 */
function checkRecord(raw, source, place, index, mayHaveGetters) {
  if (!isObject(raw)) throw eventError(place(index), raw, 'must be a record');
  const list = FIELDS[source]?.(raw) ?? [];
  let hasGetters = false;
  for (let field = 0; field < list.length; field++) {
    const { 0: path, 1: type } = list[field];
    /** @type {any} */
    let value = raw;
    const mayBeGetter = mayHaveGetters && (type === 'body' || type === 'base64' || type === 'base64?');
    for (let i = 0; i < path.length; i++) {
      if (!isObject(value)) value = undefined;
      else value = mayBeGetter ? dataOf(value, path[i]) : /** @type {any} */ (value)[path[i]];
    }
    if (!isGood(value, type)) throw fieldError(`${place(index)}.${path.join('.')}`, value, type);
    hasGetters ||= value === GETTER;
  }
  if (source === 'dynamodb') checkKeys(/** @type {any} */ (raw).dynamodb.Keys, () => place(index));
  return hasGetters;
}

/**
 * The keys of an item tell whether its attributes are values of DynamoDB's still.
 * @param {unknown} keys @param {() => string} place
 */
function checkKeys(keys, place) {
  if (!isObject(keys)) return;
  for (const [name, value] of Object.entries(keys)) {
    if (isObject(value) && ('S' in value || 'N' in value || 'B' in value)) continue;
    throw eventError(`${place()}.dynamodb.Keys.${name}`, value, `must be a value such as { S: 'text' }: ${PARSED}`);
  }
}

/** Stands for a payload that cannot be judged without reading it. */
const GETTER = Symbol('getter');

/** @param {object} object @param {string} key */
function dataOf(object, key) {
  const own = Object.getOwnPropertyDescriptor(object, key);
  if (own === undefined) return Reflect.get(object, key);
  return own.get === undefined ? own.value : GETTER;
}

/** @param {unknown} value @param {Type} type @returns {boolean} */
function isGood(value, type) {
  switch (type) {
    case 'text':
      return typeof value === 'string';
    case 'integer':
      return Number.isSafeInteger(value);
    case 'digits':
      return Number.isSafeInteger(value) || (typeof value === 'string' && /^\d{1,15}$/.test(value));
    case 'body':
      return typeof value === 'string' || value === GETTER;
    case 'base64':
      return (typeof value === 'string' && isBase64(value)) || value === GETTER;
    case 'base64?':
      return value === undefined || value === null || isGood(value, 'base64');
  }
}

/** Whether a text begins like Base64. JSON never does, unless it is a mere number or word. @param {string} text */
function isBase64(text) {
  return /^[\w+/=\r\n-]*$/.test(text.slice(0, BASE64_PROBE));
}

/** @param {string} place @param {unknown} value @param {Type} type */
function fieldError(place, value, type) {
  if (type === 'integer' || type === 'digits') return eventError(place, value, 'must be an integer');
  if (type === 'text' || value === undefined || value === null) return eventError(place, value, 'must be a string');
  return eventError(place, value, `must be ${type === 'body' ? 'a string' : 'Base64'}: ${PARSED}`);
}

/**
 * @param {[path: string, type: Type][]} list
 * @returns {() => [string[], Type][]}
 */
function fields(...list) {
  /** @type {[string[], Type][]} */
  const split = list.map(([path, type]) => [path.split('.'), type]);
  return () => split;
}

/**
 * @param {(raw: any) => boolean} isFirst
 * @param {() => [string[], Type][]} first @param {() => [string[], Type][]} second
 * @returns {(raw: any) => [string[], Type][]}
 */
function either(isFirst, first, second) {
  return (raw) => (isFirst(raw) ? first() : second());
}

module.exports = { PARSED, checkRecords };
