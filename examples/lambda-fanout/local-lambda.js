'use strict';

/**
 * Lambda on this machine: the API that the AWS SDK invokes functions by, and behind it environments of the worker
 * function, each with AWS's own runtime client. They are the ones that the library's tests run in.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { LambdaFunction } = require('../../__test__/lambda/support/function');
const { InvokeFront } = require('../../__test__/lambda/support/invoke-front');
const { clientFor, install } = require('../../__test__/lambda/support/runtime-clients');

const CLIENT = 3;
const NAME = 'invoice-signer';
const FILES = ['worker-function.js', 'invoice.js'];

/** What stands in the way, if anything. Builds AWS's runtime client if it is not there. */
async function missing() {
  if (clientFor(CLIENT).missing !== null) await install();
  return clientFor(CLIENT).missing ?? undefined;
}

/** @param {{ megabytes?: number }} [options] memory of an environment, which decides how many processes it has */
async function startLambda({ megabytes = 1769 } = {}) {
  const front = await InvokeFront.start();
  /** @type {(() => unknown)[]} */
  const closing = [];
  const task = deploy();
  const lambda = new LambdaFunction({ after: (close) => closing.push(close) }, {
    handler: 'worker-function.handler',
    client: CLIENT,
    task,
    megabytes,
  });
  front.deploy(NAME, lambda.invoke);
  return {
    functionName: NAME,
    client: front.client({ requestHandler: { httpAgent: { maxSockets: 1000, keepAlive: true } } }),
    /** How many invocations there were, and at once at most. */
    counts: () => ({ invocations: front.requests, atOnce: front.maxRunning, environments: lambda.environments.length }),
    /** Ends an environment in the middle of an invocation, as a lack of memory does; false if none has any. */
    kill: () => {
      const [environment] = lambda.busy;
      environment?.kill();
      return environment !== undefined;
    },
    stop: async () => {
      for (const close of closing.reverse()) await close();
      await front.close();
      fs.rmSync(task, { recursive: true, force: true });
    },
  };
}

/** The deployment package: the function's files, and the library. */
function deploy() {
  const task = fs.mkdtempSync(path.join(os.tmpdir(), 'invoice-signer-'));
  for (const file of FILES) fs.copyFileSync(path.join(__dirname, file), path.join(task, file));
  fs.mkdirSync(path.join(task, 'node_modules', '@parallelizer'), { recursive: true });
  fs.symlinkSync(path.join(__dirname, '..', '..'), path.join(task, 'node_modules', '@parallelizer', 'node'));
  return task;
}

module.exports = { missing, startLambda };
