'use strict';

/**
 * The error for a value that cannot travel: finds which part of the value is to blame, and says where it is.
 *
 * Loaded only when a value has failed to encode. Must not depend on how the other values of a frame are encoded.
 */

const { serializationError, tooLargeError } = require('../errors');
const { define } = require('../intrinsics/define');
const { isMap, isNativeError, isProxy, isSet } = require('node:util').types;
const { CARRIED, PLAIN, isLostInJson, kindOf } = require('./platform-objects');
const { encodeCarrying, encodeV8 } = require('./v8-codec');

/** @typedef {import('./codec').Serialization} Serialization */

/**
 * How structured clone was to carry the value, and what was to be moved.
 * @typedef {{ clones: import('./codec').Clones, list: readonly object[] }} Cloning
 */

/** Characters of a path that are shown. */
const MAX_PATH = 400;
/** What V8 and Node say of too much. */
const TOO_LARGE = /^(?:Invalid (?:string|typed array|array buffer) length|Array buffer allocation failed)/;
const TOO_LARGE_CODES = ['ERR_STRING_TOO_LONG', 'ERR_BUFFER_TOO_LARGE', 'ERR_MEMORY_ALLOCATION_FAILED'];
/** Levels that are searched. */
const MAX_DEPTH = 1000;

/**
 * @param {unknown} value @param {Serialization} serialization @param {unknown} [cause] what the encoder threw
 * @param {Cloning | null} [cloning]
 */
function unserializable(value, serialization, cause, cloning = null) {
  if (isTooLarge(cause)) return tooLargeError('the value', cause);
  const canTravel = (/** @type {object} */ part) =>
    serialization === 'json' ? !isLostInJson(part) : cloning === null ? isEncodable(part) : isCloneable(part, cloning);
  const found = findCulprit(value, serialization, canTravel, '', new Set(), 0);
  const { 0: path, 1: culprit } = found ?? ['', value];
  const where = path.length <= MAX_PATH ? path : `${path.slice(0, MAX_PATH / 2)}…${path.slice(-MAX_PATH / 2)}`;
  return serializationError(where === '' ? 'the value' : where, culprit, cause);
}

/**
 * Whether an encoder has failed since there is too much of something, whatever it is: a text longer than V8's longest
 * string, more bytes than fit into a buffer or into memory.
 * @param {any} cause
 */
function isTooLarge(cause) {
  if (!isNativeError(cause)) return false;
  const { code, message, name } = /** @type {NodeJS.ErrnoException} */ (cause);
  return (
    TOO_LARGE_CODES.includes(String(code)) ||
    (name === 'RangeError' && TOO_LARGE.test(message)) ||
    /out of memory/.test(message)
  );
}

/**
 * @param {unknown} value @param {Serialization} serialization @param {(part: object) => boolean} canTravel
 * @param {string} path @param {Set<unknown>} above the objects that contain this one @param {number} depth
 * @returns {[path: string, culprit: unknown] | null}
 */
function findCulprit(value, serialization, canTravel, path, above, depth) {
  if (typeof value === 'function' || typeof value === 'symbol') return [path, value];
  if (serialization === 'json' && (typeof value === 'bigint' || above.has(value))) return [path, value];
  if (typeof value !== 'object' || value === null || above.has(value) || depth > MAX_DEPTH) return null;
  // What is within an object of the platform is not the caller's.
  if (isOfPlatform(value)) return canTravel(value) ? null : [path, value];
  above.add(value);
  try {
    for (const { 0: key, 1: child } of children(value)) {
      const found = findCulprit(child, serialization, canTravel, path + step(key), above, depth + 1);
      if (found !== null) return found;
    }
  } catch {
    return [path, value]; // A getter or a trap of this object threw.
  }
  above.delete(value);
  // Nothing within it is to blame: it may itself be of a kind that cannot travel (shared memory, a promise, a socket).
  return canTravel(value) ? null : [path, value];
}

/** @param {string | number} key */
function step(key) {
  if (typeof key === 'number') return `[${key}]`;
  return /^[\w$]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** @param {object} value */
function isOfPlatform(value) {
  try {
    return !isProxy(value) && kindOf(value) >= CARRIED;
  } catch {
    return false;
  }
}

/** @param {object} value */
function isEncodable(value) {
  try {
    encodeV8(value);
    return true;
  } catch {
    return false;
  }
}

/** @param {object} value @param {Cloning} cloning */
function isCloneable(value, { clones, list }) {
  if (list.includes(value)) return true;
  try {
    encodeCarrying(value, list);
    // Posted without what it contains, which has been looked at.
    if (kindOf(value) !== PLAIN) clones.unwrap(clones.wrap(value));
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {object} value
 * @returns {Generator<[key: string | number, value: unknown]>}
 */
function* children(value) {
  let at = 0;
  if (Array.isArray(value)) {
    for (; at < value.length; at++) yield [at, value[at]];
  } else if (isMap(value)) {
    for (const { 0: key, 1: item } of Map.prototype.entries.call(value)) {
      yield [at, key];
      yield [at++, item];
    }
  } else if (isSet(value)) {
    for (const item of Set.prototype.values.call(value)) yield [at++, item];
  } else if (isNativeError(value)) {
    if (Object.hasOwn(value, 'cause')) yield ['cause', value.cause];
  } else {
    const keys = Object.keys(value);
    for (let i = 0; i < keys.length; i++) yield [keys[i], Reflect.get(value, keys[i])];
  }
}

/**
 * Has an error say of what its place is a part, which is the first thing that it says.
 * @param {Error} error as `unserializable` makes it @param {string} name
 */
function within(error, name) {
  return replacing(error, /^(\w+: )?(?=[[.])/, (_all, head = '') => head + name);
}

/**
 * Has an error say by name which element of a list of arguments it is about.
 * @param {Error} error as `unserializable` makes it @param {readonly string[]} names of the elements
 */
function withNames(error, names) {
  return replacing(error, /^(\w+: )?\[(\d+)\]/, (all, head = '', index) => (names[index] ? head + names[index] : all));
}

/** @param {Error} error @param {RegExp} pattern @param {(...found: any[]) => string} replacer */
function replacing(error, pattern, replacer) {
  const { message, stack } = error;
  define(error, 'message', { value: message.replace(pattern, replacer), writable: true, configurable: true });
  define(error, 'stack', { value: String(stack).replace(pattern, replacer), writable: true, configurable: true });
  return error;
}

module.exports = { unserializable, within, withNames };
