'use strict';

// What users may pass to a Pool and its methods, what becomes of it, and the errors if it is wrong.

const { describe, test } = require('node:test');
const assert = require('node:assert/strict');
const vm = require('node:vm');
const {
  poolSettings, applyOptions, applyAsyncOptions, mapOptions, mapAsyncOptions, streamOptions, timeoutArgument,
} = require('../lib/options/pool-options');
const { usableCpus } = require('../lib/host/cpus');

/** An option error whose message names the option and says all of this. */
function refused(make, name, ...says) {
  assert.throws(make, (error) => {
    assert.equal(error.name, 'ParallelizerError');
    assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
    assert.ok(error.message.startsWith(`option "${name}" `), error.message);
    for (const part of says) assert.ok(error.message.includes(part), `${error.message} says ${part}`);
    return true;
  });
}

/** The object, and how often each of its properties was read. */
function counting(object) {
  const reads = {};
  const proxy = new Proxy(object, {
    get(target, key, receiver) {
      reads[key] = (reads[key] ?? 0) + 1;
      return Reflect.get(target, key, receiver);
    },
  });
  return { proxy, reads };
}

describe('new Pool', () => {
  const defaults = () => ({
    id: 'pool',
    type: 'child-process',
    filePath: null,
    functionName: null,
    workers: usableCpus(),
    debug: false,
    batchSize: 0,
    serialization: 'auto',
    timeout: 0,
    retries: 0,
    maxCallsPerWorker: 0,
    maxWorkerMemory: 0,
    idleTimeout: 0,
    maxQueue: null,
    env: null,
    execPath: null,
    execArgv: null,
    resourceLimits: null,
    stdio: 'inherit',
    spin: 'auto',
    gracePeriod: 500,
    shared: false,
    isGivenInline: false,
    remote: null,
    trace: false,
    concurrency: 1,
    initializer: null,
    initArgs: [],
  });

  test('the defaults, in each way of giving no options', () => {
    for (const given of [[], [undefined], [null], [undefined, {}], [null, undefined], [{}], [{ processes: null }]]) {
      assert.deepEqual(poolSettings(...given), defaults());
    }
  });

  test('all options, with the number as the first argument or among them', () => {
    const initializer = () => {};
    const options = {
      type: 'worker-threads',
      initializer,
      initArgs: ['a', { b: 1 }],
      maxTasksPerChild: 100,
      concurrency: 8,
      debug: true,
      serialization: 'advanced',
      timeout: 5000,
      retries: 2,
      maxWorkerMemory: 2 ** 30,
      idleTimeout: 1000,
      maxQueue: 0,
      env: { A: '1' },
      execPath: '/opt/node/bin/node',
      execArgv: ['--expose-gc'],
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      stdio: 'ignore',
      spin: false,
      gracePeriod: 0,
      shared: true,
      trace: true,
    };
    const expected = {
      id: 'pool',
      type: 'worker-threads',
      filePath: null,
      functionName: null,
      workers: 3,
      debug: true,
      batchSize: 0,
      serialization: 'advanced',
      timeout: 5000,
      retries: 2,
      maxCallsPerWorker: 100,
      maxWorkerMemory: 2 ** 30,
      idleTimeout: 1000,
      maxQueue: 0,
      env: Object.assign(Object.create(null), { A: '1' }),
      execPath: '/opt/node/bin/node',
      execArgv: ['--expose-gc'],
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      stdio: 'ignore',
      spin: false,
      gracePeriod: 0,
      shared: true,
      isGivenInline: false,
      remote: null,
      trace: true,
      concurrency: 8,
      initializer,
      initArgs: ['a', { b: 1 }],
    };
    assert.deepEqual(poolSettings(3, options), expected);
    assert.deepEqual(poolSettings({ processes: 3, ...options }), expected);
    assert.deepEqual(poolSettings(null, { processes: 3, ...options }), expected);
  });

  test('processes: a number of workers, 0 for inline', () => {
    for (const settings of [(processes) => poolSettings(processes), (processes) => poolSettings({ processes })]) {
      assert.deepEqual([settings(1).workers, settings(1024).workers], [1, 1024]);
      assert.deepEqual([settings(0).type, settings(0).workers], ['inline', 1]);
      for (const processes of [-1, NaN, 1.5, Infinity, 1025, '4', '', true, false, 4n, () => {}, Symbol('four')]) {
        refused(() => settings(processes), 'processes', 'from 0 (inline) to 1024');
      }
      refused(() => settings(-7), 'processes', '-7');
    }
    for (const processes of [{}, [4]]) refused(() => poolSettings({ processes }), 'processes', 'from 0 (inline)');
    assert.equal(poolSettings(0, { type: 'worker-threads' }).type, 'inline');
    assert.equal(poolSettings({ type: 'inline' }).workers, usableCpus());
    assert.equal(poolSettings(4, { type: 'inline' }).workers, 4);
  });

  test('nothing may be given twice', () => {
    refused(() => poolSettings(4, { processes: 4 }), 'processes', 'twice');
    refused(() => poolSettings(0, { processes: 0 }), 'processes', 'twice');
    for (const second of [{}, null, 4]) refused(() => poolSettings({ processes: 4 }, second), 'options', 'twice');
    assert.equal(poolSettings(4, { processes: undefined }).workers, 4);
  });

  test('what is not an options object is refused', () => {
    for (const input of [null, 7, 'x', [], () => {}]) refused(() => poolSettings(4, input), 'options', 'an object');
    refused(() => poolSettings([]), 'options', 'an object');
    refused(() => poolSettings([4]), 'options', 'an object');
  });

  test('what is wrong is named', () => {
    const bad = {
      type: ['child', '', 5, null, {}],
      maxTasksPerChild: [0, -1, 1.5, '1', null, Infinity],
      concurrency: [0, -1, 1.5, '2', null, NaN],
      debug: ['yes', 1],
      serialization: ['xml', '', null],
      timeout: [0, -1, NaN, '100', 2 ** 31, null],
      retries: [-1, 1.5, '1', null],
      maxWorkerMemory: [0, -1, '100MB', null],
      idleTimeout: [0, -1, '1', null],
      maxQueue: [-1, 1.5, '1', null],
      env: ['A=1', 5, ['A=1'], null],
      execArgv: ['--no-warnings', {}, null],
      resourceLimits: ['100', 5, []],
      stdio: ['pipe', 5, null],
      spin: ['always', true, null],
      gracePeriod: [-1, '1', NaN, null],
      initializer: [null],
    };
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values) {
        refused(() => poolSettings(2, { [name]: value }), name);
        refused(() => poolSettings({ [name]: value }), name);
      }
    }
    refused(() => poolSettings({ env: { A: 1 } }), 'env.A', 'a string');
    refused(() => poolSettings({ execArgv: [5] }), 'execArgv[0]', 'a string');
    refused(() => poolSettings({ resourceLimits: { stackSizeMb: 0 } }), 'resourceLimits.stackSizeMb', 'above 0');
  });

  test('an unknown option is refused, with the name that was probably meant', () => {
    refused(() => poolSettings({ process: 2 }), 'process', 'did you mean "processes"?');
    refused(() => poolSettings(2, { initargs: [] }), 'initargs', '"initArgs"?');
    refused(() => poolSettings(2, { maxTaskPerChild: 1 }), 'maxTaskPerChild', '"maxTasksPerChild"?');
    refused(() => poolSettings({ timeuot: 1 }), 'timeuot', '"timeout"?');
    // Options of Parallelizer that a Pool has under another name, or not at all.
    for (const name of ['filePath', 'processBatchFunctionName', 'parallelization', 'batchSize', 'tmpPath']) {
      refused(() => poolSettings({ [name]: 1 }), name, 'is not known');
    }
  });

  test('initializer: passed on as it is; initArgs: a list of arguments for it', () => {
    const reference = { filePath: '/srv/work.js', name: 'connect' };
    for (const initializer of [() => {}, reference, '/srv/work.js#connect', 7]) {
      const settings = poolSettings({ initializer });
      assert.equal(settings.initializer, initializer);
      assert.deepEqual(settings.initArgs, []);
    }
    for (const initArgs of ['x', 5, {}, null, new Set([1])]) {
      refused(() => poolSettings({ initializer: reference, initArgs }), 'initArgs', 'an array');
    }
    for (const initArgs of [[], [1]]) refused(() => poolSettings({ initArgs }), 'initArgs', 'needs "initializer"');
    assert.deepEqual(poolSettings({ initializer: reference, initArgs: vm.runInNewContext('[1, 2]') }).initArgs, [1, 2]);
  });

  test('objects of the caller are not changed, and later changes to them have no effect', () => {
    const options = { initializer: '/srv/a.js#b', initArgs: [[1]], env: { A: '1' }, execArgv: ['--expose-gc'] };
    const before = structuredClone(options);
    const settings = poolSettings(2, options);
    assert.deepEqual(options, before);
    options.initArgs.push(2);
    options.env.A = '2';
    options.execArgv.push('--more');
    assert.deepEqual(settings.initArgs, [[1]]);
    assert.equal(settings.env.A, '1');
    assert.deepEqual(settings.execArgv, ['--expose-gc']);
    for (const part of [settings, settings.initArgs, settings.env, settings.execArgv]) assert.ok(Object.isFrozen(part));
    assert.ok(!Object.isFrozen(settings.initArgs[0]), 'what is the user\'s stays as it is');
    assert.ok(Object.isFrozen(poolSettings().initArgs));
    assert.doesNotThrow(() => poolSettings(Object.freeze({ processes: 1 })));
  });

  test('each option is read once', () => {
    for (const given of [(options) => [options], (options) => [undefined, options]]) {
      const { proxy, reads } = counting({ processes: 2, initializer: 'a#b', initArgs: [], concurrency: 2, timeout: 5 });
      poolSettings(...given(proxy));
      assert.equal(reads.processes, 1);
      assert.deepEqual(new Set(Object.values(reads)), new Set([1]));
    }
  });

  test('the exception of a getter or a Proxy becomes the cause', () => {
    const problem = new Error('not today');
    const fails = () => {
      throw problem;
    };
    const cause = (make, name) => {
      refused(make, name, 'cannot be read', 'not today');
      assert.throws(make, (error) => error.cause === problem);
    };
    cause(() => poolSettings({ get processes() { return fails(); } }), 'processes');
    cause(() => poolSettings(2, { get initializer() { return fails(); } }), 'initializer');
    cause(() => poolSettings(new Proxy({}, { ownKeys: fails })), 'options');
    const initArgs = Object.assign([], { [Symbol.iterator]: fails });
    cause(() => poolSettings({ initializer: 'a#b', initArgs }), 'initArgs');
    for (const target of [{}, []]) {
      const { proxy, revoke } = Proxy.revocable(target, {});
      revoke();
      refused(() => poolSettings(proxy), 'options', 'cannot be read', 'revoked');
    }
  });
});

