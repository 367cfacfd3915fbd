'use strict';
// Workers are replaced after a certain amount of work or memory, and stopped after a certain idle time.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { echo, gone, make, sleep, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const count = (all) => all.reduce((counts, one) => counts.set(one, (counts.get(one) ?? 0) + 1), new Map());

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, parallelization: 1, ...options });

    for (const limit of [1, 2, 3]) {
      test(`maxBatchesPerWorker ${limit}: no worker runs more sub-batches, and none is lost`, async (t) => {
        const parallelizer = on(t, { maxBatchesPerWorker: limit });
        const all = [];
        for (let i = 0; i < 6; i++) all.push((await within(parallelizer.run([{ do: 'who' }]), 'a run')).responses[0]);
        assert.deepEqual([...count(all).values()], Array(6 / limit).fill(limit));
      });
    }

    test('maxBatchesPerWorker: the next worker is there before the last is gone', async (t) => {
      const parallelizer = on(t, { maxBatchesPerWorker: 10 });
      const who = () => within(parallelizer.run([{ do: 'who' }]), 'a run');
      for (const turn of [1, 2, 3]) {
        const first = (await who()).responses[0];
        const isThere = () => parallelizer.stats().workers.filter(({ state }) => state === 'ready').length === 2;
        await waitFor(isThere, `worker ${turn + 1} to be ready while worker ${turn} is there`);
        for (let i = 1; i < 10; i++) assert.deepEqual((await who()).responses, [first]);
      }
      assert.equal(parallelizer.stats().restarts, 3);
    });

    test('maxBatchesPerWorker within one run, and across concurrent ones', async (t) => {
      const parallelizer = on(t, { maxBatchesPerWorker: 2, batchSize: 1, parallelization: 2 });
      const who = { do: 'who' };
      const answers = await within(
        Promise.all([parallelizer.run(Array(8).fill(who)), parallelizer.run(Array(4).fill(who))]),
        'the runs',
        60_000,
      );
      const all = answers.flatMap(({ responses }) => responses);
      assert.equal(all.length, 12);
      for (const [worker, calls] of count(all)) assert.ok(calls <= 2, `${worker} had ${calls}`);
    });

    test('a failed sub-batch counts too', async (t) => {
      const parallelizer = on(t, { maxBatchesPerWorker: 2 });
      const first = (await parallelizer.run([{ do: 'who' }])).responses[0];
      assert.equal((await parallelizer.run([{ do: 'throws' }])).failures.length, 1);
      assert.notEqual((await parallelizer.run([{ do: 'who' }])).responses[0], first);
    });

    test('idleTimeout: an idle worker is stopped, and started again when there is work', async (t) => {
      const parallelizer = on(t, { idleTimeout: 150 });
      const pids = () => parallelizer.stats().workers.filter(({ state }) => state !== 'stopping').length;
      const before = (await parallelizer.run([{ do: 'who' }])).responses[0];
      await waitFor(() => pids() === 0, 'the idle worker to be stopped');
      if (mode.hasProcess) await gone(Number.parseInt(before, 10));
      const after = (await within(parallelizer.run([{ do: 'who' }]), 'the next run')).responses[0];
      assert.notEqual(after, before);
    });

    test('idleTimeout does not affect a worker that is busy for longer', async (t) => {
      const parallelizer = on(t, { idleTimeout: 100 });
      assert.deepEqual((await parallelizer.run([{ do: 'sleep', ms: 900, value: 'done' }])).responses, ['done']);
    });

    test('idleTimeout and work at the same moment: nothing is lost', async (t) => {
      const parallelizer = on(t, { idleTimeout: 20, parallelization: 2 });
      for (let i = 0; i < 25; i++) {
        await sleep(15 + (i % 12));
        const { responses, failures } = await within(parallelizer.run([echo(i), echo(-i)]), 'a run');
        assert.deepEqual([responses, failures], [[i, -i], []]);
      }
    });

    test('replacing a worker is neither a failure nor the restart of a dead one', async (t) => {
      const parallelizer = on(t, { maxBatchesPerWorker: 1 });
      for (let i = 0; i < 3; i++) assert.deepEqual((await parallelizer.run([echo(i)])).failures, []);
      assert.equal(parallelizer.stats().failed, 0);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('maxWorkerMemory: a worker above it is replaced between sub-batches', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 1, maxWorkerMemory: 200 * 2 ** 20 });
      const hoard = (bytes) => parallelizer.run([{ do: 'hoard', bytes }]).then(({ responses }) => responses[0]);
      const first = await hoard(1);
      assert.equal(await hoard(1), first, 'within it, the worker stays');
      assert.equal(await hoard(300 * 2 ** 20), first);
      // Memory is checked between sub-batches: at the latest before the one after the next.
      await waitFor(async () => (await hoard(1)) !== first, 'the worker to be replaced');
      await gone(Number.parseInt(first, 10));
    });

    test('workers that were replaced are gone', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 1, maxBatchesPerWorker: 1 });
      const pids = [];
      for (let i = 0; i < 5; i++) pids.push((await parallelizer.run([{ do: 'pid' }])).responses[0]);
      assert.equal(new Set(pids).size, 5);
      for (const pid of pids) await gone(pid);
    });
  },
  { needs: ['hasProcess'] },
);
