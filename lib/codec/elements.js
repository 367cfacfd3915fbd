'use strict';

/**
 * Lists of which each call has an element, as the calls take them. An element is made when it is taken: what a function
 * does not keep is collected at once, and not after having been moved about with all the others.
 *
 * Must not depend on jobs, workers, or what the elements are for.
 */

const { decodeValues, encodeValues } = require('./codec');
const { LENT, PART_FIELDS, RECORDS, valuesOf } = require('./parts');
const { CODEC_FIELD, VALUE_FIELD } = require('../transport/constants');

// Loaded when first needed: this file is part of what every worker loads at start.
const recordDecoder = () => require('./record-decoder');
/** @type {typeof import('./copy') | undefined} */
let copier;

/** @typedef {import('./codec').Clones} Clones */

/**
 * The elements of a list. Each is taken at most once, and none that comes before one that was taken.
 * @typedef {{ length: number, take: (place: number) => unknown }} Elements
 */

/**
 * The list of a part of which each call has an element, and what its calls have in common.
 * @param {number} codec @param {string | Buffer} value
 * @param {(string | Buffer)[]} extras @param {Clones | null} clones
 * @returns {[elements: Elements, ...common: unknown[]]}
 */
function decodeList(codec, value, extras, clones) {
  /** @type {any} */
  const decoded = codec === RECORDS ? recordDecoder().decodeRecords(/** @type {string} */ (value), extras, '0')
    : decodeValues(codec, value, 1, extras, clones)[0];
  const list = decoded[0];
  if (Array.isArray(list)) {
    decoded[0] = elementsOf(list, codec === LENT ? (element) => copyOf(element, clones) : itself);
  }
  return decoded;
}

/**
 * @param {unknown[]} list @param {(element: unknown) => unknown} use
 * @returns {Elements}
 */
function elementsOf(list, use) {
  return {
    length: list.length,
    take(place) {
      const element = list[place];
      // Let it be collected while the others are in use.
      list[place] = undefined;
      return use(element);
    },
  };
}

/** @param {unknown} value */
function itself(value) {
  return value;
}

/**
 * What would have arrived of an element if it had been encoded by itself. Throws the error that says why it cannot
 * travel.
 * @param {unknown} element @param {Clones | null} clones
 * @returns {unknown}
 */
function copyOf(element, clones) {
  copier ??= require('./copy');
  const copy = copier.copyPlain(element);
  if (copy !== copier.NOT_PLAIN) return copy;
  /** @type {import('./parts').Parts} */
  const parts = [];
  encodeValues([element], 'auto', clones, parts, 0, (_index, error) => {
    throw error;
  });
  const extras = valuesOf(parts.slice(PART_FIELDS));
  return decodeValues(Number(parts[CODEC_FIELD]), /** @type {any} */ (parts[VALUE_FIELD]), 1, extras, clones)[0];
}

module.exports = { decodeList };
