'use strict';
// Whatever a function throws, its records have failed: values that are no errors, and errors that look as if this
// library had made them, or that were thrown before.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { fixture } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(45);
const filePath = fixture('lambda-thrown.js');
const rawsOf = (source, payloads) => payloads.map((payload, position) => make[source](r, { payload, position }));
const VALUES = ['undefined', 'null', 'false', 'zero', 'nan', 'empty', 'text', 'symbol', 'bare'];

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, { type: mode.type, filePath, parallelization: mode.hasWorkers ? 1 : 0, ...options });
  const namesOf = { sqs: ({ messageId }) => messageId, kinesis: ({ kinesis }) => kinesis.sequenceNumber, firehose: ({ recordId }) => recordId };
  const failedIn = (answer) => (answer.records === undefined ? identifiers(answer)
    : answer.records.filter(({ result }) => result === 'ProcessingFailed').map(({ recordId }) => recordId));

  const handlers = [
    ['sub-batches', { processBatchFunctionName: 'all' }, 'whole'],
    ['sub-batches that are decoded', { processBatchFunctionName: 'all', decode: 'decode' }, 'whole'],
    ['sub-batches with a schema', { processBatchFunctionName: 'all', schema: 'schema' }, 'whole'],
    ['sub-batches with discards', { processBatchFunctionName: 'all', decode: 'decode', onDiscard: 'discard', discardInvalid: true }, 'whole'],
    ['records', { recordFunctionName: 'one' }, 'single'],
    ['records that are decoded', { recordFunctionName: 'one', decode: 'decode', onDiscard: 'discard' }, 'single'],
  ];
  for (const [name, options, kind] of handlers) {
    test(`values that are no errors, thrown by functions for ${name}`, async (t) => {
      const { handler, errors } = on(t, options);
      for (const source of ['sqs', 'kinesis', 'firehose']) {
        for (const value of VALUES) {
          const raws = rawsOf(source, [{}, { fn: value }, {}]);
          const failed = failedIn(await handler(eventOf(source, raws), contextOf()));
          const expected = kind === 'whole' ? [0, 1, 2] : source === 'kinesis' ? [1, 2] : [1];
          assert.deepEqual(failed, expected.map((i) => namesOf[source](raws[i])), `${source} ${value}`);
          assert.equal(errors.splice(0).length, 1, `${source} ${value}`);
        }
      }
    });
  }

  test('values that are no errors, thrown for one record by what reads it', async (t) => {
    for (const options of [{ decode: 'decode' }, { schema: 'schema' }, { decode: 'decode', onDiscard: 'discard', discardInvalid: true }]) {
      for (const named of [{ processBatchFunctionName: 'all' }, { recordFunctionName: 'one' }]) {
        const { handler, errors } = on(t, { ...options, ...named });
        for (const source of ['sqs', 'kinesis', 'firehose']) {
          for (const value of VALUES) {
            const raws = rawsOf(source, [{}, { read: value }, {}]);
            const failed = failedIn(await handler(eventOf(source, raws), contextOf()));
            assert.deepEqual(failed, (source === 'kinesis' ? [1, 2] : [1]).map((i) => namesOf[source](raws[i])), `${source} ${value}`);
            assert.equal(errors.splice(0).length, 1, `${source} ${value}`);
          }
        }
      }
    }
  });

  test('values that are no errors, thrown by what discards', async (t) => {
    for (const named of [{ processBatchFunctionName: 'all' }, { recordFunctionName: 'one' }]) {
      const { handler, errors } = on(t, { ...named, onDiscard: 'discard' });
      for (const value of VALUES) {
        const raws = rawsOf('sqs', [{}, { fn: 'never', discard: value }, {}]);
        assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())).includes(raws[1].messageId), true, value);
        assert.equal(errors.splice(0).length > 0, true, value);
      }
    }
  });

  test('errors that look as if they stood for others are about their own records', async (t) => {
    for (const options of [
      { recordFunctionName: 'one' }, { recordFunctionName: 'one', decode: 'decode' }, { processBatchFunctionName: 'naming' },
      { processBatchFunctionName: 'naming', decode: 'decode' },
    ]) {
      for (const what of ['aggregate', 'aggregateOfOne', 'aggregateOfNull']) {
        const { handler, errors } = on(t, options);
        const raws = rawsOf('sqs', [{}, { fn: what }, {}]);
        assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId], what);
        assert.deepEqual(errors.map(({ error, records }) => [error.message, records[0].raw]), [['none', raws[1]]]);
      }
    }
    const { handler } = on(t, { processBatchFunctionName: 'all' });
    assert.equal(identifiers(await handler(eventOf('sqs', rawsOf('sqs', [{ fn: 'aggregate' }, {}])), contextOf())).length, 2);
  });

  test('an error that was thrown before says nothing of the records of then', async (t) => {
    for (const decode of [undefined, 'decode']) {
      const { handler } = on(t, { processBatchFunctionName: 'naming', decode });
      const raws = rawsOf('sqs', [{}, { fn: 'same' }, {}]);
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
      // Redelivered beside one for which the function throws the same, without names.
      const again = [raws[1], ...rawsOf('sqs', [{ fn: 'sameUnnamed' }, {}])];
      assert.deepEqual(identifiers(await handler(eventOf('sqs', again), contextOf())), again.map(({ messageId }) => messageId));
    }
    const { handler } = on(t, { processBatchFunctionName: 'naming', decode: 'decode' });
    const raws = rawsOf('sqs', [{}, { read: 'same' }, {}]);
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
    const read = { ...raws[1], body: '{}' };
    const again = [read, ...rawsOf('sqs', [{ fn: 'sameUnnamed' }, {}])];
    assert.deepEqual(identifiers(await handler(eventOf('sqs', again), contextOf())), again.map(({ messageId }) => messageId));
  });
});
