'use strict';
// batchSize: more sub-batches than workers, handed out as workers become free.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { echo, make, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  for (const [records, batchSize, workers, sizes] of [
    [10, 3, 2, [3, 2, 3, 2]],
    [10, 5, 2, [5, 5]],
    [10, 10, 2, [10]],
    [10, 100, 2, [10]],
    [5, 1, 2, [1, 1, 1, 1, 1]],
    [7, 2, 1, [2, 2, 2, 1]],
    [1, 3, 2, [1]],
    [0, 3, 2, []],
  ]) {
    test(`${records} records, at most ${batchSize} each: ${sizes.length ? sizes : 'none'}`, async (t) => {
      const parallelizer = on(t, { batchSize, parallelization: workers, processBatchFunctionName: 'batch' });
      const batch = Array.from({ length: records }, (_, i) => i);
      const { responses, failures } = await parallelizer.run(batch);
      assert.deepEqual(failures, []);
      assert.deepEqual(responses.map((part) => part.length), sizes);
      assert.deepEqual(responses.flat(), batch, 'in order');
    });
  }

  test('batchIndex tells the function which sub-batch it has', async (t) => {
    const parallelizer = on(t, { batchSize: 1, processBatchFunctionName: 'batchIndex' });
    assert.deepEqual((await parallelizer.run(Array(30).fill(0))).responses, Array.from({ length: 30 }, (_, i) => i));
  });

  test('errors name their records', async (t) => {
    const { errors } = await on(t, { batchSize: 3 }).run(
      Array.from({ length: 10 }, (_, i) => (i === 4 || i === 9 ? { do: 'throws' } : echo(i))),
    );
    assert.deepEqual(errors.map(({ batchIndex, records }) => [batchIndex, [...records]]), [[1, [3, 4]], [3, [8, 9]]]);
  });

  test('5,000 sub-batches of one record', async (t) => {
    const parallelizer = on(t, { batchSize: 1, processBatchFunctionName: 'sum' });
    const { responses } = await within(parallelizer.run(Array.from({ length: 5000 }, (_, i) => i)), 'the run', 60_000);
    assert.deepEqual(responses, Array.from({ length: 5000 }, (_, i) => i));
  });
});

forEachMode(
  (mode) => {
    test('a slow sub-batch does not hold up the ones after it: the other worker takes them', async (t) => {
      const parallelizer = make(t, { type: mode.type, batchSize: 1, parallelization: 2 });
      const file = `${temporary(t)}/slow`;
      // The last record opens the gate at which the first one waits.
      const batch = [
        { do: 'gate', file, value: 'slow' },
        ...Array.from({ length: 10 }, (_, i) => echo(i)),
        { do: 'touch', file: `${file}.go`, value: 'last' },
      ];
      const { responses } = await within(parallelizer.run(batch), 'the run');
      assert.deepEqual(responses, ['slow', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'last']);
    });

    test('nor after many quick ones, which suggest that the next is quick as well', async (t) => {
      const parallelizer = make(t, { type: mode.type, batchSize: 1, parallelization: 2 });
      for (let i = 0; i < 5; i++) await parallelizer.run(Array.from({ length: 300 }, (_, value) => echo(value)));
      const dir = temporary(t);
      for (let i = 0; i < 10; i++) {
        const file = `${dir}/${i}`;
        const batch = [
          { do: 'gate', file, value: 'slow' },
          echo(1),
          echo(2),
          { do: 'touch', file: `${file}.go`, value: 'last' },
        ];
        assert.deepEqual((await within(parallelizer.run(batch), 'the run')).responses, ['slow', 1, 2, 'last']);
      }
    });

    test('a worker has one sub-batch at a time', async (t) => {
      const parallelizer = make(t, { type: mode.type, batchSize: 1, parallelization: 2 });
      const dir = temporary(t);
      const running = parallelizer.run(
        Array.from({ length: 6 }, (_, i) => ({ do: 'gate', file: `${dir}/${i}`, value: i })),
      );
      const begun = () => fs.readdirSync(dir).filter((name) => name.endsWith('.started')).length;
      for (let i = 0; i < 6; i++) {
        while (begun() < Math.min(i + 2, 6)) await new Promise((resolve) => setTimeout(resolve, 5));
        assert.ok(begun() <= i + 2, `${begun()} begun with ${i} finished`);
        fs.writeFileSync(`${dir}/${i}.go`, '');
      }
      assert.deepEqual((await within(running, 'the run')).responses, [0, 1, 2, 3, 4, 5]);
    });
  },
  { needs: ['isParallel'] },
);
