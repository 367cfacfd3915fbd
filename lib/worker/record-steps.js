'use strict';

/**
 * What is done with a record before the user's function gets it: it is taken out of its envelopes, decoded, and checked
 * against a schema; and what becomes of one that is not worth another try.
 *
 * 1. A record of the event stands for all that is in it: it is done when all of that is done, and what follows a
 *    failure in it is not tried.
 * 2. One that cannot be read, or does not fit, has failed by itself. In a sub-batch the function gets the others; where
 *    there is an order to keep, those before it.
 * 3. Nothing here waits for a promise unless there is one.
 *
 * Must not depend on events, or on how Lambda is answered. Loaded with the first event that needs any of it.
 */

const { isError } = require('../codec/is-error');
const { formatDecoder, isThenable } = require('../events/decoders/decoder');
const { define } = require('../intrinsics/define');
const { fromJson } = require('../intrinsics/json');
const { findExport, loadModule } = require('./module-loader');
const { assertNoneFailed, withFailed, withIdentifiers } = require('./reported-failures');
const { unsettledModule } = require('./settling');

/** @typedef {InstanceType<typeof import('../events/records').LambdaRecord>} LambdaRecord */
/** @typedef {import('../events/decoders/decoder').DecodeConfig} DecodeConfig */
/** @typedef {import('../events/envelopes').Envelope} Envelope */
/** @typedef {import('../events/decoders/decoder').Reference} Reference */
/** @typedef {import('../events/decoders/decoder').Tools} Tools */

/**
 * What options say (lib/lambda/step-options.js), the same for all records of an event.
 * @typedef {object} StepsConfig
 * @property {'auto' | Envelope[] | null} envelope
 * @property {import('../events/attribute-values').Numbers} numbers
 * @property {DecodeConfig | null} decode
 * @property {Reference | null} schema
 */

/**
 * How a worker finds modules.
 * @typedef {object} Modules
 * @property {string} filePath of the module whose functions it runs
 * @property {NodeRequire} nodeRequire
 * @property {(url: string) => Promise<Record<string, unknown>>} load the dynamic `import`
 * @property {import('./settling').Watcher} settling
 */

/**
 * @typedef {object} Work
 * @property {Function} fn
 * @property {(given: object) => object} argumentOf
 * @property {boolean} single
 * @property {boolean} ordered
 * @property {import('../events/results').ResultKind} [results] what the source wants of the function's results
 */

/** @type {WeakMap<Modules, Map<string, RecordSteps>>} */
const made = new WeakMap();

class RecordSteps {
  #modules;
  #config;
  /** @type {((record: any) => unknown) | null} */
  #decode = null;
  /** @type {((value: unknown) => any) | null} */
  #validate = null;
  /** @type {Promise<void> | null} */
  #preparing = null;
  #isReady = false;

  /** @param {StepsConfig} config @param {Modules} modules */
  constructor(config, modules) {
    this.#config = config;
    this.#modules = modules;
  }

