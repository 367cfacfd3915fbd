'use strict';

/**
 * The clocks and schedulers of the library itself, in the parent and in workers.
 *
 * Tests and user code replace global timers with fakes that never fire by themselves. The library must keep running
 * then, so it takes Node's own functions once, when `index.js` or `lambda.js` is evaluated and, in a worker, before any
 * code of the user runs. They come from Node's modules, whose functions a sandbox such as jest's does not replace; they
 * are taken out of these at once, since fakes for Node itself are put into the module objects.
 *
 * Must not depend on anything else here, nor be looked up late: whoever needs a clock takes it from here.
 */

const timers = require('node:timers');

const { setTimeout, clearTimeout, setImmediate } = timers;
// Fakes for all tests are in place before this is loaded, but only in the sandbox: then the main context has the rest.
const isFaked = globalThis.setTimeout !== setTimeout || globalThis.setImmediate !== setImmediate;
/** @type {typeof globalThis} */
const realm = isFaked ? require('node:vm').runInThisContext('globalThis') : globalThis;

const nextTick = realm.process.nextTick.bind(realm.process);
const { queueMicrotask } = realm;
/** Milliseconds since 1970. */
const wallTime = realm.Date.now;

const { hrtime } = realm.process;
/**
 * Milliseconds of a clock that is never set. Not `performance.now`, since to load `performance` is a good part of what
 * starting a worker costs.
 * @type {() => number}
 */
const now = /\bbinding\.hrtime\(\)/.test(Function.prototype.toString.call(hrtime))
  ? () => {
      const time = hrtime();
      return time[0] * 1000 + time[1] / 1e6;
    }
  : nowOfPerformance();

/** Where `process.hrtime` is not as Node has it: fakes of `performance` are own properties of it. */
function nowOfPerformance() {
  const { performance } = require('node:perf_hooks');
  return (Object.getPrototypeOf(performance).now ?? performance.now).bind(performance);
}

/** @param {number} milliseconds @returns {Promise<void>} */
function sleep(milliseconds) {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds));
}

/**
 * Waits for a promise, but no longer than this, in milliseconds; then the result is `undefined`. It leaves no timer
 * behind, which would hold the event loop when nothing else does.
 * @template T
 * @param {Promise<T>} promise @param {number} milliseconds
 * @returns {Promise<T | undefined>}
 */
function atMost(promise, milliseconds) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<undefined>} */
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve(undefined), milliseconds)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

module.exports = { setTimeout, clearTimeout, setImmediate, nextTick, queueMicrotask, wallTime, now, sleep, atMost };
