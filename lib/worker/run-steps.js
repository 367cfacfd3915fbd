'use strict';

/**
 * Calls the user's function with what the records of an event stand for (record-steps.js).
 *
 * 1. A record of the event stands for all that is in it: it is done when all of that is done, and what follows a
 *    failure in it is not tried.
 * 2. One that cannot be read, or does not fit, has failed by itself. In a sub-batch the function gets the others; where
 *    there is an order to keep, those before it.
 * 3. One that is not worth another try is handed to the function that the user has for such, in its turn, and is done
 *    when that has succeeded; not while something else in its record of the event has failed.
 *
 * Must not depend on events, or on how Lambda is answered. Loaded with the first event that needs any of it.
 */

const { guarded } = require('../codec/error-tree');
const { isError } = require('../codec/is-error');
const { isThenable } = require('../events/decoders/decoder');
const { NON_RETRYABLE, isNonRetryable } = require('../events/non-retryable');
const { nameOf } = require('../events/records');
const { after, stepsFor } = require('./record-steps');
const { assertNoneFailed, withFailed, withIdentifiers } = require('./reported-failures');
const { callUser } = require('./user-function');

/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('./record-steps').Modules} Modules */
/** @typedef {InstanceType<typeof import('./record-steps').RecordSteps>} RecordSteps */

/**
 * @typedef {object} Work
 * @property {Function} fn
 * @property {(given: object) => object} argumentOf
 * @property {boolean} single
 * @property {boolean} ordered
 * @property {import('../events/results').ResultKind} [results] what the source wants of the function's results
 * @property {import('../codec/codec').Serialization} serialization how these travel
 */

/**
 * Why records have failed. Anything can be thrown, `null` and `undefined` as well: no value stands for no error.
 * @typedef {{ error: any, records: LambdaRecord[] }} Failed
 */

// Loaded with the first failure.
const partialOutcome = () => require('../events/partial-outcome');

/**
 * Calls the user's function with the records that those of an event stand for.
 * @param {string} text @param {LambdaRecord[]} batch @param {Work} work @param {Modules} modules
 * @returns {unknown} the results that the source wants; may be a promise
 */
function runSteps(text, batch, work, modules) {
  const steps = stepsFor(text, modules);
  const run = () => (work.single ? runSingle(steps, batch[0], work) : runBatch(steps, batch, work));
  const preparing = steps.prepare();
  return preparing === null ? run() : preparing.then(run);
}

/** @param {RecordSteps} steps @param {LambdaRecord} outer @param {Work} work */
function runSingle(steps, outer, work) {
  const { argumentOf, results } = work;
  /** @param {unknown} error */
  const failed = (error) => {
    if (!steps.discards(error)) throw asThrown(error);
    return after(steps.discard(argumentOf({ record: outer, error })), () => (results === undefined ? undefined : []));
  };
  return caught(() => after(steps.unwrap(outer), (records) => ({ records })), failed, (unwrapped) =>
    // Without records, it was discarded as it is.
    (unwrapped?.records === undefined ? unwrapped : runInner(steps, outer, unwrapped.records, work)));
}

/**
 * Calls the function with each of the records that one of the event stands for.
 * @param {RecordSteps} steps @param {LambdaRecord} outer @param {LambdaRecord[]} records @param {Work} work
 */
function runInner(steps, outer, records, { fn, argumentOf, results, serialization }) {
  /** @type {LambdaRecord[]} */
  const done = [];
  /** @type {unknown[]} */
  const values = [];
  /** @type {{ error: unknown } | null} */
  let postponed = null;
  /** @param {LambdaRecord} record */
  const run = (record) => caught(
    () => after(steps.read(record), () => callUser(fn, undefined, argumentOf({ record }))),
    (error) => {
      if (steps.discards(error)) return after(steps.discard(argumentOf({ record, error })), () => DISCARDED);
      // The handler discards the record of the event as a whole: the others in it have to be done first.
      if (records.length === 1 || !steps.isDiscardable(error)) throw asThrown(error);
      postponed ??= { error };
      return DISCARDED;
    },
    (value) => {
      if (results === undefined || value === DISCARDED) return;
      done.push(record);
      values.push(value);
    },
  );
  return after(inTurn(records, run), () => {
    if (results === undefined) {
      if (postponed !== null) throw postponed.error;
      return undefined;
    }
    if (postponed !== null && (done.length === 0 || !isError(postponed.error))) throw asThrown(postponed.error);
    // One that was discarded has no result.
    const list = done.length === 0 && records.length === 1 ? [] : resultsOf(results, [outer], done, values);
    // What is discarded of it leaves the results of the others.
    if (postponed !== null) throw partialOutcome().withPartial([postponed.error], { list, serialization });
    return list;
  });
}

