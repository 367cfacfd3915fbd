'use strict';

/**
 * How values become the parts of frames (see parts.js) and come back, in the parent and in the workers alike.
 *
 * Every call is encoded by itself, so identity and cycles are kept within a call and never between two. Lists of
 * records have a codec of their own (record-encoder.js); other data goes as JSON if that loses nothing, many calls to
 * one text; everything else goes in V8's own format, plain values one after another. A value that cannot travel fails
 * its own call only.
 *
 * Must not depend on jobs, workers, or what the values are for.
 */

const { listToJson, parse, stringify, toJson } = require('../intrinsics/json');
const { isProxy } = require('node:util').types;
const { isError } = require('./is-error');
const { FewObjects, isJsonSafe } = require('./json-safe');
const {
  BYTES, CALLS_FIELD, CARRYING, JSON_LIST, LATIN1, LENT, PLAIN_VALUES, RECORDS, TEXT, UNDEFINED, V8_VALUE,
  pushExtraBytes, pushText, sizeOf,
} = require('./parts');
const { MAX_ARGUMENTS, mayHoldRecords } = require('./record-lists');
const { isTransfer } = require('./transfer');

// Loaded when first needed: this file is part of what every worker loads at start.
const recordEncoder = () => require('./record-encoder');
const recordDecoder = () => require('./record-decoder');
const plainValues = () => require('./plain-values');
const v8Codec = () => require('./v8-codec');
const culprit = () => require('./culprit');
const platformObjects = () => require('./platform-objects');

/** Loads what is otherwise loaded when first needed. */
function loadAll() {
  [recordEncoder, recordDecoder, plainValues, v8Codec, culprit, platformObjects].forEach((load) => load());
}

/** A string of this many characters goes by itself, without quotes and escapes. */
const MIN_TEXT = 4096;

/** A value with a record list of this many elements is encoded in steps. */
const MIN_IN_STEPS = 16 * 1024;

/** The message with which V8 reports that the stack is full. */
const STACK_IS_FULL = 'Maximum call stack size exceeded';

/** @typedef {'auto' | 'json' | 'advanced'} Serialization */
/** @typedef {import('./parts').Parts} Parts */

/**
 * How values travel that cannot be written as bytes, by structured clone: within a process only.
 * @typedef {object} Clones
 * @property {(value: unknown, transferList?: readonly object[]) => any} wrap
 * @property {(wrapped: any) => unknown} unwrap
 * @property {(wrapped: any) => void} discard closes what nobody will unwrap
 */

/**
 * Appends the parts for a list of values, one per call; or for the first of them, once these have so many bytes.
 * @param {readonly unknown[]} values
 * @param {Serialization} serialization
 * @param {Clones | null} clones
 * @param {Parts} parts
 * @param {number} tag
 * @param {(index: number, error: Error) => void} failed called for each value that cannot travel, in order; it appends
 *   the part that accounts for that call instead
 * @param {number} [limit] in bytes
 * @returns {number} how many of the values the parts are for; at least one, if there is one
 */
