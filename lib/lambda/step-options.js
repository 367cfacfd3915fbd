'use strict';

/**
 * Options for what is done with a record before the function gets it, checked and completed. They travel to the workers
 * as JSON: functions are named by their exports.
 *
 * Must not depend on what the options do.
 */

const { optionError } = require('../errors');
const { toJson } = require('../intrinsics/json');
const { isList, isObject, modulePath, oneOf, reader } = require('../options/option-checks');

/** @typedef {import('../options/option-checks').Option} Option */
/** @typedef {import('../events/decoders/decoder').DecodeConfig} DecodeConfig */
/** @typedef {import('../events/decoders/decoder').FormatConfig} FormatConfig */
/** @typedef {import('../events/decoders/decoder').Reference} Reference */
/** @typedef {import('../events/decoders/decoder').Schema} Schema */
/** @typedef {import('../worker/record-steps').StepsConfig} StepsConfig */

/** @type {readonly import('../events/envelopes').Envelope[]} */
const ENVELOPES = ['sns', 's3', 'eventbridge', 'kpl', 'cloudwatch-logs', 'dynamodb'];
const STEP_OPTIONS = ['s3Pointers', 'envelope', 'decode', 'decodeKey', 'schema'];

/** @type {readonly import('../events/decoders/decoder').Format[]} */
const FORMATS = ['json', 'text', 'bytes', 'avro', 'protobuf'];
const FORMAT_OPTIONS = ['format', 'compression', 'wireFormat'];
const SCHEMA_OPTIONS = ['schema', 'schemaFile', 'schemas', 'findSchema'];
/** What the options of a format are. */
const OPTIONS_OF = {
  json: FORMAT_OPTIONS,
  text: FORMAT_OPTIONS,
  bytes: FORMAT_OPTIONS,
  avro: [...FORMAT_OPTIONS, ...SCHEMA_OPTIONS, 'readerSchema'],
  protobuf: [...FORMAT_OPTIONS, ...SCHEMA_OPTIONS, 'type'],
};
/** @type {readonly import('../events/decoders/wire-format').WireFormat[]} */
const WIRE_FORMATS = ['none', 'auto', 'confluent', 'glue'];
/** @type {readonly import('../events/decoders/compression').Compression[]} */
const COMPRESSIONS = ['gzip', 'zlib', 'brotli', 'zstd', 'auto'];

const FORMAT_NAMES = FORMATS.map((name) => `'${name}'`).join(', ');
const EXPORT = "the name of an export of the worker's module, or { filePath, name } of another one's";

/**
 * What comes before the function, and the same as JSON for the workers.
 * @typedef {{ config: StepsConfig, text: string }} Steps
 */

/**
 * @param {(key: string) => Option} option
 * @param {{ numbers: StepsConfig['numbers'], onDiscard: Option, discardInvalid: boolean }} given
 * @returns {Steps | null} `null` where there is nothing to do
 */
function stepOptions(option, { numbers, onDiscard, discardInvalid }) {
  const steps = {
    envelope: envelopeOption(option('envelope')),
    decode: decodeOption(option('decode')),
    decodeKey: decodeOption(option('decodeKey')),
    schema: schemaOption(option('schema')),
    discard: discardOption(onDiscard),
    payloads: payloadsOption(option('s3Pointers')),
  };
  if (Object.values(steps).every((value) => value === null)) return null;
  const config = { ...steps, numbers, discardInvalid };
  return { config, text: toJson(config) };
}

/** @param {Option} option @returns {StepsConfig['envelope']} */
function envelopeOption({ name, value }) {
  if (value === undefined) return null;
  if (value === 'auto') return value;
  const given = isList(value) ? value : [value];
  const known = ENVELOPES.filter((each) => given.includes(each));
  if (given.length > 0 && known.length === new Set(given).size && known.length === given.length) {
    return /** @type {StepsConfig['envelope']} */ (given.slice());
  }
  const names = ENVELOPES.map((each) => `'${each}'`).join(', ');
  throw optionError(name, value, `'auto', one of ${names}, or a list of these, from the outermost to the innermost`);
}

/** @param {Option} option @returns {DecodeConfig | null} */
function decodeOption(option) {
  const { name, value } = option;
  if (value === undefined) return null;
  const format = FORMATS.find((each) => each === value);
  if (format !== undefined) return formatConfig(name, { format });
  if (isObject(value) && !isList(value) && 'format' in value) return formatConfig(name, value);
  return reference(option, `one of ${FORMAT_NAMES}, { format, … }, ${EXPORT}`);
}

/** @param {Option} option @returns {Reference | null} */
function schemaOption(option) {
  const { name, value } = option;
  if (value === undefined) return null;
  if ((isObject(value) || typeof value === 'function') && '~standard' in value) {
    throw optionError(
      name,
      undefined,
      "cannot be the schema itself, which does not travel to the workers: export it, and give the export's name",
    );
  }
  return reference(option, EXPORT);
}

