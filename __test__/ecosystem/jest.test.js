'use strict';
// Under jest: its sandbox of globals, its fake timers, its coverage, its search for open handles.

const assert = require('node:assert/strict');

const { ecosystemTest, execute, project, succeed } = require('./support/projects');
const { inSet } = require('./support/tools');

const TYPES = ['child-process', 'worker-threads', 'inline'];
const WORKER = `
exports.work = ({ batch }) => batch.map((n) => n * 2);
exports.kinds = ({ batch: [{ at, map, set, list, bytes, error, pattern, object }] }) => ({
  at: at instanceof Date, map: map instanceof Map, set: set instanceof Set, list: list instanceof Array,
  bytes: bytes instanceof Uint8Array, error: error instanceof TypeError && error instanceof Error,
  pattern: pattern instanceof RegExp, object: object instanceof Object, keys: Object.getPrototypeOf(object) === Object.prototype,
});
exports.fails = () => { throw Object.assign(new RangeError('on purpose'), { code: 'OWN' }); };
exports.record = ({ record }) => { if (record.json.bad) throw new Error('bad'); };
`;
const ESM_WORKER = 'export const work = ({ batch }) => batch.map((n) => n * 3);\n';

const jest = (t, folder, ...args) => execute(t, folder, [process.execPath, inSet('jest', 'jest', 'bin', 'jest.js'), '--ci', '--runInBand', '--no-cache', ...args]);
const pass = (t, folder, ...args) => succeed(t, folder, [process.execPath, inSet('jest', 'jest', 'bin', 'jest.js'), '--ci', '--runInBand', '--no-cache', ...args]);

/** A project with one test file; `type`, `worker` and the library are there. */
const withTest = (t, body, more = {}) => project(t, 'jest', {
  'worker.js': WORKER,
  'worker.mjs': ESM_WORKER,
  'own.test.js': `
    const { Parallelizer, Pool } = require('@parallelizer/node');
    const { createHandler } = require('@parallelizer/node/lambda');
    const worker = require('node:path').join(__dirname, 'worker.js');
    const make = (type, processBatchFunctionName, options) =>
      new Parallelizer({ type, filePath: worker, processBatchFunctionName, parallelization: 1, ...options });
    ${body}`,
  ...more,
});

const each = (body) => TYPES.map((type) => `describe('${type}', () => { const type = '${type}'; ${body} });`).join('\n');

ecosystemTest('runs, pools and a handler, in all modes', ['jest'], async (t) => {
  await pass(t, withTest(t, each(`
    test('works', async () => {
      const parallelizer = make(type, 'work');
      expect(await parallelizer.run([1, 2])).toEqual({ responses: [[2, 4]], failures: [] });
      await parallelizer.close();
      const pool = new Pool({ processes: 1, type });
      expect(await pool.map((n) => n + 1, [1, 2])).toEqual([2, 3]);
      expect(await pool.apply(async (n) => ({ n: [n] }), [1])).toEqual({ n: [1] });
      pool.close();
      await pool.join();
      const handler = createHandler({ type, filePath: worker, recordFunctionName: 'record', parallelization: 1, onError() {} });
      const event = { Records: [0, 1].map((i) => ({ messageId: 'm' + i, body: JSON.stringify({ bad: i === 1 }), eventSource: 'aws:sqs', eventSourceARN: 'arn' })) };
      expect(await handler(event, {})).toEqual({ batchItemFailures: [{ itemIdentifier: 'm1' }] });
      await handler.parallelizer.close();
    });`)));
});

ecosystemTest('what a function is given, and what comes back, is of the classes of the sandbox', ['jest'], async (t) => {
  await pass(t, withTest(t, each(`
    const value = () => ({
      at: new Date(0), map: new Map([[1, new Date(1)]]), set: new Set([1]), list: [1], bytes: new Uint8Array(2), error: new TypeError('t'),
      pattern: /a/g, object: { a: 1 },
    });
    const isRight = { at: true, map: true, set: true, list: true, bytes: true, error: true, pattern: true, object: true, keys: true };
    test('arguments', async () => {
      const parallelizer = make(type, 'kinds');
      const { responses, failures } = await parallelizer.run([value()]);
      await parallelizer.close();
      expect(failures).toEqual([]);
      expect(responses).toEqual([isRight]);
    });
    test('results', async () => {
      const pool = new Pool({ processes: 1, type });
      const { at, map, set, list, bytes, error, pattern, object } = await pool.apply((v) => v, [value()]);
      pool.close();
      await pool.join();
      expect({
        at: at instanceof Date, map: map instanceof Map, set: set instanceof Set, list: list instanceof Array,
        bytes: bytes instanceof Uint8Array, error: error instanceof TypeError && error instanceof Error, pattern: pattern instanceof RegExp,
        object: object instanceof Object, keys: Object.getPrototypeOf(object) === Object.prototype,
      }).toEqual(isRight);
      expect(map.get(1) instanceof Date).toBe(true);
    });
    test('errors', async () => {
      const pool = new Pool({ processes: 1, type });
      const error = await pool.apply({ filePath: worker, name: 'fails' }).catch((thrown) => thrown);
      const missing = await pool.apply(() => outer).catch((thrown) => thrown);
      pool.close();
      await pool.join();
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ message: 'on purpose', code: 'OWN' });
      expect(missing).toBeInstanceOf(ReferenceError);
      expect(missing.message).toMatch(/a function travels by its source/);
    });`)));
});

