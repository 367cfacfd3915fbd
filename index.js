'use strict';

/**
 * The package. Each export is loaded when it is first read, so that a cold start pays for what it uses only, and what
 * is not needed to start workers is loaded while they start.
 */

const { define } = require('./lib/intrinsics/define');
// At once: what is loaded later may find others in the place of clocks, of JSON, and of the directory.
require('./lib/intrinsics/json');
require('./lib/intrinsics/clock');
require('./lib/host/start-directory');

/** @type {Record<string, () => any>} */
const SOURCES = {
  Parallelizer: () => require('./lib/parallelizer/parallelizer').Parallelizer,
  Pool: () => require('./lib/pool/pool').Pool,
  ParallelizerError: () => require('./lib/errors').ParallelizerError,
  PARALLELIZER_CHILD: () => require('./lib/options/options').PARALLELIZER_CHILD,
  PARALLELIZER_THREADS: () => require('./lib/options/options').PARALLELIZER_THREADS,
  PARALLELIZER_INLINE: () => require('./lib/options/options').PARALLELIZER_INLINE,
  PARALLELIZER_REMOTE: () => require('./lib/options/options').PARALLELIZER_REMOTE,
  serve: () => require('./lib/serve/host').serve,
  isWorker: () => require('./lib/host/nesting').nesting().depth > 0,
  task: () => require('./lib/jobs/task-registry').task,
  transfer: () => require('./lib/codec/transfer').transfer,
  current: () => require('./lib/worker/current-call').expectCurrent(),
};

/** Replaced by a getter below. @type {any} */
const later = undefined;

// One name per line: Node reads this text to find the names that an ES module can import.
module.exports = {
  Parallelizer: later,
  Pool: later,
  ParallelizerError: later,
  PARALLELIZER_CHILD: later,
  PARALLELIZER_THREADS: later,
  PARALLELIZER_INLINE: later,
  PARALLELIZER_REMOTE: later,
  serve: later,
  isWorker: later,
  task: later,
  transfer: later,
  current: later,
};

for (const [name, load] of Object.entries(SOURCES)) {
  const property = { configurable: true, enumerable: true };
  define(module.exports, name, {
    ...property,
    get() {
      const value = load();
      define(module.exports, name, { ...property, value, writable: true });
      return value;
    },
  });
}
