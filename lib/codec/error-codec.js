'use strict';

/**
 * Carries whatever was thrown from a worker to its parent: `flattenError` makes a tree of plain data of it, which
 * survives JSON, and `restoreError` makes the value again, an error as an instance of its built-in class.
 *
 * Runs in both. May not know how the tree travels. `flattenError` must not fail and must end, whatever it is given:
 * each look at the value can run the user's code (a getter, a Proxy's trap) and is guarded, objects are visited by a
 * work list and once each (cycles and shared references are kept, depth costs no stack), and a budget bounds the whole.
 * What has no properties to tell of it (a Map, a Buffer) goes in V8's format, by itself. What cannot be carried
 * (functions, symbols, what is over the budget) is left out.
 */

const { types } = require('node:util');

const v8 = () => require('node:v8');

/** Room for an error with all its causes, yet read within milliseconds; some errors drag half a program along. */
const MAX_CHARACTERS = 2 ** 23;
const MAX_ENTRIES = 5_000;
/** No class hierarchy is as deep; a Proxy's may be endless. */
const MAX_PROTOTYPES = 32;
const MAX_NAME = 256;
const MAX_DESCRIPTION = 1000;
/** Classes live for ever, and their names come from the user. */
const MAX_STAND_INS = 256;

/** How a property of an error was held. */
const INHERITED = 0;
const HIDDEN = 1;
const ENUMERABLE = 2;

/** What is read of an error even if it is not enumerable, or is inherited; in order of importance. */
const MAIN_PROPERTIES = ['name', 'message', 'stack', 'code', 'cause', 'errors', 'error', 'suppressed'];
/** Of these, what a class may supply for its instances, be it by a getter. */
const MAY_BE_INHERITED = new Set(['name', 'message', 'stack', 'code']);
/** Of these, what is rather cut than left out. */
const TEXTS = new Set(['name', 'message', 'stack']);

/** @type {Map<string, new (...args: any[]) => Error>} */
const BUILT_IN = new Map(
  Object.entries({ Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError }),
);
BUILT_IN.set('DOMException', DOMException);
// Not in every version of Node.
if (Reflect.has(globalThis, 'SuppressedError')) {
  BUILT_IN.set('SuppressedError', Reflect.get(globalThis, 'SuppressedError'));
}
const OWN_CLASS = 'ParallelizerError';

/**
 * A value of the tree: a primitive as it is, or a tag and what belongs to it.
 * @typedef {string | number | boolean | null | PackedTag} Packed
 * @typedef {readonly ['undefined'] | readonly ['number' | 'bigint' | 'v8', string] | readonly ['date', number | null] | readonly ['node', number]} PackedTag
 */

/**
 * An object of the tree; `node` tags refer to these by position.
 * @typedef {ErrorNode | ObjectNode | ArrayNode} TreeNode
 * @typedef {{ kind: 'error', builtIn: string, className: string, properties: [key: string, value: Packed, held: number][] }} ErrorNode
 * @typedef {{ kind: 'object', properties: [key: string, value: Packed][] }} ObjectNode
 * @typedef {{ kind: 'array', items: Packed[] }} ArrayNode
 */

/**
 * @typedef {object} ErrorTree
 * @property {string} [text] `String(thrown)`, which a custom `toString` may have made
 * @property {Packed} root
 * @property {TreeNode[]} nodes
 */

/**
 * @template T, F
 * @param {() => T} access what may run the user's code
 * @param {F} fallback
 * @returns {T | F}
 */
function guarded(access, fallback) {
  try {
    return access();
  } catch {
    return fallback;
  }
}