ecosystemTest('a worker module that is an ES module', ['jest'], async (t) => {
  const body = (types) => types.map((type) => `
    test('${type}', async () => {
      const parallelizer = make('${type}', 'work', { filePath: worker.replace(/js$/, 'mjs') });
      expect(await parallelizer.run([1, 2])).toEqual({ responses: [[3, 6]], failures: [] });
      await parallelizer.close();
    });`).join('\n');
  await pass(t, withTest(t, body(['child-process', 'worker-threads'])));
  // Inline the module is jest's to load, which needs a flag for it.
  const folder = withTest(t, body(['inline']));
  await succeed(t, folder, [process.execPath, '--experimental-vm-modules', inSet('jest', 'jest', 'bin', 'jest.js'), '--ci', '--runInBand', '--no-cache']);
});

for (const [what, options] of Object.entries({ modern: '{}', legacy: '{ legacyFakeTimers: true }', 'modern, also of performance and nextTick': '{ doNotFake: [] }' })) {
  ecosystemTest(`fake timers: ${what}`, ['jest'], async (t) => {
    await pass(t, withTest(t, each(`
      afterEach(() => jest.useRealTimers());
      test('on before the pool is made', async () => {
        jest.useFakeTimers(${options});
        const pool = new Pool({ processes: 1, type });
        expect(await pool.map((n) => n * 2, [1, 2])).toEqual([2, 4]);
        expect(await pool.applyAsync((n) => n, [1]).get()).toBe(1);
        pool.close();
        await pool.join();
      });
      test('on after it is made', async () => {
        const parallelizer = make(type, 'work');
        await parallelizer.ready();
        jest.useFakeTimers(${options});
        expect((await parallelizer.run([1, 2])).responses).toEqual([[2, 4]]);
        const handler = createHandler({ type, filePath: worker, recordFunctionName: 'record', parallelization: 1 });
        const event = { Records: [{ messageId: 'm', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn' }] };
        expect(await handler(event, { getRemainingTimeInMillis: () => 30000 })).toEqual({ batchItemFailures: [] });
        await handler.parallelizer.close();
        await parallelizer.close();
      });`)));
  });
}

ecosystemTest('fake timers for all tests, by configuration', ['jest'], async (t) => {
  await pass(t, withTest(t, each(`
    test('works', async () => {
      const pool = new Pool({ processes: 1, type });
      expect(await pool.map((n) => n * 2, [1, 2])).toEqual([2, 4]);
      pool.close();
      await pool.join();
    });`), { 'jest.config.js': 'module.exports = { fakeTimers: { enableGlobally: true } };' }));
});

ecosystemTest('--detectOpenHandles finds none after join(), close() and terminate()', ['jest'], async (t) => {
  const folder = withTest(t, each(`
    test('join', async () => {
      const pool = new Pool({ processes: 1, type });
      expect(await pool.map((n) => n * 2, [1, 2])).toEqual([2, 4]);
      pool.close();
      await pool.join();
    });
    test('close', async () => {
      const parallelizer = make(type, 'work');
      await parallelizer.run([1]);
      await parallelizer.close();
    });
    test('terminate', async () => {
      const pool = new Pool({ processes: 1, type });
      await pool.apply(() => 1);
      await pool.terminate();
    });`));
  const { code, output } = await jest(t, folder, '--detectOpenHandles');
  assert.equal(code, 0, output);
  assert.doesNotMatch(output, /open handle/i);
});

ecosystemTest('jest ends by itself, with pools that are still open', ['jest'], async (t) => {
  const { output } = await pass(t, withTest(t, each(`
    test('works', async () => {
      const pool = new Pool({ processes: 1, type });
      expect(await pool.map((n) => n * 2, [1, 2])).toEqual([2, 4]);
    });`)));
  assert.doesNotMatch(output, /did not exit/);
});

for (const provider of ['babel', 'v8']) {
  ecosystemTest(`coverage by ${provider}: a function by its source, and a worker module`, ['jest'], async (t) => {
    const folder = withTest(t, each(`
      const { double } = require('./own.js');
      test('works', async () => {
        const pool = new Pool({ processes: 1, type });
        expect(await pool.map(double, [1, 2])).toEqual([2, 4]);
        expect(double(3)).toBe(6);
        pool.close();
        await pool.join();
        const parallelizer = make(type, 'work');
        expect((await parallelizer.run([1])).failures).toEqual([]);
        await parallelizer.close();
      });`), { 'own.js': 'exports.double = (n) => (n > 0 ? n * 2 : 0);\n' });
    const { output } = await pass(t, folder, '--coverage', `--coverageProvider=${provider}`);
    assert.match(output, /own\.js\s+\|/);
  });
}
