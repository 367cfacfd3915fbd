'use strict';

/** The worker's side of threads.js. */

const { parentPort, workerData } = require('node:worker_threads');

const { filePath, name, transfer } = workerData;
const run = require(filePath)[name];

parentPort?.on('message', async (/** @type {{ id: number, item: any }} */ { id, item }) => {
  const result = await run(item);
  parentPort?.postMessage({ id, result }, transfer ? [result.buffer] : undefined);
});
parentPort?.postMessage('ready');
