'use strict';
// The option `concurrency`: items that one worker runs at the same time.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe, test } = require('node:test');

const { appeared, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');

const PATIENCE = 60_000; // A grace period that no case is meant to reach.
const EXITED = 'ERR_PARALLELIZER_WORKER_EXITED';
const TIMEOUT = 'ERR_PARALLELIZER_TIMEOUT';
const ABORTED = 'ERR_PARALLELIZER_ABORTED';

const square = (x) => x * x;
const never = () => new Promise(() => setInterval(() => {}, 1000).unref());

/** Notes in FILE.started that it runs, and in FILE.told that it was told to stop, which it does. */
const untilTold = function (file) {
  const { signal } = this;
  require('node:fs').writeFileSync(`${file}.started`, '');
  return new Promise((resolve) => {
    const held = setInterval(() => {}, 1000).unref();
    signal.addEventListener('abort', () => {
      clearInterval(held);
      require('node:fs').writeFileSync(`${file}.told`, '');
      resolve();
    });
  });
};

forEachMode((mode) => {
  const on = (t, options) => makePool(t, mode, options);
  /** A pool of one worker. */
  const one = (t, concurrency, options) => on(t, { processes: 1, concurrency, ...options });

  describe('how many run at the same time', () => {
    const methods = {
      map: (pool, items, options) => pool.map(task('crowdAsItem'), items, options),
      starmap: (pool, items, options) => pool.starmap(task('crowd'), items, options),
      imap: (pool, items, options) => list(pool.imap(task('crowdAsItem'), items, options)),
      imapUnordered: (pool, items, options) => list(pool.imapUnordered(task('crowdAsItem'), items, options)),
      apply: (pool, items) => Promise.all(items.map((args) => pool.apply(task('crowd'), args))),
    };
    for (const [method, submit] of Object.entries(methods)) {
      for (const options of method === 'map' ? [{}, { chunkSize: 1 }, { chunkSize: 2 }, { chunkSize: 100 }] : [{}]) {
        test(`${method} ${JSON.stringify(options)}: as many as it says, and no more`, async (t) => {
          const { file, open } = gateIn(t);
          const outcome = submit(one(t, 3), range(9).map((i) => [file, i]), options);
          await waitFor(() => lines(`${file}.started`).length >= 3, 'three to run');
          await sleep(50);
          assert.equal(lines(`${file}.started`).length, 3);
          open();
          const most = await within(outcome, method);
          assert.equal(most.length, 9);
          assert.equal(Math.max(...most), 3);
        });
      }
    }

    test('1, the default: one', async (t) => {
      const { file, started, open } = gateIn(t);
      const mapping = on(t, { processes: 1 }).map(
        task('crowdAsItem'),
        range(3).map((i) => [file, i]),
        { chunkSize: 3 },
      );
      await started();
      await sleep(50);
      assert.equal(lines(`${file}.started`).length, 1);
      open();
      assert.deepEqual(await within(mapping, 'map'), [1, 1, 1]);
    });

    test('more than there are items: all of them', async (t) => {
      const { file, open } = gateIn(t);
      const mapping = one(t, 100).map(task('crowdAsItem'), range(20).map((i) => [file, i]));
      await waitFor(() => lines(`${file}.started`).length === 20, 'all to run');
      open();
      assert.equal(Math.max(...(await within(mapping, 'map'))), 20);
    });

    test('calls of different kinds count together', async (t) => {
      const { file, open } = gateIn(t);
      const pool = one(t, 4);
      const calls = [
        pool.apply(task('crowd'), [file, 'apply']),
        pool.map(task('crowdAsItem'), [[file, 'map'], [file, 'map']]),
        list(pool.imap(task('crowdAsItem'), [[file, 'imap'], [file, 'imap']])),
        pool.starmap(task('crowd'), [[file, 'starmap'], [file, 'starmap']]),
      ];
      await waitFor(() => lines(`${file}.started`).length >= 4, 'four to run');
      await sleep(50);
      assert.equal(lines(`${file}.started`).length, 4);
      open();
      assert.equal(Math.max(...(await within(Promise.all(calls), 'all of them')).flat()), 4);
    });
  });

  describe('results', () => {
    test('are in the order of the items, whatever the order in which they end', async (t) => {
      const dir = temporary(t);
      const pool = one(t, 4);
      const items = range(4).map((i) => [`${dir}/${i}`, i]);
      const done = [];
      const mapping = pool.map(task('gateAsItem'), items, { onProgress: (progress) => done.push(progress.done) });
      for (const i of range(4)) await appeared(`${dir}/${i}.started`);
      for (const [count, i] of [3, 2, 1, 0].entries()) {
        fs.writeFileSync(`${dir}/${i}.go`, '');
        await waitFor(() => done.length === count + 1, `the end of item ${i}`);
      }
      assert.deepEqual(await within(mapping, 'map'), range(4));
      assert.deepEqual(done, [1, 2, 3, 4]);
    });

    test('imap: in order; imapUnordered: as they end', async (t) => {
      for (const method of ['imap', 'imapUnordered']) {
        const dir = temporary(t);
        const iterator = one(t, 3)[method](task('gateAsItem'), range(3).map((i) => [`${dir}/${i}`, i]));
        const seen = [];
        const reading = (async () => {
          for await (const value of iterator) seen.push(value);
        })();
        for (const i of range(3)) await appeared(`${dir}/${i}.started`);
        for (const [count, i] of [2, 1, 0].entries()) {
          fs.writeFileSync(`${dir}/${i}.go`, '');
          if (method === 'imapUnordered') await waitFor(() => seen.length === count + 1, `the value of item ${i}`);
        }
        await within(reading, method);
        assert.deepEqual(seen, method === 'imap' ? [0, 1, 2] : [2, 1, 0]);
      }
    });

    test('of functions that do not wait', async (t) => {
      const pool = one(t, 5);
      assert.deepEqual(await pool.map(square, range(1000)), range(1000).map(square));
      assert.deepEqual(await list(pool.imap(square, range(200))), range(200).map(square));
      assert.deepEqual(await Promise.all(range(200).map((x) => pool.apply(square, [x]))), range(200).map(square));
    });

    test('of functions of which some wait', async (t) => {
      const pool = on(t, { concurrency: 20 });
      const sometimes = (x) => (x % 3 === 0 ? x : new Promise((resolve) => setTimeout(resolve, (x * 7) % 11, x)));
      const options = [{}, { chunkSize: 1 }, { chunkSize: 50 }, { chunkSize: 1000 }];
      const maps = await within(Promise.all(options.map((one) => pool.map(sometimes, range(300), one))), 'the maps');
      assert.deepEqual(maps, options.map(() => range(300)));
      assert.deepEqual(await within(list(pool.imap(sometimes, range(300))), 'imap'), range(300));
    });

    test('one that waits does not hold up the others of its worker', async (t) => {
      const { file, started, open } = gateIn(t);
      const pool = one(t, 2);
      let done = 0;
      const items = range(50).map((i) => [i === 10 ? file : null, i]);
      const mapping = pool.map(task('gateAsItem'), items, { onProgress: (progress) => (done = progress.done) });
      await started();
      await waitFor(() => done === 49, 'all the others');
      assert.deepEqual(await within(pool.map(square, range(20)), 'another map'), range(20).map(square));
      open();
      assert.deepEqual(await within(mapping, 'map'), range(50));
    });
  });

  describe('errors', () => {
    test("each belongs to its own item, whether it is thrown at once or later", async (t) => {
      const fails = (x) => {
        if (x % 4 === 1) throw new RangeError(`bad ${x}`);
        if (x % 4 === 2) return new Promise((_, reject) => setTimeout(() => reject(new RangeError(`bad ${x}`)), 5));
        return x % 4 === 3 ? new Promise((resolve) => setTimeout(resolve, 5, x)) : x;
      };
      const outcomes = await within(one(t, 4).map(fails, range(24), { onError: 'collect' }), 'map');
      assert.deepEqual(brief(outcomes), range(24).map((i) => (i % 4 === 1 || i % 4 === 2 ? [`bad ${i}`] : i)));
    });

    test('map rejects with the first in the order of the items, not the first in time', async (t) => {
      const { file, started, open } = gateIn(t);
      const pool = one(t, 3);
      let failed = 0;
      const items = [[file, 0], [null, 1], [null, 2]];
      const mapping = pool.map(task('failAtGate'), items, { onProgress: (progress) => (failed = progress.failed) });
      mapping.catch(() => {});
      await started();
      await waitFor(() => failed >= 1, 'a later item to fail');
      open();
      await assert.rejects(within(mapping, 'map'), { name: 'RangeError', message: 'bad 0' });
      assert.deepEqual(await within(pool.map(square, range(5)), 'the next'), range(5).map(square));
    });

    test('after an error nothing else begins', async (t) => {
      const dir = temporary(t);
      const pool = one(t, 2);
      const failsAt = async ([path, x]) => {
        require('node:fs').writeFileSync(`${path}/${x}`, '');
        await null;
        if (x === 0) throw new Error('bad 0');
        return x;
      };
      await assert.rejects(
        within(
          pool.map(
            failsAt,
            range(200).map((i) => [dir, i]),
            { chunkSize: 2 },
          ),
          'map',
        ),
        { message: 'bad 0' },
      );
      await within(pool.map(square, [1]), 'the next');
      const begun = fs.readdirSync(dir).length;
      assert.ok(begun < 50, `${begun} have begun`);
    });
  });

  describe('a signal', () => {
    test('fires in all that run; what has not begun never begins', async (t) => {
      const dir = temporary(t);
      const pool = one(t, 3, { gracePeriod: PATIENCE });
      const files = range(6).map((i) => `${dir}/${i}`);
      const controller = new AbortController();
      const mapping = pool.map(untilTold, files, { signal: controller.signal, onError: 'collect' });
      for (const i of range(3)) await appeared(`${files[i]}.started`);
      controller.abort();
      const outcomes = await within(mapping, 'map');
      assert.deepEqual(outcomes.map(({ reason }) => reason.code), Array(6).fill(ABORTED));
      for (const i of range(3)) await appeared(`${files[i]}.told`);
      assert.deepEqual(await within(pool.map(square, range(5)), 'the next'), range(5).map(square));
      assert.deepEqual(files.filter((file) => fs.existsSync(`${file}.started`)), files.slice(0, 3));
    });

    test('belongs to its call: the others next to it go on', async (t) => {
      const { dir, file, started, open } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: PATIENCE });
      const controller = new AbortController();
      const told = pool.apply(untilTold, [`${dir}/told`], { signal: controller.signal });
      const other = pool.apply(task('gate'), [file, 'there']);
      await started();
      await appeared(`${dir}/told.started`);
      controller.abort();
      await assert.rejects(within(told, 'the one that is told'), { code: ABORTED });
      await appeared(`${dir}/told.told`);
      open();
      assert.equal(await within(other, 'the other'), 'there');
    });
  });

  describe('a time limit', () => {
    test('an item that heeds its signal costs neither the others nor the worker', async (t) => {
      const { dir, file, started, open } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: PATIENCE });
      const before = await pool.apply(task('who'));
      const other = pool.apply(task('gate'), [file, 'there']);
      await started();
      await assert.rejects(within(pool.apply(untilTold, [`${dir}/told`], { timeout: 50 }), 'apply'), { code: TIMEOUT });
      await appeared(`${dir}/told.told`);
      open();
      assert.equal(await within(other, 'the other'), 'there');
      assert.equal(await within(pool.apply(task('who')), 'the next'), before);
    });

    test('is counted for each item by itself', async (t) => {
      const waits = (x) => new Promise((resolve) => setTimeout(resolve, 300, x));
      assert.deepEqual(
        await within(one(t, 2, { timeout: 850 }).map(waits, range(6), { chunkSize: 6 }), 'map'),
        range(6),
      );
    });

    test('items that never settle reject, each with its index', async (t) => {
      const pool = one(t, 4, { gracePeriod: 50 });
      const stuck = (x) => (x < 0 ? new Promise(() => setInterval(() => {}, 1000).unref()) : x);
      const outcomes = await within(pool.map(stuck, [0, -1, -1, 3], { timeout: 1000, onError: 'collect' }), 'map');
      assert.deepEqual(brief(outcomes), [0, [TIMEOUT, 1], [TIMEOUT, 2], 3]);
      assert.deepEqual(await within(pool.map(square, range(5)), 'the next'), range(5).map(square));
    });
  });
});

