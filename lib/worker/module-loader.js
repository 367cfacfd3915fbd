'use strict';

/**
 * Finds the user's function: loads the module, CommonJS or ES module, and looks the export up.
 *
 * May not know what the function is for.
 */

/** What `require` says when a file can only be imported. */
const IMPORT_ONLY = new Set(['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE', 'ERR_REQUIRE_CYCLE_MODULE']);

/**
 * @param {string} filePath absolute
 * @param {NodeRequire} nodeRequire
 * @param {(url: string) => Promise<Record<string, unknown>>} load the dynamic `import`
 * @returns {Record<string, unknown> | Promise<Record<string, unknown>>} what the module exports; a promise for an ES
 *   module. Throws, or rejects with, what loading threw
 */
function loadModule(filePath, nodeRequire, load) {
  const viaImport = () => load(nodeRequire('node:url').pathToFileURL(filePath).href);
  if (isEsModule(filePath, nodeRequire)) return viaImport();
  try {
    // As if it required itself: resolving for a script without a file would read other folders first.
    return nodeRequire('node:module').createRequire(filePath)(filePath);
  } catch (error) {
    if (IMPORT_ONLY.has(/** @type {NodeJS.ErrnoException} */ (error)?.code ?? '')) return viaImport();
    throw error;
  }
}

/**
 * Whether the file is an ES module by its name or by the package that it lies in. `require` could load most of those
 * too, but some versions of Node print a warning then.
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
    // Asked first: an exception for each folder without one would cost more than all the rest.
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8')).type === 'module';
      } catch {
        return false; // Node will tell.
      }
    }
    if (folder === path.dirname(folder)) return false;
  }
}

/**
 * @param {string} filePath
 * @param {string} name
 * @param {unknown} loaded
 * @returns {Function}
 */
function findFunction(filePath, name, loaded) {
  const exported = /** @type {Record<string, unknown> | null | undefined} */ (loaded);
  const inner = /** @type {Record<string, unknown> | null | undefined} */ (exported?.default);
  // `import` of a CommonJS module has its exports under `default`, as `require` of a transpiled one has.
  const candidates = [exported?.[name], inner?.[name], name === 'default' ? exported : undefined];
  // Every object has `toString` and its like; methods of a class of the user's count.
  const builtIn = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (Object.prototype))[name];
  const found = candidates.find((candidate) => typeof candidate === 'function' && candidate !== builtIn);
  if (found !== undefined) return /** @type {Function} */ (found);
  const isTable = (typeof exported === 'object' && exported !== null) || typeof exported === 'function';
  throw require('../errors').moduleError(filePath, { functionName: name, exports: isTable ? Object.keys(exported) : [] });
}

module.exports = { loadModule, findFunction };
