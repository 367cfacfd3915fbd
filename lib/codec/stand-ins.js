'use strict';

/**
 * Lets V8's serializer write objects that it does not know. It hands views over to its delegate, and nothing else, so
 * that views stand for such objects in a copy of what contains them.
 *
 * Loaded only when a value holds such an object. Must not depend on how the objects travel.
 */

const { types } = require('node:util');
const { define } = require('../intrinsics/define');
const { PLAIN, isBuiltIn, kindOf } = require('./platform-objects');

/**
 * A copy of a value in which views stand for what V8's serializer does not know, wherever it would find it.
 * @param {unknown} value
 * @param {ReadonlySet<unknown>} moved objects that are to be transferred
 * @returns {{ copy: unknown, originals: Map<object, object> }} with what each of these views stands for
 */
function withStandIns(value, moved) {
  /** @type {Map<object, object>} */
  const copies = new Map();
  /** @type {Map<object, object>} */
  const originals = new Map();
  return { copy: copyOf(value), originals };

  /** @param {unknown} original @returns {unknown} */
  function copyOf(original) {
    if (typeof original !== 'object' || original === null || types.isProxy(original)) return original;
    const known = copies.get(original);
    if (known !== undefined) return known;
    /** @template {object} C @param {C} copy */
    const start = (copy) => {
      copies.set(original, copy);
      return copy;
    };
    if (moved.has(original) || kindOf(original) !== PLAIN) {
      const standIn = start(new Uint8Array(0));
      originals.set(standIn, original);
      return standIn;
    }
    if (types.isMap(original)) {
      const map = start(new Map());
      Map.prototype.forEach.call(original, (item, key) => map.set(copyOf(key), copyOf(item)));
      return map;
    }
    if (types.isSet(original)) {
      const set = start(new Set());
      Set.prototype.forEach.call(original, (item) => set.add(copyOf(item)));
      return set;
    }
    if (types.isNativeError(original)) return copyOfError(original, start(new Error()));
    if (!Array.isArray(original) && (isBuiltIn(original) || isExotic(original))) return original;
    const copy = start(Array.isArray(original) ? new Array(original.length) : {});
    Object.keys(original).forEach((key) => setOwn(copy, key, copyOf(Reflect.get(original, key)), true));
    return copy;
  }

  /** @param {Error} original @param {Error} copy */
  function copyOfError(original, copy) {
    // What V8 reads: the name wherever it is, and of the rest only what is the error's own.
    Reflect.deleteProperty(copy, 'stack');
    setOwn(copy, 'name', original.name, false);
    ['message', 'stack', 'cause'].forEach((key) => {
      if (Object.hasOwn(original, key)) setOwn(copy, key, copyOf(Reflect.get(original, key)), false);
    });
    return copy;
  }
}

/** @param {object} target @param {string} key @param {unknown} value @param {boolean} enumerable */
function setOwn(target, key, value, enumerable) {
  // Not by assignment, since the key may be `__proto__`.
  define(target, key, { value, enumerable, writable: true, configurable: true });
}

/**
 * Whether V8 would refuse an object, while it would take a copy of its properties.
 * @param {object} value
 */
function isExotic(value) {
  return (
    types.isArgumentsObject(value) || types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value) ||
    types.isGeneratorObject(value) || types.isMapIterator(value) || types.isSetIterator(value) ||
    types.isModuleNamespaceObject(value) || types.isExternal(value)
  );
}

module.exports = { withStandIns };
