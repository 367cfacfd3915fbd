'use strict';

/** The worker's side of bare.js. */

const { createInterface } = require('node:readline');

const [filePath, name] = process.argv.slice(2);
const run = require(filePath)[name];

createInterface({ input: process.stdin }).on('line', (line) => {
  const results = JSON.parse(line).map((/** @type {any} */ item) => run(item));
  process.stdout.write(`${JSON.stringify(results)}\n`);
});
