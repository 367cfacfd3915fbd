'use strict';
// Sources with an answer of their own (Firehose, S3 Batch Operations, tumbling windows), and those that have none.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createHandler, records } = require('@parallelizer/node/lambda');
const { fixture, lines } = require('./support/helpers');
const { handlerFor, identifiers } = require('./support/lambda');
const { contextOf, eventOf, logsOf, make, random } = require('./support/lambda-events');
const { forEachMode } = require('./support/modes');

const r = random(43);
const filePath = fixture('lambda-results.js');
const rawsOf = (source, payloads) => payloads.map((payload, position) => make[source](r, { payload, position }));
const says = (what, value) => ({ what, value });
const decoded = ({ data }) => (data === undefined ? undefined : Buffer.from(data, 'base64').toString());

test('Firehose: records, also of a stream that reads from Kafka', () => {
  const [raw] = rawsOf('firehose', [{ id: 1 }]);
  const [record] = records(eventOf('firehose', [raw]));
  assert.deepEqual([record.source, record.identifier, record.groupKey, record.timestamp], ['firehose', raw.recordId, null, 1_700_000_000_000]);
  assert.deepEqual([record.json, record.kinesisRecordMetadata.shardId, record.data], [{ id: 1 }, 'shardId-000000000000', raw.data]);
  const { data, ...rest } = raw;
  const [kafka] = records(eventOf('firehose', [{ ...rest, kafkaRecordValue: data, mskRecordMetadata: { offset: '1' } }]));
  assert.deepEqual([kafka.json, kafka.mskRecordMetadata], [{ id: 1 }, { offset: '1' }]);
});

test('S3 Batch Operations: tasks of both versions', () => {
  const [raw] = rawsOf('s3-batch', [{ a: 'b c' }]);
  const [record] = records(eventOf('s3-batch', [raw]));
  assert.deepEqual([record.source, record.identifier], ['s3-batch', raw.taskId]);
  assert.deepEqual(record.value, { bucket: 'pictures', key: '{"a":"b c"}', versionId: null });
  assert.deepEqual([record.job.id, record.userArguments], ['f3cc4f60-61f6-4a2b-8a21-d07600c373ce', {}]);
  const { s3BucketArn, ...task } = raw;
  const event = {
    ...eventOf('s3-batch', [{ ...task, s3Bucket: 'pictures', s3VersionId: '7' }]), invocationSchemaVersion: '2.0',
    job: { id: 'j', userArguments: { size: 'small' } },
  };
  const [second] = records(event);
  assert.deepEqual([second.value.bucket, second.value.versionId, second.userArguments], ['pictures', '7', { size: 'small' }]);
});

test('DocumentDB: changes, with values of Extended JSON', () => {
  const [raw] = rawsOf('documentdb', [{ id: 1 }]);
  const event = eventOf('documentdb', [raw]);
  const [record] = records(event);
  assert.deepEqual([record.source, record.identifier, record.groupKey], ['documentdb', raw.event._id._data, event.eventSourceArn]);
  assert.deepEqual([record.operationType, record.ns, record.timestamp], ['insert', { db: 'shop', coll: 'orders' }, 1_700_000_000_000]);
  assert.deepEqual(record.documentKey, { _id: '0'.repeat(24) });
  assert.deepEqual(record.fullDocument, { _id: '0'.repeat(24), payload: '{"id":1}', count: 0, at: new Date(1_700_000_000_000) });
  assert.deepEqual([record.updateDescription, record.eventSource], [null, 'aws:docdb']);
  const values = {
    long: { $numberLong: '9007199254740993' }, int: { $numberInt: '5' }, double: { $numberDouble: '-Infinity' },
    decimal: { $numberDecimal: '0.10000000000000000001' }, bytes: { $binary: { base64: 'aGk=', subType: '00' } },
    old: { $binary: 'aGk=', $type: '00' }, date: { $date: '2024-01-01T00:00:00Z' }, uuid: { $uuid: 'u' }, list: [{ $oid: 'a' }],
    unknown: { $minKey: 1 }, two: { $oid: 'a', b: 1 }, plain: { $other: null }, nothing: null, inherited: { toString: 1 },
  };
  const [odd] = records(eventOf('documentdb', [{ event: { ...raw.event, fullDocument: values } }]));
  assert.deepEqual(odd.fullDocument, {
    long: 9007199254740993n, int: 5, double: -Infinity, decimal: '0.10000000000000000001', bytes: Buffer.from('hi'),
    old: Buffer.from('hi'), date: new Date('2024-01-01T00:00:00Z'), uuid: 'u', list: ['a'], unknown: { $minKey: 1 },
    two: { $oid: 'a', b: 1 }, plain: { $other: null }, nothing: null, inherited: { toString: 1 },
  });
});

