'use strict';
// close, terminate, removeChildThreads and Symbol.asyncDispose.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const {
  appeared,
  childrenOf,
  echo,
  fixture,
  gone,
  isKnown,
  lines,
  make,
  temporary,
  waitFor,
  within,
} = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, makePool, task } = require('./support/pool');
const { asynchronous, run, start } = require('./support/scripts');

const closed = { code: 'ERR_PARALLELIZER_CLOSED' };

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  for (const end of ['close', 'terminate']) {
    test(`run after ${end} rejects with ERR_PARALLELIZER_CLOSED`, async (t) => {
      const parallelizer = on(t);
      await parallelizer.run([echo(1)]);
      assert.equal(await within(parallelizer[end](), end), undefined);
      await assert.rejects(parallelizer.run([echo(1)]), closed);
      await assert.rejects(parallelizer.run([]), closed);
    });

    test(`run is refused from the call of ${end} on`, async (t) => {
      const parallelizer = on(t);
      const ending = parallelizer[end]();
      await assert.rejects(parallelizer.run([echo(1)]), closed);
      await within(ending, end);
    });
  }

  test('close finishes what runs and what waits', async (t) => {
    const parallelizer = on(t, { parallelization: 1 });
    const runs = Array.from({ length: 5 }, (_, i) => parallelizer.run([{ do: 'sleep', ms: 20, value: i }]));
    await within(parallelizer.close(), 'close');
    const answers = await within(Promise.all(runs), 'the runs', 5_000);
    assert.deepEqual(answers.map(({ responses }) => responses[0]), [0, 1, 2, 3, 4]);
  });

  test('all runs have settled when close has', async (t) => {
    const parallelizer = on(t);
    const order = [];
    parallelizer.run([{ do: 'sleep', ms: 50 }]).then(() => order.push('run'));
    await parallelizer.close().then(() => order.push('close'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(order, ['run', 'close']);
  });

  const ways = ['close', 'terminate', 'removeChildThreads'];
  for (const first of ways) {
    for (const second of ways) {
      test(`${first}, then ${second}: in sequence, and at once`, async (t) => {
        const parallelizer = on(t);
        await parallelizer.run([echo(1)]);
        await within(Promise.resolve(parallelizer[first]()), first);
        await within(Promise.resolve(parallelizer[second]()), second);
        const another = on(t);
        const running = another.run([{ do: 'sleep', ms: 10, value: 1 }]);
        await within(Promise.all([another[first](), another[second](), another[first]()]), `${first} and ${second}`);
        const { responses, errors } = await within(running, 'the run');
        assert.equal(responses.length + errors.length, 1);
        for (const error of errors) assert.equal(error.code, 'ERR_PARALLELIZER_CLOSED');
      });
    }
  }

  test('Symbol.asyncDispose closes', async (t) => {
    const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
    const parallelizer = on(t);
    const running = parallelizer.run([{ do: 'sleep', ms: 50, value: 'finished' }]);
    await within(parallelizer[asyncDispose](), 'dispose');
    assert.deepEqual((await running).responses, ['finished']);
    await assert.rejects(parallelizer.run([echo(1)]), closed);
  });

  test('the list form closes all pools', async (t) => {
    const lists = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    const running = lists.run(['a', 'b'].map((id) => ({ id, batch: [{ do: 'sleep', ms: 30, value: id }] })));
    await within(lists.close(), 'close');
    assert.deepEqual((await running).map(({ responses }) => responses[0]), ['a', 'b']);
    await assert.rejects(lists.run([{ id: 'a', batch: [echo(1)] }]), closed);
  });

  test('output printed before the answer is not lost by close', async (t) => {
    const { stdout, stderr } = await run(
      t,
      asynchronous(`
        const parallelizer = make({ parallelization: 1 });
        await parallelizer.run([
          { do: 'prints', count: 500, text: 'out', stream: 'log' }, { do: 'prints', count: 500, text: 'err', stream: 'error' },
        ]);
        await parallelizer.close();`),
      { mode },
    );
    const expected = (text) => Array.from({ length: 500 }, (_, i) => `${text} ${i}`);
    assert.deepEqual(stdout.split('\n').filter(Boolean), expected('out'));
    assert.deepEqual(stderr.split('\n').filter(Boolean), expected('err'));
  });

  test('close of an instance that has never run', async (t) => {
    const { stdout } = await run(
      t,
      asynchronous(`const one = make(); await one.close(); await one.close(); console.log('closed');`),
      { mode },
    );
    assert.equal(stdout, 'closed\n');
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });
    const states = (parallelizer) => parallelizer.stats().workers.length;

    test('terminate fails what runs and what waits with ERR_PARALLELIZER_CLOSED', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const file = `${temporary(t)}/held`;
      const running = parallelizer.run([{ do: 'gate', file }]);
      const waiting = parallelizer.run([echo(1)]);
      await appeared(`${file}.started`);
      await within(parallelizer.terminate(), 'terminate');
      for (const one of [running, waiting]) {
        const { responses, errors } = await within(one, 'a run', 5_000);
        assert.deepEqual(responses, []);
        assert.deepEqual(errors.map(({ code }) => code), ['ERR_PARALLELIZER_CLOSED']);
      }
    });

    test('removeChildThreads fails what is under way at once; the next run works', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const file = `${temporary(t)}/held`;
      const running = parallelizer.run([{ do: 'gate', file }]);
      const waiting = parallelizer.run([echo(1)]);
      await appeared(`${file}.started`);
      parallelizer.removeChildThreads();
      const next = parallelizer.run([echo('next')]);
      for (const one of [running, waiting]) {
        assert.deepEqual((await within(one, 'a run')).errors.map(({ code }) => code), ['ERR_PARALLELIZER_CLOSED']);
      }
      assert.deepEqual((await within(next, 'the next run')).responses, ['next']);
    });

    test('removeChildThreads of one id leaves the others running', async (t) => {
      const lists = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
      const dir = temporary(t);
      const running = lists.run(
        ['a', 'b'].map((id) => ({ id, batch: [{ do: 'gate', file: `${dir}/${id}`, value: id }] })),
      );
      for (const id of ['a', 'b']) await appeared(`${dir}/${id}.started`);
      lists.removeChildThreads('a');
      fs.writeFileSync(`${dir}/b.go`, '');
      const [a, b] = await within(running, 'the run');
      assert.equal(a.errors[0].code, 'ERR_PARALLELIZER_CLOSED');
      assert.deepEqual(b.responses, ['b']);
    });

    test('terminate cuts short a close that is waiting', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const file = `${temporary(t)}/looping`;
      const running = parallelizer.run([{ do: 'loop', file }]);
      await appeared(file);
      const closing = parallelizer.close();
      await within(parallelizer.terminate(), 'terminate');
      await within(closing, 'close');
      assert.equal((await running).errors[0].code, 'ERR_PARALLELIZER_CLOSED');
    });

    test('terminate and close while the workers boot', async (t) => {
      for (const end of ['close', 'terminate']) {
        const parallelizer = on(t);
        await within(parallelizer[end](), end);
        const slow = on(t, { filePath: fixture('slow-load.js'), env: { ...process.env, SLOW_LOAD_MS: '1000' } });
        await within(slow[end](), end);
        assert.equal(states(slow), 0);
      }
    });

    test('close while the workers boot still finishes what was accepted', async (t) => {
      const parallelizer = on(t);
      const running = parallelizer.run([echo(1), echo(2)]);
      await within(parallelizer.close(), 'close');
      assert.deepEqual((await running).responses, [1, 2]);
    });

    test('close waits for a timed-out function that still runs no longer than the grace period', async (t) => {
      const parallelizer = on(t, { parallelization: 1, timeout: 200, gracePeriod: 300 });
      assert.equal((await parallelizer.run([{ do: 'loop' }])).errors[0].code, 'ERR_PARALLELIZER_TIMEOUT');
      await within(parallelizer.close(), 'close');
    });

    test('a worker that dies during close', async (t) => {
      const parallelizer = on(t);
      const running = parallelizer.run([{ do: 'exit', code: 3 }, { do: 'sleep', ms: 100, value: 'kept' }]);
      await within(parallelizer.close(), 'close');
      const { responses, errors } = await running;
      assert.deepEqual(responses, ['kept']);
      assert.equal(errors[0].exitCode, 3);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    for (const [end, record] of [
      ['close', null],
      ['terminate', null],
      ['terminate', 'loop'],
      ['terminate', 'block'],
      ['terminate', 'forever'],
      ['removeChildThreads', 'loop'],
    ]) {
      test(`${end} with workers ${record ? `in '${record}'` : 'idle'} leaves no process and no zombie`, async (t) => {
        const parallelizer = make(t, { type: mode.type });
        await parallelizer.ready();
        const pids = parallelizer.stats().workers.map(({ pid }) => pid);
        const file = `${temporary(t)}/pids`;
        const running = record ? parallelizer.run([{ do: record, file }, { do: record, file }]) : null;
        if (record) await waitFor(() => lines(file).length === 2, 'the workers to begin');
        await within(Promise.resolve(parallelizer[end]()), end);
        await waitFor(() => pids.every((pid) => !isKnown(pid)), 'the workers to be gone, reaped');
        if (running) assert.equal((await running).errors.length, 2);
      });
    }

    test('when close has settled, the workers have been reaped', async (t) => {
      const { messages } = await run(
        t,
        asynchronous(`
          const isKnown = ${isKnown};
          const left = [];
          for (const end of ['close', 'terminate']) {
            const parallelizer = make();
            await parallelizer.ready();
            const pids = parallelizer.stats().workers.map(({ pid }) => pid);
            await parallelizer[end]();
            left.push(pids.filter(isKnown).length);
          }
          console.log(JSON.stringify(left));`),
        { mode },
      );
      assert.deepEqual(messages, [[0, 0]]);
    });

    test('close lets workers flush their own pipes: exit handlers run', async (t) => {
      const file = `${temporary(t)}/exit`;
      const parallelizer = make(t, { type: mode.type, filePath: fixture('exit-handler.js'), parallelization: 1 });
      await parallelizer.run([{ file }]);
      await parallelizer.close();
      assert.deepEqual(lines(file), ['exit'], "process.on('exit') of a worker runs at close");
    });

    test('a program ends by itself after terminate and leaves nothing behind', async (t) => {
      const program = start(
        t,
        asynchronous(`
          for (let i = 0; i < 5; i++) { const one = make(); one.run([{ do: 'forever' }]); await one.terminate(); }
          console.log('terminated');
          setTimeout(() => {}, 1500);`),
        { mode },
      );
      await program.says('terminated');
      assert.deepEqual(childrenOf(program.pid), []);
      assert.equal((await within(program.exited, 'the program')).code, 0);
      await gone(program.pid);
    });
  },
  { needs: ['hasProcess'] },
);

