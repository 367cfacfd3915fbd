'use strict';
// The Lambda service as a caller sees it: the API that the AWS SDK invokes functions by, on 127.0.0.1. Behind it stand
// functions as `invoke(payload, response, request)`: `response.write(bytes)` streams, and `response.end(error)`
// completes, with what Lambda says about an environment that died if it did. Errors of the service are thrown as
// `ServiceError`. Must not depend on what an invocation carries.

const http = require('node:http');

const PATH = /^\/2021-11-15\/functions\/([^/]+)\/response-streaming-invocations(?:\?(?:.*&)?Qualifier=([^&]+))?$/;
/** Lambda's own limit for an event. */
const MAX_PAYLOAD = 6 * 1024 * 1024;

class ServiceError extends Error {
  /** @param {number} status @param {string} type such as 'TooManyRequestsException' @param {string} message */
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

class InvokeFront {
  #server = http.createServer((request, response) => this.#receive(request, response));
  #functions = new Map();
  #sockets = new Set();
  /** What to throw instead of invoking: `(name, count) => ServiceError | undefined`. */
  refuse = () => undefined;
  /** How many requests came. */
  requests = 0;
  /** How many functions run now, and ran at once at most. */
  running = 0;
  maxRunning = 0;

  static async start() {
    const front = new InvokeFront();
    front.#server.on('connection', (socket) => {
      front.#sockets.add(socket);
      socket.once('close', () => front.#sockets.delete(socket));
    });
    await new Promise((resolve) => front.#server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  get endpoint() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** How many connections there are. */
  get connections() {
    return this.#sockets.size;
  }

  deploy(name, invoke) {
    this.#functions.set(name, invoke);
  }

  /** Cuts every connection, as a network does that fails. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A client of the real SDK for it. `maxAttempts` and the like may be given. */
  client(options = {}) {
    const { LambdaClient } = require('@aws-sdk/client-lambda');
    return new LambdaClient({
      region: 'eu-central-1',
      endpoint: this.endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
      ...options,
    });
  }

  async #receive(request, response) {
    this.requests++;
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // The caller has gone.
    }
    try {
      const payload = Buffer.concat(chunks);
      const [, name] = PATH.exec(request.url) ?? [];
      if (request.method !== 'POST' || name === undefined) throw new ServiceError(404, 'UnknownOperationException', request.url);
      const refusal = this.refuse(name, this.requests);
      if (refusal !== undefined) throw refusal;
      if (payload.length > MAX_PAYLOAD) {
        throw new ServiceError(413, 'RequestTooLargeException', `${payload.length} byte payload is too large`);
      }
      const invoke = this.#functions.get(decodeURIComponent(name));
      if (invoke === undefined) throw new ServiceError(404, 'ResourceNotFoundException', `Function not found: ${name}`);
      await this.#run(invoke, payload, response, request);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      response.writeHead(error.status, { 'content-type': 'application/json', 'x-amzn-errortype': error.type });
      response.end(JSON.stringify({ Message: error.message, Type: 'User', Reason: error.type }));
    }
  }

  async #run(invoke, payload, response, request) {
    this.running++;
    this.maxRunning = Math.max(this.maxRunning, this.running);
    const begin = () => {
      if (!response.headersSent) {
        response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-executedversion': '$LATEST' });
      }
    };
    let isOver = false;
    await new Promise((resolve) => {
      const output = {
        write(bytes) {
          begin();
          if (!isOver) response.write(message('PayloadChunk', 'application/octet-stream', bytes));
        },
        end(error) {
          if (isOver) return;
          isOver = true;
          begin();
          const complete = error === undefined ? {} : { ErrorCode: error.code, ErrorDetails: error.details };
          response.end(message('InvokeComplete', 'application/json', Buffer.from(JSON.stringify(complete))));
          resolve();
        },
      };
      response.once('close', resolve);
      // Lambda begins to respond once the function does, or has ended.
      invoke(payload, output, request);
    });
    isOver = true;
    this.running--;
  }
}

/** A message of an event stream: https://smithy.io/2.0/aws/amazon-eventstream.html */
function message(type, contentType, body) {
  const fields = Object.entries({ ':event-type': type, ':content-type': contentType, ':message-type': 'event' });
  const headers = Buffer.concat(fields.map(([name, value]) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(Buffer.byteLength(value));
    return Buffer.concat([Buffer.of(name.length), Buffer.from(name), Buffer.of(7), length, Buffer.from(value)]);
  }));
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + headers.length + body.length, 0);
  prelude.writeUInt32BE(headers.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const all = Buffer.concat([prelude, headers, body, Buffer.alloc(4)]);
  all.writeUInt32BE(crc32(all.subarray(0, -4)), all.length - 4);
  return all;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** As `zlib.crc32`, which Node 20.0 does not have. */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

module.exports = { InvokeFront, ServiceError };
