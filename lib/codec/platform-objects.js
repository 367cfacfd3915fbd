'use strict';

/**
 * Tells objects of the platform (keys, blobs, compiled WebAssembly, ports, streams) from the data of a user.
 *
 * V8's serializer does not know them: it takes most of them for ordinary objects and writes `{}`. Structured clone
 * knows some, refuses others, and makes `{}` of the rest. Nothing may arrive as something else than it was, so that
 * every value is searched for them before it is encoded.
 *
 * What decides is the class. A class is looked at once: by the names in its chain, by the symbols with which Node marks
 * what it can clone or transfer, and, if an instance has no properties of its own, by what structured clone makes of
 * that instance. (One with properties would say something about these as well.)
 *
 * Must not depend on codecs, or on how objects of the platform travel.
 */

const { types } = require('node:util');
const { setOf } = require('../intrinsics/list');
const { hasContent } = require('./json-safe');

/** What may be found in a value, from harmless to hopeless. */
const PLAIN = 0; // data, which V8's format carries
const EXCEPTION = 1; // a DOMException, which V8 would turn into an Error
const CARRIED = 2; // only structured clone may carry it: between threads
const LOST = 3; // nothing carries it: even structured clone would make a plain object of it

/** @typedef {typeof PLAIN | typeof EXCEPTION | typeof CARRIED | typeof LOST} Kind */

/** So far taken for a user's class: no instance without properties was seen. */
const UNTESTED = 4;
/** A class of the language, whose instances tell by themselves what they are. */
const BUILT_IN = 5;

/** What is known, by prototype. @type {WeakMap<object, number>} */
const kinds = new WeakMap();

/** Classes that are properties of the global object. */
const GLOBAL_CLASSES = setOf([
  'AbortController', 'AbortSignal', 'BroadcastChannel', 'ByteLengthQueuingStrategy', 'CompressionStream',
  'CountQueuingStrategy', 'Crypto', 'DecompressionStream', 'Event', 'EventSource', 'EventTarget', 'FormData', 'Headers',
  'MessageChannel', 'Navigator', 'Performance', 'PerformanceEntry', 'PerformanceObserver',
  'PerformanceObserverEntryList', 'Request', 'Response', 'Storage', 'SubtleCrypto', 'TextDecoder',
  'TextDecoderStream', 'TextEncoder', 'TextEncoderStream', 'URL', 'URLPattern', 'URLSearchParams', 'WebSocket',
]);

/** Classes of Node's modules, by name. @type {Record<string, () => object>} */
const MODULE_CLASSES = {
  __proto__: /** @type {any} */ (null),
  AsyncLocalStorage: () => require('node:async_hooks'),
  Channel: () => require('node:diagnostics_channel'),
  Cipheriv: () => require('node:crypto'),
  Decipheriv: () => require('node:crypto'),
  DiffieHellman: () => require('node:crypto'),
  ECDH: () => require('node:crypto'),
  Hash: () => require('node:crypto'),
  Hmac: () => require('node:crypto'),
  Resolver: () => require('node:dns'),
  Script: () => require('node:vm'),
  Sign: () => require('node:crypto'),
  StringDecoder: () => require('node:string_decoder'),
  Verify: () => require('node:crypto'),
};

/** How Node's own classes say that structured clone knows them. */
const MARK = /^messaging_(?:clone|transfer)_symbol$/;

const MAX_PROTOTYPES = 32;

/**
 * Whether a class is one of those above.
 * @param {string} name @param {object} prototype
 */
function isLostClass(name, prototype) {
  // Some of them are loaded when they are first touched; here only if there is a class of that name.
  const holder = GLOBAL_CLASSES.has(name) ? globalThis : MODULE_CLASSES[name]?.();
  // By the prototype: a module may give away a function that calls the constructor.
  return holder !== undefined && Reflect.get(holder, name)?.prototype === prototype;
}

/**
 * @param {object} prototype
 * @returns {typeof CARRIED | typeof LOST | typeof UNTESTED}
 */
