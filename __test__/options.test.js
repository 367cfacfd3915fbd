'use strict';

// What users may pass, what becomes of it, and the errors if it is wrong.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const vm = require('node:vm');
const { pathToFileURL } = require('node:url');
const { parallelizerOptions, runOptions } = require('../lib/options/options');
const { usableCpus } = require('../lib/host/cpus');

const REQUIRED = Object.freeze({ filePath: '/srv/child.js', processBatchFunctionName: 'batchProcessor' });

/** The only pool of an instance that is made with these options and the required ones. */
const pool = (options = {}) => parallelizerOptions({ ...REQUIRED, ...options }).entries[0];

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

/** Runs with these variables in the environment, and removes them afterwards. */
function withEnvironment(variables, run) {
  Object.assign(process.env, variables);
  try {
    return run();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

test('the defaults', () => {
  assert.deepEqual(pool(), {
    id: 'single-process',
    type: 'child-process',
    isGivenInline: false,
    filePath: path.resolve('/srv/child.js'),
    functionName: 'batchProcessor',
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
    remote: null,
    trace: false,
  });
});

test('an option that is undefined takes its default', () => {
  const names = [
    'id', 'type', 'parallelization', 'parallelizationPerCPU', 'tmpPath', 'debug', 'batchSize', 'serialization',
    'timeout', 'retries', 'maxBatchesPerWorker', 'maxWorkerMemory', 'idleTimeout', 'maxQueue', 'env', 'execPath',
    'execArgv', 'resourceLimits', 'stdio', 'spin', 'gracePeriod', 'shared',
    'trace',
  ];
  assert.deepEqual(pool(Object.fromEntries(names.map((name) => [name, undefined]))), pool());
});

test('null passes only for optional options that the ancestor had', () => {
  const unset = { id: null, parallelization: null, parallelizationPerCPU: null, tmpPath: null, debug: null };
  assert.deepEqual(pool(unset), pool());
  for (const name of ['type', 'batchSize', 'timeout', 'retries', 'env', 'execArgv', 'stdio', 'spin', 'maxQueue']) {
    refused(() => pool({ [name]: null }), name, 'got');
  }
});

test('every option arrives', () => {
  assert.deepEqual(
    pool({
      id: 'ignored without a list',
      type: 'worker-threads',
      parallelization: 3,
      tmpPath: '/tmp',
      debug: true,
      batchSize: 100,
      serialization: 'advanced',
      timeout: 1500.5,
      retries: 2,
      maxBatchesPerWorker: 10,
      maxWorkerMemory: 2 ** 33,
      idleTimeout: 60_000,
      maxQueue: 0,
      env: { A: '1' },
      execPath: '/opt/node/bin/node',
      execArgv: ['--expose-gc'],
      resourceLimits: { maxOldGenerationSizeMb: 64, stackSizeMb: undefined },
      stdio: 'ignore',
      spin: false,
      gracePeriod: 0,
      shared: true,
      trace: true,
    }),
    {
      id: 'single-process',
      type: 'worker-threads',
      isGivenInline: false,
      filePath: path.resolve('/srv/child.js'),
      functionName: 'batchProcessor',
      workers: 3,
      debug: true,
      batchSize: 100,
      serialization: 'advanced',
      timeout: 1500.5,
      retries: 2,
      maxCallsPerWorker: 10,
      maxWorkerMemory: 2 ** 33,
      idleTimeout: 60_000,
      maxQueue: 0,
      env: Object.assign(Object.create(null), { A: '1' }),
      execPath: '/opt/node/bin/node',
      execArgv: ['--expose-gc'],
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      stdio: 'ignore',
      spin: false,
      gracePeriod: 0,
      shared: true,
      trace: true,
      remote: null,
    },
  );
});

test('what is not an options object is refused', () => {
  for (const input of [undefined, null, 'child.js', 7, true, () => {}, Symbol('options')]) {
    refused(() => parallelizerOptions(input), 'options', 'an object');
  }
  refused(() => runOptions(null), 'runOptions', 'an object', 'null');
  refused(() => runOptions([]), 'runOptions', 'an object');
  refused(() => runOptions(5000), 'runOptions', 'an object', '5000');
});

test('a class instance, an object without a prototype and inherited options are accepted', () => {
  class Options {
    filePath = '/srv/child.js';
    processBatchFunctionName = 'batchProcessor';
    helper() {}
  }
  assert.deepEqual(parallelizerOptions(new Options()).entries[0], pool());
  assert.deepEqual(parallelizerOptions(Object.assign(Object.create(null), REQUIRED)).entries[0], pool());
  assert.deepEqual(parallelizerOptions(Object.create(REQUIRED)).entries[0], pool());
});

test('objects of the caller are not changed, and later changes to them have no effect', () => {
  const env = { A: '1' };
  const execArgv = ['--expose-gc'];
  const options = { ...REQUIRED, env, execArgv };
  const before = structuredClone(options);
  const [entry] = parallelizerOptions(options).entries;
  assert.deepEqual(options, before);
  env.A = '2';
  execArgv.push('--more');
  assert.equal(entry.env.A, '1');
  assert.deepEqual(entry.execArgv, ['--expose-gc']);
  for (const value of [entry, entry.env, entry.execArgv]) assert.ok(Object.isFrozen(value));
  const frozen = Object.freeze([Object.freeze({ ...REQUIRED, id: 1 })]);
  assert.doesNotThrow(() => parallelizerOptions(frozen));
});

test('an unknown option is refused, with the name that was probably meant', () => {
  refused(() => pool({ batchsize: 1 }), 'batchsize', 'did you mean "batchSize"?');
  refused(() => pool({ timeuot: 1 }), 'timeuot', 'did you mean "timeout"?');
  refused(() => pool({ paralelization: 2 }), 'paralelization', '"parallelization"?');
  refused(() => pool({ entirelyElse: 2 }), 'entirelyElse', 'filePath', 'batchSize');
  refused(() => runOptions({ groupby: () => 1 }), 'groupby', '"groupBy"?');
  refused(() => pool({ resourceLimits: { maxOldSpace: 1 } }), 'resourceLimits.maxOldSpace', 'maxOldGenerationSizeMb');
});

test('the required ones are required', () => {
  for (const missing of [undefined, null, '']) {
    refused(() => pool({ filePath: missing }), 'filePath', 'is required');
    refused(() => pool({ processBatchFunctionName: missing }), 'processBatchFunctionName', 'is required');
  }
  refused(() => parallelizerOptions({ processBatchFunctionName: 'x' }), 'filePath', 'is required');
  refused(() => parallelizerOptions({ filePath: 'x' }), 'processBatchFunctionName', 'is required');
  refused(() => pool({ processBatchFunctionName: () => {} }), 'processBatchFunctionName', 'a string');
});

test('filePath: a path, a relative path, a file: URL', () => {
  const resolved = (filePath) => pool({ filePath }).filePath;
  assert.equal(resolved('child.js'), path.resolve('child.js'));
  assert.equal(resolved('./a/../child.js'), path.resolve('child.js'));
  assert.equal(resolved('/srv/it\'s "here" & ünïcode.js'), '/srv/it\'s "here" & ünïcode.js');
  assert.equal(resolved('with:colon.js'), path.resolve('with:colon.js'));
  const url = pathToFileURL('/srv/a b#c?.js');
  assert.equal(resolved(url), '/srv/a b#c?.js');
  assert.equal(resolved(url.href), '/srv/a b#c?.js');
  assert.equal(resolved(new URL('?version=1', pathToFileURL('/srv/child.js'))), '/srv/child.js');
  assert.equal(resolved(vm.runInNewContext('new URL(href)', { URL, href: url.href })), '/srv/a b#c?.js');
});

test('filePath: what cannot be a file', () => {
  refused(() => pool({ filePath: 'https://example.org/child.js' }), 'filePath', 'file: URL');
  refused(() => pool({ filePath: new URL('https://example.org/child.js') }), 'filePath', 'path');
  refused(() => pool({ filePath: 'data:text/javascript,1' }), 'filePath', 'file: URL');
  refused(() => pool({ filePath: 'node:fs' }), 'filePath', 'file: URL');
  refused(() => pool({ filePath: 'file://elsewhere/child.js' }), 'filePath', 'path');
  refused(() => pool({ filePath: '/srv/a\0b.js' }), 'filePath', 'NUL');
  refused(() => pool({ filePath: 'file:///srv/a%00b.js' }), 'filePath', 'NUL');
  for (const filePath of [7, true, {}, ['a.js'], () => {}, Buffer.from('a.js')]) {
    refused(() => pool({ filePath }), 'filePath', 'must be a path');
  }
});

test('type: one of three', () => {
  for (const type of ['child-process', 'worker-threads', 'inline']) assert.equal(pool({ type }).type, type);
  for (const type of ['child', 'Child-Process', '', 0, {}]) refused(() => pool({ type }), 'type', "'worker-threads'");
});

test('parallelization: an exact count, 0 for inline, false for the CPUs', () => {
  assert.equal(pool({ parallelization: 1 }).workers, 1);
  assert.equal(pool({ parallelization: 1024 }).workers, 1024);
  assert.equal(pool({ parallelization: false }).workers, usableCpus());
  const inline = pool({ parallelization: 0, type: 'worker-threads' });
  assert.deepEqual([inline.type, inline.workers], ['inline', 1]);
  assert.equal(pool({ parallelization: 4, type: 'inline' }).workers, 4);
  for (const parallelization of [-1, NaN, 1.5, Infinity, -0.5, 1025, '4', true, {}, 4n]) {
    refused(() => pool({ parallelization }), 'parallelization', 'from 0 (inline) to 1024');
  }
});

test('parallelizationPerCPU: a factor, which may come from the environment', () => {
  const cpus = usableCpus();
  assert.equal(pool({ parallelizationPerCPU: 2 }).workers, 2 * cpus);
  assert.equal(pool({ parallelizationPerCPU: '2' }).workers, 2 * cpus);
  assert.equal(pool({ parallelizationPerCPU: ' 1.5 ' }).workers, Math.round(1.5 * cpus));
  assert.equal(pool({ parallelizationPerCPU: 0.001 }).workers, 1);
  assert.equal(pool({ parallelizationPerCPU: '3', parallelization: 1 }).workers, 1);
  for (const parallelizationPerCPU of [0, -1, NaN, Infinity, '', ' ', 'two', '0', true, {}]) {
    refused(() => pool({ parallelizationPerCPU }), 'parallelizationPerCPU', 'above 0');
  }
  refused(() => pool({ parallelizationPerCPU: 1e6 }), 'parallelizationPerCPU', '1024');
});

test('counts are integers', () => {
  const names = [
    ['batchSize', 'batchSize'],
    ['maxBatchesPerWorker', 'maxCallsPerWorker'],
    ['maxWorkerMemory', 'maxWorkerMemory'],
  ];
  for (const [name, internal] of names) {
    assert.equal(pool({ [name]: 1 })[internal], 1);
    for (const value of [0, -1, 1.5, NaN, Infinity, '1', true, 1n, []]) {
      refused(() => pool({ [name]: value }), name, 'a positive integer');
    }
  }
  for (const name of ['retries', 'maxQueue']) {
    assert.equal(pool({ [name]: 0 })[name], 0);
    for (const value of [-1, 1.5, NaN, Infinity, '1', true]) refused(() => pool({ [name]: value }), name, '0 or more');
  }
});

test('durations are milliseconds that a timer can wait', () => {
  for (const name of ['timeout', 'idleTimeout']) {
    assert.equal(pool({ [name]: 0.5 })[name], 0.5);
    assert.equal(pool({ [name]: 2 ** 31 - 1 })[name], 2 ** 31 - 1);
    for (const value of [0, -1, NaN, Infinity, 2 ** 31, '100', true]) {
      refused(() => pool({ [name]: value }), name, 'milliseconds', 'leave it out');
    }
  }
  for (const value of [-1, NaN, Infinity, 2 ** 31, '100']) {
    refused(() => pool({ gracePeriod: value }), 'gracePeriod', 'milliseconds from 0');
  }
});

test('the error for a choice lists the choices', () => {
  refused(() => pool({ serialization: 'xml' }), 'serialization', "'auto', 'json' or 'advanced'", "'xml'");
  refused(() => pool({ stdio: 'pipe' }), 'stdio', "'inherit', 'forward' or 'ignore'");
  refused(() => pool({ spin: true }), 'spin', "'auto' or false");
  refused(() => pool({ shared: 'yes' }), 'shared', "'auto', true or false");
  refused(() => pool({ debug: 1 }), 'debug', 'true or false');
  refused(() => pool({ tmpPath: 1 }), 'tmpPath', 'a string');
});

test('stdio is forwarded on Lambda by default', () => {
  withEnvironment({ AWS_LAMBDA_FUNCTION_NAME: 'f' }, () => {
    assert.equal(pool().stdio, 'forward');
    assert.equal(pool({ stdio: 'inherit' }).stdio, 'inherit');
  });
  assert.equal(pool().stdio, 'inherit');
});

test("workers are shared by default where Lambda runs many environments in one process", () => {
  withEnvironment({ AWS_LAMBDA_MAX_CONCURRENCY: '16' }, () => {
    assert.equal(pool().shared, true);
    assert.equal(pool({ shared: 'auto' }).shared, true);
    assert.equal(pool({ shared: false }).shared, false);
  });
  assert.equal(pool({ shared: 'auto' }).shared, false);
});

test('env: strings, as in fork', () => {
  const { env } = pool({ env: { A: '', B: undefined, ['__proto__']: 'p', __proto__: { INHERITED: 'i' } } });
  assert.deepEqual(Object.entries(env).sort(), [['A', ''], ['INHERITED', 'i'], ['__proto__', 'p']].sort());
  assert.equal(pool({ env: process.env }).env.PATH, process.env.PATH);
  refused(() => pool({ env: { PORT: 80 } }), 'env.PORT', 'a string', 'number');
  refused(() => pool({ env: { 'A=B': 'x' } }), 'env["A=B"]', '"="');
  refused(() => pool({ env: { 'A\0': 'x' } }), 'env["A\\u0000"]', 'NUL');
  refused(() => pool({ env: { '': 'x' } }), 'env[""]', 'empty');
  refused(() => pool({ env: { A: 'a\0b' } }), 'env.A', 'NUL');
  for (const env of ['A=1', ['A=1'], 7, () => {}]) refused(() => pool({ env }), 'env', 'an object of strings');
});

test('env: no value is ever shown', () => {
  for (const env of [{ KEY: ['hunter2'] }, { KEY: 'hunter2\0' }, { 'A=': 'hunter2' }, ['hunter2'], 'hunter2']) {
    assert.throws(
      () => pool({ env }),
      (error) => !error.message.includes('hunter2') && !error.stack.includes('hunter2'),
    );
  }
  assert.throws(() => pool({ batchSize: { secret: 'hunter2' } }), (error) => !error.message.includes('hunter2'));
});

test('execArgv: strings', () => {
  assert.deepEqual(pool({ execArgv: [] }).execArgv, []);
  refused(() => pool({ execArgv: '--expose-gc' }), 'execArgv', 'an array of strings');
  refused(() => pool({ execArgv: ['--expose-gc', 1] }), 'execArgv[1]', 'a string', '1');
  refused(() => pool({ execArgv: ['a\0'] }), 'execArgv[0]', 'NUL');
  refused(() => pool({ execArgv: new Array(1) }), 'execArgv[0]', 'a string');
});

test('resourceLimits: megabytes under their names in Node', () => {
  const all = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8.5, codeRangeSizeMb: 16, stackSizeMb: 4 };
  assert.deepEqual(pool({ resourceLimits: all }).resourceLimits, all);
  for (const value of [0, -1, NaN, Infinity, '64']) {
    refused(() => pool({ resourceLimits: { stackSizeMb: value } }), 'resourceLimits.stackSizeMb', 'megabytes above 0');
  }
  for (const resourceLimits of [64, [], 'big']) refused(() => pool({ resourceLimits }), 'resourceLimits', 'an object');
});

test('a list makes one pool per id', () => {
  const { list, entries } = parallelizerOptions([
    { ...REQUIRED, id: 'orders', batchSize: 5 },
    { ...REQUIRED, id: 7, parallelization: 2 },
    { ...REQUIRED, id: '__proto__' },
  ]);
  assert.equal(list, true);
  assert.deepEqual(entries.map(({ id }) => id), ['orders', 7, '__proto__']);
  assert.deepEqual(entries.map(({ batchSize }) => batchSize), [5, 0, 0]);
  assert.equal(parallelizerOptions(REQUIRED).list, false);
  assert.equal(parallelizerOptions([{ ...REQUIRED, id: 0 }]).entries[0].id, 0);
});

test('a list: what is wrong, and where in it', () => {
  const ok = { ...REQUIRED, id: 'a' };
  refused(() => parallelizerOptions([]), 'options', 'empty');
  refused(() => parallelizerOptions([ok, null]), 'options[1]', 'an object');
  refused(() => parallelizerOptions([ok, [ok]]), 'options[1]', 'an object');
  refused(() => parallelizerOptions([ok, { ...ok, id: 'b', batchSize: -1 }]), 'options[1].batchSize', '-1 (number)');
  refused(() => parallelizerOptions([{ ...ok, id: 'b', filePath: '' }]), 'options[0].filePath', 'is required');
  for (const id of [undefined, null, '', NaN, {}, true]) {
    refused(() => parallelizerOptions([{ ...REQUIRED, id }]), 'options[0].id', 'non-empty string or a number');
  }
  refused(() => parallelizerOptions([ok, { ...ok, id: 'b' }, ok]), 'options[2].id', 'unique', 'options[0]');
  refused(() => parallelizerOptions([{ ...ok, id: 1 }, { ...ok, id: '1' }]), 'options[1].id', 'unique');
});

test('each option is read once', () => {
  const reads = {};
  const counting = new Proxy({ ...REQUIRED, batchSize: 3, timeout: 5 }, {
    get(target, key, receiver) {
      reads[key] = (reads[key] ?? 0) + 1;
      return Reflect.get(target, key, receiver);
    },
  });
  parallelizerOptions(counting);
  assert.deepEqual(new Set(Object.values(reads)), new Set([1]));
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
  cause(() => parallelizerOptions({ ...REQUIRED, get timeout() { return fails(); } }), 'timeout');
  cause(() => parallelizerOptions(new Proxy({}, { ownKeys: fails })), 'options');
  cause(() => pool({ env: { get A() { return fails(); } } }), 'env');
  cause(() => pool({ filePath: { get href() { return fails(); }, protocol: 'file:' } }), 'filePath');
  cause(() => pool({ execArgv: Object.assign([], { [Symbol.iterator]: fails }) }), 'execArgv');
  cause(() => runOptions({ get signal() { return fails(); } }), 'signal');
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  refused(() => parallelizerOptions(proxy), 'options', 'cannot be read', 'revoked');
});

test('run options: the defaults, and all of them', () => {
  const none = {
    signal: null,
    timeout: null,
    groupBy: null,
    stopKeyOnError: false,
    onProgress: null,
    onMessage: null,
    priority: 0,
    context: undefined,
    transferList: null,
  };
  assert.deepEqual(runOptions(), none);
  assert.deepEqual(runOptions({}), none);
  const { signal } = new AbortController();
  const groupBy = () => 1;
  const onProgress = () => {};
  const context = { requestId: 'r' };
  const buffer = new ArrayBuffer(1);
  const onMessage = () => {};
  const given = {
    signal, timeout: 20, groupBy, stopKeyOnError: true, onProgress, onMessage, priority: -2, context, transferList: [buffer],
  };
  const options = runOptions(given);
  assert.deepEqual(options, given);
  assert.equal(options.context, context);
  assert.ok(Object.isFrozen(options));
  assert.equal(runOptions({ context: null }).context, null);
});

test('run options: what is refused', () => {
  for (const signal of [null, {}, true, 'SIGTERM', { aborted: true }, new AbortController()]) {
    refused(() => runOptions({ signal }), 'signal', 'AbortSignal');
  }
  for (const timeout of [0, -1, NaN, Infinity, '5', null])
    refused(() => runOptions({ timeout }), 'timeout', 'milliseconds');
  for (const name of ['groupBy', 'onProgress']) {
    for (const value of ['key', null, {}]) refused(() => runOptions({ [name]: value }), name, 'a function');
  }
  refused(() => runOptions({ stopKeyOnError: 1, groupBy: () => 1 }), 'stopKeyOnError', 'true or false');
  refused(() => runOptions({ stopKeyOnError: true }), 'stopKeyOnError', '"groupBy"');
  refused(() => runOptions({ transferList: new ArrayBuffer(1) }), 'transferList', 'an array');
  refused(() => runOptions({ transferList: [1] }), 'transferList[0]', 'transferable');
});