forEachMode(
  (mode) => {
    test('applies to each worker', async (t) => {
      const { file, open } = gateIn(t);
      const pool = makePool(t, mode, { concurrency: 3 });
      await pool.ready();
      const mapping = pool.map(task('crowdAsItem'), range(12).map((i) => [file, i]));
      await waitFor(() => lines(`${file}.started`).length >= 6, 'six to run');
      await sleep(50);
      const workers = lines(`${file}.started`).map((line) => line.split(' ')[0]);
      assert.equal(workers.length, 6);
      assert.equal(new Set(workers).size, 2);
      for (const worker of workers) assert.equal(workers.filter((one) => one === worker).length, 3);
      open();
      assert.equal(Math.max(...(await within(mapping, 'map'))), 3);
    });

    test('a few items are spread, not piled on one worker', async (t) => {
      const { file, open } = gateIn(t);
      const pool = makePool(t, mode, { concurrency: 10 });
      await pool.ready();
      const mapping = pool.map(task('crowdAsItem'), range(4).map((i) => [file, i]));
      await waitFor(() => lines(`${file}.started`).length === 4, 'all to run');
      assert.equal(new Set(lines(`${file}.started`).map((line) => line.split(' ')[0])).size, 2);
      open();
      await within(mapping, 'map');
    });
  },
  { needs: ['isParallel'] },
);

