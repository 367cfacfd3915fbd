'use strict';
// runOptions.groupBy: the records of one key run in order, one after another; different keys run in parallel.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const { echo, lines, make, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const key = (record) => record.key;

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, processBatchFunctionName: 'batch', ...options });
  const records = (keys) => [...keys].map((key, n) => ({ key, n }));
  const shape = (responses) => responses.map((part) => part.map(({ key, n }) => `${key}${n}`).join(' '));

  test('a sub-batch has only one key; keys are in the order of their first records', async (t) => {
    const { responses } = await on(t).run(records('abacbca'), null, { groupBy: key });
    assert.deepEqual(shape(responses), ['a0 a2 a6', 'b1 b4', 'c3 c5']);
  });

  test('more keys than workers, and fewer', async (t) => {
    const many = records('abcdefghij'.repeat(3));
    const { responses } = await on(t).run(many, null, { groupBy: key });
    assert.equal(responses.length, 10);
    for (const part of responses) assert.deepEqual(part.map(({ n }) => n), [part[0].n, part[0].n + 10, part[0].n + 20]);
    assert.deepEqual(shape((await on(t).run(records('aaa'), null, { groupBy: key })).responses), ['a0 a1 a2']);
  });

  test('batchSize cuts a large key into consecutive sub-batches', async (t) => {
    const { responses } = await on(t, { batchSize: 2 }).run(records('aababaa'), null, { groupBy: key });
    const parts = shape(responses);
    assert.deepEqual(parts.filter((part) => part.startsWith('a')).join(' '), 'a0 a1 a3 a5 a6');
    assert.deepEqual(parts.filter((part) => part.startsWith('b')), ['b2 b4']);
    for (const part of parts) assert.ok(part.split(' ').length <= 2);
  });

  test('a promise is no key', async (t) => {
    const groupBy = async (record) => record.key;
    await assert.rejects(on(t).run(records('ab'), null, { groupBy }), {
      code: 'ERR_PARALLELIZER_OPTION', message: /"groupBy".*index 0.*promise/,
    });
  });

  test('a key may be any value; equality is that of a Map', async (t) => {
    const object = {};
    const keys = [
      1,
      '1',
      null,
      undefined,
      Number.NaN,
      object,
      1,
      '1',
      null,
      undefined,
      Number.NaN,
      object,
      true,
      'true',
      '__proto__',
      '__proto__',
    ];
    let i = 0;
    const { responses } = await on(t, { batchSize: 100 }).run(
      keys.map((_, n) => n),
      null,
      { groupBy: () => keys[i++] },
    );
    assert.deepEqual(responses, [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11], [12], [13], [14, 15]]);
  });

  test('groupBy is called once per record, with the record', async (t) => {
    const seen = [];
    await on(t).run(['x', 'y', 'x'], null, { groupBy: (record) => (seen.push(record), record) });
    assert.deepEqual(seen, ['x', 'y', 'x']);
  });

  test('an empty batch', async (t) => {
    assert.deepEqual(await on(t).run([], null, { groupBy: key }), { responses: [], failures: [] });
  });

  test('errors have the indices of their records in the batch', async (t) => {
    const parallelizer = make(t, { type: mode.type });
    const batch = [
      { key: 'a', ...echo(1) },
      { key: 'b', do: 'throws', message: 'b fails' },
      { key: 'a', ...echo(2) },
      { key: 'b', ...echo(3) },
      { key: 'c', ...echo(4) },
    ];
    const { responses, errors } = await parallelizer.run(batch, null, { groupBy: key });
    assert.deepEqual(responses, [2, 4]);
    assert.deepEqual(errors.map(({ message, records }) => [message, [...records]]), [['b fails', [1, 3]]]);
  });

  test('without stopKeyOnError the rest of a key goes on after an error', async (t) => {
    const parallelizer = make(t, { type: mode.type, batchSize: 1 });
    const { responses, errors } = await parallelizer.run(
      [{ key: 'a', do: 'throws' }, { key: 'a', ...echo('second') }, { key: 'b', ...echo('other') }],
      null,
      { groupBy: key },
    );
    assert.deepEqual([...responses].sort(), ['other', 'second']);
    assert.equal(errors.length, 1);
  });

  test('stopKeyOnError skips the rest of the key, and no other key', async (t) => {
    const parallelizer = make(t, { type: mode.type, batchSize: 1 });
    const file = `${temporary(t)}/touched`;
    const batch = [
      { key: 'a', do: 'touch', file, value: 'a0' },
      { key: 'b', do: 'touch', file, value: 'b1' },
      { key: 'a', do: 'throws', message: 'a fails' },
      { key: 'a', do: 'touch', file, value: 'a3' },
      { key: 'b', do: 'touch', file, value: 'b4' },
      { key: 'a', do: 'touch', file, value: 'a5' },
    ];
    const result = await parallelizer.run(batch, null, { groupBy: key, stopKeyOnError: true });
    assert.deepEqual([...result.responses].sort(), ['a0', 'b1', 'b4']);
    assert.deepEqual(result.errors.map(({ code, message, records }) => [code ?? message, [...records]]), [
      ['a fails', [2]],
      ['ERR_PARALLELIZER_SKIPPED', [3]],
      ['ERR_PARALLELIZER_SKIPPED', [5]],
    ]);
    assert.equal(lines(file).length, 3, 'what is skipped does not run');
    const progress = [];
    await parallelizer.run(batch, null, {
      groupBy: key,
      stopKeyOnError: true,
      onProgress: (one) => progress.push(one),
    });
    assert.deepEqual([progress.at(-1).done, progress.at(-1).failed], [6, 3]);
  });
});

