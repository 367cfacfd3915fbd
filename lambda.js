'use strict';

const { createHandler, processPartialResponse } = require('./lib/lambda/handler');
const { records, unmarshall } = require('./lib/lambda/events');

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  createHandler,
  processPartialResponse,
  records,
  unmarshall,
};
