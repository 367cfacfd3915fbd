'use strict';
// What code written for node-parallelizer 3.1 relies on.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const library = require('@parallelizer/node');
const { echo, fixture, gone, make, pidsOf, stat } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

const { Parallelizer } = library;

test('the constants have the values that code may contain literally', () => {
  assert.equal(library.PARALLELIZER_CHILD, 'child-process');
  assert.equal(library.PARALLELIZER_THREADS, 'worker-threads');
  assert.equal(library.PARALLELIZER_INLINE, 'inline');
});

test('a missing filePath or processBatchFunctionName throws synchronously', () => {
  const complete = { filePath: fixture('act.js'), processBatchFunctionName: 'act' };
  for (const name of ['filePath', 'processBatchFunctionName']) {
    for (const absent of [undefined, null, '']) {
      assert.throws(() => new Parallelizer({ ...complete, [name]: absent }), new RegExp(name));
      assert.throws(() => new Parallelizer([{ id: 'a', ...complete, [name]: absent }]), new RegExp(name));
    }
  }
});

forEachMode((mode) => {
  const on = (t, options = {}) => make(t, Array.isArray(options) ? options : { type: mode.type, ...options });

  for (const [records, workers, sizes] of [
    [7, 3, [3, 2, 2]],
    [10, 3, [4, 3, 3]],
    [10, 4, [3, 2, 3, 2]],
    [8, 3, [3, 3, 2]],
    [2, 3, [1, 1]],
    [3, 3, [1, 1, 1]],
    [1, 2, [1]],
    [5, 1, [5]],
    [100, 3, [34, 33, 33]],
  ]) {
    test(`${records} records over ${workers} workers are ${sizes}`, async (t) => {
      const parallelizer = on(t, { parallelization: workers, processBatchFunctionName: 'batch' });
      const batch = Array.from({ length: records }, (_, i) => i);
      const { responses, failures } = await parallelizer.run(batch);
      assert.deepEqual(failures, []);
      assert.deepEqual(responses.map((part) => part.length), sizes);
      assert.deepEqual(responses.flat(), batch);
    });
  }

  test('run resolves to { responses, failures }, and nothing else is enumerable', async (t) => {
    const result = await on(t).run([echo('a'), echo('b')]);
    assert.deepEqual(Object.keys(result), ['responses', 'failures']);
    assert.equal(JSON.stringify(result), '{"responses":["a","b"],"failures":[]}');
  });

  test('undefined and null results are kept as entries', async (t) => {
    const { responses, failures } = await on(t, { parallelization: 3 }).run([echo(undefined), echo(null), echo(0)]);
    assert.deepEqual(responses, [undefined, null, 0]);
    assert.deepEqual(failures, []);
  });

  test('failures are the strings that toString returns, and never reject run', async (t) => {
    const { responses, failures } = await on(t, { parallelization: 4 }).run([
      { do: 'throws', message: 'bad 1' },
      { do: 'rejects', message: 'bad 2' },
      echo('fine'),
      { do: 'throwString', value: 'a plain string' },
    ]);
    assert.deepEqual(responses, ['fine']);
    assert.deepEqual(failures, ['Error: bad 1', 'TypeError: bad 2', 'a plain string']);
  });

  test('the function may be synchronous and may be called without this', async (t) => {
    const { responses } = await on(t, { processBatchFunctionName: 'self', parallelization: 1 }).run([1]);
    assert.equal(responses.length, 1);
  });

  for (const [params, type] of [
    [0, 'number'],
    [false, 'boolean'],
    ['', 'string'],
    [null, 'null'],
    [undefined, 'null'],
    [{ a: 1 }, 'object'],
    [[1, 2], 'object'],
  ]) {
    test(`params ${JSON.stringify(params)} arrive as ${type}`, async (t) => {
      const plain = on(t, { processBatchFunctionName: 'params', parallelization: 1 });
      assert.deepEqual((await plain.run([1], params)).responses, [params ?? null]);
      const typed = on(t, { processBatchFunctionName: 'paramsType', parallelization: 1 });
      assert.deepEqual((await typed.run([1], params)).responses, [type]);
    });
  }

  test('omitted params are null', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'paramsType', parallelization: 1 });
    assert.deepEqual((await parallelizer.run([1])).responses, ['null']);
  });

  test('every sub-batch gets the params', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'both' });
    const { responses } = await parallelizer.run([1, 2], { table: 'orders' });
    assert.deepEqual(responses, [
      { batch: [1], params: { table: 'orders' } },
      { batch: [2], params: { table: 'orders' } },
    ]);
  });

  for (const [name, batch] of [
    ['null', null],
    ['undefined', undefined],
    ['a string', 'abc'],
    ['an object', { length: 2 }],
    ['a number', 3],
    ['a set', new Set([1])],
  ]) {
    test(`a batch that is ${name} rejects`, async (t) => {
      const parallelizer = on(t);
      await assert.rejects(parallelizer.run(batch), Error);
      assert.deepEqual((await parallelizer.run([echo(1)])).responses, [1], 'and harms nothing');
    });
  }

  test('a typed array is accepted, and its sub-batches are arrays', async (t) => {
    const parallelizer = on(t, { processBatchFunctionName: 'batch' });
    for (const Typed of [Uint8Array, Int32Array, Float64Array]) {
      assert.deepEqual((await parallelizer.run(Typed.of(1, 2, 3, 4))).responses, [[1, 2], [3, 4]]);
    }
    const shape = on(t, { processBatchFunctionName: 'isArray' });
    assert.deepEqual((await shape.run(Uint8Array.of(1, 2, 3))).responses, [true, true]);
  });

  test("mainLogger prints one line of JSON on the parent's console, by the level named", async (t) => {
    const logs = [
      { message: 'plain' },
      { message: 'with params', params: { a: 1, nested: { b: [2] } } },
      { message: 'a warning', logType: 'warn' },
      { message: 'an error', logType: 'error', params: { message: 'shadowed', code: 7 } },
      { message: 'information', logType: 'info' },
      { message: { not: 'a string' } },
    ];
    const { stdout, stderr } = await run(
      t,
      asynchronous(`
        const parallelizer = make({ parallelization: 1, debug: false });
        const { responses } = await parallelizer.run([{ do: 'logs', value: 'v', logs: ${JSON.stringify(logs)} }]);
        console.log('answer ' + responses[0]);
        await parallelizer.close();`),
      { mode },
    );
    assert.equal(
      stdout,
      [
        '{"child_id":0,"message":"plain"}',
        '{"child_id":0,"a":1,"nested":{"b":[2]},"message":"with params"}',
        '{"child_id":0,"message":"information"}',
        '{"child_id":0,"message":{"not":"a string"}}',
        'answer v',
        '',
      ].join('\n'),
      'in order, and before the answer',
    );
    assert.equal(
      stderr,
      '{"child_id":0,"message":"a warning"}\n{"child_id":0,"message":"an error","code":7}\n',
    );
  });

  test('mainLogger goes through console, so that a replaced console sees it', async (t) => {
    const { messages } = await run(
      t,
      asynchronous(`
        const seen = [];
        for (const level of ['log', 'warn', 'debug']) console[level] = (...args) => seen.push([level, ...args]);
        const parallelizer = make();
        await parallelizer.run([0, 1].map((n) => ({
          do: 'logs', logs: [{ message: 'm' + n, logType: 'warn' }, { message: 'd' + n, logType: 'debug' }],
        })));
        await parallelizer.close();
        process.stdout.write(JSON.stringify(seen) + '\\n');`),
      { mode },
    );
    const seen = messages[0].map(([level, text, ...rest]) => {
      const { child_id: child, ...line } = JSON.parse(text);
      assert.ok([0, 1].includes(child), `child_id is a worker's number: ${text}`);
      assert.deepEqual(rest, [], 'console gets one argument');
      return `${level} ${line.message}`;
    });
    assert.deepEqual(seen.sort(), ['debug d0', 'debug d1', 'warn m0', 'warn m1']);
  });

  test('the list form returns results in call order, for any subset of pools', async (t) => {
    const lists = on(t, ['a', 'b', 'c'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    const item = (id, ms, value) => ({ id, batch: [{ do: 'sleep', ms, value }] });
    const answers = await lists.run([item('c', 60, 'C'), item('a', 30, 'A'), item('b', 0, 'B')]);
    assert.deepEqual(answers.map(({ responses, failures }) => [responses, failures]), [
      [['C'], []],
      [['A'], []],
      [['B'], []],
    ]);
    assert.deepEqual((await lists.run([item('b', 0, 1)])).map(({ responses }) => responses), [[1]]);
    assert.deepEqual(await lists.run([]), []);
  });

  test('mainLogger prints what has no text, too', async (t) => {
    const seen = [];
    t.mock.method(console, 'log', (line) => seen.push(JSON.parse(line)));
    assert.deepEqual((await on(t, { parallelization: 1 }).run([{ do: 'logsNoText' }])).responses, ['logged']);
    assert.match(seen[0].unserializable, /BigInt/);
    assert.equal(seen[0].message, '[object Object]');
  });

  test('the list form: items that are none are named, and a closed instance says so', async (t) => {
    const lists = on(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    const refused = (name) => ({ code: 'ERR_PARALLELIZER_OPTION', message: new RegExp(`"\\[0\\]${name}"`) });
    const item = { id: 'a', batch: [{ do: 'echo' }] };
    // eslint-disable-next-line no-sparse-arrays
    await assert.rejects(lists.run([, item]), refused(''));
    const mine = new Error('mine');
    await assert.rejects(lists.run([{ id: 'a', get batch() { throw mine; } }]), { ...refused(''), cause: mine });
    await assert.rejects(lists.run([{ id: Object.create(null), batch: [] }]), refused('.id'));
    await lists.close();
    for (const items of [[], [item]]) await assert.rejects(lists.run(items), { code: 'ERR_PARALLELIZER_CLOSED' });
  });

  test('the list form takes params per item, and otherwise those of the call', async (t) => {
    const lists = on(
      t,
      ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1, processBatchFunctionName: 'params' })),
    );
    const answers = await lists.run(
      [
        { id: 'a', batch: [1], params: 'own' },
        { id: 'b', batch: [1] },
      ],
      'shared',
    );
    assert.deepEqual(
      answers.map(({ responses }) => responses[0]),
      ['own', 'shared'],
    );
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => make(t, { type: mode.type, ...options });
    const who = [{ do: 'who' }];

    test('module state persists between runs', async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const answers = [];
      for (let i = 0; i < 5; i++) answers.push((await parallelizer.run([{ do: 'count' }])).responses[0]);
      assert.deepEqual(answers.map(({ calls }) => calls), [1, 2, 3, 4, 5]);
      assert.equal(new Set(answers.map(({ pid }) => pid)).size, 1);
    });


    test('parallelizationPerCPU may be a numeric string', async (t) => {
      const parallelizer = on(t, {
        parallelization: false,
        parallelizationPerCPU: '2',
        processBatchFunctionName: 'batch',
      });
      const once = on(t, { parallelization: false, processBatchFunctionName: 'batch' });
      const batch = Array.from({ length: 1000 }, (_, i) => i);
      const doubled = (await parallelizer.run(batch)).responses;
      assert.deepEqual(doubled.flat(), batch);
      assert.equal(doubled.length, 2 * (await once.run(batch)).responses.length);
    });

    test('removeChildThreads() is synchronous, may be repeated, and the next run starts workers again', async (t) => {
      const parallelizer = on(t);
      const before = [];
      for (let i = 0; i < 5; i++) before.push((await parallelizer.run(who)).responses[0]);
      assert.equal(parallelizer.removeChildThreads(), undefined);
      assert.equal(parallelizer.removeChildThreads(), undefined);
      if (mode.hasProcess) for (const id of new Set(before)) await gone(Number.parseInt(id, 10));
      const after = (await parallelizer.run([...who, ...who])).responses;
      assert.equal(after.length, 2);
      for (const id of after) assert.ok(!before.includes(id), 'a new worker');
    });

    test('removeChildThreads takes one id or a list; unknown ids are ignored', async (t) => {
      const lists = make(t, ['a', 'b', 'c'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
      const all = async () =>
        Object.fromEntries(
          (await lists.run(['a', 'b', 'c'].map((id) => ({ id, batch: who })))).map(({ responses }, i) => [
            'abc'[i],
            responses[0],
          ]),
        );
      const changed = (x, y) => Object.keys(x).filter((id) => x[id] !== y[id]).join('');

      let before = await all();
      lists.removeChildThreads('a');
      let after = await all();
      assert.equal(changed(before, after), 'a');

      before = after;
      lists.removeChildThreads(['b', 'c', 'nobody']);
      after = await all();
      assert.equal(changed(before, after), 'bc');

      before = after;
      lists.removeChildThreads('nobody');
      lists.removeChildThreads([]);
      after = await all();
      assert.equal(changed(before, after), '');
    });

    test("the object form's id is 'single-process'", async (t) => {
      const parallelizer = on(t, { parallelization: 1 });
      const first = (await parallelizer.run(who)).responses[0];
      parallelizer.removeChildThreads('something else');
      assert.equal((await parallelizer.run(who)).responses[0], first);
      parallelizer.removeChildThreads('single-process');
      assert.notEqual((await parallelizer.run(who)).responses[0], first);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('parallelization is the number of workers', async (t) => {
      const parallelizer = make(t, { type: mode.type, parallelization: 3 });
      const pids = await pidsOf(t, parallelizer, 3);
      assert.deepEqual(parallelizer.stats().workers.map(({ pid }) => pid).sort(), pids.sort());
    });

    test('workers are started by the constructor, before any run', async (t) => {
      const parallelizer = make(t, { type: mode.type });
      await parallelizer.ready();
      const pids = parallelizer.stats().workers.map(({ pid }) => pid);
      assert.equal(new Set(pids).size, 2);
      for (const pid of pids) assert.equal(stat(pid)?.[1], String(process.pid), 'a child of this process');
      assert.deepEqual((await pidsOf(t, parallelizer)).sort(), pids.sort());
    });
  },
  { needs: ['hasProcess'] },
);
