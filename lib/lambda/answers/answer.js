'use strict';

/**
 * How a source is answered once it is known what became of each record.
 *
 * | source | answer |
 * |---|---|
 * | Firehose | a result for each record |
 * | S3 Batch Operations | a result for each task |
 * | a tumbling window | a partial batch response, with the window's state |
 * | any other | a partial batch response, or an error, see answers.js |
 *
 * Must not depend on how records are processed.
 */

const { failedError, hasPartialResponse, partialResponse } = require('../answers');

/** @typedef {InstanceType<typeof import('../../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('../../events/records').RecordFormat} RecordFormat */
/** @typedef {import('../../events/results').ResultKind} ResultKind */
/** @typedef {import('../options').EventOptions} EventOptions */

/**
 * What became of an event.
 * @typedef {object} Outcome
 * @property {readonly LambdaRecord[]} records
 * @property {readonly boolean[]} isFailed for each record
 * @property {readonly { error: any, indices: number[] }[]} failures
 * @property {readonly unknown[]} responses what the workers returned
 * @property {(error: Error, records: LambdaRecord[]) => void} onError
 * @property {InTime} inTime
 */

/**
 * Waits for what code of the user's gives, as long as there is time.
 * @typedef {ReturnType<typeof import('../deadline').watchDeadline>['inTime']} InTime
 */

/**
 * @typedef {object} Answerer
 * @property {ResultKind | null} results what of their functions' results workers are to return
 * @property {(outcome: Outcome) => object | Promise<object>} answer
 */

/**
 * @param {any} event @param {RecordFormat | null} format `null`: the event has no records @param {EventOptions} options
 * @returns {Answerer}
 */
function answererFor(event, format, options) {
  const { results, answer } = answererOf(event, format, options);
  if (!options.throwOnFullBatchFailure) return { results, answer };
  return {
    results,
    answer(outcome) {
      if (outcome.records.length > 0 && !outcome.isFailed.includes(false)) throw errorOf(outcome);
      return answer(outcome);
    },
  };
}

/** @param {any} event @param {RecordFormat | null} format @param {EventOptions} options @returns {Answerer} */
function answererOf(event, format, options) {
  if (options.window !== null) return require('./window').windowAnswerer(event, format, options.window, options);
  if (format?.source === 'firehose') {
    return { results: 'firehose', answer: (outcome) => answerFirehose(outcome, options) };
  }
  if (format?.source === 's3-batch') {
    return { results: 's3-batch', answer: (outcome) => answerS3Batch(event, outcome, options) };
  }
  return { results: null, answer: (outcome) => answerPartially(format, outcome, options) };
}

/** @param {RecordFormat | null} format @param {Outcome} outcome @param {EventOptions} options */
function answerPartially(format, outcome, { reportBatchItemFailures }) {
  const { records, isFailed } = outcome;
  if (format !== null && isFailed.includes(true) && !hasPartialResponse(format, reportBatchItemFailures)) {
    throw errorOf(outcome);
  }
  return partialResponse(records, isFailed);
}

/** @param {Outcome} outcome @param {EventOptions} options */
function answerFirehose(outcome, { reportBatchItemFailures }) {
  const { answerTooLargeError, firehoseAnswer } = require('./own-answers');
  // What there was no time for is no failure of the record's: Firehose sends the batch again after an error.
  if (outcome.failures.some(({ error }) => error.code === 'ERR_PARALLELIZER_ABORTED')) throw errorOf(outcome);
  if (reportBatchItemFailures === false && outcome.isFailed.includes(true)) throw errorOf(outcome);
  const { answer, tooLarge } = firehoseAnswer(outcome.records, outcomesOf(outcome));
  if (tooLarge.length > 0) outcome.onError(answerTooLargeError(tooLarge.length), tooLarge);
  return answer;
}

/** @param {any} event @param {Outcome} outcome @param {EventOptions} options */
function answerS3Batch(event, outcome, { reportBatchItemFailures }) {
  if (reportBatchItemFailures === false && outcome.isFailed.includes(true)) throw errorOf(outcome);
  return require('./own-answers').s3BatchAnswer(event, outcome.records, outcomesOf(outcome));
}

/** @param {Outcome} outcome */
function outcomesOf({ records, isFailed, failures, responses }) {
  const resultOf = require('./own-answers').resultsFrom(responses);
  /** @type {Map<number, any>} */
  const errors = new Map();
  for (const { error, indices } of failures) for (const i of indices) if (!errors.has(i)) errors.set(i, error);
  return records.map((record, i) => {
    const result = resultOf(record);
    const error = isFailed[i] ? (errors.get(i) ?? new Error('it was not tried')) : null;
    return { result, error };
  });
}

/** @param {Outcome} outcome */
function errorOf({ records, isFailed, failures }) {
  return failedError(records, isFailed, failures.map(({ error }) => error));
}

module.exports = { answererFor };
