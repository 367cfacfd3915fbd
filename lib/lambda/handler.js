'use strict';

/**
 * Handlers for Lambda: functions of an event and its context, with workers that start as soon as a handler is made.
 *
 * Whatever answers an event is loaded after that, while they start. Must not depend on how an event is answered.
 */

const { setImmediate } = require('../intrinsics/clock');
const { define } = require('../intrinsics/define');
const { once } = require('../intrinsics/once');
const { tryToLoad } = require('../jobs/later-loads');
const { Parallelizer } = require('../parallelizer/parallelizer');
const { handlerOptions, responseOptions } = require('./options');

const answering = once(() => require('./respond'));

/**
 * A handler with its own workers, which start now.
 * @param {unknown} options see `HandlerOptions` in lambda.d.ts
 */
function createHandler(options) {
  const { single, event: settings, metrics, pool } = handlerOptions(options);
  const parallelizer = new Parallelizer(pool);
  // While the workers start.
  setImmediate(() => tryToLoad(answering));
  const complete = { ...settings, id: undefined, signal: null, timeout: undefined };
  /** @param {unknown} event @param {unknown} [context] */
  const handler = async (event, context) => {
    const { respond } = answering();
    if (metrics === null) return respond(event, context, parallelizer, complete, single, null);
    const { InvocationMetrics } = require('./metrics');
    const type = pool.parallelization === 0 ? 'inline' : (pool.type ?? 'child-process');
    const measured = new InvocationMetrics(metrics, parallelizer, String(type));
    try {
      return await respond(event, context, parallelizer, complete, single, measured);
    } finally {
      measured.write(context);
    }
  };
  const property = { value: parallelizer, writable: true, enumerable: true, configurable: true };
  /** @type {typeof handler & { parallelizer: typeof parallelizer }} */
  const withInstance = define(/** @type {any} */ (handler), 'parallelizer', property);
  return withInstance;
}

/**
 * The answer to an event, from workers that the caller has.
 * @param {unknown} event @param {unknown} context @param {unknown} parallelizer
 * @param {unknown} [options] see `ProcessPartialResponseOptions` in lambda.d.ts
 * @returns {Promise<object>}
 */
async function processPartialResponse(event, context, parallelizer, options) {
  return answering().respond(event, context, parallelizer, responseOptions(options), false, null);
}

module.exports = { createHandler, processPartialResponse };
