'use strict';

/**
 * Finds the WebAssembly module and compiles it. `scripts/build-wasm.js` makes it: its custom sections hold the version
 * of the package that it belongs to, and the JavaScript that workers run.
 *
 * Must not depend on what the module does.
 */

const fs = require('node:fs');
const path = require('node:path');
const { fromJson } = require('../intrinsics/json');

// (Its types come with those of browsers only.)
const { WebAssembly } = /** @type {any} */ (globalThis);

/**
 * @typedef {object} Loaded
 * @property {string} file
 * @property {string} version of the package that it was built for
 * @property {any} module
 * @property {Record<string, string>} chunks the JavaScript that workers run, by name
 */

/** In a bundle it lies beside that; in the package and in a clone it lies at the top, where `lib` is. */
const PLACES = [
  path.join(__dirname, 'parallelizer.wasm'),
  path.join(__dirname, '../parallelizer.wasm'),
  path.join(__dirname, '../../parallelizer.wasm'),
];

/**
 * The text in a custom section.
 * @param {any} module @param {string} name
 */
function textOf(module, name) {
  const { 0: section } = WebAssembly.Module.customSections(module, name);
  return section === undefined ? null : Buffer.from(section).toString();
}

/** @returns {Loaded | null} `null`: it is not there */
function loadModule() {
  const file = PLACES.find((place) => fs.existsSync(place));
  if (file === undefined) return null;
  const module = new WebAssembly.Module(fs.readFileSync(file));
  const version = textOf(module, 'parallelizer:version') ?? 'another version';
  return { file, version, module, chunks: fromJson(textOf(module, 'parallelizer:worker') ?? '{}') };
}

module.exports = { loadModule };
