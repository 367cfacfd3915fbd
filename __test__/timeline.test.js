'use strict';
// The timeline: `trace: true`, trace(), PARALLELIZER_TRACE.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { test } = require('node:test');

const { Parallelizer, Pool } = require('@parallelizer/node');
const { echo, fixture, make, root, temporary, waitFor } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { gateIn, makePool, range, task } = require('./support/pool');
const { assertWellFormed, of } = require('./support/timeline');

forEachMode((mode) => {
  test('says what each worker did, and when', async (t) => {
    const before = Date.now() * 1000;
    const parallelizer = make(t, { type: mode.type, parallelization: 1, trace: true });
    await parallelizer.run([{ do: 'sleep', ms: 40 }], null);
    const { errors: [error] } = await parallelizer.run([{ do: 'throws' }]);
    const events = assertWellFormed(parallelizer.trace());
    const chunks = of(events, 'chunk');
    assert.deepEqual(chunks.map(({ name, args }) => [name, args.method, args.task, args.first, args.calls, args.failed]),
      [['act', 'run', 'act', 0, 1, 0], ['act', 'run', 'act', 0, 1, 1]]);
    const [slept, failed] = chunks;
    assert.equal(failed.args.runId, error.runId);
    assert.notEqual(slept.args.runId, failed.args.runId);
    assert.ok(slept.args.run >= 35_000 && slept.dur >= 35_000, `${slept.args.run} ${slept.dur}`);
    for (const { args, ts, dur } of chunks) {
      assert.ok(before <= args.sent && args.sent <= args.begun && args.begun <= args.answered, JSON.stringify(args));
      assert.ok(args.answered <= Date.now() * 1000 + 2000);
      assert.deepEqual([ts, args.outcome], [args.begun, 'answered']);
      assert.ok(Math.abs(ts + dur - args.answered) < 1);
      assert.ok(args.wait >= 0);
    }
    const named = (name) => events.filter((event) => event.name === name && event.ph !== 'M');
    assert.equal(named('boot').length, 1);
    assert.ok(named('boot')[0].dur > 0);
    for (const name of ['encode', 'decode']) assert.equal(named(name).length, 2, name);
    for (const name of ['wait', 'sent', 'answered']) assert.equal(named(name).length, 4, name);
    assert.deepEqual(of(events, 'run').map(({ ph, id, name }) => [ph, id, name]), [
      ['b', slept.args.runId, 'run act'], ['e', slept.args.runId, 'run act'],
      ['b', failed.args.runId, 'run act'], ['e', failed.args.runId, 'run act'],
    ]);
    const lane = events.find(({ ph, name, tid }) => ph === 'M' && name === 'thread_name' && tid === slept.tid);
    assert.match(lane.args.name, /^worker/);
    assert.equal(lane.args.workerIndex, slept.args.workerIndex);
    assert.equal(events.find(({ name }) => name === 'process_name').args.name, 'Parallelizer act');
  });

  test('has a lane for each worker, and the runs of a pool', async (t) => {
    const pool = makePool(t, mode, { trace: true });
    await pool.ready();
    const result = pool.mapAsync((x) => x + 1, range(64), { chunkSize: 8 });
    assert.deepEqual(await result, range(64).map((x) => x + 1));
    const events = assertWellFormed(pool.trace());
    const chunks = of(events, 'chunk');
    assert.equal(chunks.reduce((sum, { args }) => sum + args.done, 0), 64);
    assert.deepEqual([...new Set(chunks.map(({ args }) => args.runId))], [result.id]);
    assert.deepEqual([...new Set(chunks.map(({ args }) => args.method))], ['mapAsync']);
    const lanes = events.filter(({ ph, name }) => ph === 'M' && name === 'thread_name').map(({ args }) => args.name);
    assert.equal(lanes[0], 'caller');
    assert.equal(lanes.length, 3);
  });

  test('shows what is under way', async (t) => {
    const pool = makePool(t, mode, { processes: 1, trace: true });
    const gate = gateIn(t);
    const running = pool.apply(task('gate'), [gate.file, 1]);
    await gate.started();
    const events = assertWellFormed(pool.trace());
    const [chunk] = of(events, 'chunk');
    assert.equal(chunk.args.outcome, 'running');
    assert.deepEqual(of(events, 'run').map(({ ph }) => ph), ['b']);
    gate.open();
    await running;
    assert.equal(of(pool.trace().traceEvents, 'chunk')[0].args.outcome, 'answered');
  });

  test('calls that run at the same time in one worker lie side by side', async (t) => {
    const pool = makePool(t, mode, { processes: 1, concurrency: 4, trace: true });
    const gate = gateIn(t);
    const running = [1, 2, 3].map((x) => pool.apply(task('crowd'), [gate.file, x]));
    await waitFor(() => gateLines(gate) === 3, 'three calls at a time');
    fs.writeFileSync(`${gate.file}.go`, '');
    assert.deepEqual(await Promise.all(running), [3, 3, 3]);
    assertWellFormed(pool.trace());
  });

  test('is there after the end', async (t) => {
    const pool = makePool(t, mode, { trace: true });
    await pool.map((x) => x, [1, 2, 3]);
    pool.close();
    await pool.join();
    const events = assertWellFormed(pool.trace());
    assert.ok(of(events, 'chunk').length > 0);
    const exits = events.filter(({ name }) => name === 'exit');
    assert.ok(exits.length > 0 && exits.every(({ args }) => args.reason === 'closed'));
  });

  test('keeps a bounded number of chunks: the latest', async (t) => {
    const pool = makePool(t, mode, { processes: 1, trace: true });
    await pool.map((x) => x, range(20_000), { chunkSize: 1 });
    const last = pool.mapAsync((x) => x, [1]);
    await last;
    const { traceEvents } = pool.trace();
    const chunks = of(traceEvents, 'chunk');
    assert.equal(chunks.length, 16_384);
    assert.equal(chunks.at(-1).args.runId, last.id);
  });

  test('without the option there is none, and an error says so', (t) => {
    const missing = { code: 'ERR_PARALLELIZER_OPTION', message: /trace/ };
    assert.throws(() => makePool(t, mode).trace(), missing);
    assert.throws(() => make(t, { type: mode.type }).trace(), missing);
    assert.throws(() => makePool(t, mode, { trace: 1 }), { code: 'ERR_PARALLELIZER_OPTION', message: /trace/ });
  });
});

