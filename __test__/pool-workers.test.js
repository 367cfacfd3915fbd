'use strict';
// How a pool's workers are set up and replaced: initializer, maxTasksPerChild, idleTimeout.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { appeared, gone, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');

const EXITED = 'ERR_PARALLELIZER_WORKER_EXITED';

const square = (x) => x * x;

/** Waits until the number of lines in a file no longer grows. */
async function noMoreLines(file) {
  for (let before = -1; before !== lines(file).length; await sleep(300)) before = lines(file).length;
  return lines(file).length;
}

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, { stdio: 'ignore', ...options });

    describe('an initializer', () => {
      const ends = [
        ['throws', 'throw', { name: 'TypeError', message: 'no database' }],
        ['rejects', 'later', { name: 'TypeError', message: 'no database' }],
        ['exits', 'exit', { code: EXITED, exitCode: 5 }],
      ];
      for (const [name, end, expected] of ends) {
        test(`that ${name} fails everything with its own error, and is not run forever`, async (t) => {
          const file = `${temporary(t)}/starts`;
          const pool = on(t, { initializer: task('setUpInVain'), initArgs: [file, end, new TypeError('no database')] });
          const first = [
            pool.apply(square, [1]),
            pool.map(square, [1, 2]),
            pool.starmap(square, [[1]]),
            pool.applyAsync(square, [1]).get(),
            list(pool.imap(square, [1])),
            list(pool.imapUnordered(square, [1])),
            ...(mode.loadsFirst ? [pool.ready()] : []),
          ];
          await within(Promise.all(first.map((one) => assert.rejects(one, expected))), 'what waits');
          const starts = await noMoreLines(file);
          assert.ok(starts >= 1 && starts <= 20, `${starts} starts`);
          const later = await within(pool.map(square, [1, 2], { onError: 'collect' }), 'what comes later');
          for (const { reason } of later)
            for (const key of Object.keys(expected)) assert.equal(reason[key], expected[key]);
          const more = (await noMoreLines(file)) - starts;
          assert.ok(more <= 20, `${more} starts for a later call`);
          pool.close();
          await within(pool.join(), 'join');
          assert.equal(pool.stats().workers.length, 0);
        });
      }

      test('that fails in a pool that nobody uses is not run forever', async (t) => {
        const dir = temporary(t);
        for (const [, end] of ends)
          on(t, { initializer: task('setUpInVain'), initArgs: [`${dir}/${end}`, end, 'no database'] });
        for (const [, end] of ends) await appeared(`${dir}/${end}`);
        for (const [, end] of ends) {
          const starts = await noMoreLines(`${dir}/${end}`);
          assert.ok(starts <= 20, `${end}: ${starts} starts`);
        }
      });

      test('that fails in each worker only after the next one has started', async (t) => {
        const file = `${temporary(t)}/starts`;
        const pool = on(t, { initializer: task('setUpInTurn'), initArgs: [file] });
        let outcome;
        pool.map(square, range(4)).then(() => (outcome = 'resolved'), (error) => (outcome = error.message));
        await waitFor(() => outcome !== undefined || lines(file).length > 20, 'the outcome');
        assert.equal(outcome, 'in turn', `after ${lines(file).length} starts`);
      });

      test('that throws something other than an Error: rejects with that', async (t) => {
        const pool = on(t, {
          processes: 1,
          initializer: task('setUpInVain'),
          initArgs: [`${temporary(t)}/starts`, 'throw', 'just text'],
        });
        const thrown = (promise) =>
          within(promise, 'the call').then(
            () => 'resolved',
            (reason) => reason,
          );
        assert.equal(await thrown(pool.apply(square, [1])), 'just text');
        if (mode.loadsFirst) assert.equal(await thrown(pool.ready()), 'just text');
      });

      test('that cannot be found', async (t) => {
        const pool = on(t, { processes: 1, initializer: { filePath: task('who').filePath, name: 'noSuchName' } });
        await assert.rejects(
          within(pool.apply(square, [1]), 'apply'),
          (error) => error.code === 'ERR_PARALLELIZER_MODULE' && /noSuchName/.test(error.message),
        );
      });

      test('runs again in the worker that replaces a dead one', async (t) => {
        const file = `${temporary(t)}/starts`;
        const pool = on(t, { processes: 1, initializer: task('setUpSlowly'), initArgs: [file, 'set'] });
        assert.equal(await within(pool.apply(task('configured')), 'apply'), 'set');
        await assert.rejects(within(pool.apply(task('exitAt'), [-3]), 'the death'), { code: EXITED });
        assert.equal(await within(pool.apply(task('configured')), 'apply'), 'set');
        assert.equal(new Set(lines(file)).size, 2);
      });
    });

    describe('maxTasksPerChild', () => {
      const counts = (workers) =>
        Object.values(workers.reduce((all, one) => ({ ...all, [one]: (all[one] ?? 0) + 1 }), {}));

      for (const [maxTasksPerChild, options] of [
        [3, { chunkSize: 2 }],
        [2, { chunkSize: 5 }],
        [4, { concurrency: 3 }],
      ]) {
        test(`${maxTasksPerChild}, ${JSON.stringify(options)}: no worker runs more, and nothing is lost`, async (t) => {
          const { chunkSize, ...poolOptions } = options;
          const pool = on(t, { maxTasksPerChild, ...poolOptions });
          const call = chunkSize === undefined ? {} : { chunkSize };
          const workers = await within(pool.map(task('whoSlowly'), range(8), call), 'map');
          assert.equal(workers.length, 8);
          const each = counts(workers);
          assert.ok(Math.max(...each) <= maxTasksPerChild, `${each}`);
          assert.deepEqual(await within(pool.map(square, range(4), call), 'map'), range(4).map(square));
        });
      }

      test('1, with each method', async (t) => {
        const pool = on(t, { maxTasksPerChild: 1 });
        const workers = await within(pool.map(task('whoSlowly'), range(4)), 'map');
        assert.equal(new Set(workers).size, 4, 'each item its own worker');
        const squares = range(3).map(square);
        assert.deepEqual(await within(list(pool.imap(square, range(3))), 'imap'), squares);
        assert.deepEqual((await within(list(pool.imapUnordered(square, range(3))), 'imapUnordered')).sort(), squares);
        assert.deepEqual(await within(Promise.all(range(3).map((x) => pool.apply(square, [x]))), 'apply'), squares);
        pool.close();
        await within(pool.join(), 'join');
      });

      test('an item that throws counts, and one that kills its worker loses only itself', async (t) => {
        const pool = on(t, { processes: 1, maxTasksPerChild: 2 });
        const items = range(5).map((i) => [i, i === 2 ? 'exit' : null]);
        const outcomes = await within(pool.map(task('dieIfAsItem'), items, { onError: 'collect' }), 'map');
        assert.deepEqual(brief(outcomes), range(5).map((i) => (i === 2 ? [EXITED, 2] : i)));
        await assert.rejects(pool.apply(() => { throw new Error('one'); }), /one/);
        assert.equal(await within(pool.apply(square, [2]), 'apply'), 4);
      });
    });

    describe('idleTimeout', () => {
      const noneLeft = (pool) => waitFor(() => pool.stats().workers.length === 0, 'the workers to go');

      test('stops workers that have nothing to do; the next call starts new ones', async (t) => {
        const pool = on(t, { idleTimeout: 50 });
        const before = await pool.apply(task('who'));
        await noneLeft(pool);
        if (mode.hasProcess) await gone(Number(before.split(':')[0]));
        assert.notEqual(await within(pool.apply(task('who')), 'apply'), before);
        await noneLeft(pool);
        assert.deepEqual(await within(pool.map(square, range(10)), 'map'), range(10).map(square));
      });

      test('does not stop a busy worker', async (t) => {
        const pool = on(t, { idleTimeout: 50 });
        const { file, started, open } = gateIn(t);
        const held = pool.apply(task('gate'), [file, 'kept']);
        await started();
        await waitFor(() => pool.stats().workers.length === 1, 'the other one to go');
        await sleep(200);
        open();
        assert.equal(await within(held, 'the one that works'), 'kept');
      });

      test('initializes the new ones', async (t) => {
        const pool = on(t, { processes: 1, idleTimeout: 50, initializer: task('setUp'), initArgs: ['again'] });
        for (let i = 0; i < 2; i++) {
          assert.deepEqual(await within(pool.apply(task('configured')), 'apply'), ['again']);
          await noneLeft(pool);
        }
      });

      test('close and join when no worker is left', async (t) => {
        const pool = on(t, { processes: 1, idleTimeout: 50 });
        await pool.apply(square, [1]);
        await noneLeft(pool);
        pool.close();
        await within(pool.join(), 'join');
      });
    });
  },
  { needs: ['hasWorkers'] },
);
