'use strict';
// What a caller waits for before the first worker starts, and what every worker loads: each module counts.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { FIRST, NEXT } = require('../scripts/bundle-package');
const { root } = require('./support/helpers');
const { asynchronous, run } = require('./support/scripts');

/** The modules that are loaded before the native pool is made, which starts the workers, and after. */
const LOADED = `
  const path = require('node:path');
  const Module = require('node:module');
  const loaded = [];
  const loadedNext = [];
  let isStarted = false;
  const load = Module._extensions['.js'];
  Module._extensions['.js'] = (module, file) => {
    const name = path.relative(${JSON.stringify(root)}, file);
    if (name === 'index.js' || name.startsWith('lib/')) (isStarted ? loadedNext : loaded).push(name);
    return load(module, file);
  };
  const loadAddon = Module._extensions['.node'];
  Module._extensions['.node'] = (module, file) => {
    loadAddon(module, file);
    const { NativePool } = module.exports;
    module.exports = { ...module.exports, NativePool: new Proxy(NativePool, {
      construct(target, args, newTarget) {
        isStarted = true;
        return Reflect.construct(target, args, newTarget);
      },
    }) };
  };
  // The prelude of these programs has loaded the package.
  for (const file of Object.keys(require.cache)) if (file !== __filename) delete require.cache[file];
  const library = require(${JSON.stringify(root)});
`;

test('what the published index.js has is what is loaded before a worker starts, and no more', async (t) => {
  const before = async (make) => {
    const { messages } = await run(t, asynchronous(`${LOADED}
      const instance = ${make};
      await instance.terminate();
      console.log(JSON.stringify(loaded));
    `));
    return messages[0];
  };
  const byPool = await before('new library.Pool(1)');
  const options = "{ filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 }";
  const byParallelizer = await before(`new library.Parallelizer(${options})`);
  assert.deepEqual([...new Set([...byPool, ...byParallelizer])].sort(), [...FIRST].sort());
});

test('what the published package has in its next file is loaded before the first result', async (t) => {
  const next = async (make, call) => {
    const { messages } = await run(t, asynchronous(`${LOADED}
      const instance = ${make};
      const submitted = ${call};
      const names = [...loaded, ...loadedNext];
      await submitted;
      await instance.terminate();
      console.log(JSON.stringify(names));
    `));
    return messages[0];
  };
  const echo = "{ filePath: fixture('security.js'), name: 'echo' }";
  const options = "{ filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 }";
  const loaded = new Set([
    ...(await next('new library.Pool(1)', `instance.apply(${echo}, [1])`)),
    ...(await next('new library.Pool(1)', `instance.map(${echo}, [1])`)),
    ...(await next("new library.Pool(1, { type: 'worker-threads' })", `instance.apply(${echo}, [1])`)),
    ...(await next(`new library.Parallelizer(${options})`, "instance.run([{ do: 'pid' }])")),
  ]);
  const chunks = [
    'lib/carriers/process-carrier.js', 'lib/carriers/thread-carrier.js', 'lib/host/heap-flags.js',
    'lib/transport/thread-channel.js',
  ];
  const others = [...FIRST, ...chunks];
  assert.deepEqual([...loaded].filter((name) => !others.includes(name)).sort(), NEXT);
});

test('neither the caller nor a worker loads the performance hooks of Node', async (t) => {
  const names = "process.moduleLoadList.filter((name) => / perf_hooks$/.test(name))";
  const { messages } = await run(t, asynchronous(`
    const bare = ${names};
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(1);
    const inWorker = await pool.apply(() => ${names});
    const here = ${names};
    await pool.terminate();
    console.log(JSON.stringify([bare, here, inWorker]));
  `));
  const [bare, here, inWorker] = messages[0];
  // Some versions of Node have them from the start.
  assert.deepEqual(here, bare);
  if (bare.length === 0) assert.deepEqual(inWorker, []);
});
