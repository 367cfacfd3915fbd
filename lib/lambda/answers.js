'use strict';

/**
 * Which records an answer to Lambda names, and how.
 *
 * | source | what is reported of a group (what is not done of it) | then Lambda |
 * |---|---|---|
 * | SQS | each message | deletes the others |
 * | SQS FIFO, with the rest of its group | each message | keeps the group's order |
 * | Kinesis, DynamoDB, with the rest of the shard | each record, the checkpoint first | resumes from the lowest |
 * | Kafka, with the rest of the partition | the offset to resume from | resumes each partition from there |
 * | S3, SNS | nothing: an error is thrown | sends the whole event again |
 *
 * May not know why a record is not done.
 */

/** @typedef {import('../events/records').Source} Source */
/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {{ batchItemFailures: { itemIdentifier: any }[] }} PartialResponse */

/** @param {Source | null} source */
function hasPartialResponse(source) {
  return source !== 's3' && source !== 'sns';
}

/**
 * Marks what follows a failure in its group as not done: a function that handles a sub-batch may have gone on.
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

module.exports = { failRestOfGroups, hasPartialResponse, partialResponse };
