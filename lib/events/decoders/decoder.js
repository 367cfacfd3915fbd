'use strict';

/**
 * Makes of a record's payload what its user works with: a function of the user's, or one of the formats that are known
 * here. Packages and schemas are loaded with the first record that needs them.
 *
 * Must not depend on events, workers or answers: whoever runs it says how functions and packages are found.
 */

const { decodeError, missingPeerError } = require('../record-errors');
const { guessWireFormat, unframe, withoutMessageIndex } = require('./wire-format');

/** @typedef {InstanceType<typeof import('../record').LambdaRecord>} LambdaRecord */
/** @typedef {import('./wire-format').WireFormat} WireFormat */

/**
 * An export: of the worker's own module where `filePath` is `null`.
 * @typedef {{ filePath: string | null, name: string }} Reference
 */

/** @typedef {'json' | 'text' | 'bytes' | 'avro' | 'protobuf'} Format */

/** A schema, as text or as the path of a file. @typedef {{ text: string } | { file: string }} Schema */

/**
 * What options say, checked (lib/lambda/decode-options.js).
 * @typedef {object} FormatConfig
 * @property {Format} format
 * @property {import('./compression').Compression | null} compression
 * @property {WireFormat} wireFormat
 * @property {Schema | null} schema what data was written with, unless it says so itself
 * @property {Record<string, Schema> | null} schemas by what a registry calls them
 * @property {Reference | null} findSchema a function that gives the schema that a registry calls so
 * @property {string | null} readerSchema
 * @property {string | null} type
 */

/** @typedef {Reference | FormatConfig} DecodeConfig */

/**
 * @typedef {object} Tools
 * @property {(reference: Reference) => unknown} find the export, or a promise of it
 * @property {(name: string) => any} loadPackage as the worker's module would
 */

/** @typedef {(record: any) => unknown} Decode may return a promise */

const TITLES = { json: 'JSON', text: 'text', bytes: 'bytes', avro: 'Avro', protobuf: 'Protocol Buffers' };

/** What of a record is decoded: its payload, or the key that Kafka has beside it. */
const PARTS = {
  value: { bytes: 'bytes', metadata: 'valueSchemaMetadata', lacking: 'records of this source have no payload' },
  key: { bytes: 'keyBytes', metadata: 'keySchemaMetadata', lacking: 'only records of Kafka have keys' },
};

/**
 * @param {FormatConfig} config @param {Tools} tools @param {'value' | 'key'} part
 * @returns {Decode}
 */
function formatDecoder(config, tools, part) {
  const { format, compression, wireFormat } = config;
  const { bytes: bytesName, metadata, lacking } = PARTS[part];
  const title = part === 'key' ? `a key in ${TITLES[format]}` : TITLES[format];
  const decodePayload = payloadDecoder(config, tools);
  return (record) => {
    if (!(bytesName in record)) throw decodeError(record, title, new TypeError(lacking));
    let bytes = record[bytesName];
    if (bytes === null) return null;
    /** @type {unknown} */
    let result;
    try {
      if (compression !== null) bytes = require('./compression').decompress(bytes, compression);
      result = decodePayload(bytes, record[metadata] ?? null);
    } catch (error) {
      return fail(error);
    }
    return isThenable(result) ? result.then(undefined, fail) : result;

    /** @param {any} error @returns {never} */
    function fail(error) {
      if (error?.code === 'ERR_PARALLELIZER_MODULE') throw error;
      const guess = wireFormat === 'none' ? guessWireFormat(bytes) : 'none';
      const isFramed = format !== 'text' && format !== 'bytes' && guess !== 'none';
      throw decodeError(record, title, error, isFramed
        ? `; it begins as the wire format of ${guess === 'glue' ? 'AWS Glue' : 'Confluent'} does: set "wireFormat"`
        : '');
    }
  };
}

/** @typedef {{ dataFormat?: unknown, schemaId?: unknown }} Metadata what Lambda says of a payload's schema */

/**
 * @param {FormatConfig} config @param {Tools} tools
 * @returns {(bytes: Buffer, metadata: Metadata | null) => unknown}
 */
function payloadDecoder(config, tools) {
  const { format, wireFormat } = config;
  if (format === 'bytes') return (bytes) => unframe(bytes, wireFormat, false).payload;
  if (format === 'text') return (bytes) => unframe(bytes, wireFormat, false).payload.toString('utf8');
  if (format === 'json') return (bytes) => parse(unframe(bytes, wireFormat, false).payload);
  const isProtobuf = format === 'protobuf';
  const decoderFor = schemaDecoders(config, tools);
  return (bytes, metadata) => {
    if (metadata !== null) {
      const json = asJson(bytes, metadata);
      if (json !== undefined) return json;
      assertFormat(metadata, format);
    }
    const removed = typeof metadata?.schemaId === 'string' && wireFormat === 'none' ? metadata.schemaId : null;
    const { schemaId, payload } = removed === null
      ? unframe(bytes, wireFormat, isProtobuf)
      : { schemaId: removed, payload: isProtobuf ? withoutMessageIndex(bytes, removed) : bytes };
    const decode = decoderFor(schemaId);
    return isThenable(decode)
      ? decode.then((/** @type {(payload: Buffer) => unknown} */ found) => found(payload))
      : /** @type {(payload: Buffer) => unknown} */ (decode)(payload);
  };
}

