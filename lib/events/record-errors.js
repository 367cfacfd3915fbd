'use strict';

/**
 * Errors about single records: what they hold cannot be read, or does not fit its schema.
 *
 * Must not depend on how records are decoded. Runs in workers too: lib/errors.js is loaded when there is an error.
 */

const { nameOf } = require('./records');

/** @typedef {InstanceType<typeof import('./record').LambdaRecord>} LambdaRecord */

/** How many issues a message has. */
const MAX_ISSUES = 3;

/** @param {LambdaRecord} record */
function recordName(record) {
  return `the ${record.source} record ${nameOf(record.identifier)}`;
}

/**
 * @param {LambdaRecord} record @param {string} what it was to be read as @param {unknown} cause
 * @param {string} [hint]
 */
function decodeError(record, what, cause, hint = '') {
  const { ParallelizerError, reasonText } = require('../errors');
  const message = `${recordName(record)} cannot be read as ${what}: ${reasonText(cause)}${hint}`;
  return new ParallelizerError('ERR_PARALLELIZER_DECODE', message, { cause });
}

/**
 * @param {LambdaRecord} record
 * @param {readonly { message: string, path?: readonly (PropertyKey | { key: PropertyKey })[] }[]} found as a Standard
 *   Schema has them
 */
function schemaError(record, found) {
  const { ParallelizerError } = require('../errors');
  // As plain data, which travels.
  const issues = found.map(({ message, path = [] }) => ({
    message: String(message),
    path: path.map((step) => {
      const key = typeof step === 'object' ? step.key : step;
      return typeof key === 'symbol' ? String(key) : key;
    }),
  }));
  const shown = issues.slice(0, MAX_ISSUES).map(({ message, path }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`);
  const more = issues.length > MAX_ISSUES ? ` (and ${issues.length - MAX_ISSUES} more)` : '';
  const text = `${recordName(record)} does not fit the schema: ${shown.join('; ')}${more}`;
  return Object.assign(new ParallelizerError('ERR_PARALLELIZER_SCHEMA', text), { issues });
}

/**
 * @param {string} name the package @param {string} need what needs it @param {unknown} cause
 */
function missingPeerError(name, need, cause) {
  const { ParallelizerError, reasonText } = require('../errors');
  return new ParallelizerError(
    'ERR_PARALLELIZER_MODULE',
    `${need} needs the package "${name}", which does not load: ${reasonText(cause)}. Install it beside your ` +
      `function: npm install ${name}. It cannot be in a bundle; a function of yours that decodes can`,
    { cause },
  );
}

module.exports = { decodeError, missingPeerError, schemaError };