/** An error without what an earlier record has left on it. @param {unknown} error */
function asThrown(error) {
  return isError(error) ? partialOutcome().withoutPartial(error) : error;
}

/** Stands for the result of a record that was discarded. */
const DISCARDED = Symbol('discarded');

/**
 * `next` of what was made, or of what `recover` makes of an error; waits only where it has to.
 * @param {() => any} make @param {(error: unknown) => any} recover @param {(value: any) => any} next
 */
function caught(make, recover, next) {
  let made;
  try {
    made = make();
    if (isThenable(made)) return made.then(undefined, recover).then(next);
  } catch (error) {
    made = recover(error);
  }
  return after(made, next);
}

/**
 * @param {import('../events/results').ResultKind} kind @param {LambdaRecord[]} outers
 * @param {LambdaRecord[]} records @param {unknown[]} values
 */
function resultsOf(kind, outers, records, values) {
  return require('../events/results').resultsOf(kind, outers, records, values);
}

/**
 * @param {RecordSteps} steps @param {LambdaRecord[]} outers @param {Work} work
 * @returns {Promise<unknown>}
 */
async function runBatch(steps, outers, work) {
  const { ordered, results, serialization } = work;
  /** @type {Error[]} each with what failed of it */
  const failures = [];
  /** @type {[name: string, result: unknown][]} */
  const kept = [];
  // Once, unless there is an order and records in the middle are discarded.
  let rest = outers;
  while (rest.length > 0) {
    const { batch, whole, invalid, end } = await readSome(steps, rest, ordered);
    try {
      kept.push(...(await callWith(batch, whole, work)));
    } catch (thrown) {
      const error = withIdentifiers(batch, thrown);
      const isThis = (/** @type {Failed} */ failed) => Object.is(failed.error, error);
      const found = await settle(steps, error, batch, work);
      // An error about the whole sub-batch needs no names.
      if (!isNamed(error) && whole.length === outers.length && found.some(isThis)) throw error;
      // One that has names keeps what else it is.
      failures.push(...found.map((failed) => (isNamed(error) && isThis(failed) ? renamed(failed) : failureOf(failed))));
    }
    if (ordered && failures.length > 0) break;
    const again = new Set(failures.flatMap((failure) => Reflect.get(failure, 'failed')).map(nameOf));
    for (const { error, record } of invalid) {
      // It comes again, for what it holds besides, and is decided about then.
      if (again.has(nameOf(record.identifier))) continue;
      const [failed] = await discardOr(steps, error, [record], work);
      if (failed === undefined) continue;
      failures.push(failureOf({ error: failed.error, records: ordered ? rest.slice(end - 1) : [record] }));
    }
    if (ordered && failures.length > 0) break;
    rest = rest.slice(end);
  }
  if (failures.length === 0) return results === undefined ? undefined : kept;
  // The source wants the results of what is done, whatever became of the rest.
  throw partialOutcome().withPartial(failures, results === undefined ? undefined : { list: kept, serialization });
}

/**
 * Reads records as far as they go to the function together.
 * @param {RecordSteps} steps @param {LambdaRecord[]} outers @param {boolean} ordered
 */
async function readSome(steps, outers, ordered) {
  /** @type {LambdaRecord[]} */
  const batch = [];
  /** @type {LambdaRecord[]} */
  const whole = [];
  /** @type {{ error: unknown, record: LambdaRecord }[]} */
  const invalid = [];
  for (const [i, outer] of outers.entries()) {
    try {
      const unwrapping = steps.unwrap(outer);
      const records = isThenable(unwrapping) ? await unwrapping : /** @type {LambdaRecord[]} */ (unwrapping);
      /** @type {LambdaRecord[]} */
      const read = [];
      for (const record of records) {
        try {
          const reading = steps.read(record);
          if (isThenable(reading)) await reading;
          read.push(record);
        } catch (error) {
          // Those beside one that is discarded go to the function; in order, all of them wait.
          if (ordered || records.length === 1 || !steps.isDiscardable(error)) throw error;
          invalid.push({ error, record });
        }
      }
      batch.push(...read);
      whole.push(outer);
    } catch (error) {
      invalid.push({ error, record: outer });
      if (ordered) return { batch, whole, invalid, end: i + 1 };
    }
  }
  return { batch, whole, invalid, end: outers.length };
}

/**
 * @param {LambdaRecord[]} batch @param {LambdaRecord[]} outers what holds it @param {Work} work
 * @returns {Promise<[name: string, result: unknown][]>}
 */
async function callWith(batch, outers, { fn, argumentOf, results }) {
  const returned = batch.length === 0 ? undefined : await callUser(fn, undefined, argumentOf({ batch }));
  assertNoneFailed(batch, returned);
  if (results === undefined) return [];
  const { valuesOf } = require('../events/results');
  return resultsOf(results, outers, batch, batch.length === 0 ? [] : valuesOf(results, batch, returned));
}

