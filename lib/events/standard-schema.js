'use strict';

/**
 * Validation by any library that implements Standard Schema (https://standardschema.dev): Zod, Valibot, ArkType and
 * others.
 *
 * Must not depend on which library it is, on events or on workers.
 */

const { schemaError } = require('./record-errors');
const { isThenable } = require('./decoders/decoder');

/** @typedef {InstanceType<typeof import('./record').LambdaRecord>} LambdaRecord */

/**
 * The `validate` of a schema.
 * @param {any} schema @param {string} where it is from, for the message
 * @returns {(value: unknown) => any}
 */
function validatorOf(schema, where) {
  // A schema may be a function (ArkType).
  const standard = schema === null || schema === undefined ? undefined : schema['~standard'];
  if (typeof standard?.validate !== 'function') {
    const { ParallelizerError } = require('../errors');
    throw new ParallelizerError(
      'ERR_PARALLELIZER_MODULE',
      `${where} is no schema: it has no "~standard", which Zod (3.24 and newer), Valibot, ArkType and others have`,
    );
  }
  return (value) => standard.validate(value);
}

/**
 * What a schema makes of a value; throws with its issues where the value does not fit.
 * @param {(value: unknown) => any} validate @param {LambdaRecord} record @param {unknown} value
 * @returns {unknown} may be a promise
 */
function validated(validate, record, value) {
  const result = validate(value);
  return isThenable(result) ? result.then((settled) => outputOf(settled, record)) : outputOf(result, record);
}

/** @param {any} result @param {LambdaRecord} record */
function outputOf(result, record) {
  if (result.issues) throw schemaError(record, result.issues);
  return result.value;
}

module.exports = { validated, validatorOf };
