'use strict';

/**
 * The JavaScript that threads run, in memory that all of them share: a thread takes out of it the chunks that it needs,
 * where it would otherwise be sent a copy of each, 0.6 MB with what V8 has compiled of them.
 *
 * 1. The texts and code caches of all chunks lie there one after another. `places` says where: the text of a chunk
 *    begins, it ends and its code cache begins, that ends.
 * 2. It is filled once in a process, and only read from then on.
 *
 * Must not depend on how threads are started.
 */

/** @typedef {Pick<typeof import('../../native'), 'allWorkerChunks'>} Source */
/** @typedef {[text: number, codeCache: number, end: number]} Place */

/**
 * @typedef {object} SharedChunks
 * @property {SharedArrayBuffer} memory
 * @property {Record<string, Place>} places by the name of a chunk
 */

/** @type {SharedChunks | null} */
let shared = null;

/**
 * @param {Source} source the addon, or what takes its place: one of them in a process
 * @returns {SharedChunks}
 */
function sharedChunks(source) {
  return (shared ??= share(source));
}

/** @param {Source} source @returns {SharedChunks} */
function share(source) {
  const { names, sizes, bytes } = source.allWorkerChunks(process.versions.v8);
  /** @type {Record<string, Place>} */
  const places = Object.create(null);
  let start = 0;
  names.forEach((name, index) => {
    const middle = start + sizes[2 * index];
    const end = middle + sizes[2 * index + 1];
    places[name] = [start, middle, end];
    start = end;
  });
  const memory = new SharedArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  return { memory, places };
}

module.exports = { sharedChunks };
