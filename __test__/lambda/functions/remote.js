'use strict';
// A function that works for pools elsewhere.

const { lambdaWorker } = require('@parallelizer/node/lambda-invoke');

exports.handler = lambdaWorker({ root: __dirname, processes: 2, secret: process.env.SECRET });
