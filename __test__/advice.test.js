'use strict';
// advice(): whether workers pay for the calls that were run, by what factor, and which option would change it.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { usableCpus } = require('../lib/host/cpus');
const { adviceOf } = require('../lib/jobs/advice');
const { CostMeter } = require('../lib/jobs/cost-meter');
const { echo, make, root } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const cpus = usableCpus();
const needsCpus = cpus < 2 && 'there is one usable CPU';

/** Computes for so many milliseconds. */
function compute(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
}

/** @param {any} advice */
function assertWhole({ pays, factor, breakEven, change, text, measured }) {
  assert.ok(pays === null || typeof pays === 'boolean');
  assert.equal(factor === null, pays === null);
  if (factor !== null) assert.equal(pays, factor >= 1.1);
  assert.ok(breakEven === null || breakEven > 0);
  if (change !== null) assert.deepEqual(Object.keys(change), ['option', 'value', 'factor']);
  assert.match(text, /^[A-Z].*\.$/);
  assert.doesNotMatch(text, /NaN|undefined|Infinity|null/);
  for (const [name, value] of Object.entries(measured)) assert.ok(value === null || Number.isFinite(value), name);
}

forEachMode((mode) => {
  const open = (t, options = {}) => {
    const pool = new Pool({ type: mode.type, processes: 2, ...options });
    t.after(() => pool.terminate());
    return pool;
  };
  /** @param {any} pool */
  const asked = (pool) => {
    const advice = pool.advice();
    assertWhole(advice);
    return advice;
  };

  test('nothing is known before something was measured', (t) => {
    const { pays, factor, change, breakEven, text, measured } = asked(open(t));
    assert.deepEqual([pays, factor, change, breakEven, measured.calls], [null, null, null, null, 0]);
    assert.match(text, /^Nothing was measured yet/);
  });

  test('calls that compute for 5 ms pay', { skip: needsCpus }, async (t) => {
    const pool = open(t);
    await pool.map(compute, Array(40).fill(5));
    const { pays, factor, change, breakEven, measured } = asked(pool);
    assert.equal(pays, true);
    assert.ok(factor > 1.5 && factor <= 2, String(factor));
    assert.equal(measured.calls, 40);
    assert.ok(measured.run >= 5 && measured.sending < measured.run, JSON.stringify(measured));
    assert.ok(breakEven < 5);
    if (mode.hasWorkers) assert.equal(measured.workers, 2);
    else assert.deepEqual([measured.workers, change.option, change.value], [0, 'type', 'child-process']);
  });

  test('calls that do nothing do not', async (t) => {
    const pool = open(t);
    for (let i = 0; i < 300; i++) await pool.apply((n) => n, [i]);
    const { pays, factor, text } = asked(pool);
    assert.equal(pays, false);
    assert.ok(factor < 1);
    assert.match(text, /^Workers (do|would) not pay: /);
  });

  test('large values for a function that is done at once do not', async (t) => {
    const pool = open(t);
    for (const make of [() => 'é'.repeat(2 ** 20), () => Buffer.alloc(2 ** 22, 1)]) {
      await pool.map((value) => value.length, Array.from({ length: 12 }, make));
    }
    const { pays, measured } = asked(pool);
    assert.equal(pays, false);
    assert.ok(measured.bytes > 2 ** 20 && measured.sending > measured.run, JSON.stringify(measured));
  });

  test('calls that wait do not: one thread can wait for many', async (t) => {
    const pool = open(t);
    await pool.map((ms) => new Promise((resolve) => void setTimeout(resolve, ms)), Array(8).fill(250));
    const { pays, change, text, measured } = asked(pool);
    if (measured.computing === null) {
      t.skip('this system does not say for how long a process has computed');
      return;
    }
    assert.ok(measured.computing < 0.5, JSON.stringify(measured));
    assert.equal(pays, false);
    assert.match(text, /Promise\.all/);
    if (mode.hasWorkers && change !== null) assert.equal(change.option, 'concurrency');
  });

  test('streams and broadcasts say nothing of what calls cost', async (t) => {
    const pool = open(t);
    for await (const n of pool.stream(function* () { yield 1; })) assert.equal(n, 1);
    await pool.broadcast(() => 1);
    assert.equal(asked(pool).measured.calls, 0);
  });

  test('it is a part of stats(), which is plain data, and there after close', async (t) => {
    const pool = open(t);
    await pool.map(compute, [1, 1, 1, 1]);
    const { advice } = pool.stats();
    assertWhole(advice);
    assert.deepEqual(JSON.parse(JSON.stringify(advice)), advice);
    pool.close();
    await pool.join();
    assert.equal(asked(pool).measured.calls, 4);
  });

  test('of an instance of Parallelizer: a call is a sub-batch, and a list has one for each id', async (t) => {
    const one = make(t, { type: mode.type });
    await one.run([echo(1), echo(2)]);
    assert.equal(asked(one).measured.calls, mode.isParallel ? 2 : one.stats().done);
    const list = make(t, ['a', 'b'].map((id) => ({ id, type: mode.type, parallelization: 1 })));
    await list.run([{ id: 'a', batch: [echo(1)] }]);
    const { a, b } = list.advice();
    [a, b].forEach(assertWhole);
    assert.deepEqual([a.measured.calls, b.measured.calls, b.pays], [1, 0, null]);
    assert.deepEqual(list.stats().b.advice.pays, null);
  });

  test('pools are told apart', { skip: needsCpus }, async (t) => {
    const [cheap, dear] = [open(t), open(t)];
    await Promise.all([dear.map(compute, Array(20).fill(5)), (async () => {
      for (let i = 0; i < 50; i++) await cheap.apply((n) => n, [i]);
    })()]);
    assert.deepEqual([asked(cheap).pays, asked(dear).pays], [false, true]);
  });
});

