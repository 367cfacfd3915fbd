'use strict';

/** The function that many invocations run of: deploy it with `invoice.js` beside it. */

const { lambdaWorker } = require('@parallelizer/node/lambda-invoke');

exports.handler = lambdaWorker({ root: __dirname });