/**
 * What has failed of a sub-batch whose function threw.
 * @param {RecordSteps} steps @param {any} error @param {LambdaRecord[]} batch @param {Work} work
 * @returns {Promise<Failed[]>} none where all that failed is discarded
 */
async function settle(steps, error, batch, work) {
  const { ordered, results } = work;
  if (!isNamed(error)) return discardOr(steps, error, eventRecords(batch), work);
  const names = new Set(error.failed.map(nameOf));
  const named = batch.filter(({ identifier }) => names.has(nameOf(identifier)));
  // Without results nothing of it is done. What was not named may succeed another time, whatever is true of the rest.
  if (results !== undefined && !steps.isDiscardable(error)) return [{ error, records: batch }];
  const others = results === undefined ? [] : batch.filter(({ identifier }) => !names.has(nameOf(identifier)));
  const unnamed = others.length === 0 ? [] : [{ error: partialOutcome().resultlessError(error), records: others }];
  if (!ordered) return [...(await discardOr(steps, error, eventRecords(named), work)), ...unnamed];
  // What stands behind a failure is not discarded.
  if (unnamed.length > 0 && !isSame(batch[0], named[0])) return [{ error, records: named }, ...unnamed];
  // In order, what stands behind the first one may be named because it was not tried.
  const [failed] = await discardOr(steps, error, eventRecords(named.slice(0, 1)), work);
  if (failed !== undefined) return [{ error: failed.error, records: named }, ...unnamed];
  const behind = batch.slice(batch.findLastIndex((each) => isSame(each, named[0])) + 1);
  if (behind.length === 0) return [];
  return [{ error: require('../errors').skippedError(named[0].groupKey), records: behind }];
}

/** @param {LambdaRecord} one @param {LambdaRecord} other */
function isSame(one, other) {
  return nameOf(one.identifier) === nameOf(other.identifier);
}

/** The records of the event that these stand in: what failed in them is not known. @param {LambdaRecord[]} records */
function eventRecords(records) {
  return [...new Set(records.map(outermost))];
}

/** @param {LambdaRecord} record @returns {LambdaRecord} */
function outermost(record) {
  return record.outer === null ? record : outermost(record.outer);
}

/**
 * Hands records to the user's function for what is not worth another try: each of them or, in order, as far as that
 * succeeds.
 * @param {RecordSteps} steps @param {any} error @param {LambdaRecord[]} records @param {Work} work
 * @returns {Promise<Failed[]>} those that do not count as done
 */
async function discardOr(steps, error, records, { argumentOf, ordered }) {
  if (!steps.discards(error)) return [{ error, records }];
  /** @type {Failed[]} */
  const failed = [];
  for (const [i, record] of records.entries()) {
    try {
      await steps.discard(argumentOf({ record, error }));
    } catch (cause) {
      const reason = new Error(`not discarded: ${partialOutcome().textOf(error)}`, { cause });
      if (ordered) return [{ error: reason, records: records.slice(i) }];
      failed.push({ error: reason, records: [record] });
    }
  }
  return failed;
}

/**
 * An error about some of the records.
 * @param {Failed} failed
 * @returns {Error}
 */
function failureOf({ error: thrown, records }) {
  const error = isError(thrown) ? thrown : new Error(guarded(() => String(thrown), 'an object'), { cause: thrown });
  return renamed({ error: Object.isExtensible(error) && !isNamed(error) ? error : copyOf(error), records });
}

/** @param {Failed} failed @returns {Error} */
function renamed({ error, records }) {
  return withFailed(error, [...new Set(records.map((record) => record.identifier))]);
}

/** Whether an error names records already: it may have been thrown for others before. @param {unknown} error */
function isNamed(error) {
  return isError(error) && Array.isArray(Reflect.get(error, 'failed'));
}

/** @param {any} error */
function copyOf(error) {
  const { name, code, message, failed: _, ...more } = error;
  const copy = Object.assign(new Error(message, { cause: error }), more);
  // It is of another class.
  const known = isNonRetryable(error, false) ? NON_RETRYABLE : name;
  return Object.assign(copy, { name: known }, code === undefined ? {} : { code });
}

/**
 * Does something with one after another; waits only where it has to.
 * @template T
 * @param {readonly T[]} list @param {(each: T) => unknown} act
 * @returns {void | Promise<void>}
 */
function inTurn(list, act) {
  for (const [i, each] of list.entries()) {
    const pending = act(each);
    if (isThenable(pending)) return afterwards(pending, list.slice(i + 1), act);
  }
}

/**
 * @template T
 * @param {PromiseLike<unknown>} pending @param {readonly T[]} rest @param {(each: T) => unknown} act
 */
async function afterwards(pending, rest, act) {
  await pending;
  for (const each of rest) await act(each);
}

module.exports = { runSteps };
