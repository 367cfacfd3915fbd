'use strict';

/**
 * Runs calls within the trace that their caller was in: the context and the baggage that an instrumented parent has
 * sent along, for the OpenTelemetry API that this worker's own code has set up.
 *
 * The API is found where all of its copies look for it, so that nothing has to be loaded here. Where the worker has set
 * up none, there is nobody to want it. Must not depend on what a call is for.
 */

const { setTimeout } = require('../intrinsics/clock');
const { fromJson } = require('../intrinsics/json');

/** @typedef {import('./runner').Callee} Callee */

/** How long a worker that is to exit waits for its spans, in milliseconds. */
const MAX_FLUSH_TIME = 2000;
/** The registry that all copies of version 1 of `@opentelemetry/api` share. */
const API = Symbol.for('opentelemetry.js.api.1');

/** @type {{ get: (carrier: any, key: string) => unknown, keys: (carrier: any) => string[] }} */
const GETTER = {
  get: (carrier, key) => (Object.hasOwn(carrier, key) ? carrier[key] : undefined),
  keys: (carrier) => Object.keys(carrier),
};

/**
 * @param {string} text an object of strings, as JSON; empty: none
 * @returns {((callee: Callee) => Callee) | null} null: calls run as they are
 */
function withinCarrier(text) {
  if (text === '') return null;
  const carrier = fromJson(text);
  return (callee) => (value, call, place) => {
    // Looked up for each call: a worker may set it up in its first one.
    const { context, propagation } = /** @type {any} */ (globalThis)[API] ?? {};
    if (context === undefined || propagation === undefined) return callee(value, call, place);
    const extracted = propagation.extract(context.active(), carrier, GETTER);
    return context.with(extracted, callee, undefined, value, call, place);
  };
}

/**
 * Has the spans of this worker exported, which most SDKs do some seconds later, and then goes on: before long in any
 * case, since the parent does not wait forever.
 * @param {() => void} goOn
 */
function flush(goOn) {
  const registered = /** @type {any} */ (globalThis)[API]?.trace;
  const provider = typeof registered?.getDelegate === 'function' ? registered.getDelegate() : registered;
  if (typeof provider?.forceFlush !== 'function') {
    goOn();
    return;
  }
  let isOver = false;
  const once = () => {
    if (isOver) return;
    isOver = true;
    goOn();
  };
  setTimeout(once, MAX_FLUSH_TIME);
  Promise.resolve(provider.forceFlush()).then(once, once);
}

module.exports = { flush, withinCarrier };
