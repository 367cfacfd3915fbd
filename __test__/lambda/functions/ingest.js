'use strict';
// A complete handler: createHandler with the functions of store.js and the options in TEST_OPTIONS.

const { createHandler } = require('@parallelizer/node/lambda');

exports.handler = createHandler({
  filePath: `${__dirname}/store.js`,
  ...JSON.parse(process.env.TEST_OPTIONS ?? '{ "recordFunctionName": "storeOne" }'),
});
