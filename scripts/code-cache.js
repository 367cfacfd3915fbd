'use strict';

/**
 * Has V8 compile the chunks that a worker needs for its first call: `node scripts/code-cache.js CHUNKS DIRECTORY` reads
 * what `bundle-worker.js` wrote and writes `NAME.cache` for each of them. `build.rs` embeds them in the addon.
 *
 * A code cache is of use to a Node with the very same version of V8, whose flags have the same hash. Any other is
 * refused, which costs nothing.
 *
 * 1. All functions are compiled, as if all were needed at once: it is the first calls that a code cache is for. The
 *    core is the exception, since a worker reads all of its code cache before its first line: it has those that have
 *    run once the first calls were answered (`first-calls.js`), which is half of them.
 * 2. Other flags must change the hash and nothing else, where a worker expects it: it puts that of its own flags there.
 *    A V8 that does otherwise gets no code caches.
 * 3. `v8-version` says for whom they are.
 */

const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const { Script } = require('node:vm');

const { answerFirstCalls } = require('./first-calls');
const { FLAGS_AT, FLAGS_END } = require('../lib/package/code-cache');

/** The chunk that each worker loads first. */
const CORE = 'core';
/** What first calls load, to processes and threads, with and without lists of records. */
const CHUNKS = [
  CORE, 'thread', 'tasks', 'invocation', 'run-steps', 'record-list', 'records', 'results', 'record-encoder',
  'record-decoder',
];

/** @template T @param {string} flag @param {string} restoring @param {() => T} act @returns {T} */
function withFlag(flag, restoring, act) {
  v8.setFlagsFromString(flag);
  try {
    return act();
  } finally {
    v8.setFlagsFromString(restoring);
  }
}

/** @param {Script} compiled @returns {Buffer} */
function codeCacheOf(compiled) {
  const bytes = compiled.createCachedData();
  const other = withFlag('--expose-gc', '--no-expose-gc', () => compiled.createCachedData());
  const isSame = bytes.equals(other);
  other.set(bytes.subarray(FLAGS_AT, FLAGS_END), FLAGS_AT);
  if (isSame || !bytes.equals(other)) throw new Error(`flags change other bytes than those from ${FLAGS_AT} to ${FLAGS_END}`);
  return bytes;
}

/** @param {string} chunks the directory that they are in @param {string} output where the caches go */
async function writeCodeCaches(chunks, output) {
  fs.mkdirSync(output, { recursive: true });
  const scriptOf = (/** @type {string} */ name) =>
    new Script(fs.readFileSync(path.join(chunks, `${name}.js`), 'utf8'), { filename: `parallelizer:${name}` });
  const core = scriptOf(CORE);
  const others = CHUNKS.filter((name) => name !== CORE);
  const eager = withFlag('--no-lazy', '--lazy', () => new Map(others.map((name) => [name, scriptOf(name)])));
  await answerFirstCalls(core, (name) => eager.get(name) ?? scriptOf(name));
  for (const [name, compiled] of eager.set(CORE, core)) {
    fs.writeFileSync(path.join(output, `${name}.cache`), codeCacheOf(compiled));
  }
  fs.writeFileSync(path.join(output, 'v8-version'), process.versions.v8);
}

if (require.main === module) {
  const [chunks, output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/code-cache.js CHUNKS DIRECTORY');
  writeCodeCaches(chunks, output);
}

module.exports = { CHUNKS };
