'use strict';

/**
 * Errors by which users say that to try a record again is of no use.
 *
 * Must not depend on how records are decoded, nor on anything that a handler is not made of. Runs in workers too.
 */

const { define } = require('../intrinsics/define');

/** Such errors are known by this name, whichever class they are of. */
const NON_RETRYABLE = 'NonRetryableError';

/** What a function throws for a record that will never succeed. */
class NonRetryableError extends Error {}

define(NonRetryableError.prototype, 'name', { value: NON_RETRYABLE, writable: true, configurable: true });

/**
 * Whether trying again is of no use.
 * @param {any} error @param {boolean} discardsInvalid whether that goes for what cannot be read as well
 */
function isNonRetryable(error, discardsInvalid) {
  if (typeof error !== 'object' || error === null) return false;
  if (error.name === NON_RETRYABLE || error.constructor?.name === NON_RETRYABLE) return true;
  return discardsInvalid && (error.code === 'ERR_PARALLELIZER_DECODE' || error.code === 'ERR_PARALLELIZER_SCHEMA');
}

module.exports = { NON_RETRYABLE, NonRetryableError, isNonRetryable };
