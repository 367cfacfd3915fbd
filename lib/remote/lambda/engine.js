'use strict';

/**
 * AWS Lambda as an engine: `lambdaInvoke()`, for the option `engine` of a pool.
 *
 * Must not depend on what is in a chunk.
 */

const { optionError } = require('../../errors');
const { CONTRACT } = require('../engine');
const { LambdaProducer } = require('./producer');
const { MAX_CHUNK } = require('./records');

/** @typedef {import('../engine').Engine} Engine */
/** @typedef {import('./producer').LambdaClient} LambdaClient */
/** @typedef {import('./producer').Sdk} Sdk */

/**
 * @typedef {object} LambdaInvokeOptions
 * @property {string} functionName or its ARN
 * @property {string} [qualifier] a version or an alias
 * @property {number} [concurrency] how many invocations there are at once at most. Default: 10
 * @property {number} [slots] how many calls an invocation runs at the same instant: its processes. Default: 1
 * @property {number} [timeout] that of the function, in milliseconds. Default: 900,000, the longest there is
 * @property {string} [region]
 * @property {object} [client] a `LambdaClient` with `maxAttempts: 1`
 */

const SDK = '@aws-sdk/client-lambda';
const KNOWN = ['functionName', 'qualifier', 'concurrency', 'slots', 'timeout', 'region', 'client'];
const MAX_CONCURRENCY = 100_000;
/** The longest that a function may run. */
const MAX_TIMEOUT = 900_000;
/** How much longer than the function a request may take: its start, and the way there and back. */
const PATIENCE = 30_000;
const CONNECTION_TIMEOUT = 10_000;
/** Sockets besides those of invocations. */
const SPARE_SOCKETS = 8;

/**
 * @param {LambdaInvokeOptions} options
 * @returns {Engine}
 */
function lambdaInvoke(options) {
  const settings = checked(options);
  const { functionName, qualifier } = settings;
  /** One for all producers of this engine. @type {Promise<Sdk> | undefined} */
  let sdk;
  return {
    contract: CONTRACT,
    name: `lambda:${qualifier === undefined ? functionName : `${functionName}:${qualifier}`}`,
    maxChunkBytes: MAX_CHUNK,
    connect(side) {
      sdk ??= load(settings);
      return new LambdaProducer(settings, sdk, side).link;
    },
  };
}

/** @typedef {ReturnType<typeof checked>} Settings */

/** @param {LambdaInvokeOptions} options */
function checked(options) {
  if (typeof options !== 'object' || options === null) {
    throw optionError('options', options, 'an object such as { functionName, concurrency }');
  }
  const unknown = Object.keys(options).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) {
    throw optionError(unknown, undefined, `is no option of lambdaInvoke(): ${KNOWN.join(', ')}`);
  }
  const { functionName, qualifier, concurrency = 10, slots = 1, timeout = MAX_TIMEOUT, region, client } = options;
  const isText = (/** @type {unknown} */ value) => typeof value === 'string' && value !== '';
  if (!isText(functionName)) throw optionError('functionName', functionName, 'the name or ARN of a function');
  for (const [name, value] of Object.entries({ qualifier, region })) {
    if (value !== undefined && !isText(value)) throw optionError(name, value, 'a string');
  }
  whole('concurrency', concurrency, MAX_CONCURRENCY);
  whole('slots', slots, 1024);
  whole('timeout', timeout, MAX_TIMEOUT);
  if (client !== undefined && !isClient(client)) {
    throw optionError('client', client, `a LambdaClient of "${SDK}"`);
  }
  if (client !== undefined && region !== undefined) {
    throw optionError('region', region, 'left out where there is a "client", which has its own');
  }
  return { functionName, qualifier, concurrency, slots, timeout, region, client };
}

/** @param {unknown} value @returns {value is LambdaClient} */
function isClient(value) {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'send') === 'function';
}

/** @param {string} name @param {unknown} value @param {number} max */
function whole(name, value, max) {
  if (!Number.isInteger(value) || Number(value) < 1 || Number(value) > max) {
    throw optionError(name, value, `a whole number from 1 to ${max}`);
  }
}

/**
 * The SDK with a client. Rejects with what to do about it.
 * @param {Settings} settings
 * @returns {Promise<Sdk>}
 */
async function load({ client: given, concurrency, timeout, region }) {
  /** @type {any} */
  let sdk;
  try {
    sdk = require(SDK);
  } catch (cause) {
    throw optionError('engine', undefined, `needs the package "${SDK}": npm install ${SDK}`, { cause });
  }
  const { InvokeWithResponseStreamCommand } = sdk;
  if (typeof InvokeWithResponseStreamCommand !== 'function') {
    throw optionError('engine', undefined, `needs a newer "${SDK}": this one cannot stream responses`);
  }
  if (given !== undefined) {
    await refuseRetries(given);
    return { client: given, InvokeWithResponseStreamCommand };
  }
  const client = new sdk.LambdaClient({
    ...(region === undefined ? {} : { region }),
    // An invocation that has failed may have run: whether it runs again is decided elsewhere.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT,
      // A function may be silent for all of its time.
      requestTimeout: timeout + PATIENCE,
      socketTimeout: timeout + PATIENCE,
      // The SDK's own limit is 50: the others would wait for a socket, unseen.
      httpsAgent: { keepAlive: true, maxSockets: concurrency + SPARE_SOCKETS },
      httpAgent: { keepAlive: true, maxSockets: concurrency + SPARE_SOCKETS },
    },
  });
  return { client, InvokeWithResponseStreamCommand };
}

/** A client that tries again runs a chunk twice. @param {LambdaClient} client */
async function refuseRetries(client) {
  const configured = client.config?.maxAttempts;
  const attempts = typeof configured === 'function' ? await configured() : configured;
  if (attempts !== undefined && attempts !== 1) {
    const remedy = 'make it with maxAttempts: 1, since what has failed may have run';
    throw optionError('client', undefined, `tries up to ${attempts} times: ${remedy}`);
  }
}

module.exports = { lambdaInvoke };
