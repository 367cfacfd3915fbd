'use strict';

/** Where results are kept. */

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const RESULTS = path.join(__dirname, '..', 'results');
const FIGURES = path.join(__dirname, '..', '..', 'docs', 'figures');

/** @param {string} name @param {string} text */
function writeResult(name, text) {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, name), text);
}

/**
 * For the documentation: a picture, with the samples that it was drawn from.
 *
 * @param {string} name
 * @param {{ svg: string, record: object }} result
 */
function publishResult(name, { svg, record }) {
  mkdirSync(FIGURES, { recursive: true });
  writeFileSync(path.join(FIGURES, `${name}.svg`), svg);
  writeFileSync(path.join(FIGURES, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
}

module.exports = { FIGURES, RESULTS, publishResult, writeResult };
