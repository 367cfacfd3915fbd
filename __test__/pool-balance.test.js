'use strict';
// Which worker gets which items, and when: observed by what the items do while a gate holds one of them.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode, isFallback } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');

const PATIENCE = 6_000; // A limit for what takes milliseconds once the workers are up.

const square = (x) => x * x;
const busyFor = (ms) => {
  for (const end = performance.now() + ms; performance.now() < end; );
};
const picky = (x) => {
  if (x < 0) throw new RangeError(`bad ${x}`);
  return x;
};

/** What `noteAndGate` has noted: the items in the order in which they began, and the worker of each. */
function notes(file) {
  const entries = lines(file).map((line) => line.split(' '));
  return {
    items: entries.map(([item]) => Number(item)),
    workers: new Map(entries.map(([item, worker]) => [Number(item), worker])),
  };
}

forEachMode((mode) => {
  const on = (t, options) => makePool(t, mode, options);

  test('100,000 items that cost nothing arrive in order', async (t) => {
    const pool = on(t);
    const values = await within(pool.map(square, range(100_000)), 'map');
    assert.equal(values.length, 100_000);
    assert.equal(values.findIndex((value, i) => value !== i * i), -1);
    const chunked = await within(pool.map(square, range(20_000), { chunkSize: 7 }), 'map with chunkSize');
    assert.equal(chunked.length, 20_000);
    assert.equal(chunked.findIndex((value, i) => value !== i * i), -1);
    const spread = await within(pool.starmap((a, b) => a - b, range(20_000).map((i) => [2 * i, i])), 'starmap');
    assert.equal(spread.length, 20_000);
    assert.equal(spread.findIndex((value, i) => value !== i), -1);
  });

  test('5,000 single calls, each its own result', async (t) => {
    const pool = on(t);
    const values = await within(Promise.all(range(5000).map((x) => pool.apply(square, [x]))), 'the calls');
    assert.equal(values.findIndex((value, i) => value !== i * i), -1);
  });

  test('no items at all', async (t) => {
    const pool = on(t);
    const onProgress = () => assert.fail('there is nothing to tell');
    assert.deepEqual(await within(pool.map(square, [], { onProgress }), 'map'), []);
    assert.deepEqual(await within(pool.starmap(square, new Set(), { chunkSize: 3, onProgress }), 'starmap'), []);
    assert.deepEqual(await within(list(pool.imap(square, [], { onProgress })), 'imap'), []);
    assert.deepEqual(await within(pool.map(square, [], { onError: 'collect' }), 'map with onError'), []);
  });

  test('the items of a chunk run in their order, one after another', async (t) => {
    const file = `${temporary(t)}/notes`;
    const values = await within(
      on(t).map(
        task('noteAndGate'),
        range(30).map((i) => [file, i]),
        { chunkSize: 10 },
      ),
      'map',
    );
    assert.deepEqual(values, range(30));
    const { items } = notes(file);
    assert.equal(items.length, 30);
    for (const first of [0, 10, 20])
      assert.deepEqual(
        items.filter((i) => i >= first && i < first + 10),
        range(10).map((i) => first + i),
      );
  });

  test('on one worker all items run in their order, whatever the chunks', async (t) => {
    const pool = on(t, { processes: 1 });
    for (const options of [{}, { chunkSize: 1 }, { chunkSize: 4 }, { chunkSize: 1000 }]) {
      const file = `${temporary(t)}/notes`;
      assert.deepEqual(
        await within(
          pool.map(
            task('noteAndGate'),
            range(50).map((i) => [file, i]),
            options,
          ),
          'map',
        ),
        range(50),
      );
      assert.deepEqual(notes(file).items, range(50), JSON.stringify(options));
    }
  });

  describe('onProgress', () => {
    for (const chunkSize of [undefined, 1, 7, 1000]) {
      test(`counts each item once, chunkSize ${chunkSize}`, async (t) => {
        const pool = on(t);
        const options = chunkSize === undefined ? {} : { chunkSize };
        const items = range(100).map((i) => (i % 10 === 3 ? -i : i));
        const seen = [];
        const onProgress = (progress) => seen.push(progress);
        const outcomes = await within(pool.map(picky, items, { ...options, onProgress, onError: 'collect' }), 'map');
        assert.deepEqual(brief(outcomes), items.map((x) => (x < 0 ? [`bad ${x}`] : x)));
        assert.deepEqual(seen.map(({ done }) => done), range(100).map((i) => i + 1));
        assert.ok(seen.every(({ total }) => total === 100));
        const failed = seen.map((progress) => progress.failed);
        assert.deepEqual([...failed].sort((a, b) => a - b), failed, 'never less than before');
        assert.equal(failed.at(-1), 10);
        const args = [];
        await within(
          pool.starmap(
            square,
            range(5).map((i) => [i]),
            { ...options, onProgress: (...all) => args.push(all) },
          ),
          'starmap',
        );
        assert.deepEqual(
          args,
          range(5).map((i) => [{ done: i + 1, total: 5, failed: 0 }]),
        );
      });
    }

    test('has reported everything before the result is there', async (t) => {
      const order = [];
      const onProgress = ({ done }) => order.push(done);
      await on(t)
        .mapAsync(square, [1, 2, 3], { onProgress, callback: () => order.push('callback') })
        .get()
        .then(() => order.push('result'));
      assert.deepEqual(order, [1, 2, 3, 'callback', 'result']);
    });

    test('reports an item while others run', async (t) => {
      const { file, open } = gateIn(t);
      let done = 0;
      const items = [
        [null, 0],
        [null, 1],
        [file, 2],
      ];
      const mapping = on(t, { processes: 1 }).map(task('gateAsItem'), items, {
        onProgress: (progress) => (done = progress.done),
        chunkSize: 3,
      });
      await waitFor(() => done === 2, 'two to be told');
      open();
      assert.deepEqual(await within(mapping, 'map'), [0, 1, 2]);
      assert.equal(done, 3);
    });
  });

  test('who sees the end of a map only is woken less often than who sees each item', async (t) => {
    if (!mode.measuresLag) return t.skip('inline nothing is held back, and by hosts all of it until a chunk is done');
    if (isFallback && mode.hasProcess) return t.skip('a process without the addon sends each answer at once');
    if (performance.nodeTiming.uvMetricsInfo === undefined) return t.skip('this Node does not count its turns');
    const pool = on(t, { processes: 1 });
    // With more that wait nobody would be in a hurry either.
    const items = range(150).map(() => 0.5);
    const turns = async (options) => {
      const before = performance.nodeTiming.uvMetricsInfo.loopCount;
      await within(pool.map(busyFor, items, { chunkSize: 150, ...options }), 'map');
      return performance.nodeTiming.uvMetricsInfo.loopCount - before;
    };
    await turns();
    let done = 0;
    let watched = 0;
    let unseen = 0;
    // On a busy machine the caller may find the answers to many items at once in either case.
    for (let round = 1; round <= 20 && unseen * 2 >= watched; round++) {
      watched = await turns({ onProgress: () => done++ });
      assert.equal(done, 150 * round);
      unseen = await turns();
    }
    assert.ok(unseen * 2 < watched, `${unseen} turns, ${watched} with onProgress`);
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, options);

    const methods = {
      map: (pool, items) => pool.map(task('noteAndGate'), items),
      'map, chunkSize 1': (pool, items) => pool.map(task('noteAndGate'), items, { chunkSize: 1 }),
      'imapUnordered, chunkSize 1': (pool, items) =>
        list(pool.imapUnordered(task('noteAndGate'), items, { chunkSize: 1 })).then((values) =>
          values.sort((a, b) => a - b),
        ),
      apply: (pool, items) => Promise.all(items.map((item) => pool.apply(task('noteAndGate'), [item]))),
    };

    describe('while a gate holds one item, all others begin', () => {
      for (const [method, submit] of Object.entries(methods)) {
        for (const held of [0, 20, 39]) {
          test(`${method}, item ${held} of 40`, async (t) => {
            const gate = gateIn(t);
            const file = `${gate.dir}/notes`;
            const pool = on(t);
            await pool.ready();
            const outcome = submit(pool, range(40).map((i) => [file, i, i === held ? gate.file : null]));
            await waitFor(() => lines(file).length === 40, 'all to begin', PATIENCE).finally(gate.open);
            assert.deepEqual(await within(outcome, method), range(40));
            assert.deepEqual(notes(file).items.sort((a, b) => a - b), range(40), 'each once');
          });
        }
      }

      test('map, after many items of the same task that cost almost nothing', async (t) => {
        const gate = gateIn(t);
        const file = `${gate.dir}/notes`;
        const pool = on(t);
        await within(pool.map(task('noteAndGate'), range(3000).map((i) => ['/dev/null', i])), 'the many');
        const outcome = pool.map(task('noteAndGate'), range(200).map((i) => [file, i, i === 50 ? gate.file : null]));
        await waitFor(() => lines(file).length === 200, 'all to begin', PATIENCE).finally(gate.open);
        assert.deepEqual(await within(outcome, 'map'), range(200));
      });

      test('other calls of the same task and of others', async (t) => {
        const gate = gateIn(t);
        const pool = on(t);
        const held = pool.map(task('gateAsItem'), [[gate.file, 'held']]);
        await gate.started();
        assert.deepEqual(
          await within(
            pool.map(
              task('gateAsItem'),
              range(50).map((i) => [null, i]),
            ),
            'a map',
          ),
          range(50),
        );
        assert.deepEqual(await within(pool.map(square, range(500)), 'another map'), range(500).map(square));
        assert.deepEqual(await within(list(pool.imap(square, range(100))), 'imap'), range(100).map(square));
        for (const i of range(20)) assert.equal(await within(pool.apply(square, [i]), 'apply'), i * i);
        gate.open();
        assert.deepEqual(await within(held, 'the one that is held'), ['held']);
      });
    });

    test('long items next to each other in the list run in parallel', async (t) => {
      const dir = temporary(t);
      const file = `${dir}/notes`;
      const pool = on(t);
      await pool.ready();
      const items = range(30).map((i) => [file, i, i === 20 || i === 21 ? `${dir}/${i}` : null]);
      const mapping = pool.map(task('noteAndGate'), items);
      const open = () => {
        for (const i of [20, 21]) gateIn(t, dir, String(i)).open();
      };
      await waitFor(() => [20, 21].every((i) => notes(file).items.includes(i)), 'both to begin', PATIENCE).finally(
        open,
      );
      assert.deepEqual(await within(mapping, 'map'), range(30));
      const { workers } = notes(file);
      assert.notEqual(workers.get(20), workers.get(21));
    });

    describe('chunkSize', () => {
      test('a chunk stays at one worker behind an item that is held; other chunks do not wait', async (t) => {
        const gate = gateIn(t);
        const file = `${gate.dir}/notes`;
        const items = range(16).map((i) => [file, i, i === 1 ? gate.file : null]);
        const mapping = on(t).map(task('noteAndGate'), items, { chunkSize: 4 });
        await waitFor(() => lines(file).length >= 14, 'the other chunks to begin');
        await sleep(50);
        assert.deepEqual(notes(file).items.sort((a, b) => a - b), range(16).filter((i) => i !== 2 && i !== 3));
        gate.open();
        assert.deepEqual(await within(mapping, 'map'), range(16));
        const { workers } = notes(file);
        for (const first of [0, 4, 8, 12]) {
          assert.equal(new Set(range(4).map((i) => workers.get(first + i))).size, 1, `the chunk of ${first}`);
        }
      });

      test('as large as the list: one worker gets all of it, and another one what comes next', async (t) => {
        const gate = gateIn(t);
        const file = `${gate.dir}/notes`;
        const pool = on(t);
        await pool.ready();
        const mapping = pool.map(
          task('noteAndGate'),
          range(10).map((i) => [file, i, i === 0 ? gate.file : null]),
          { chunkSize: 10 },
        );
        await gate.started();
        assert.deepEqual(await within(pool.map(square, range(100)), 'what comes next'), range(100).map(square));
        assert.deepEqual(notes(file).items, [0]);
        gate.open();
        assert.deepEqual(await within(mapping, 'map'), range(10));
        assert.equal(new Set(notes(file).workers.values()).size, 1);
      });

      test('of each call by itself', async (t) => {
        const dir = temporary(t);
        const pool = on(t);
        const sizes = [1, 3, 5];
        const maps = sizes.map((chunkSize) =>
          pool.map(
            task('noteAndGate'),
            range(15).map((i) => [`${dir}/${chunkSize}`, i]),
            { chunkSize },
          ),
        );
        assert.deepEqual(await within(Promise.all(maps), 'the maps'), Array(3).fill(range(15)));
        for (const chunkSize of sizes) {
          const { items, workers } = notes(`${dir}/${chunkSize}`);
          assert.equal(items.length, 15);
          for (let first = 0; first < 15; first += chunkSize) {
            assert.equal(
              new Set(range(chunkSize).map((i) => workers.get(first + i))).size,
              1,
              `chunkSize ${chunkSize}, the chunk of ${first}`,
            );
          }
        }
      });
    });
  },
  { needs: ['isParallel'] },
);
