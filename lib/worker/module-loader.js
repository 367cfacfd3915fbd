'use strict';

/**
 * Finds the user's function: loads its module, be it CommonJS or an ES module, and looks up the export.
 *
 * Must not depend on what the function is for.
 */

const { packageType } = require('../package/package-type');

/**
 * What loads modules that are no chunks of this library's.
 * @typedef {object} Loaders
 * @property {NodeRequire} require
 * @property {any} Module the class that `node:module` exports, which takes a millisecond to load
 * @property {(url: string) => Promise<Record<string, unknown>>} import
 */

/** The codes of errors by which `require` says that a file can only be imported. */
const IMPORT_ONLY = ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_CYCLE_MODULE'];

/**
 * @param {string} filePath absolute
 * @param {Loaders} loaders
 * @returns {Record<string, unknown> | Promise<Record<string, unknown>>} the module's exports; a promise for an ES
 *   module. Throws, or rejects with, what loading threw
 */
function loadModule(filePath, loaders) {
  /** @param {string} file */
  const viaImport = (file) => loaders.import(loaders.require('node:url').pathToFileURL(file).href);
  if (isEsModule(filePath)) return viaImport(filePath);
  // As if the module required itself: resolving for a script without a file would search other folders first.
  const ownRequire = loaders.Module.createRequire(filePath);
  try {
    return ownRequire(filePath);
  } catch (error) {
    if (!IMPORT_ONLY.includes(/** @type {NodeJS.ErrnoException} */ (error)?.code ?? '')) throw error;
    // `import` finds no file whose extension is left out, and no directory's.
    return viaImport(ownRequire.resolve(filePath));
  }
}

/**
 * Whether the file is an ES module by its name or by its package. `require` could load most of those as well, but some
 * versions of Node print a warning then.
 * @param {string} filePath
 */
function isEsModule(filePath) {
  return /\.m[jt]s$/.test(filePath) || (/\.[jt]s$/.test(filePath) && packageType(filePath) === 'module');
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
