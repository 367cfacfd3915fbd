'use strict';
// @parallelizer/node/opentelemetry, with the real SDK: spans that go on in the workers, and metrics.

const assert = require('node:assert/strict');
const http = require('node:http');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { afterEach, before, test } = require('node:test');

const { context, propagation, trace, SpanStatusCode } = require('@opentelemetry/api');
const { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } =
  require('@opentelemetry/sdk-metrics');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { instrument } = require('@parallelizer/node/opentelemetry');
const { fixture, lines, root, temporary, waitFor } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const exporter = new InMemorySpanExporter();
const tracer = trace.getTracer('test');

before(() => new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register());
afterEach(() => exporter.reset());

const idOf = (span) => span.spanContext().spanId;
const parentOf = (span) => span.parentSpanContext?.spanId;
const finished = (name) => exporter.getFinishedSpans().filter((span) => span.name === name);

/** Instruments for the time of a test. */
function instrumented(t, options) {
  const instrumentation = instrument(options);
  t.after(() => instrumentation.disable());
  return instrumentation;
}

/** The environment of workers that write their spans to a file. */
const withFile = (t, more) => {
  const file = `${temporary(t)}/spans`;
  fs.writeFileSync(file, '');
  return { file, env: { ...process.env, OTEL_TEST_FILE: file, ...more } };
};

function makeBatches(t, mode, options) {
  const parallelizer = new Parallelizer({
    type: mode.type, filePath: fixture('otel-worker.js'), processBatchFunctionName: 'batch', parallelization: 2,
    ...options,
  });
  t.after(() => parallelizer.terminate());
  return parallelizer;
}

/** Runs something within a span, with baggage. */
async function within(act) {
  return tracer.startActiveSpan('caller', async (span) => {
    const baggage = propagation.createBaggage({ user: { value: 'Ada' } });
    try {
      return { caller: span, result: await context.with(propagation.setBaggage(context.active(), baggage), act) };
    } finally {
      span.end();
    }
  });
}