describe('the options of a call', () => {
  const { signal } = new AbortController();
  const onProgress = () => {};
  const callback = () => {};
  const errorCallback = () => {};
  const buffer = new ArrayBuffer(1);

  const onMessage = () => {};

  const call = { signal: null, timeout: null, retries: null, priority: 0, onMessage: null };
  const stream = { ...call, chunkSize: 0, onProgress: null, collect: false };
  const noTransfer = { transferList: null };
  const noCallbacks = { callback: null, errorCallback: null };

  const callGiven = { signal, timeout: 20, retries: 3, priority: -2, onMessage };
  const streamGiven = { ...callGiven, chunkSize: 5, onProgress, onError: 'collect' };
  const transferGiven = { transferList: [buffer] };
  const callbacksGiven = { callback, errorCallback };
  const callRead = { signal, timeout: 20, retries: 3, priority: -2, onMessage };
  const streamRead = { ...callRead, chunkSize: 5, onProgress, collect: true };

  /** Each function with its defaults, everything that it accepts, and what becomes of that. */
  const kinds = [
    [applyOptions, { ...call, ...noTransfer }, { ...callGiven, ...transferGiven }, { ...callRead, ...transferGiven }],
    [
      applyAsyncOptions,
      { ...call, ...noTransfer, ...noCallbacks },
      { ...callGiven, ...transferGiven, ...callbacksGiven },
      { ...callRead, ...transferGiven, ...callbacksGiven },
    ],
    [streamOptions, stream, streamGiven, streamRead],
    [
      mapOptions,
      { ...stream, ...noTransfer },
      { ...streamGiven, ...transferGiven },
      { ...streamRead, ...transferGiven },
    ],
    [
      mapAsyncOptions,
      { ...stream, ...noTransfer, ...noCallbacks },
      { ...streamGiven, ...transferGiven, ...callbacksGiven },
      { ...streamRead, ...transferGiven, ...callbacksGiven },
    ],
  ];

  const bad = {
    signal: [null, {}, true, 'SIGTERM', { aborted: true }, new AbortController()],
    timeout: [0, -1, NaN, Infinity, '5', 2 ** 31, null],
    retries: [-1, 1.5, '1', null],
    priority: [1.5, NaN, Infinity, '1', null],
    onMessage: ['x', 5, null, {}],
    chunkSize: [0, -1, 1.5, NaN, Infinity, '5', 5n, null],
    onProgress: ['x', 5, null, {}],
    onError: ['ignore', '', true, null, () => {}],
    transferList: [5, 'x', buffer, null],
    callback: ['x', 5, null, {}],
    errorCallback: ['x', 5, null, {}],
  };

  for (const [options, defaults, given, read] of kinds) {
    test(`${options.name}: the defaults, and all options`, () => {
      assert.deepEqual(options(), defaults);
      assert.deepEqual(options({}), defaults);
      assert.deepEqual(options(Object.fromEntries(Object.keys(given).map((name) => [name, undefined]))), defaults);
      assert.deepEqual(options(given), read);
      assert.deepEqual(options(Object.freeze({ ...given })), read);
    });

    test(`${options.name}: one object, which is frozen, for all calls without options`, () => {
      assert.equal(options(), options(undefined));
      assert.ok(Object.isFrozen(options()));
      assert.notEqual(options(given), options(given));
    });

    test(`${options.name}: what is refused`, () => {
      for (const input of [null, 5, 'x', true, [], () => {}]) refused(() => options(input), 'options', 'an object');
      for (const [name, values] of Object.entries(bad)) {
        if (!(name in given)) refused(() => options({ [name]: undefined }), name, 'is not known');
        else for (const value of values) refused(() => options({ ...given, [name]: value }), name);
      }
      refused(() => options({ timeuot: 1 }), 'timeuot', 'did you mean "timeout"?');
      refused(() => options({ entirelyElse: 1 }), 'entirelyElse', 'the names are', 'signal');
    });

    test(`${options.name}: each option is read once, and objects of the caller are not changed`, () => {
      const mine = { ...given };
      const { proxy, reads } = counting(mine);
      options(proxy);
      assert.deepEqual(reads, Object.fromEntries(Object.keys(given).map((name) => [name, 1])));
      assert.deepEqual(mine, given);
      const problem = new Error('not today');
      const failing = { get signal() { throw problem; } };
      refused(() => options(failing), 'signal', 'cannot be read', 'not today');
      assert.throws(() => options(failing), (error) => error.cause === problem);
    });
  }

  test('numbers at their limits', () => {
    assert.equal(mapOptions({ chunkSize: 1 }).chunkSize, 1);
    assert.equal(applyOptions({ retries: 0 }).retries, 0, '0 is not "the pool\'s"');
    assert.equal(applyOptions({ timeout: 0.5 }).timeout, 0.5);
    assert.equal(applyOptions({ timeout: 2 ** 31 - 1 }).timeout, 2 ** 31 - 1);
    refused(() => mapOptions({ chunkSize: 0 }), 'chunkSize', 'a positive integer', '0');
  });

  test('onError: two choices', () => {
    assert.equal(mapOptions({ onError: 'reject' }).collect, false);
    assert.equal(mapOptions({ onError: 'collect' }).collect, true);
    refused(() => mapOptions({ onError: 'settle' }), 'onError', "'reject' or 'collect'", "'settle'");
  });

  test('transferList: a copy', () => {
    const transferList = [buffer];
    const read = mapOptions({ transferList });
    transferList.push(new ArrayBuffer(2));
    assert.deepEqual(read.transferList, [buffer]);
    assert.equal(read.transferList[0], buffer);
    assert.ok(Object.isFrozen(read.transferList));
    refused(() => applyOptions({ transferList: [buffer, 1] }), 'transferList[1]', 'transferable');
  });
});

test('the timeout of an AsyncResult: none, or milliseconds from 0 on', () => {
  for (const value of [undefined, null]) assert.equal(timeoutArgument(value), null);
  assert.equal(timeoutArgument(), null);
  for (const value of [0, 0.5, 100, 2 ** 31 - 1]) assert.equal(timeoutArgument(value), value);
  for (const value of [-1, NaN, Infinity, 2 ** 31, '100', true, {}, 1n]) {
    refused(() => timeoutArgument(value), 'timeout', 'milliseconds from 0');
  }
});