forEachMode(
  (mode) => {
    test('what has been answered is done, although terminate comes before anybody has looked', async (t) => {
      const pool = makePool(t, mode, { processes: 1 });
      await pool.apply(task('double'), [1]);
      const file = path.join(temporary(t), 'second');
      // A call with a limit is answered before the next one begins.
      const first = pool.apply(task('double'), [2], { timeout: 60_000 });
      const second = Promise.allSettled([pool.apply(task('note'), [file, 'begun'], { timeout: 60_000 })]);
      await new Promise((resolve) => process.nextTick(resolve));
      for (const end = performance.now() + 30_000; !fs.existsSync(file) && performance.now() < end; );
      await pool.terminate();
      assert.equal(await within(first, 'the first call'), 4);
      await within(second, 'the second call');
    });
  },
  { needs: 'hasWorkers' },
);

test('and so it is in the calling process, where a call terminates its own pool', async (t) => {
  const pool = new Pool(0);
  t.after(() => {
    delete globalThis.poolOfTheCall;
    return pool.terminate();
  });
  globalThis.poolOfTheCall = pool;
  await pool.apply(() => 1);
  const limit = { timeout: 60_000 };
  const outcomes = await within(Promise.allSettled([
    pool.apply(() => 1, [], limit),
    pool.apply(() => void globalThis.poolOfTheCall.terminate(), [], limit),
    pool.apply(() => 3, [], limit),
  ]), 'all calls');
  assert.deepEqual(brief(outcomes), [1, [closed.code], [closed.code]]);
});
