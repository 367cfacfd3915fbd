'use strict';

/**
 * Cuts a program into chunks, with esbuild: few files instead of many, and what is seldom needed in files of its own,
 * which are loaded when they are first required.
 *
 * 1. Each root becomes a chunk with everything that only it requires.
 * 2. What several roots require goes into the first one, the core.
 * 3. Where the text of a chunk requires the root of another one, `requireOf` says what it requires instead; where it
 *    requires a module of the core, the property `modules` of the core's exports has it. A module is evaluated when it
 *    is first required, as ever.
 *
 * A root too few costs time at the start, and nothing else. Comments and white space are removed; names stay as they
 * are, for stack traces.
 */

const path = require('node:path');
const esbuild = require('esbuild');

const directory = path.join(__dirname, '..');

/**
 * @typedef {object} Cut
 * @property {Record<string, string>} roots the file that each chunk begins with, by the chunk's name; the core first
 * @property {(chunk: string, from: string) => string} requireOf what another chunk requires instead of a chunk's root
 * @property {string} modules an expression for the property of the core's exports that has its modules
 * @property {(file: string, from: string) => string | null} [external] what is required instead of a file that stays
 *   outside
 * @property {import('esbuild').BuildOptions} [options]
 */

/** @param {string} file @returns {string} by which a module of the core is known to other chunks */
function nameOf(file) {
  return path.relative(directory, file).replace(/\.js$/, '').replaceAll(path.sep, '/');
}

/**
 * @param {Cut} cut
 * @param {string} chunk
 * @param {ReadonlySet<string>} shared modules that only the core has
 * @returns {import('esbuild').Plugin}
 */
function otherChunks({ roots, requireOf, modules, external = () => null }, chunk, shared) {
  const [core] = Object.keys(roots);
  const chunkOf = new Map(Object.entries(roots).map(([name, file]) => [path.join(directory, file), name]));
  return {
    name: 'other-chunks',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /.*/, namespace: 'shared' }, ({ path: wanted }) => ({ path: wanted, external: true }));
      onResolve({ filter: /^\./ }, ({ kind, path: wanted, resolveDir }) => {
        if (kind !== 'require-call') return null;
        const place = path.resolve(resolveDir, wanted);
        const replacement = external(place, chunk);
        if (replacement !== null) return { path: replacement, external: true };
        const file = require.resolve(place);
        const other = chunkOf.get(file);
        if (other === chunk) return null;
        if (other !== undefined) return { path: requireOf(other, chunk), external: true };
        if (chunk !== core && shared.has(file)) return { path: file, namespace: 'shared' };
        return null;
      });
      onLoad({ filter: /.*/, namespace: 'shared' }, ({ path: file }) => {
        const required = `require(${JSON.stringify(requireOf(core, chunk))})`;
        const contents = `module.exports = ${required}${modules}[${JSON.stringify(nameOf(file))}];`;
        return { contents, resolveDir: directory };
      });
    },
  };
}

/**
 * @param {Cut} cut @param {string} chunk @param {ReadonlySet<string>} shared
 * @param {import('esbuild').BuildOptions} entry
 */
async function bundle(cut, chunk, shared, entry) {
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
    logLevel: 'warning',
    plugins: [otherChunks(cut, chunk, shared)],
    ...cut.options,
    ...entry,
  });
}

/** @param {Cut} cut @returns {Promise<Set<string>>} the modules that several chunks require */
async function findShared(cut) {
  const users = new Map();
  for (const [chunk, root] of Object.entries(cut.roots)) {
    const { metafile } = await bundle(cut, chunk, new Set(), { entryPoints: [root] });
    for (const input of Object.keys(/** @type {import('esbuild').Metafile} */ (metafile).inputs)) {
      const file = path.join(directory, input);
      users.set(file, (users.get(file) ?? 0) + 1);
    }
  }
  return new Set([...users].filter(([, count]) => count > 1).map(([file]) => file));
}

/**
 * The core's root, and its modules for those chunks that require them.
 * @param {string} root @param {Cut} cut @param {Iterable<string>} shared
 */
function coreEntry(root, { modules }, shared) {
  const getters = [...shared].map(nameOf).sort().map(
    (name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(`./${name}`)}); },`,
  );
  return `const core = require(${JSON.stringify(`./${root}`)});
  Object.defineProperty(core, ${modules.slice(1, -1)}, { value: { ${getters.join('\n')} } });
  module.exports = core;`;
}

/** @param {Cut} cut @returns {Promise<Map<string, string>>} the text of each chunk, by its name */
async function cutIntoChunks(cut) {
  const shared = await findShared(cut);
  const [core] = Object.keys(cut.roots);
  const texts = new Map();
  for (const [chunk, root] of Object.entries(cut.roots)) {
    const entry = chunk === core
      ? { stdin: { contents: coreEntry(root, cut, shared), resolveDir: directory, sourcefile: 'entry.js' } }
      : { entryPoints: [root] };
    const { outputFiles } = await bundle(cut, chunk, shared, entry);
    texts.set(chunk, /** @type {import('esbuild').OutputFile[]} */ (outputFiles)[0].text);
  }
  return texts;
}

module.exports = { cutIntoChunks };
