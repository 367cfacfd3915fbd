'use strict';

/**
 * What is done with a record before the user's function gets it: it is taken out of its envelopes, decoded, and checked
 * against a schema; and what becomes of one that is not worth another try.
 *
 * Must not depend on events, or on how Lambda is answered. Nothing here waits for a promise unless there is one.
 */

const { formatDecoder, isThenable } = require('../events/decoders/decoder');
const { isNonRetryable } = require('../events/non-retryable');
const { define } = require('../intrinsics/define');
const { fromJson } = require('../intrinsics/json');
const { findExport, loadModule } = require('./module-loader');
const { unsettledModule } = require('./settling');
const { callUser } = require('./user-function');

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
 * @property {DecodeConfig | null} decodeKey
 * @property {Reference | null} schema
 * @property {Reference | null} discard what records that are not worth another try are given to
 * @property {boolean} discardInvalid
 * @property {true | Reference | null} payloads where messages are whose queue has only pointers to them
 */

/**
 * How a worker finds modules.
 * @typedef {object} Modules
 * @property {string} filePath of the module whose functions it runs
 * @property {import('./module-loader').Loaders} loaders
 * @property {import('./settling').Watcher} settling
 * @property {import('../codec/codec').Serialization} serialization how what they return travels
 */

/** @type {WeakMap<Modules, Map<string, RecordSteps>>} */
const made = new WeakMap();

class RecordSteps {
  #modules;
  #config;
  /** @type {((record: any) => unknown) | null} */
  #decode = null;
  /** @type {((record: any) => unknown) | null} */
  #decodeKey = null;
  /** @type {((value: unknown) => any) | null} */
  #validate = null;
  /** @type {((work: object) => unknown) | null} */
  #discard = null;
  /** @type {((record: LambdaRecord) => LambdaRecord | Promise<LambdaRecord>) | null} */
  #fetch = null;
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
    const { decode, decodeKey, schema, discard, payloads } = this.#config;
    if (decode !== null) this.#decode = await this.#decoder(decode, 'value');
    if (decodeKey !== null) this.#decodeKey = await this.#decoder(decodeKey, 'key');
    if (schema !== null) {
      const { validatorOf } = require('../events/standard-schema');
      this.#validate = validatorOf(await this.#find(schema), `"${schema.name}"`);
    }
    if (discard !== null) this.#discard = functionNamed(await this.#find(discard), discard);
    if (payloads !== null) {
      const { payloadFetcher } = require('../events/s3-payloads');
      this.#fetch = payloads === true
        ? payloadFetcher(null, this.#tools)
        : payloadFetcher(functionNamed(await this.#find(payloads), payloads), this.#tools);
    }
    this.#isReady = true;
  }

  /** @param {DecodeConfig} config @param {'value' | 'key'} part */
  async #decoder(config, part) {
    return 'format' in config
      ? formatDecoder(config, this.#tools, part)
      : functionNamed(await this.#find(config), config);
  }

  /** @type {Tools} */
  get #tools() {
    const { filePath, loaders } = this.#modules;
    return {
      find: async (reference) => functionNamed(await this.#find(reference), reference),
      loadPackage: (name) => loaders.Module.createRequire(filePath)(name),
    };
  }

  /** @param {Reference} reference @returns {Promise<unknown>} */
  async #find({ filePath, name }) {
    const { loaders, settling, filePath: own } = this.#modules;
    const file = filePath ?? own;
    let loaded;
    try {
      loaded = loadModule(file, loaders);
      if (isThenable(loaded)) loaded = await settling.watch(loaded, unsettledModule);
    } catch (cause) {
      throw require('../errors').moduleError(file, { cause });
    }
    return findExport(file, name, loaded);
  }

  /**
   * What a record of the event stands for, in order.
   * @param {LambdaRecord} outer
   * @returns {LambdaRecord[] | Promise<LambdaRecord[]>}
   */
  unwrap(outer) {
    const { envelope, numbers } = this.#config;
    return after(this.#fetch === null ? outer : this.#fetch(outer), (record) =>
      envelope === null ? [record] : require('../events/envelopes').unwrap(record, envelope, numbers));
  }

  /** Whether a record that failed so is not worth another try. @param {unknown} error */
  isDiscardable(error) {
    return isNonRetryable(error, this.#config.discardInvalid);
  }

  /** Whether a record that failed so is given to the user's function for such records. @param {unknown} error */
  discards(error) {
    return this.#discard !== null && this.isDiscardable(error);
  }

  /** @param {object} work what that function is given */
  discard(work) {
    return this.#discard === null ? undefined : callUser(this.#discard, undefined, work);
  }

  /**
   * Gives a record its `data`, and its `keyData`.
   * @param {any} record
   * @returns {void | Promise<void>}
   */
  read(record) {
    if (this.#decodeKey === null) return this.#readValue(record);
    return after(callUser(this.#decodeKey, undefined, record), (keyData) => {
      define(record, 'keyData', { value: keyData, writable: true, configurable: true });
      return this.#readValue(record);
    });
  }

  /** @param {any} record @returns {void | Promise<void>} */
  #readValue(record) {
    if (this.#decode === null && this.#validate === null) return;
    const decoded = this.#decode === null ? undecoded(record) : callUser(this.#decode, undefined, record);
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
 * What comes after a value, or after the value of a promise.
 * @template T
 * @param {T | PromiseLike<T>} value @param {(value: any) => any} next
 */
function after(value, next) {
  return isThenable(value) ? value.then(next) : next(value);
}

module.exports = { RecordSteps, after, stepsFor };
