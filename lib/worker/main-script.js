'use strict';

/**
 * What a worker process evaluates whose main module is the addon (`node parallelizer.node`). It begins a millisecond or
 * two sooner than `node -e`, for which Node loads what it takes to import modules.
 *
 * 1. The addon calls it with its exports while Node loads it, if the process is marked.
 * 2. Node holds a lock while it loads an addon, so all else waits until the main module has ended.
 * 3. Somebody else has loaded it if it is not the main module: a program that is no Node, and has the mark as well.
 * 4. The user's module finds no main module, as after `node -e`, and the addon is not among those that were required.
 *
 * A text, embedded in the addon, as the chunks are; see `boot-script.js`.
 */

const { LOAD_CORE, WORKER_VARIABLE } = require('./boot-script');

const MAIN_SCRIPT = `(native) => {
  const { mainModule: main, nextTick } = process;
  if (main?.exports === native) nextTick(() => {
    delete process.env.${WORKER_VARIABLE};
    const { constructor: Module, filename } = main;
    const require = Module.createRequire(filename);
    delete require.cache[filename];
    delete process.mainModule;
    let importer = null;
    function compileImporter() {
      const module = new Module(filename);
      module._compile('module.exports = (url) => import(url);', filename, 'commonjs');
      return module.exports;
    }
    ${LOAD_CORE}
    const loaders = { require, Module, import: (url) => (importer ??= compileImporter())(url) };
    load('parallelizer:core').boot(native, loaders, false);
  });
}`;

module.exports = { MAIN_SCRIPT };
