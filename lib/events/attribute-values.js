'use strict';

/**
 * DynamoDB's attribute values (`{ N: '1' }`) as JavaScript values.
 *
 * The SDK's function of this kind is made for the SDK's own responses: in a Lambda event binary values are Base64,
 * which it would pass on as text. And it rounds what is longer than a double without a word; here a number is exact or
 * refused.
 *
 * Must not depend on records. Runs in workers too: it requires nothing.
 */

const { define } = require('../intrinsics/define');
/**
 * What becomes of numbers.
 *
 * - `'exact'`: numbers; integers beyond what a number holds are `BigInt`s; what neither holds is an error
 * - `'string'`: the text that DynamoDB keeps
 * - `'number'`: numbers, rounded where they have to be
 * - a function makes them of the text
 * @typedef {'exact' | 'string' | 'number' | ((text: string) => unknown)} Numbers
 */

/** How a number may be written. */
const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;

/**
 * @param {Record<string, any>} attributes by name
 * @param {Numbers} [numbers]
 * @param {string} [path] of the item, for messages
 * @param {string} [owner] whose item it is, for messages
 * @returns {Record<string, unknown>}
 */
function decodeItem(attributes, numbers = 'exact', path = '', owner = 'the item') {
  /** @type {Record<string, unknown>} */
  const item = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = decodeValue(attribute, numbers, path === '' ? name : `${path}.${name}`, owner);
    if (name in Object.prototype) {
      // Plain assignment would set the prototype, or run into a setter that others have put there.
      define(item, name, { value, enumerable: true, writable: true, configurable: true });
    } else {
      item[name] = value;
    }
  }
  return item;
}

/**
 * @param {Record<string, any>} attribute @param {Numbers} numbers @param {string} path @param {string} owner
 * @returns {unknown}
 */
function decodeValue(attribute, numbers, path, owner) {
  if (typeof attribute !== 'object' || attribute === null) {
    throw new TypeError(`the attribute ${path} of ${owner} is no attribute value such as { S: 'text' }: ${attribute}`);
  }
  for (const [type, value] of Object.entries(attribute)) {
    switch (type) {
      case 'S':
      case 'BOOL':
        return value;
      case 'N':
        return decodeNumber(value, numbers, path, owner);
      case 'B':
        return fromBase64(value);
      case 'NULL':
        return null;
      case 'M':
        return decodeItem(value, numbers, path, owner);
      case 'L':
        return value.map((/** @type {any} */ each, /** @type {number} */ i) =>
          decodeValue(each, numbers, `${path}[${i}]`, owner));
      case 'SS':
        return new Set(value);
      case 'NS':
        return new Set(value.map((/** @type {string} */ each) => decodeNumber(each, numbers, path, owner)));
      case 'BS':
        return new Set(value.map(fromBase64));
      default:
        break;
    }
  }
  const types = Object.keys(attribute).join(', ') || 'none';
  throw new TypeError(`the attribute ${path} of ${owner} has no type that is known: it has ${types}`);
}

/** The SDK's own attribute values have bytes. @param {string | Uint8Array} value */
function fromBase64(value) {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.from(value);
}

/**
 * @param {string} text @param {Numbers} numbers @param {string} path @param {string} owner
 * @returns {unknown}
 */
function decodeNumber(text, numbers, path, owner) {
  if (typeof numbers === 'function') return numbers(text);
  if (numbers === 'string') return text;
  const number = Number(text);
  if (numbers === 'number') return number;
  // Nearly all of them.
  if (Number.isSafeInteger(number) && text === String(number)) return number;
  const exact = decimalOf(text);
  if (exact !== null && Number.isFinite(number)) {
    // The shortest text that gives a double gives it back: if it is of the same value, nothing was lost.
    const kept = decimalOf(String(number));
    const isKept = kept !== null && kept.digits === exact.digits && kept.exponent === exact.exponent;
    // An integer that is not safe prints as one of several that share the double.
    if (isKept && (exact.exponent < 0 || Number.isSafeInteger(number))) return number;
    if (exact.exponent >= 0) return BigInt(exact.sign + exact.digits + '0'.repeat(exact.exponent));
  }
  throw numberError(text, path, owner);
}

/** @param {string} text @param {string} path @param {string} owner */
function numberError(text, path, owner) {
  const error = new RangeError(
    `the attribute ${path} of ${owner} is ${text}, which no JavaScript number holds exactly; ` +
      "the option numbers: 'string' gives numbers as text, numbers: 'number' rounds them",
  );
  return Object.assign(error, { attribute: path, value: text });
}

/**
 * A number written in one way only: `digits` × 10 ^ `exponent`, without zeros at either end; zero is no digits. `null`
 * for what is no number.
 * @param {string} text
 */
function decimalOf(text) {
  const parts = NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign, integer, fraction = '', power = '0'] = parts;
  const all = integer + fraction;
  if (all === '') return null;
  const kept = all.replace(/0+$/, '');
  const digits = kept.replace(/^0+/, '');
  const exponent = digits === '' ? 0 : Number(power) - fraction.length + (all.length - kept.length);
  return { sign: sign === '-' ? '-' : '', digits, exponent };
}

module.exports = { decodeItem };
