'use strict';
// `timeout` applies to each sub-batch, and counts the time that it runs.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const {
  appeared,
  echo,
  fixture,
  gone,
  lines,
  make,
  read,
  sleep,
  temporary,
  waitFor,
  within,
} = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const PATIENCE = 15_000; // A grace period that no case is meant to reach.

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('a sub-batch that exceeds it fails with ERR_PARALLELIZER_TIMEOUT; run resolves', async (t) => {
    const parallelizer = on(t, { timeout: 150 });
    const { responses, failures, errors } = await within(
      parallelizer.run([{ do: 'forever' }, { do: 'sleep', ms: 1, value: 'kept' }]),
      'the run',
    );
    assert.deepEqual(responses, ['kept']);
    assert.equal(failures.length, 1);
    assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
    assert.equal(failures[0], String(errors[0]));
    assert.equal(errors[0].batchIndex, 0);
    assert.deepEqual([...errors[0].records], [0]);
    assert.match(errors[0].message, /150/, 'it says which limit');
  });

  test("a run's own timeout takes precedence over the instance's", async (t) => {
    const short = on(t, { timeout: 60_000 });
    const one = await within(short.run([{ do: 'forever' }], null, { timeout: 150 }), 'the run');
    assert.equal(one.errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
    const long = on(t, { timeout: 100 });
    const two = await within(
      long.run([{ do: 'sleep', ms: 600, value: 'in time' }], null, { timeout: 60_000 }),
      'the run',
    );
    assert.deepEqual(two.responses, ['in time']);
  });

  test('what ends in time is not affected, and its deadline does not keep the process alive', async (t) => {
    const parallelizer = on(t, { timeout: 30_000 });
    for (let i = 0; i < 10; i++) assert.deepEqual((await parallelizer.run([echo(i), echo(-i)])).responses, [i, -i]);
  });

  test('an error before the deadline is reported as it is', async (t) => {
    const { failures } = await on(t, { timeout: 30_000 }).run([{ do: 'throws', message: 'quick' }]);
    assert.deepEqual(failures, ['Error: quick']);
  });

  test('a late result is dropped: the next runs get their own', async (t) => {
    const parallelizer = on(t, { parallelization: 1, timeout: 150, gracePeriod: PATIENCE });
    const first = await within(parallelizer.run([{ do: 'sleep', ms: 700, value: 'late' }]), 'the run');
    assert.equal(first.errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(
        (await within(parallelizer.run([echo(i)], null, { timeout: 20_000 }), 'a later run')).responses,
        [i],
      );
    }
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    test('an endless loop is replaced after the grace period; the next run has a new worker', async (t) => {
      const parallelizer = on(t, { timeout: 300, gracePeriod: 200 });
      const file = `${temporary(t)}/looping`;
      const { responses, errors } = await within(parallelizer.run([{ do: 'loop', file }, { do: 'who' }]), 'the run');
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
      assert.equal(responses.length, 1);
      if (mode.hasProcess) await gone(Number(lines(file)[0]));
      const next = await within(parallelizer.run([{ do: 'pid' }, { do: 'who' }]), 'the next run');
      assert.equal(next.responses.length, 2);
      if (mode.hasProcess) assert.notEqual(next.responses[0], Number(lines(file)[0]));
    });

    test('the run settles at the deadline, before the grace period is over', async (t) => {
      const parallelizer = on(t, { parallelization: 1, timeout: 200, gracePeriod: 60_000 });
      const { errors } = await within(parallelizer.run([{ do: 'loop' }]), 'the run', 30_000);
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
      await parallelizer.terminate();
    });

    test('the function sees its signal, and if it stops, the worker stays', async (t) => {
      const parallelizer = on(t, { parallelization: 1, timeout: 300, gracePeriod: PATIENCE });
      const before = (await parallelizer.run([{ do: 'who' }])).responses[0];
      for (const action of ['untilAborted', 'untilAbortEvent', 'pollAborted']) {
        const file = `${temporary(t)}/seen`;
        const { errors } = await within(parallelizer.run([{ do: action, file }]), action);
        assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT', action);
        await waitFor(() => read(file), `${action} to see it`);
        assert.notEqual(read(file), 'not aborted');
        const next = await within(parallelizer.run([{ do: 'who' }], null, { timeout: 20_000 }), 'the next run');
        assert.deepEqual(next.responses, [before], action);
      }
    });

    test('time spent waiting does not count', async (t) => {
      const parallelizer = on(t, { parallelization: 1, timeout: 4000 });
      const runs = Array.from({ length: 8 }, (_, i) => parallelizer.run([{ do: 'sleep', ms: 700, value: i }]));
      const answers = await within(Promise.all(runs), 'the runs', 60_000);
      assert.deepEqual(answers.map(({ responses }) => responses[0]), [0, 1, 2, 3, 4, 5, 6, 7]);
    });

    test('nor does it among the sub-batches of one run', async (t) => {
      const parallelizer = on(t, { parallelization: 1, timeout: 4000, batchSize: 1 });
      const { responses, failures } = await within(
        parallelizer.run(Array.from({ length: 8 }, (_, value) => ({ do: 'sleep', ms: 700, value }))),
        'the run',
        60_000,
      );
      assert.deepEqual([responses, failures], [[0, 1, 2, 3, 4, 5, 6, 7], []]);
    });

    test('nor does the time that a worker takes to start', async (t) => {
      const parallelizer = on(t, {
        filePath: fixture('slow-load.js'),
        timeout: 1500,
        env: { ...process.env, SLOW_LOAD_MS: '3500' },
      });
      const { responses, failures } = await within(parallelizer.run([echo(1), echo(2)]), 'the run', 60_000);
      assert.deepEqual([responses, failures], [[1, 2], []]);
    });

    test('a timeout uses no retry', async (t) => {
      const parallelizer = on(t, { timeout: 300, gracePeriod: 100, retries: 3 });
      const file = `${temporary(t)}/attempts`;
      const { errors } = await within(parallelizer.run([{ do: 'loop', file }]), 'the run');
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
      await parallelizer.run([echo(1), echo(2)], null, { timeout: 20_000 });
      assert.equal(lines(file).length, 1);
    });

    test('neighbours of a timed-out sub-batch keep their results and their workers', async (t) => {
      const parallelizer = on(t, { parallelization: 3, gracePeriod: 100 });
      const dir = temporary(t);
      const slow = parallelizer.run([{ do: 'gate', file: `${dir}/held`, value: 'held' }]);
      await appeared(`${dir}/held.started`);
      const { errors } = await within(
        parallelizer.run([{ do: 'loop' }, { do: 'loop' }], null, { timeout: 300 }),
        'the run',
      );
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['ERR_PARALLELIZER_TIMEOUT', 'ERR_PARALLELIZER_TIMEOUT'],
      );
      assert.deepEqual((await within(parallelizer.run([echo(1)]), 'a run on a new worker')).responses, [1]);
      fs.writeFileSync(`${dir}/held.go`, '');
      assert.deepEqual((await within(slow, 'the held run')).responses, ['held']);
    });

    test('one timed-out sub-batch of many lets the others finish', async (t) => {
      const parallelizer = on(t, { parallelization: 2, batchSize: 1, timeout: 1500, gracePeriod: 50 });
      const batch = Array.from({ length: 12 }, (_, i) => (i === 4 ? { do: 'loop' } : echo(i)));
      const { responses, errors } = await within(parallelizer.run(batch), 'the run');
      assert.deepEqual(errors.map(({ code, batchIndex }) => [code, batchIndex]), [['ERR_PARALLELIZER_TIMEOUT', 4]]);
      assert.deepEqual(responses, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]);
    });

    test('a process that blocks its own event loop for longer than the timeout sees no false timeout', async (t) => {
      const parallelizer = on(t, { timeout: 1500 });
      await parallelizer.ready();
      const running = parallelizer.run([{ do: 'sleep', ms: 300, value: 1 }, echo(2)]);
      await sleep(20);
      const end = Date.now() + 3000;
      while (Date.now() < end);
      const { responses, failures } = await within(running, 'the run');
      assert.deepEqual([responses, failures], [[1, 2], []], 'the answers were there');
    });
  },
  { needs: ['hasWorkers'] },
);
