'use strict';
// `node --watch` of each version, see ../support/watch.js.

const { describe } = require('node:test');

const { modes } = require('../support/modes');
const { watchTests } = require('../support/watch');
const { NODES, node } = require('./support/tools');

for (const major of NODES) {
  const { reason, binary } = node(major);
  for (const mode of modes.filter(({ hasWorkers }) => hasWorkers)) {
    describe(`Node ${major}, ${mode.name}`, { skip: reason ?? false }, () => watchTests(mode, binary, major));
  }
}