forEachMode(
  (mode) => {
    test('one key: in order, never two at once; a key stays with its worker', async (t) => {
      const parallelizer = make(t, {
        type: mode.type,
        batchSize: 1,
        filePath: require.resolve('./fixtures/keyed.js'),
        processBatchFunctionName: 'act',
      });
      const dir = temporary(t);
      const batch = Array.from({ length: 60 }, (_, n) => ({ key: 'abcd'[(n * 7) % 4], n, dir }));
      const { responses, failures } = await within(parallelizer.run(batch, null, { groupBy: key }), 'the run');
      assert.deepEqual(failures, []);
      const workers = {};
      for (const { key, worker } of responses) (workers[key] ??= new Set()).add(worker);
      for (const [name, set] of Object.entries(workers)) assert.equal(set.size, 1, `key ${name} on ${[...set]}`);
      for (const name of 'abcd') {
        const expected = batch.filter((record) => record.key === name).flatMap(({ n }) => [`begin ${n}`, `end ${n}`]);
        assert.deepEqual(lines(`${dir}/${name}`), expected, `key ${name}`);
      }
    });

    test('a slow key does not hold up the others', async (t) => {
      const parallelizer = make(t, { type: mode.type, batchSize: 1 });
      const file = `${temporary(t)}/slow`;
      const batch = [
        { key: 'slow', do: 'gate', file, value: 'slow 1' },
        { key: 'slow', ...echo('slow 2') },
        ...Array.from({ length: 6 }, (_, i) => ({ key: `k${i}`, ...echo(i) })),
        { key: 'last', do: 'touch', file: `${file}.go`, value: 'last' },
      ];
      const { responses } = await within(parallelizer.run(batch, null, { groupBy: key }), 'the run');
      assert.equal(responses.length, 9);
      assert.ok(fs.existsSync(`${file}.go`));
    });
  },
  { needs: ['isParallel'] },
);

forEachMode(
  (mode) => {
    test('a key moves to another worker if its worker dies, and keeps its order, even with retries', async (t) => {
      const parallelizer = make(t, {
        type: mode.type,
        batchSize: 1,
        retries: 1,
        filePath: require.resolve('./fixtures/keyed.js'),
        processBatchFunctionName: 'act',
      });
      const dir = temporary(t);
      const batch = Array.from({ length: 24 }, (_, n) => ({
        key: 'abc'[n % 3],
        n,
        dir,
        ...(n % 7 === 3 ? { die: `${dir}/died-${n}` } : {}),
      }));
      const { responses, failures } = await within(parallelizer.run(batch, null, { groupBy: key }), 'the run', 60_000);
      assert.deepEqual(failures, []);
      assert.equal(responses.length, 24);
      for (const name of 'abc') {
        const expected = batch.filter((record) => record.key === name).map(({ n }) => `end ${n}`);
        assert.deepEqual(lines(`${dir}/${name}`).filter((line) => line.startsWith('end')), expected, `key ${name}`);
      }
    });

    test('stopKeyOnError counts a death as an error', async (t) => {
      const parallelizer = make(t, { type: mode.type, batchSize: 1 });
      const batch = [
        { key: 'a', do: 'exit', code: 1 },
        { key: 'a', ...echo(1) },
        { key: 'b', ...echo('b') },
      ];
      const { responses, errors } = await within(
        parallelizer.run(batch, null, { groupBy: key, stopKeyOnError: true }),
        'the run',
      );
      assert.deepEqual(responses, ['b']);
      assert.deepEqual(errors.map(({ code }) => code).sort(), [
        'ERR_PARALLELIZER_SKIPPED',
        'ERR_PARALLELIZER_WORKER_EXITED',
      ]);
    });
  },
  { needs: ['hasProcess'] },
);
