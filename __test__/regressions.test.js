'use strict';
// The shortest case of each way in which node-parallelizer 3.1 breaks, shown not to break here. Deaths, concurrency and
// split sizes also have files of their own.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { Parallelizer } = require('@parallelizer/node');
const { appeared, echo, fixture, gone, lines, make, pidsOf, temporary, within } = require('./support/helpers');
const { forEachMode, modes } = require('./support/modes');
const { asynchronous, run, start } = require('./support/scripts');

forEachMode((mode) => {
  const on = (t, options) => make(t, { type: mode.type, ...options });

  test('1. concurrent runs get their own results', async (t) => {
    const parallelizer = on(t);
    const [one, two] = await Promise.all([
      parallelizer.run([{ do: 'sleep', ms: 30, value: 1 }, { do: 'sleep', ms: 1, value: 2 }]),
      parallelizer.run([{ do: 'sleep', ms: 1, value: 3 }, { do: 'sleep', ms: 30, value: 4 }]),
    ]);
    assert.deepEqual([one.responses, two.responses], [[1, 2], [3, 4]]);
  });

  test('3. a value that cannot be serialized fails its sub-batch; later runs are not off by one', async (t) => {
    const parallelizer = on(t, { serialization: 'json' });
    const cycle = {};
    cycle.self = cycle;
    for (const bad of [cycle, 10n]) {
      const { responses, errors } = await within(parallelizer.run([echo(1), echo(bad)]), 'the run');
      assert.deepEqual(responses, [1]);
      assert.deepEqual(
        errors.map(({ code, batchIndex }) => [code, batchIndex]),
        [['ERR_PARALLELIZER_SERIALIZATION', 1]],
      );
      const first = await within(parallelizer.run([echo(bad), echo(2)]), 'the run');
      assert.deepEqual(first.responses, [2]);
      assert.equal(first.errors[0].batchIndex, 0);
      for (let i = 0; i < 3; i++)
        assert.deepEqual((await parallelizer.run([echo(i), echo(9 - i)])).responses, [i, 9 - i]);
    }
  });

  test('5. results are in the order of the batch, errors name their records', async (t) => {
    const parallelizer = on(t, { parallelization: 3 });
    const { responses, errors } = await parallelizer.run([
      { do: 'sleep', ms: 80, value: 'slow' },
      { do: 'throws', message: 'bad' },
      { do: 'sleep', ms: 0, value: 'quick' },
    ]);
    assert.deepEqual(responses, ['slow', 'quick']);
    assert.equal(errors[0].batchIndex, 1);
    assert.deepEqual([...errors[0].records], [1]);
  });

  test('errors exists, but is not enumerable', async (t) => {
    const result = await on(t).run([{ do: 'throws' }]);
    assert.deepEqual(Object.keys(result), ['responses', 'failures']);
    assert.ok(!JSON.stringify(result).includes('errors'));
    assert.equal(result.errors.length, 1);
    assert.deepEqual((await on(t).run([echo(1)])).errors, []);
  });

  test('6. records that are arrays stay records', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'batch' });
    assert.deepEqual((await parallelizer.run([[1, 2], [3], [], [[4]]])).responses, [[[1, 2], [3]], [[], [[4]]]]);
    assert.deepEqual((await parallelizer.run([[], []])).responses, [[[]], [[]]]);
    assert.deepEqual((await parallelizer.run([[]])).responses, [[[]]]);
  });

  test('7. splitting is not quadratic: 100,000 records', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'sum' });
    const batch = Array.from({ length: 100_000 }, (_, i) => i);
    const { responses } = await within(parallelizer.run(batch), 'the run', 15_000);
    assert.equal(responses[0] + responses[1], (100_000 * 99_999) / 2);
  });

  test('8. an empty batch resolves with two empty lists', async (t) => {
    const result = await within(on(t).run([]), 'the run');
    assert.deepEqual(result, { responses: [], failures: [] });
    assert.deepEqual(result.errors, []);
    assert.deepEqual(await on(t).run(new Uint8Array(0)), { responses: [], failures: [] });
  });

  test("9. list form: one item's params do not leak into the next, falsy ones are kept", async (t) => {
    const lists = make(
      t,
      ['a', 'b', 'c', 'd'].map((id) => ({
        id,
        type: mode.type,
        parallelization: 1,
        processBatchFunctionName: 'params',
      })),
    );
    const answers = await lists.run([
      { id: 'a', batch: [1], params: { secret: 1 } },
      { id: 'b', batch: [1] },
      { id: 'c', batch: [1], params: 0 },
      { id: 'd', batch: [1], params: '' },
    ]);
    assert.deepEqual(
      answers.map(({ responses }) => responses[0]),
      [{ secret: 1 }, null, 0, ''],
    );
    const shared = await lists.run(
      [
        { id: 'a', batch: [1], params: false },
        { id: 'b', batch: [1], params: null },
        { id: 'c', batch: [1] },
      ],
      'all',
    );
    assert.deepEqual(
      shared.map(({ responses }) => responses[0]),
      [false, null, 'all'],
    );
  });

  test('9. a list of one works', async (t) => {
    const lists = make(t, [{ id: 'only', type: mode.type }]);
    const [answer, ...rest] = await lists.run([{ id: 'only', batch: [echo(1), echo(2)] }]);
    assert.deepEqual([answer.responses, rest], [[1, 2], []]);
  });

  test('9. a duplicate id, an absent id and an unknown id are errors', async (t) => {
    const one = { type: mode.type, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 };
    const bad = { code: 'ERR_PARALLELIZER_OPTION' };
    assert.throws(() => new Parallelizer([{ id: 'a', ...one }, { id: 'a', ...one }]), bad);
    assert.throws(() => new Parallelizer([{ id: 'a', ...one }, one]), bad);
    const lists = make(t, [{ id: 'a', ...one }]);
    await assert.rejects(lists.run([{ id: 'a', batch: [echo(1)] }, { id: 'nobody', batch: [] }]), (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
      assert.match(error.message, /nobody/);
      return true;
    });
  });

  test("9. the caller's objects are not changed, and may be frozen", async (t) => {
    const one = { type: mode.type, filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1 };
    const options = Object.freeze({ ...one });
    const single = new Parallelizer(options);
    t.after(() => single.terminate());
    assert.deepEqual(options, one);
    const list = Object.freeze([Object.freeze({ id: 'a', ...one })]);
    const lists = new Parallelizer(list);
    t.after(() => lists.terminate());
    const item = Object.freeze({ id: 'a', batch: Object.freeze([Object.freeze(echo(1))]) });
    assert.deepEqual((await lists.run(Object.freeze([item]), 'params'))[0].responses, [1]);
    assert.deepEqual(item, { id: 'a', batch: [echo(1)] });
    assert.deepEqual((await single.run(Object.freeze([echo(2)]))).responses, [2]);
  });

  test('10. a stray process.send is not an answer', async (t) => {
    const parallelizer = on(t);
    for (let i = 0; i < 5; i++) {
      const { responses, failures } = await within(
        parallelizer.run([{ do: 'straySend', value: 'mine' }, echo(i)]),
        'the run',
      );
      assert.deepEqual([responses, failures], [['mine', i], []]);
    }
  });

  for (const logType of ['nonsense', 'toString', '__proto__', 'Console', '', null, 5]) {
    test(`10. logType ${JSON.stringify(logType)} neither crashes nor loses the line`, async (t) => {
      const logs = [{ message: 'a line', logType }];
      const { stdout, stderr } = await run(
        t,
        asynchronous(`
          const parallelizer = make({ parallelization: 1 });
          const { responses } = await parallelizer.run([{ do: 'logs', value: 'v', logs: ${JSON.stringify(logs)} }]);
          console.log('answer ' + responses[0]);
          await parallelizer.close();`),
        { mode },
      );
      assert.match(stdout, /^answer v$/m);
      assert.match(stdout + stderr, /"message":"a line"/);
    });
  }

  for (const [name, log] of [
    ['nothing', undefined],
    ['null', null],
    ['a string', 'text'],
    ['no message', {}],
    ['null params', { message: 'm', params: null }],
  ]) {
    test(`10. mainLogger called with ${name} costs at most that call`, async (t) => {
      const { responses, errors } = await within(
        on(t).run([{ do: 'logs', value: 'v', logs: [log] }, echo(2)]),
        'the run',
      );
      assert.equal(responses.at(-1), 2);
      assert.equal(responses.length + errors.length, 2);
      assert.deepEqual(errors.filter(({ code }) => code === 'ERR_PARALLELIZER_WORKER_EXITED'), []);
    });
  }

  for (const value of [undefined, null, false, 0, '']) {
    test(`10. throw ${JSON.stringify(value)} fails its sub-batch`, async (t) => {
      const parallelizer = on(t);
      const { responses, failures, errors } = await within(
        parallelizer.run([{ do: 'throwString', value }, echo('kept')]),
        'the run',
      );
      assert.deepEqual(responses, ['kept']);
      assert.deepEqual(failures, [String(value)]);
      assert.ok(errors[0] instanceof Error && 'cause' in errors[0]);
      assert.equal(errors[0].cause, value);
      assert.equal(errors[0].batchIndex, 0);
    });
  }

  test('12. a quote in the path breaks nothing', async (t) => {
    const dir = path.join(temporary(t), `it's "quoted" \`$(x)\` \\ %41 #?&`);
    fs.mkdirSync(dir);
    fs.copyFileSync(fixture('act.js'), path.join(dir, 'act.js'));
    const parallelizer = on(t, { filePath: path.join(dir, 'act.js') });
    assert.deepEqual((await parallelizer.run([echo(1)])).responses, [1]);
  });

  test('12. no file is written, not even to tmpPath', async (t) => {
    const dir = temporary(t);
    const { messages } = await run(
      t,
      asynchronous(`
        const parallelizer = make({ tmpPath: ${JSON.stringify(path.join(dir, 'tmp'))} });
        await parallelizer.run([{ do: 'echo', value: 1 }]);
        const during = require('node:fs').readdirSync(${JSON.stringify(dir)}, { recursive: true });
        await parallelizer.close();
        console.log(JSON.stringify([during, require('node:fs').readdirSync(${JSON.stringify(dir)}, { recursive: true })]));`),
      { mode, env: { TMPDIR: dir } },
    );
    assert.deepEqual(messages, [[[], []]]);
  });

  for (const parallelization of [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY]) {
    test(`14. parallelization ${parallelization} is an error that names it`, () => {
      assert.throws(
        () =>
          new Parallelizer({
            type: mode.type,
            filePath: fixture('act.js'),
            processBatchFunctionName: 'act',
            parallelization,
          }),
        (error) => error.code === 'ERR_PARALLELIZER_OPTION' && error.message.includes('parallelization'),
      );
    });
  }

  const noInline = modes.some(({ name }) => name === 'inline') ? false : 'inline is not among the modes under test';
  test('14. parallelization 0 runs inline: one sub-batch', { skip: noInline }, async (t) => {
    const parallelizer = on(t, { parallelization: 0, processBatchFunctionName: 'batch' });
    assert.deepEqual((await parallelizer.run([1, 2, 3])).responses, [[1, 2, 3]]);
  });

  test('15. ten concurrent runs and instances print no warning', async (t) => {
    const { stderr } = await run(
      t,
      asynchronous(`
        const all = Array.from({ length: 12 }, () => make({ parallelization: 1 }));
        await Promise.all(all.flatMap((one) => Array.from({ length: 12 }, (_, i) => one.run([{ do: 'echo', value: i }]))));
        await Promise.all(all.map((one) => one.close()));`),
      { mode },
    );
    assert.equal(stderr, '');
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });

    test('2. a worker that answers and exits is counted once', async (t) => {
      const parallelizer = on(t);
      for (let i = 0; i < 4; i++) {
        // Both workers are up, so the two sub-batches go to different ones.
        if (mode.hasProcess) await pidsOf(t, parallelizer);
        else await parallelizer.ready();
        const { responses, failures } = await parallelizer.run([
          { do: 'exitAfterReply', code: 0, ms: 5, value: `first ${i}` },
          { do: 'sleep', ms: 100, value: `second ${i}` },
        ]);
        assert.deepEqual([responses, failures], [[`first ${i}`, `second ${i}`], []]);
      }
    });

    test('4. a dead worker is a failure, never an empty success', async (t) => {
      const parallelizer = on(t);
      const { responses, failures } = await within(
        parallelizer.run([
          { do: 'exit', code: 0 },
          { do: 'exit', code: 1 },
        ]),
        'the run',
      );
      assert.deepEqual(responses, []);
      assert.equal(failures.length, 2);
      for (const text of failures) assert.match(text, /exit/);
    });

    test('12. an instance does not keep the process alive', async (t) => {
      const { stdout } = await run(t, `make(); console.log('made');`, { mode });
      assert.equal(stdout, 'made\n');
    });

    test('13. a module that does not load is reported', async (t) => {
      const parallelizer = on(t, { filePath: fixture('throws-at-load.js') });
      const { responses, failures, errors } = await within(parallelizer.run([1, 2]), 'the run');
      assert.deepEqual(responses, []);
      assert.equal(failures.length, 2);
      assert.equal(errors[0].code, 'ERR_PARALLELIZER_MODULE');
      assert.match(`${errors[0].message} ${errors[0].cause}`, /this module refuses/);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('12. removeChildThreads ends a busy worker', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 1 });
      const file = `${temporary(t)}/looping`;
      const running = parallelizer.run([{ do: 'loop', file }]);
      await appeared(file);
      parallelizer.removeChildThreads();
      await gone(Number(lines(file)[0]));
      assert.equal((await within(running, 'the run')).errors[0].code, 'ERR_PARALLELIZER_CLOSED');
    });

    test('15. with --inspect no address is in use already', async (t) => {
      const program = start(
        t,
        asynchronous(`
          const parallelizer = make();
          const { failures } = await parallelizer.run([{ do: 'echo' }, { do: 'echo' }]);
          await parallelizer.close();
          console.log('failures ' + failures.length);`),
        { mode, execArgv: ['--inspect=127.0.0.1:0'] },
      );
      const { stdout, stderr, code } = await within(program.exited, 'the program', 60_000);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'failures 0\n');
      assert.doesNotMatch(stderr, /already in use/);
      assert.equal(stderr.match(/Debugger listening/g)?.length, 1, 'the parent alone');
    });
  },
  { needs: ['hasProcess'] },
);
