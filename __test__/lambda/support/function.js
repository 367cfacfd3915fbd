'use strict';
// A function in the Lambda service: environments with AWS's runtime client, which are started as invocations ask for
// them, kept for the next ones, and ended by a timeout or by what the function does. Must not depend on what it does.

const { startEnvironment } = require('./environment');

class LambdaFunction {
  #t;
  #options;
  #timeout;
  /** Those that wait for an invocation. */
  #idle = [];
  /** All that were ever started, the newest last. */
  environments = [];
  /** Those that have an invocation. */
  busy = new Set();

  /**
   * @param {import('node:test').TestContext} t
   * @param {{ handler: string, timeout?: number } & Record<string, unknown>} options `timeout` in milliseconds; the
   *   others are those of an environment
   */
  constructor(t, { timeout = 60_000, ...options }) {
    this.#t = t;
    this.#options = options;
    this.#timeout = timeout;
  }

  /** What an `InvokeFront` calls. */
  invoke = async (payload, output) => {
    let environment;
    try {
      environment = this.#idle.pop() ?? (await this.#start());
    } catch (error) {
      return output.end({ code: 'Runtime.ExitError', details: error.message });
    }
    this.busy.add(environment);
    const options = { timeout: this.#timeout, onBytes: (bytes) => output.write(bytes) };
    const { status, body, requestId } = await environment.api.invoke(JSON.parse(payload), options);
    this.busy.delete(environment);
    if (status === 'response' || status === 'error') this.#idle.push(environment);
    else await environment.end();
    if (status === 'response') return output.end();
    const said = {
      error: { code: 'Unhandled', details: JSON.stringify(body) },
      timeout: { code: 'Sandbox.Timedout', details: `Task timed out after ${(this.#timeout / 1000).toFixed(2)} seconds` },
      gone: { code: 'Runtime.ExitError', details: 'Runtime exited with error: signal: killed' },
    };
    const { code, details } = said[status];
    output.end({ code, details: status === 'error' ? details : `RequestId: ${requestId} Error: ${details}` });
  };

  async #start() {
    const environment = await startEnvironment(this.#t, this.#options);
    this.environments.push(environment);
    // One that was killed as it answered is idle for a moment.
    void environment.exited.then(() => (this.#idle = this.#idle.filter((other) => other !== environment)));
    await environment.initialised();
    return environment;
  }
}

module.exports = { LambdaFunction };
