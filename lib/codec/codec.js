'use strict';

/**
 * How values become parts of frames and come back, in the parent and in the workers alike.
 *
 * A frame's parts are exchanged with the native side as one flat list, six entries to a part:
 * `[encoding, codec, flags, calls, tag, value, …]`. `value` is a string or a `Buffer`; the encoding says how its
 * characters travel (the native side's business), the codec how it becomes values (ours). A part accounts for
 * `calls` calls; parts with 0 calls belong to the part before them.
 *
 * Every call is encoded by itself, so identity and cycles are kept within a call and never between two. Lists of
 * records have a codec of their own (record-codec.js); other plain data goes as JSON, many calls to one text, when that
 * loses nothing; anything else in V8's own format. What cannot travel fails for its own call only.
 *
 * May not know jobs, workers, or what the values are for.
 */

const { isProxy } = require('node:util').types;
const {
  BYTES, CALLS_FIELD, LATIN1, PART_FAILED, PART_FIELDS, PART_SKIPPED, UTF16, UTF8, VALUE_FIELD,
} = require('../transport/constants');
const { isPlain, isPlainWithin } = require('./json-safe');
const { isTransfer } = require('./transfer');

// Loaded at first need: this file is part of what starts in every worker.
const recordCodec = () => require('./record-codec');
const v8Codec = () => require('./v8-codec');

/** Loads what is loaded at first need. */
function loadAll() {
  recordCodec();
  v8Codec();
}

/** Codecs. */
const JSON_LIST = 1; // a JSON array, one element per call
const V8_VALUE = 2; // one value in V8's format, see v8-codec.js
const UNDEFINED = 3; // as many times `undefined`
const ERROR_TREE = 4; // a thrown value, see error-codec.js
const RECORDS = 5; // one value with lists of records, see record-codec.js
const CLONE = 6; // one value that only structured clone can carry, see ports.js
const TASK = 7; // no value: what calls with a certain tag run, see lib/jobs/task-registry.js
const TEXT = 8; // one string
const CARRYING = 9; // one value in V8's format, with the buffers that only structured clone can carry

/**
 * Tags of calls. Above these bits is the number of the task that the calls are of.
 *
 * WATCHED: the answer is written out before the next call begins. SPREAD: the value is the list of arguments.
 */
const WATCHED = 1;
const SPREAD = 2;
const TASK_SHIFT = 2;

/** @typedef {'auto' | 'json' | 'advanced'} Serialization */
/** @typedef {(number | string | Buffer)[]} Parts */

/**
 * How values travel that have no bytes: between threads only.
 * @typedef {object} Clones
 * @property {(value: unknown, transferList?: readonly object[]) => any} wrap
 * @property {(wrapped: any) => unknown} unwrap
 */

/** Short text is sent as UTF-8, which is smaller; long text as V8 has it, which saves two conversions. */
const LEAST_UTF16 = 4096;

/** Never matches a one-byte string, which V8 knows without looking at its characters. */
const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/**
 * Appends a part with a text.
 * @param {Parts} parts
 * @param {number} codec @param {number} flags @param {number} calls @param {number} tag @param {string} text
 */
function pushText(parts, codec, flags, calls, tag, text) {
  parts.push(encodingOf(text), codec, flags, calls, tag, text);
}

/** @param {string} text */
function encodingOf(text) {
  if (!BEYOND_LATIN1.test(text)) return LATIN1;
  // A lone surrogate has no UTF-8.
  return text.length < LEAST_UTF16 && text.isWellFormed() ? UTF8 : UTF16;
}

/** A string of so many characters goes by itself, without quotes and escapes. */
const LEAST_TEXT = 4096;

/**
 * Appends parts for a list of values, each of which is one call's.
 * @param {readonly unknown[]} values
 * @param {Serialization} serialization
 * @param {Clones | null} clones
 * @param {Parts} parts
 * @param {number} tag
 * @param {(index: number, error: Error) => void} failed is told of each value that cannot travel, in order; it
 *   appends the part that accounts for this call instead
 */
