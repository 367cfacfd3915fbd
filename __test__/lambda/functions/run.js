'use strict';
// Handlers around one `Parallelizer` at module level, in the styles that Lambda supports. The event says what to run:
// { batch, params, options } (records for fixtures/act.js unless TEST_OPTIONS says otherwise), or { stats: true }.

const fs = require('node:fs');
const { Parallelizer } = require('@parallelizer/node');

const parallelizer = new Parallelizer({
  filePath: `${__dirname}/fixtures/act.js`,
  processBatchFunctionName: 'act',
  ...JSON.parse(process.env.TEST_OPTIONS ?? '{}'),
});

async function run({ batch, params, options, stats }) {
  if (stats) return parallelizer.stats();
  const { responses, failures, errors } = await parallelizer.run(batch, params, options);
  return { responses, failures, errors: errors.map(({ code, message, records }) => ({ code, message, records })) };
}

exports.awaited = (event) => run(event);

// Node 22 and older only. Lambda responds once the event loop is empty.
exports.callback = (event, context, callback) => {
  run(event).then((result) => callback(null, result), callback);
};

// Calls back at once, with work still under way: Lambda waits for it.
exports.early = (event, context, callback) => {
  run(event).then(() => fs.writeFileSync(`${process.env.TEST_TMP}/done`, ''));
  callback(null, 'early');
};

// The pool exists but is not used.
exports.unused = (event, context, callback) => callback(null, 'unused');
exports.unusedAsync = async () => 'unused';
