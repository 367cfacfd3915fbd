'use strict';

/**
 * Finds the user's function: loads its module, be it CommonJS or an ES module, and looks up the export.
 *
 * Must not depend on what the function is for.
 */

const { parse } = JSON;

/** The codes of errors by which `require` says that a file can only be imported. */
const IMPORT_ONLY = ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_CYCLE_MODULE'];

/**
 * @param {string} filePath absolute
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load the dynamic `import`
 * @returns {Record<string, unknown> | Promise<Record<string, unknown>>} the module's exports; a promise for an ES
 *   module. Throws, or rejects with, what loading threw
 */
function loadModule(filePath, nodeRequire, load) {
  const viaImport = () => load(nodeRequire('node:url').pathToFileURL(filePath).href);
  if (isEsModule(filePath, nodeRequire)) return viaImport();
  try {
    // As if the module required itself: resolving for a script without a file would search other folders first.
    return nodeRequire('node:module').createRequire(filePath)(filePath);
  } catch (error) {
    if (IMPORT_ONLY.includes(/** @type {NodeJS.ErrnoException} */ (error)?.code ?? '')) return viaImport();
    throw error;
  }
}

/**
 * Whether the file is an ES module by its name or by its package. `require` could load most of those as well, but some
 * versions of Node print a warning then.
 * @param {string} filePath @param {NodeRequire} nodeRequire
 */
function isEsModule(filePath, nodeRequire) {
  if (/\.m[jt]s$/.test(filePath)) return true;
  if (!/\.[jt]s$/.test(filePath)) return false;
  const path = nodeRequire('node:path');
  const fs = nodeRequire('node:fs');
  for (let folder = path.dirname(filePath); ; folder = path.dirname(folder)) {
    if (path.basename(folder) === 'node_modules') return false;
    const file = path.join(folder, 'package.json');
    const text = readIfThere(file, fs);
    if (text !== null) {
      try {
        return parse(text).type === 'module';
      } catch {
        return false; // Node will report it.
      }
    }
    if (folder === path.dirname(folder)) return false;
  }
}

/**
 * A file's text; `null` where there is no such file, or none that this process may read.
 * @param {string} file @param {typeof import('node:fs')} fs
 */
function readIfThere(file, fs) {
  try {
    // Asked first: an exception for each folder without one would cost more than all the rest.
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null;
  } catch {
    return null; // Under Node's permission model, even the question may be refused.
  }
}

/**
 * @param {string} filePath
 * @param {string} name
 * @param {unknown} loaded
 * @returns {Function}
 */
function findFunction(filePath, name, loaded) {
  const found = candidatesOf(name, loaded).find((candidate) => typeof candidate === 'function');
  if (found !== undefined) return /** @type {Function} */ (found);
  throw noSuchExport(filePath, name, loaded);
}

/**
 * An export that need not be a function.
 * @param {string} filePath @param {string} name @param {unknown} loaded
 */
function findExport(filePath, name, loaded) {
  const found = candidatesOf(name, loaded).find((candidate) => candidate !== undefined);
  if (found !== undefined) return found;
  throw noSuchExport(filePath, name, loaded);
}

/** @param {string} name @param {unknown} loaded @returns {unknown[]} */
function candidatesOf(name, loaded) {
  const exported = /** @type {Record<string, unknown> | null | undefined} */ (loaded);
  const inner = /** @type {Record<string, unknown> | null | undefined} */ (exported?.default);
  // `import` of a CommonJS module has its exports under `default`; so has `require` of a transpiled module.
  const candidates = [exported?.[name], inner?.[name], name === 'default' ? exported : undefined];
  // Every object inherits `toString` and the like. Methods of a class of the user's count.
  const builtIn = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (Object.prototype))[name];
  return candidates.filter((candidate) => candidate !== builtIn);
}

/** @param {string} filePath @param {string} name @param {unknown} loaded */
function noSuchExport(filePath, name, loaded) {
  const exported = /** @type {Record<string, unknown> | null | undefined} */ (loaded);
  const isTable = (typeof exported === 'object' && exported !== null) || typeof exported === 'function';
  const exports = isTable ? Object.keys(exported) : [];
  return require('../errors').moduleError(filePath, { functionName: name, exports });
}

module.exports = { loadModule, findExport, findFunction };
