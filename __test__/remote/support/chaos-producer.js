'use strict';
// The producer of chaos: maps items in a process on a machine of its own, and tells what became of each.

const path = require('node:path');

const { Pool, PARALLELIZER_REMOTE } = require('../../..');
const { bullmq } = require('../../../bullmq');

const { connection, root, ledger, retries, items } = JSON.parse(process.argv[2]);

async function main() {
  const engine = bullmq({ queue: 'chaos', connection });
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root, retries, hostTimeout: 120_000 });
  const task = { filePath: path.join(__dirname, '..', '..', 'fixtures', 'remote.js'), name: 'noted' };
  const list = Array.from({ length: items }, (_, id) => ({ id, file: ledger }));
  const outcomes = await pool.map(task, list, { onError: 'collect' });
  process.send(outcomes.map(({ status, value, reason }) => ({
    status, value, code: reason?.code ?? reason?.message, host: reason?.host,
  })));
  await pool.terminate();
  process.disconnect();
}

main();
