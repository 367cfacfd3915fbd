'use strict';

/**
 * A host in a process of its own, as its argument says: of this package, or of BullMQ, which runs the function itself
 * or in processes of its own. Says when it is ready, and ends with whoever has started it.
 */

const path = require('node:path');
const { Worker } = require('bullmq');
const { serve } = require('@parallelizer/node');
const { bullmq } = require('@parallelizer/node/bullmq');
const processor = require('./remote-processor.js');

/** How many jobs BullMQ has at a time: more make it no faster. */
const CONCURRENCY = 50;

const { kind, queue, port, processes } = JSON.parse(process.argv[2]);
const connection = { host: '127.0.0.1', port };

async function main() {
  if (kind === 'serve') {
    await serve({ engine: bullmq({ queue, connection }), root: __dirname, processes });
  } else {
    const isSandboxed = kind === 'sandbox';
    const work = isSandboxed ? path.join(__dirname, 'remote-processor.js') : processor;
    const worker = new Worker(queue, work, { connection, concurrency: isSandboxed ? processes : CONCURRENCY });
    await worker.waitUntilReady();
  }
  process.once('disconnect', () => process.exit());
  process.send?.('ready');
}

void main();
