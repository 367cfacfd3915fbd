'use strict';

/** The worker's side of poolifier.js. */

const { ClusterWorker } = require('poolifier');

const { BENCHMARK_FILE, BENCHMARK_NAME } = process.env;
module.exports = new ClusterWorker(require(String(BENCHMARK_FILE))[String(BENCHMARK_NAME)]);
