'use strict';
// runOptions.onProgress({ done, total, failed })

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { echo, make, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('counts up to the total, and never back', async (t) => {
    const seen = [];
    const parallelizer = on(t, { batchSize: 1 });
    await parallelizer.run(
      Array.from({ length: 20 }, (_, i) => echo(i)),
      null,
      { onProgress: (progress) => seen.push(progress) },
    );
    assert.ok(seen.length >= 1);
    for (const { total, failed } of seen) assert.deepEqual([total, failed], [20, 0]);
    for (let i = 1; i < seen.length; i++) assert.ok(seen[i].done >= seen[i - 1].done);
    assert.equal(seen.at(-1).done, 20, 'the last one comes before run resolves');
  });

  test('done counts all that have settled, failed those of them that failed', async (t) => {
    const seen = [];
    await on(t, { batchSize: 1 }).run(
      Array.from({ length: 9 }, (_, i) => (i % 3 === 0 ? { do: 'throws' } : echo(i))),
      null,
      { onProgress: (progress) => seen.push({ ...progress }) },
    );
    assert.deepEqual(seen.at(-1), { done: 9, total: 9, failed: 3 });
    for (const { done, failed } of seen) assert.ok(failed <= done && done <= 9);
  });

  test('each run has its own counts', async (t) => {
    const parallelizer = on(t, { batchSize: 1 });
    const last = {};
    await Promise.all(
      [3, 5, 7].map((n) =>
        parallelizer.run(
          Array.from({ length: n }, (_, i) => echo(i)),
          null,
          { onProgress: (progress) => (last[n] = { ...progress }) },
        ),
      ),
    );
    assert.deepEqual(last, {
      3: { done: 3, total: 3, failed: 0 },
      5: { done: 5, total: 5, failed: 0 },
      7: { done: 7, total: 7, failed: 0 },
    });
  });

  test('an onProgress that throws is reported, and does not hang or harm the run', async (t) => {
    const { messages } = await run(
      t,
      asynchronous(`
        const seen = [];
        process.on('uncaughtException', (error) => seen.push(error.message));
        process.on('unhandledRejection', (error) => seen.push(error.message));
        const parallelizer = make({ batchSize: 1 });
        const outcome = await parallelizer.run([{ do: 'echo', value: 1 }, { do: 'echo', value: 2 }], null, {
          onProgress() { throw new Error('progress!'); },
        }).then(({ responses }) => responses, (error) => { seen.push(error.message); return [1, 2]; });
        await sleep(20);
        const next = await parallelizer.run([{ do: 'echo', value: 3 }]);
        await parallelizer.close();
        console.log(JSON.stringify([outcome, next.responses, [...new Set(seen)]]));`),
      { mode },
    );
    assert.deepEqual(messages, [[[1, 2], [3], ['progress!']]]);
  });

  test('a run started from onProgress works', async (t) => {
    const parallelizer = on(t, { batchSize: 1 });
    const inner = [];
    await parallelizer.run([echo(1), echo(2), echo(3)], null, {
      onProgress: () => inner.push(parallelizer.run([echo('inner')])),
    });
    assert.ok(inner.length >= 1);
    for (const { responses } of await within(Promise.all(inner), 'the inner runs'))
      assert.deepEqual(responses, ['inner']);
  });
});