function kindOfClass(prototype) {
  let isMarked = false;
  /** @type {object | null} */
  let holder = prototype;
  for (let i = 0; holder !== null && i < MAX_PROTOTYPES && !types.isProxy(holder); i++) {
    isMarked ||= Object.getOwnPropertySymbols(holder).some(({ description }) => MARK.test(description ?? ''));
    const constructor = Object.getOwnPropertyDescriptor(holder, 'constructor')?.value;
    if (typeof constructor === 'function' && !types.isProxy(constructor)) {
      const name = Object.getOwnPropertyDescriptor(constructor, 'name')?.value;
      if (typeof name === 'string' && isLostClass(name, holder)) return LOST;
    }
    holder = Object.getPrototypeOf(holder);
  }
  return isMarked ? CARRIED : UNTESTED;
}

/** The prototype of plain objects as Node itself makes them; another one than here within a `vm` context. */
let nodesPrototype = /** @type {object | null} */ (null);

/**
 * What structured clone makes of an object without properties of its own.
 * @param {object} value
 */
function kindByClone(value) {
  const { MessageChannel, receiveMessageOnPort } = require('node:worker_threads');
  const { port1, port2 } = new MessageChannel();
  const clone = (/** @type {object} */ original) => {
    port1.postMessage(original);
    return Object.getPrototypeOf(receiveMessageOnPort(port2)?.message);
  };
  try {
    nodesPrototype ??= clone({});
    return clone(value) === nodesPrototype ? PLAIN : CARRIED;
  } catch {
    return CARRIED; // It may differ from one instance to the other. Whoever tries to carry it is told.
  } finally {
    port1.close();
  }
}

/** @param {object} value */
function isDomException(value) {
  try {
    // The getter takes nothing else.
    const { get } = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(DOMException.prototype, 'name'));
    return get?.call(value) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Whether an object is one of the language, with a content of its own besides its properties.
 * @param {object} value
 */
function isBuiltIn(value) {
  return Array.isArray(value) || hasContent(value);
}

/**
 * What one object is, whatever it refers to.
 * @param {object} value no Proxy
 * @returns {Kind}
 */
function kindOf(value) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return PLAIN;
  let kind = kinds.get(prototype);
  if (kind === undefined) {
    kind = isBuiltIn(value) ? BUILT_IN : kindOfClass(prototype);
    if (isDomException(value)) kind = EXCEPTION;
    kinds.set(prototype, kind);
  }
  if (kind === BUILT_IN) return types.isSharedArrayBuffer(value) ? CARRIED : PLAIN;
  if (kind === EXCEPTION) return isDomException(value) ? EXCEPTION : PLAIN;
  if (kind === UNTESTED) {
    if (isBuiltIn(value) || Object.keys(value).length > 0) return PLAIN;
    kinds.set(prototype, (kind = kindByClone(value)));
  }
  return /** @type {Kind} */ (kind);
}

/**
 * The worst that a value holds, wherever V8 would find it.
 * @param {unknown} value
 * @param {ReadonlySet<unknown> | null} [moved] objects that are to be transferred: carried whatever they are
 * @returns {Kind}
 */
function worstIn(value, moved = null) {
  if (typeof value !== 'object' || value === null) return PLAIN;
  /** @type {Kind} */
  let worst = PLAIN;
  // Grows while it is read: what is added is looked at in its turn.
  const found = new Set().add(value);
  /** @param {unknown} child */
  const add = (child) => {
    if (typeof child === 'object' && child !== null) found.add(child);
  };
  try {
    for (const object of found) {
      if (types.isProxy(object)) continue; // V8 refuses it, without running its traps.
      const kind = moved?.has(object) ? CARRIED : kindOf(object);
      if (kind > worst) worst = kind;
      if (kind === PLAIN) eachChild(object, add);
      else if (kind === LOST) break;
    }
  } catch {
    // A getter that throws: the encoder meets it as well, and reports it.
  }
  return worst;
}

