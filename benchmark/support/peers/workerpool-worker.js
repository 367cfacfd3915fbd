'use strict';

/** The worker's side of workerpool.js. */

const workerpool = require('workerpool');

const [filePath, name] = process.argv.slice(2);
workerpool.worker({ run: require(filePath)[name] });
