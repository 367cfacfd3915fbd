'use strict';

/**
 * The option `metrics` of `createHandler`, checked by what CloudWatch takes.
 *
 * Must not depend on what the option does.
 */

const { optionError } = require('../errors');
const { isObject, reader } = require('../options/option-checks');

/** What CloudWatch takes. */
const MAX_DIMENSIONS = 30;
const MAX_NAME = 250;
const MAX_VALUE = 1024;
const NAMESPACE = /^(?!AWS\/)[\w.\-/#: ]{1,255}$/;
/** Printable ASCII, and not blank. */
const TEXT = /^(?=.*\S)[\x20-\x7e]+$/;
/** Members of the line that are not dimensions. */
const TAKEN = [
  '_aws', 'Records', 'Failed', 'Duration', 'WaitP50', 'WaitP99', 'RunP50', 'RunP99', 'Restarts', 'PeakMemory',
];

/**
 * @param {import('../options/option-checks').Option} option
 * @returns {import('./metrics').MetricsOptions | null}
 */
function metricsOption({ name, value }) {
  if (value === undefined) return null;
  const option = reader(value, name, ['namespace', 'dimensions'], `${name}.`);
  const { name: full, value: namespace } = option('namespace');
  if (typeof namespace !== 'string' || !NAMESPACE.test(namespace) || namespace.trim() === '') {
    const expected = 'a text of up to 255 letters, digits, blanks and . - _ / # : ' +
      'that does not begin with AWS/ and is not only blanks';
    throw optionError(full, namespace, expected);
  }
  return Object.freeze({ namespace, dimensions: dimensionsOption(option('dimensions')) });
}

/** @param {import('../options/option-checks').Option} option */
function dimensionsOption({ name, value }) {
  if (value === undefined) return null;
  if (!isObject(value) || Array.isArray(value)) throw optionError(name, value, 'an object of texts');
  const entries = Object.entries(value);
  if (entries.length > MAX_DIMENSIONS) {
    throw optionError(name, undefined, `has ${entries.length} dimensions, and CloudWatch takes ${MAX_DIMENSIONS}`);
  }
  for (const [key, text] of entries) {
    if (!TEXT.test(key) || key.length > MAX_NAME || key.startsWith(':')) {
      throw optionError(`${name}.${key}`, undefined, `is no name of a dimension: ASCII, up to ${MAX_NAME} characters`);
    }
    if (TAKEN.includes(key)) throw optionError(`${name}.${key}`, undefined, 'has the name of a metric: choose another');
    if (typeof text !== 'string' || !TEXT.test(text) || text.length > MAX_VALUE) {
      throw optionError(`${name}.${key}`, text, `a text of up to ${MAX_VALUE} ASCII characters`);
    }
  }
  return Object.freeze(Object.assign(Object.create(null), Object.fromEntries(entries)));
}

module.exports = { metricsOption };