/**
 * A function runs in the handler, and an export in the worker.
 * @param {Option} option @returns {Reference | null}
 */
function discardOption(option) {
  const { value } = option;
  return value === undefined || typeof value === 'function' ? null : reference(option, `a function, or ${EXPORT}`);
}

/** @param {Option} option @returns {StepsConfig['payloads']} */
function payloadsOption(option) {
  const { value } = option;
  if (value === undefined || value === false) return null;
  return value === true ? true : reference(option, `true, or ${EXPORT}`);
}

/**
 * An export, by its name or as a task of a pool is named.
 * @param {Option} option @param {string} expected
 * @returns {Reference}
 */
function reference({ name, value }, expected) {
  if (typeof value === 'function') {
    const problem = 'cannot be a function, since it runs in the workers: export it, and give its name';
    throw optionError(name, undefined, problem);
  }
  if (typeof value === 'string' && value !== '') {
    const at = value.lastIndexOf('#');
    if (at < 0) return { filePath: null, name: value };
    if (at === 0 || at === value.length - 1) throw optionError(name, value, expected);
    return { filePath: modulePath({ name, value: value.slice(0, at) }), name: value.slice(at + 1) };
  }
  if (!isObject(value) || isList(value)) throw optionError(name, value, expected);
  const option = reader(value, name, ['filePath', 'name'], `${name}.`);
  const exported = option('name');
  if (typeof exported.value !== 'string' || exported.value === '') {
    throw optionError(exported.name, exported.value, 'the name of an export');
  }
  const filePath = option('filePath');
  return { filePath: filePath.value === undefined ? null : modulePath(filePath), name: exported.value };
}

/** @param {string} name @param {object} input @returns {FormatConfig} */
function formatConfig(name, input) {
  const prefix = `${name}.`;
  const format = oneOf({ name: `${prefix}format`, value: Reflect.get(input, 'format') }, FORMATS, 'json');
  const given = reader(input, name, OPTIONS_OF[format], prefix);
  /** @param {string} key @returns {Option} */
  const option = (key) => (OPTIONS_OF[format].includes(key) ? given(key) : { name: prefix + key, value: undefined });
  const compression = option('compression');
  const schemas = option('schemas');
  const findSchema = option('findSchema');
  const readerSchema = option('readerSchema');
  /** @type {FormatConfig} */
  const config = {
    format,
    compression: compression.value === undefined ? null : oneOf(compression, COMPRESSIONS, 'auto'),
    wireFormat: oneOf(option('wireFormat'), WIRE_FORMATS, 'none'),
    schema: onlySchema(option('schema'), option('schemaFile')),
    schemas: schemas.value === undefined ? null : schemasById(schemas),
    findSchema: findSchema.value === undefined ? null : reference(findSchema, EXPORT),
    readerSchema: readerSchema.value === undefined ? null : schemaText(readerSchema),
    type: optionalText(option('type')),
  };
  const needsSchema = format === 'avro' || format === 'protobuf';
  if (needsSchema && config.schema === null && config.schemas === null && config.findSchema === null) {
    throw optionError(`${prefix}schema`, undefined, 'is required, or one of "schemaFile", "schemas", "findSchema"');
  }
  return config;
}

/** @param {Option} schema @param {Option} file @returns {Schema | null} */
function onlySchema(schema, file) {
  if (schema.value !== undefined && file.value !== undefined) {
    throw optionError(file.name, file.value, `cannot be given together with "${schema.name}"`);
  }
  if (schema.value !== undefined) return { text: schemaText(schema) };
  return file.value === undefined ? null : { file: modulePath(file) };
}

/** @param {Option} option @returns {Record<string, Schema>} */
function schemasById({ name, value }) {
  if (!isObject(value) || isList(value)) throw optionError(name, value, 'an object with a schema for each id');
  const schemas = Object.entries(value).map(([id, schema]) => {
    const text = schemaText({ name: `${name}.${id}`, value: schema });
    return [id, { text }];
  });
  return Object.fromEntries(schemas);
}

/** @param {Option} option @returns {string} */
function schemaText({ name, value }) {
  if (typeof value === 'string' && value !== '') return value;
  if (isObject(value)) return toJson(value);
  throw optionError(name, value, 'a schema, as text or (of Avro) as an object');
}

/** @param {Option} option @returns {string | null} */
function optionalText({ name, value }) {
  if (value === undefined) return null;
  if (typeof value === 'string' && value !== '') return value;
  throw optionError(name, value, "the name of a message, such as 'shop.Order'");
}

module.exports = { STEP_OPTIONS, envelopeOption, stepOptions };
