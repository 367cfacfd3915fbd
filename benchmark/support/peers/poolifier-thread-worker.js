'use strict';

/** The worker's side of poolifier.js. */

const { ThreadWorker } = require('poolifier');

const [filePath, name] = process.argv.slice(2);
module.exports = new ThreadWorker(require(filePath)[name]);
