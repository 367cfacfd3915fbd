'use strict';
// createHandler({ metrics }): a line of CloudWatch's Embedded Metric Format for each invocation.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createHandler } = require('@parallelizer/node/lambda');
const { fixture } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const UNITS = new Set(('Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits ' +
  'Megabits Gigabits Terabits Percent Count None').split(' '));

/** What AWS's specification demands of a document. */
function assertFormat(document) {
  const { _aws } = document;
  assert.ok(Number.isInteger(_aws.Timestamp) && Math.abs(_aws.Timestamp - Date.now()) < 60_000);
  assert.deepEqual(Object.keys(_aws).sort(), ['CloudWatchMetrics', 'Timestamp']);
  assert.ok(Array.isArray(_aws.CloudWatchMetrics) && _aws.CloudWatchMetrics.length > 0);
  for (const directive of _aws.CloudWatchMetrics) {
    assert.deepEqual(Object.keys(directive).sort(), ['Dimensions', 'Metrics', 'Namespace']);
    assert.ok(typeof directive.Namespace === 'string' && directive.Namespace.length >= 1 && directive.Namespace.length <= 1024);
    assert.ok(directive.Dimensions.length >= 1);
    for (const set of directive.Dimensions) {
      assert.ok(set.length <= 30);
      for (const name of set) {
        assert.ok(name.length >= 1 && name.length <= 250);
        assert.ok(typeof document[name] === 'string' && document[name].length >= 1 && document[name].length <= 1024, name);
      }
    }
    assert.ok(directive.Metrics.length <= 100);
    for (const { Name, Unit, ...more } of directive.Metrics) {
      assert.deepEqual(more, {});
      assert.ok(UNITS.has(Unit), Unit);
      assert.ok(Number.isFinite(document[Name]), `${Name}: ${document[Name]}`);
    }
    assert.equal(new Set(directive.Metrics.map(({ Name }) => Name)).size, directive.Metrics.length);
  }
  return document;
}

const sqs = (...bodies) => ({
  Records: bodies.map((body, i) => ({ messageId: `m${i}`, eventSource: 'aws:sqs', body: JSON.stringify(body) })),
});
const context = { functionName: 'orders', awsRequestId: 'id', getRemainingTimeInMillis: () => 30_000 };

/** The documents that are written meanwhile. What the test runner writes goes its way. */
async function documentsOf(act) {
  const { write } = process.stdout;
  const lines = [];
  process.stdout.write = (text, ...rest) => {
    if (!String(text).includes('_aws')) return Reflect.apply(write, process.stdout, [text, ...rest]);
    return lines.push(String(text)) > 0;
  };
  try {
    await act();
  } finally {
    process.stdout.write = write;
  }
  for (const line of lines) assert.match(line, /^\{.*\}\n$/, 'a line of its own, and nothing else in it');
  return lines.map((line) => assertFormat(JSON.parse(line)));
}

/** Calls a handler, and returns its answer, or what it has thrown, and the documents that it has written. */
async function invoke(handler, event) {
  let answer;
  const documents = await documentsOf(async () => {
    answer = await handler(event, context).catch((error) => error);
  });
  return { answer, documents };
}

function make(t, mode, options) {
  const handler = createHandler({
    type: mode.type, filePath: fixture('metrics-worker.js'), recordFunctionName: 'handle', parallelization: 2,
    onError() {}, metrics: { namespace: 'Orders', dimensions: { service: 'import', stage: 'test' } }, ...options,
  });
  t.after(() => handler.parallelizer.terminate());
  return handler;
}

