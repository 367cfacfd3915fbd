'use strict';
// What becomes of records that fail: what is not worth another try, whole batches; messages that are in S3.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { NonRetryableError, createHandler } = require('@parallelizer/node/lambda');
const { fixture, lines, temporary } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { aggregateOf, contextOf, eventOf, kinesisOf, logsOf, make, notificationOf, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(44);
const filePath = fixture('lambda-policy.js');
const rawsOf = (source, payloads, group) => payloads.map((payload, id) => make[source](r, { payload: { id, ...payload }, position: id, group }));
const good = {};
const never = { what: 'never' };
const bad = { what: 'throw' };

test('NonRetryableError is an error of that name', () => {
  const error = new NonRetryableError('no', { cause: 7 });
  assert.ok(error instanceof Error);
  assert.deepEqual([error.name, error.message, error.cause, Object.keys(error)], ['NonRetryableError', 'no', 7, []]);
});

forEachMode((mode) => {
  const on = (t, options = {}) => handlerFor(t, {
    type: mode.type, filePath, parallelization: mode.hasWorkers ? 2 : 0,
    ...(options.processBatchFunctionName === undefined ? { recordFunctionName: 'one' } : {}), ...options,
  });

  test('onDiscard in the handler: such records count as done', async (t) => {
    const told = [];
    const { handler, log, errors } = on(t, { onDiscard: async (error, records) => { told.push([error.message, records.map(({ raw }) => raw)]); } });
    const raws = rawsOf('sqs', [good, never, bad, { what: 'named' }, { what: 'later' }, good]);
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[2].messageId]);
    assert.deepEqual(told.sort(), [1, 3, 4].map((i) => [`never ${i}`, [raws[i]]]));
    assert.deepEqual(errors.map(({ error }) => error.message), ['bad 2']);
    assert.deepEqual(lines(log).sort(), ['done 0', 'done 5']);
  });

  test('without onDiscard, onError is told, and they count as done', async (t) => {
    const { handler, errors } = on(t);
    for (const source of ['sqs', 's3', 'sns']) {
      if (source === 's3') continue;
      assert.deepEqual(await handler(eventOf(source, rawsOf(source, [good, never])), contextOf()), { batchItemFailures: [] });
    }
    assert.deepEqual(errors.map(({ error }) => error.name), ['NonRetryableError', 'NonRetryableError']);
  });

  test('without either it is printed', async (t) => {
    const { handler } = on(t, { onError: undefined });
    const printed = t.mock.method(console, 'error', () => {});
    const raws = rawsOf('sqs', [never, bad]);
    await handler(eventOf('sqs', raws), contextOf());
    const texts = printed.mock.calls.map(({ arguments: [text, error] }) => [text, error.message]);
    assert.deepEqual(texts, [[`discarded: sqs record "${raws[0].messageId}"`, 'never 0'], [`not done: sqs record "${raws[1].messageId}"`, 'bad 1']]);
  });

  test('if discarding fails, the record has failed', async (t) => {
    const raws = rawsOf('sqs', [good, never, good]);
    for (const options of [{ onDiscard: () => Promise.reject(new Error('full')) }, { onDiscard: 'toDeadLetters', params: { fails: true } }]) {
      const { handler, errors } = on(t, options);
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
      assert.equal(errors.length, 1);
      assert.match(errors[0].error.message, /not discarded: never 1|the dead letters are full/);
    }
  });

  test('in order, in the handler: what stands behind comes again, undone', async (t) => {
    const discarded = [];
    const { handler, log } = on(t, { onDiscard: (error) => { discarded.push(error.message); } });
    for (const [source, numberOf] of [['sqs', (raw) => raw.messageId], ['kinesis', (raw) => raw.kinesis.sequenceNumber]]) {
      const raws = rawsOf(source, [good, never, good, good], 1);
      assert.deepEqual(identifiers(await handler(eventOf(source, raws), contextOf())), [2, 3].map((i) => numberOf(raws[i])));
    }
    assert.deepEqual(discarded, ['never 1', 'never 1']);
    assert.deepEqual(lines(log), ['done 0', 'done 0']);
  });

  test('in order, in the worker: in its turn, and what stands behind goes on', async (t) => {
    for (const options of [{}, { processBatchFunctionName: 'all' }]) {
      const { handler, log } = on(t, { onDiscard: 'toDeadLetters', ...options });
      const raws = rawsOf('sqs', [good, never, good, bad, good], 1);
      // A function for sub-batches has stopped there.
      const left = options.processBatchFunctionName === undefined ? [3, 4] : [2, 3, 4];
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), left.map((i) => raws[i].messageId));
      assert.deepEqual(lines(log).slice(0, 2), ['done 0', `discarded ${raws[1].body} never 1 true`]);
      if (left.length === 2) assert.deepEqual(lines(log).slice(2), ['done 2']);
    }
  });

  test('in order, in sub-batches, in the handler: only the first that is named, and what stands behind comes again', async (t) => {
    const discarded = [];
    const { handler, log, errors } = on(t, { processBatchFunctionName: 'all', onDiscard: (_, records) => { discarded.push(...records.map(({ json }) => json.id)); } });
    const raws = rawsOf('sqs', [good, never, good, good], 1);
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [2, 3].map((i) => raws[i].messageId));
    assert.deepEqual([discarded, lines(log), errors], [[1], ['done 0'], []]);
  });

  test('sub-batches: those that the error names, or all of them', async (t) => {
    for (const onDiscard of ['toDeadLetters', undefined]) {
      const { handler, log } = on(t, { processBatchFunctionName: 'all', onDiscard, parallelization: mode.hasWorkers ? 1 : 0 });
      const raws = rawsOf('sqs', [good, never, good, never]);
      assert.deepEqual(await handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
      assert.deepEqual(lines(log).filter((line) => line.startsWith('discarded')).length, onDiscard === undefined ? 0 : 2);
      const whole = on(t, { processBatchFunctionName: 'whole', onDiscard, parallelization: mode.hasWorkers ? 1 : 0 });
      assert.deepEqual(await whole.handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
      assert.deepEqual(lines(whole.log).length, onDiscard === undefined ? 0 : 4);
    }
  });

  test('discardInvalid: what cannot be read is discarded as well', async (t) => {
    const raws = rawsOf('sqs', [good, good, good]);
    raws[1].body = 'no JSON';
    for (const options of [
      { decode: 'json' }, { decode: 'json', onDiscard: 'toDeadLetters' },
      { decode: 'json', processBatchFunctionName: 'all' }, { decode: 'json', onDiscard: 'toDeadLetters', processBatchFunctionName: 'all' },
    ]) {
      const { handler, log, errors } = on(t, { discardInvalid: true, ...options });
      assert.deepEqual(await handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
      assert.deepEqual(lines(log).filter((line) => line.startsWith('done')).sort(), ['done 0', 'done 2']);
      if (options.onDiscard === undefined) assert.deepEqual(errors.map(({ error }) => error.code), ['ERR_PARALLELIZER_DECODE']);
      else assert.match(lines(log).find((line) => line.startsWith('discarded')), /no JSON the sqs record .* cannot be read as JSON/);
    }
    const { handler } = on(t, { decode: 'json' });
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[1].messageId]);
  });

  test('discardInvalid in order, in sub-batches: those before it first, then it, then those behind', async (t) => {
    const raws = rawsOf('sqs', [good, good, good, good], 1);
    raws[1].body = 'x';
    raws[2].body = 'y';
    const { handler, log } = on(t, { decode: 'json', discardInvalid: true, onDiscard: 'toDeadLetters', processBatchFunctionName: 'all' });
    assert.deepEqual(await handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
    assert.deepEqual(lines(log).map((line) => line.slice(0, 11)), ['done 0', 'discarded x', 'discarded y', 'done 3']);
  });

  /** An aggregate of these payloads, or texts. */
  const held = (...list) => kinesisOf(r, aggregateOf(list.map((each, id) =>
    ({ partitionKey: 'a', data: typeof each === 'string' ? each : JSON.stringify({ id, ...each }) }))));

  test('records within others: those are discarded that have to be, and the others are done', async (t) => {
    for (const list of [[good, never, good], [good, 'x', good]]) {
      for (const onDiscard of ['noteDiscarded', undefined]) {
        const { handler, log, errors } = on(t, { envelope: 'kpl', decode: 'json', discardInvalid: true, onDiscard });
        assert.deepEqual(await handler(eventOf('kinesis', [held(...list)]), contextOf()), { batchItemFailures: [] });
        const discarded = onDiscard === undefined ? [] : ['discarded 1 of kinesis'];
        assert.deepEqual(lines(log), ['done 0', ...discarded, 'done 2']);
        assert.equal(errors.length, 1 - discarded.length);
      }
    }
  });

  test('records within others, where results are wanted: what is discarded leaves the results of the others', async (t) => {
    const payload = (list) => list.map((each, id) => JSON.stringify({ id, ...each }));
    const reduce = (state, id) => ({ ids: [...(state.ids ?? []), id] });
    for (const onDiscard of ['noteDiscarded', () => {}, undefined]) {
      const { handler } = on(t, { recordFunctionName: 'result', envelope: 'cloudwatch-logs', onDiscard });
      const [raw] = rawsOf('firehose', [good]);
      const raws = [[good, never, good], [never, never]].map((list, i) =>
        ({ ...raw, recordId: `id-${i}`, data: logsOf(payload(list)).toString('base64') }));
      const { records } = await handler(eventOf('firehose', raws), contextOf());
      const told = onDiscard === undefined;
      assert.deepEqual(records.map(({ result }) => result), told ? ['ProcessingFailed', 'ProcessingFailed'] : ['Ok', 'Dropped']);
      if (!told) assert.equal(Buffer.from(records[0].data, 'base64').toString(), '02');
      const windowed = on(t, { recordFunctionName: 'result', envelope: 'kpl', onDiscard, window: { reduce } });
      const event = { ...eventOf('kinesis', [held(good, never, good)]), window: {}, state: {}, shardId: 'a' };
      const answer = await windowed.handler(event, contextOf());
      assert.deepEqual([identifiers(answer), answer.state], [[], { ids: [0, 2] }]);
      const failing = on(t, { recordFunctionName: 'result', envelope: 'kpl', onDiscard: () => { throw new Error('full'); }, window: { reduce } });
      assert.deepEqual((await failing.handler(event, contextOf())).state, {});
    }
  });

  test('records within others: a failure that is worth another try brings all of it again', async (t) => {
    const raw = held(never, bad, good);
    for (const onDiscard of ['noteDiscarded', () => assert.fail('it comes again')]) {
      const { handler } = on(t, { envelope: 'kpl', onDiscard });
      assert.deepEqual(identifiers(await handler(eventOf('kinesis', [raw]), contextOf())), [raw.kinesis.sequenceNumber]);
    }
  });

  test('records within others, in sub-batches: those beside one that cannot be read are done', async (t) => {
    const { handler, log, errors } = on(t, { processBatchFunctionName: 'data', envelope: 'sns', decode: 'json', discardInvalid: true, onDiscard: 'noteDiscarded' });
    const raws = ['1', 'x', '3'].map((message) => ({ ...make.sqs(r, { payload: 0 }), body: JSON.stringify(notificationOf(r, message)) }));
    assert.deepEqual(await handler(eventOf('sqs', raws), contextOf()), { batchItemFailures: [] });
    assert.deepEqual(lines(log).sort(), ['data 1', 'data 3', 'discarded all of sqs']);
    const logs = { ...make.kinesis(r, { payload: 0 }) };
    logs.kinesis = { ...logs.kinesis, data: logsOf(['1', 'x', '3']).toString('base64') };
    const inOrder = on(t, { processBatchFunctionName: 'data', envelope: 'cloudwatch-logs', decode: 'json', discardInvalid: true, onDiscard: 'noteDiscarded' });
    assert.deepEqual(await inOrder.handler(eventOf('kinesis', [logs]), contextOf()), { batchItemFailures: [] });
    assert.deepEqual([lines(inOrder.log), errors], [['discarded all of kinesis'], []]);
  });

  test('records within others, in sub-batches: what fails beside one that does not fit brings all of it again', async (t) => {
    for (const onDiscard of ['noteDiscarded', () => assert.fail('it comes again')]) {
      const { handler, log, errors } = on(t, {
        processBatchFunctionName: 'keys', envelope: 's3', schema: 'keySchema', discardInvalid: true, onDiscard,
        parallelization: mode.hasWorkers ? 1 : 0,
      });
      const inS3 = (key) => ({ eventSource: 'aws:s3', eventName: 'made', s3: { bucket: { name: 'b' }, object: { key } } });
      const raws = [['odd', 'bad'], ['a']].map((keys) => ({
        ...make.sqs(r, { payload: 0 }), body: JSON.stringify({ Records: keys.map(inS3) }),
      }));
      assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[0].messageId]);
      assert.deepEqual([lines(log), errors[0].error.message], [[], 'a bad key']);
    }
  });

  test('if a whole sub-batch cannot be discarded, it has failed', async (t) => {
    const { handler, errors } = on(t, { processBatchFunctionName: 'whole', onDiscard: 'toDeadLetters', params: { fails: true } });
    const raws = rawsOf('sqs', [good, good]);
    assert.equal((await handler(eventOf('sqs', raws), contextOf())).batchItemFailures.length, 2);
    assert.match(errors[0].error.message, /^not discarded: never/);
  });

  test('those that were discarded before one that cannot be are done', async (t) => {
    const params = { refused: [1, 2] };
    for (const [processBatchFunctionName, payload] of [['whole', good], ['all', never]]) {
      for (const group of [undefined, 1]) {
        const options = { processBatchFunctionName, onDiscard: 'toPickyLetters', params, parallelization: mode.hasWorkers ? 1 : 0 };
        const { handler, log, errors } = on(t, options);
        const raws = rawsOf('sqs', [payload, payload, payload, payload], group);
        const failed = identifiers(await handler(eventOf('sqs', raws), contextOf()));
        // In order, it ends with the first one; and a function that names records has stopped there.
        const inOrder = group !== undefined;
        const left = inOrder ? [1, 2, 3] : [1, 2];
        assert.deepEqual(failed, left.map((i) => raws[i].messageId), `${processBatchFunctionName} ${group}`);
        assert.deepEqual(lines(log), inOrder ? ['discarded 0'] : ['discarded 0', 'discarded 3']);
        if (inOrder && processBatchFunctionName === 'all') continue; // what was not tried is no news
        for (const { error, records } of errors) {
          assert.match(error.message, /^not discarded: never/);
          assert.equal(error.cause.message, `refused ${records[0].json.id}`);
        }
        assert.deepEqual(errors.flatMap(({ records }) => records.map(({ json }) => json.id)), left);
      }
    }
  });

  test('where results are wanted: what was not named has failed, and is not discarded', async (t) => {
    const window = { reduce: (state, id) => ({ ids: [...(state.ids ?? []), id] }) };
    const windowed = (raws) => ({ ...eventOf('kinesis', raws), window: {}, state: {}, shardId: 'a' });
    const base = { processBatchFunctionName: 'results', parallelization: mode.hasWorkers ? 1 : 0 };
    for (const decode of [undefined, 'json']) {
      for (const onDiscard of ['noteDiscarded', 'function']) {
        const discarded = [];
        const told = onDiscard === 'function' ? (_, records) => void discarded.push(...records) : onDiscard;
        const { handler, log, errors } = on(t, { ...base, decode, onDiscard: told });
        const count = () => discarded.length + lines(log).filter((line) => line.startsWith('discarded')).length;
        const raws = rawsOf('firehose', [good, never, good, never]);
        const { records } = await handler(eventOf('firehose', raws), contextOf());
        assert.deepEqual(records.map(({ result }) => result), ['ProcessingFailed', 'Dropped', 'ProcessingFailed', 'Dropped']);
        assert.equal(count(), 2);
        assert.deepEqual(errors.map(({ error, records: about }) => [error.name, error.cause.message, about.map(({ json }) => json.id)]),
          [['Error', 'never 1', [0, 2]]]);
        assert.match(errors[0].error.message, /^there is no result, since the function threw for other records: never 1/);

        const plain = on(t, { ...base, decode, onDiscard: told, window, groupBy: () => 'all' });
        // In order, what precedes it has no result either: all of it comes again.
        const inOrder = rawsOf('kinesis', [good, never, good]);
        const answer = await plain.handler(windowed(inOrder), contextOf());
        assert.deepEqual([identifiers(answer), answer.state], [inOrder.map(({ kinesis }) => kinesis.sequenceNumber), {}]);
        const first = rawsOf('kinesis', [never, good, good]);
        const second = await plain.handler(windowed(first), contextOf());
        assert.deepEqual(identifiers(second), first.slice(1).map(({ kinesis }) => kinesis.sequenceNumber));
        const news = lines(plain.log).filter((line) => line.startsWith('discarded')).length;
        assert.equal(news + discarded.length - (onDiscard === 'function' ? 2 : 0), 1, 'only the one that nothing precedes');
      }
    }
    // Another try of one that is not final brings all of it again, as ever.
    const { handler, errors } = on(t, base);
    const { records } = await handler(eventOf('firehose', rawsOf('firehose', [good, bad])), contextOf());
    assert.deepEqual(records.map(({ result }) => result), ['ProcessingFailed', 'ProcessingFailed']);
    assert.deepEqual(errors.map(({ error }) => error.message), ['bad 1']);
  });

  test('throwOnFullBatchFailure', async (t) => {
    const all = rawsOf('sqs', [bad, bad]);
    const some = rawsOf('sqs', [bad, good]);
    const { handler } = on(t, { throwOnFullBatchFailure: true });
    await assert.rejects(handler(eventOf('sqs', all), contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED', identifiers: all.map(({ messageId }) => messageId) });
    assert.deepEqual(identifiers(await handler(eventOf('sqs', some), contextOf())), [some[0].messageId]);
    assert.deepEqual(await handler(eventOf('sqs', []), contextOf()), { batchItemFailures: [] });
    const usual = on(t);
    assert.equal((await usual.handler(eventOf('sqs', all), contextOf())).batchItemFailures.length, 2);
  });

  const pointer = (key, name = 'software.amazon.payloadoffloading.PayloadS3Pointer') =>
    JSON.stringify([name, { s3BucketName: 'large', s3Key: key }]);
  const messages = (...bodies) => bodies.map((body) => ({ ...make.sqs(r, { payload: 0 }), body }));

  test('messages that are in S3, fetched by a function of the user’s', async (t) => {
    const { handler, log, errors } = on(t, { recordFunctionName: 'body', s3Pointers: 'fetch', parallelization: mode.hasWorkers ? 1 : 0 });
    const raws = messages(
      pointer('a'), pointer('bytes', 'com.amazon.sqs.javamessaging.MessageS3Pointer'), pointer('absent'), 'plain', '[1]', '["x"',
      pointer('b', 'my.Pointer'),
    );
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[2].messageId]);
    assert.deepEqual(lines(log), [
      `{"bucket":"large","key":"a"} ${raws[0].body} sqs`, `{"from":"bytes"} ${raws[1].body} sqs`, 'plain itself sqs', '[1] itself sqs',
      '["x" itself sqs', `${raws[6].body} itself sqs`,
    ]);
    assert.match(errors[0].error.message, /cannot be read as a pointer to s3:\/\/large\/absent: Error: NoSuchKey/);
  });

  test('messages that are in S3 are unpacked and decoded as others', async (t) => {
    const folder = temporary(t);
    fs.copyFileSync(filePath, path.join(folder, 'worker.js'));
    const sdk = path.join(folder, 'node_modules', '@aws-sdk', 'client-s3');
    fs.mkdirSync(sdk, { recursive: true });
    // What the SDK's client does, as far as it is used.
    fs.writeFileSync(path.join(sdk, 'index.js'), `
      exports.GetObjectCommand = class { constructor(input) { this.input = input; } };
      exports.S3Client = class {
        async send({ input: { Bucket, Key } }) {
          const text = ${JSON.stringify(JSON.stringify(notificationOf(r, { id: 7 })))};
          return { Body: { transformToString: async () => Bucket === 'large' && Key === 'a' ? text : '' } };
        }
      };`);
    const { handler, log } = on(t, { filePath: path.join(folder, 'worker.js'), recordFunctionName: 'decoded', s3Pointers: true, envelope: 'sns', decode: 'json' });
    assert.deepEqual(await handler(eventOf('sqs', messages(pointer('a'))), contextOf()), { batchItemFailures: [] });
    assert.deepEqual(lines(log), ['{"id":7}']);
    const bare = on(t, { s3Pointers: true, recordFunctionName: 'body' });
    await bare.handler(eventOf('sqs', messages(pointer('a'))), contextOf());
    assert.equal(bare.errors[0].error.code, 'ERR_PARALLELIZER_MODULE');
    assert.match(bare.errors[0].error.message, /s3Pointers needs the package "@aws-sdk\/client-s3"/);
  });
});

test('bad options are named where they are passed', () => {
  const refused = (options, pattern) => assert.throws(() => createHandler({ filePath, recordFunctionName: 'one', ...options }), { message: pattern });
  refused({ onDiscard: 7 }, /"onDiscard" must be a function, or the name of an export/);
  refused({ discardInvalid: 1 }, /"discardInvalid" must be true or false/);
  refused({ throwOnFullBatchFailure: 'yes' }, /"throwOnFullBatchFailure" must be true or false/);
  refused({ s3Pointers: 7 }, /"s3Pointers" must be true, or the name of an export/);
  refused({ s3Pointers: () => '' }, /"s3Pointers" cannot be a function/);
});
