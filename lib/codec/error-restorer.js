'use strict';

/**
 * `restoreError` makes the value again of which `flattenError` has made a tree (error-tree.js): an error as an instance
 * of its built-in class, and of a class of the same name as the user's.
 *
 * Does not trust the tree to be what this library has made, since a worker's own code can write to its channel as well.
 * Must not depend on how the tree travels.
 */

const { BESIDE, BUILT_IN, ENUMERABLE, INHERITED, OWN_CLASS, guarded } = require('./error-tree');
const { define: safely } = require('../intrinsics/define');

/** Classes are kept for good, and their names come from the user. */
const MAX_STAND_INS = 256;

/** @typedef {import('./error-tree').Packed} Packed */
/** @typedef {import('./error-tree').ErrorNode} ErrorNode */
/** @typedef {import('./error-tree').ErrorTree} ErrorTree */

/** @type {Map<string, new (...args: any[]) => Error>} */
const standIns = new Map();

/**
 * A class with the name of the user's, which exists only in the worker: logs and `error.constructor.name` show it.
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
  // Not by assignment: the key may be `__proto__`, or have a setter.
  safely(target, key, { value, enumerable, writable: true, configurable: true });
}

/**
 * @param {ErrorNode} node
 * @returns {Error} without its properties
 */
function newError({ builtIn, className, properties }) {
  /** @param {string} key */
  const text = (key) => String(properties.find(({ 0: name }) => name === key)?.[1] ?? '');
  let Base = BUILT_IN.get(builtIn) ?? Error;
  /** @type {unknown[]} */
  let args = [];
  if (builtIn === OWN_CLASS && text('code').startsWith('ERR_PARALLELIZER_')) {
    Base = require('../errors').ParallelizerError;
    args = [text('code'), text('message')];
  } else if (builtIn === 'DOMException') {
    // The getters on its prototype return what the constructor was given, and nothing else.
    args = [text('message'), text('name')];
  } else if (builtIn === 'AggregateError') {
    args = [[]];
  }
  const Class = className === '' || className === builtIn ? Base : standIn(Base, builtIn, className);
  return Reflect.construct(Base, args, Class);
}

/** @param {Buffer} bytes @returns {unknown} */
function deserialize(bytes) {
  const { isForeign, rehome } = require('./realm');
  const value = require('node:v8').deserialize(bytes);
  return isForeign ? rehome(value) : value;
}

/**
 * The value that was packed.
 * @param {Packed} packed
 * @param {readonly unknown[]} objects
 */
function unpack(packed, objects) {
  if (!Array.isArray(packed)) return packed;
  const { 0: tag, 1: content } = packed;
  switch (tag) {
    case 'number':
      return Number(content);
    case 'bigint':
      return content[0] === '-' ? -BigInt(content.slice(1)) : BigInt(content);
    case 'v8':
      return guarded(() => deserialize(Buffer.from(content, 'base64')), undefined);
    case 'date':
      return new Date(content ?? NaN);
    case 'node':
      // By number only, since every list has a `__proto__`.
      return Number.isInteger(content) ? objects[content] : undefined;
    default:
      return undefined;
  }
}

/**
 * @param {Error} error @param {ErrorNode} node @param {readonly unknown[]} objects
 */
function fillError(error, node, objects) {
  // Its stack is one of this process. Deleted, not replaced: that would format it first, which runs the user's
  // Error.prepareStackTrace.
  Reflect.deleteProperty(error, 'stack');
  let hasStack = false;
  node.properties.forEach(({ 0: key, 1: packed, 2: held }) => {
    const value = unpack(packed, objects);
    hasStack ||= key === 'stack';
    if (held === INHERITED && Object.is(Reflect.get(error, key), value)) return;
    define(error, key, value, held === ENUMERABLE);
  });
  if (!hasStack) define(error, 'stack', guarded(() => Error.prototype.toString.call(error), 'Error'), false);
}

/**
 * Makes errors without stacks. Taking the stack is most of what an error costs, and these errors get another one.
 * @template T
 * @param {() => T} make
 * @returns {T}
 */
function withoutStacks(make) {
  const limit = Error.stackTraceLimit;
  // `false` where it cannot be set (--frozen-intrinsics).
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
function restoreError({ root, nodes, beside }) {
  // All objects first, then their content, since they may refer to each other in any direction.
  const objects = withoutStacks(() =>
    nodes.map((node) => (node.kind === 'error' ? newError(node) : node.kind === 'array' ? [] : {})),
  );
  nodes.forEach((node, i) => {
    const object = objects[i];
    if (node.kind === 'error') {
      fillError(/** @type {Error} */ (object), node, objects);
    } else if (node.kind === 'array') {
      node.items.forEach((item) => /** @type {unknown[]} */ (object).push(unpack(item, objects)));
    } else {
      node.properties.forEach(({ 0: key, 1: packed }) => define(object, key, unpack(packed, objects), true));
    }
  });
  const thrown = unpack(root, objects);
  const isCarrying = typeof beside === 'string' && thrown instanceof Error;
  if (isCarrying) safely(thrown, BESIDE, { value: beside, configurable: true });
  return thrown;
}

module.exports = { restoreError };
