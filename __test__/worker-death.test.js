'use strict';
// A worker that dies fails exactly its own sub-batch with an error that says why, and is replaced.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const {
  KILLED,
  echo,
  gone,
  isRunning,
  isWindows,
  lines,
  make,
  pidIn,
  pidsOf,
  read,
  sleep,
  temporary,
  waitFor,
  within,
  withSignal,
} = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const text = (error) => `${error.message}\n${error.stderr ?? ''}`;
const known = (parallelizer) => parallelizer.stats().workers.map(({ pid }) => pid);

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    const deaths = [
      { name: 'process.exit(0)', record: { do: 'exit', code: 0 }, exitCode: 0, signal: null },
      { name: 'process.exit(3)', record: { do: 'exit', code: 3 }, exitCode: 3, signal: null },
      { name: 'process.exit from a timer', record: { do: 'exitLater', code: 4 }, exitCode: 4, signal: null },
      { name: 'SIGKILL to itself', record: { do: 'kill', signal: 'SIGKILL' }, ...KILLED },
      { name: 'SIGALRM to itself', record: { do: 'kill', signal: 'SIGALRM' }, exitCode: null, signal: 'SIGALRM' },
      {
        name: 'process.abort',
        record: { do: 'abort' },
        // Without signals it has an exit code of Node's own.
        ...(isWindows ? { exitCode: 134, signal: null } : { exitCode: null, signal: 'SIGABRT' }),
      },
      {
        name: 'an exception in a timer',
        record: { do: 'throwInTimer', message: 'boom in a timer' },
        exitCode: 1,
        signal: null,
        stderr: 'boom in a timer',
      },
      {
        name: 'a stray rejection',
        record: { do: 'strayRejection', message: 'boom, stray' },
        exitCode: 1,
        signal: null,
        stderr: 'boom, stray',
      },
      {
        name: 'last words on stderr',
        record: { do: 'sayAndExit', text: 'first line\nfamous last words\n', code: 9 },
        exitCode: 9,
        signal: null,
        stderr: 'famous last words',
      },
      {
        name: 'heap exhaustion (execArgv)',
        record: { do: 'exhaustHeap' },
        options: { execArgv: ['--max-old-space-size=24'] },
        stderr: 'heap',
      },
      {
        name: 'heap exhaustion (resourceLimits)',
        record: { do: 'exhaustHeap' },
        options: { resourceLimits: { maxOldGenerationSizeMb: 24 } },
      },
    ];

    for (const { name, record, options, exitCode, signal, stderr } of deaths) {
      describe(name, record.signal === undefined ? {} : withSignal(record.signal), () => {
        test('fails its own sub-batch with what became of the worker; its sibling keeps its result', async (t) => {
          const parallelizer = on(t, { stdio: 'ignore', ...options });
          await parallelizer.ready();
          const before = known(parallelizer);
          const result = await within(
            parallelizer.run([record, { do: 'sleep', ms: 50, value: 'sibling' }]),
            name,
            60_000,
          );
          assert.deepEqual(result.responses, ['sibling']);
          assert.equal(result.failures.length, 1);
          const [error] = result.errors;
          assert.ok(error instanceof Error);
          assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
          assert.equal(result.failures[0], String(error));
          assert.equal(error.batchIndex, 0);
          assert.deepEqual([...error.records], [0]);
          assert.ok(before.includes(error.pid), `pid ${error.pid} of ${before}`);
          if (exitCode !== undefined) assert.deepEqual([error.exitCode, error.signal], [exitCode, signal]);
          else assert.ok(error.signal !== null || error.exitCode !== 0, 'an unnatural end');
          if (stderr) assert.ok(text(error).includes(stderr), `last lines of stderr in: ${text(error)}`);
          assert.ok(
            error.message.includes(String(signal ?? exitCode ?? error.signal ?? error.exitCode)),
            error.message,
          );
          assert.ok(!isRunning(error.pid));
        });

        test('with retries the sub-batch is run again, here in vain, and the instance goes on', async (t) => {
          const parallelizer = on(t, { stdio: 'ignore', retries: 1, ...options });
          const result = await within(parallelizer.run([echo('sibling'), record]), name, 60_000);
          assert.deepEqual(result.responses, ['sibling']);
          assert.equal(result.errors[0].code, 'ERR_PARALLELIZER_WORKER_EXITED');
          assert.equal(result.errors[0].batchIndex, 1);
          const next = await pidsOf(t, parallelizer);
          assert.ok(!next.includes(result.errors[0].pid), 'both slots have a worker again');
        });
      });
    }

    test('all workers dying at once is a failure of each sub-batch, not an empty success', async (t) => {
      const parallelizer = on(t, { parallelization: 3 });
      const result = await parallelizer.run([1, 2, 3].map((code) => ({ do: 'exit', code })));
      assert.deepEqual(result.responses, []);
      assert.deepEqual(result.errors.map(({ code }) => code), Array(3).fill('ERR_PARALLELIZER_WORKER_EXITED'));
      assert.deepEqual(result.errors.map(({ exitCode }) => exitCode), [1, 2, 3], 'each its own');
      assert.deepEqual(result.errors.map(({ batchIndex }) => batchIndex), [0, 1, 2]);
      const next = await parallelizer.run([echo(1), echo(2), echo(3)]);
      assert.deepEqual(next.responses, [1, 2, 3]);
    });

    for (const signal of ['SIGKILL', 'SIGABRT', 'SIGSEGV']) {
      test(`${signal} from outside, while it runs`, withSignal(signal), async (t) => {
        const parallelizer = on(t);
        const file = `${temporary(t)}/held`;
        const running = parallelizer.run([{ do: 'gate', file }, { do: 'pid' }]);
        const pid = Number(await waitFor(() => lines(`${file}.started`)[0], 'the worker to begin'));
        process.kill(pid, signal);
        const result = await within(running, 'the run');
        assert.equal(result.errors[0].pid, pid);
        const { exitCode, signal: endedBy } = result.errors[0];
        assert.deepEqual({ exitCode, signal: endedBy }, { ...KILLED, ...(isWindows ? {} : { signal }) });
        assert.equal(result.responses.length, 1);
        assert.notEqual(result.responses[0], pid);
        assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
      });
    }

    test('SIGKILL from outside, while it is idle, costs nothing', async (t) => {
      const parallelizer = on(t);
      await parallelizer.ready();
      for (let round = 0; round < 5; round++) {
        const before = await pidsOf(t, parallelizer);
        process.kill(before[0], 'SIGKILL');
        await gone(before[0]);
        await sleep(round * 5);
        const after = await pidsOf(t, parallelizer);
        assert.ok(!after.includes(before[0]));
        assert.ok(after.includes(before[1]), 'the other one stays');
      }
    });

    test('SIGKILL to all workers at the moment of the call settles every sub-batch once', async (t) => {
      const parallelizer = on(t, { retries: 0 });
      for (let round = 0; round < 20; round++) {
        await parallelizer.ready();
        const pids = known(parallelizer);
        const running = parallelizer.run([echo(`a${round}`), echo(`b${round}`)]);
        for (const pid of pids) if (round % 3 !== 0) process.kill(pid, 'SIGKILL');
        const { responses, errors } = await within(running, 'the run');
        assert.equal(responses.length + errors.length, 2);
        for (const value of responses)
          assert.ok([`a${round}`, `b${round}`].includes(value), `its own results: ${value}`);
        for (const error of errors) assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
      }
      assert.deepEqual((await parallelizer.run([echo(1), echo(2)])).responses, [1, 2]);
    });

    test('a worker that answers and then exits has answered; nothing leaks into the next run', async (t) => {
      const parallelizer = on(t);
      for (let round = 0; round < 8; round++) {
        await pidsOf(t, parallelizer); // Both workers are up, so the two sub-batches go to different ones.
        const { responses, failures } = await parallelizer.run([
          { do: 'exitAfterReply', code: 0, ms: round },
          { do: 'sleep', ms: 40, value: `stays ${round}` },
        ]);
        assert.deepEqual(failures, []);
        assert.equal(responses[1], `stays ${round}`);
        await gone(responses[0]);
        const next = await parallelizer.run([{ do: 'pid' }, echo(`next ${round}`)]);
        assert.deepEqual(next.failures, []);
        assert.notEqual(next.responses[0], responses[0]);
        assert.equal(next.responses[1], `next ${round}`, 'its own result');
      }
    });

    test('exiting in the turn of the answer settles once, either way', async (t) => {
      const parallelizer = on(t);
      for (let round = 0; round < 10; round++) {
        const { responses, errors } = await within(
          parallelizer.run([{ do: 'exitNextTurn', code: 7, value: 'gone' }, echo('stays')]),
          'the run',
        );
        assert.equal(responses.length + errors.length, 2);
        assert.equal(responses.at(-1), 'stays');
        if (errors.length > 0) assert.equal(errors[0].exitCode, 7);
        assert.deepEqual((await parallelizer.run([echo(round), echo(round)])).responses, [round, round]);
      }
    });

    test('a big answer written before a death arrives whole', async (t) => {
      const parallelizer = on(t);
      const value = 'x'.repeat(3_000_000);
      const { responses, failures } = await parallelizer.run([
        { do: 'exitAfterReply', code: 0, ms: 300, value },
        echo(1),
      ]);
      assert.deepEqual(failures, []);
      assert.ok(responses[0] === value && responses[1] === 1);
    });

    test('a death in a long series of sub-batches costs only that one', async (t) => {
      const parallelizer = on(t, { batchSize: 1 });
      const batch = Array.from({ length: 60 }, (_, i) => (i === 20 || i === 41 ? { do: 'exit', code: i } : echo(i)));
      const { responses, errors } = await within(parallelizer.run(batch), 'the run');
      assert.deepEqual(errors.map(({ batchIndex, exitCode, records }) => [batchIndex, exitCode, [...records]]), [
        [20, 20, [20]],
        [41, 41, [41]],
      ]);
      assert.deepEqual(responses, batch.map((_, i) => i).filter((i) => i !== 20 && i !== 41));
    });

    for (const signal of ['SIGKILL', 'SIGSEGV']) {
      const title = `${signal} in a long series of sub-batches costs only that one: earlier ones stay finished`;
      test(title, withSignal(signal), async (t) => {
        const parallelizer = on(t, { batchSize: 1, parallelization: 1 });
        await parallelizer.ready();
        for (let round = 0; round < 5; round++) {
          const batch = Array.from({ length: 20 }, (_, i) => (i === 10 ? { do: 'kill', signal } : echo(i)));
          const { responses, errors } = await within(parallelizer.run(batch), 'the run');
          assert.deepEqual(errors.map(({ batchIndex }) => batchIndex), [10]);
          assert.deepEqual(responses, batch.map((_, i) => i).filter((i) => i !== 10));
        }
      });
    }

    test('records says which part of the batch was lost', async (t) => {
      const parallelizer = on(t, { parallelization: 2 });
      const { errors } = await parallelizer.run([echo(0), echo(1), echo(2), { do: 'exit', code: 1 }, echo(4)]);
      assert.deepEqual([...errors[0].records], [3, 4]);
      assert.equal(errors[0].batchIndex, 1);
    });

    test('what goes through the parent’s console is among the last lines as well', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 1, stdio: 'forward' });
      const { errors } = await parallelizer.run([{ do: 'sayAndExit', text: 'famous last words\n', code: 9 }]);
      assert.match(text(errors[0]), /famous last words/);
    });

    test('the last lines of stderr are those of the dead worker alone, and bounded', async (t) => {
      const parallelizer = on(t, { stdio: 'ignore' });
      const long = `${'noise '.repeat(20_000)}\nthe end\n`;
      const { errors } = await parallelizer.run([
        { do: 'sayAndExit', text: long, code: 1 },
        { do: 'sayAndExit', text: 'another story\n', code: 2 },
      ]);
      assert.match(errors[0].stderr, /the end/);
      assert.ok(errors[0].stderr.length <= 8192, `${errors[0].stderr.length} characters`);
      assert.match(errors[1].stderr, /another story/);
      assert.doesNotMatch(errors[1].stderr, /the end/);
    });

    test('a grandchild that holds stderr open delays nothing', async (t) => {
      const parallelizer = on(t, {
        filePath: require.resolve('./fixtures/grandchild.js'),
        processBatchFunctionName: 'run',
        parallelization: 1,
      });
      const file = `${temporary(t)}/grandchild`;
      const { errors } = await within(parallelizer.run([{ file }]), 'the run, while the grandchild sleeps');
      const grandchild = Number(read(file));
      t.after(() => {
        if (isRunning(grandchild)) process.kill(grandchild, 'SIGKILL');
      });
      assert.equal(errors[0].exitCode, 5);
      assert.ok(isRunning(grandchild), 'it is still there: the run did not wait for it');
    });

    test('after a death, a waiting run gets a new worker', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const file = `${temporary(t)}/held`;
      const first = parallelizer.run([{ do: 'gate', file }]);
      const rest = Array.from({ length: 10 }, (_, i) => parallelizer.run([echo(i)]));
      process.kill(await pidIn(`${file}.started`), 'SIGKILL');
      assert.equal((await within(first, 'the first')).errors[0].signal, KILLED.signal);
      const answers = await within(Promise.all(rest), 'the rest');
      assert.deepEqual(answers.map(({ responses }) => responses[0]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    test('one that closes its own channel is replaced, and nothing waits for it', async (t) => {
      const pool = new Pool({ processes: 1, type: mode.type });
      t.after(() => pool.terminate());
      const closing = (fd) => {
        try {
          require('node:fs').closeSync(fd);
        } catch {
          // It is none.
        }
      };
      for (const fd of [3, 4, 5, 6]) {
        await within(pool.apply(closing, [fd]).catch(({ code }) => code), `closing ${fd}`);
        assert.equal(await within(pool.apply((x) => x, [fd]), `the call after ${fd}`), fd);
      }
    });

    test('stats() counts restarts', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      await parallelizer.run([{ do: 'exit', code: 1 }]);
      await parallelizer.run([echo(1)]);
      assert.equal(parallelizer.stats().restarts, 1);
    });
  },
  { needs: ['hasProcess'] },
);