  /**
   * Loads the functions that the options name, once; if that fails, the next record tries again.
   * @returns {Promise<void> | null} `null` where nothing has to be waited for
   */
  prepare() {
    if (this.#isReady) return null;
    return (this.#preparing ??= this.#prepare().finally(() => (this.#preparing = null)));
  }

  async #prepare() {
    const { decode, schema } = this.#config;
    if (decode !== null) {
      this.#decode = 'format' in decode
        ? formatDecoder(decode, this.#tools)
        : functionNamed(await this.#find(decode), decode);
    }
    if (schema !== null) {
      const { validatorOf } = require('../events/standard-schema');
      this.#validate = validatorOf(await this.#find(schema), `"${schema.name}"`);
    }
    this.#isReady = true;
  }

  /** @type {Tools} */
  get #tools() {
    const { filePath, nodeRequire } = this.#modules;
    return {
      find: async (reference) => functionNamed(await this.#find(reference), reference),
      loadPackage: (name) => nodeRequire('node:module').createRequire(filePath)(name),
    };
  }

  /** @param {Reference} reference @returns {Promise<unknown>} */
  async #find({ filePath, name }) {
    const { nodeRequire, load, settling, filePath: own } = this.#modules;
    const file = filePath ?? own;
    let loaded;
    try {
      loaded = loadModule(file, nodeRequire, load);
      if (isThenable(loaded)) loaded = await settling.watch(loaded, unsettledModule);
    } catch (cause) {
      throw require('../errors').moduleError(file, { cause });
    }
    return findExport(file, name, loaded);
  }

  /**
   * What a record of the event stands for, in order.
   * @param {LambdaRecord} outer
   * @returns {LambdaRecord[]}
   */
  unwrap(outer) {
    const { envelope, numbers } = this.#config;
    return envelope === null ? [outer] : require('../events/envelopes').unwrap(outer, envelope, numbers);
  }

  /**
   * Gives a record its `data`.
   * @param {any} record
   * @returns {void | Promise<void>}
   */
  read(record) {
    if (this.#decode === null && this.#validate === null) return;
    const decoded = this.#decode === null ? undecoded(record) : this.#decode(record);
    return after(decoded, (value) => {
      const validate = this.#validate;
      const data = validate === null
        ? value
        : require('../events/standard-schema').validated(validate, record, value);
      return after(data, (result) => {
        define(record, 'data', { value: result, writable: true, configurable: true });
      });
    });
  }
}

/** What a schema is given where nothing is decoded. @param {any} record */
function undecoded(record) {
  return 'json' in record ? record.json : record.value;
}

/** @param {unknown} found @param {Reference} reference @returns {(...args: any[]) => unknown} */
function functionNamed(found, { filePath, name }) {
  if (typeof found === 'function') return /** @type {(...args: any[]) => unknown} */ (found);
  throw require('../errors').moduleError(filePath ?? '', { functionName: name, exports: [name] });
}

/**
 * @param {string} text a `StepsConfig` @param {Modules} modules
 * @returns {RecordSteps}
 */
function stepsFor(text, modules) {
  let known = made.get(modules);
  if (known === undefined) made.set(modules, (known = new Map()));
  let steps = known.get(text);
  if (steps === undefined) known.set(text, (steps = new RecordSteps(fromJson(text), modules)));
  return steps;
}

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
function runSingle(steps, outer, { fn, argumentOf, results }) {
  const records = steps.unwrap(outer);
  /** @type {unknown[]} */
  const values = [];
  const done = inTurn(records, (record) =>
    after(after(steps.read(record), () => fn(argumentOf({ record }))), (value) => {
      if (results !== undefined) values.push(value);
    }));
  return results === undefined ? done : after(done, () => resultsOf(results, [outer], records, values));
}

/**
 * @param {import('../events/results').ResultKind} kind @param {LambdaRecord[]} outers
 * @param {LambdaRecord[]} records @param {unknown[]} values
 */
function resultsOf(kind, outers, records, values) {
  return require('../events/results').resultsOf(kind, outers, records, values);
}

/** @param {RecordSteps} steps @param {LambdaRecord[]} outers @param {Work} work */
async function runBatch(steps, outers, { fn, argumentOf, ordered, results }) {
  /** @type {LambdaRecord[]} */
  const batch = [];
  /** @type {Error[]} each with what failed of it */
  const failures = [];
  for (const [i, outer] of outers.entries()) {
    try {
      const records = steps.unwrap(outer);
      for (const record of records) {
        const reading = steps.read(record);
        if (isThenable(reading)) await reading;
      }
      batch.push(...records);
    } catch (error) {
      failures.push(failureOf(error, ordered ? outers.slice(i) : [outer]));
      if (ordered) break;
    }
  }
  /** @type {unknown} */
  let kept;
  try {
    const result = batch.length === 0 ? undefined : await fn(argumentOf({ batch }));
    assertNoneFailed(batch, result);
    if (results !== undefined) {
      const { valuesOf } = require('../events/results');
      kept = resultsOf(results, outers, batch, batch.length === 0 ? [] : valuesOf(results, batch, result));
    }
    if (failures.length === 0) return kept;
  } catch (thrown) {
    const error = withIdentifiers(batch, thrown);
    // No others: all of the records have failed.
    if (failures.length === 0) throw error;
    failures.unshift(isError(error) && Array.isArray(Reflect.get(error, 'failed')) ? error : failureOf(error, batch));
  }
  const error = failures.length === 1 ? failures[0] : separately(failures);
  // The source wants the results of what is done, whatever became of the rest.
  throw kept === undefined ? error : define(error, 'results', { value: kept, enumerable: true, configurable: true });
}

/**
 * An error about some of the records.
 * @param {any} thrown @param {LambdaRecord[]} records
 * @returns {Error}
 */
function failureOf(thrown, records) {
  const error = isError(thrown) ? thrown : new Error(String(thrown), { cause: thrown });
  const failed = records.map((record) => record.identifier);
  // One that is thrown for several records is one error with as many of them.
  return withFailed(Object.isExtensible(error) ? error : new Error(error.message, { cause: error }), failed);
}

/** @param {Error[]} failures */
function separately(failures) {
  const error = new AggregateError(failures, `${failures.length} failures, the first one: ${failures[0].message}`);
  return Object.assign(error, { isSeparate: true });
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

/**
 * What comes after a value, or after the value of a promise.
 * @template T
 * @param {T | PromiseLike<T>} value @param {(value: any) => any} next
 */
function after(value, next) {
  return isThenable(value) ? value.then(next) : next(value);
}

module.exports = { runSteps };
