'use strict';

/**
 * `flattenError` makes a tree of plain data (error-tree.js) of whatever was thrown.
 *
 * It must not fail and must end, whatever it is given. Each look at the value can run the user's code (a getter, a
 * Proxy's trap) and is guarded; objects are visited from a work list, once each, so that cycles and shared references
 * are kept and depth costs no stack; and a budget bounds the whole. Objects whose content is not in properties (a Map,
 * a Buffer) go in V8's format, each by itself. What cannot be carried (functions, symbols, objects of the platform,
 * whatever is over the budget) is left out.
 *
 * Must not depend on how the tree travels.
 */

const { types } = require('node:util');
const { setOf } = require('../intrinsics/list');
const { BESIDE, BUILT_IN, ENUMERABLE, HIDDEN, INHERITED, OWN_CLASS, guarded } = require('./error-tree');
const { isError } = require('./is-error');
const { CARRIED, isDomException, kindOf, worstIn } = require('./platform-objects');

/**
 * Room for an error with all its causes, yet read within milliseconds; some errors drag half a program along. What
 * that has most of is properties. A list of ids, or of what has failed, may be long: an item that is an error or no
 * object costs a twentieth of one, and what makes an error what it is costs characters only.
 */
const MAX_CHARACTERS = 2 ** 23;
const PROPERTY = 20;
const ITEM = 1;
const MAX_ENTRIES = 5_000 * PROPERTY;
/** No class hierarchy is this deep, while that of a Proxy may be endless. */
const MAX_PROTOTYPES = 32;
const MAX_NAME = 256;
const MAX_DESCRIPTION = 1000;

/** The properties of an error that are read even if they are not enumerable; in order of importance. */
const MAIN_PROPERTIES = ['name', 'message', 'stack', 'code', 'cause', 'errors', 'error', 'suppressed'];
/** Those of them that are read even if inherited: a class may define them for its instances, even by a getter. */
const MAY_BE_INHERITED = setOf(['name', 'message', 'stack', 'code']);
/** Those of them that are cut to fit rather than left out. */
const TEXTS = setOf(['name', 'message', 'stack']);

/** @typedef {import('./error-tree').Packed} Packed */
/** @typedef {import('./error-tree').TreeNode} TreeNode */
/** @typedef {import('./error-tree').ErrorNode} ErrorNode */
/** @typedef {import('./error-tree').ObjectNode} ObjectNode */
/** @typedef {import('./error-tree').ArrayNode} ArrayNode */

