'use strict';

/**
 * Cuts a program into chunks, with esbuild: few files instead of many, and what is seldom needed in files of its own,
 * which are loaded when they are first required.
 *
 * 1. Each root becomes a chunk with everything that only it requires.
 * 2. What several roots require goes into the first one, the core.
 * 3. Where the modules are named that a program begins with, the core has these only. Those that it needs next may be
 *    named too, and are in a chunk `next`. What else the core or several roots require is in a chunk `later`. Both export
 *    their modules by their names.
 * 4. Where the text of a chunk requires the root of another one, `requireOf` says what it requires instead; where it
 *    requires a module of the core, the property `modules` of the core's exports has it. A module is evaluated when it
 *    is first required, as ever.
 *
 * A root too few costs time at the start, and nothing else. Comments and white space are removed; names stay as they
 * are, for stack traces.
 */

const path = require('node:path');
const esbuild = require('esbuild');

const directory = path.join(__dirname, '..');

/** How a file is written that is no chunk of a cut, too. @satisfies {import('esbuild').BuildOptions} */
const OUTPUT = {
  absWorkingDir: directory,
  bundle: true,
  platform: /** @type {const} */ ('node'),
  // Optional ones, which users install; and there is one of each in a process.
  packages: /** @type {const} */ ('external'),
  target: 'node20',
  format: /** @type {const} */ ('cjs'),
  write: /** @type {const} */ (false),
  minifyWhitespace: true,
  minifySyntax: true,
  // V8 keeps text that is all ASCII in one byte a character.
  charset: /** @type {const} */ ('ascii'),
  legalComments: /** @type {const} */ ('none'),
  logLevel: /** @type {const} */ ('warning'),
};

/** The chunk with what the core needs next, and that with what it needs later. */
const NEXT = 'next';
const LATER = 'later';

/**
 * @typedef {object} Cut
 * @property {Record<string, string>} roots the file that each chunk begins with, by the chunk's name; the core first
 * @property {readonly string[]} [first] the modules that the program begins with, the root of the core among them
 * @property {readonly string[]} [next] the modules that it needs next
 * @property {(chunk: string, from: string) => string} requireOf what another chunk requires instead of a chunk's root
 * @property {string} modules an expression for the property of the core's exports that has its modules
 * @property {(file: string, from: string) => string | null} [external] what is required instead of a file that stays
 *   outside
 * @property {(file: string) => string | null} [contentsOf] what a file has instead of what it has
 * @property {import('esbuild').BuildOptions} [options]
 */

/** @param {string} file @returns {string} by which a module of the core is known to other chunks */
function nameOf(file) {
  return path.relative(directory, file).replace(/\.js$/, '').replaceAll(path.sep, '/');
}

/**
 * @param {Cut} cut
 * @param {string} chunk
 * @param {ReadonlyMap<string, string>} shared the only chunk that has each of these modules
 * @returns {import('esbuild').Plugin}
 */
function otherChunks(cut, chunk, shared) {
  const { roots, requireOf, modules, external = () => null, contentsOf = () => null } = cut;
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
        const home = shared.get(file) ?? chunk;
        return home === chunk ? null : { path: nameOf(file), namespace: 'shared', pluginData: home };
      });
      onLoad({ filter: /.*/, namespace: 'shared' }, ({ path: name, pluginData: home }) => {
        const property = [NEXT, LATER].includes(home) ? '' : modules;
        const required = `require(${JSON.stringify(requireOf(home, chunk))})${property}`;
        const contents = `module.exports = ${required}[${JSON.stringify(name)}];`;
        return { contents, resolveDir: directory };
      });
      onLoad({ filter: /.*/, namespace: 'file' }, ({ path: file }) => {
        const contents = contentsOf(file);
        return contents === null ? null : { contents, loader: 'js' };
      });
    },
  };
}

/**
 * @param {Cut} cut @param {string} chunk @param {ReadonlyMap<string, string>} shared
 * @param {import('esbuild').BuildOptions} entry
 */
async function bundle(cut, chunk, shared, entry) {
  return esbuild.build({
    ...OUTPUT,
    metafile: true,
    plugins: [otherChunks(cut, chunk, shared)],
    ...cut.options,
    ...entry,
  });
}

/**
 * The modules that several chunks require, and the chunk that has each.
 * @param {Cut} cut @returns {Promise<Map<string, string>>}
 */
async function findShared(cut) {
  const [core] = Object.keys(cut.roots);
  const named = (/** @type {readonly string[]} */ files = []) => new Set(files.map((file) => path.join(directory, file)));
  const first = named(cut.first);
  const next = named(cut.next);
  const users = new Map();
  for (const [chunk, root] of Object.entries(cut.roots)) {
    const { metafile } = await bundle(cut, chunk, new Map(), { entryPoints: [root] });
    for (const input of Object.keys(/** @type {import('esbuild').Metafile} */ (metafile).inputs)) {
      const file = path.join(directory, input);
      // What the core has is another chunk's as well, where there is one for what it needs later.
      users.set(file, (users.get(file) ?? 0) + (chunk === core && cut.first ? 2 : 1));
    }
  }
  const shared = [...users].filter(([, count]) => count > 1);
  const homeOf = (/** @type {string} */ file) =>
    (!cut.first || first.has(file) ? core : next.has(file) ? NEXT : LATER);
  return new Map(shared.map(([file]) => [file, homeOf(file)]));
}

/** Modules by their names, each evaluated when it is first asked for. @param {readonly string[]} files */
function gettersOf(files) {
  const getters = files.map(nameOf).sort().map(
    (name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(`./${name}`)}); },`,
  );
  return `{ ${getters.join('\n')} }`;
}

/**
 * The core's root, and its modules for those chunks that require them.
 * @param {string} root @param {Cut} cut @param {readonly string[]} files
 */
function coreEntry(root, { modules }, files) {
  return `const core = require(${JSON.stringify(`./${root}`)});
  Object.defineProperty(core, ${modules.slice(1, -1)}, { value: ${gettersOf(files)} });
  module.exports = core;`;
}

/** @param {Cut} cut @returns {Promise<Map<string, string>>} the text of each chunk, by its name */
async function cutIntoChunks(cut) {
  const shared = await findShared(cut);
  const [core] = Object.keys(cut.roots);
  const filesOf = (/** @type {string} */ home) => [...shared].filter(([, each]) => each === home).map(([file]) => file);
  /** @type {(contents: string) => import('esbuild').BuildOptions} */
  const made = (contents) => ({ stdin: { contents, resolveDir: directory, sourcefile: 'entry.js' } });
  /** @type {[chunk: string, entry: import('esbuild').BuildOptions][]} */
  const entries = Object.entries(cut.roots).map(([chunk, root]) =>
    [chunk, chunk === core ? made(coreEntry(root, cut, filesOf(core))) : { entryPoints: [root] }]);
  for (const chunk of cut.first ? [...(cut.next ? [NEXT] : []), LATER] : []) {
    entries.push([chunk, made(`module.exports = ${gettersOf(filesOf(chunk))};`)]);
  }
  const texts = new Map();
  for (const [chunk, entry] of entries) {
    const { outputFiles } = await bundle(cut, chunk, shared, entry);
    texts.set(chunk, /** @type {import('esbuild').OutputFile[]} */ (outputFiles)[0].text);
  }
  return texts;
}

module.exports = { OUTPUT, cutIntoChunks };