forEachMode((mode) => {
  test('a run is a child of the caller’s span, its sub-batches of the run, and the worker’s spans of these', async (t) => {
    instrumented(t);
    const { file, env } = withFile(t);
    const parallelizer = makeBatches(t, mode, mode.hasWorkers ? { env } : {});
    const { caller, result: { responses } } = await within(() => parallelizer.run(['a', 'b']));
    const [run, ...others] = finished('run batch').filter((span) => parentOf(span) === idOf(caller));
    assert.deepEqual(others, []);
    const calls = finished('run batch').filter((span) => parentOf(span) === idOf(run));
    assert.equal(calls.length, 2);
    for (const span of [run, ...calls]) assert.equal(span.spanContext().traceId, caller.spanContext().traceId);
    for (const response of responses) {
      assert.equal(response.traceId, caller.spanContext().traceId);
      assert.equal(response.user, 'Ada');
    }
    const own = mode.hasWorkers
      ? await waitFor(() => lines(file).length === 2 && lines(file).map((line) => JSON.parse(line)), 'the worker’s spans')
      : finished('of the worker').map((span) => ({ spanId: idOf(span), parent: parentOf(span) }));
    assert.deepEqual(own.map(({ parent }) => parent).sort(), calls.map(idOf).sort());
    assert.deepEqual(own.map(({ spanId }) => spanId).sort(), responses.map(({ spanId }) => spanId).sort());
    const { attributes } = run;
    assert.equal(attributes['parallelizer.method'], 'run');
    assert.equal(attributes['parallelizer.calls'], 2);
    assert.equal(attributes['parallelizer.failed'], 0);
    assert.match(attributes['parallelizer.run.id'], /^[0-9a-f-]{36}$/);
    assert.equal(calls[0].attributes['parallelizer.run.id'], attributes['parallelizer.run.id']);
    assert.equal(run.status.code, SpanStatusCode.UNSET);
  });

  test('items are a span for each chunk, in which each of them runs', async (t) => {
    instrumented(t);
    const pool = new Pool({ type: mode.type, processes: 1, ...(mode.hasWorkers ? { env: withFile(t).env } : {}) });
    t.after(() => pool.terminate());
    const task = { filePath: fixture('otel-worker.js'), name: 'item' };
    const { caller, result } = await within(() => pool.map(task, [1, 2, 3, 4], { chunkSize: 2 }));
    const [run] = finished('map item').filter((span) => parentOf(span) === idOf(caller));
    const chunks = finished('map item').filter((span) => parentOf(span) === idOf(run));
    assert.deepEqual(chunks.map(({ attributes }) => attributes['parallelizer.calls']), [2, 2]);
    for (const { traceId, user } of result) assert.deepEqual([traceId, user], [caller.spanContext().traceId, 'Ada']);
    assert.equal(new Set(result.map(({ spanId }) => spanId)).size, 4);
  });

  test('runs of different traces do not mix, whatever shares a worker', async (t) => {
    instrumented(t);
    const pool = new Pool({ type: mode.type, processes: 1, ...(mode.hasWorkers ? { env: withFile(t).env } : {}) });
    t.after(() => pool.terminate());
    const task = { filePath: fixture('otel-worker.js'), name: 'item' };
    const runs = await Promise.all(Array.from({ length: 8 }, (_, i) => within(() => pool.apply(task, [i]))));
    for (const { caller, result } of runs) assert.equal(result.traceId, caller.spanContext().traceId);
    assert.equal(new Set(runs.map(({ result }) => result.traceId)).size, 8);
  });

  test('failures are told by the spans', async (t) => {
    instrumented(t);
    const parallelizer = makeBatches(t, mode, mode.hasWorkers ? { env: withFile(t).env } : {});
    const { caller, result } = await within(() => parallelizer.run(['a', 'fail']));
    assert.equal(result.failures.length, 1);
    const [run] = finished('run batch').filter((span) => parentOf(span) === idOf(caller));
    assert.deepEqual(run.status, { code: SpanStatusCode.ERROR, message: '1 of 2 calls failed' });
    const [failed] = finished('run batch').filter((span) => span.attributes['error.type'] !== undefined);
    assert.equal(failed.attributes['error.type'], 'E_NO');
    assert.equal(failed.events[0].name, 'exception');
    assert.equal(failed.events[0].attributes['exception.message'], 'no');
    assert.equal(parentOf(failed), idOf(run));
    await assert.rejects(parallelizer.run(7), { code: 'ERR_PARALLELIZER_OPTION' });
    const [refused] = finished('run batch').filter((span) => span.attributes['error.type'] === 'ERR_PARALLELIZER_OPTION');
    assert.equal(refused.status.code, SpanStatusCode.ERROR);
  });

  test('the type of a failure is the code of the error that the caller gets, and no text that was thrown', async (t) => {
    instrumented(t);
    const pool = new Pool({ type: mode.type, processes: 1 });
    t.after(() => pool.terminate());
    const types = (name) => finished(name).map((span) => span.attributes['error.type']);
    const endless = pool.apply(() => new Promise(() => {}), [], { timeout: 100 });
    await assert.rejects(endless, { code: 'ERR_PARALLELIZER_TIMEOUT' });
    await waitFor(() => exporter.getFinishedSpans().length >= 2, 'both spans');
    const [name] = exporter.getFinishedSpans().map((span) => span.name);
    assert.deepEqual(types(name), ['ERR_PARALLELIZER_TIMEOUT', 'ERR_PARALLELIZER_TIMEOUT']);
    exporter.reset();
    await assert.rejects(pool.apply(function thrower(id) { throw `user ${id} is not known`; }, [7]));
    await waitFor(() => finished('apply thrower').length >= 2, 'both spans');
    assert.deepEqual(types('apply thrower'), ['string', 'string']);
  });

  test('metrics count calls, failures by code, waits, runs, workers, the queue and bytes', async (t) => {
    const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    t.after(() => meterProvider.shutdown());
    instrumented(t, { meterProvider, spans: false });
    const parallelizer = makeBatches(t, mode, mode.hasWorkers ? { env: withFile(t).env } : {});
    await parallelizer.run(['a', 'b']);
    await parallelizer.run(['a', 'fail']);
    const aborted = await parallelizer.run(['a'], null, { signal: AbortSignal.abort() });
    assert.equal(aborted.errors[0].code, 'ERR_PARALLELIZER_ABORTED');
    await reader.forceFlush();
    const all = metrics.getMetrics().at(-1).scopeMetrics.flatMap(({ metrics: some }) => some);
    const points = (name) => all.find(({ descriptor }) => descriptor.name === name).dataPoints;
    const sum = (name) => points(name).reduce((total, { value }) => total + value, 0);
    assert.equal(sum('parallelizer.calls'), 5);
    const codes = points('parallelizer.calls.failed').map(({ attributes, value }) => [attributes['error.type'], value]);
    assert.deepEqual(codes.sort(), [['ERR_PARALLELIZER_ABORTED', 1], ['E_NO', 1]].sort());
    for (const name of ['parallelizer.call.wait', 'parallelizer.call.duration']) {
      const [{ value }] = points(name);
      assert.equal(value.count, 4, name);
      assert.ok(value.sum >= 0 && value.sum < 60, name);
    }
    const own = (point) => point.attributes['parallelizer.pool.type'] === mode.type;
    assert.equal(points('parallelizer.queue.length').find(own).value, 0);
    assert.equal(points('parallelizer.workers.busy').find(own).value, 0);
    assert.equal(points('parallelizer.workers').filter(own).reduce((total, { value }) => total + value, 0), 2);
    assert.equal(points('parallelizer.worker.restarts').find(own).value, 0);
    if (mode.hasWorkers) {
      const bytes = points('parallelizer.io').filter(own).map(({ attributes, value }) => [attributes['network.io.direction'], value > 0]);
      assert.deepEqual(bytes.sort(), [['receive', true], ['transmit', true]]);
    }
    // What a closed pool has counted is not taken back.
    await parallelizer.close();
    await reader.forceFlush();
    const later = metrics.getMetrics().at(-1).scopeMetrics.flatMap(({ metrics: some }) => some);
    const calls = later.find(({ descriptor }) => descriptor.name === 'parallelizer.calls').dataPoints;
    assert.equal(calls.reduce((total, { value }) => total + value, 0), 5);
    const workers = later.find(({ descriptor }) => descriptor.name === 'parallelizer.workers').dataPoints.filter(own);
    assert.equal(workers.reduce((total, { value }) => total + value, 0), 0);
  });

  test('after disable() nothing is made, and nothing travels', async (t) => {
    const instrumentation = instrument();
    instrumentation.disable();
    const pool = new Pool({ type: mode.type, processes: 1, ...(mode.hasWorkers ? { env: withFile(t).env } : {}) });
    t.after(() => pool.terminate());
    const task = { filePath: fixture('otel-worker.js'), name: 'item' };
    const { caller, result } = await within(() => pool.apply(task, [1]));
    assert.deepEqual(exporter.getFinishedSpans().map(({ name }) => name).filter((name) => name.includes('apply')), []);
    if (mode.hasWorkers) assert.notEqual(result.traceId, caller.spanContext().traceId);
  });
});

