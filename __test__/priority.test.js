'use strict';
// What goes first.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { make, sleep, within } = require('./support/helpers');
const { forEachMode, withAddon } = require('./support/modes');

const FILE = path.join(__dirname, 'fixtures', 'ordered.js');
const step = { filePath: FILE, name: 'step' };

const open = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
};

/** A file that does not exist until it is released. */
const gate = (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'priority-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const hold = path.join(folder, 'go');
  return { hold, release: () => fs.writeFileSync(hold, '') };
};

const namesInOrder = (results) => results.toSorted((a, b) => a.order - b.order).map(({ name }) => name);

forEachMode((mode) => {
  const one = { type: mode.type, processes: mode.hasWorkers ? 1 : 0 };

  /** Holds the only worker, and resolves when that has begun. */
  const occupy = async (t, pool) => {
    const { hold, release } = gate(t);
    let running;
    await new Promise((resolve) => {
      running = pool.apply(step, [{ hold, name: 'holder' }], { onMessage: resolve });
    });
    return { running, release };
  };

  test('a higher priority goes first, and the earlier call within one', async (t) => {
    const pool = open(t, one);
    const { running, release } = await occupy(t, pool);
    const calls = [];
    for (const [name, priority] of [['a', 0], ['b', -3], ['c', 5], ['d', undefined], ['e', 5], ['f', 2 ** 40], ['g', -3]]) {
      calls.push(pool.apply(step, [{ name }], { priority }));
      await sleep(1);
    }
    release();
    const results = await within(Promise.all([running, ...calls]), 'the calls');
    assert.deepEqual(namesInOrder(results), ['holder', 'f', 'c', 'e', 'a', 'd', 'b', 'g']);
  });

  test('the calls of one turn are in that order, too', async (t) => {
    const pool = open(t, one);
    const { running, release } = await occupy(t, pool);
    const priorities = Array.from({ length: 30 }, (_, i) => (i * 7) % 4);
    const calls = priorities.map((priority, name) => pool.apply(step, [{ name }], { priority }));
    release();
    const names = namesInOrder(await within(Promise.all([running, ...calls]), 'the calls')).slice(1);
    const expected = [...priorities.keys()].sort((a, b) => priorities[b] - priorities[a] || a - b);
    assert.deepEqual(names, expected);
  });

  test('map, starmap and imap have one as well', async (t) => {
    const pool = open(t, one);
    const { running, release } = await occupy(t, pool);
    const items = (name) => [0, 1, 2].map((i) => ({ name: `${name}${i}` }));
    const gather = async (stream) => {
      const all = [];
      for await (const result of stream) all.push(result);
      return all;
    };
    const calls = [
      pool.map(step, items('low'), { priority: -1 }),
      pool.map(step, items('plain')),
      pool.starmap(step, items('starred').map((item) => [item]), { priority: 1 }),
      gather(pool.imap(step, items('streamed'), { priority: 2 })),
      pool.mapAsync(step, items('high'), { priority: 3 }),
    ];
    await sleep(5);
    release();
    const results = (await within(Promise.all([running, ...calls]), 'the calls')).flat();
    const kinds = namesInOrder(results).map((name) => name.replace(/\d$/, ''));
    assert.deepEqual([...new Set(kinds)], ['holder', 'high', 'streamed', 'starred', 'plain', 'low']);
  });

  const recalls = withAddon('a process that shares no memory cannot be told to give calls back');
  test('calls that were sent ahead in an earlier turn are overtaken', recalls, async (t) => {
    const pool = open(t, one);
    // What a call costs is known from now on, so that many go to the worker together.
    await pool.map(step, Array.from({ length: 300 }, (_, i) => ({ name: i })));
    const { hold, release } = gate(t);
    let begun;
    const hasBegun = new Promise((resolve) => (begun = resolve));
    const items = [{ hold, name: 'holder' }, ...Array.from({ length: 40 }, (_, i) => ({ name: `ahead ${i}` }))];
    const many = pool.map(step, items, { onMessage: begun });
    await hasBegun;
    await sleep(5);
    const high = pool.apply(step, [{ name: 'high' }], { priority: 1 });
    await sleep(5);
    release();
    const names = namesInOrder([...(await within(many, 'the list')), await high]);
    assert.deepEqual(names.slice(0, 3), ['holder', 'high', 'ahead 0']);
    assert.equal(new Set(names).size, 42, 'each once');
  });

  test('run: sub-batches of a higher priority go first, and those of a key keep their order', async (t) => {
    const parallelizer = make(t, {
      type: mode.type, parallelization: one.processes, batchSize: 1, filePath: FILE, processBatchFunctionName: 'batch',
    });
    const { hold, release } = gate(t);
    let holder;
    await new Promise((resolve) => {
      holder = parallelizer.run([{ hold, name: 'holder' }], null, { onMessage: resolve });
    });
    const keyed = (name) => Array.from({ length: 9 }, (_, i) => ({ name: `${name}${i}`, key: i % 3 }));
    const groupBy = ({ key }) => key;
    const runs = [
      holder,
      parallelizer.run(keyed('low'), null, { groupBy, priority: 1 }),
      parallelizer.run(keyed('high'), null, { groupBy, priority: 2 }),
    ];
    await sleep(5);
    release();
    const results = (await within(Promise.all(runs), 'the runs')).flatMap(({ responses, failures }) => {
      assert.deepEqual(failures, []);
      return responses;
    });
    const names = namesInOrder(results);
    assert.deepEqual([...new Set(names.map((name) => name.replace(/\d$/, '')))], ['holder', 'high', 'low']);
    for (const key of [0, 1, 2]) {
      const high = names.filter((name) => name.startsWith('high') && Number(name.at(-1)) % 3 === key);
      assert.deepEqual(high, [...high].sort());
    }
  });

  test('an aborted call with a priority leaves the others as they were', async (t) => {
    const pool = open(t, one);
    const { running, release } = await occupy(t, pool);
    const controller = new AbortController();
    const gone = pool.apply(step, [{ name: 'gone' }], { priority: 9, signal: controller.signal });
    const rest = [pool.apply(step, [{ name: 'a' }]), pool.apply(step, [{ name: 'b' }], { priority: 1 })];
    await sleep(2);
    controller.abort();
    await assert.rejects(gone, { code: 'ERR_PARALLELIZER_ABORTED' });
    release();
    assert.deepEqual(namesInOrder(await Promise.all([running, ...rest])), ['holder', 'b', 'a']);
  });
});

test('what is no integer is refused by name', async (t) => {
  const pool = open(t, 0);
  const refused = { code: 'ERR_PARALLELIZER_OPTION', message: /priority/ };
  for (const priority of [1.5, '1', NaN, Infinity, null, {}, 2 ** 60]) {
    await assert.rejects(pool.apply(step, [{}], { priority }), refused);
    await assert.rejects(pool.map(step, [{}], { priority }), refused);
    assert.throws(() => pool.imap(step, [{}], { priority }), refused);
    const parallelizer = make(t, { parallelization: 0, filePath: FILE, processBatchFunctionName: 'batch' });
    await assert.rejects(parallelizer.run([1], null, { priority }), refused);
  }
});