function encodeValues(values, serialization, clones, parts, tag, failed, limit = Infinity) {
  let start = 0;
  let measured = parts.length;
  let bytes = 0;
  const isFull = () => {
    if (limit === Infinity) return false;
    bytes += sizeOf(parts, measured);
    measured = parts.length;
    return bytes >= limit;
  };
  while (start < values.length && (start === 0 || !isFull())) {
    const first = values[start];
    if (serialization === 'auto' && (pushLongText(first, parts, tag) || pushRecords(first, parts, tag))) {
      start++;
      continue;
    }
    const end = endOfJsonRun(values, start, serialization);
    if (end > start) {
      if (pushJson(values.slice(start, end), parts, tag) === null) {
        start = end;
        continue;
      }
      // One by one: what is wrong with one of them is nothing to the others.
      do {
        const at = start++;
        const cause = pushJson([values[at]], parts, tag);
        if (cause === null) continue;
        // JSON-safe data whose text would be longer than a string may be still has V8's format.
        if (serialization === 'auto') {
          pushSingle(values[at], serialization, clones, parts, tag, (error) => failed(at, error));
        } else {
          failed(at, culprit().unserializable(values[at], serialization, cause));
        }
      } while (start < end && !isFull());
    } else if (values[start] === undefined) {
      let count = 1;
      while (start + count < values.length && values[start + count] === undefined) count++;
      parts.push(LATIN1, UNDEFINED, 0, count, tag, '');
      start += count;
    } else {
      const plainEnd = serialization === 'json' ? start : endOfPlainRun(values, start, serialization);
      if (plainEnd > start && pushPlain(values.slice(start, plainEnd), parts, tag)) {
        start = plainEnd;
        continue;
      }
      // One by one: V8 refuses one of them after all, or it is none of them.
      do {
        const at = start++;
        if (at < plainEnd && plainEnd > at + 1 && pushPlain([values[at]], parts, tag)) continue;
        pushSingle(values[at], serialization, clones, parts, tag, (error) => failed(at, error));
      } while (start < plainEnd && !isFull());
    }
  }
  return start;
}

/**
 * A single value as JSON, without a list around it, or as a plain one in V8's format.
 * @param {unknown} value @param {Serialization} serialization
 * @returns {string | Buffer | undefined} `undefined`: it is neither, or another codec is better
 */
function encodeOne(value, serialization) {
  try {
    if (serialization === 'auto' && hasBetterCodec(value)) return undefined;
    if (isJsonSafe(value)) return stringify(value);
    const mayBePlain = serialization !== 'json' && !isTransfer(value);
    return mayBePlain && plainValues().isPlain(value, new FewObjects()) ? v8Codec().encodePlain([value]) : undefined;
  } catch {
    return undefined; // What is wrong is found out again where it is reported.
  }
}

/**
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @returns {boolean} false if the value is not a long text
 */
function pushLongText(value, parts, tag) {
  if (typeof value !== 'string' || value.length < MIN_TEXT) return false;
  pushText(parts, TEXT, 0, 1, tag, value);
  return true;
}

/**
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @param {boolean} [areSeparate] see `encodeRecords`
 * @returns {boolean} false if the value has no record lists, or the record codec would lose something
 */