/**
 * What Lambda has decoded already, if its mapping asks for records as JSON: no message of the other formats is JSON of
 * an object from its first byte to its last.
 * @param {Buffer} bytes @param {Metadata} metadata
 */
function asJson(bytes, metadata) {
  if (metadata.dataFormat === 'JSON') return parse(bytes);
  if (bytes[0] !== 0x7b || bytes[bytes.length - 1] !== 0x7d) return undefined;
  try {
    return parse(bytes);
  } catch {
    return undefined;
  }
}

/** @param {Metadata} metadata @param {Format} format */
function assertFormat({ dataFormat }, format) {
  if (typeof dataFormat !== 'string' || dataFormat.toLowerCase() === format) return;
  throw new TypeError(`the schema registry says that it is ${dataFormat}`);
}

/** @param {Buffer} bytes */
function parse(bytes) {
  return JSON.parse(bytes.toString('utf8'));
}

/** @typedef {(payload: Buffer) => unknown} DecodePayload */

/**
 * What decodes data of a schema, made once for each.
 * @param {FormatConfig} config @param {Tools} tools
 * @returns {(schemaId: string | null) => DecodePayload | Promise<DecodePayload>}
 */
function schemaDecoders(config, tools) {
  const { format, schema, schemas, findSchema } = config;
  /** @type {((schema: Schema) => DecodePayload) | null} */
  let make = null;
  /** @param {Schema} found */
  const made = (found) => (make ??= format === 'avro' ? avro(config, tools) : protobuf(config, tools))(found);
  /** @type {Map<string | null, DecodePayload | Promise<DecodePayload>>} */
  const known = new Map();
  /** @param {string | null} schemaId @returns {DecodePayload | Promise<DecodePayload>} */
  const find = (schemaId) => {
    const listed = schemaId === null || schemas === null ? undefined : schemas[schemaId];
    if (listed !== undefined) return made(listed);
    if (schemaId !== null && findSchema !== null) {
      return look(schemaId, findSchema).then((/** @type {any} */ text) => made({ text: textOf(text, schemaId) }));
    }
    if (schema === null) {
      throw new RangeError(schemaId === null
        ? 'it does not say which schema it was written with, and there is no "schema"'
        : `there is no schema ${schemaId} in "schemas"`);
    }
    return made(schema);
  };
  /** @param {string} schemaId @param {Reference} reference @returns {Promise<unknown>} */
  const look = async (schemaId, reference) => {
    const fn = /** @type {Function} */ (await tools.find(reference));
    return fn(schemaId);
  };
  return (schemaId) => {
    const cached = known.get(schemaId);
    if (cached !== undefined) return cached;
    const found = find(schemaId);
    known.set(schemaId, found);
    if (isThenable(found)) {
      // In its place, so that later records are decoded at once; or not at all, so that it is looked for again.
      found.then((/** @type {DecodePayload} */ decode) => known.set(schemaId, decode), () => known.delete(schemaId));
    }
    return found;
  };
}

/** @param {unknown} schema @param {string} schemaId */
function textOf(schema, schemaId) {
  if (typeof schema === 'string') return schema;
  if (typeof schema === 'object' && schema !== null) return JSON.stringify(schema);
  throw new TypeError(`"findSchema" has given no schema for ${schemaId}`);
}

/** @param {FormatConfig} config @param {Tools} tools @returns {(schema: Schema) => DecodePayload} */
function avro({ readerSchema }, tools) {
  const make = require('./avro').avroDecoders(packageFor('avsc', 'avro', tools), readerSchema);
  return (schema) => make('text' in schema ? schema.text : require('node:fs').readFileSync(schema.file, 'utf8'));
}

/** @param {FormatConfig} config @param {Tools} tools @returns {(schema: Schema) => DecodePayload} */
function protobuf({ type }, tools) {
  return require('./protobuf').protobufDecoders(packageFor('protobufjs', 'protobuf', tools), type);
}

/** @param {string} name @param {string} format @param {Tools} tools */
function packageFor(name, format, { loadPackage }) {
  try {
    return loadPackage(name);
  } catch (error) {
    throw missingPeerError(name, `decode: { format: '${format}' }`, error);
  }
}

/** @param {unknown} value @returns {value is Promise<any>} */
function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function';
}

module.exports = { formatDecoder, isThenable };
