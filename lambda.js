'use strict';

// First of all: what is loaded later may find others in the place of clocks, of JSON, and of the directory.
require('./lib/intrinsics/json');
require('./lib/intrinsics/clock');
require('./lib/host/start-directory');
const { once } = require('./lib/intrinsics/once');
const { createHandler, processPartialResponse } = require('./lib/lambda/handler');
const { NonRetryableError } = require('./lib/events/non-retryable');

// Not needed to start workers.
const events = once(() => require('./lib/lambda/events'));

/** @param {Parameters<ReturnType<typeof events>['records']>} args */
function records(...args) {
  return events().records(...args);
}

/** @param {Parameters<ReturnType<typeof events>['unmarshall']>} args */
function unmarshall(...args) {
  return events().unmarshall(...args);
}

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  NonRetryableError,
  createHandler,
  processPartialResponse,
  records,
  unmarshall,
};
