'use strict';

/** The handler by itself, with a worker that is killed while its statement is at the database. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('pg');
const { toRecord } = require('../lambda-event.js');
const { missing, startPostgres } = require('../postgres-server.js');
const { openStore } = require('../store/index.js');
const { makeMessage } = require('../telemetry.js');

const PARTITIONS = [0, 1, 2, 3];
const PER_PARTITION = 50;

/** From these offsets on, by partition. */
function eventFrom(offsets) {
  const records = {};
  for (const [partition, from] of offsets) {
    records[`telemetry-${partition}`] = Array.from({ length: PER_PARTITION - from }, (_, index) => {
      const offset = from + index;
      const message = makeMessage(partition * PER_PARTITION + offset);
      return toRecord('telemetry', partition, { ...message, offset: String(offset), timestamp: '1700000000000' });
    });
  }
  return { eventSource: 'SelfManagedKafka', bootstrapServers: '127.0.0.1:9092', records };
}

test('a killed worker costs the partition that it had, which the answer names', { skip: missing() ?? false, timeout: 60_000 }, async (t) => {
  const server = await startPostgres(['readings']);
  /** The server last: whoever is connected to it would be told. @type {(() => unknown)[]} */
  const closing = [];
  t.after(async () => {
    for (const close of closing) await close();
    await server.stop();
  });
  const url = server.url('readings');
  const store = await openStore(url);
  closing.push(() => store.close());

  Object.assign(process.env, { READINGS_STORE: url, WORKERS: '2' });
  const { handler } = require('../handler.js');
  closing.push(() => handler.parallelizer.terminate());

  const location = url.slice('postgres:'.length);
  const connect = async () => {
    const client = new Client({ host: path.dirname(location), database: path.basename(location), user: 'ingest' });
    await client.connect();
    closing.push(() => client.end());
    return client;
  };
  const [holder, watcher] = [await connect(), await connect()];

  await holder.query('BEGIN; LOCK TABLE readings IN SHARE ROW EXCLUSIVE MODE');
  const answering = handler(eventFrom(PARTITIONS.map((partition) => [partition, 0])), {});
  const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
  while ((await watcher.query(waiting)).rowCount < 2) await sleep(20);
  const [victim] = handler.parallelizer.stats().workers;
  process.kill(victim.pid, 'SIGKILL');
  await holder.query('COMMIT');

  const { batchItemFailures } = await answering;
  assert.equal(batchItemFailures.length, 1);
  const [{ itemIdentifier: { partition: name, offset } }] = batchItemFailures;
  assert.equal(offset, 0);
  const lost = Number(name.slice('telemetry-'.length));
  assert.ok(PARTITIONS.includes(lost));

  const stored = new Map(PARTITIONS.map((partition) => [partition, 0]));
  for await (const { partition } of store.readings()) stored.set(partition, stored.get(partition) + 1);
  for (const [partition, count] of stored) if (partition !== lost) assert.equal(count, PER_PARTITION);

  // What Lambda would send next.
  assert.deepEqual(await handler(eventFrom([[lost, offset]]), {}), { batchItemFailures: [] });
  const offsets = [];
  for await (const reading of store.readings()) offsets.push([reading.partition, reading.offset]);
  assert.deepEqual(offsets, PARTITIONS.flatMap((partition) => (
    Array.from({ length: PER_PARTITION }, (_, index) => [partition, index])
  )));
});