function encodeValues(values, serialization, clones, parts, tag, failed) {
  let start = 0;
  while (start < values.length) {
    const first = values[start];
    if (serialization === 'auto' && (pushLongText(first, parts, tag) || pushRecords(first, parts, tag))) {
      start++;
      continue;
    }
    const end = endOfRun(values, start, serialization);
    if (end > start) {
      if (!pushJson(values.slice(start, end), parts, tag)) {
        for (let i = start; i < end; i++) {
          if (pushJson([values[i]], parts, tag)) continue;
          // Plain data whose text would be longer than any string may be.
          if (serialization === 'auto') pushSingle(values[i], serialization, clones, parts, tag, (error) => failed(i, error));
          else failed(i, unserializable(values[i], serialization));
        }
      }
      start = end;
    } else if (values[start] === undefined) {
      let count = 1;
      while (start + count < values.length && values[start + count] === undefined) count++;
      parts.push(LATIN1, UNDEFINED, 0, count, tag, '');
      start += count;
    } else {
      pushSingle(values[start], serialization, clones, parts, tag, (error) => failed(start, error));
      start++;
    }
  }
}

/**
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @returns {boolean} false if it is none
 */
function pushLongText(value, parts, tag) {
  if (typeof value !== 'string' || value.length < LEAST_TEXT) return false;
  pushText(parts, TEXT, 0, 1, tag, value);
  return true;
}

/**
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @returns {boolean} false if the value has no lists of records, or they would lose something
 */