forEachMode((mode) => {
  test('one line for each invocation, with what is known', async (t) => {
    const handler = make(t, mode);
    const { answer, documents } = await invoke(handler, sqs({ ms: 30 }, { ms: 30 }, { fail: true }));
    assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: 'm2' }] });
    const [document, ...others] = documents;
    assert.deepEqual(others, []);
    assert.equal(document._aws.CloudWatchMetrics[0].Namespace, 'Orders');
    assert.deepEqual(document._aws.CloudWatchMetrics[0].Dimensions, [['service', 'stage']]);
    assert.deepEqual([document.service, document.stage], ['import', 'test']);
    assert.deepEqual([document.Records, document.Failed, document.Restarts], [3, 1, 0]);
    assert.ok(document.Duration >= 25 && document.Duration < 20_000);
    assert.ok(document.RunP99 >= document.RunP50 && document.RunP99 >= 25, JSON.stringify(document));
    assert.ok(document.WaitP99 >= document.WaitP50 && document.WaitP50 >= 0);
    if (mode.hasProcess && process.platform === 'linux') {
      assert.ok(document.PeakMemory > 10_000_000 && document.PeakMemory < 2 ** 40);
    } else {
      assert.ok(!('PeakMemory' in document));
    }
    assert.equal((await invoke(handler, sqs({}))).documents[0].Records, 1, 'of this invocation alone');
  });

  test('an event without records has no runs, and one that is refused not even records', async (t) => {
    const handler = make(t, mode);
    const [empty] = (await invoke(handler, { Records: [] })).documents;
    assert.deepEqual([empty.Records, empty.Failed, 'RunP50' in empty, 'WaitP50' in empty], [0, 0, false, false]);
    const { answer, documents: [refused] } = await invoke(handler, { what: 'is this' });
    assert.equal(answer.code, 'ERR_PARALLELIZER_OPTION');
    assert.deepEqual(['Records' in refused, 'Failed' in refused, 'Duration' in refused], [false, false, true]);
  });

  test('a batch function, and a handler that throws, have their line as well', async (t) => {
    const handler = make(t, mode, {
      recordFunctionName: undefined, processBatchFunctionName: 'batch', throwOnFullBatchFailure: true,
    });
    const { answer, documents: [document] } = await invoke(handler, sqs({ fail: true }, { fail: true }));
    assert.ok(answer instanceof Error);
    assert.deepEqual([document.Records, document.Failed], [2, 2]);
  });

  test('invocations that overlap measure their own runs', async (t) => {
    const handler = make(t, mode);
    const both = () => Promise.all([handler(sqs({ ms: 60 }), context), handler(sqs({}, {}), context)]);
    const documents = (await documentsOf(both)).sort((one, other) => one.Records - other.Records);
    assert.deepEqual(documents.map(({ Records }) => Records), [1, 2]);
    assert.ok(documents[0].RunP50 >= 50 && documents[1].RunP50 < documents[0].RunP50);
  });
});

test('a worker that is replaced is counted', async (t) => {
  const handler = make(t, { type: 'child-process' }, { parallelization: 1 });
  const { documents: [document] } = await invoke(handler, sqs({ exit: true }, {}));
  assert.deepEqual([document.Failed, document.Restarts], [1, 1]);
});

test('without dimensions the function’s name is the only one', async (t) => {
  const handler = make(t, { type: 'inline' }, { metrics: { namespace: 'Orders' } });
  const { documents: [document] } = await invoke(handler, sqs({}));
  assert.deepEqual(document._aws.CloudWatchMetrics[0].Dimensions, [['FunctionName']]);
  assert.equal(document.FunctionName, 'orders');
});

test('a namespace may have blanks, and is no blank', async (t) => {
  const handler = make(t, { type: 'inline' }, { metrics: { namespace: 'My Orders' } });
  const { documents: [document] } = await invoke(handler, sqs({}));
  assert.equal(document._aws.CloudWatchMetrics[0].Namespace, 'My Orders');
  const base = { type: 'inline', filePath: fixture('metrics-worker.js'), recordFunctionName: 'handle' };
  for (const namespace of ['  ', 'a;b']) {
    assert.throws(() => createHandler({ ...base, metrics: { namespace } }), { message: /letters, digits, blanks and .* not only blanks/ });
  }
});

test('without the option nothing is written', async (t) => {
  const handler = make(t, { type: 'inline' }, { metrics: undefined });
  assert.deepEqual((await invoke(handler, sqs({}))).documents, []);
});

test('what CloudWatch would refuse is refused at once, and named', () => {
  const base = { filePath: fixture('metrics-worker.js'), recordFunctionName: 'handle', type: 'inline' };
  const refused = (metrics, name) =>
    assert.throws(() => createHandler({ ...base, metrics }), { code: 'ERR_PARALLELIZER_OPTION', message: new RegExp(name) });
  refused('Orders', 'metrics');
  refused({}, 'metrics.namespace');
  refused({ namespace: '' }, 'metrics.namespace');
  refused({ namespace: 'AWS/Lambda' }, 'metrics.namespace');
  refused({ namespace: 'x'.repeat(256) }, 'metrics.namespace');
  refused({ namespace: 'A', dimension: {} }, 'metrics.dimension');
  refused({ namespace: 'A', dimensions: ['a'] }, 'metrics.dimensions');
  refused({ namespace: 'A', dimensions: { a: 1 } }, 'metrics.dimensions.a');
  refused({ namespace: 'A', dimensions: { a: '' } }, 'metrics.dimensions.a');
  refused({ namespace: 'A', dimensions: { Duration: 'x' } }, 'metrics.dimensions.Duration');
  refused({ namespace: 'A', dimensions: { ':a': 'x' } }, 'metrics.dimensions');
  refused({ namespace: 'A', dimensions: Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`d${i}`, 'x'])) }, 'dimensions');
});
