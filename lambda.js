'use strict';

// First of all: what is loaded later may find others in the place of clocks, of JSON, and of the directory.
require('./lib/intrinsics/json');
require('./lib/intrinsics/clock');
require('./lib/host/start-directory');
const { createHandler, processPartialResponse } = require('./lib/lambda/handler');
const { records, unmarshall } = require('./lib/lambda/events');
const { NonRetryableError } = require('./lib/events/record-errors');

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  NonRetryableError,
  createHandler,
  processPartialResponse,
  records,
  unmarshall,
};