/** Levels that are searched by recursion. */
const MAX_DEPTH = 200;

/**
 * The same for a value that V8 has written, faster: without noting what was seen, as long as nothing shows that objects
 * are shared or in a cycle.
 *
 * V8 writes a byte at least for each reference, so that whoever has followed more of them than there are bytes has come
 * to something twice. And what V8 has written holds no Proxy.
 * @param {unknown} value @param {number} bytes how many V8 has written
 * @returns {Kind}
 */
function worstInWritten(value, bytes) {
  if (typeof value !== 'object' || value === null) return PLAIN;
  let left = bytes;
  /** @type {Kind} */
  let worst = PLAIN;
  try {
    return visit(value, 0) ? worst : worstIn(value);
  } catch {
    return worstIn(value);
  }

  /** @param {object} object @param {number} depth @returns {boolean} false: it has to be searched in the other way */
  function visit(object, depth) {
    if (--left < 0 || depth > MAX_DEPTH) return false;
    if (Array.isArray(object)) {
      // Not by index: a list may be almost empty, or have other properties.
      const children = Object.values(object);
      for (let i = 0; i < children.length; i++) {
        const child = children[i];
        if (typeof child === 'object' && child !== null && !visit(child, depth + 1)) return false;
      }
      return true;
    }
    if (Object.getPrototypeOf(object) === Object.prototype) {
      for (const key in object) {
        const child = /** @type {Record<string, unknown>} */ (object)[key];
        if (typeof child !== 'object' || child === null || !Object.hasOwn(object, key)) continue;
        if (!visit(child, depth + 1)) return false;
      }
      return true;
    }
    if (types.isDate(object)) return true;
    const kind = kindOf(object);
    if (kind > worst) worst = kind;
    let isDone = true;
    if (kind === PLAIN) {
      eachChild(object, (child) => {
        if (isDone && typeof child === 'object' && child !== null) isDone = visit(child, depth + 1);
      });
    }
    return isDone;
  }
}

/**
 * Calls `act` with what an object refers to, as far as V8's format has it.
 * @param {object} object @param {(child: unknown) => void} act
 */
function eachChild(object, act) {
  if (Object.getPrototypeOf(object) !== Object.prototype && !Array.isArray(object)) {
    if (types.isMap(object)) {
      return Map.prototype.forEach.call(object, (item, key) => {
        act(key);
        act(item);
      });
    }
    if (types.isSet(object)) return Set.prototype.forEach.call(object, act);
    if (types.isNativeError(object)) return act(Object.getOwnPropertyDescriptor(object, 'cause')?.value);
    if (isBuiltIn(object)) return;
  }
  Object.values(object).forEach((child) => {
    if (typeof child === 'object' && child !== null) act(child);
  });
}

/**
 * Whether JSON would make `{}` of an object of the platform.
 * @param {object} object
 */
function isLostInJson(object) {
  return !types.isProxy(object) && typeof Reflect.get(object, 'toJSON') !== 'function' && kindOf(object) >= CARRIED;
}

/**
 * Whether JSON has a meaning for all that it would look at: it makes `{}` of an object of the platform, unless that has
 * a `toJSON`.
 * @param {object} value
 */
function mayBeJson(value) {
  const found = new Set().add(value);
  try {
    for (const object of found) {
      if (isLostInJson(object)) return false;
      // A Proxy has a JSON, and may have no end.
      if (types.isProxy(object) || ArrayBuffer.isView(object)) continue;
      if (typeof Reflect.get(object, 'toJSON') === 'function') continue;
      Object.values(object).forEach((child) => {
        if (typeof child === 'object' && child !== null) found.add(child);
      });
    }
  } catch {
    // A getter that throws: JSON meets it as well.
  }
  return true;
}

module.exports = {
  PLAIN,
  EXCEPTION,
  CARRIED,
  LOST,
  kindOf,
  worstIn,
  worstInWritten,
  isLostInJson,
  mayBeJson,
  isBuiltIn,
  isDomException,
};
