'use strict';

/**
 * The smallest CommonJS loader. Workers load no file of this package, since a bundler would lose it: their modules are
 * texts that the addon holds. What every worker needs to start is compiled in one go (build.rs puts it together); each of
 * the others when it is first required.
 *
 * @param {Record<string, (module: object, exports: object, require: (id: string) => any) => void>} bundled
 * @param {(name: string) => string} sourceOf the text of any other module
 * @param {NodeRequire} nodeRequire
 */
module.exports = function createRequire(bundled, sourceOf, nodeRequire) {
  /** @type {Map<string, { exports: any }>} */
  const modules = new Map();

  /** @param {string} name */
  const compile = (name) =>
    nodeRequire('node:vm').compileFunction(sourceOf(name), ['module', 'exports', 'require'], {
      filename: `parallelizer:${name}`,
    });

  /** @param {string} id */
  return function own(id) {
    if (!id.startsWith('.')) return nodeRequire(id);
    const name = id.slice(id.lastIndexOf('/') + 1);
    let module = modules.get(name);
    if (module === undefined) {
      modules.set(name, (module = { exports: {} }));
      (bundled[name] ?? compile(name))(module, module.exports, own);
    }
    return module.exports;
  };
};
