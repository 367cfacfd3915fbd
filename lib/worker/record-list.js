'use strict';

/**
 * The records of an event that travel together, one to a call: what the user's function is given for each of them, and
 * which of them have the same key.
 *
 * What all calls have in common has come once. Each call gets a copy of it, so that a function that changes what it was
 * given changes nothing for the next record. The trace header is in the environment from the first call to the last.
 *
 * Must not depend on when calls run, nor on how they are answered.
 */

const { define } = require('../intrinsics/define');
const { blankOf, keep, keepOnce } = require('../intrinsics/keep');
const { classOf } = require('../events/records');
const { InvocationContext, fieldsOf, invokeForEvent, setTrace } = require('./invocation');
const { RunningCall, withSignal } = require('./running-call');
const { callUser } = require('./user-function');

/** @typedef {import('./invocation').Invocation} Invocation */
/** @typedef {import('./invocation').EventKind} EventKind */

/**
 * The keys of the calls of one list, where an error stops a key: the job, the number of the first call's key, and where
 * the calls of each key begin. Keys are numbered in this order.
 * @typedef {[job: number, first: number, starts: number[]]} Keys
 */

/** @typedef {import('../codec/elements').Elements} Elements */

/**
 * What a list arrives as.
 * @typedef {[
 *   records: Elements, params: unknown, first: number, invocation: Invocation, kind: EventKind, keys: Keys | null,
 * ]} SharedArguments
 */

class RecordList {
  /** As many as there are calls: the records themselves are taken when their calls run. @type {undefined[]} */
  values;
  /** Whether nobody wants to know what the function returns. @type {boolean} */
  isVoid;
  #fn;
  #shared;
  #makeLogger;
  #modules;
  #Record;
  /** Which fields the invocation has. */
  #fields;
  /** @type {(() => void) | null} */
  #restoreTrace = null;
  /** Whether there is something like what its functions are given that is kept. */
  #isKept = false;

  /**
   * @param {Function} fn
   * @param {SharedArguments} shared
   * @param {import('./serve').MakeLogger} makeLogger
   * @param {import('./record-steps').Modules} modules
   */
  constructor(fn, shared, makeLogger, modules) {
    this.#fn = fn;
    this.#shared = shared;
    this.#makeLogger = makeLogger;
    this.#modules = modules;
    this.values = new Array(shared[0].length);
    this.isVoid = shared[4].single;
    this.#Record = classOf(shared[4].source);
    this.#fields = fieldsOf(shared[3]);
  }

  /** Before its first call. */
  begin() {
    this.#restoreTrace = setTrace(this.#shared[3].traceId);
  }

  /** After its last call. */
  end() {
    this.#restoreTrace?.();
    this.#restoreTrace = null;
  }

  /**
   * Calls the user's function with a record, given its place in the list.
   * @type {import('./runner').Callee}
   */
  run = (_, call, place = 0) => {
    const [records, params, first, invocation, kind] = this.#shared;
    const raw = records.take(place);
    const index = first + place;
    const own = isPrimitive(params) ? params : copyOf(params);
    const logger = this.#makeLogger(index, call);
    if (!kind.single) {
      const args = /** @type {Parameters<typeof invokeForEvent>[1]} */ ([[raw], own, index, { ...invocation }, kind]);
      return invokeForEvent(this.#fn, args, call, logger, this.#modules);
    }
    if (!this.#isKept) this.#keepAlike(raw);
    const context = new InvocationContext(invocation, this.#fields);
    const record = new this.#Record(raw, kind);
    return callUser(this.#fn, undefined, givenFor(record, own, logger, index, call.workerIndex, context, call));
  };

  /**
   * Keeps an object of each hidden class that the function sees, see keep.js.
   * @param {unknown} raw a record of the list
   */
  #keepAlike(raw) {
    this.#isKept = true;
    if (isPrimitive(raw)) return;
    const { 3: invocation, 4: kind } = this.#shared;
    const alike = blankOf(/** @type {object} */ (raw));
    keepOnce(`${kind.source} ${Object.keys(alike)} ${Object.keys(invocation)}`, () => {
      const record = new this.#Record(alike, kind);
      const context = new InvocationContext(blankOf(invocation), this.#fields);
      const call = new RunningCall(0, /** @type {any} */ (null), false);
      return givenFor(record, null, () => {}, 0, 0, context, call);
    });
  }

  /** What the key of a call is known by; `null` where an error stops nothing. @param {number} place */
  keyAt(place) {
    const keys = this.#shared[5];
    if (keys === null) return null;
    const [job, first, starts] = keys;
    let key = 0;
    while (key + 1 < starts.length && starts[key + 1] <= place) key++;
    return `${job}:${first + key}`;
  }
}

/**
 * What the function is given, of which its call knows.
 * @param {object} record @param {unknown} params @param {(entry: any) => void} mainLogger @param {number} batchIndex
 * @param {number} workerIndex @param {object} context @param {InstanceType<typeof RunningCall>} call
 */
function givenFor(record, params, mainLogger, batchIndex, workerIndex, context, call) {
  const given = { record, params, mainLogger, batchIndex, workerIndex, context };
  call.given = given;
  return withSignal(given, call);
}

/** @param {unknown} value */
function isPrimitive(value) {
  return typeof value !== 'object' || value === null;
}

/**
 * A copy of data that JSON can hold.
 * @param {any} value
 * @returns {any}
 */
function copyOf(value) {
  if (isPrimitive(value)) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  const copy = { ...value };
  for (const key of Object.keys(copy)) {
    if (isPrimitive(copy[key])) continue;
    // Plain assignment would set the prototype.
    if (key !== '__proto__') copy[key] = copyOf(copy[key]);
    else define(copy, key, { value: copyOf(value[key]), enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

/** @type {any} */
const NO_RECORDS = [[], null, 0, {}, {}, null];
keep(new RecordList(() => {}, NO_RECORDS, () => () => {}, /** @type {any} */ (null)));

module.exports = { RecordList };
