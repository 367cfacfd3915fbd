'use strict';

/**
 * Bundles the JavaScript that workers run: `node scripts/bundle-worker.js DIRECTORY` writes a file per chunk there,
 * which `build.rs` embeds in the addon. Workers read no file of this package, since a user's bundler would lose it.
 *
 * A worker has to parse every character of a chunk before its first call: what not every worker needs begins a chunk of
 * its own. `lib/worker/boot-script.js` has the `require` that finds them.
 */

const fs = require('node:fs');
const path = require('node:path');
const { cutIntoChunks } = require('./chunks');
const { MAIN_SCRIPT } = require('../lib/worker/main-script');

/** @param {string} output where the files go, `NAME.js` for each chunk */
async function bundleWorker(output) {
  const chunks = await cutIntoChunks({
    roots: {
      core: 'lib/worker/bootstrap.js',
      thread: 'lib/worker/thread.js',
      pipes: 'lib/worker/pipe-process.js',
      tasks: 'lib/worker/tasks.js',
      'function-source': 'lib/worker/function-source.js',
      'record-list': 'lib/worker/record-list.js',
      invocation: 'lib/worker/invocation.js',
      'run-steps': 'lib/worker/run-steps.js',
      records: 'lib/events/records.js',
      results: 'lib/events/results.js',
      'reported-failures': 'lib/worker/reported-failures.js',
      'record-encoder': 'lib/codec/record-encoder.js',
      'record-decoder': 'lib/codec/record-decoder.js',
      'plain-values': 'lib/codec/plain-values.js',
      'v8-codec': 'lib/codec/v8-codec.js',
      copy: 'lib/codec/copy.js',
      'error-flattener': 'lib/codec/error-flattener.js',
      'watch-mode': 'lib/worker/watch-mode.js',
      culprit: 'lib/codec/culprit.js',
      'trace-context': 'lib/worker/trace-context.js',
      'platform-objects': 'lib/codec/platform-objects.js',
      errors: 'lib/errors.js',
    },
    requireOf: (chunk) => `parallelizer:${chunk}`,
    modules: '["modules"]',
    options: { banner: { js: '(function (require, module) {' }, footer: { js: '})' } },
  });
  fs.mkdirSync(output, { recursive: true });
  // No chunk: what loads the first one.
  chunks.set('main', MAIN_SCRIPT);
  for (const [name, text] of chunks) fs.writeFileSync(path.join(output, `${name}.js`), text);
}

if (require.main === module) {
  const [output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/bundle-worker.js DIRECTORY');
  bundleWorker(output);
}

module.exports = { bundleWorker };
