'use strict';

/**
 * What the records of all sources have in common: the record as it stood in the event, and a payload that is decoded
 * when it is first asked for.
 *
 * Between the handler and the workers only `raw` travels, so that Base64 and JSON are decoded where the record is used,
 * on all cores. A record therefore has nothing that `raw` and its format (records.js) do not determine.
 *
 * Must not depend on any source, on events, workers or answers. Runs in workers too: it requires nothing.
 */

const { define } = require('../intrinsics/define');

/**
 * @typedef {'kafka' | 'sqs' | 'kinesis' | 'dynamodb' | 's3' | 'sns' | 'activemq' | 'rabbitmq' | 'cloudwatch-logs'
 *   | 'firehose' | 's3-batch' | 'documentdb' | 'eventbridge'} Source
 */

/** Stands for "not decoded yet": no payload is `undefined`. */
const PENDING = undefined;

/**
 * Names of fields that were found to be of the class that was made last, by their place in its records: to compare two
 * names is a tenth of the price of looking one up.
 * @type {string[]}
 */
const known = [];
/** @type {Function | undefined} */
let knownOf;

class LambdaRecord {
  /** @param {any} raw */
  constructor(raw) {
    this.raw = raw;
    if (knownOf !== new.target) {
      knownOf = new.target;
      known.length = 0;
    }
    let place = 0;
    // Fields that AWS added after this was written. (Those that are known are getters of the class, see defineFields.)
    // Several times as fast as a list of the names.
    for (const name in raw) {
      if (name !== known[place]) {
        if (name in this) known[place] = name;
        else if (Object.hasOwn(raw, name)) defineField(this, name);
      }
      place++;
    }
  }

  /** @returns {Source} */
  get source() {
    throw new Error('every class of records overrides this');
  }

  /** What a partial batch response calls this record. @returns {unknown} */
  get identifier() {
    throw new Error('every class of records overrides this');
  }

  /** Records that share it are in order; `null` where the source keeps no order. @returns {string | null} */
  get groupKey() {
    return null;
  }

  /** Milliseconds since 1970; `undefined` where the record does not say. @returns {number | undefined} */
  get timestamp() {
    return undefined;
  }

  /**
   * The W3C trace context that its producer sent along, or what X-Ray's header says in its place.
   * @returns {string | null}
   */
  get traceparent() {
    const { traceparentOf, validTraceparent } = require('./trace-context');
    return validTraceparent(this.carried('traceparent')) ?? traceparentOf(this.carriedByXRay()) ??
      this.outer?.traceparent ?? null;
  }

  /** @returns {string | null} */
  get tracestate() {
    const state = this.carried('tracestate');
    return typeof state === 'string' ? state : (this.outer?.tracestate ?? null);
  }

  /**
   * What its producer has sent beside the payload, under a name; overridden by sources that have a place for such.
   * @protected @param {string} _name @returns {unknown}
   */
  carried(_name) {
    return undefined;
  }

  /** @protected @returns {unknown} */
  carriedByXRay() {
    return undefined;
  }

  /** What this one was found in, see asInner; `null` for those of the event. @returns {LambdaRecord | null} */
  get outer() {
    return null;
  }
}

/**
 * A record that was found in another one. The source knows that one only, and by its name.
 * @param {LambdaRecord} record @param {LambdaRecord} outer
 * @returns {LambdaRecord}
 */
function asInner(record, outer) {
  for (const [name, value] of [['outer', outer], ['identifier', outer.identifier], ['groupKey', outer.groupKey]]) {
    define(record, /** @type {string} */ (name), { value, configurable: true });
  }
  return record;
}

/** A record whose payload is bytes or text. */
class PayloadRecord extends LambdaRecord {
  /** @type {Buffer | null | undefined} */
  #bytes = PENDING;
  /** @type {string | null | undefined} */
  #value = PENDING;
  /** @type {unknown} */
  #json = PENDING;

  /** @returns {Buffer | null} */
  get bytes() {
    if (this.#bytes === PENDING) this.#bytes = this.decodeBytes();
    return this.#bytes;
  }

  /** The payload as text. @returns {string | null} */
  get value() {
    if (this.#value === PENDING) this.#value = this.decodeText();
    return this.#value;
  }

  /** The payload as parsed JSON; `null` where there is none. */
  get json() {
    if (this.#json !== PENDING) return this.#json;
    const text = this.value;
    try {
      return (this.#json = text === null ? null : JSON.parse(text));
    } catch (cause) {
      const { message } = /** @type {Error} */ (cause);
      throw new SyntaxError(`the ${this.source} record ${nameOf(this.identifier)} is no JSON: ${message}`, { cause });
    }
  }

  /** Overridden by sources whose payload is Base64. @protected @returns {Buffer | null} */
  decodeBytes() {
    const text = this.value;
    return text === null ? null : Buffer.from(text);
  }

  /** Overridden by sources whose payload is text. @protected @returns {string | null} */
  decodeText() {
    const bytes = this.bytes;
    return bytes === null ? null : bytes.toString('utf8');
  }
}

/**
 * Gives the records of a class the fields that they are known to have in events. Getters of a class cost nothing per
 * record, unlike those that the constructor defines for fields it does not know.
 * @param {new (...args: any[]) => LambdaRecord} Class @param {readonly string[]} names
 */
function defineFields(Class, names) {
  for (const name of names) defineField(Class.prototype, name);
}

/** Names of fields that AWS may add are few, whatever else somebody puts into records. */
const MAX_GETTERS = 256;
/** @type {Map<string, () => unknown>} By field: with one for each record, each would have a hidden class of its own. */
const getters = new Map();

/**
 * Not enumerable: written as JSON or copied, a record is its `raw`.
 * @param {object} target @param {string} name
 */
function defineField(target, name) {
  let get = getters.get(name);
  if (get === undefined) {
    get = /** @this {LambdaRecord} */ function () {
      return this.raw[name];
    };
    if (getters.size < MAX_GETTERS) getters.set(name, get);
  }
  define(target, name, { get, configurable: true });
}

/** @param {string | null | undefined} text */
function fromBase64(text) {
  return text === null || text === undefined ? null : Buffer.from(text, 'base64');
}

/** @param {unknown} seconds */
function fromSeconds(seconds) {
  return typeof seconds === 'number' ? Math.round(seconds * 1000) : undefined;
}

/** @param {unknown} date */
function fromDate(date) {
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/**
 * An identifier as text: for messages, and to look records up by it.
 * @param {any} identifier
 */
function nameOf(identifier) {
  return typeof identifier === 'object' && identifier !== null
    ? `${identifier.partition}@${identifier.offset}`
    : String(identifier);
}

module.exports = { LambdaRecord, PayloadRecord, asInner, defineFields, fromBase64, fromDate, fromSeconds, nameOf };
