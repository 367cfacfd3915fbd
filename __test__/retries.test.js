'use strict';
// `retries`: how often a sub-batch whose worker died is run again.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { echo, lines, make, temporary, within, withSignal } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

forEachMode((mode) => {
  test('an error thrown by the function is not retried', async (t) => {
    const parallelizer = make(t, { type: mode.type, retries: 3, batchSize: 2, parallelization: 1 });
    const file = `${temporary(t)}/attempts`;
    const { failures } = await parallelizer.run([{ do: 'touch', file }, { do: 'throws', message: 'once' }]);
    assert.deepEqual(failures, ['Error: once']);
    assert.equal(lines(file).length, 1);
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    // Not SIGUSR2: the test runner of Node 24 and newer has it write a report.
    for (const signal of ['SIGKILL', 'SIGABRT', 'SIGALRM']) {
      const title = `one retry: the sub-batch of a worker ended by ${signal} succeeds at the second attempt`;
      test(title, withSignal(signal), async (t) => {
        const parallelizer = on(t, { retries: 1 });
        const file = `${temporary(t)}/attempts`;
        const { responses, failures } = await within(
          parallelizer.run([{ do: 'dieAtFirst', file, signal, value: 'second' }, echo('sibling')]),
          'the run',
        );
        assert.deepEqual([responses, failures], [['second', 'sibling'], []]);
        const pids = lines(file);
        assert.equal(pids.length, 2);
        assert.notEqual(pids[0], pids[1]);
      });
    }

    test('no retries by default', async (t) => {
      const file = `${temporary(t)}/attempts`;
      const { errors } = await within(on(t).run([{ do: 'dieAtFirst', file, value: 1 }]), 'the run');
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
      assert.equal(lines(file).length, 1);
    });

    for (const [retries, deaths, attempts, succeeds] of [[1, 2, 2, false], [2, 2, 3, true], [3, 1, 2, true]]) {
      test(`${retries} retries, ${deaths} deaths: ${attempts} attempts`, async (t) => {
        const parallelizer = on(t, { retries });
        const file = `${temporary(t)}/attempts`;
        const { responses, errors } = await within(
          parallelizer.run([{ do: 'dieAtFirst', file, times: deaths, value: 'in the end' }]),
          'the run',
        );
        assert.equal(lines(file).length, attempts);
        assert.deepEqual(responses, succeeds ? ['in the end'] : []);
        assert.deepEqual(errors.map(({ code }) => code), succeeds ? [] : ['ERR_PARALLELIZER_WORKER_EXITED']);
      });
    }

    test('every sub-batch has its own retries', async (t) => {
      const parallelizer = on(t, { retries: 1, batchSize: 1 });
      const dir = temporary(t);
      const batch = Array.from({ length: 10 }, (_, i) => ({ do: 'dieAtFirst', file: `${dir}/${i}`, value: i }));
      const { responses, failures } = await within(parallelizer.run(batch), 'the run', 60_000);
      assert.deepEqual([responses, failures], [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []]);
      for (let i = 0; i < 10; i++) assert.equal(lines(`${dir}/${i}`).length, 2, `sub-batch ${i}`);
    });

    test('what had not begun when the worker died costs no retry, and runs once', async (t) => {
      const parallelizer = on(t, { retries: 0, batchSize: 1, parallelization: 1 });
      const dir = temporary(t);
      const batch = Array.from({ length: 12 }, (_, i) =>
        i % 4 === 1 ? { do: 'exit', code: 1 } : { do: 'touch', file: `${dir}/${i}`, value: i },
      );
      const { responses, errors } = await within(parallelizer.run(batch), 'the run', 60_000);
      assert.deepEqual(errors.map(({ batchIndex }) => batchIndex), [1, 5, 9]);
      assert.deepEqual(responses, [0, 2, 3, 4, 6, 7, 8, 10, 11]);
      for (const i of responses) assert.equal(lines(`${dir}/${i}`).length, 1, `sub-batch ${i} ran once`);
    });
  },
  { needs: ['hasProcess'] },
);