/** @param {string} text @param {number} length */
function clip(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(0, length - 1))}…` : text;
}

/**
 * Whether an object is one of the platform's (a key, a blob, a stream), or of those that hold one out of reach.
 * @param {object} value
 */
function isOfPlatform(value) {
  if (types.isProxy(value)) return false;
  return (isOpaque(value) ? worstIn(value) : kindOf(value)) >= CARRIED;
}

/**
 * Whether an object's content is not in its properties.
 * @param {object} value
 */
function isOpaque(value) {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isBoxedPrimitive(value)
  );
}

/**
 * The name of an error's class, and of the nearest class in its chain that every process has.
 * @param {object} error
 */
function classNames(error) {
  let className = '';
  let prototype = guarded(() => Reflect.getPrototypeOf(error), null);
  for (let i = 0; prototype !== null && i < MAX_PROTOTYPES; i++) {
    const holder = prototype;
    // From descriptors, so that no getter runs: some classes have a `static get name()`.
    const constructor = guarded(() => Reflect.getOwnPropertyDescriptor(holder, 'constructor')?.value, undefined);
    const name =
      typeof constructor === 'function'
        ? guarded(() => Reflect.getOwnPropertyDescriptor(constructor, 'name')?.value, undefined)
        : undefined;
    if (typeof name === 'string' && name !== '') {
      className ||= clip(name, MAX_NAME);
      if (BUILT_IN.has(name) || name === OWN_CLASS) return { className, builtIn: name };
    }
    prototype = guarded(() => Reflect.getPrototypeOf(holder), null);
  }
  return { className, builtIn: 'Error' };
}

class Flattener {
  /** @type {TreeNode[]} */
  nodes = [];
  /** Each object's position in `nodes`. @type {Map<object, number>} */
  #positions = new Map();
  /** The objects that `nodes` stand for, in the same order: the work list. @type {object[]} */
  #objects = [];
  #characters = MAX_CHARACTERS;
  #entries = MAX_ENTRIES;

  /**
   * A value as it goes into the tree; `undefined` if it is to be left out. Only this and `unpack` of the restorer know
   * how values are carried.
   * @param {unknown} value
   * @returns {Packed | undefined}
   */
  pack(value) {
    switch (typeof value) {
      case 'string':
        return this.#spend(value.length) ? value : undefined;
      case 'number':
        if (Object.is(value, -0)) return ['number', '-0'];
        return Number.isFinite(value) ? value : ['number', String(value)];
      case 'boolean':
        return value;
      case 'undefined':
        return ['undefined'];
      case 'bigint': {
        const digits = value.toString(16);
        const text = value < 0n ? `-0x${digits.slice(1)}` : `0x${digits}`;
        return this.#spend(text.length) ? ['bigint', text] : undefined;
      }
      case 'object':
        return value === null ? null : this.#packObject(value);
      default:
        return undefined;
    }
  }

  /** @param {object} value @returns {Packed | undefined} */
  #packObject(value) {
    if (types.isDate(value)) {
      const time = Date.prototype.getTime.call(value);
      return ['date', Number.isNaN(time) ? null : time];
    }
    // What is not data would arrive as an empty object.
    if (!isError(value) && guarded(() => isOfPlatform(value), true)) return undefined;
    if (isOpaque(value)) {
      const bytes = guarded(() => require('node:v8').serialize(value).toString('base64'), '');
      return bytes !== '' && this.#spend(bytes.length) ? ['v8', bytes] : undefined;
    }
    let position = this.#positions.get(value);
    if (position === undefined) {
      const node = this.#entries > 0 ? this.#newNode(value) : undefined;
      if (node === undefined) return undefined;
      position = this.nodes.push(node) - 1;
      this.#objects.push(value);
      this.#positions.set(value, position);
    }
    return ['node', position];
  }

  /** @param {object} value @returns {TreeNode | undefined} */
  #newNode(value) {
    if (isError(value) || isDomException(value)) {
      const { builtIn, className } = classNames(value);
      return { kind: 'error', builtIn, className, properties: [] };
    }
    const isArray = guarded(() => Array.isArray(value), undefined);
    if (isArray === undefined) return undefined; // A revoked Proxy.
    return isArray ? { kind: 'array', items: [] } : { kind: 'object', properties: [] };
  }

  /** Fills the nodes. The list grows meanwhile. */
  fill() {
    for (let i = 0; i < this.nodes.length; i++) {
      const node = this.nodes[i];
      const object = this.#objects[i];
      if (node.kind === 'error') this.#fillError(node, object);
      else if (node.kind === 'array') this.#fillArray(node, object);
      else this.#fillObject(node, object);
    }
  }

  /** @param {ErrorNode} node @param {object} error */
  #fillError(node, error) {
    for (let i = 0; i < MAIN_PROPERTIES.length; i++) {
      const key = MAIN_PROPERTIES[i];
      // A getter may have another cause each time.
      if (--this.#entries <= 0 && !TEXTS.has(key)) return;
      const descriptor = guarded(() => Reflect.getOwnPropertyDescriptor(error, key), undefined);
      if (descriptor === undefined && !MAY_BE_INHERITED.has(key)) continue;
      const value = guarded(() => ({ got: Reflect.get(error, key) }), undefined);
      if (value === undefined || (descriptor === undefined && value.got === undefined)) continue;
      // Error.prepareStackTrace may have made anything of it; only text means something in another process.
      if (key === 'stack' && typeof value.got !== 'string') continue;
      const text = TEXTS.has(key) && typeof value.got === 'string' ? clip(value.got, this.#characters) : value.got;
      const packed = this.pack(text);
      const held = descriptor === undefined ? INHERITED : descriptor.enumerable ? ENUMERABLE : HIDDEN;
      if (packed !== undefined) node.properties.push([key, packed, held]);
    }
    for (const { 0: key, 1: packed } of this.#enumerable(error)) {
      if (!MAIN_PROPERTIES.includes(key)) node.properties.push([key, packed, ENUMERABLE]);
    }
  }

  /** @param {ObjectNode} node @param {object} object */
  #fillObject(node, object) {
    for (const entry of this.#enumerable(object)) node.properties.push(entry);
  }

  /** @param {ArrayNode} node @param {object} array */
  #fillArray(node, array) {
    const length = Number(guarded(() => Reflect.get(array, 'length'), 0));
    for (let i = 0; i < length && this.#entries > 0; i++) {
      const item = guarded(() => Reflect.get(array, i), undefined);
      this.#entries -= typeof item !== 'object' || item === null || isError(item) ? ITEM : PROPERTY;
      const packed = this.pack(item);
      // What is left out still takes its place, so that the others keep theirs. (`null` is packed as itself.)
      node.items.push(packed === undefined ? ['undefined'] : packed);
    }
  }

  /**
   * The own enumerable properties that can be carried.
   * @param {object} object
   * @returns {Generator<[key: string, value: Packed]>}
   */
  *#enumerable(object) {
    /** @type {string[]} */
    const none = [];
    const keys = guarded(() => Object.keys(object), none);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (this.#entries <= 0 || !this.#spend(key.length)) return;
      this.#entries -= PROPERTY;
      const value = guarded(() => ({ got: Reflect.get(object, key) }), undefined);
      const packed = value === undefined ? undefined : this.pack(value.got);
      if (packed !== undefined) yield [key, packed];
    }
  }

  /** @param {number} characters */
  #spend(characters) {
    if (characters > this.#characters) return false;
    this.#characters -= characters;
    return true;
  }
}

/**
 * `String(thrown)`, or the nearest to it that can be had.
 * @param {unknown} thrown
 * @returns {string}
 */
function textOf(thrown) {
  try {
    return clip(String(thrown), MAX_CHARACTERS);
  } catch {
    // Its own `toString` failed.
  }
  return guarded(
    () => clip((isError(Object(thrown)) ? Error : Object).prototype.toString.call(thrown), MAX_CHARACTERS),
    'a value that cannot be shown',
  );
}

/**
 * @param {unknown} thrown any value at all
 * @param {{ text?: boolean }} [options] `text`: whether the tree includes it; default `true`
 * @returns {import('./error-tree').ErrorTree}
 */
function flattenError(thrown, { text = true } = {}) {
  const flattener = new Flattener();
  // A thrown string is all there is, so it is not cut.
  let root = typeof thrown === 'string' ? thrown : flattener.pack(thrown);
  if (root === undefined) root = clip(textOf(thrown), MAX_DESCRIPTION);
  flattener.fill();
  const beside = isError(thrown) ? guarded(() => Reflect.getOwnPropertyDescriptor(thrown, BESIDE)?.value, null) : null;
  const tree = { root, nodes: flattener.nodes, ...(typeof beside === 'string' ? { beside } : {}) };
  return text ? { text: textOf(thrown), ...tree } : tree;
}

module.exports = { flattenError };
