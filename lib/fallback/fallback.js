'use strict';

/**
 * What takes the place of the addon where there is none for this platform: the same scheduler as WebAssembly, with the
 * interface that the addon has. Workers are looked after by JavaScript, processes too.
 *
 * Nothing of this is loaded where the addon is. Must not depend on why there is no addon, nor on what is scheduled.
 */

const { laterRunId, runId } = require('./run-ids');
const { loadModule } = require('./wasm-module');
const { createWasmPool } = require('./wasm-pool');

/**
 * @param {string} reason why it is used, in a few words
 * @returns {any} what the addon would be; `null` where the WebAssembly module is not there
 */
function fallback(reason) {
  const loaded = loadModule();
  if (loaded === null) return null;
  const { file, version, module, chunks } = loaded;
  return {
    scheduler: 'wasm',
    reason,
    file,
    version: () => version,
    NativePool: createWasmPool(module),
    workerChunkNames: () => Object.keys(chunks),
    workerChunk: (/** @type {string} */ name) => chunks[name],
    allWorkerChunks: () => allOf(chunks),
    runId,
    laterRunId,
  };
}

/**
 * @param {Record<string, string>} chunks
 * @returns {import('../../native').AllWorkerChunks} without code caches
 */
function allOf(chunks) {
  const names = Object.keys(chunks);
  const texts = names.map((name) => Buffer.from(chunks[name], 'latin1'));
  return { names, sizes: texts.flatMap(({ length }) => [length, 0]), bytes: Buffer.concat(texts) };
}

module.exports = { fallback };