const gateLines = (gate) => fs.existsSync(`${gate.file}.started`)
  ? fs.readFileSync(`${gate.file}.started`, 'utf8').split('\n').length - 1 : 0;

forEachMode((mode) => {
  test('a death is on the lane of its worker', async (t) => {
    const parallelizer = make(t, { type: mode.type, parallelization: 1, trace: true });
    await parallelizer.run([{ do: 'exit', code: 3 }]);
    await parallelizer.run([echo(1)]);
    await waitFor(() => parallelizer.trace().traceEvents.some(({ name }) => name === 'death'), 'the death');
    const events = assertWellFormed(parallelizer.trace());
    const [death] = events.filter(({ name }) => name === 'death');
    assert.deepEqual([death.args.reason, death.args.exitCode], ['crashed', 3]);
    const [lost, answered] = of(events, 'chunk');
    assert.deepEqual([lost.args.outcome, answered.args.outcome], ['unanswered', 'answered']);
    assert.equal(death.tid, lost.tid);
    assert.equal(events.filter(({ name }) => name === 'boot').length, 2);
  });

  test('so is a recall', async (t) => {
    const pool = makePool(t, mode, { processes: 2, trace: true });
    await pool.ready();
    // Cheap ones first, so that more of them are sent ahead; then one that blocks its worker.
    const sleepy = (x) => (x === 300 ? new Promise((resolve) => setTimeout(resolve, 150)) : x);
    for (let i = 0; i < 20; i++) await pool.map(sleepy, range(200));
    await pool.map(sleepy, range(1200));
    const events = assertWellFormed(pool.trace());
    const recalls = events.filter(({ name }) => name === 'recall');
    for (const { args } of recalls) assert.ok(args.calls > 0);
    if (recalls.length === 0) t.diagnostic('nothing had to be taken back this time');
  });
}, { needs: ['hasWorkers'] });

