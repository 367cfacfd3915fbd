'use strict';

/**
 * The package. Each export is loaded when it is first asked for: a cold start pays for what it uses, and what is not needed
 * to start workers is loaded while they start.
 */

/** @type {Record<string, () => any>} */
const SOURCES = {
  Parallelizer: () => require('./lib/parallelizer/parallelizer').Parallelizer,
  Pool: () => require('./lib/pool/pool').Pool,
  ParallelizerError: () => require('./lib/errors').ParallelizerError,
  PARALLELIZER_CHILD: () => require('./lib/options/options').PARALLELIZER_CHILD,
  PARALLELIZER_THREADS: () => require('./lib/options/options').PARALLELIZER_THREADS,
  PARALLELIZER_INLINE: () => require('./lib/options/options').PARALLELIZER_INLINE,
  isWorker: () => require('./lib/host/nesting').surroundings().depth > 0,
  task: () => require('./lib/jobs/task-registry').task,
  transfer: () => require('./lib/codec/transfer').transfer,
};

/** @type {any} */
const later = undefined;

// One name per line: Node finds an ES module's named imports by reading this.
module.exports = {
  Parallelizer: later,
  Pool: later,
  ParallelizerError: later,
  PARALLELIZER_CHILD: later,
  PARALLELIZER_THREADS: later,
  PARALLELIZER_INLINE: later,
  isWorker: later,
  task: later,
  transfer: later,
};

for (const [name, load] of Object.entries(SOURCES)) {
  const property = { configurable: true, enumerable: true };
  Object.defineProperty(module.exports, name, {
    ...property,
    get() {
      const value = load();
      Object.defineProperty(module.exports, name, { ...property, value, writable: true });
      return value;
    },
  });
}