function pushRecords(value, parts, tag) {
  if (typeof value !== 'object' || value === null || !mayHoldRecords(value)) return false;
  const steps = pushRecordsInSteps(value, parts, tag);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/**
 * The same for a value that may hold records, in steps.
 * @param {unknown} value @param {Parts} parts @param {number} tag
 * @returns {Generator<void, boolean>}
 */
function* pushRecordsInSteps(value, parts, tag) {
  let encoded = null;
  try {
    encoded = yield* recordCodec().encodeRecords(value, isRecordList, isPlainWithin);
  } catch {
    // A getter that throws, or data deeper than the stack: the other codecs tell what is wrong.
  }
  if (encoded === null) return false;
  pushText(parts, RECORDS, 0, 1, tag, encoded.text);
  for (const { bytes, segments } of encoded.tables) {
    pushBytes(parts, bytes);
    for (const segment of segments) pushText(parts, 0, 0, 0, 0, segment);
  }
  return true;
}

/** What is less is not worth a codec of its own: records, and bytes that a list seems to have. */
const LEAST_RECORDS = 16;
const LEAST_BYTES = 1024;
/** Of fewer records: long strings are worth it, which JSON would look at for escapes. */
const LEAST_BYTES_OF_FEW = 16 * 1024;
/** What a cell that is no string is taken to have. */
const CELL_BYTES = 8;
/** What a list or an object within a record is taken to have: to see that JSON would keep it takes long. */
const NESTED_BYTES = 64;
/** JSON is good at numbers. */
const NUMBER_BYTES = 4;
/** A longer list is no list of arguments. */
const MAX_ARGUMENTS = 16;

/**
 * Whether a value has lists that look like records where the codec for them looks.
 * @param {unknown} value
 */
function mayHoldRecords(value) {
  try {
    return holdsRecordLists(value);
  } catch {
    return false; // A Proxy's trap, or a getter.
  }
}

/** @param {unknown} value */
function holdsRecordLists(value) {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return isRecordList(value) || (value.length <= MAX_ARGUMENTS && value.some(isRecordList));
  const prototype = Object.getPrototypeOf(value);
  // Anything else (a million bytes, say) has no lists of records among its own properties.
  return (prototype === Object.prototype || prototype === null) && Object.values(value).some(isRecordList);
}

/** A list with so many elements is encoded in steps. */
const LEAST_IN_STEPS = 16 * 1024;

/**
 * Whether a value is best encoded in steps, which does not hold the event loop.
 * @param {unknown} value @param {Serialization} serialization
 */
function needsSteps(value, serialization) {
  if (serialization !== 'auto' || typeof value !== 'object' || value === null || isProxy(value)) return false;
  const isLongList = (/** @type {unknown} */ child) =>
    !isProxy(child) && Array.isArray(child) && child.length >= LEAST_IN_STEPS;
  if (isLongList(value)) return mayHoldRecords(value);
  return Array.isArray(value) && value.length <= MAX_ARGUMENTS && value.some(isLongList) && mayHoldRecords(value);
}

/**
 * Whether it looks like a list of records, or one of numbers or strings; whether it is shows when it is encoded.
 * @param {unknown} value
 * @returns {value is Record<string, unknown>[]}
 */
function isRecordList(value) {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.length * sizeOfElement(value[0]) >= (value.length < LEAST_RECORDS ? LEAST_BYTES_OF_FEW : LEAST_BYTES);
}

/**
 * Bytes that an element of a list of records seems to have; 0: it is none.
 * @param {unknown} element
 */
function sizeOfElement(element) {
  if (typeof element === 'number' || typeof element === 'boolean' || element === null) return NUMBER_BYTES;
  if (typeof element === 'string') return CELL_BYTES + element.length;
  if (typeof element !== 'object' || element === null || Object.getPrototypeOf(element) !== Object.prototype) return 0;
  let bytes = 0;
  for (const cell of Object.values(element)) {
    bytes += typeof cell === 'string' ? CELL_BYTES + cell.length
      : typeof cell === 'object' && cell !== null ? NESTED_BYTES : CELL_BYTES;
  }
  return bytes;
}

/**
 * How far values go that can share one JSON text.
 * @param {readonly unknown[]} values @param {number} start @param {Serialization} serialization
 */
function endOfRun(values, start, serialization) {
  let end = start;
  if (serialization === 'json') {
    while (end < values.length && values[end] !== undefined && !isTransfer(values[end])) end++;
  } else if (serialization === 'auto') {
    // A value that may hold records has its turn first.
    while (end < values.length && isPlain(values[end]) && !(end > start && hasOwnWay(values[end]))) end++;
  }
  return end;
}

/** @param {unknown} value one that is plain */
function hasOwnWay(value) {
  return typeof value === 'string' ? value.length >= LEAST_TEXT : mayHoldRecords(value);
}

/**
 * @param {readonly unknown[]} values @param {Parts} parts @param {number} tag
 * @returns {boolean} false if one of them has no JSON
 */
function pushJson(values, parts, tag) {
  try {
    pushText(parts, JSON_LIST, 0, values.length, tag, JSON.stringify(values));
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
  let encoded;
  try {
    encoded = v8Codec().encodeV8(value);
  } catch (cause) {
    if (clones !== null) pushClone(value, [], serialization, clones, parts, tag, failed);
    else failed(unserializable(value, serialization, cause));
    return;
  }
  parts.push(BYTES, V8_VALUE, 0, 1, tag, encoded.bytes);
  // What goes to another process is copied at once; what stays in this one would be the caller's own memory.
  for (const bytes of encoded.apart) pushBytes(parts, clones === null ? bytes : bytes.slice());
}

/**
 * Appends a part of bytes that belongs to the part before it.
 * @param {Parts} parts @param {Uint8Array} bytes
 */
function pushBytes(parts, bytes) {
  parts.push(BYTES, 0, 0, 0, 0, /** @type {Buffer} */ (bytes));
}

/**
 * Appends a value as a clone, with what is to be moved.
 * @param {unknown} value @param {readonly object[]} list @param {Serialization} serialization @param {Clones} clones
 * @param {Parts} parts @param {number} tag @param {(error: Error) => void} failed
 */
function pushClone(value, list, serialization, clones, parts, tag, failed) {
  try {
    // Structured clone would make a Uint8Array of a Buffer.
    const carrying = v8Codec().encodeCarrying(value, list);
    const [codec, carried, moved] = carrying === null ? [CLONE, value, list] : [CARRYING, carrying.message, carrying.moved];
    parts.push(BYTES, codec, 0, 1, tag, clones.wrap(carried, moved));
  } catch (cause) {
    failed(unserializable(value, serialization, cause));
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
    if (!(cause instanceof RangeError && cause.message === STACK_IS_FULL)) throw cause;
    // What could be written with the stack that there was.
    throw require('../errors').serializationError('the value', undefined, cause, 'nested too deeply to be read');
  }
  if (!Array.isArray(values) || values.length < calls) throw new TypeError(`a part that has not the values of ${calls} calls`);
  return values;
}

/** V8's words. */
const STACK_IS_FULL = 'Maximum call stack size exceeded';

/**
 * @param {number} codec @param {string | Buffer} value @param {number} calls @param {(string | Buffer)[]} extras
 * @param {Clones | null} clones
 * @returns {unknown[]}
 */
function decode(codec, value, calls, extras, clones) {
  switch (codec) {
    case JSON_LIST:
      return JSON.parse(/** @type {string} */ (value));
    case V8_VALUE:
      return [v8Codec().decodeV8(/** @type {Uint8Array} */ (value), /** @type {Uint8Array[]} */ (extras))];
    case RECORDS:
      return [recordCodec().decodeRecords(/** @type {string} */ (value), extras)];
    case CLONE:
      return [clonesOf(clones).unwrap(value)];
    case CARRYING:
      return [v8Codec().decodeCarrying(clonesOf(clones).unwrap(value))];
    case TEXT:
      return [value];
    case UNDEFINED:
      return calls === 1 ? [undefined] : new Array(calls).fill(undefined);
    default:
      throw new TypeError(`unknown codec ${codec}`);
  }
}

/** @param {Clones | null} clones */
function clonesOf(clones) {
  if (clones === null) throw new TypeError('a clone, which no process can send');
  return clones;
}

/**
 * The strings and buffers of a flat list of parts.
 * @param {Parts} parts
 * @returns {(string | Buffer)[]}
 */
function valuesOf(parts) {
  /** @type {(string | Buffer)[]} */
  const values = [];
  for (let at = VALUE_FIELD; at < parts.length; at += PART_FIELDS) {
    values.push(/** @type {string | Buffer} */ (parts[at]));
  }
  return values;
}

/**
 * What a list of parts weighs from here on: characters count as a byte each, what is moved as nothing.
 * @param {Parts} parts @param {number} [from]
 */
function sizeOf(parts, from = 0) {
  let bytes = 0;
  for (let at = from + VALUE_FIELD; at < parts.length; at += PART_FIELDS) {
    const value = /** @type {string | { byteLength?: number }} */ (parts[at]);
    bytes += typeof value === 'string' ? value.length : (value.byteLength ?? 0);
  }
  return bytes;
}

/**
 * The error for a value that cannot travel, which says where in it the trouble is.
 * @param {unknown} value @param {Serialization} serialization @param {unknown} [cause]
 */
function unserializable(value, serialization, cause) {
  const found = findCulprit(value, serialization, '', new Set(), 0);
  const [path, culprit] = found ?? ['', value];
  const where = path.length <= MAX_PATH ? path : `${path.slice(0, MAX_PATH / 2)}…${path.slice(-MAX_PATH / 2)}`;
  return require('../errors').serializationError(where === '' ? 'the value' : where, culprit, cause);
}

/** Characters of a path that are told. */
const MAX_PATH = 400;

/**
 * @param {unknown} value @param {Serialization} serialization @param {string} path
 * @param {Set<unknown>} above objects that contain this one @param {number} depth
 * @returns {[path: string, culprit: unknown] | null}
 */
function findCulprit(value, serialization, path, above, depth) {
  if (typeof value === 'function' || typeof value === 'symbol') return [path, value];
  if (serialization === 'json' && (typeof value === 'bigint' || above.has(value))) return [path, value];
  if (typeof value !== 'object' || value === null || above.has(value) || depth > 1000) return null;
  above.add(value);
  try {
    for (const [key, child] of children(value)) {
      const step = typeof key === 'number' ? `[${key}]` : /^[\w$]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
      const found = findCulprit(child, serialization, path + step, above, depth + 1);
      if (found !== null) return found;
    }
  } catch {
    return [path, value]; // A getter or a trap threw: this is the one.
  }
  above.delete(value);
  // Nothing within it: it may be of a kind that does not travel at all (shared memory, a promise, a socket).
  return serialization === 'json' || isCloneable(value) ? null : [path, value];
}

/** @param {object} value */
function isCloneable(value) {
  try {
    v8Codec().encodeV8(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {object} value
 * @returns {Iterable<[key: string | number, value: unknown]>}
 */
function children(value) {
  if (Array.isArray(value)) return value.entries();
  if (value instanceof Map) return [...value].flatMap(([key, item], i) => [[i, key], [i, item]]);
  if (value instanceof Set) return [...value].entries();
  return Object.entries(value);
}

module.exports = {
  LATIN1,
  UTF8,
  BYTES,
  JSON_LIST,
  V8_VALUE,
  UNDEFINED,
  ERROR_TREE,
  TASK,
  WATCHED,
  SPREAD,
  TASK_SHIFT,
  FAILED: PART_FAILED,
  SKIPPED: PART_SKIPPED,
  PART_FIELDS,
  CALLS_FIELD,
  pushText,
  encodeValues,
  pushClone,
  decodeValues,
  valuesOf,
  needsSteps,
  pushRecordsInSteps,
  sizeOf,
  loadAll,
};