test('of a list, all pools are in it that have the option', async (t) => {
  const lists = make(t, [
    { id: 'a', trace: true, parallelization: 1 }, { id: 'b', trace: true, parallelization: 1 }, { id: 'c', parallelization: 1 },
  ]);
  await lists.run(['a', 'b', 'c'].map((id) => ({ id, batch: [echo(id)] })));
  const events = assertWellFormed(lists.trace());
  const names = events.filter(({ name }) => name === 'process_name').map(({ args }) => args.name);
  assert.deepEqual(names, ['Parallelizer a', 'Parallelizer b']);
  assert.equal(new Set(of(events, 'chunk').map(({ pid }) => pid)).size, 2);
});

test('PARALLELIZER_TRACE names a file that has all instances of the process, and no worker writes to it', (t) => {
  const dir = temporary(t);
  const program = `
    const { Pool } = require('@parallelizer/node');
    (async () => {
      const pools = [new Pool(1), new Pool({ processes: 1, type: 'worker-threads' })];
      await Promise.all(pools.map((pool) => pool.map((x) => x, [1, 2])));
      await Promise.all(pools.map((pool) => pool.terminate()));
      console.log(process.pid);
    })();
  `;
  const env = { ...process.env, PARALLELIZER_TRACE: `${dir}/trace-%p.json` };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8', env });
  assert.deepEqual(fs.readdirSync(dir), [`trace-${stdout.trim()}.json`], stderr);
  const trace = JSON.parse(fs.readFileSync(`${dir}/trace-${stdout.trim()}.json`, 'utf8'));
  assert.deepEqual(Object.keys(trace), ['traceEvents']);
  const events = assertWellFormed(trace);
  assert.equal(events.filter(({ name }) => name === 'process_name').length, 2);
});

test('the instances of a thread are in a file of its own, wherever the program goes', (t) => {
  const dir = temporary(t);
  const program = `
    const { Worker, isMainThread, threadId } = require('node:worker_threads');
    const { Pool } = require('@parallelizer/node');
    process.env.PARALLELIZER_TRACE = 'trace.json';
    const use = async () => {
      const pool = new Pool(1);
      await pool.map((x) => x, [1, 2]);
      await pool.terminate();
    };
    (async () => {
      process.chdir(${JSON.stringify(dir)});
      await use();
      const thread = new Worker('(' + inThread + ')(' + use + ')', { eval: true, env: { ...process.env } });
      thread.on('exit', () => process.chdir('/'));
      console.log(thread.threadId);
    })();
    function inThread(use) {
      globalThis.Pool = require(${JSON.stringify(root)}).Pool;
      void use();
    }
  `;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const files = ['trace.json', `trace.thread-${stdout.trim()}.json`];
  assert.deepEqual(fs.readdirSync(dir).sort(), files.sort());
  for (const file of files) assertWellFormed(JSON.parse(fs.readFileSync(`${dir}/${file}`, 'utf8')));
});

test('a file that cannot be written is reported, and is no failure', (t) => {
  const program = `
    const { Pool } = require('@parallelizer/node');
    const pool = new Pool(1);
    pool.apply((x) => x, [1]).then(() => pool.terminate());
  `;
  const env = { ...process.env, PARALLELIZER_TRACE: `${temporary(t)}/none/trace.json` };
  const { stderr, status } = spawnSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8', env });
  assert.equal(status, 0);
  assert.match(stderr, /trace was not written.*none/);
});

test('two instances at once have a timeline each', async (t) => {
  const [pool, parallelizer] = [new Pool({ processes: 1, trace: true }), new Parallelizer({
    filePath: fixture('act.js'), processBatchFunctionName: 'act', parallelization: 1, trace: true,
  })];
  t.after(() => Promise.all([pool.terminate(), parallelizer.terminate()]));
  await Promise.all([pool.map((x) => x, [1, 2, 3]), parallelizer.run([echo(1)])]);
  const [one, other] = [pool, parallelizer].map((instance) => assertWellFormed(instance.trace()));
  assert.deepEqual([...new Set(of(one, 'chunk').map(({ args }) => args.method))], ['map']);
  assert.deepEqual([...new Set(of(other, 'chunk').map(({ args }) => args.method))], ['run']);
  assert.notEqual(one[0].pid, other[0].pid);
});