/** @param {string} text @param {number} length */
function clip(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(0, length - 1))}…` : text;
}

/** @param {object} value */
function isError(value) {
  return types.isNativeError(value) || guarded(() => value instanceof Error, false);
}

/**
 * Objects whose content is not in their properties.
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
 * The name of an error's class, and of the nearest class above it that every process has.
 * @param {object} error
 */
function classNames(error) {
  let className = '';
  let prototype = guarded(() => Reflect.getPrototypeOf(error), null);
  for (let i = 0; prototype !== null && i < MAX_PROTOTYPES; i++) {
    const holder = prototype;
    // By descriptors, so that no getter runs: `static get name()` is not unheard of.
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
  /** What `nodes` were made for, in the same order: the work list. @type {object[]} */
  #objects = [];
  #characters = MAX_CHARACTERS;
  #entries = MAX_ENTRIES;

  /**
   * A value as it goes into the tree; `undefined` if it is to be left out. This and `unpack` are all that knows how
   * values are carried.
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
    if (isOpaque(value)) {
      const bytes = guarded(() => v8().serialize(value).toString('base64'), '');
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
    if (isError(value)) {
      const { builtIn, className } = classNames(value);
      return { kind: 'error', builtIn, className, properties: [] };
    }
    const isArray = guarded(() => Array.isArray(value), undefined);
    if (isArray === undefined) return undefined; // A revoked Proxy.
    return isArray ? { kind: 'array', items: [] } : { kind: 'object', properties: [] };
  }

  /** Fills the nodes; the list grows while it is worked off. */
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
    for (const key of MAIN_PROPERTIES) {
      if (this.#entries <= 0) return;
      const descriptor = guarded(() => Reflect.getOwnPropertyDescriptor(error, key), undefined);
      if (descriptor === undefined && !MAY_BE_INHERITED.has(key)) continue;
      const value = guarded(() => ({ got: Reflect.get(error, key) }), undefined);
      if (value === undefined || (descriptor === undefined && value.got === undefined)) continue;
      // Whatever Error.prepareStackTrace made of it, only text means something elsewhere.
      if (key === 'stack' && typeof value.got !== 'string') continue;
      const text = TEXTS.has(key) && typeof value.got === 'string' ? clip(value.got, this.#characters) : value.got;
      const packed = this.pack(text);
      this.#entries--;
      const held = descriptor === undefined ? INHERITED : descriptor.enumerable ? ENUMERABLE : HIDDEN;
      if (packed !== undefined) node.properties.push([key, packed, held]);
    }
    for (const [key, packed] of this.#enumerable(error)) {
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
    for (let i = 0; i < length && this.#entries-- > 0; i++) {
      // What is left out leaves its place, so that the others keep theirs.
      node.items.push(this.pack(guarded(() => Reflect.get(array, i), undefined)) ?? ['undefined']);
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
    for (const key of guarded(() => Object.keys(object), none)) {
      if (this.#entries-- <= 0 || !this.#spend(key.length)) return;
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
 * `String(thrown)`, or the nearest that can be had.
 * @param {unknown} thrown
 * @returns {string}
 */
function textOf(thrown) {
  try {
    return clip(String(thrown), MAX_CHARACTERS);
  } catch {
    // Its own toString failed.
  }
  return guarded(
    () => clip((isError(Object(thrown)) ? Error : Object).prototype.toString.call(thrown), MAX_CHARACTERS),
    'a value that cannot be shown',
  );
}

/**
 * @param {unknown} thrown any value at all
 * @param {{ text?: boolean }} [options] `text`: whether the tree gets it; default `true`
 * @returns {ErrorTree}
 */
function flattenError(thrown, { text = true } = {}) {
  const flattener = new Flattener();
  // A thrown string is not cut: it is all there is.
  let root = typeof thrown === 'string' ? thrown : flattener.pack(thrown);
  if (root === undefined) root = clip(textOf(thrown), MAX_DESCRIPTION);
  flattener.fill();
  const tree = { root, nodes: flattener.nodes };
  return text ? { text: textOf(thrown), ...tree } : tree;
}

/** @type {Map<string, new (...args: any[]) => Error>} */
const standIns = new Map();

/**
 * A class that has the name of the user's, which only the worker has: logs and `error.constructor.name` show it.
 * @param {new (...args: any[]) => Error} Base
 * @param {string} builtIn
 * @param {string} className
 */
function standIn(Base, builtIn, className) {
  const key = `${builtIn} ${className}`;
  let Class = standIns.get(key);
  if (Class === undefined) {
    if (standIns.size >= MAX_STAND_INS) return Base;
    Class = { [className]: class extends Base {} }[className];
    standIns.set(key, Class);
  }
  return Class;
}

/** @param {object} target @param {string} key @param {unknown} value @param {boolean} enumerable */
function define(target, key, value, enumerable) {
  // Never by assignment: a key may be `__proto__`, or have a setter.
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
}

/**
 * @param {ErrorNode} node
 * @returns {Error} without its properties
 */
function newError({ builtIn, className, properties }) {
  /** @param {string} key */
  const text = (key) => String(properties.find(([name]) => name === key)?.[1] ?? '');
  let Base = BUILT_IN.get(builtIn) ?? Error;
  /** @type {unknown[]} */
  let args = [];
  if (builtIn === OWN_CLASS && text('code').startsWith('ERR_PARALLELIZER_')) {
    Base = require('../errors').ParallelizerError;
    args = [text('code'), text('message')];
  } else if (builtIn === 'DOMException') {
    // Its getters on the prototype show what the constructor was given, and nothing else.
    args = [text('message'), text('name')];
  } else if (builtIn === 'AggregateError') {
    args = [[]];
  }
  const Class = className === '' || className === builtIn ? Base : standIn(Base, builtIn, className);
  return Reflect.construct(Base, args, Class);
}

/**
 * The value of what `pack` made.
 * @param {Packed} packed
 * @param {readonly unknown[]} objects
 */
function unpack(packed, objects) {
  if (!Array.isArray(packed)) return packed;
  const [tag, content] = packed;
  switch (tag) {
    case 'number':
      return Number(content);
    case 'bigint':
      return content[0] === '-' ? -BigInt(content.slice(1)) : BigInt(content);
    case 'v8':
      return guarded(() => v8().deserialize(Buffer.from(content, 'base64')), undefined);
    case 'date':
      return new Date(content ?? NaN);
    case 'node':
      // By number alone: `__proto__` is in every list.
      return Number.isInteger(content) ? objects[content] : undefined;
    default:
      return undefined;
  }
}

/**
 * @param {Error} error @param {ErrorNode} node @param {readonly unknown[]} objects
 */
function fillError(error, node, objects) {
  // Its own, of this process. Replacing it would format it first, which runs the user's Error.prepareStackTrace.
  Reflect.deleteProperty(error, 'stack');
  let hasStack = false;
  for (const [key, packed, held] of node.properties) {
    const value = unpack(packed, objects);
    hasStack ||= key === 'stack';
    if (held === INHERITED && Object.is(Reflect.get(error, key), value)) continue;
    define(error, key, value, held === ENUMERABLE);
  }
  if (!hasStack) define(error, 'stack', guarded(() => Error.prototype.toString.call(error), 'Error'), false);
}

/**
 * Taking the stack is most of what an error costs, and these errors get another.
 * @template T
 * @param {() => T} make
 * @returns {T}
 */
function withoutStacks(make) {
  const limit = Error.stackTraceLimit;
  // False where it cannot be set (--frozen-intrinsics).
  if (!Reflect.set(Error, 'stackTraceLimit', 0)) return make();
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/**
 * The value that `flattenError` was given, as near as it could be carried.
 * @param {ErrorTree} tree
 * @returns {unknown}
 */
function restoreError({ root, nodes }) {
  // All objects first, then what is in them: they may refer to each other in any direction.
  const objects = withoutStacks(() =>
    nodes.map((node) => (node.kind === 'error' ? newError(node) : node.kind === 'array' ? [] : {})),
  );
  for (const [i, node] of nodes.entries()) {
    const object = objects[i];
    if (node.kind === 'error') {
      fillError(/** @type {Error} */ (object), node, objects);
    } else if (node.kind === 'array') {
      for (const item of node.items) /** @type {unknown[]} */ (object).push(unpack(item, objects));
    } else {
      for (const [key, packed] of node.properties) define(object, key, unpack(packed, objects), true);
    }
  }
  return unpack(root, objects);
}

module.exports = { flattenError, restoreError };
