'use strict';

/**
 * Records that hold records of another service.
 *
 * | envelope | in records of | holds |
 * |---|---|---|
 * | `sns` | SQS | one notification |
 * | `s3` | SQS, SNS, and SNS within SQS | the records of an S3 notification; none, if it is S3's test |
 * | `eventbridge` | SQS, SNS, and SNS within SQS | one event |
 * | `kpl` | Kinesis | what the Kinesis Producer Library has aggregated; any other record as it is |
 * | `cloudwatch-logs` | Kinesis, Firehose | lines of a log; none, if it is a control message |
 * | `dynamodb` | Kinesis, Firehose | one change of a table |
 *
 * The records within have the identifier and the group of the outermost one: it is what the source knows.
 *
 * Must not depend on events, workers or answers. Runs in workers too.
 */

const { isGzip } = require('./decoders/compression');
const { decodeError } = require('./record-errors');
const { wrapInner, wrapUserRecord } = require('./records');

/** @typedef {InstanceType<typeof import('./record').LambdaRecord>} LambdaRecord */
/** @typedef {'sns' | 's3' | 'eventbridge' | 'kpl' | 'cloudwatch-logs' | 'dynamodb'} Envelope */
/** @typedef {import('./attribute-values').Numbers} Numbers */

/** `null`: it is no such envelope. @typedef {(record: any, numbers: Numbers) => LambdaRecord[] | null} Open */

/** @type {Record<Envelope, { title: string, open: Open }>} */
const ENVELOPES = {
  sns: { title: 'a notification of SNS', open: openSns },
  s3: { title: 'a notification of S3', open: throughSns(openS3) },
  eventbridge: { title: 'an event of EventBridge', open: throughSns(openEventBridge) },
  kpl: { title: 'an aggregate', open: (record) => openAggregate(record) ?? [record] },
  'cloudwatch-logs': { title: 'logs of CloudWatch', open: openLogs },
  dynamodb: { title: 'a change of DynamoDB', open: openChange },
};

/** What may be in records of a source, the likeliest first. @type {Record<string, Open[]>} */
const POSSIBLE = {
  sqs: [openSns, openS3, openEventBridge],
  sns: [openS3, openEventBridge],
  kinesis: [openAggregate, openLogs, openChange],
  firehose: [openLogs, openChange],
};

/**
 * What a record holds.
 * @param {LambdaRecord} record @param {'auto' | readonly Envelope[]} envelopes from the outermost to the innermost;
 *   `'auto'`: whatever is found, be it none
 * @param {Numbers} numbers
 * @returns {LambdaRecord[]}
 */
function unwrap(record, envelopes, numbers) {
  if (envelopes === 'auto') return unwrapAny(record, numbers);
  let records = [record];
  for (const name of envelopes) {
    const { title, open } = ENVELOPES[name];
    records = records.flatMap((each) => {
      let found;
      try {
        found = open(each, numbers);
      } catch (error) {
        throw decodeError(record, title, error);
      }
      if (found === null) throw decodeError(record, title, new TypeError('it is none'));
      return found;
    });
  }
  return records;
}

/** @param {LambdaRecord} record @param {Numbers} numbers @returns {LambdaRecord[]} */
function unwrapAny(record, numbers) {
  for (const open of POSSIBLE[record.source] ?? []) {
    let found;
    try {
      found = open(record, numbers);
    } catch {
      // It begins as an envelope does, and is none that can be read: the function gets it as it is.
      return [record];
    }
    if (found === null) continue;
    return found.flatMap((each) => (isAggregate(each) ? unwrapUser(each, numbers) : unwrapAny(each, numbers)));
  }
  return [record];
}

/** @param {LambdaRecord} record */
function isAggregate(record) {
  return 'subSequenceNumber' in record;
}

/** An aggregate has no aggregates in it. @param {LambdaRecord} record @param {Numbers} numbers */
function unwrapUser(record, numbers) {
  return openQuietly(openLogs, record, numbers) ?? openQuietly(openChange, record, numbers) ?? [record];
}

