'use strict';
// Under vitest: its pools of processes, threads and vm contexts, its fake timers, its coverage by V8 and
// Istanbul.

const assert = require('node:assert/strict');

const { ecosystemTest, project, succeed } = require('./support/projects');
const { inSet } = require('./support/tools');

const TYPES = ['child-process', 'worker-threads', 'inline'];
const WORKER = `
exports.work = ({ batch }) => batch.map((n) => n * 2);
exports.isDate = ({ batch }) => batch.map((each) => each instanceof Date);
`;

const vitest = (t, folder, ...args) => succeed(t, folder, [process.execPath, inSet('vitest', 'vitest', 'vitest.mjs'), 'run', ...args]);

const withTest = (t, body, more = {}) => project(t, 'vitest', {
  'worker.cjs': WORKER,
  'own.js': 'export const double = (n) => (n > 0 ? n * 2 : 0);\n',
  'vitest.config.mjs': "export default { test: { cache: false, testTimeout: 30000 } };\n",
  'own.test.mjs': `
    import { Parallelizer, Pool } from '@parallelizer/node';
    import { createHandler } from '@parallelizer/node/lambda';
    import { afterEach, describe, expect, test, vi } from 'vitest';
    import { double } from './own.js';
    const worker = new URL('./worker.cjs', import.meta.url).href;
    const make = (type, processBatchFunctionName) => new Parallelizer({ type, filePath: worker, processBatchFunctionName, parallelization: 1 });
    ${body}`,
  ...more,
});

const each = (body) => TYPES.map((type) => `describe('${type}', () => { const type = '${type}'; ${body} });`).join('\n');

const BASICS = each(`
  test('works', async () => {
    const parallelizer = make(type, 'work');
    expect(await parallelizer.run([1, 2])).toEqual({ responses: [[2, 4]], failures: [] });
    await parallelizer.close();
    const pool = new Pool({ processes: 1, type });
    expect(await pool.map(double, [1, 2])).toStrictEqual([2, 4]);
    expect([double(3), double(-1)]).toEqual([6, 0]);
    const back = await pool.apply((v) => v, [{ at: new Date(0), map: new Map([[1, [2]]]) }]);
    expect(back).toStrictEqual({ at: new Date(0), map: new Map([[1, [2]]]) });
    expect(back.at instanceof Date && back.map instanceof Map).toBe(true);
    pool.close();
    await pool.join();
    const dates = make(type, 'isDate');
    expect((await dates.run([new Date(0), 1])).responses).toEqual([[true, false]]);
    await dates.close();
  });`);

for (const pool of ['forks', 'threads', 'vmThreads', 'vmForks']) {
  ecosystemTest(`runs and pools, in all modes, in vitest's ${pool}`, ['vitest'], async (t) => {
    await vitest(t, withTest(t, BASICS), `--pool=${pool}`);
  });
}

for (const [what, options] of Object.entries({ 'the default ones': '', 'all that there are': "{ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'Date', 'performance', 'queueMicrotask'] }" })) {
  ecosystemTest(`fake timers: ${what}`, ['vitest'], async (t) => {
    await vitest(t, withTest(t, each(`
      afterEach(() => void vi.useRealTimers());
      test('on before the pool is made', async () => {
        vi.useFakeTimers(${options});
        const pool = new Pool({ processes: 1, type });
        expect(await pool.map((n) => n * 2, [1, 2])).toEqual([2, 4]);
        expect(await pool.applyAsync((n) => n, [1]).get(5000)).toBe(1);
        pool.close();
        await pool.join();
      });
      test('on after it is made', async () => {
        const handler = createHandler({ type, filePath: worker, processBatchFunctionName: 'work', parallelization: 1 });
        await handler.parallelizer.ready();
        vi.useFakeTimers(${options});
        const event = { Records: [{ messageId: 'm', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn' }] };
        expect(await handler(event, { getRemainingTimeInMillis: () => 30000 })).toEqual({ batchItemFailures: [] });
        await handler.parallelizer.close();
      });`)));
  });
}

for (const provider of ['v8', 'istanbul']) {
  for (const pool of ['forks', 'threads']) {
    ecosystemTest(`coverage by ${provider}, in vitest's ${pool}`, ['vitest'], async (t) => {
      const flags = ['--coverage.enabled', `--coverage.provider=${provider}`, '--coverage.include=own.js'];
      const { output } = await vitest(t, withTest(t, BASICS), `--pool=${pool}`, ...flags);
      assert.match(output, /own\.js\s+\|\s+100/);
    });
  }
}
