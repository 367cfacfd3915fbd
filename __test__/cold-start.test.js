'use strict';
// What a caller waits for before the first worker starts, and what every worker loads: each module counts.

const assert = require('node:assert/strict');
const path = require('node:path');
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
  const lambda = () => require(${JSON.stringify(path.join(root, 'lambda.js'))});
`;

/** A process as AWS Lambda starts it. */
const ON_LAMBDA = {
  execArgv: ['--expose-gc', '--max-old-space-size=1000'],
  env: { AWS_LAMBDA_FUNCTION_NAME: 'orders', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '3538' },
};

const OPTIONS = "{ filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 }";
const HANDLER = "{ filePath: fixture('lambda-worker.js'), recordFunctionName: 'plainTrace', parallelization: 1 }";

/** What only handlers need is in files of their own. */
const isOfHandlers = (name) => name.startsWith('lib/lambda/') || name.startsWith('lib/events/');

test('what the published index.js has is what is loaded before a worker starts, and no more', async (t) => {
  const before = async (make, options) => {
    const { messages } = await run(t, asynchronous(`${LOADED}
      const instance = ${make};
      const names = JSON.stringify(loaded);
      await (instance.parallelizer ?? instance).terminate();
      console.log(names);
    `), options);
    return messages[0];
  };
  const loaded = [
    ...(await before('new library.Pool(1)')),
    ...(await before(`new library.Parallelizer(${OPTIONS})`)),
    ...(await before('new library.Pool(1)', ON_LAMBDA)),
    ...(await before(`lambda().createHandler(${HANDLER})`, ON_LAMBDA)),
  ];
  const others = loaded.filter((name) => isOfHandlers(name) && !FIRST.includes(name));
  assert.deepEqual([...new Set(loaded)].filter((name) => !others.includes(name)).sort(), [...FIRST].sort());
  // Handlers have one file for what answers an event, and the records are in another one.
  assert.deepEqual(others.filter((name) => name.startsWith('lib/events/')), []);
});

test('what the published package has in its next file is loaded before the first result', async (t) => {
  // The rest follows in a turn of its own: once there is a result, or at once where there is no child process.
  const next = async (make, call, { isAtOnce = false, ...options } = {}) => {
    const { messages } = await run(t, asynchronous(`${LOADED}
      const instance = ${make};
      const submitted = ${call};
      if (!${isAtOnce}) await submitted;
      const names = [...loaded, ...loadedNext];
      await submitted;
      await (instance.parallelizer ?? instance).terminate();
      console.log(JSON.stringify(names));
    `), options);
    return messages[0];
  };
  const echo = "{ filePath: fixture('security.js'), name: 'echo' }";
  const threads = "new library.Pool(1, { type: 'worker-threads' })";
  const records = "Array.from({ length: 100 }, (_, i) => ({ do: 'pid', topic: 'orders', offset: i }))";
  const messages = `Array.from({ length: 100 }, (_, i) => ({
    messageId: String(i), eventSource: 'aws:sqs', eventSourceARN: 'arn:aws:sqs:eu-central-1:1:orders', body: '{}',
    receiptHandle: 'r', attributes: {}, messageAttributes: {},
  }))`;
  const loaded = new Set([
    ...(await next('new library.Pool(1)', `instance.apply(${echo}, [1])`)),
    ...(await next('new library.Pool(1)', `instance.map(${echo}, [1])`)),
    ...(await next(threads, `instance.apply(${echo}, [1])`, { isAtOnce: true })),
    ...(await next(`new library.Parallelizer(${OPTIONS})`, `instance.run(${records})`)),
    ...(await next(`lambda().createHandler(${HANDLER})`, `instance({ Records: ${messages} }, {})`, ON_LAMBDA)),
  ]);
  const chunks = [
    'lib/carriers/native-ring.js', 'lib/carriers/process-carrier.js', 'lib/carriers/shared-chunks.js',
    'lib/carriers/thread-carrier.js', 'lib/host/heap-flags.js', 'lib/transport/thread-channel.js',
  ];
  const others = [...FIRST, ...chunks];
  assert.deepEqual([...loaded].filter((name) => !others.includes(name) && !isOfHandlers(name)).sort(), NEXT);
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

test('a process whose output is forwarded makes no streams before something is printed', async (t) => {
  const { messages } = await run(t, asynchronous(`
    const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(1, { stdio: 'forward' });
    const hasStreams = () => process.moduleLoadList.includes('NativeModule stream');
    const before = await pool.apply(hasStreams);
    await pool.apply(() => console.log('printed'));
    console.log(JSON.stringify([before, await pool.apply(hasStreams)]));
    await pool.terminate();
  `));
  assert.deepEqual(messages, [[false, true]]);
});