forEachMode((mode) => {
  const open = (t, options = {}) => {
    const pool = new Pool({ type: mode.type, processes: 2, ...options });
    t.after(() => pool.terminate());
    return pool;
  };

  test('one call at a time does not pay, however long it is', async (t) => {
    const pool = open(t);
    for (let i = 0; i < 10; i++) await pool.apply(compute, [5]);
    const { pays, text, measured } = pool.advice();
    assert.equal(pays, false);
    assert.equal(measured.demand, 1);
    if (cpus > 1) assert.match(text, /only one call at a time/);
  });

  test('with fewer workers than CPUs it names the option', { skip: needsCpus }, async (t) => {
    const pool = open(t, { processes: 1 });
    await pool.map(compute, Array(20).fill(5));
    const { pays, change } = pool.advice();
    assert.equal(pays, false);
    assert.deepEqual([change.option, change.value], ['processes', cpus]);
    assert.ok(change.factor > 1.5);
  });

  test('so it does where `batchSize` leaves workers without work', { skip: needsCpus }, async (t) => {
    const parallelizer = make(t, { type: mode.type, batchSize: 1000 });
    for (let i = 0; i < 5; i++) await parallelizer.run([{ do: 'compute', ms: 8 }, { do: 'compute', ms: 8 }]);
    const { pays, change } = parallelizer.advice();
    assert.deepEqual([pays, change.option, change.value], [false, 'batchSize', null]);
  });

  test('and where `chunkSize` does', { skip: needsCpus }, async (t) => {
    const pool = open(t);
    for (let i = 0; i < 4; i++) await pool.map(compute, Array(8).fill(3), { chunkSize: 8 });
    const { pays, change } = pool.advice();
    assert.deepEqual([pays, change.option, change.value], [false, 'chunkSize', null]);
  });
}, { needs: 'hasWorkers' });

