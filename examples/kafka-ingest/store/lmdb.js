'use strict';

/**
 * Readings in LMDB, a memory-mapped file that any number of processes may have open. It lets one of them write at a
 * time; the lock of a writer that was killed goes to the next one, and what it had not committed was never there.
 */

const lmdb = require('lmdb');

/** @typedef {import('./index.js').Reading} Reading */

/** @param {string} directory @returns {Promise<import('./index.js').Store>} */
async function open(directory) {
  const db = lmdb.open({ path: directory });
  return {
    async upsert(readings) {
      await db.transaction(() => {
        for (const { topic, partition, offset, ...rest } of readings) db.put([topic, partition, offset], rest);
      });
    },
    async* readings() {
      for (const { key: [topic, partition, offset], value } of db.getRange()) yield { topic, partition, offset, ...value };
    },
    close: () => db.close(),
  };
}

module.exports = { open };
