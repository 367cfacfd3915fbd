'use strict';

/**
 * The rows' database: LMDB, a memory-mapped file that any number of processes may open and
 * that lets one of them write at a time. Keys are `[topic, partition, offset]`, so a batch that
 * Lambda delivers twice overwrites its own rows.
 */

const { createHash } = require('node:crypto');
const { open } = require('lmdb');

/** Address space, not disk: the file grows as rows come. As much as Lambda gives to /tmp. */
const MAP_SIZE = 512 * 1024 * 1024;

/** @type {Map<string, import('lmdb').RootDatabase>} */
const opened = new Map();

/**
 * One environment per path and process: LMDB forbids opening it twice, and a worker that serves
 * many batches should pay for it once.
 *
 * @param {string} path
 */
function database(path) {
  let db = opened.get(path);
  if (!db) {
    db = open({
      path,
      mapSize: MAP_SIZE,
      // /tmp does not survive the machine, so waiting for its disk would buy nothing.
      noSync: true,
      overlappingSync: false,
    });
    opened.set(path, db);
  }
  return db;
}

/**
 * All rows in one transaction: a sub-batch is stored or it is not.
 *
 * @param {string} path
 * @param {import('./enrich.js').Entry[]} entries
 */
async function putRows(path, entries) {
  const db = database(path);
  await db.transaction(() => {
    for (const { key, row } of entries) db.put(key, row);
  });
}

/**
 * What two stores must agree on to hold the same rows.
 *
 * @param {string} path
 * @returns {{ rows: number, checksum: string }} the checksum runs over the rows in key order
 */
function fingerprint(path) {
  const hash = createHash('sha256');
  let rows = 0;
  for (const { key, value } of database(path).getRange()) {
    hash.update(JSON.stringify([key, value]));
    rows += 1;
  }
  return { rows, checksum: hash.digest('hex') };
}

/** Closes every environment that this process has opened. */
async function closeStores() {
  const databases = [...opened.values()];
  opened.clear();
  await Promise.all(databases.map((db) => db.close()));
}

module.exports = { putRows, fingerprint, closeStores };
