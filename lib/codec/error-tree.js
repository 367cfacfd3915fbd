'use strict';

/**
 * The form in which whatever was thrown travels from a worker to its parent: a tree of plain data, which survives JSON.
 *
 * Error objects and what they refer to are nodes of one list; the values within them are packed. Runs in both the
 * worker (error-flattener.js) and the parent (error-restorer.js). Must not depend on how the tree travels.
 */

const { mapOf } = require('../intrinsics/list');

/** How an error held a property. */
const INHERITED = 0;
const HIDDEN = 1;
const ENUMERABLE = 2;

/** The error classes that every process has, by name. @type {Map<string, new (...args: any[]) => Error>} */
const BUILT_IN = mapOf(
  Object.entries({ Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError }),
);
BUILT_IN.set('DOMException', DOMException);
// Not every version of Node has it.
if (Reflect.has(globalThis, 'SuppressedError')) {
  BUILT_IN.set('SuppressedError', Reflect.get(globalThis, 'SuppressedError'));
}
const OWN_CLASS = 'ParallelizerError';
/**
 * The property, not enumerable, with a text that travels whole, whatever else of an error is left out; none that an
 * error of the user's has.
 */
const BESIDE = '@parallelizer/node beside';

/**
 * A packed value: a primitive as it is, or a tag and its content. `node` refers to a node by its position.
 * @typedef {string | number | boolean | null | PackedTag} Packed
 * @typedef {readonly ['undefined'] | readonly ['number' | 'bigint' | 'v8', string] | readonly ['date', number | null]
 *   | readonly ['node', number]} PackedTag
 */

/**
 * @typedef {ErrorNode | ObjectNode | ArrayNode} TreeNode
 * @typedef {object} ErrorNode
 * @property {'error'} kind
 * @property {string} builtIn the nearest class of its that every process has
 * @property {string} className the name of its class
 * @property {[key: string, value: Packed, held: number][]} properties
 * @typedef {{ kind: 'object', properties: [key: string, value: Packed][] }} ObjectNode
 * @typedef {{ kind: 'array', items: Packed[] }} ArrayNode
 */

/**
 * @typedef {object} ErrorTree
 * @property {string} [text] `String(thrown)`, which a custom `toString` may have made
 * @property {Packed} root
 * @property {string} [beside] what travels beside it, whole
 * @property {TreeNode[]} nodes
 */

/**
 * @template T, F
 * @param {() => T} access something that may run the user's code
 * @param {F} fallback the result if it throws
 * @returns {T | F}
 */
function guarded(access, fallback) {
  try {
    return access();
  } catch {
    return fallback;
  }
}

module.exports = { BESIDE, INHERITED, HIDDEN, ENUMERABLE, BUILT_IN, OWN_CLASS, guarded };
