'use strict';
// A bad option or argument is an ERR_PARALLELIZER_OPTION that names it, thrown by the call that passed it.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { Parallelizer, ParallelizerError } = require('@parallelizer/node');
const { childrenOf, echo, fixture, make } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const fine = { filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 };
const naming = (name) => (error) => {
  assert.equal(error.code, 'ERR_PARALLELIZER_OPTION', String(error.stack));
  assert.ok(error instanceof ParallelizerError);
  assert.ok(error instanceof Error);
  assert.ok(error.message.includes(name), `'${name}' in: ${error.message}`);
  return true;
};

describe('new Parallelizer', () => {
  const bad = {
    type: ['child', 'threads', '', 5, null, {}],
    filePath: [
      undefined,
      null,
      '',
      5,
      {},
      [],
      'https://example.com/a.js',
      new URL('https://example.com/a.js'),
      'data:text/javascript,1',
    ],
    processBatchFunctionName: [undefined, null, '', 5, {}, () => {}],
    parallelization: [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, 'x', {}, true],
    parallelizationPerCPU: [-1, 0, Number.NaN, 'x', '', Number.POSITIVE_INFINITY, {}],
    tmpPath: [5, {}],
    debug: ['yes', 1],
    batchSize: [0, -1, 1.5, Number.NaN, '3', null],
    serialization: ['xml', '', 5, null],
    timeout: [0, -1, Number.NaN, '100', 2 ** 31, null],
    retries: [-1, 1.5, '1', null],
    maxBatchesPerWorker: [0, -1, 1.5, '1'],
    maxWorkerMemory: [0, -1, '100MB'],
    idleTimeout: [0, -1, '1'],
    maxQueue: [-1, 1.5, '1', Number.NaN],
    env: ['A=1', 5, ['A=1'], { A: 1 }, { 'A=B': 'x' }, { A: 'nul\0' }, null],
    execArgv: ['--no-warnings', [5], {}, null],
    resourceLimits: ['100', 5, { maxOldGenerationSizeMb: '100' }, { maxOldGenerationSizeMb: -1 }, { nonsense: 1 }],
    stdio: ['pipe', 5, ['inherit']],
    spin: ['yes', 5, 'always'],
    gracePeriod: [-1, '1', Number.NaN],
    shared: ['yes', 1, null],
  };
  for (const [name, values] of Object.entries(bad)) {
    test(`${name}`, () => {
      for (const value of values) {
        assert.throws(
          () => new Parallelizer({ ...fine, parallelization: 1, [name]: value }),
          naming(name),
          `accepted ${String(JSON.stringify(value))}`,
        );
        assert.throws(
          () =>
            new Parallelizer([
              { id: 'a', ...fine },
              { id: 'b', ...fine, [name]: value },
            ]),
          naming(name),
        );
      }
    });
  }

  test('an unknown option, with the one that was probably meant', () => {
    assert.throws(() => new Parallelizer({ ...fine, batchsize: 5 }), naming('batchSize'));
    assert.throws(() => new Parallelizer({ ...fine, nonsense: 5 }), naming('nonsense'));
  });

  test('what is not an options object', () => {
    for (const options of [undefined, null, 'x', 5, () => {}])
      assert.throws(() => new Parallelizer(options), naming('options'));
    for (const item of [undefined, null, 'x', 5])
      assert.throws(() => new Parallelizer([{ id: 'a', ...fine }, item]), naming('options[1]'));
  });

  test('ids in a list', () => {
    for (const id of [undefined, null, '', {}]) assert.throws(() => new Parallelizer([{ ...fine, id }]), naming('id'));
    assert.throws(() => new Parallelizer([{ id: 'twice', ...fine }, { id: 'twice', ...fine }]), naming('id'));
  });

  test('the message shows what was given, so that it can be found', () => {
    assert.throws(() => new Parallelizer({ ...fine, type: 'proces' }), naming('proces'));
    assert.throws(() => new Parallelizer({ ...fine, parallelization: -7 }), naming('-7'));
  });

  test('the stack trace leads to the caller', () => {
    assert.throws(
      () => new Parallelizer({ ...fine, batchSize: -1 }),
      (error) => error.stack.includes('bad-options.test.js'),
    );
  });

  test('a constructor that throws leaves no worker behind', async () => {
    const before = childrenOf(process.pid).length;
    for (let i = 0; i < 5; i++)
      assert.throws(
        () =>
          new Parallelizer([
            { id: 'a', ...fine },
            { id: 'b', ...fine, batchSize: -1 },
          ]),
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(childrenOf(process.pid).length, before);
  });
});

forEachMode((mode) => {
  const rejects = async (call, name) => {
    let promise;
    assert.doesNotThrow(() => (promise = call()), 'it rejects, it does not throw');
    assert.equal(typeof promise.then, 'function');
    await assert.rejects(promise, naming(name));
  };

  test('run: the batch', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    for (const batch of [
      undefined,
      null,
      'abc',
      '',
      5,
      true,
      {},
      { length: 1, 0: 1 },
      new Set(),
      new Map(),
      () => {},
      new ArrayBuffer(4),
    ]) {
      await rejects(() => parallelizer.run(batch), 'batch');
    }
    assert.deepEqual((await parallelizer.run([echo(1)])).responses, [1]);
  });

  test('run: runOptions', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    const bad = {
      signal: [5, {}, 'x', null, new AbortController()],
      timeout: [0, -1, '5', Number.NaN, null],
      groupBy: ['key', 5, null],
      onProgress: ['x', 5, null],
      stopKeyOnError: [5, 'yes', true],
      transferList: [5, 'x', [5]],
    };
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values) await rejects(() => parallelizer.run([echo(1)], null, { [name]: value }), name);
    }
    for (const options of [5, 'x', null, []])
      await rejects(() => parallelizer.run([echo(1)], null, options), 'runOptions');
    await rejects(() => parallelizer.run([echo(1)], null, { onprogress() {} }), 'onProgress');
    assert.deepEqual((await parallelizer.run([echo(1)], null, {})).responses, [1]);
    assert.deepEqual(
      (await parallelizer.run([echo(1)], null, { signal: undefined, timeout: undefined })).responses,
      [1],
    );
  });

  test('run: a bad argument starts nothing', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    await rejects(() => parallelizer.run([{ do: 'throws' }], null, { timeout: -1 }), 'timeout');
    const { done, waiting, running } = parallelizer.stats();
    assert.deepEqual([done, waiting, running], [0, 0, 0]);
  });

  test('run of a list: items', async (t) => {
    const lists = make(
      t,
      ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })),
    );
    for (const items of [
      undefined,
      null,
      'x',
      5,
      [null],
      [5],
      [{}],
      [{ id: 'a' }],
      [{ id: 'a', batch: 'x' }],
      [{ id: 'a', batch: null }],
      [{ batch: [] }],
    ]) {
      await rejects(() => lists.run(items), '');
    }
    await rejects(() => lists.run([{ id: 'a', batch: [echo(1)] }, { id: 'nobody', batch: [] }]), 'nobody');
    await rejects(() => lists.run([{ id: 'a', batch: [echo(1)] }, { id: 'b', batch: 5 }]), 'batch');
    await rejects(() => lists.run([{ id: 'toString', batch: [] }]), 'toString');
    assert.equal(lists.stats().a.done, 0, 'one bad item, and nothing is begun');
  });

  test('a groupBy that throws rejects the run with its error as cause', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    const reason = new Error('no key');
    await assert.rejects(
      parallelizer.run([echo(1)], null, { groupBy() { throw reason; } }),
      (error) => error === reason || error.cause === reason,
    );
    assert.deepEqual((await parallelizer.run([echo(1)])).responses, [1]);
  });
});
