'use strict';
// The Lambda service as a function sees it: the Runtime API, on 127.0.0.1. The runtime client asks it for invocations
// (GET …/invocation/next, answered when there is one) and posts what the handler returned. Must not depend on
// processes.

const http = require('node:http');
const { randomUUID } = require('node:crypto');

const VERSION = '2018-06-01';

/**
 * How an invocation ended: 'response', 'error' (the handler's, in `body`), 'timeout', or 'gone' (the environment ended
 * before it responded).
 * @typedef {{ status: string, body: any, requestId: string, milliseconds: number }} Outcome
 */

class RuntimeApi {
  #server = http.createServer((request, response) => this.#receive(request, response));
  /** Invocations that no runtime has requested yet. */
  #queue = [];
  /** Requests of runtimes that wait for an invocation. */
  #waiting = new Set();
  /** Invocations that a runtime is working on, by request id. */
  #running = new Map();
  #whenAsked = [];
  #timedOut = () => {};
  /** What runtimes reported that failed to initialize. */
  initErrors = [];

  /**
   * @param {() => void} timedOut called when an invocation has passed its deadline: Lambda would end the environment
   */
  static async start(timedOut) {
    const api = new RuntimeApi();
    api.#timedOut = timedOut;
    api.#server.keepAliveTimeout = 0;
    await new Promise((resolve) => api.#server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  /** How many invocations could begin at once. */
  get idle() {
    return this.#waiting.size;
  }

  /** Resolves when a runtime is waiting, after it has initialized or responded. */
  asked() {
    return this.#waiting.size > 0 ? Promise.resolve() : new Promise((resolve) => this.#whenAsked.push(resolve));
  }

  /**
   * @param {unknown} event
   * @param {{ timeout?: number, isTraced?: boolean, onBytes?: (bytes: Buffer) => void }} [options] `timeout`: of the
   *   function, in milliseconds; `isTraced`: whether X-Ray samples it; `onBytes`: gets the response as it is streamed
   * @returns {Promise<Outcome>}
   */
  invoke(event, { timeout = 60_000, isTraced = false, onBytes } = {}) {
    return new Promise((settle) => {
      const requestId = randomUUID();
      const trace = traceOf(requestId, isTraced);
      this.#queue.push({ requestId, trace, payload: JSON.stringify(event), timeout, onBytes, settle });
      this.#handOut();
    });
  }

  /** Ends what is under way, since the environment that worked on it is gone. */
  environmentEnded() {
    for (const request of this.#waiting) request.destroy();
    this.#waiting.clear();
    for (const requestId of [...this.#running.keys()]) this.#settle(requestId, 'gone', null);
    // Its runtime may have answered one and not asked for the next one yet.
    for (const { requestId, settle } of this.#queue.splice(0)) {
      settle({ status: 'gone', body: null, requestId, milliseconds: 0 });
    }
  }

  close() {
    this.environmentEnded();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #handOut() {
    for (const response of this.#waiting) {
      const invocation = this.#queue.shift();
      if (invocation === undefined) return;
      this.#waiting.delete(response);
      const { requestId, trace, payload, timeout } = invocation;
      const began = Date.now();
      const timer = setTimeout(() => {
        this.#settle(requestId, 'timeout', null);
        this.#timedOut();
      }, timeout);
      this.#running.set(requestId, { ...invocation, began, timer });
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Lambda-Runtime-Aws-Request-Id': requestId,
        'Lambda-Runtime-Deadline-Ms': String(began + timeout),
        'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:eu-central-1:123456789012:function:tested',
        'Lambda-Runtime-Trace-Id': trace,
      });
      response.end(payload);
    }
  }

  #settle(requestId, status, body) {
    const invocation = this.#running.get(requestId);
    if (invocation === undefined) return false;
    this.#running.delete(requestId);
    clearTimeout(invocation.timer);
    invocation.settle({ status, body, requestId, milliseconds: Date.now() - invocation.began });
    return true;
  }

  async #receive(request, response) {
    if (request.url === `/${VERSION}/runtime/invocation/next`) {
      response.once('close', () => this.#waiting.delete(response));
      this.#waiting.add(response);
      for (const resolve of this.#whenAsked.splice(0)) resolve();
      this.#handOut();
      return;
    }
    const [, requestId, posted] = /\/invocation\/([^/]+)\/(response|error)$/.exec(request.url) ?? [];
    const onBytes = posted === 'response' ? this.#running.get(requestId)?.onBytes : undefined;
    const chunks = [];
    try {
      for await (const chunk of request) {
        if (onBytes === undefined) chunks.push(chunk);
        else onBytes(chunk);
      }
    } catch {
      return; // The environment has ended in the middle.
    }
    // A streamed response may turn out to be an error.
    const trailer = request.trailers['lambda-runtime-function-error-body'];
    const status = trailer === undefined ? posted : 'error';
    const body = parsed(trailer === undefined ? Buffer.concat(chunks).toString() : Buffer.from(trailer, 'base64').toString());
    if (request.url.endsWith('/init/error')) this.initErrors.push(body);
    const isKnown = requestId === undefined || this.#settle(requestId, status, body);
    response.writeHead(isKnown ? 202 : 400, { 'Content-Type': 'application/json' });
    response.end('{"status":"OK"}');
  }
}

/** @param {string} requestId @param {boolean} isTraced */
function traceOf(requestId, isTraced) {
  const digits = requestId.replaceAll('-', '');
  return `Root=1-${digits.slice(0, 8)}-${digits.slice(8)};Parent=${digits.slice(0, 16)};Sampled=${isTraced ? 1 : 0}`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

module.exports = { RuntimeApi };
