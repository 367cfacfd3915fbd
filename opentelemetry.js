'use strict';

// First of all: what is loaded later may find others in the place of clocks, of JSON, and of the directory.
require('./lib/intrinsics/json');
require('./lib/intrinsics/clock');
require('./lib/host/start-directory');
const { instrument } = require('./lib/opentelemetry/instrument');

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  instrument,
};
