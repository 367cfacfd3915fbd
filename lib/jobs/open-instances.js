'use strict';

/**
 * The instances of this environment that are open, for those who forget to close them.
 *
 * 1. An instance that nobody can reach any more is closed, after what it has accepted. For that, nothing that it owns
 *    may refer to it.
 * 2. Many open instances, made at one place, are most likely one for each request. A process warning says so, once.
 *    Where they were made is looked at from the fourth on, since few programs have so many.
 *
 * Must not depend on what instances do.
 */

const path = require('node:path');
const { PARALLELIZER_INLINE } = require('../options/options');
const { NAMES } = require('../package/code-cache');
const { emitFrom } = require('./observers');

/** As many as Node allows listeners before it warns. */
const MAX_PER_PLACE = 10;
const MAX_IN_ALL = 20;
const MAX_UNSEEN = 3;
/** Enough for a subclass and a function or two of this package between an instance and the user's code. */
const FRAMES = 8;
const CODE = 'PARALLELIZER_OPEN_INSTANCES';
/** Where the code of this package is; an ES module, which a bundle may be, has no such variable. */
const OWN_FOLDER = typeof __dirname === 'undefined' ? null : path.dirname(__dirname) + path.sep;

/** @typedef {InstanceType<typeof import('./worker-pool').WorkerPool>} WorkerPool */
/** @typedef {Readonly<import('../options/options').WorkerOptions>} WorkerOptions */

/**
 * An open instance. Does not refer to it.
 * @typedef {object} Opened
 * @property {string | null} place where it was made, if that was looked at
 * @property {number} workers
 * @property {readonly WorkerPool[]} pools
 */

/** @type {Set<Opened>} Those that have workers of their own. */
const opened = new Set();
/** @type {Set<Opened>} Those whose workers are others' as well. */
const sharing = new Set();
let hasWarned = false;

/** @type {FinalizationRegistry<Opened>} */
const unreachable = new FinalizationRegistry((entry) => {
  opened.delete(entry);
  sharing.delete(entry);
  entry.pools.forEach((pool) => void pool.close());
});

/**
 * An instance was made.
 * @param {InstanceType<typeof import('./observers').Instance>} instance
 * @param {readonly { pool: WorkerPool, options: WorkerOptions }[]} pools its own
 * @param {Function} constructor what the user called with `new`
 */
function addInstance(instance, pools, constructor) {
  // However many instances share workers, there are no more workers for it.
  const own = pools.filter(({ options }) => !options.shared);
  const isCounted = own.length > 0;
  /** @type {Opened} */
  const entry = {
    place: isCounted && !hasWarned && opened.size >= MAX_UNSEEN ? placeOf(constructor) : null,
    workers: own.reduce((sum, { options }) => sum + (options.type === PARALLELIZER_INLINE ? 0 : options.workers), 0),
    pools: pools.map(({ pool }) => pool),
  };
  emitFrom(instance, entry.pools);
  unreachable.register(instance, entry, entry);
  if (isCounted) {
    opened.add(entry);
    if (!hasWarned && opened.size > MAX_PER_PLACE) warnOfMany(entry.place);
  } else {
    sharing.add(entry);
  }
  return entry;
}

/**
 * It is closed, or being closed.
 * @param {Opened} entry
 */
function removeInstance(entry) {
  opened.delete(entry);
  sharing.delete(entry);
  unreachable.unregister(entry);
}

/** The pools of all open instances. @returns {WorkerPool[]} */
function openPools() {
  return [...opened, ...sharing].flatMap(({ pools }) => pools);
}

/** @param {string | null} place of the last one */
function warnOfMany(place) {
  const here = [...opened].filter((entry) => entry.place === place).length;
  if (here <= MAX_PER_PLACE && opened.size <= MAX_IN_ALL) return;
  hasWarned = true;
  const workers = [...opened].reduce((sum, entry) => sum + entry.workers, 0);
  process.emitWarning(
    `${opened.size} instances of Pool and Parallelizer are open, with ${workers} workers, made ${placesText()}. Make ` +
      'one and use it for all calls, or close() each after its last call',
    { type: 'ParallelizerWarning', code: CODE },
  );
}

/** Where the open instances were made, and how many at each place: the places with the most of them first. */
function placesText() {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { place } of opened) {
    if (place !== null) counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const places = [...counts].sort(({ 1: one }, { 1: two }) => two - one).slice(0, 3);
  return places.map(({ 0: place, 1: count }) => `at ${place} (${count})`).join(', ');
}

/**
 * Where the user's code called a constructor: a file with line and column.
 * @param {Function} constructor
 */
function placeOf(constructor) {
  const { stackTraceLimit } = Error;
  // It may be frozen.
  Reflect.set(Error, 'stackTraceLimit', FRAMES);
  /** @type {{ stack?: unknown }} */
  const holder = {};
  let stack = '';
  try {
    Error.captureStackTrace(holder, constructor);
    // Made now: until then the trace refers to what the functions in it were called on, such as the instance.
    stack = String(holder.stack);
  } catch {
    // The user's `Error.prepareStackTrace` has thrown.
  }
  Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  const frames = stack.split('\n').slice(1).map((line) => line.trim().replace(/^at /, ''));
  const own = ['node:', NAMES, ...(OWN_FOLDER === null ? [] : [OWN_FOLDER])];
  const isOutside = (/** @type {string} */ line) => !own.some((part) => line.includes(part));
  // In the user's bundle this package has no folder of its own.
  const frame = frames.find(isOutside) ?? frames[0];
  return frame?.replace(/^.*? \((.*)\)$/, '$1') ?? 'an unknown place';
}

module.exports = { addInstance, openPools, removeInstance };
