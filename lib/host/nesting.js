'use strict';

/**
 * Where this code runs: in the process that the user started, or in a worker, and how deep workers are nested there.
 *
 * A worker is marked by a property of its global object, which every copy of this library in it can see (a bundle may
 * contain several). Must not depend on how the mark got there.
 */

const { optionError } = require('../errors');

/** Workers may have workers, but those may not. */
const MAX_DEPTH = 2;

/**
 * @typedef {object} Nesting
 * @property {number} depth 0 outside any worker
 * @property {readonly string[]} ancestry the modules of the workers that this one is nested in, its own last
 */

/** @returns {Nesting} */
function nesting() {
  return /** @type {any} */ (globalThis)[Symbol.for('@parallelizer/node')] ?? { depth: 0, ancestry: [] };
}

/**
 * Throws for what would start workers without end.
 * @param {string} filePath the module that the new workers would load
 */
function assertMayNest(filePath) {
  const { ancestry } = nesting();
  if (ancestry.includes(filePath)) {
    throw optionError(
      'filePath',
      filePath,
      'cannot be run here: this is a worker of that very module, whose workers would start workers in turn. ' +
        'Use `isWorker` to run it in the process that you started only',
    );
  }
  assertMayStart('filePath', filePath);
}

/**
 * Throws for workers that would be nested too deep.
 * @param {string} name the option, or what is used @param {unknown} [value]
 */
function assertMayStart(name, value) {
  if (nesting().depth >= MAX_DEPTH) {
    throw optionError(
      name,
      value,
      `cannot be run here: workers may start workers, but those may not (${MAX_DEPTH} levels). ` +
        'Move this call one level up',
    );
  }
}

module.exports = { nesting, assertMayNest, assertMayStart };