forEachMode((mode) => {
  for (const concurrency of [1, 4]) {
    const options = (t) => ({
      type: mode.type, processes: 1, concurrency, ...(mode.hasWorkers ? { env: withFile(t).env } : {}),
    });
    const task = (name) => ({ filePath: fixture('otel-worker.js'), name });

    for (const name of ['steps', 'asyncSteps', 'iterated']) {
      test(`every step of a stream runs within its trace: ${name}, concurrency ${concurrency}`, async (t) => {
        instrumented(t);
        const pool = new Pool(options(t));
        t.after(() => pool.terminate());
        const { caller, result } = await within(async () => {
          const seen = [];
          // It is ahead of its reader, so that it has to wait between two steps.
          for await (const step of pool.stream(task(name), [12], { highWaterMark: 2 })) seen.push(step);
          return seen;
        });
        const { traceId } = caller.spanContext();
        const [run] = finished(`stream ${name}`).filter((span) => parentOf(span) === idOf(caller));
        const [call] = finished(`stream ${name}`).filter((span) => parentOf(span) === idOf(run));
        assert.equal(result.length, 12);
        for (const step of result) {
          assert.deepEqual(step, {
            name: step.name, traceId, spanId: idOf(call), traceparent: `00-${traceId}-${idOf(call)}-01`, user: 'Ada',
            ownTraceId: traceId, workerIndex: 0, hasSignal: true,
          });
        }
      });
    }

    test(`streams of different traces that are read in turn do not mix, concurrency ${concurrency}`, async (t) => {
      instrumented(t);
      const pool = new Pool({ ...options(t), processes: 2 });
      t.after(() => pool.terminate());
      const traces = await Promise.all([0, 1].map((i) => within(async () =>
        pool.stream(task('asyncSteps'), [8, `${i}.`], { highWaterMark: 1 }))));
      const { caller: first, result: one } = traces[0];
      const { caller: second, result: other } = traces[1];
      for (let i = 0; i < 8; i++) {
        for (const [stream, caller, of] of [[one, first, 0], [other, second, 1]]) {
          const { value } = await stream.next();
          assert.deepEqual([value.name, value.traceId, value.user], [`${of}.${i}`, caller.spanContext().traceId, 'Ada']);
        }
      }
      assert.notEqual(first.spanContext().traceId, second.spanContext().traceId);
      assert.deepEqual([await one.next(), await other.next()].map(({ done }) => done), [true, true]);
    });

    test(`so does what runs when a stream is left, concurrency ${concurrency}`, async (t) => {
      instrumented(t);
      const pool = new Pool(options(t));
      t.after(() => pool.terminate());
      const file = `${temporary(t)}/left`;
      const { caller } = await within(async () => {
        for await (const step of pool.stream(task('leftSteps'), [file])) {
          assert.equal(step.name, 'within');
          break;
        }
      });
      const { name, traceId, user, workerIndex } = JSON.parse(fs.readFileSync(file, 'utf8'));
      assert.deepEqual([name, traceId, user, workerIndex], ['finally', caller.spanContext().traceId, 'Ada', 0]);
    });
  }
});

