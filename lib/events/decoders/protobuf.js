'use strict';

/**
 * Protocol Buffers, by the package `protobufjs`, which is an optional peer.
 *
 * Messages become plain objects: enums by their names, bytes as Buffers, maps as objects; integers of 64 bits as
 * numbers where these keep every digit, as BigInts beyond.
 *
 * Must not depend on records.
 */

const { define } = require('../../intrinsics/define');

const OPTIONS = { enums: String, bytes: Buffer, defaults: true, oneofs: true };

/**
 * @param {any} protobuf the package
 * @param {string | null} type the name of the message; `null`: the only one that its schema has
 * @returns {(schema: { text: string } | { file: string }) => (bytes: Buffer) => unknown}
 */
function protobufDecoders(protobuf, type) {
  return (schema) => {
    const root = 'text' in schema ? protobuf.parse(schema.text).root : new protobuf.Root().loadSync(schema.file);
    root.resolveAll();
    const message = type === null ? onlyMessageOf(protobuf, root) : root.lookupType(type);
    return (bytes) => plainOf(message.toObject(message.decode(bytes), OPTIONS));
  };
}

/** @param {any} protobuf @param {any} root */
function onlyMessageOf(protobuf, root) {
  /** @type {any[]} */
  const messages = [];
  /** @param {any} namespace */
  const look = (namespace) => {
    for (const each of namespace.nestedArray) {
      if (each instanceof protobuf.Type) messages.push(each);
      else if (each instanceof protobuf.Namespace) look(each);
    }
  };
  look(root);
  if (messages.length === 1) return messages[0];
  const names = messages.map(({ fullName }) => fullName.replace(/^\./, '')).join(', ');
  throw new TypeError(`"type" has to say which message it is: the schema has ${names || 'none'}`);
}

/** Puts numbers in the place of the package's own. @param {any} value @returns {any} */
function plainOf(value) {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (isLong(value)) return numberOf(value);
  if (Array.isArray(value)) return value.map(plainOf);
  for (const key of Object.keys(value)) {
    const plain = plainOf(value[key]);
    if (plain === value[key]) continue;
    // Not by assignment: a key of a map may be `__proto__`.
    define(value, key, { value: plain, enumerable: true, writable: true, configurable: true });
  }
  return value;
}

/** @param {any} value */
function isLong(value) {
  return value.__isLong__ === true;
}

/** @param {{ low: number, high: number, unsigned: boolean }} long */
function numberOf({ low, high, unsigned }) {
  const bits = (BigInt(high) << 32n) | BigInt(low >>> 0);
  const value = unsigned ? BigInt.asUintN(64, bits) : BigInt.asIntN(64, bits);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

module.exports = { protobufDecoders };
