'use strict';

/**
 * Where readings go, by URL: `lmdb:/directory`, or `postgres:/directory/database` with the directory of the server's socket.
 *
 * A reading's key is its topic, partition and offset: that which names a Kafka record for ever. Storing one again
 * writes the same row over itself, so that a record that Lambda delivers twice has the effect of one.
 *
 * @typedef {object} Store
 * @property {(readings: Reading[]) => Promise<void>} upsert all of them or none
 * @property {() => AsyncIterable<Reading>} readings all, in the order of their keys
 * @property {() => Promise<void>} close
 */

/** @typedef {import('../telemetry.js').Reading} Reading */

const KINDS = {
  lmdb: () => require('./lmdb.js'),
  postgres: () => require('./postgres.js'),
};

/** @param {string} url @returns {Promise<Store>} */
async function openStore(url) {
  const [, kind, location] = /^(\w+):(\/.+)$/.exec(url) ?? [];
  if (!Object.hasOwn(KINDS, kind)) throw new TypeError(`a store is lmdb:/directory or postgres:/directory/database, not ${url}`);
  return KINDS[/** @type {keyof typeof KINDS} */ (kind)]().open(location);
}

module.exports = { openStore };