test('CloudWatch Logs: lines; none in a control message', () => {
  const found = records(eventOf('cloudwatch-logs', rawsOf('cloudwatch-logs', [{ id: 1 }, { id: 2 }])));
  assert.deepEqual(found.map(({ source, json, logGroup, logStream }) => [source, json.id, logGroup, logStream]),
    [1, 2].map((id) => ['cloudwatch-logs', id, '/aws/lambda/orders', '2024/01/01/[$LATEST]abc']));
  assert.deepEqual([found[0].identifier, found[0].timestamp], [found[0].id, 1_700_000_000_000]);
  assert.deepEqual(records({ awslogs: { data: logsOf(['x'], 'CONTROL_MESSAGE').toString('base64') } }), []);
  for (const data of [undefined, 7, '', 'e30=', Buffer.from('x').toString('base64')]) {
    assert.throws(() => records({ awslogs: { data } }), /"event\.awslogs\.data" must be logs, gzipped, as Base64/);
  }
});

test('what such events lack is said', () => {
  const bad = (event, pattern) => assert.throws(() => records(event), { code: 'ERR_PARALLELIZER_OPTION', message: pattern });
  bad(eventOf('firehose', [{ data: '' }]), /"event\.records\[0\]\.recordId" must be a string/);
  bad(eventOf('firehose', [{ recordId: 'a', data: { id: 1 } }]), /"event\.records\[0\]\.data" must be Base64.*parsed before/);
  bad(eventOf('s3-batch', [{ s3Key: 'a' }]), /"event\.tasks\[0\]\.taskId" must be a string/);
  bad(eventOf('documentdb', [{ event: {} }, 7]), /"event\.events\[0\]\.event\.operationType" must be a string/);
  bad(eventOf('documentdb', [7]), /"event\.events\[0\]" must be a record/);
});

