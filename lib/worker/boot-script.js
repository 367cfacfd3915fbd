'use strict';

/**
 * What a worker is told to evaluate when it starts: how it finds the chunks of `scripts/bundle-worker.js`, and which
 * one comes first. All of it is constant: no code is made of paths or data.
 *
 * Runs in the parent. Texts, not functions: a user's bundler or coverage tool would rewrite those.
 */

const { FLAGS_AT, FLAGS_END } = require('../package/code-cache');

/**
 * The environment variable that marks a process as started by this library until the first line of the script below: a
 * program that is no Node, and runs something else, knows itself by it.
 */
const WORKER_VARIABLE = 'PARALLELIZER_WORKER';
/** Its value in a process whose main module is the addon; `src/binding/worker_script.rs` has it too. */
const MAIN = 'main';
/** Its value in any other. */
const SCRIPT = '1';

/**
 * Evaluates to a `require` that knows chunks (`parallelizer:NAME`): `(textOf, codeCacheOf, nodeRequire) => require`.
 *
 * With a chunk's code cache V8 need not compile it, and a worker starts sooner. V8 refuses a cache that was made by
 * another version, of another text, or with other flags. The last of these is taken from it, by giving the cache the
 * hash of this process: a heap's limit is a flag as well, and no flag changes what the bytecode of these chunks means,
 * since they use no feature that depends on one. To ask for that hash takes half a millisecond, so a process without
 * flags asks for it only if the cache is refused as it is.
 */
const REQUIRE = `(textOf, codeCacheOf, nodeRequire) => {
  const { Script } = nodeRequire('node:vm');
  const chunks = new Map();
  let flags = null;
  let hasFlags = process.execArgv.length > 0 || process.env.NODE_OPTIONS !== undefined;
  function compile(filename, text, cachedData) {
    if (hasFlags && cachedData !== undefined) {
      flags ??= new Script('').createCachedData().subarray(${FLAGS_AT}, ${FLAGS_END});
      cachedData.set(flags, ${FLAGS_AT});
    }
    const script = new Script(text, { __proto__: null, filename, cachedData });
    if (hasFlags || !script.cachedDataRejected) return script;
    hasFlags = true;
    return compile(filename, text, cachedData);
  }
  return function require(id) {
    if (!id.startsWith('parallelizer:')) return nodeRequire(id);
    let chunk = chunks.get(id);
    if (chunk === undefined) {
      const name = id.slice(13);
      const script = compile(id, textOf(name), codeCacheOf(name) ?? undefined);
      chunks.set(id, (chunk = { exports: {} }));
      script.runInThisContext()(require, chunk);
    }
    return chunk.exports;
  };
}`;

/** What the script is that Node was given as text, for `lib/worker/module-loader.js`. */
const LOADERS = '{ require, Module: module.constructor, import: (url) => import(url) }';

/** For processes: loads the first chunk out of the addon, with `native`, the addon, and `require`. */
const LOAD_CORE = `
const codeCacheOf = (name) => native.workerCodeCache(name, process.versions.v8);
const load = (${REQUIRE})(native.workerChunk, codeCacheOf, require);
`;

/** For processes, after `node -e`; the path of the addon is their argument. */
const PROCESS_SCRIPT = `{
delete process.env.${WORKER_VARIABLE};
process.dlopen(module, process.argv[1]);
const native = module.exports;
${LOAD_CORE}
load('parallelizer:core').boot(native, ${LOADERS}, true);
}`;

/**
 * For threads; `workerData` has the memory with the texts of all chunks and their code caches, which are copied out of
 * it (`lib/carriers/shared-chunks.js`), and what `--import` names: Node does not import it in a thread whose script is
 * a text.
 */
const THREAD_SCRIPT = `{
const { chunks: { memory, places }, imports } = require('node:worker_threads').workerData;
const { from, prototype: { latin1Slice } } = Buffer;
const { Uint8Array } = globalThis;
const textOf = (name) => {
  const { 0: start, 1: end } = places[name];
  return Reflect.apply(latin1Slice, from(memory, start, end - start), []);
};
const codeCacheOf = (name) => {
  const { 1: start, 2: end } = places[name];
  return start === end ? null : new Uint8Array(from(memory, start, end - start));
};
const boot = () => {
  const load = (${REQUIRE})(textOf, codeCacheOf, require);
  load('parallelizer:thread').bootThread(${LOADERS});
};
if (imports.length === 0) boot();
else imports.reduce((before, each) => before.then(() => import(each)), Promise.resolve()).then(boot);
}`;

module.exports = { LOAD_CORE, LOADERS, MAIN, PROCESS_SCRIPT, REQUIRE, SCRIPT, THREAD_SCRIPT, WORKER_VARIABLE };
