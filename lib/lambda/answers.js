'use strict';

/**
 * Which records an answer names, and how.
 *
 * | source | reported of a group in which something is not done | what then happens |
 * |---|---|---|
 * | SQS | each such message | Lambda deletes the others |
 * | SQS FIFO | each such message and the rest of its group | the group keeps its order |
 * | Kinesis, DynamoDB | each such record and the rest of the shard | Lambda resumes from the lowest |
 * | Kafka | the offset to resume from | Lambda resumes each partition from there |
 * | S3, SNS, Amazon MQ, DocumentDB, CloudWatch Logs | nothing: an error is thrown | the whole event is sent again |
 * | Firehose, S3 Batch Operations | has answers of its own, see answers/own-answers.js | |
 *
 * EventBridge Pipes heeds such answers for SQS, Kinesis and DynamoDB. For Kafka and Amazon MQ it is documented to send
 * the whole batch again after an error, and not what it does with such an answer: it gets an error.
 *
 * Must not depend on why a record is not done.
 */

const { recordsFailedError } = require('../errors');

/** @typedef {import('../events/records').RecordFormat} RecordFormat */
/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {{ batchItemFailures: { itemIdentifier: any }[] }} PartialResponse */

/** Sources for which no answer names single records. */
const ALL_OR_NOTHING = ['s3', 'sns', 'activemq', 'rabbitmq', 'documentdb', 'cloudwatch-logs'];

/**
 * @param {RecordFormat} format
 * @param {boolean | null} reports what the user says; `null`: nothing
 */
function hasPartialResponse({ source, piped }, reports) {
  if (reports === false || ALL_OR_NOTHING.includes(source)) return false;
  return reports === true || !(piped && source === 'kafka');
}

/**
 * Marks what follows a failure in its group as not done, even if a function that handles a sub-batch went on.
 * @param {readonly unknown[]} keys one per record
 * @param {boolean[]} isFailed
 */
function failRestOfGroups(keys, isFailed) {
  const stopped = new Set();
  for (const [i, key] of keys.entries()) {
    if (stopped.has(key)) isFailed[i] = true;
    else if (isFailed[i]) stopped.add(key);
  }
}

/**
 * @param {readonly LambdaRecord[]} records
 * @param {readonly boolean[]} isFailed
 * @returns {PartialResponse}
 */
function partialResponse(records, isFailed) {
  const failed = records.filter((_, i) => isFailed[i]);
  const identifiers = failed[0]?.source === 'kafka' ? resumePoints(failed) : failed.map((record) => record.identifier);
  // SQS may deliver a message twice within one batch.
  return { batchItemFailures: [...new Set(identifiers)].map((itemIdentifier) => ({ itemIdentifier })) };
}

/**
 * The lowest offset of each partition.
 * @param {readonly LambdaRecord[]} failed
 */
function resumePoints(failed) {
  /** @type {Map<string, { partition: string, offset: number }>} */
  const lowest = new Map();
  for (const record of failed) {
    const identifier = /** @type {{ partition: string, offset: number }} */ (record.identifier);
    const known = lowest.get(identifier.partition);
    if (known === undefined || identifier.offset < known.offset) lowest.set(identifier.partition, identifier);
  }
  return [...lowest.values()];
}

/**
 * Records that are not done, where the source is not told which.
 * @param {readonly LambdaRecord[]} records @param {readonly boolean[]} isFailed @param {Error[]} errors
 */
function failedError(records, isFailed, errors) {
  const failed = records.filter((_, i) => isFailed[i]);
  return recordsFailedError({
    failed: failed.length,
    total: records.length,
    source: records[0].source,
    identifiers: failed.map((record) => record.identifier),
    errors,
  });
}

module.exports = { failRestOfGroups, failedError, hasPartialResponse, partialResponse };
