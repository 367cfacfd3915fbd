'use strict';

/** Where results are kept. */

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const RESULTS = path.join(__dirname, '..', 'results');

/** @param {string} name @param {string} text */
function writeResult(name, text) {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, name), text);
}

module.exports = { writeResult };