function pushRecords(value, parts, tag, areSeparate) {
  if (typeof value !== 'object' || value === null || !mayHoldRecords(value)) return false;
  const steps = pushRecordsInSteps(value, parts, tag, areSeparate);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/**
 * The same in steps, for a value that may hold records.
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @param {boolean} [areSeparate] see `encodeRecords`
 * @returns {Generator<void, boolean>}
 */
function* pushRecordsInSteps(value, parts, tag, areSeparate) {
  let encoded = null;
  try {
    encoded = yield* recordEncoder().encodeRecords(value, areSeparate);
  } catch {
    // A getter that throws, or data deeper than the stack: the other codecs report what is wrong.
  }
  if (encoded === null) return false;
  pushText(parts, RECORDS, 0, 1, tag, encoded.text);
  encoded.tables.forEach(({ bytes, segments }) => {
    pushExtraBytes(parts, bytes);
    segments.forEach((segment) => pushText(parts, 0, 0, 0, 0, segment));
  });
  return true;
}

/**
 * Appends one part for several calls: a list with an element for each, and what they have in common. An object that two
 * elements have in common becomes two, as if each had been encoded by itself.
 * @param {[list: unknown[], ...common: unknown[]]} value
 * @param {Serialization} serialization
 * @param {boolean} isInline whether the value stays in this thread
 * @param {Parts} parts
 * @param {number} tag
 * @returns {boolean} false, with nothing appended, if the elements have to be encoded one by one
 */
function pushList(value, serialization, isInline, parts, tag) {
  const list = value[0];
  const from = parts.length;
  if (serialization === 'auto' && isInline) {
    const common = value.slice(1);
    if (!common.every(isJsonSafe)) return false;
    parts.push(BYTES, LENT, 0, list.length, tag, /** @type {any} */ ([list].concat(parse(toJson(common)))));
    return true;
  }
  if (serialization === 'auto' && pushRecords(value, parts, tag, true)) {
    parts[from + CALLS_FIELD] = list.length;
    return true;
  }
  if (!list.every(isJsonSafe) || pushJson([value], parts, tag) !== null) return false;
  parts[from + CALLS_FIELD] = list.length;
  return true;
}

/**
 * Whether a value should be encoded in steps, so that it does not hold up the event loop.
 * @param {unknown} value @param {Serialization} serialization
 */
function needsSteps(value, serialization) {
  if (serialization !== 'auto' || typeof value !== 'object' || value === null || isProxy(value)) return false;
  const isLongList = (/** @type {unknown} */ child) =>
    !isProxy(child) && Array.isArray(child) && child.length >= MIN_IN_STEPS;
  if (isLongList(value)) return mayHoldRecords(value);
  return Array.isArray(value) && value.length <= MAX_ARGUMENTS && value.some(isLongList) && mayHoldRecords(value);
}

/**
 * The end of the run of values that can share one JSON text.
 * @param {readonly unknown[]} values @param {number} start @param {Serialization} serialization
 */
function endOfJsonRun(values, start, serialization) {
  let end = start;
  if (serialization === 'json') {
    while (end < values.length && values[end] !== undefined && !isTransfer(values[end]) && hasJson(values[end])) end++;
  } else if (serialization === 'auto') {
    // The first one has been offered to the other codecs already.
    while (end < values.length && isJsonSafe(values[end]) && !(end > start && hasBetterCodec(values[end]))) end++;
  }
  return end;
}

/**
 * The end of the run of values that can share one text of V8's format. Among them are those that JSON would do for: to
 * change over would make more parts.
 * @param {readonly unknown[]} values @param {number} start @param {Serialization} serialization
 */
function endOfPlainRun(values, start, serialization) {
  const { isPlain } = plainValues();
  const seen = new FewObjects();
  let end = start;
  try {
    while (end < values.length && !isTransfer(values[end]) && isPlain(values[end], seen)) {
      if (end > start && serialization === 'auto' && hasBetterCodec(values[end])) break;
      end++;
    }
  } catch {
    // Deeper than the stack, or a getter that throws: this value goes by itself.
  }
  return end;
}

/** Whether JSON means something by a value: not by an object of the platform. @param {unknown} value */
function hasJson(value) {
  return typeof value !== 'object' || value === null || platformObjects().mayBeJson(value);
}

/** @param {unknown} value */
function hasBetterCodec(value) {
  if (typeof value === 'string') return value.length >= MIN_TEXT;
  return typeof value === 'object' && value !== null && mayHoldRecords(value);
}

/**
 * @param {readonly unknown[]} values @param {Parts} parts @param {number} tag
 * @returns {unknown} what was thrown if one of them has no JSON, or the text would be longer than a string may be;
 *   otherwise `null`
 */
function pushJson(values, parts, tag) {
  try {
    pushText(parts, JSON_LIST, 0, values.length, tag, listToJson(values));
    return null;
  } catch (cause) {
    return cause ?? new Error('a toJSON that threw');
  }
}

/**
 * @param {readonly unknown[]} values plain together @param {Parts} parts @param {number} tag
 * @returns {boolean} false, with nothing appended, if V8 refuses one of them after all
 */
function pushPlain(values, parts, tag) {
  try {
    parts.push(BYTES, PLAIN_VALUES, 0, values.length, tag, v8Codec().encodePlain(values));
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {unknown} value @param {Serialization} serialization @param {Clones | null} clones @param {Parts} parts
 * @param {number} tag @param {(error: Error) => void} failed
 */
function pushSingle(value, serialization, clones, parts, tag, failed) {
  if (isTransfer(value)) {
    if (clones !== null) pushClone(value.value, value.list, serialization, clones, parts, tag, failed);
    else encodeValues([value.value], serialization, null, parts, tag, (_index, error) => failed(error));
    return;
  }
  if (serialization === 'json') {
    failed(culprit().unserializable(value, serialization));
    return;
  }
  let encoded;
  try {
    encoded = v8Codec().encodeV8(value);
  } catch (cause) {
    if (clones !== null) pushClone(value, [], serialization, clones, parts, tag, failed);
    else failed(culprit().unserializable(value, serialization, cause));
    return;
  }
  parts.push(BYTES, V8_VALUE, 0, 1, tag, encoded.bytes);
  // What goes to another process is copied at once; within this process it would remain the caller's own memory.
  encoded.apart.forEach((bytes) => pushExtraBytes(parts, clones === null ? bytes : bytes.slice()));
}

/**
 * Appends a value together with what structured clone carries beside it: what is shared, what is to be moved, and what
 * only it knows. (By itself it would turn a `Buffer` into a `Uint8Array`.)
 * @param {unknown} value @param {readonly object[]} list @param {Serialization} serialization @param {Clones} clones
 * @param {Parts} parts @param {number} tag @param {(error: Error) => void} failed
 */
function pushClone(value, list, serialization, clones, parts, tag, failed) {
  try {
    const { message, moved } = v8Codec().encodeCarrying(value, list);
    parts.push(BYTES, CARRYING, 0, 1, tag, clones.wrap(message, moved));
  } catch (cause) {
    failed(culprit().unserializable(value, serialization, cause, { clones, list }));
  }
}

/**
 * The values of a part, one per call.
 * @param {number} codec @param {string | Buffer} value @param {number} calls
 * @param {(string | Buffer)[]} extras the values of the parts that belong to it
 * @param {Clones | null} clones
 * @returns {unknown[]}
 */
function decodeValues(codec, value, calls, extras, clones) {
  let values;
  try {
    values = decode(codec, value, calls, extras, clones);
  } catch (cause) {
    // Not by its class: it may be of the realm in which Node itself runs.
    if (!isError(cause) || cause.name !== 'RangeError' || cause.message !== STACK_IS_FULL) throw cause;
    // The sender had stack enough to write it.
    throw require('../errors').serializationError('the value', undefined, cause, 'nested too deeply to be read');
  }
  if (!Array.isArray(values) || values.length < calls) {
    throw new TypeError(`a part without the values of its ${calls} calls`);
  }
  return values;
}

/**
 * @param {number} codec @param {string | Buffer} value @param {number} calls @param {(string | Buffer)[]} extras
 * @param {Clones | null} clones
 * @returns {unknown[]}
 */
function decode(codec, value, calls, extras, clones) {
  switch (codec) {
    case JSON_LIST:
      return parse(/** @type {string} */ (value));
    case V8_VALUE:
      return [v8Codec().decodeV8(/** @type {Uint8Array} */ (value), /** @type {Uint8Array[]} */ (extras))];
    case PLAIN_VALUES:
      return readPlain(/** @type {Buffer} */ (value)).upTo(calls);
    case RECORDS:
      return [recordDecoder().decodeRecords(/** @type {string} */ (value), extras)];
    case CARRYING:
      return [v8Codec().decodeCarrying(clonesOf(clones).unwrap(value))];
    case TEXT:
    case LENT:
      return [value];
    case UNDEFINED:
      return calls === 1 ? [undefined] : new Array(calls).fill(undefined);
    default:
      throw new TypeError(`unknown codec ${codec}`);
  }
}

/** @param {Buffer} bytes a list of plain values */
function readPlain(bytes) {
  return new (v8Codec().PlainReader)(bytes);
}

/** @param {Clones | null} clones */
function clonesOf(clones) {
  if (clones === null) throw new TypeError('a clone, which no process can send');
  return clones;
}

module.exports = {
  encodeOne,
  encodeValues,
  pushClone,
  pushList,
  decodeValues,
  readPlain,
  needsSteps,
  pushRecordsInSteps,
  loadAll,
};
