'use strict';

/**
 * Bundles the JavaScript that workers run: `node scripts/bundle-worker.js DIRECTORY` writes a file per chunk there, which
 * `build.rs` embeds in the addon. Workers read no file of this package, since a user's bundler would lose it.
 *
 * A worker has to parse every character of a chunk before its first call, so what is seldom needed is in chunks of its
 * own, which are loaded when they are first required (see `lib/worker/boot-script.js`):
 *
 * 1. Each of ROOTS becomes a chunk with everything that only it requires.
 * 2. What several of them require goes into the first one, `core`, which every worker loads.
 * 3. Where a chunk requires another one, `require('parallelizer:NAME')` is left in its text; where it requires a module
 *    of `core`, `require('parallelizer:core/NAME')`.
 *
 * A root that is missing here costs time at the start of a worker, and nothing else. Comments and white space are removed;
 * names stay as they are, for stack traces.
 */

const fs = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');

const directory = path.join(__dirname, '..', 'lib');

/** Modules that begin a chunk, by the chunk's name. */
const ROOTS = {
  core: 'worker/bootstrap.js',
  thread: 'worker/thread.js',
  tasks: 'worker/tasks.js',
  invocation: 'worker/invocation.js',
  'record-codec': 'codec/record-codec.js',
  'v8-codec': 'codec/v8-codec.js',
  'error-codec': 'codec/error-codec.js',
  errors: 'errors.js',
};

/** The names of the chunks, by the path of their root. */
const chunkOf = new Map(Object.entries(ROOTS).map(([chunk, file]) => [path.join(directory, file), chunk]));

/** @param {string} file @returns {string} by which a module of `core` is known to other chunks */
function nameOf(file) {
  return path.relative(directory, file).replace(/\.js$/, '').replaceAll(path.sep, '/');
}

/**
 * What `require` says in the text of a chunk, for modules that are not part of it.
 * @param {string} root @param {ReadonlySet<string>} shared modules that only `core` has
 * @returns {import('esbuild').Plugin}
 */
function otherChunks(root, shared) {
  return {
    name: 'other-chunks',
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind, path: wanted, resolveDir }) => {
        if (kind !== 'require-call') return null;
        const file = require.resolve(path.resolve(resolveDir, wanted));
        const chunk = chunkOf.get(file);
        if (file === root) return null;
        if (chunk !== undefined) return { path: `parallelizer:${chunk}`, external: true };
        if (shared.has(file) && chunkOf.get(root) !== 'core') {
          return { path: `parallelizer:core/${nameOf(file)}`, external: true };
        }
        return null;
      });
    },
  };
}

/**
 * @param {string} root @param {ReadonlySet<string>} shared
 * @param {import('esbuild').BuildOptions} [options]
 */
function bundle(root, shared, options = { entryPoints: [root] }) {
  return esbuild.build({
    absWorkingDir: directory,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    write: false,
    metafile: true,
    minifyWhitespace: true,
    minifySyntax: true,
    // V8 keeps text that is all ASCII in one byte a character.
    charset: 'ascii',
    legalComments: 'none',
    banner: { js: '(function (require, module) {' },
    footer: { js: '})' },
    logLevel: 'warning',
    plugins: [otherChunks(root, shared)],
    ...options,
  });
}

/** @param {string} root @returns {Promise<string[]>} the modules that it requires, without those of other roots */
async function modulesOf(root) {
  const { metafile } = await bundle(root, new Set());
  return Object.keys(/** @type {import('esbuild').Metafile} */ (metafile).inputs).map((file) => path.join(directory, file));
}

/** @returns {Promise<Set<string>>} the modules that several chunks require */
async function findShared() {
  const users = new Map();
  for (const root of chunkOf.keys()) {
    for (const file of await modulesOf(root)) users.set(file, (users.get(file) ?? 0) + 1);
  }
  return new Set([...users].filter(([, count]) => count > 1).map(([file]) => file));
}

/** What `core` exports: its root's exports, and its modules for those chunks that require them. @param {Iterable<string>} shared */
function coreEntry(shared) {
  const getters = [...shared].sort().map(
    (file) => `get ${JSON.stringify(nameOf(file))}() { return require(${JSON.stringify(`./${nameOf(file)}`)}); },`,
  );
  return `module.exports = {
    boot: (...args) => require(${JSON.stringify(`./${nameOf(path.join(directory, ROOTS.core))}`)}).boot(...args),
    ${getters.join('\n')}
  };`;
}

/** @param {string} output where the files go, `NAME.js` for each chunk */
async function bundleWorker(output) {
  const shared = await findShared();
  fs.mkdirSync(output, { recursive: true });
  for (const [root, chunk] of chunkOf) {
    const entry = chunk === 'core'
      ? { stdin: { contents: coreEntry(shared), resolveDir: directory, sourcefile: 'core.js' } }
      : { entryPoints: [root] };
    const { outputFiles } = await bundle(root, shared, entry);
    fs.writeFileSync(path.join(output, `${chunk}.js`), /** @type {import('esbuild').OutputFile[]} */ (outputFiles)[0].contents);
  }
}

if (require.main === module) {
  const [output] = process.argv.slice(2);
  if (output === undefined) throw new Error('usage: node scripts/bundle-worker.js DIRECTORY');
  bundleWorker(output);
}

module.exports = { ROOTS, bundleWorker };
