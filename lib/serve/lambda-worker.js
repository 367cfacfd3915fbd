'use strict';

/**
 * `lambdaWorker()`: a function of AWS Lambda as a host. Each invocation is a chunk, whose answers are its response.
 *
 * Must not depend on what a chunk is.
 */

const os = require('node:os');
const { FORMAT } = require('../remote/chunk-bytes');
const { LambdaListener } = require('../remote/lambda/listener');
const { ChunkServer } = require('./chunk-server');
const { WORKER_OPTIONS, hostOptions } = require('./serve-options');

const KNOWN = ['root', 'processes', 'allowFunctions', 'secret', 'name', 'maxPools', ...WORKER_OPTIONS];

/** @typedef {import('../remote/lambda/listener').LambdaContext} LambdaContext */
/** @typedef {import('node:stream').Writable} Writable */
/** @typedef {(event: unknown, output: Writable, context?: LambdaContext) => Promise<void>} Handler */
/** @typedef {{ streamifyResponse?: (handler: Handler) => Handler }} Runtime what Lambda's runtime has for handlers */

/**
 * The handler of a function.
 * @param {import('../../lambda-invoke').LambdaWorkerOptions} [options]
 * @returns {Handler}
 */
function lambdaWorker(options = {}) {
  const given = hostOptions({ ...options, name: options?.name ?? environmentName() }, 'options', KNOWN);
  const server = new ChunkServer(given);
  const listener = new LambdaListener();
  const { name, slots, lease } = given;
  listener.listen({
    host: { id: name, name, slots, format: FORMAT.major },
    lease,
    pids: new Int32Array(0),
    deliver: (delivery) => void server.take(delivery),
    cancelled: (id, message) => server.hear(id, message),
    dropped: (id) => server.drop(id),
    orphaned: (id) => server.orphan(id),
    leaseLost: () => void server.loseAll(),
    failed() {},
  });
  /** @type {Handler} */
  const handler = (event, output, context) => listener.handle(event, output, context);
  return streamed(handler);
}

/** As Lambda's runtime knows a handler that streams. @param {Handler} handler @returns {Handler} */
function streamed(handler) {
  const { awslambda } = /** @type {{ awslambda?: Runtime }} */ (globalThis);
  // Elsewhere it is called as it is, with a stream.
  return awslambda?.streamifyResponse?.(handler) ?? handler;
}

/** What tells this environment from the others of its function, which all have the same host name. */
function environmentName() {
  const { AWS_LAMBDA_FUNCTION_NAME: functionName, AWS_LAMBDA_LOG_STREAM_NAME: logStream } = process.env;
  return functionName === undefined ? os.hostname() : [functionName, logStream].filter(Boolean).join(' ');
}

module.exports = { lambdaWorker };
