'use strict';

/**
 * What the worker function does with a record: signs an invoice with a key that is derived from its customer's. It is
 * about 10 ms of computing, which no `await` can leave to another thread.
 *
 * Knows nothing of Kafka's events, of Lambda or of workers.
 */

const { createHmac, pbkdf2Sync } = require('node:crypto');

const ROUNDS = 10_000;

/** @typedef {{ invoice: string, customer: string, cents: number }} Invoice */
/** @typedef {{ invoice: string, signature: string, signedBy: string }} Signed */

/**
 * @param {Invoice} order
 * @returns {Signed}
 */
exports.sign = (order) => {
  if (!Number.isInteger(order.cents)) throw new TypeError(`invoice ${order.invoice} has no amount`);
  const key = pbkdf2Sync(order.customer, 'a salt of this shop', ROUNDS, 32, 'sha256');
  const signature = createHmac('sha256', key).update(`${order.invoice} ${order.cents}`).digest('hex');
  // Which environment it was, for the table of this example.
  return { invoice: order.invoice, signature, signedBy: process.env.AWS_LAMBDA_LOG_STREAM_NAME ?? 'here' };
};
