'use strict';
// Workers of a pool that die or hang: what becomes of the items.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { KILLED, appeared, lines, sleep, temporary, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');

const PATIENCE = 60_000; // A grace period that no case is meant to reach.
const MEGABYTE = 2 ** 20;
const EXITED = 'ERR_PARALLELIZER_WORKER_EXITED';
const TIMEOUT = 'ERR_PARALLELIZER_TIMEOUT';
const ABORTED = 'ERR_PARALLELIZER_ABORTED';

const square = (x) => x * x;
/** -1: loops forever; -2: never settles. */
const endless = (x) => {
  if (x === -1) for (;;);
  return x < 0 ? new Promise(() => setInterval(() => {}, 1000)) : x;
};

const inOrder = (values) => [...values].sort((a, b) => (Array.isArray(a) ? a[1] : a) - (Array.isArray(b) ? b[1] : b));

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, { stdio: 'ignore', ...options });
    const ways = mode.hasProcess ? ['exit', 'kill', 'throw'] : ['exit', 'throw'];
    const how = mode.hasProcess ? 'kill' : 'exit';
    const fate = {
      exit: { exitCode: 5, signal: null },
      kill: KILLED,
      throw: { exitCode: 1, signal: null },
    };

    const count = 8;
    const fatal = 3;
    const expected = range(count).map((i) => (i === fatal ? [EXITED, i] : i));
    const collect = { onError: 'collect' };

    const itemsDying = (way) => range(count).map((i) => [i, i === fatal ? way : null]);

    for (const way of ways) {
      test(`a worker that dies (${way}) fails the item that it was running`, async (t) => {
        const pool = on(t);
        const [mapped, applied] = await within(
          Promise.all([
            pool.map(task('dieIfAsItem'), itemsDying(way), collect),
            Promise.allSettled(itemsDying(way).map((args) => pool.apply(task('dieIf'), args))),
          ]),
          'both',
        );
        assert.deepEqual(brief(mapped), expected);
        assert.deepEqual(brief(applied), range(count).map((i) => (i === fatal ? [EXITED] : i)));
        const { pid, exitCode, signal, message } = mapped[fatal].reason;
        assert.deepEqual({ exitCode, signal }, fate[way]);
        if (mode.hasProcess) assert.ok(pid > 0 && message.includes(`pid ${pid}`), message);
      });
    }

    test('whatever the method and the chunks', async (t) => {
      const pool = on(t);
      const [chunked, starmapped, ordered, unordered] = await within(
        Promise.all([
          pool.map(task('dieIfAsItem'), itemsDying(how), { ...collect, chunkSize: 100 }),
          pool.starmap(task('dieIf'), itemsDying(how), { ...collect, chunkSize: 3 }),
          list(pool.imap(task('dieIfAsItem'), itemsDying(how), collect)),
          list(pool.imapUnordered(task('dieIfAsItem'), itemsDying(how), { ...collect, chunkSize: 100 })),
        ]),
        'all of it',
      );
      for (const outcomes of [chunked, starmapped, ordered]) assert.deepEqual(brief(outcomes), expected);
      assert.deepEqual(inOrder(brief(unordered)), expected);
    });

    test('map without onError rejects with the death of the first', async (t) => {
      const pool = on(t);
      const items = range(count).map((i) => [i, i === 3 || i === 5 ? how : null]);
      const error = await within(pool.map(task('dieIfAsItem'), items), 'map').then(() => null, (reason) => reason);
      assert.deepEqual([error.code, [...error.records], error.signal], [EXITED, [3], fate[how].signal]);
      assert.deepEqual(await within(pool.map(square, range(5)), 'the next'), range(5).map(square));
    });

    test('what a worker had done before it died is not done again, and nothing is skipped', async (t) => {
      const file = `${temporary(t)}/ran`;
      const items = range(12).map((i) => [file, i, i === 3 || i === 8 ? how : null]);
      const outcomes = await within(
        on(t, { processes: 1 }).starmap(task('noteAndDieIf'), items, { ...collect, chunkSize: 5 }),
        'starmap',
      );
      assert.deepEqual(
        brief(outcomes),
        range(12).map((i) => (i === 3 || i === 8 ? [EXITED, i] : i)),
      );
      assert.deepEqual(
        lines(file)
          .map(Number)
          .sort((a, b) => a - b),
        range(12),
      );
    });

    test('with retries all have values', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { retries: 1 });
      const attempts = (name) => range(count).map((i) => [`${dir}/${name}${i}`, i === fatal ? 1 : 0, i, how]);
      const results = await within(
        Promise.all([
          pool.starmap(task('dieAtFirst'), attempts('starmap'), { chunkSize: 5 }),
          list(pool.imap(task('dieAtFirstAsItem'), attempts('imap'))),
          Promise.all(attempts('apply').map((args) => pool.apply(task('dieAtFirst'), args))),
        ]),
        'all of it',
      );
      assert.deepEqual(results, Array(3).fill(range(count)));
      for (const name of ['starmap', 'imap', 'apply']) {
        const ran = range(count).map((i) => lines(`${dir}/${name}${i}`).length);
        assert.deepEqual(ran, range(count).map((i) => (i === fatal ? 2 : 1)), name);
      }
    });

    test('as many retries as the call says, and no more', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { processes: 1 });
      const starmap = (name, times, options) =>
        within(
          pool.starmap(
            task('dieAtFirst'),
            range(4).map((i) => [`${dir}/${name}${i}`, i === 2 ? times : 0, i]),
            { ...options, onError: 'collect' },
          ),
          name,
        );
      assert.deepEqual(brief(await starmap('enough', 2, { retries: 2 })), [0, 1, 2, 3]);
      assert.equal(lines(`${dir}/enough2`).length, 3);
      assert.deepEqual(brief(await starmap('few', 2, { retries: 1 })), [0, 1, [EXITED, 2], 3]);
      assert.equal(lines(`${dir}/few2`).length, 2);
    });

    test('an item that throws is not run again', async (t) => {
      const file = `${temporary(t)}/ran`;
      const throws = (path) => {
        require('node:fs').appendFileSync(path, 'x\n');
        throw new Error('mine');
      };
      await assert.rejects(on(t, { processes: 1, retries: 5 }).map(throws, [file]), { message: 'mine' });
      assert.equal(lines(file).length, 1);
    });

    test('a death among thousands of short items: exactly one is lost', async (t) => {
      const pool = on(t, { processes: 1 });
      const exits = (x) => (x === 3777 ? process.exit(5) : x);
      assert.deepEqual(await within(pool.map((x) => x, range(5000)), 'a first map'), range(5000));
      const outcomes = await within(pool.map(exits, range(5000), { onError: 'collect' }), 'map');
      assert.deepEqual(brief(outcomes), range(5000).map((i) => (i === 3777 ? [EXITED, i] : i)));
    });

    describe('a time limit', () => {
      test('applies to each item: those that never end reject, the others do not', async (t) => {
        const pool = on(t, { gracePeriod: 50 });
        const items = range(8).map((i) => (i === 3 ? -1 : i === 6 ? -2 : i));
        const expected = range(8).map((i) => (items[i] < 0 ? [TIMEOUT, i] : i));
        const [mapped, streamed] = await within(
          Promise.all([
            pool.map(endless, items, { timeout: 1000, onError: 'collect', chunkSize: 4 }),
            list(on(t, { gracePeriod: 50 }).imap(endless, items, { timeout: 1000, onError: 'collect' })),
          ]),
          'both',
        );
        assert.deepEqual(brief(mapped), expected);
        assert.deepEqual(brief(streamed), expected);
        const rejected = [
          assert.rejects(pool.apply(endless, [-1], { timeout: 50 }), { code: TIMEOUT }),
          assert.rejects(
            pool.map(endless, [-2], { timeout: 50 }),
            (error) => error.code === TIMEOUT && error.records[0] === 0,
          ),
        ];
        await within(Promise.all(rejected), 'those that reject');
        assert.equal(await within(pool.apply(endless, [2]), 'the pool works on'), 2);
      });

      test('counts from the beginning of the item, not of its chunk', async (t) => {
        const waits = (x) => new Promise((resolve) => setTimeout(resolve, 250, x));
        const pool = on(t, { processes: 1, timeout: 900 });
        assert.deepEqual(await within(pool.map(waits, range(4), { chunkSize: 4 }), 'map'), range(4));
      });

      test('of the pool applies if the call has none', async (t) => {
        const pool = on(t, { processes: 1, timeout: 100, gracePeriod: 50 });
        const rejected = [pool.apply(endless, [-2]), list(pool.imap(endless, [-2]))].map((one) =>
          assert.rejects(one, { code: TIMEOUT }),
        );
        await within(Promise.all(rejected), 'those that reject');
        const { file, started, open } = gateIn(t);
        const held = pool.apply(task('gate'), [file, 'there'], { timeout: PATIENCE });
        await started();
        await sleep(200);
        open();
        assert.equal(await within(held, 'one with a limit of its own'), 'there');
      });

      test('uses no retry', async (t) => {
        const file = `${temporary(t)}/ran`;
        const loopsAt = (path) => {
          require('node:fs').appendFileSync(path, 'x\n');
          for (;;);
        };
        const pool = on(t, { processes: 1, gracePeriod: 50, retries: 3 });
        await assert.rejects(within(pool.apply(loopsAt, [file], { timeout: 200 }), 'apply'), { code: TIMEOUT });
        assert.equal(await within(pool.apply(square, [3]), 'the next'), 9);
        assert.equal(lines(file).length, 1);
      });
    });

    describe('a signal', () => {
      test('ends an endless loop; what was done before keeps its values', async (t) => {
        const file = `${temporary(t)}/loop`;
        const pool = on(t, { gracePeriod: 50 });
        const controller = new AbortController();
        let done = 0;
        const loopsAt = ([path, x]) => {
          if (x === 4) require('node:fs').writeFileSync(path, '');
          if (x === 4) for (;;);
          return x;
        };
        const options = {
          signal: controller.signal,
          chunkSize: 1,
          onError: 'collect',
          onProgress: (progress) => (done = progress.done),
        };
        const mapping = pool.map(
          loopsAt,
          range(10).map((i) => [file, i]),
          options,
        );
        await appeared(file);
        await waitFor(() => done >= 4, 'those before it');
        controller.abort(new Error('enough'));
        const outcomes = await within(mapping, 'map');
        assert.deepEqual(brief(outcomes.slice(0, 4)), [0, 1, 2, 3]);
        const { code, name, cause, records } = outcomes[4].reason;
        assert.deepEqual(
          [code, name, cause.message, [...records].includes(4)],
          [ABORTED, 'AbortError', 'enough', true],
        );
        for (const [i, { value, reason }] of outcomes.entries()) if (value !== i) assert.equal(reason.code, ABORTED);
        assert.deepEqual(await within(pool.map(square, range(10)), 'the next'), range(10).map(square));
      });

      test('ends single calls that loop, and no others', async (t) => {
        const dir = temporary(t);
        const pool = on(t, { processes: 1, gracePeriod: 50 });
        const controller = new AbortController();
        const loopsAt = (path) => {
          require('node:fs').writeFileSync(path, '');
          for (;;);
        };
        const held = pool.apply(loopsAt, [`${dir}/loop`], { signal: controller.signal });
        await appeared(`${dir}/loop`);
        const others = range(20).map((x) => pool.apply(square, [x]));
        controller.abort();
        await assert.rejects(within(held, 'apply'), { code: ABORTED });
        assert.deepEqual(await within(Promise.all(others), 'the others'), range(20).map(square));
      });

      test('is seen by a loop that polls it, and its worker stays', async (t) => {
        const dir = temporary(t);
        const pool = on(t, { processes: 1, gracePeriod: PATIENCE });
        const before = await pool.apply(task('who'));
        const polls = function (path) {
          require('node:fs').writeFileSync(path, '');
          while (!this.signal.aborted);
        };
        const controller = new AbortController();
        const held = pool.map(polls, [`${dir}/0`, `${dir}/1`], { signal: controller.signal });
        await appeared(`${dir}/0`);
        controller.abort();
        await assert.rejects(within(held, 'map'), { code: ABORTED });
        assert.equal(await within(pool.apply(task('who')), 'the next'), before);
        assert.equal(lines(`${dir}/1`).length, 0);
      });
    });

    test('12 x 3 MB both ways while workers die', async (t) => {
      const dir = temporary(t);
      const pool = on(t, { retries: 1 });
      const texts = range(12).map((i) => String.fromCharCode(97 + i).repeat(3 * MEGABYTE));
      const args = (name) => texts.map((text, i) => [`${dir}/${name}${i}`, i % 6 === 2 ? 1 : 0, text, how]);
      const results = await within(
        Promise.all([
          pool.map(task('dieAtFirstAsItem'), args('map')),
          Promise.all(args('apply').map((one) => pool.apply(task('dieAtFirst'), one))),
        ]),
        'all of it',
        60_000,
      );
      for (const values of results) {
        assert.equal(values.length, 12);
        for (const [i, value] of values.entries()) assert.ok(value === texts[i], `item ${i}`);
      }
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, options);

    test('a worker killed from outside during a map fails the item that it was running', async (t) => {
      const { file, started, pid, open } = gateIn(t);
      const pool = on(t);
      const items = range(10).map((i) => [i === 4 ? file : null, i]);
      const mapping = pool.map(task('gateAsItem'), items, { onError: 'collect' });
      await started();
      process.kill(await pid(), 'SIGKILL');
      const outcomes = await within(mapping, 'map');
      assert.deepEqual(brief(outcomes), range(10).map((i) => (i === 4 ? [EXITED, 4] : i)));
      assert.equal(outcomes[4].reason.signal, KILLED.signal);
      open();
    });

    test('and with retries it fails none', async (t) => {
      const { file, started, pid, open } = gateIn(t);
      const pool = on(t, { retries: 1 });
      const mapping = pool.map(task('gateAsItem'), range(10).map((i) => [i === 4 ? file : null, i]));
      await started();
      process.kill(await pid(), 'SIGKILL');
      open();
      assert.deepEqual(await within(mapping, 'map'), range(10));
    });

    test('workers killed again and again: what they were running fails, everything else arrives', async (t) => {
      const pool = on(t);
      const dir = temporary(t);
      const held = range(24).filter((i) => i % 8 < 2);
      const items = range(24).map((i) => [held.includes(i) ? `${dir}/${i}` : null, i]);
      const mapping = pool.map(task('gateAsItem'), items, { onError: 'collect', chunkSize: 1 });
      const killed = new Set();
      const kills = setInterval(() => {
        for (const i of held) {
          const [pid] = lines(`${dir}/${i}.started`);
          if (pid !== undefined && !killed.has(i)) process.kill(Number(pid), 'SIGKILL');
          if (pid !== undefined) killed.add(i);
        }
      }, 10);
      t.after(() => clearInterval(kills));
      assert.deepEqual(brief(await within(mapping, 'map')), range(24).map((i) => (held.includes(i) ? [EXITED, i] : i)));
    });

    test('SIGKILL among thousands of short items: with a time limit exactly one is lost', async (t) => {
      const pool = on(t, { processes: 1, timeout: PATIENCE });
      const kills = (x) => (x === 1777 ? process.kill(process.pid, 'SIGKILL') && new Promise(() => {}) : x);
      const outcomes = await within(pool.map(kills, range(3000), { onError: 'collect' }), 'map');
      assert.deepEqual(brief(outcomes), range(3000).map((i) => (i === 1777 ? [EXITED, i] : i)));
    });

    test('SIGKILL among thousands of short items: without one, it and at most the last before it', async (t) => {
      const pool = on(t, { processes: 1 });
      const kills = (x) => (x === 4777 ? process.kill(process.pid, 'SIGKILL') && new Promise(() => {}) : x);
      await within(pool.map((x) => x, range(5000)), 'a first map');
      const outcomes = await within(pool.map(kills, range(5000), { onError: 'collect' }), 'map');
      const lost = range(5000).filter((i) => outcomes[i].status === 'rejected');
      t.diagnostic(`${lost.length} lost`);
      assert.equal(lost.at(-1), 4777);
      assert.deepEqual(lost, range(lost.length).map((i) => 4778 - lost.length + i), 'consecutive ones');
      for (const i of lost) assert.deepEqual([outcomes[i].reason.code, [...outcomes[i].reason.records]], [EXITED, [i]]);
      assert.deepEqual(range(5000).filter((i) => !lost.includes(i) && outcomes[i].value !== i), []);
    });
  },
  { needs: ['hasProcess'] },
);
