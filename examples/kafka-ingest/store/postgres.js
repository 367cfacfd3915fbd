'use strict';

/**
 * Readings in PostgreSQL, over a Unix socket. One connection for each process that stores: a worker has one sub-batch
 * at a time.
 */

const path = require('node:path');
const { Client } = require('pg');

/** @typedef {import('./index.js').Reading} Reading */

const PAGE = 5000;

/** Workers open it at the same time, and IF NOT EXISTS alone lets two of them try. */
const SCHEMA = `
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtext('readings'));
  CREATE TABLE IF NOT EXISTS readings (
    topic text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    device text NOT NULL,
    "measuredAt" bigint NOT NULL,
    status text NOT NULL,
    reason text,
    rms integer,
    peak integer,
    frequency double precision,
    PRIMARY KEY (topic, "partition", "offset")
  );
  COMMIT`;

/** The whole list is one parameter: a statement takes no more than 65,535 of them. */
const UPSERT = `
  INSERT INTO readings
  SELECT * FROM json_populate_recordset(NULL::readings, $1)
  ON CONFLICT (topic, "partition", "offset") DO UPDATE SET
    (device, "measuredAt", status, reason, rms, peak, frequency) =
    (excluded.device, excluded."measuredAt", excluded.status, excluded.reason, excluded.rms, excluded.peak, excluded.frequency)`;

const SELECT = `
  SELECT topic, "partition", "offset"::float8, device, "measuredAt"::float8, status, reason, rms, peak, frequency
  FROM readings WHERE (topic, "partition", "offset") > ($1, $2, $3)
  ORDER BY topic, "partition", "offset" LIMIT ${PAGE}`;

/** @param {string} location the directory of the server's socket, and the database @returns {Promise<import('./index.js').Store>} */
async function open(location) {
  const client = new Client({ host: path.dirname(location), user: 'ingest', database: path.basename(location) });
  await client.connect();
  await client.query(SCHEMA);
  return {
    async upsert(readings) {
      await client.query({ name: 'upsert', text: UPSERT, values: [JSON.stringify(readings)] });
    },
    async* readings() {
      let after = /** @type {[string, number, number]} */ (['', -1, -1]);
      for (;;) {
        /** @type {{ rows: Reading[] }} */
        const { rows } = await client.query(SELECT, after);
        yield* rows;
        if (rows.length < PAGE) return;
        const { topic, partition, offset } = rows[rows.length - 1];
        after = [topic, partition, offset];
      }
    },
    close: () => client.end(),
  };
}

module.exports = { open };
