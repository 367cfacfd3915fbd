'use strict';
// The options of Node's own `Worker`, given to threads.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { PARALLELIZER_THREADS } = require('@parallelizer/node');
const { fixture, make } = require('./support/helpers');

const on = (t, options) => make(t, { type: PARALLELIZER_THREADS, parallelization: 1, ...options });

test('flags that Node refuses for a thread are reported, with its own error as cause', async (t) => {
  const parallelizer = on(t, { execArgv: ['--max-old-space-size=50'], parallelization: 2 });
  const { failures, errors } = await parallelizer.run([1, 2]);
  assert.equal(failures.length, 2);
  assert.match(failures[0], /max-old-space-size/);
  assert.equal(errors[0].cause.code, 'ERR_WORKER_INVALID_EXEC_ARGV');
  await assert.rejects(parallelizer.ready(), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
});

test('resourceLimits bound the heap of a thread: the sub-batch that fills it fails, and no other', async (t) => {
  const parallelizer = on(t, { resourceLimits: { maxOldGenerationSizeMb: 24 }, parallelization: 2 });
  await parallelizer.ready();
  const { responses, errors } = await parallelizer.run([{ do: 'exhaustHeap' }, { do: 'echo', value: 'fine' }]);
  assert.deepEqual(responses, ['fine']);
  assert.equal(errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
  assert.equal(errors[0].cause.code, 'ERR_WORKER_OUT_OF_MEMORY');
  const next = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }]);
  assert.deepEqual(next.responses, [1, 2]);
});

test('a thread has its own env', async (t) => {
  const options = { filePath: fixture('shared.js'), processBatchFunctionName: 'environment', env: { ONLY: 'this' } };
  const { responses } = await on(t, options).run([1]);
  assert.deepEqual(responses, [{ ONLY: 'this', PARALLELIZER_WORKER_INDEX: '0' }]);
});

test('an endless loop is ended by timeout, and by a signal', async (t) => {
  const parallelizer = on(t, { gracePeriod: 20 });
  const timed = await parallelizer.run([{ do: 'loop' }], null, { timeout: 100 });
  assert.equal(timed.errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
  const controller = new AbortController();
  const running = parallelizer.run([{ do: 'loop' }], null, { signal: controller.signal });
  setTimeout(() => controller.abort(), 100);
  assert.equal((await running).errors[0].code, 'ERR_PARALLELIZER_ABORTED');
  assert.deepEqual((await parallelizer.run([{ do: 'echo', value: 1 }])).responses, [1]);
});
