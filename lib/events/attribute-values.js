'use strict';

/**
 * DynamoDB's attribute values (`{ N: '1' }`) as JavaScript has them.
 *
 * The SDK has a function for this, which is made for the SDK's own answers: in a Lambda event binary values are Base64,
 * and it would hand them on as text. Otherwise the result is the same: numbers are numbers, integers that no number
 * holds are `BigInt`s, sets are `Set`s.
 *
 * May not know records. Runs in workers, too: it requires nothing.
 */

/**
 * @param {Record<string, any>} attributes
 * @returns {Record<string, unknown>}
 */
function itemOf(attributes) {
  /** @type {Record<string, unknown>} */
  const item = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    // Plain assignment would set the prototype.
    if (name === '__proto__') Object.defineProperty(item, name, { value: valueOf(attribute), enumerable: true, writable: true, configurable: true });
    else item[name] = valueOf(attribute);
  }
  return item;
}

/** @param {Record<string, any>} attribute @returns {unknown} */
function valueOf(attribute) {
  for (const [type, value] of Object.entries(attribute)) {
    switch (type) {
      case 'S':
      case 'BOOL':
        return value;
      case 'N':
        return numberOf(value);
      case 'B':
        return Buffer.from(value, 'base64');
      case 'NULL':
        return null;
      case 'M':
        return itemOf(value);
      case 'L':
        return value.map(valueOf);
      case 'SS':
        return new Set(value);
      case 'NS':
        return new Set(value.map(numberOf));
      case 'BS':
        return new Set(value.map((/** @type {string} */ each) => Buffer.from(each, 'base64')));
      default:
        break;
    }
  }
  throw new TypeError(`a DynamoDB attribute has no type that is known: it has ${Object.keys(attribute).join(', ') || 'none'}`);
}

/** @param {string} text @returns {number | bigint} */
function numberOf(text) {
  const number = Number(text);
  if (Number.isInteger(number) && !Number.isSafeInteger(number) && /^[+-]?\d+$/.test(text)) return BigInt(text);
  return number;
}

module.exports = { itemOf };
