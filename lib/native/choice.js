'use strict';

/**
 * Which build of the scheduler runs here, and why: for whoever reports on an installation.
 *
 * Must not depend on what is done with it.
 */

/**
 * @typedef {object} Choice
 * @property {'native' | 'wasm' | null} scheduler `null`: neither can be loaded
 * @property {string} reason
 * @property {string | null} file what was loaded
 */

/** @returns {Choice} */
function schedulerChoice() {
  /** @type {any} */
  let native;
  try {
    native = require('./native');
  } catch (error) {
    return { scheduler: null, reason: /** @type {Error} */ (error).message, file: null };
  }
  if (native.scheduler === 'wasm') return { scheduler: 'wasm', reason: native.reason, file: native.file };
  return { scheduler: 'native', reason: 'the addon for this platform loads', file: native.addonPath() };
}

module.exports = { schedulerChoice };
