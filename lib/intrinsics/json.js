'use strict';

/**
 * JSON for what the library says to itself: configuration, definitions, errors, messages to be printed.
 *
 * `JSON.stringify` calls `toJSON` wherever it finds it, `Array.prototype` and `Object.prototype` included, and can
 * itself be replaced. The library's own words must not depend on that, so this serializer looks at nothing but own
 * properties. It is for plain data, and leaves the user's values to the codec.
 *
 * Must not depend on anything that code of the user's can replace after this module was loaded.
 */

const { parse, stringify } = JSON;
const { keys, setPrototypeOf } = Object;
const { isArray } = Array;

/**
 * @param {unknown} value plain data: primitives, arrays, and objects of these
 * @returns {string}
 */
function toJson(value) {
  if (typeof value === 'string') return stringify(value);
  if (typeof value === 'number') return value - value === 0 ? `${value}` : 'null';
  if (typeof value !== 'object' || value === null) return typeof value === 'boolean' ? `${value}` : 'null';
  let text = '';
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) text += (i === 0 ? '' : ',') + toJson(value[i]);
    return `[${text}]`;
  }
  const properties = /** @type {Record<string, unknown>} */ (value);
  const names = keys(properties);
  for (let i = 0; i < names.length; i++) {
    const property = properties[names[i]];
    // As `JSON.stringify` has it.
    if (property === undefined) continue;
    text += `${text === '' ? '' : ','}${stringify(names[i])}:${toJson(property)}`;
  }
  return `{${text}}`;
}

/**
 * As `JSON.stringify` of a list of the library's own, whose items are the user's: only these may have a `toJSON`.
 * @param {readonly unknown[]} items
 * @returns {string} throws what serializing an item throws
 */
function listToJson(items) {
  if (/** @type {{ toJSON?: unknown }} */ (items).toJSON === undefined) return stringify(items);
  let text = '';
  for (let i = 0; i < items.length; i++) text += (i === 0 ? '' : ',') + (stringify(items[i]) ?? 'null');
  return `[${text}]`;
}

/**
 * @param {string} text
 * @returns {any} an object without a prototype, in which what was not said is `undefined`, whatever others inherit
 */
function fromJson(text) {
  const value = parse(text);
  return typeof value === 'object' && value !== null && !isArray(value) ? setPrototypeOf(value, null) : value;
}

module.exports = { toJson, listToJson, fromJson, parse, stringify };
