'use strict';

/** The same Lambda function without workers, to compare with. */

const { records } = require('@parallelizer/node/lambda');
const { closeStores, storeReadings } = require('./worker.js');

/** @param {string} store its URL */
exports.makeHandler = (store) => async (/** @type {import('./lambda-event.js').KafkaEvent} */ event) => {
  await storeReadings({ batch: records(event), params: { store } });
  return { batchItemFailures: [] };
};

exports.close = closeStores;