test('with one usable CPU, calls that compute do not pay', () => {
  const code = `
    const { Pool } = require(${JSON.stringify(root)});
    const compute = ${compute};
    (async () => {
      for (const options of [{ processes: 2 }, { processes: 0 }]) {
        const pool = new Pool(options);
        await pool.map(compute, Array(10).fill(5));
        console.log(JSON.stringify(pool.advice()));
        await pool.terminate();
      }
    })();`;
  const env = { ...process.env, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1769' };
  const out = execFileSync(process.execPath, ['-e', code], { env, encoding: 'utf8' });
  for (const line of out.trim().split('\n')) {
    const advice = JSON.parse(line);
    assertWhole(advice);
    assert.deepEqual([advice.pays, advice.breakEven, advice.change, advice.measured.cpus], [false, null, null, 1]);
    assert.match(advice.text, /one CPU is usable/);
  }
});

// ---- What is reckoned, with numbers that no machine disturbs

const costs = {
  calls: 100, run: 10, computing: 1, codec: 0.02, message: 0.01, messages: 1, bytes: 100, demand: 8, demandInChunks: 8, cpus: 8,
};
const settings = { type: 'child-process', workers: 8, concurrency: 1, batchSize: 0, filePath: null, isGivenInline: false };

test('the factor has the workers, the CPUs and this thread as its limits', () => {
  const factor = (some, others = {}) => adviceOf({ ...costs, ...some }, { ...settings, ...others }).factor;
  assert.ok(Math.abs(factor({}) - 8) < 0.1);
  assert.ok(Math.abs(factor({}, { workers: 3 }) - 3) < 0.1);
  assert.ok(Math.abs(factor({ cpus: 2 }) - 2) < 0.1);
  assert.ok(Math.abs(factor({ demand: 2.5, demandInChunks: 2.5 }) - 2.5) < 0.1);
  // This thread sends no more than two calls in the time in which it would run one.
  assert.ok(Math.abs(factor({ codec: 5, message: 0.0001 }) - 2) < 0.1);
});

test('it says which option helps most', () => {
  const change = (some, others = {}) => adviceOf({ ...costs, ...some }, { ...settings, ...others }).change;
  assert.equal(change({}), null);
  assert.deepEqual([change({}, { workers: 2 }).option, change({}, { workers: 2 }).value], ['processes', 8]);
  const batches = { filePath: '/work.js', workers: 2 };
  assert.equal(change({ demand: 2, demandInChunks: 2 }, batches).option, 'parallelization');
  const waiting = change({ computing: 0.2 }, {});
  assert.equal(waiting.option, 'concurrency');
  assert.ok(waiting.value > 1 && waiting.factor > 1.1);
  const large = { codec: 0, message: 12, bytes: 10e6 };
  assert.equal(change(large).option, 'type');
  assert.equal(change(large, { type: 'worker-threads' }).option, 'transferList');
  assert.match(adviceOf({ ...costs, ...large }, settings).text, /transferList/);
  const cheap = change({ run: 0.05, codec: 0.001, message: 0.5 });
  assert.deepEqual([cheap.option, cheap.value], ['processes', 0]);
});

test('a message during which another program had the CPU is not what messages cost', () => {
  const { message, encoding } = new CostMeter({ workers: 2, concurrency: 1, remote: null });
  for (const took of [3, 0.05, 0.04, 0.03, 0.03, 0.03, 0.03, 0.03, 20, 0.03]) message.add(took, 1);
  assert.ok(message.value > 0.029 && message.value < 0.05, String(message.value));
  // What costs so much each time, does.
  for (let i = 0; i < 5; i++) message.add(20, 1);
  assert.ok(message.value > 10, String(message.value));
  // A message with many calls takes long, which is no disturbance.
  for (const [took, calls] of [[0.5, 500], [0.02, 1], [0.5, 500]]) encoding.add(took, calls);
  assert.ok(Math.abs(encoding.value - 0.001) < 0.0001, String(encoding.value));
});

test('advice() is a method of instances only', () => {
  assert.throws(() => Pool.prototype.advice.call({}), TypeError);
  assert.throws(() => Parallelizer.prototype.advice.call({}), TypeError);
});
