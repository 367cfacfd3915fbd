'use strict';
// A worker has an invocation's trace header in its environment while it works for that invocation, and only then.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { processPartialResponse } = require('@parallelizer/node/lambda');
const { fixture, make: makeParallelizer } = require('./support/helpers');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const NAME = '_X_AMZN_TRACE_ID';
const r = random(5);

forEachMode(
  (mode) => {
    const instance = (t, options) =>
      makeParallelizer(t, {
        type: mode.type,
        filePath: fixture('lambda-trace.js'),
        processBatchFunctionName: 'look',
        parallelization: 1,
        ...options,
      });
    const before = process.env[NAME];
    const put = (value) => {
      if (value === undefined) delete process.env[NAME];
      else process.env[NAME] = value;
    };
    const respond = async (parallelizer, what, context) => {
      const seen = [];
      await processPartialResponse(
        eventOf('sqs', [make.sqs(r, { payload: what })]), context, parallelizer,
        { onError: (error) => seen.push(error.message) },
      );
      return seen[0];
    };
    const plain = async (parallelizer) => (await parallelizer.run([null])).responses[0];

    test('it is that of each invocation, and gone afterwards', async (t) => {
      t.after(() => put(before));
      put(undefined);
      const parallelizer = instance(t);
      assert.equal(await plain(parallelizer), 'none');
      for (const trace of ['Root=1-a;Sampled=1', 'Root=1-b;Sampled=0']) {
        put(trace);
        for (const what of ['throw', 'throwLater', 'throwAfterwards']) {
          assert.equal(await respond(parallelizer, what, contextOf()), `${trace} ${trace}`);
          assert.equal(await plain(parallelizer), 'none');
        }
      }
      put(undefined);
      assert.equal(await respond(parallelizer, 'throwLater', contextOf()), 'none null');
    });

    test('the value that a worker was started with comes back', async (t) => {
      t.after(() => put(before));
      put('Root=of-the-init-phase');
      const parallelizer = instance(t);
      assert.equal(await plain(parallelizer), 'Root=of-the-init-phase');
      put('Root=new');
      assert.equal(await respond(parallelizer, 'throwLater'), 'Root=new Root=new');
      put(undefined);
      assert.equal(await respond(parallelizer, 'throw'), 'none null');
      assert.equal(await plain(parallelizer), 'Root=of-the-init-phase');
    });

    test('if invocations share a process, it comes from the context', async (t) => {
      t.after(() => put(before));
      put(undefined);
      const parallelizer = instance(t, { parallelization: 2 });
      const traces = Array.from({ length: 30 }, (_, i) => `Root=${i}`);
      const seen = await Promise.all(
        traces.map((xRayTraceId) => respond(parallelizer, 'throwLater', contextOf(60_000, { xRayTraceId }))),
      );
      assert.deepEqual(
        seen,
        traces.map((trace) => `${trace} ${trace}`),
      );
      assert.equal(process.env[NAME], undefined, 'the handler has its own');
    });
  },
  { needs: ['hasWorkers'] },
);

test('inline, the environment is the handler’s and is left alone', async (t) => {
  const parallelizer = makeParallelizer(t, {
    type: 'inline',
    filePath: fixture('lambda-trace.js'),
    processBatchFunctionName: 'look',
  });
  const messages = [];
  await processPartialResponse(
    eventOf('sqs', [make.sqs(r, { payload: 'throwLater' })]),
    contextOf(60_000, { xRayTraceId: 'Root=9' }),
    parallelizer,
    { onError: (error) => messages.push(error.message) },
  );
  assert.deepEqual(messages, [`${process.env[NAME] ?? 'none'} Root=9`]);
});
