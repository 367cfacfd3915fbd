'use strict';

/**
 * Finds a function as the library's own workers do: CommonJS, ES modules and TypeScript, with the same errors. Bundled
 * in when this package is packed, as the library does not export it.
 */

const Module = require('node:module');

const { moduleError } = require('../../../lib/errors');
const { findFunction, loadModule } = require('../../../lib/worker/module-loader');

/**
 * @param {string} filePath absolute @param {string} name
 * @returns {Promise<Function>}
 */
async function loadFunction(filePath, name) {
  let loaded;
  try {
    loaded = await loadModule(filePath, { require, Module, import: (url) => import(url) });
  } catch (cause) {
    throw moduleError(filePath, { cause });
  }
  return findFunction(filePath, name, loaded);
}

module.exports = { loadFunction };
