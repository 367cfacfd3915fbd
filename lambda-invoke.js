'use strict';

// First of all: what is loaded later may find others in the place of clocks, of JSON, and of the directory.
require('./lib/intrinsics/json');
require('./lib/intrinsics/clock');
require('./lib/host/start-directory');
const { lambdaInvoke } = require('./lib/remote/lambda/engine');

/** Loaded by functions only. @type {typeof import('./lib/serve/lambda-worker').lambdaWorker} */
const lambdaWorker = (options) => require('./lib/serve/lambda-worker').lambdaWorker(options);

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  lambdaInvoke,
  lambdaWorker,
};
