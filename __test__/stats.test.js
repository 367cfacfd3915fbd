'use strict';
// stats()

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { appeared, echo, make, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const distribution = ['count', 'max', 'mean', 'min', 'p50', 'p90', 'p99'];

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('counts what was done and what failed', async (t) => {
    const parallelizer = on(t);
    await parallelizer.run([echo(1), { do: 'throws' }]);
    await parallelizer.run([echo(1), echo(2)]);
    const stats = parallelizer.stats();
    assert.deepEqual([stats.done, stats.failed, stats.waiting, stats.running], [4, 1, 0, 0]);
    for (const name of ['waitTime', 'runTime']) {
      assert.deepEqual(Object.keys(stats[name]).sort(), distribution);
      assert.equal(stats[name].count, 4, name);
    }
  });

  test('is a copy, and plain data that can be logged', async (t) => {
    const parallelizer = on(t);
    const stats = parallelizer.stats();
    assert.deepEqual(JSON.parse(JSON.stringify(stats)), stats);
    stats.done = 99;
    stats.workers.length = 0;
    assert.equal(parallelizer.stats().done, 0);
  });

  test('everything is 0 before anything has run', async (t) => {
    const { done, failed, waiting, running, restarts, waitTime, runTime } = on(t).stats();
    assert.deepEqual([done, failed, waiting, running, restarts], [0, 0, 0, 0, 0]);
    for (const times of [waitTime, runTime]) for (const name of distribution) assert.equal(times[name], 0, name);
  });

  test('runTime is measured in milliseconds', async (t) => {
    const parallelizer = on(t);
    await parallelizer.run([{ do: 'sleep', ms: 200 }, { do: 'sleep', ms: 200 }]);
    const { runTime } = parallelizer.stats();
    assert.ok(runTime.min >= 180 && runTime.max < 20_000, JSON.stringify(runTime));
    assert.ok(runTime.min <= runTime.p50 && runTime.p50 <= runTime.p90 && runTime.p90 <= runTime.p99);
    assert.ok(runTime.mean >= runTime.min && runTime.mean <= runTime.max * 1.01);
  });

  test('the list form has one per id', async (t) => {
    const lists = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    await lists.run([{ id: 'a', batch: [echo(1)] }]);
    const stats = lists.stats();
    assert.deepEqual(Object.keys(stats).sort(), ['a', 'b']);
    assert.deepEqual([stats.a.done, stats.b.done], [1, 0]);
  });

  test('can be called at any time, closed or not', async (t) => {
    const parallelizer = on(t);
    const running = parallelizer.run([echo(1)]);
    assert.equal(typeof parallelizer.stats().running, 'number');
    await running;
    await parallelizer.close();
    assert.equal(parallelizer.stats().done, 1);
    assert.deepEqual(parallelizer.stats().workers, []);
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    test('workers: id, pid, state, done, failed, workerIndex', async (t) => {
      const parallelizer = on(t);
      assert.equal(parallelizer.stats().workers.length, 2);
      await parallelizer.ready();
      await parallelizer.run([echo(1), { do: 'throws' }]);
      const { workers } = parallelizer.stats();
      assert.equal(workers.length, 2);
      for (const worker of workers) {
        assert.deepEqual(Object.keys(worker).sort(), ['done', 'failed', 'id', 'pid', 'state', 'workerIndex']);
        assert.equal(worker.state, 'ready');
        if (mode.hasProcess) assert.ok(Number.isInteger(worker.pid));
      }
      assert.equal(new Set(workers.map(({ id }) => id)).size, 2);
      assert.deepEqual(workers.map(({ workerIndex }) => workerIndex).sort(), [0, 1]);
      assert.equal(workers[0].done + workers[1].done, 2);
      assert.equal(workers[0].failed + workers[1].failed, 1);
    });

    test('states: starting, ready, busy', async (t) => {
      const parallelizer = on(t);
      assert.deepEqual(parallelizer.stats().workers.map(({ state }) => state), ['starting', 'starting']);
      await parallelizer.ready();
      const file = `${temporary(t)}/held`;
      const running = parallelizer.run([{ do: 'gate', file }]);
      await appeared(`${file}.started`);
      assert.deepEqual(parallelizer.stats().workers.map(({ state }) => state).sort(), ['busy', 'ready']);
      assert.equal(parallelizer.stats().running, 1);
      fs.writeFileSync(`${file}.go`, '');
      await running;
      assert.deepEqual(parallelizer.stats().workers.map(({ state }) => state), ['ready', 'ready']);
    });

    test('bytes grow with what is sent and received', async (t) => {
      const parallelizer = on(t);
      await parallelizer.ready();
      const before = parallelizer.stats();
      await parallelizer.run([echo('x'.repeat(100_000))]);
      const after = parallelizer.stats();
      for (const name of ['bytesSent', 'bytesReceived']) {
        const grown = after[name] - before[name];
        assert.ok(grown >= 100_000 && grown < 300_000, `${name}: ${grown}`);
      }
    });

    test('waitTime includes the time that calls wait', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      await parallelizer.ready();
      await Promise.all([parallelizer.run([{ do: 'sleep', ms: 300 }]), parallelizer.run([echo(1)])]);
      const { waitTime } = parallelizer.stats();
      assert.ok(waitTime.max >= 200, JSON.stringify(waitTime));
    });
  },
  { needs: ['hasWorkers'] },
);
