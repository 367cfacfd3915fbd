'use strict';

/**
 * Imports an ES module from a file of this package. A file of its own, which Node loads itself: what is loaded by
 * `compiled-files.js` could import nothing without a warning that this is experimental.
 *
 * Must not depend on anything.
 */

/** @param {string} url @returns {Promise<Record<string, unknown>>} */
function importModule(url) {
  return import(url);
}

module.exports = { importModule };
