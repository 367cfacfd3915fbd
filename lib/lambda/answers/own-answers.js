'use strict';

/**
 * Answers of sources that want one for each record: Firehose's transformation, and S3 Batch Operations.
 *
 * - Firehose takes a record that is said to have failed out of the stream, to where its stream keeps such. It is not
 *   sent again; an error makes Firehose send the whole batch again, a few times.
 * - S3 tries again what has failed for the time being, and no other.
 *
 * Must not depend on why a record is not done.
 */

const { ParallelizerError } = require('../../errors');
const { nameOf } = require('../../events/records');
const { isNonRetryable } = require('../../events/non-retryable');

/** @typedef {InstanceType<typeof import('../../events/records').LambdaRecord>} LambdaRecord */

/**
 * What became of each record: its result, or the error that it failed with.
 * @typedef {{ result: any, error: any }[]} Outcomes
 */

/** Lambda's limit for an answer, less what stands around the records. */
const MAX_ANSWER_BYTES = 6 * 1024 * 1024 - 64;
/** @type {{ result: string, data?: string, metadata?: object }} */
const DROPPED = { result: 'Dropped' };
/** What stands around the data of a record. */
const RECORD_BYTES = 64;

/**
 * @param {readonly LambdaRecord[]} records @param {Outcomes} outcomes
 * @returns {{ answer: { records: object[] }, tooLarge: LambdaRecord[] }}
 */
function firehoseAnswer(records, outcomes) {
  let bytes = 0;
  /** @type {LambdaRecord[]} */
  const tooLarge = [];
  const answers = records.map((record, i) => {
    const { recordId, kafkaRecordValue } = record.raw;
    const { result, error } = outcomes[i];
    // Without a result it was discarded.
    const { result: status, data, metadata } = error === null ? (result ?? DROPPED) : { result: 'ProcessingFailed' };
    const answer = {
      recordId,
      result: status,
      ...(data === undefined ? {} : { [kafkaRecordValue === undefined ? 'data' : 'kafkaRecordValue']: data }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    const size = RECORD_BYTES + recordId.length + (data?.length ?? 0) +
      (metadata === undefined ? 0 : Buffer.byteLength(JSON.stringify(metadata)));
    if (bytes + size > MAX_ANSWER_BYTES) {
      tooLarge.push(record);
      bytes += RECORD_BYTES + recordId.length;
      return { recordId, result: 'ProcessingFailed' };
    }
    bytes += size;
    return answer;
  });
  return { answer: { records: answers }, tooLarge };
}

/** @param {number} count */
function answerTooLargeError(count) {
  return new ParallelizerError(
    'ERR_PARALLELIZER_RECORDS_FAILED',
    `Lambda answers with 6 MB at most: ${count} records do not fit in, and are told to Firehose as failed. ` +
      'Lower the buffer size of the transformation ("BufferSizeInMBs"), or have it return less',
  );
}

/**
 * @param {any} event @param {readonly LambdaRecord[]} records @param {Outcomes} outcomes
 */
function s3BatchAnswer({ invocationSchemaVersion, invocationId }, records, outcomes) {
  const results = records.map((record, i) => {
    const { result, error } = outcomes[i];
    const taskId = record.identifier;
    if (error === null) return { taskId, ...(result ?? { resultCode: 'PermanentFailure', resultString: 'discarded' }) };
    const resultCode = isNonRetryable(error, true) ? 'PermanentFailure' : 'TemporaryFailure';
    return { taskId, resultCode, resultString: String(error?.message ?? error) };
  });
  return { invocationSchemaVersion, treatMissingKeysAs: 'PermanentFailure', invocationId, results };
}

/**
 * What workers have returned, by the names of the records.
 * @param {readonly any[]} responses
 * @returns {(record: LambdaRecord) => unknown}
 */
function resultsFrom(responses) {
  const results = new Map(responses.flat());
  return (record) => results.get(nameOf(record.identifier));
}

module.exports = { answerTooLargeError, firehoseAnswer, resultsFrom, s3BatchAnswer };
