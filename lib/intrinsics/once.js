'use strict';

/**
 * Modules that are loaded when they are first needed.
 *
 * Must not depend on anything else here.
 */

/**
 * A function that loads a module once. `require` finds it again each time, in half a microsecond, which the path of a
 * call cannot spare.
 * @template T
 * @param {() => T} load @returns {() => T}
 */
function once(load) {
  /** @type {T | undefined} */
  let loaded;
  return () => (loaded ??= load());
}

module.exports = { once };
