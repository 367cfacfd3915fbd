'use strict';

/**
 * Has V8 compile the chunks that a worker needs for its first call: `node scripts/code-cache.js CHUNKS DIRECTORY` reads
 * what `bundle-worker.js` wrote and writes `NAME.cache` for each of them, and `v8-version`, which says for whom they
 * are. `build.rs` embeds both in the addon.
 *
 * A code cache is of use to a Node with the very same version of V8 and the same flags. V8 refuses any other, which
 * costs nothing, and compiles the text.
 *
 * 1. All functions are compiled, as if all were needed at once: it is the first calls that a code cache is for, and what
 *    they do not need costs some bytes in the addon.
 * 2. The flag that says so is set back before the cache is made, since a cache is only good where the flags are the same.
 */

const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const { Script } = require('node:vm');

/** What first calls load, to processes and threads, with and without lists of records. */
const CHUNKS = [
  'core', 'thread', 'tasks', 'invocation', 'run-steps', 'record-list', 'records', 'results', 'record-encoder',
  'record-decoder',
];

/** @param {string} text @param {string} name @returns {Buffer} */
function codeCacheOf(text, name) {
  v8.setFlagsFromString('--no-lazy');
  try {
    const script = new Script(text, { filename: `parallelizer:${name}` });
    v8.setFlagsFromString('--lazy');
    return script.createCachedData();
  } finally {
    v8.setFlagsFromString('--lazy');
  }
}

/** @param {string} chunks the directory that they are in @param {string} output where the caches go */
function writeCodeCaches(chunks, output) {
  fs.mkdirSync(output, { recursive: true });
  for (const name of CHUNKS) {
    const text = fs.readFileSync(path.join(chunks, `${name}.js`), 'utf8');
    fs.writeFileSync(path.join(output, `${name}.cache`), codeCacheOf(text, name));
  }
  fs.writeFileSync(path.join(output, 'v8-version'), process.versions.v8);
}

if (require.main === module) {
  const [chunks, output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/code-cache.js CHUNKS DIRECTORY');
  writeCodeCaches(chunks, output);
}

module.exports = { CHUNKS };
