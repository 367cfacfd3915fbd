'use strict';
// What the tests of @parallelizer/node/lambda need.

const path = require('node:path');

const { createHandler } = require('@parallelizer/node/lambda');
const { fixture, lines, temporary } = require('./helpers');

/**
 * A handler with 2 workers on fixtures/lambda-worker.js that ends with the test, and the log that its records write.
 */
function handlerFor(t, options = {}) {
  const log = path.join(temporary(t), 'log');
  const { params, ...rest } = options;
  const errors = [];
  const handler = createHandler({
    filePath: fixture('lambda-worker.js'),
    parallelization: 2,
    params: typeof params === 'function' ? params : { log, ...params },
    onError: (error, records) => errors.push({ error, records }),
    ...(options.processBatchFunctionName === undefined ? { recordFunctionName: 'record' } : {}),
    ...rest,
  });
  t.after(() => handler.parallelizer.terminate());
  return { handler, log, errors };
}

/** What the records wrote: `[{ did: 'begin' | 'done', id }]`. */
const history = (log) =>
  lines(log).map((line) => {
    const [did, id] = line.split(' ');
    return { did, id: Number(id) };
  });

const idsOf = (log, what) => history(log).filter(({ did }) => did === what).map(({ id }) => id);
const identifiers = ({ batchItemFailures }) => batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);

module.exports = { handlerFor, history, identifiers, idsOf };
