'use strict';

/** What hosts run for the suite `remote`. */

const { appendFileSync } = require('node:fs');
const { burn } = require('./work.js');

exports.burn = burn;

exports.sizeOf = (/** @type {string} */ text) => text.length;

/** Says in a file which process it runs in, and whose child that is, and computes. */
exports.tellAndBurn = (/** @type {{ file: string, steps: number }} */ { file, steps }) => {
  appendFileSync(file, `${process.pid} ${process.ppid}\n`);
  return burn(steps);
};
