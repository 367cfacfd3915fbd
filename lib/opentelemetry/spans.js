'use strict';

/**
 * Spans: one for each run, a child of the caller's, and one for each sub-batch or chunk, a child of the run's, whose
 * context and baggage travel to the worker.
 *
 * Must not depend on metrics.
 */

/** @typedef {import('./instrument').Api} Api */
/** @typedef {import('../../index').RunMessage} RunMessage */
/** @typedef {import('../../index').CallMessage} CallMessage */
/** @typedef {{ span: import('@opentelemetry/api').Span, context: import('@opentelemetry/api').Context }} Open */

/**
 * @param {import('../jobs/observers').Channels} channels @param {Api} api
 * @param {() => import('@opentelemetry/api').Tracer} tracer
 * @returns {() => void} ends it
 */
function watchSpans(channels, api, tracer) {
  const { SpanKind, SpanStatusCode, context, propagation, trace } = api;
  /** @type {Map<RunMessage | CallMessage, Open>} */
  const open = new Map();

  /** @param {RunMessage | CallMessage} message @param {import('@opentelemetry/api').Context} parent */
  const begin = (message, parent) => {
    const { method, task, runId, id, type } = message;
    const attributes = {
      'parallelizer.run.id': runId,
      'parallelizer.method': method,
      'parallelizer.pool.id': String(id),
      'parallelizer.pool.type': type,
      ...(task === null ? {} : { 'code.function.name': task }),
    };
    const name = task === null ? method : `${method} ${task}`;
    const span = tracer().startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent);
    const entry = { span, context: trace.setSpan(parent, span) };
    open.set(message, entry);
    return entry;
  };
  /** @param {RunMessage | CallMessage} message @param {Record<string, number | boolean>} attributes */
  const finish = (message, attributes) => {
    const entry = open.get(message);
    if (entry === undefined) return;
    open.delete(message);
    const { span } = entry;
    const { calls, failed, wait } = message;
    span.setAttributes({ 'parallelizer.calls': calls, 'parallelizer.failed': failed, ...attributes });
    if (wait !== undefined) span.setAttribute('parallelizer.wait_ms', wait);
    if ('error' in message) {
      const { error } = message;
      span.setAttribute('error.type', typeOf(error));
      span.recordException(exceptionOf(error));
      span.setStatus({ code: SpanStatusCode.ERROR, message: textOf(error) });
    } else if (failed > 0) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: `${failed} of ${calls} calls failed` });
    }
    span.end();
  };

  const ofRuns = {
    start: (/** @type {RunMessage} */ message) => void begin(message, context.active()),
    // Where the method has thrown there is no asynchronous end.
    end: (/** @type {RunMessage} */ message) => {
      if ('error' in message) finish(message, {});
    },
    asyncEnd: (/** @type {RunMessage} */ message) => finish(message, {}),
  };
  const ofCalls = {
    start: (/** @type {CallMessage} */ message) => {
      const run = message.parent === null ? undefined : open.get(message.parent);
      const entry = begin(message, run?.context ?? context.active());
      message.carrier ??= {};
      propagation.inject(entry.context, message.carrier);
    },
    asyncEnd: (/** @type {CallMessage} */ message) => {
      // All of it was taken back: what has not run is no span, and one that does not end is none.
      if (message.settled === 0) {
        open.delete(message);
        return;
      }
      const { first, bytes, run, isRepeated, worker } = message;
      finish(message, {
        'parallelizer.first': first,
        'parallelizer.bytes': bytes,
        'parallelizer.run_ms': run,
        'parallelizer.repeated': isRepeated,
        ...(worker.workerIndex === null ? {} : { 'parallelizer.worker.index': worker.workerIndex }),
        ...(typeof worker.pid === 'number' ? { 'parallelizer.worker.pid': worker.pid } : {}),
        ...(typeof worker.threadId === 'number' ? { 'thread.id': worker.threadId } : {}),
      });
    },
  };
  const runs = /** @type {any} */ (ofRuns);
  const calls = /** @type {any} */ (ofCalls);
  subscribe(channels.run, runs);
  subscribe(channels.call, calls);
  return () => {
    unsubscribe(channels.run, runs);
    unsubscribe(channels.call, calls);
    for (const { span } of open.values()) span.end();
    open.clear();
  };
}

/** @param {any} tracing a tracing channel @param {Record<string, (message: any) => void>} subscribers */
function subscribe(tracing, subscribers) {
  for (const stage of Object.keys(subscribers)) tracing[stage].subscribe(subscribers[stage]);
}

/** @param {any} tracing a tracing channel @param {Record<string, (message: any) => void>} subscribers */
function unsubscribe(tracing, subscribers) {
  for (const stage of Object.keys(subscribers)) tracing[stage].unsubscribe(subscribers[stage]);
}

/** The codes of the errors that callers get for calls which have no answer, by why that is. */
const CODES = new Map([
  ['aborted', 'ERR_PARALLELIZER_ABORTED'],
  ['timedOut', 'ERR_PARALLELIZER_TIMEOUT'],
  ['closed', 'ERR_PARALLELIZER_CLOSED'],
  ['skipped', 'ERR_PARALLELIZER_SKIPPED'],
  ['exited', 'ERR_PARALLELIZER_WORKER_EXITED'],
  ['bootFailed', 'ERR_PARALLELIZER_WORKER_EXITED'],
]);

/**
 * What kind of failure it is: a code, or the name of a class. Never a text, of which there may be as many as failures.
 * @param {any} error
 */
function typeOf(error) {
  return String(CODES.get(error) ?? error?.code ?? error?.name ?? typeof error);
}

/** @param {any} error */
function textOf(error) {
  return typeof error?.message === 'string' ? error.message : String(error);
}

/** @param {any} error @returns {import('@opentelemetry/api').Exception} */
function exceptionOf(error) {
  return typeof error === 'object' && error !== null ? error : textOf(error);
}

module.exports = { subscribe, typeOf, unsubscribe, watchSpans };
