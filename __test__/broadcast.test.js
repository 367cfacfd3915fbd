'use strict';
// `broadcast`: a call on every worker.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { Pool } = require('@parallelizer/node');
const { sleep, waitFor, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');

const FILE = path.join(__dirname, 'fixtures', 'ordered.js');
const own = (name) => ({ filePath: FILE, name });

const open = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.terminate());
  return pool;
};

forEachMode((mode) => {
  const three = { type: mode.type, processes: mode.hasWorkers ? 3 : 0 };
  const indices = mode.hasWorkers ? [0, 1, 2] : [0];

  test('there is a result per worker, in the order of their indices, also while they start', async (t) => {
    const pool = open(t, three);
    assert.deepEqual(await within(pool.broadcast(own('whichWorker')), 'the first'), indices);
    assert.deepEqual(await pool.broadcast(own('whichWorker'), []), indices);
    function scaled(factor) {
      return this.workerIndex * factor;
    }
    assert.deepEqual(await pool.broadcast(scaled, [10]), indices.map((index) => index * 10));
  });

  test('every worker has what it was told', async (t) => {
    const pool = open(t, three);
    for (const config of ['first', 'second']) {
      const heard = [];
      const onMessage = (value, info) => heard.push({ value, ...info });
      const told = await pool.broadcast(own('configure'), [config], { onMessage });
      assert.deepEqual(heard.map(({ value }) => value), indices.map(() => config));
      assert.deepEqual(heard.map(({ workerIndex }) => workerIndex).sort(), indices);
      const seen = await pool.map(own('configured'), Array(9).fill(5), { chunkSize: 1 });
      for (const one of seen) assert.equal(one.config, config);
      for (const one of seen) assert.equal(told[one.index].id, one.id);
    }
  });

  test('the first error by index rejects, after the others have run; with "collect" nothing does', async (t) => {
    const pool = open(t, three);
    await assert.rejects(pool.broadcast(own('failsOn'), indices.slice(-2)), { name: 'RangeError', message: `worker ${indices.at(-2) ?? 0}` });
    const settled = await pool.broadcast(own('failsOn'), [0], { onError: 'collect' });
    assert.deepEqual(settled.map(({ status }) => status), indices.map((index) => (index === 0 ? 'rejected' : 'fulfilled')));
    assert.equal(settled[0].reason.message, 'worker 0');
    if (mode.hasWorkers) {
      const seen = await pool.map(own('configured'), Array(12).fill(5), { chunkSize: 1 });
      for (const { index, config } of seen.filter((one) => one.index !== 0)) assert.equal(config, 'set', `worker ${index}`);
    }
  });

  test('a timeout or an abort settles it', async (t) => {
    const pool = open(t, { ...three, gracePeriod: 50 });
    await assert.rejects(pool.broadcast(own('hangsOn'), [0], { timeout: 80 }), { code: 'ERR_PARALLELIZER_TIMEOUT' });
    const controller = new AbortController();
    const running = pool.broadcast(own('hangsOn'), [0], { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(running, { code: 'ERR_PARALLELIZER_ABORTED' });
    assert.deepEqual(await within(pool.broadcast(own('whichWorker')), 'the next one'), indices);
  });

  test('closing in the middle finishes it, terminating rejects it', async (t) => {
    const pool = open(t, three);
    const running = pool.broadcast(own('configured'), [30]);
    pool.close();
    assert.deepEqual((await running).map(({ index }) => index), indices);
    await within(pool.join(), 'the end');
    await assert.rejects(pool.broadcast(own('whichWorker')), { code: 'ERR_PARALLELIZER_CLOSED' });
    const other = open(t, three);
    const lost = other.broadcast(own('hangsOn'), [0]);
    await sleep(20);
    await Promise.all([assert.rejects(lost, { code: 'ERR_PARALLELIZER_CLOSED' }), other.terminate()]);
  });
});

forEachMode(
  (mode) => {
    test('it does not count for maxTasksPerChild', async (t) => {
      const pool = open(t, { type: mode.type, processes: 2, maxTasksPerChild: 3 });
      const ids = async () => (await pool.broadcast(own('configure'), ['x'])).map(({ id }) => id);
      const first = await ids();
      for (let i = 0; i < 5; i++) assert.deepEqual(await ids(), first);
      await pool.map(own('configured'), Array(12).fill(0), { chunkSize: 1 });
      await waitFor(async () => (await ids()).every((id) => !first.includes(id)), 'the workers to be replaced');
    });

    test('a worker that is busy gets it after what it does, the others do not wait', async (t) => {
      const pool = open(t, { type: mode.type, processes: 2 });
      await pool.ready();
      const hold = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'broadcast-')), 'go');
      t.after(() => fs.rmSync(path.dirname(hold), { recursive: true }));
      let running;
      const { workerIndex: busy } = await new Promise((resolve) => {
        running = pool.apply(own('step'), [{ hold }], { onMessage: (_value, info) => resolve(info) });
      });
      const heard = [];
      const told = pool.broadcast(own('configure'), ['x'], { onMessage: (_value, info) => heard.push(info.workerIndex) });
      await waitFor(() => heard.length === 1, 'the other one');
      assert.deepEqual(heard, [1 - busy]);
      fs.writeFileSync(hold, '');
      assert.deepEqual((await within(told, 'both')).map(({ index }) => index), [0, 1]);
      await running;
    });

    test('workers that were stopped for being idle are started', async (t) => {
      const pool = open(t, { type: mode.type, processes: 2, idleTimeout: 50 });
      await pool.broadcast(own('whichWorker'));
      await waitFor(() => pool.stats().workers.length === 0, 'the workers to be stopped');
      assert.deepEqual(await within(pool.broadcast(own('whichWorker')), 'it'), [0, 1]);
    });
  },
  { needs: ['hasWorkers'] },
);

forEachMode(
  (mode) => {
    test('a death in the middle fails that worker alone, and a retry goes to its successor', async (t) => {
      const pool = open(t, { type: mode.type, processes: 3 });
      const settled = await within(pool.broadcast(own('diesOn'), [1], { onError: 'collect' }), 'it');
      assert.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
      assert.equal(settled[1].reason.code, 'ERR_PARALLELIZER_WORKER_EXITED');
      const marker = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'broadcast-')), 'once');
      t.after(() => fs.rmSync(path.dirname(marker), { recursive: true }));
      assert.deepEqual(await within(pool.broadcast(own('diesOn'), [2, marker], { retries: 1 }), 'the retry'), [0, 1, 2]);
    });
  },
  { needs: ['hasProcess'] },
);

test('it is refused where workers are shared, and bad arguments are named', async (t) => {
  const shared = open(t, { processes: 1, shared: true });
  await assert.rejects(shared.broadcast(own('whichWorker')), { code: 'ERR_PARALLELIZER_OPTION', message: /broadcast.*shared/s });
  const pool = open(t, 0);
  await assert.rejects(pool.broadcast(42), { code: 'ERR_PARALLELIZER_OPTION', message: /task/ });
  await assert.rejects(pool.broadcast(own('whichWorker'), 'x'), { code: 'ERR_PARALLELIZER_OPTION', message: /args/ });
  await assert.rejects(pool.broadcast(own('whichWorker'), [], { onError: 'x' }), { code: 'ERR_PARALLELIZER_OPTION', message: /onError/ });
  await assert.rejects(pool.broadcast(own('whichWorker'), [], { chunkSize: 1 }), { code: 'ERR_PARALLELIZER_OPTION', message: /chunkSize/ });
});
