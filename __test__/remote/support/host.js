'use strict';
// A host in a process of its own. Says when it is ready, and drains when it is asked to end.

const { serve } = require('../../..');
const { bullmq } = require('../../../bullmq');

const { engine, root, options } = JSON.parse(process.argv[2]);

async function main() {
  const host = await serve({ engine: bullmq(engine), root, processes: 2, ...options });
  process.once('SIGTERM', () => void host.close().then(() => process.exit()));
  process.once('disconnect', () => process.exit());
  process.send('ready');
}

main();
