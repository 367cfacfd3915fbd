'use strict';

const { PARALLELIZER_CHILD, PARALLELIZER_THREADS, PARALLELIZER_INLINE } = require('./lib/options');
const { ParallelizerError } = require('./lib/errors');
const { Parallelizer } = require('./lib/parallelizer');
const { Pool } = require('./lib/pool');
const { surroundings } = require('./lib/surroundings');
const { task } = require('./lib/tasks');
const { transfer } = require('./lib/transfer');

const isWorker = surroundings().depth > 0;

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  Parallelizer,
  Pool,
  ParallelizerError,
  PARALLELIZER_CHILD,
  PARALLELIZER_THREADS,
  PARALLELIZER_INLINE,
  isWorker,
  task,
  transfer,
};
