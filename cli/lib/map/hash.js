'use strict';

/**
 * The hash of a file, computed in a thread of its own: the thread that reads records and writes results has no time.
 */

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const PIECE = 1024 * 1024;
const ALGORITHM = 'sha256';

/** @param {string} file */
function hashOf(file) {
  const hash = createHash(ALGORITHM);
  const fd = fs.openSync(file, 'r');
  const piece = Buffer.allocUnsafe(PIECE);
  for (;;) {
    const count = fs.readSync(fd, piece, 0, PIECE, null);
    if (count === 0) break;
    hash.update(piece.subarray(0, count));
  }
  fs.closeSync(fd);
  return `${ALGORITHM}:${hash.digest('hex')}`;
}

/**
 * @param {string} file
 * @returns {{ hash: Promise<string>, stop: () => void }}
 */
function startHash(file) {
  const worker = new Worker(__filename, {
    workerData: { [ALGORITHM]: file },
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  const hash = new Promise((/** @type {(hash: string) => void} */ resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error(`${file} was not read to its end`)));
  });
  // Who stopped it does not wait for it.
  hash.catch(() => {});
  return { hash, stop: () => void worker.terminate() };
}

if (!isMainThread && workerData?.[ALGORITHM] !== undefined) parentPort?.postMessage(hashOf(workerData[ALGORITHM]));

module.exports = { startHash };
