'use strict';

/**
 * What runs in the workers: a sub-batch of Kafka records in, a count out.
 *
 * The rows go straight from the worker to the database. Sent back, they would have to be
 * encoded, decoded and stored by the one process that everybody waits for.
 */

const { enrich } = require('./enrich.js');
const { putRows } = require('./store.js');

/**
 * @param {object} call
 * @param {import('./event.js').KafkaRecord[]} call.batch
 * @param {import('./enrich.js').EnrichParams & { storePath: string }} call.params
 * @param {(line: { message: string, params?: object, logType?: string }) => void} call.mainLogger
 */
exports.processBatch = async ({ batch, params, mainLogger }) => {
  const entries = batch.map((record) => enrich(record, params));
  await putRows(params.storePath, entries);

  const rejected = entries.filter(({ row }) => row.status === 'rejected').length;
  if (rejected > 10 && rejected > batch.length / 10) {
    mainLogger({ message: 'many records rejected', params: { rejected, of: batch.length }, logType: 'warn' });
  }
  return { stored: entries.length, rejected };
};
