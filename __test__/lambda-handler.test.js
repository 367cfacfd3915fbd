'use strict';
// createHandler and processPartialResponse: what a function is given, and what Lambda is told.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createHandler, processPartialResponse } = require('@parallelizer/node/lambda');
const { fixture, lines, make: makeParallelizer, within } = require('./support/helpers');
const { handlerFor, identifiers, idsOf } = require('./support/lambda');
const { contextOf, eventOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(7);

/** Records of a source with these payloads; `groups` has the group of each. */
const rawsOf = (source, payloads, groups = []) =>
  payloads.map((payload, position) =>
    make[source](r, { payload: { id: position, ...payload }, position, group: groups[position] }),
  );
const count = (n, payload = {}) => Array.from({ length: n }, () => payload);
const optionError = (pattern) => (error) => {
  assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
  assert.match(error.message, pattern);
  return true;
};

forEachMode((mode) => {
  const on = (t, options) => handlerFor(t, { type: mode.type, ...options });
  const shown = (log) => lines(log).map((line) => JSON.parse(line));

  test('a record function gets one record, params, the invocation, a signal', async (t) => {
    const { handler, log } = on(t, { recordFunctionName: 'show' });
    const context = contextOf(50_000);
    assert.deepEqual(await handler(eventOf('sqs', rawsOf('sqs', count(3))), context), { batchItemFailures: [] });
    const seen = shown(log).sort((a, b) => a.batchIndex - b.batchIndex);
    assert.deepEqual(seen.map(({ ids }) => ids), [[0], [1], [2]]);
    assert.deepEqual(seen.map(({ batchIndex }) => batchIndex), [0, 1, 2]);
    const given = ['batchIndex', 'context', 'mainLogger', 'params', 'record', 'signal', 'workerIndex'];
    assert.deepEqual(seen[0].given.sort(), given);
    const { deadline, traceId, ...rest } = seen[0].context;
    assert.deepEqual(rest, {
      awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef', functionName: 'orders', functionVersion: '$LATEST',
      invokedFunctionArn: context.invokedFunctionArn, memoryLimitInMB: '3538', logGroupName: '/aws/lambda/orders',
      logStreamName: '2024/01/01/[$LATEST]abc',
    });
    assert.equal(traceId, null);
    assert.ok(Math.abs(deadline - Date.now() - context.getRemainingTimeInMillis()) < 1000);
    for (const { remaining, isSignal } of seen) assert.ok(remaining > 0 && remaining <= 50_000 && isSignal);
  });

  test('a batch function gets its share of the records, in order', async (t) => {
    const { handler, log } = on(t, { processBatchFunctionName: 'show' });
    await handler(eventOf('sqs', rawsOf('sqs', count(5))), contextOf());
    const seen = shown(log).sort((a, b) => a.batchIndex - b.batchIndex);
    assert.deepEqual(seen.map(({ ids }) => ids), [[0, 1, 2], [3, 4]]);
    assert.ok(seen[0].given.includes('batch') && !seen[0].given.includes('record'));
  });

  test('a batch function gets records of one group if the source is ordered; batchSize cuts them', async (t) => {
    for (const [batchSize, expected] of [[undefined, ['0,2,3', '1,4']], [2, ['0,2', '1,4', '3']]]) {
      const { handler, log } = on(t, { processBatchFunctionName: 'show', batchSize });
      await handler(eventOf('sqs', rawsOf('sqs', count(5), [1, 2, 1, 1, 2])), contextOf());
      assert.deepEqual(shown(log).map(({ ids }) => ids.join()).sort(), expected);
    }
  });

  test('no context at all', async (t) => {
    const { handler, log } = on(t, { recordFunctionName: 'show' });
    await handler(eventOf('sqs', rawsOf('sqs', count(1))));
    assert.deepEqual(shown(log)[0].context, { deadline: null, traceId: null });
    assert.equal(shown(log)[0].remaining, 'Infinity');
  });

  test('params may be computed from event and context', async (t) => {
    const { log } = on(t);
    const { handler } = on(t, {
      recordFunctionName: 'show',
      params: async (event, context) => ({ log: `${log}-${event.Records.length}-${context.awsRequestId}` }),
    });
    await handler(eventOf('sqs', rawsOf('sqs', count(2))), contextOf(60_000, { awsRequestId: 'a' }));
    assert.equal(shown(`${log}-2-a`).length, 2);
    const failing = on(t, { params: () => Promise.reject(new Error('no params')) });
    await assert.rejects(failing.handler(eventOf('sqs', rawsOf('sqs', count(1)))), /no params/);
  });

  test('an event without records succeeds', async (t) => {
    const { handler } = on(t);
    for (const event of [{ Records: [] }, { eventSource: 'aws:kafka', records: {} }]) {
      assert.deepEqual(await handler(event, contextOf()), { batchItemFailures: [] });
    }
  });

  const bad = { what: 'throw', times: 99 };
  const good = {};

  test('SQS: the messages that failed', async (t) => {
    const { handler, log, errors } = on(t);
    const raws = rawsOf('sqs', [good, bad, good, bad, good]);
    const answer = await handler(eventOf('sqs', raws), contextOf());
    assert.deepEqual(identifiers(answer), [raws[1].messageId, raws[3].messageId]);
    assert.deepEqual(idsOf(log, 'done').sort(), [0, 2, 4]);
    assert.deepEqual(errors.map(({ error, records }) => [error.message, records.length, records[0].raw]).sort(), [
      ['record 1 is bad', 1, raws[1]], ['record 3 is bad', 1, raws[3]],
    ]);
  });

  test('SQS FIFO: together with the rest of their groups, which does not run', async (t) => {
    const { handler, log, errors } = on(t);
    const raws = rawsOf('sqs', [good, good, bad, good, good, good, good], [1, 2, 1, 1, 2, 3, 1]);
    assert.deepEqual(
      identifiers(await handler(eventOf('sqs', raws), contextOf())),
      [2, 3, 6].map((i) => raws[i].messageId),
    );
    assert.deepEqual(idsOf(log, 'begin').sort(), [0, 1, 2, 4, 5]);
    assert.equal(errors.length, 1, 'what was not tried has no error of its own');
  });

  test('Kinesis and DynamoDB: sequence numbers, the checkpoint first', async (t) => {
    for (const [source, numberOf] of [
      ['kinesis', (raw) => raw.kinesis.sequenceNumber],
      ['dynamodb', (raw) => raw.dynamodb.SequenceNumber],
    ]) {
      const { handler, log } = on(t);
      const raws = rawsOf(source, [good, good, bad, good]);
      assert.deepEqual(identifiers(await handler(eventOf(source, raws), contextOf())), [
        numberOf(raws[2]),
        numberOf(raws[3]),
      ]);
      assert.deepEqual(idsOf(log, 'begin'), [0, 1, 2]);
    }
  });

  test('Kafka: the offset to resume from, for each partition that has one', async (t) => {
    const { handler, log } = on(t);
    const raws = rawsOf('kafka', [good, bad, good, good, good, bad], [0, 0, 0, 1, 2, 2]);
    assert.deepEqual(identifiers(await handler(eventOf('kafka', raws), contextOf())), [
      { partition: 'orders-0', offset: 1001 }, { partition: 'orders-2', offset: 1005 },
    ]);
    assert.deepEqual(idsOf(log, 'done').sort(), [0, 3, 4]);
  });

  for (const source of ['s3', 'sns']) {
    test(`${source}: an error, since it has no partial response`, async (t) => {
      const { handler, log } = on(t);
      const raws = rawsOf(source, [good, bad, good]);
      await assert.rejects(handler(eventOf(source, raws), contextOf()), (error) => {
        assert.equal(error.code, 'ERR_PARALLELIZER_RECORDS_FAILED');
        assert.match(
          error.message,
          new RegExp(`^1 of 3 records \\(${source}\\) are not done, the first one because of Error: record 1 is bad`),
        );
        assert.deepEqual(
          error.errors.map(({ message }) => message),
          ['record 1 is bad'],
        );
        assert.equal(error.identifiers.length, 1);
        assert.equal(error.cause, error.errors[0]);
        assert.match(error.runId, /^[\da-f]{8}-[\da-f]{4}-7/);
        assert.equal(error.runId, error.errors[0].runId);
        return true;
      });
      assert.deepEqual(idsOf(log, 'done').sort(), [0, 2]);
      const fine = on(t);
      assert.deepEqual(await fine.handler(eventOf(source, rawsOf(source, [good])), contextOf()), {
        batchItemFailures: [],
      });
    });
  }

  test('reportBatchItemFailures: false: an error for any source', async (t) => {
    const { handler } = on(t, { reportBatchItemFailures: false });
    await assert.rejects(handler(eventOf('kafka', rawsOf('kafka', [good, bad])), contextOf()), {
      code: 'ERR_PARALLELIZER_RECORDS_FAILED',
    });
    assert.deepEqual(await handler(eventOf('kafka', rawsOf('kafka', [good])), contextOf()), { batchItemFailures: [] });
  });

  test('a sub-batch says which records failed: returned, thrown as identifiers, thrown as records', async (t) => {
    for (const params of [{ returns: [3, 1, 1] }, { throws: [1, 3] }, { throwsRecords: [3, 1] }]) {
      const { handler, errors } = on(t, {
        processBatchFunctionName: 'answer',
        parallelization: mode.hasWorkers ? 1 : 0,
        params,
      });
      for (const source of ['sqs', 'kafka', 'dynamodb']) {
        const raws = rawsOf(source, count(5));
        const answer = await handler(eventOf(source, raws), contextOf());
        if (source === 'sqs') assert.deepEqual(identifiers(answer), [raws[1].messageId, raws[3].messageId]);
        if (source === 'kafka') assert.deepEqual(identifiers(answer), [{ partition: 'orders-0', offset: 1001 }]);
        // Whatever was done after the checkpoint is delivered again.
        if (source === 'dynamodb')
          assert.deepEqual(
            identifiers(answer),
            raws.slice(1).map((raw) => raw.dynamodb.SequenceNumber),
          );
      }
      const [{ error, records }] = errors;
      assert.equal(records.length, 2);
      if (!params.returns) assert.deepEqual([error.constructor, error.message], [RangeError, 'some are bad']);
      if (params.throws) assert.equal(error.code, 'E_BAD');
    }
  });

  test('FIFO: what a sub-batch has done after a failure in its group is reported, to keep the order', async (t) => {
    const { handler } = on(t, { processBatchFunctionName: 'answer', params: { returns: [1] } });
    const raws = rawsOf('sqs', count(4), [1, 1, 1, 1]);
    assert.deepEqual(
      identifiers(await handler(eventOf('sqs', raws), contextOf())),
      raws.slice(1).map(({ messageId }) => messageId),
    );
  });

  test('a sub-batch that names what it was not given has failed as a whole', async (t) => {
    for (const params of [
      { returns: [0, -1] },
      { returns: [99] },
      { throws: [-1] },
      { gives: { batchItemFailures: 'all' } },
    ]) {
      const { handler, errors } = on(t, {
        processBatchFunctionName: 'answer',
        parallelization: mode.hasWorkers ? 1 : 0,
        params,
      });
      assert.equal(
        (await handler(eventOf('sqs', rawsOf('sqs', count(3))), contextOf())).batchItemFailures.length,
        3,
        JSON.stringify(params),
      );
      assert.match(errors[0].error.message, /no record of this sub-batch|must be a list/);
    }
  });

  test('anything else that a function returns means success', async (t) => {
    for (const gives of [
      null,
      0,
      'text',
      {},
      { batchItemFailures: null },
      { batchItemFailures: [] },
      [1],
      { statusCode: 500 },
    ]) {
      const { handler } = on(t, { processBatchFunctionName: 'answer', params: { gives } });
      assert.deepEqual(await handler(eventOf('sqs', rawsOf('sqs', count(3))), contextOf()), { batchItemFailures: [] });
    }
  });

  test('a message that was delivered twice in one batch is reported once if either fails', async (t) => {
    const { handler } = on(t);
    const raws = rawsOf('sqs', [good, good, bad]);
    raws[2].messageId = raws[0].messageId;
    assert.deepEqual(identifiers(await handler(eventOf('sqs', raws), contextOf())), [raws[0].messageId]);
  });

  test('groupBy: a finer order than that of the source', async (t) => {
    const { handler, log } = on(t, { groupBy: (record) => record.partitionKey });
    const raws = rawsOf('kinesis', [good, bad, good, good]);
    for (const [i, key] of ['a', 'b', 'a', 'b'].entries()) raws[i].kinesis.partitionKey = key;
    // The lowest is the checkpoint; what was done after it is delivered again.
    assert.deepEqual(
      identifiers(await handler(eventOf('kinesis', raws), contextOf())),
      [1, 3].map((i) => raws[i].kinesis.sequenceNumber),
    );
    assert.deepEqual(idsOf(log, 'done').sort(), [0, 2]);
    const throwing = on(t, { groupBy: () => { throw new Error('no key'); } });
    await assert.rejects(throwing.handler(eventOf('kinesis', raws)), /no key/);
  });

  test('many events at the same time are kept apart', async (t) => {
    const { handler, log } = on(t);
    const events = Array.from({ length: 12 }, (_, e) =>
      rawsOf(
        'sqs',
        Array.from({ length: 10 }, (_, i) => ({
          id: e * 10 + i,
          ...(i === e % 10 ? { what: 'throw', times: 99 } : {}),
        })),
      ),
    );
    const answers = await Promise.all(events.map((raws) => handler(eventOf('sqs', raws), contextOf())));
    for (const [e, answer] of answers.entries()) assert.deepEqual(identifiers(answer), [events[e][e % 10].messageId]);
    assert.equal(idsOf(log, 'done').length, 12 * 9);
  });

  test('an event of an unknown kind rejects, and says why', async (t) => {
    const { handler } = on(t);
    await assert.rejects(handler({ httpMethod: 'GET' }, contextOf()), optionError(/"event" must be an event of Kafka/));
  });

  test('without onError a failure is printed once, with what it is about', async (t) => {
    const { handler } = on(t, { onError: undefined });
    const printed = t.mock.method(console, 'error', () => {});
    const raws = rawsOf('sqs', [bad, good, good], [1, 1, 1]);
    await handler(eventOf('sqs', raws), contextOf());
    assert.equal(printed.mock.callCount(), 1);
    const [text, error] = printed.mock.calls[0].arguments;
    assert.equal(text, `not done: sqs record "${raws[0].messageId}"`);
    assert.equal(error.message, 'record 0 is bad');
  });

  test('processPartialResponse: inside a user-written handler', async (t) => {
    const parallelizer = makeParallelizer(t, {
      type: mode.type,
      filePath: fixture('lambda-worker.js'),
      processBatchFunctionName: 'batch',
      batchSize: 2,
    });
    const { log } = on(t);
    const onError = () => {};
    const raws = rawsOf('sqs', [good, good, bad, good, bad]);
    const answer = await processPartialResponse(eventOf('sqs', raws), contextOf(), parallelizer, {
      params: { log },
      onError,
    });
    assert.deepEqual(identifiers(answer), [raws[2].messageId, raws[4].messageId]);
    // The same instance still serves plain runs, whose records are passed as they are.
    const { responses } = await makeParallelizer(t, { type: mode.type }).run([{ do: 'echo', value: 1 }]);
    assert.deepEqual(responses, [1]);
  });

  test('processPartialResponse: with an instance that was made from a list', async (t) => {
    const { log } = on(t);
    const parallelizer = makeParallelizer(t, [
      { id: 'a', type: mode.type },
      { id: 2, type: mode.type, filePath: fixture('lambda-worker.js'), processBatchFunctionName: 'whole' },
    ]);
    const raws = rawsOf('sqs', [good, bad]);
    const respond = (options) =>
      processPartialResponse(eventOf('sqs', raws), undefined, parallelizer, {
        params: { log },
        onError() {},
        ...options,
      });
    assert.deepEqual(identifiers(await respond({ id: 2 })), [raws[1].messageId]);
    for (const id of [undefined, 'b'])
      await assert.rejects(respond({ id }), optionError(/"id" must be one of 'a', '2'/));
  });

  test('a signal passed by the user stops it as the deadline does', async (t) => {
    const parallelizer = makeParallelizer(t, {
      type: mode.type,
      filePath: fixture('lambda-worker.js'),
      processBatchFunctionName: 'whole',
    });
    const raws = rawsOf('sqs', count(4));
    const { log } = on(t);
    const answer = await processPartialResponse(eventOf('sqs', raws), contextOf(), parallelizer, {
      params: { log },
      signal: AbortSignal.abort(),
      onError() {},
    });
    assert.equal(answer.batchItemFailures.length, 4);
    assert.deepEqual(lines(log), []);
  });

  test('after close the event fails as a whole', async (t) => {
    const { handler } = on(t);
    await handler.parallelizer.close();
    await assert.rejects(handler(eventOf('sqs', rawsOf('sqs', count(1)))), { code: 'ERR_PARALLELIZER_CLOSED' });
  });

  test('a module that does not load: everything is reported', async (t) => {
    const { handler, errors } = on(t, { filePath: fixture('no-such-file.js') });
    const answer = await within(
      handler(eventOf('kafka', rawsOf('kafka', count(4), [0, 0, 1, 1])), contextOf()),
      'the answer',
    );
    assert.equal(answer.batchItemFailures.length, 2);
    assert.equal(errors[0].error.code, 'ERR_PARALLELIZER_MODULE');
  });
});

test('bad options are named where they are passed', async (t) => {
  const filePath = fixture('lambda-worker.js');
  const bad = (options, pattern) => assert.throws(() => createHandler(options), optionError(pattern));
  bad(undefined, /"options" must be an object/);
  bad({ filePath }, /"recordFunctionName" is required, or "processBatchFunctionName"/);
  bad(
    { filePath, recordFunctionName: 'a', processBatchFunctionName: 'b' },
    /"recordFunctionName" cannot be given together/,
  );
  bad({ filePath, recordFunctionName: 7 }, /"recordFunctionName" must be a string/);
  bad(
    { filePath, recordFunctionName: 'a', batchSize: 5 },
    /"batchSize" cannot be given together with "recordFunctionName"/,
  );
  bad({ filePath, recordFunctionNam: 'a' }, /"recordFunctionNam" is not known: did you mean "recordFunctionName"/);
  bad({ recordFunctionName: 'a' }, /"filePath" is required/);
  bad({ filePath, recordFunctionName: 'a', deadlineMargin: -1 }, /"deadlineMargin" must be a number of milliseconds/);
  bad({ filePath, recordFunctionName: 'a', groupBy: 'key' }, /"groupBy" must be a function/);
  bad({ filePath, recordFunctionName: 'a', onError: 1 }, /"onError" must be a function/);
  bad(
    { filePath, recordFunctionName: 'a', reportBatchItemFailures: 1 },
    /"reportBatchItemFailures" must be true or false/,
  );
  bad({ filePath, recordFunctionName: 'a', type: 'threads' }, /"type" must be/);
  const event = eventOf('sqs', rawsOf('sqs', count(1)));
  await assert.rejects(
    processPartialResponse(event, undefined, {}),
    optionError(/"parallelizer" must be an instance of Parallelizer/),
  );
  const parallelizer = makeParallelizer(t, { parallelization: 0 });
  await assert.rejects(
    processPartialResponse(event, undefined, parallelizer, { margin: 1 }),
    optionError(/"margin" is not known/),
  );
  await assert.rejects(
    processPartialResponse(event, undefined, parallelizer, { timeout: 0 }),
    optionError(/"timeout" must be/),
  );
});
