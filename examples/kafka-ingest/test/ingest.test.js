'use strict';

/** The whole of it: a topic, events, workers that are killed, a database that has each record once. */

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { promisify } = require('node:util');
const broker = require('../broker.js');
const { ingest } = require('../ingest.js');
const postgres = require('../postgres-server.js');

const RECORDS = 3000;
const SETTINGS = { records: RECORDS, batchSize: 400, workers: 2, kill: 0 };

function assertStored({ contenders }, tampered) {
  assert.equal(contenders.length, 2);
  for (const { name, stored } of contenders) {
    assert.ok(stored.complete, `${name} has not each record of the topic once`);
    assert.equal(stored.rows, RECORDS);
    assert.equal(stored.rejected, tampered);
  }
  assert.equal(contenders[0].stored.checksum, contenders[1].stored.checksum);
}

function directory(t) {
  const found = fs.mkdtempSync(path.join(os.tmpdir(), 'ingest-test-'));
  t.after(() => fs.rmSync(found, { recursive: true, force: true }));
  return found;
}

describe('ingest', { skip: broker.missing() ?? false }, () => {
  test('stores each record once, with the same workers from the first event to the last', async (t) => {
    const base = directory(t);
    const outcome = await ingest({ ...SETTINGS, storeUrl: (name) => `lmdb:${path.join(base, name)}` });

    assertStored(outcome, RECORDS / 100);
    const [, { deliveries }] = outcome.contenders;
    assert.ok(deliveries.length >= RECORDS / SETTINGS.batchSize);
    assert.equal(deliveries.reduce((sum, { records }) => sum + records, 0), RECORDS);
    assert.equal(outcome.workers.restarts, 0);
    assert.deepEqual(outcome.workers.pidsAfter, outcome.workers.pidsBefore);
  });

  test('loses nothing where workers are killed', async (t) => {
    const base = directory(t);
    const outcome = await ingest({ ...SETTINGS, kill: 4, storeUrl: (name) => `lmdb:${path.join(base, name)}` });

    assertStored(outcome, RECORDS / 100);
    assertKilled(outcome, 4);
  });

  test('loses nothing in PostgreSQL', { skip: postgres.missing() ?? false }, async (t) => {
    const server = await postgres.startPostgres(['one-thread', 'workers']);
    t.after(() => server.stop());
    const outcome = await ingest({ ...SETTINGS, kill: 4, storeUrl: server.url });

    assertStored(outcome, RECORDS / 100);
    assertKilled(outcome, 4);
  });

  test('npm start says what it has done', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      path.join(__dirname, '..', 'main.js'), '--records', '2000', '--batch-size', '500', '--workers', '2', '--kill', '1',
    ]);
    assert.match(stdout, /each of 2,000 records once \(20 as rejected\), the same rows in both/);
    assert.match(stdout, /2 workers.*as fast as one thread|No figures/);
  });
});

function assertKilled({ contenders: [, { deliveries }], workers }, most) {
  const killed = deliveries.filter((delivery) => delivery.killed);
  assert.ok(killed.length > 0 && killed.length <= most, `${killed.length} killed`);
  assert.equal(workers.restarts, killed.length);
  // What a killed worker had is delivered again, and nothing that was done.
  for (const { error } of deliveries) assert.equal(error, undefined);
  const delivered = deliveries.reduce((sum, { records }) => sum + records, 0);
  const again = deliveries.reduce((sum, { redelivered }) => sum + redelivered, 0);
  assert.equal(delivered, RECORDS + again);
}

for (const [args, message] of [
  [['--store', 'mysql'], "--store must be lmdb or postgres, not 'mysql'"],
  [['--records', '1e3.5'], "--records must be a whole number from 1 to 1000000, not '1e3.5'"],
]) {
  test(`${args.join(' ')} is refused`, async () => {
    await assert.rejects(promisify(execFile)(process.execPath, [path.join(__dirname, '..', 'main.js'), ...args]), (error) => {
      assert.equal(error.code, 1);
      assert.equal(error.stderr.trim(), message);
      return true;
    });
  });
}