forEachMode(
  (mode) => {
    const one = (t, concurrency, options) =>
      makePool(t, mode, { processes: 1, concurrency, stdio: 'ignore', ...options });
    const how = mode.hasProcess ? 'kill' : 'exit';

    /**
     * Items of which the first three are under way together when the third one kills its worker; a gate holds the
     * others.
     */
    const dying = (dir) => {
      const gates = [`${dir}/0`, `${dir}/1`];
      return { gates, calls: [...gates.map((file, i) => ['gate', [file, i]]), ['dieAfter', [gates, how]]] };
    };

    test('a death fails all that were under way, and nothing else', async (t) => {
      const pool = one(t, 3);
      const { calls } = dying(temporary(t));
      const underWay = calls.map(([name, args]) => pool.apply(task(name), args));
      const behind = pool.map(square, range(10));
      const codes = (await within(Promise.allSettled(underWay), 'those under way')).map(({ reason }) => reason?.code);
      assert.deepEqual(codes, Array(3).fill(EXITED));
      assert.deepEqual(await within(behind, 'those behind'), range(10).map(square));
    });

    test('a death during a map: each item that was under way fails, with its index', async (t) => {
      const dir = temporary(t);
      const items = range(8).map((i) => [i === 5 || i === 6 ? 'wait' : i === 7 ? 'die' : null, i, dir]);
      const acts = async ([what, i, path]) => {
        const fs = require('node:fs');
        fs.appendFileSync(`${path}/${i}`, 'x');
        while (what === 'die' && !(fs.existsSync(`${path}/5`) && fs.existsSync(`${path}/6`)))
          await new Promise((resolve) => setTimeout(resolve, 5));
        if (what === 'die') process.exit(5);
        if (what === 'wait') await new Promise(() => setInterval(() => {}, 1000));
        return i;
      };
      const outcomes = await within(one(t, 3).map(acts, items, { onError: 'collect', chunkSize: 8 }), 'map');
      assert.deepEqual(
        brief(outcomes),
        range(8).map((i) => (i >= 5 ? [EXITED, i] : i)),
      );
      assert.deepEqual(
        range(8).map((i) => fs.readFileSync(`${dir}/${i}`, 'utf8')),
        Array(8).fill('x'),
        'each has begun once',
      );
    });

    test('with retries all that were under way are run again', async (t) => {
      const dir = temporary(t);
      const pool = one(t, 3, { retries: 1 });
      const held = range(2).map((i) => pool.apply(task('gate'), [`${dir}/${i}`, i]));
      for (const i of range(2)) await appeared(`${dir}/${i}.started`);
      const dead = pool.apply(task('dieAtFirst'), [`${dir}/dies`, 1, 'alive', how]);
      await waitFor(() => range(2).every((i) => lines(`${dir}/${i}.started`).length === 2), 'both to begin again');
      for (const i of range(2)) fs.writeFileSync(`${dir}/${i}.go`, '');
      assert.deepEqual(await within(Promise.all([...held, dead]), 'all three'), [0, 1, 'alive']);
      assert.equal(lines(`${dir}/dies`).length, 2);
    });

    test('an item that timed out and does not stop takes its worker down after the grace period', async (t) => {
      const { file, started } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: 100 });
      const before = await pool.apply(task('who'));
      const other = assert.rejects(pool.apply(task('gate'), [file, 'there']), { code: EXITED });
      await started();
      await assert.rejects(within(pool.apply(never, [], { timeout: 50 }), 'the one that timed out'), { code: TIMEOUT });
      const next = pool.apply(task('who'));
      await within(other, 'the one next to it');
      assert.notEqual(await within(next, 'the next'), before);
    });

    test('items next to it keep their values, and later ones get another worker, at once', async (t) => {
      const { file, started, open } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: PATIENCE });
      const before = await pool.apply(task('who'));
      const other = pool.apply(task('gate'), [file, 'there']);
      await started();
      await assert.rejects(within(pool.apply(never, [], { timeout: 50 }), 'the one that timed out'), { code: TIMEOUT });
      const next = pool.apply(task('who'));
      open();
      assert.equal(await within(other, 'the one next to it'), 'there');
      assert.notEqual(await within(next, 'the next'), before);
    });

    test('with retries the item next to it is run again', async (t) => {
      const { file, started, open } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: 50, retries: 1 });
      const other = pool.apply(task('gate'), [file, 'there']);
      await started();
      await assert.rejects(within(pool.apply(never, [], { timeout: 50 }), 'the one that timed out'), { code: TIMEOUT });
      await waitFor(() => lines(`${file}.started`).length === 2, 'it to begin again');
      open();
      assert.equal(await within(other, 'the one next to it'), 'there');
    });

    test('an endless loop blocks its whole worker: it times out, the others are lost or run again', async (t) => {
      const { file, started, open } = gateIn(t);
      const pool = one(t, 2, { gracePeriod: 50, retries: 1 });
      const other = pool.apply(task('gate'), [file, 'there']);
      await started();
      const loops = () => {
        for (;;);
      };
      await assert.rejects(within(pool.apply(loops, [], { timeout: 100 }), 'the loop'), { code: TIMEOUT });
      open();
      assert.equal(await within(other, 'the one next to it'), 'there');
    });
  },
  { needs: ['hasWorkers'] },
);
