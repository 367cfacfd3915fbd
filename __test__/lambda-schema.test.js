'use strict';
// The option `schema`: each record has to fit a Standard Schema, of whichever library, in the worker.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createHandler } = require('@parallelizer/node/lambda');
const { z } = require('zod');
const { fixture, lines } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(41);
const filePath = fixture('lambda-schemas.mjs');
const rawsOf = (source, payloads, group) => payloads.map((payload, position) => make[source](r, { payload, position, group }));

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, {
    type: mode.type, filePath, parallelization: mode.hasWorkers ? 1 : 0,
    ...(options.processBatchFunctionName === undefined ? { recordFunctionName: 'tell' } : {}), ...options,
  });
  const told = (log) => lines(log).map((line) => JSON.parse(line));

  for (const schema of ['byZod', 'byValibot', 'byArkType', 'later']) {
    test(`${schema}: what fits reaches the function as the schema makes it, what does not has failed with its issues`, async (t) => {
      const { handler, log, errors } = on(t, { schema });
      const raws = rawsOf('sqs', [{ id: 1 }, { id: 'two' }, { id: 3, item: 'rice' }]);
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
      assert.deepEqual(told(log), [{ id: 1, item: 'tea' }, { id: 3, item: 'rice' }]);
      const [{ error, records }] = errors;
      assert.deepEqual(records.map(({ raw }) => raw), [raws[1]]);
      assert.equal(error.code, 'ERR_PARALLELIZER_SCHEMA');
      assert.deepEqual(error.issues.map(({ path }) => path), [['id']]);
      assert.match(error.issues[0].message, /number/);
      assert.match(error.message, new RegExp(`^the sqs record ${raws[1].messageId} does not fit the schema: id: `));
    });
  }

  test('an asynchronous check', async (t) => {
    const { handler, errors } = on(t, { schema: 'later' });
    const raws = rawsOf('sqs', [{ id: 1 }, { id: 100 }]);
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
    assert.deepEqual(errors[0].error.issues, [{ message: 'too many', path: ['id'] }]);
  });

  test('after decoding, and of sources without a payload', async (t) => {
    const decoded = on(t, { decode: 'decode', schema: 'wrapped' });
    await decoded.handler(eventOf('kafka', rawsOf('kafka', [{ id: 1, more: 2 }])), contextOf());
    assert.deepEqual(told(decoded.log), [{ decoded: { id: 1 } }]);
    const changes = on(t, { schema: 'change' });
    await changes.handler(eventOf('dynamodb', rawsOf('dynamodb', [{ id: 1 }])), contextOf());
    assert.deepEqual(told(changes.log), [{ eventName: 'MODIFY', newImage: { version: 0 } }]);
    const uploads = on(t, { schema: { filePath, name: 'upload' } });
    await uploads.handler(eventOf('s3', rawsOf('s3', [{ id: 1 }])), contextOf());
    assert.deepEqual(told(uploads.log), [{ bucket: 'pictures', key: '{"id":1}' }]);
  });

  test('in order: nothing after one that does not fit', async (t) => {
    for (const options of [{ schema: 'byZod' }, { schema: 'byZod', processBatchFunctionName: 'tellAll' }]) {
      const { handler, log, errors } = on(t, options);
      const raws = rawsOf('sqs', [{ id: 1 }, { id: 2 }, {}, { id: 4 }], 3);
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[2].messageId, raws[3].messageId]);
      assert.deepEqual(told(log).flat().map(({ id }) => id), [1, 2]);
      assert.deepEqual(errors.map(({ error }) => error.code), ['ERR_PARALLELIZER_SCHEMA']);
    }
  });

  test('an export that is no schema', async (t) => {
    const { handler, errors } = on(t, { schema: 'noSchema' });
    await handler(eventOf('sqs', rawsOf('sqs', [{}])), contextOf());
    assert.equal(errors[0].error.code, 'ERR_PARALLELIZER_MODULE');
    assert.match(errors[0].error.message, /^"noSchema" is no schema: it has no "~standard"/);
  });
});

test('a schema itself does not travel: the message says what to do', () => {
  for (const schema of [z.string(), { '~standard': {} }]) {
    assert.throws(() => createHandler({ filePath, recordFunctionName: 'tell', schema }), {
      code: 'ERR_PARALLELIZER_OPTION',
      message: /"schema" cannot be the schema itself, which does not travel to the workers: export it, and give the export's name/,
    });
  }
  assert.throws(() => createHandler({ filePath, recordFunctionName: 'tell', schema: 7 }), /"schema" must be the name of an export/);
});
