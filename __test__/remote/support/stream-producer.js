'use strict';
// A producer that opens a stream, takes a few of its values, says so, and then reads no more.

const { Pool, PARALLELIZER_REMOTE } = require('../../..');
const { bullmq } = require('../../../bullmq');
const { task } = require('./hosts');

const { queue, connection, root, file, producerTimeout } = JSON.parse(process.argv[2]);

async function main() {
  const engine = bullmq({ queue, connection });
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root, producerTimeout });
  const stream = pool.stream(task('written'), [file, 1e6]);
  for (let i = 0; i < 3; i++) await stream.next();
  process.send('reading');
}

main();