forEachMode((mode) => {
  const on = (t, options = {}) => handlerFor(t, {
    type: mode.type, filePath, parallelization: mode.hasWorkers ? 2 : 0,
    ...(options.processBatchFunctionName === undefined ? { recordFunctionName: 'one' } : {}), ...options,
  });

  test('Firehose: an answer for each record, in order', async (t) => {
    const payloads = [
      says('text', 'new'), says('buffer', 'bytes'), says('text', { a: 1 }), says('text', null), says('nothing'), says('throw'),
      says('text', { result: 'Dropped' }), says('text', { result: 'ProcessingFailed', data: 'eA==' }),
      says('text', { result: 'Ok', data: Buffer.from('own').toString('base64'), metadata: { partitionKeys: { year: '2024' } } }),
      says('later', 'later'), says('text', { result: 'other' }), says('text', ''), says('bigint'),
    ];
    const raws = rawsOf('firehose', payloads);
    const { handler, errors } = on(t);
    const answer = await handler(eventOf('firehose', raws), contextOf());
    assert.deepEqual(Object.keys(answer), ['records']);
    assert.deepEqual(answer.records.map(({ recordId }) => recordId), raws.map(({ recordId }) => recordId));
    const failed = (i) => [5, 7, 12].includes(i);
    const dropped = (i) => [3, 6].includes(i);
    assert.deepEqual(answer.records.map(({ result }) => result),
      payloads.map((_, i) => (failed(i) ? 'ProcessingFailed' : dropped(i) ? 'Dropped' : 'Ok')));
    assert.deepEqual(answer.records.map(decoded), [
      'new', 'bytes', '{"a":1}', undefined, JSON.stringify(payloads[4]), undefined, undefined, undefined, 'own', 'later',
      '{"result":"other"}', '', undefined,
    ]);
    assert.deepEqual(answer.records[8].metadata, { partitionKeys: { year: '2024' } });
    assert.deepEqual(errors.map(({ records: [{ raw }] }) => raws.indexOf(raw)).sort(), [12, 5]);
  });

  test('Firehose: functions for sub-batches, and what they have to return', async (t) => {
    const raws = rawsOf('firehose', [says('text', 'a'), says('text', null), says('nothing')]);
    for (const processBatchFunctionName of ['all', 'own']) {
      const { handler } = on(t, { processBatchFunctionName });
      const { records: answers } = await handler(eventOf('firehose', raws), contextOf());
      const own = processBatchFunctionName === 'own';
      assert.deepEqual(answers.map(({ result }) => result), own ? ['Ok', 'Ok', 'Ok'] : ['Ok', 'Dropped', 'Ok']);
      assert.equal(decoded(answers[0]), own ? JSON.stringify(says('text', 'a')) : 'a');
    }
    for (const [processBatchFunctionName, pattern] of [['none', /has to return a list with a result for each/], ['short', /returned \d results for \d records/]]) {
      const { handler, errors } = on(t, { processBatchFunctionName });
      const { records: answers } = await handler(eventOf('firehose', raws), contextOf());
      assert.deepEqual(answers.map(({ result }) => result), ['ProcessingFailed', 'ProcessingFailed', 'ProcessingFailed']);
      assert.match(errors[0].error.message, pattern);
    }
    const { handler } = on(t, { processBatchFunctionName: 'all', decode: 'json', parallelization: mode.hasWorkers ? 1 : 0 });
    const mixed = [raws[0], { ...raws[1], data: 'eA==' }, raws[2]];
    const answer = await handler(eventOf('firehose', mixed), contextOf());
    assert.deepEqual(answer.records.map(({ result }) => result), ['Ok', 'ProcessingFailed', 'Ok'], 'what cannot be decoded fails alone');
  });

  test('Firehose: metadata is JSON in the answer; what is none fails alone', async (t) => {
    const raws = rawsOf('firehose', [says('metadata', 'date'), says('metadata', 'bigint'), says('text', 'a')]);
    const { handler, errors } = on(t);
    const { records: answers } = await handler(eventOf('firehose', raws), contextOf());
    assert.deepEqual(answers.map(({ result }) => result), ['Ok', 'ProcessingFailed', 'Ok']);
    assert.deepEqual(answers[0].metadata, { partitionKeys: { id: '1970-01-01T00:00:00.000Z' } });
    assert.deepEqual(errors.map(({ error, records: about }) => [error.name, about[0].raw]), [['TypeError', raws[1]]]);
  });

  test('an error may have a list of results of its own', async (t) => {
    for (const value of [['inserted', 'failed'], [{ ok: 1 }], []]) {
      const payloads = [says('text', 1), says('listed', value), says('text', 3)];
      const one = { processBatchFunctionName: 'all', batchSize: 1 };
      const firehose = await on(t, one).handler(eventOf('firehose', rawsOf('firehose', payloads)), contextOf());
      assert.deepEqual(firehose.records.map(({ result }) => result), ['Ok', 'ProcessingFailed', 'Ok']);
      const raws = rawsOf('kinesis', payloads);
      for (const options of [one, { ...one, decode: 'json' }]) {
        const { handler, errors } = on(t, { ...options, groupBy: (record) => record.identifier, window: { reduce: add } });
        const answer = await handler(windowed('kinesis', raws), contextOf());
        assert.deepEqual([answer.state.sum, identifiers(answer)], [1, [raws[1].kinesis.sequenceNumber]]);
        assert.deepEqual(errors[0].error.results, value);
      }
    }
  });

  test('what is done beside a failure has the same result as in a whole sub-batch', async (t) => {
    const payloads = [
      says('money', 5), says('map', 6), says('buffer', 'ab'), says('nothing'), says('text', 'x'.repeat(5000)),
      says('floats', 300), says('text', { a: [1, null] }),
    ];
    const raws = rawsOf('kinesis', [...payloads, says('text', 'last')]);
    const spoiled = [...raws];
    spoiled[payloads.length] = { ...raws[payloads.length], kinesis: { ...raws[payloads.length].kinesis, data: 'eA==' } };
    for (const serialization of ['json', 'auto', 'advanced']) {
      const seen = [];
      const { handler } = on(t, {
        processBatchFunctionName: 'all', decode: 'json', serialization, groupBy: () => 'all',
        window: { reduce: (_, result) => void seen.push(result) },
      });
      await handler(windowed('kinesis', raws), contextOf());
      const whole = seen.splice(0).slice(0, payloads.length);
      const answer = await handler(windowed('kinesis', spoiled), contextOf());
      assert.deepEqual(identifiers(answer), [raws[payloads.length].kinesis.sequenceNumber]);
      assert.deepEqual(seen, whole, serialization);
      assert.deepEqual(whole.slice(0, 2), serialization === 'json' ? ['EUR 5', {}] : [{ amount: 5 }, new Map([[1, 6]])]);
    }
  });

  test('throwOnFullBatchFailure holds for all sources', async (t) => {
    const throwing = { throwOnFullBatchFailure: true, window: undefined };
    const bad = [says('throw'), says('throw')];
    for (const [event, more] of [
      [eventOf('firehose', rawsOf('firehose', bad)), {}],
      [eventOf('s3-batch', rawsOf('s3-batch', bad)), {}],
      [windowed('kinesis', rawsOf('kinesis', bad)), { window: { reduce: add } }],
    ]) {
      const { handler } = on(t, { ...throwing, ...more });
      await assert.rejects(handler(event, contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED' });
    }
    const { handler } = on(t, { ...throwing, window: { reduce: add } });
    const good = windowed('kinesis', rawsOf('kinesis', [says('text', 1), says('throw')]));
    assert.equal((await handler(good, contextOf())).state.sum, 1);
    assert.deepEqual((await handler(windowed('kinesis', []), contextOf())).batchItemFailures, []);
  });

  test('Firehose: lines of logs within, which become one record again', async (t) => {
    const [raw] = rawsOf('firehose', [0]);
    const bytes = [
      logsOf(['{"level":"warn","n":1}', '{"level":"info"}', '{"level":"warn","n":2}']), logsOf(['{"level":"info"}']),
      logsOf([''], 'CONTROL_MESSAGE'), logsOf(['{"level":"warn"}', 'text']),
    ];
    const raws = bytes.map((each, i) => ({ ...raw, recordId: `id-${i}`, data: each.toString('base64') }));
    const { handler } = on(t, { recordFunctionName: 'warnings', envelope: 'cloudwatch-logs' });
    const { records: answers } = await handler(eventOf('firehose', raws), contextOf());
    assert.deepEqual(answers.map(({ result }) => result), ['Ok', 'Dropped', 'Dropped', 'ProcessingFailed']);
    assert.equal(decoded(answers[0]), '{"level":"warn","n":1}\n{"level":"warn","n":2}\n');
  });

  test('Firehose: what does not fit into 6 MB is told as failed, and said', async (t) => {
    const size = 1.2 * 1024 * 1024;
    const raws = rawsOf('firehose', [...Array.from({ length: 5 }, () => ({ size })), { size: 10 }]);
    const { handler, errors } = on(t, { recordFunctionName: 'big' });
    const answer = await handler(eventOf('firehose', raws), contextOf());
    assert.ok(JSON.stringify(answer).length <= 6 * 1024 * 1024);
    assert.deepEqual(answer.records.map(({ result }) => result), ['Ok', 'Ok', 'Ok', 'ProcessingFailed', 'ProcessingFailed', 'Ok']);
    const [{ error, records: about }] = errors;
    assert.equal(error.code, 'ERR_PARALLELIZER_RECORDS_FAILED');
    assert.match(error.message, /6 MB at most: 2 records do not fit/);
    assert.deepEqual(about.map(({ raw }) => raws.indexOf(raw)), [3, 4]);
  });

  test('Firehose: an error where the user wants one, or there was no time', async (t) => {
    const raws = rawsOf('firehose', [says('text', 'a'), says('throw')]);
    const { handler } = on(t, { reportBatchItemFailures: false });
    await assert.rejects(handler(eventOf('firehose', raws), contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED', identifiers: [raws[1].recordId] });
    const late = on(t);
    await assert.rejects(late.handler(eventOf('firehose', raws), contextOf(0)), { code: 'ERR_PARALLELIZER_RECORDS_FAILED' });
  });

  test('S3 Batch Operations: a result for each task', async (t) => {
    const payloads = [
      says('text', 'done'), says('nothing'), says('text', { n: 1 }), says('throw'), says('never'),
      says('text', { resultCode: 'PermanentFailure', resultString: 'no' }), says('later', 'ok'),
    ];
    for (const options of [{}, { processBatchFunctionName: 'all', batchSize: 1 }]) {
      const { handler } = on(t, options);
      const event = eventOf('s3-batch', rawsOf('s3-batch', payloads));
      const { results, ...rest } = await handler(event, contextOf());
      assert.deepEqual(rest, { invocationSchemaVersion: '1.0', treatMissingKeysAs: 'PermanentFailure', invocationId: event.invocationId });
      assert.deepEqual(results.map(({ taskId }) => taskId), event.tasks.map(({ taskId }) => taskId));
      assert.deepEqual(results.map(({ resultCode, resultString }) => [resultCode, resultString]), [
        ['Succeeded', 'done'], ['Succeeded', ''], ['Succeeded', '{"n":1}'], ['TemporaryFailure', 'a bad one'],
        ['PermanentFailure', 'never again'], ['PermanentFailure', 'no'], ['Succeeded', 'ok'],
      ]);
    }
  });

  test('DocumentDB: in order; an error, after which everything comes again', async (t) => {
    const { handler, log } = handlerFor(t, { type: mode.type, filePath: fixture('lambda-worker.js') });
    const raws = rawsOf('documentdb', [{ id: 0 }, { id: 1, what: 'throw' }, { id: 2 }]);
    await assert.rejects(handler(eventOf('documentdb', raws), contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED', message: /^2 of 3 records \(documentdb\)/ });
    assert.deepEqual(lines(log), ['begin 0', 'done 0', 'begin 1']);
    assert.deepEqual(await handler(eventOf('documentdb', raws), contextOf()), { batchItemFailures: [] });
  });

  test('CloudWatch Logs: an error, after which everything comes again', async (t) => {
    const { handler, log } = handlerFor(t, { type: mode.type, filePath: fixture('lambda-worker.js') });
    const event = eventOf('cloudwatch-logs', rawsOf('cloudwatch-logs', [{ id: 0 }, { id: 1, what: 'throw' }, { id: 2 }]));
    await assert.rejects(handler(event, contextOf()), { code: 'ERR_PARALLELIZER_RECORDS_FAILED' });
    assert.deepEqual(lines(log).filter((line) => line.startsWith('done')).sort(), ['done 0', 'done 2']);
    assert.deepEqual(await handler(event, contextOf()), { batchItemFailures: [] });
  });

  const windowed = (source, raws, more = {}) => ({
    ...eventOf(source, raws), window: { start: '2024-01-01T12:00:00Z', end: '2024-01-01T12:02:00Z' }, state: {},
    shardId: 'shardId-000000000006', eventSourceARN: 'arn:aws:kinesis:eu-central-1:1:stream/orders',
    isFinalInvokeForWindow: false, isWindowTerminatedEarly: false, ...more,
  });
  const add = (state, result) => ({ sum: (state.sum ?? 0) + result, parts: [...(state.parts ?? []), result] });

  test('a tumbling window: state in, state out, and its end', async (t) => {
    for (const options of [{}, { processBatchFunctionName: 'all' }, { groupBy: (record) => record.partitionKey }]) {
      const ends = [];
      const { handler } = on(t, { ...options, window: { reduce: add, end: (...args) => { ends.push(args); } } });
      const first = await handler(windowed('kinesis', rawsOf('kinesis', [1, 2, 3].map((n) => says('text', n)))), contextOf());
      assert.deepEqual(first, { state: { sum: 6, parts: [1, 2, 3] }, batchItemFailures: [] });
      const second = windowed('kinesis', rawsOf('kinesis', [says('later', 4)]), { state: first.state, isFinalInvokeForWindow: true });
      const expected = { sum: 10, parts: [1, 2, 3, 4] };
      assert.deepEqual(await handler(second, contextOf()), { state: expected, batchItemFailures: [] });
      assert.deepEqual(ends, [[expected, {
        start: '2024-01-01T12:00:00Z', end: '2024-01-01T12:02:00Z', shardId: 'shardId-000000000006',
        eventSourceARN: 'arn:aws:kinesis:eu-central-1:1:stream/orders', isTerminatedEarly: false,
      }]]);
      const empty = windowed('kinesis', [], { state: expected, isFinalInvokeForWindow: true, isWindowTerminatedEarly: true });
      assert.deepEqual(await handler(empty, contextOf()), { state: expected, batchItemFailures: [] });
      assert.equal(ends[1][1].isTerminatedEarly, true);
    }
  });

  test('a tumbling window: what stands behind a failure does not count, and the end waits', async (t) => {
    for (const source of ['kinesis', 'dynamodb']) {
      let ended = 0;
      const payloads = [says('text', 1), says('text', 2), says('throw'), says('text', 4)];
      const { handler } = on(t, {
        recordFunctionName: source === 'kinesis' ? 'one' : 'change', filePath: fixture(source === 'kinesis' ? 'lambda-results.js' : 'lambda-window.js'),
        groupBy: (record) => record.identifier, window: { reduce: (state, result) => { state.sum = (state.sum ?? 0) + result; }, end: () => { ended++; } },
      });
      const raws = rawsOf(source, payloads);
      const numberOf = (raw) => raw.kinesis?.sequenceNumber ?? raw.dynamodb.SequenceNumber;
      const answer = await handler(windowed(source, raws, { isFinalInvokeForWindow: true }), contextOf());
      assert.deepEqual(answer.state, { sum: 3 });
      assert.deepEqual(identifiers(answer), [numberOf(raws[2])]);
      assert.equal(ended, 0);
      const again = await handler(windowed(source, [make[source](r, { payload: says('text', 3), position: 2 }), raws[3]], { state: answer.state, isFinalInvokeForWindow: true }), contextOf());
      assert.deepEqual(again, { state: { sum: 10 }, batchItemFailures: [] });
      assert.equal(ended, 1);
    }
  });

  test('a tumbling window: what goes wrong in the handler fails the invocation', async (t) => {
    const event = windowed('kinesis', rawsOf('kinesis', [says('text', 1)]), { isFinalInvokeForWindow: true });
    const bad = () => Promise.reject(new Error('no room'));
    for (const window of [{ reduce: bad }, { reduce: add, end: bad }]) {
      await assert.rejects(on(t, { window }).handler(event, contextOf()), /no room/);
    }
    const { handler } = on(t, { window: { reduce: add } });
    await assert.rejects(handler(eventOf('kinesis', rawsOf('kinesis', [1])), contextOf()), /"event\.window" is required with the option "window"/);
    await assert.rejects(handler(windowed('sqs', rawsOf('sqs', [1])), contextOf()), /"event\.window" is required/);
  });
});

test('bad options are named where they are passed', () => {
  const bad = (window, pattern) => assert.throws(() => createHandler({ filePath, recordFunctionName: 'one', window }), { message: pattern });
  bad(7, /"window" must be an object/);
  bad({}, /"window\.reduce" is required/);
  bad({ reduce: 'add' }, /"window\.reduce" must be a function/);
  bad({ reduce() {}, finish() {} }, /"window\.finish" is not known/);
});