test('a worker that dies ends the spans of its calls, and a second call of instrument() makes none twice', async (t) => {
  instrumented(t);
  instrumented(t);
  const parallelizer = makeBatches(t, { type: 'child-process' }, { parallelization: 1, env: withFile(t).env });
  const { caller, result } = await within(() => parallelizer.run(['exit']));
  assert.equal(result.errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
  const spans = exporter.getFinishedSpans().filter((span) => span.name === 'run batch');
  assert.equal(spans.length, 2);
  const call = spans.find((span) => parentOf(span) !== idOf(caller));
  assert.equal(call.attributes['error.type'], 'ERR_PARALLELIZER_WORKER_EXITED');
  assert.ok(spans.every(({ ended }) => ended));
});

test('without an SDK in the worker its functions run as they are', async (t) => {
  instrumented(t);
  const pool = new Pool(1);
  t.after(() => pool.terminate());
  const { result } = await within(() => pool.map((x) => x + 1, [1, 2]));
  assert.deepEqual(result, [2, 3]);
});

test('spans go to a collector by OTLP, from the parent and from the workers, also at the end', async (t) => {
  const received = [];
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      received.push(...JSON.parse(Buffer.concat(chunks)).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)));
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}/v1/traces`;
  const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter({ url }))] });
  t.after(() => provider.shutdown());
  instrumented(t, { tracerProvider: provider });
  // Its processor would export in a minute.
  const env = { ...process.env, OTEL_TEST_URL: url, OTEL_TEST_BATCH: '1' };
  const parallelizer = makeBatches(t, { type: 'child-process' }, { parallelization: 1, env });
  const { caller } = await within(() => parallelizer.run(['a']));
  await parallelizer.close();
  await provider.forceFlush();
  await waitFor(() => received.length === 3, 'three spans');
  const byName = (name) => received.filter((span) => span.name === name);
  const [own] = byName('of the worker');
  const call = byName('run batch').find((span) => span.spanId === own.parentSpanId);
  const run = byName('run batch').find((span) => span.spanId === call.parentSpanId);
  assert.equal(run.parentSpanId, idOf(caller));
  for (const span of received) assert.equal(span.traceId, caller.spanContext().traceId);
});

test('bad options, and a package that is missing, are named', (t) => {
  assert.throws(() => instrument({ tracer: {} }), { code: 'ERR_PARALLELIZER_OPTION', message: /tracerProvider/ });
  assert.throws(() => instrument({ meterProvider: 1 }), { code: 'ERR_PARALLELIZER_OPTION', message: /getMeter/ });
  const directory = temporary(t);
  for (const name of ['opentelemetry.js', 'package.json', 'lib']) fs.cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
  const program = `
    try {
      require(${JSON.stringify(path.join(directory, 'opentelemetry.js'))}).instrument();
    } catch ({ code, message }) {
      console.log(code, /npm install @opentelemetry\\/api/.test(message));
    }
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', cwd: directory });
  assert.equal(stdout, 'ERR_PARALLELIZER_MODULE true\n', stderr);
});
