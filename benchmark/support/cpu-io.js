'use strict';

/**
 * The work of node-parallelizer's own benchmark: for each record a million additions, and a file that is created and
 * deleted. The file operations are asynchronous, so that `Promise.all` has something to overlap.
 */

const { randomUUID } = require('node:crypto');
const { unlink, writeFile } = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const ADDITIONS = 1_000_000;

async function processRecord() {
  let sum = 0;
  for (let term = 0; term < ADDITIONS; term += 1) sum += term;

  const file = path.join(os.tmpdir(), `parallelizer-benchmark-${randomUUID()}`);
  await writeFile(file, 'some text');
  await unlink(file);
  return sum;
}

/** @param {{ batch: unknown[] }} call */
exports.processBatch = ({ batch }) => Promise.all(batch.map(processRecord));
