'use strict';

/**
 * Where this code runs: in the process that the user started, or in a worker, and in one how deep.
 *
 * A worker says so by a property of its global object, which every copy of this library in it sees (a bundle may hold
 * several). May not know how it got there.
 */

const { optionError } = require('../errors');

/** Workers of workers are the most that makes sense. */
const MAX_DEPTH = 2;

/**
 * @typedef {object} Surroundings
 * @property {number} depth 0 outside of any worker
 * @property {readonly string[]} ancestry the modules of the workers that this one is nested in, its own last
 */

/** @returns {Surroundings} */
function surroundings() {
  return /** @type {any} */ (globalThis)[Symbol.for('@parallelizer/node')] ?? { depth: 0, ancestry: [] };
}

/**
 * Refuses what would start workers without end.
 * @param {string} filePath the module that the new workers would load
 */
function assertMayNest(filePath) {
  const { ancestry } = surroundings();
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
 * Refuses workers that would be too deep.
 * @param {string} name the option, or what is used @param {unknown} [value]
 */
function assertMayStart(name, value) {
  if (surroundings().depth >= MAX_DEPTH) {
    throw optionError(
      name,
      value,
      `cannot be run here: workers may start workers, but those may not (${MAX_DEPTH} levels). Move this call one level up`,
    );
  }
}

module.exports = { surroundings, assertMayNest, assertMayStart };
