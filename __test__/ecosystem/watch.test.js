'use strict';
// `node --watch` of each version, see ../support/watch.js.

const { describe } = require('node:test');

const { modes } = require('../support/modes');
const { watchTests } = require('../support/watch');
const { node } = require('./support/tools');

for (const major of [20, 22, 24]) {
  const { missing, binary } = node(major);
  for (const mode of modes.filter(({ hasWorkers }) => hasWorkers)) {
    describe(`Node ${major}, ${mode.name}`, { skip: missing ?? false }, () => watchTests(mode, binary, major));
  }
}