/** @param {Open} open @param {LambdaRecord} record @param {Numbers} numbers */
function openQuietly(open, record, numbers) {
  try {
    return open(record, numbers);
  } catch {
    return null;
  }
}

/** @param {Open} open @returns {Open} */
function throughSns(open) {
  return (record, numbers) => {
    const notifications = openSns(record);
    if (notifications === null) return open(record, numbers);
    return open(notifications[0], numbers);
  };
}

/** @param {any} record @returns {LambdaRecord[] | null} */
function openSns(record) {
  const body = objectIn(record);
  const { Type, TopicArn, Message } = body ?? {};
  if (Type !== 'Notification' || typeof Message !== 'string' || typeof TopicArn !== 'string') return null;
  const { SigningCertURL, UnsubscribeURL } = body;
  const [, subscription] = /[?&]SubscriptionArn=([^&]+)/.exec(UnsubscribeURL) ?? [];
  const raw = {
    EventSource: 'aws:sns',
    EventVersion: '1.0',
    EventSubscriptionArn: subscription === undefined ? '' : decodeURIComponent(subscription),
    // Lambda's own events spell two of the names differently.
    Sns: { ...body, SigningCertUrl: SigningCertURL, UnsubscribeUrl: UnsubscribeURL },
  };
  return [wrapInner('sns', raw, record)];
}

/** @param {any} record @returns {LambdaRecord[] | null} */
function openS3(record) {
  const body = objectIn(record);
  if (body === null) return null;
  // Sent once, when a queue or a topic is connected.
  if (body.Event === 's3:TestEvent' && body.Service === 'Amazon S3') return [];
  const { Records } = body;
  if (!Array.isArray(Records) || Records.length === 0) return null;
  if (!Records.every((raw) => raw?.eventSource === 'aws:s3' && raw.s3?.object?.key !== undefined)) return null;
  return Records.map((raw) => wrapInner('s3', raw, record));
}

/** @param {any} record @returns {LambdaRecord[] | null} */
function openEventBridge(record) {
  const body = objectIn(record);
  if (typeof body?.['detail-type'] !== 'string' || typeof body.source !== 'string' || !('detail' in body)) return null;
  return [wrapInner('eventbridge', body, record)];
}

/** @param {any} record @returns {LambdaRecord[] | null} */
function openAggregate(record) {
  const users = require('./aggregates').deaggregate(record.bytes);
  if (users === null) return null;
  return users.map(({ data, partitionKey, explicitHashKey }, subSequenceNumber) => {
    const own = {
      ...record.kinesis,
      partitionKey,
      subSequenceNumber,
      ...(explicitHashKey === null ? {} : { explicitHashKey }),
      // Base64, as in any record; seldom asked for.
      get data() {
        return data.toString('base64');
      },
    };
    const raw = record.raw.kinesis === undefined ? own : { ...record.raw, kinesis: own };
    return wrapUserRecord(raw, data, record);
  });
}

/** @param {any} record @returns {LambdaRecord[] | null} */
function openLogs(record) {
  const { bytes } = record;
  if (bytes === null || !isGzip(bytes)) return null;
  const logs = require('./log-events').logEventsIn(bytes);
  return logs === null ? null : logs.map((raw) => wrapInner('cloudwatch-logs', raw, record));
}

/** @param {any} record @param {Numbers} numbers @returns {LambdaRecord[] | null} */
function openChange(record, numbers) {
  const body = objectIn(record);
  if (body?.eventSource !== 'aws:dynamodb' || typeof body.dynamodb !== 'object' || body.dynamodb === null) return null;
  return [wrapInner('dynamodb', body, record, numbers)];
}

/** The object that a record's text is; `null` if it is anything else. @param {any} record @returns {any} */
function objectIn(record) {
  if (typeof record.value !== 'string' || !/^\s*\{/.test(record.value)) return null;
  try {
    return record.json;
  } catch {
    return null;
  }
}

module.exports = { unwrap };
