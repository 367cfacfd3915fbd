'use strict';
// Calls on other machines over BullMQ and a real Redis, with hosts that are processes of their own, and die.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { Worker } = require('bullmq');
const { FORMAT } = require('../../lib/remote/chunk-bytes');
const { keysOf } = require('../../lib/remote/bullmq/redis');
const { lines, root, sleep, temporary, waitFor, within } = require('../support/helpers');
const { range } = require('../support/pool');
const { poolOn } = require('../support/remote/pools');
const { file, hostOn, task } = require('./support/hosts');
const { ensureRedis, redisOn } = require('./support/redis');

const obstacle = ensureRedis();

const rejection = (promise) =>
  within(promise.then(() => assert.fail('it succeeded'), (error) => error), 'a rejection');

if (obstacle !== null) {
  test('over a real Redis', { skip: obstacle }, () => {});
} else {
  describe('over a real Redis', () => {
    test('5,000 items in order over two hosts', async (t) => {
      const redis = await redisOn(t);
      await Promise.all([hostOn(t, redis, { name: 'a' }), hostOn(t, redis, { name: 'b' })]);
      const pool = poolOn(t, redis);
      await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
      assert.deepEqual(await within(pool.map(task('square'), range(5000)), 'all items'), range(5000).map((x) => x * x));
    });

    test('a host that is killed in the middle loses none with a retry', async (t) => {
      const redis = await redisOn(t);
      const [victim] = await Promise.all([hostOn(t, redis, { name: 'victim' }), hostOn(t, redis, { name: 'survivor' })]);
      const pool = poolOn(t, redis, { retries: 1 });
      await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
      let done = 0;
      const results = pool.map(task('busy'), range(3000), { onProgress: (progress) => (done = progress.done) });
      await waitFor(() => done > 200, 'some of them to be done');
      victim.kill('SIGKILL');
      assert.deepEqual(await within(results, 'all items', 60_000), range(3000));
      assert.ok(pool.stats().remote.chunks.lost > 0);
    });

    test('without retries only what had begun there fails, and nothing is run twice', async (t) => {
      const redis = await redisOn(t);
      const ledger = path.join(temporary(t), 'ledger');
      const [victim] = await Promise.all([hostOn(t, redis, { name: 'victim' }), hostOn(t, redis, { name: 'survivor' })]);
      const pool = poolOn(t, redis);
      await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
      const items = range(200).map((id) => ({ id, file: ledger }));
      const results = pool.map(task('noted'), items, { onError: 'collect' });
      await waitFor(() => lines(ledger).length >= 40, 'some of them to begin');
      victim.kill('SIGKILL');
      const settled = await within(results, 'all items', 60_000);
      const failed = settled.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
      assert.ok(failed.length > 0 && failed.length <= 8, `${failed.length} failed`);
      for (const error of failed) {
        assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'victim']);
      }
      assert.equal(new Set(lines(ledger)).size, lines(ledger).length);
    });

    test('a host that dies between fetching a chunk and taking it is noticed as any other is', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis);
      const pool = poolOn(t, redis);
      await waitFor(() => pool.stats().remote.hosts.length === 1, 'the host to be seen');
      // BullMQ itself would notice it after a minute.
      const { connection, prefix } = redis;
      const thief = new Worker(keysOf(redis, FORMAT.major).name, null, {
        connection, prefix, autorun: false, lockDuration: 500, skipLockRenewal: true,
      });
      t.after(() => thief.close(true));
      let isStolen = false;
      const steal = async () => {
        while (!isStolen) isStolen = (await thief.getNextJob('of the thief')) !== undefined;
      };
      const results = pool.map(task('busy'), range(2000));
      await within(steal(), 'a chunk to be stolen');
      assert.deepEqual(await within(results, 'all items', 40_000), range(2000));
      assert.ok(pool.stats().remote.chunks.lost > 0);
    });

    test("50,000 items while the producer's loop is held for 12 s", async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis);
      const pool = poolOn(t, redis);
      await within(pool.ready(), 'ready');
      const results = pool.map(task('square'), range(50_000));
      await sleep(50);
      const end = Date.now() + 12_000;
      while (Date.now() < end);
      assert.deepEqual(await within(results, 'all items', 60_000), range(50_000).map((x) => x * x));
      assert.equal(pool.stats().remote.chunks.lost, 0);
    });

    test('Redis started again without its data settles everything', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis);
      const pool = poolOn(t, redis, { retries: 5 });
      let done = 0;
      const results = pool.map(task('busy'), range(3000), { onProgress: (progress) => (done = progress.done) });
      await waitFor(() => done > 100, 'some of them to be done');
      await redis.restart();
      assert.deepEqual(await within(results, 'all items', 60_000), range(3000));
    });

    test('while Redis is away calls wait, and a signal ends the wait', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis);
      const pool = poolOn(t, redis);
      const file = path.join(temporary(t), 'begun');
      const [begun, unsent] = [new AbortController(), new AbortController()];
      const running = rejection(pool.apply(task('heard'), [{ file }], { signal: begun.signal }));
      await waitFor(() => lines(file).includes('begin'), 'it to begin');
      await redis.kill();
      await waitFor(() => pool.stats().remote.problem !== null, 'that to be noticed');
      const waiting = rejection(pool.apply(task('square'), [2], { signal: unsent.signal }));
      const patient = pool.apply(task('square'), [3]);
      [begun, unsent].forEach((controller) => controller.abort());
      for (const aborted of [running, waiting]) assert.equal((await aborted).code, 'ERR_PARALLELIZER_ABORTED');
      await redis.start();
      assert.equal(await within(patient, 'the call that waits', 60_000), 9);
    });

    test('calls that come one by one run as many at once as a process may', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis, { processes: 1 });
      const pool = poolOn(t, redis, { concurrency: 6 });
      const gated = path.join(temporary(t), 'file');
      const calls = [];
      for (let count = 1; count <= 6; count++) {
        calls.push(pool.apply(task('gated'), [gated, `${gated}.gate`]));
        await waitFor(() => lines(gated).length === count, `call ${count} to begin`);
      }
      fs.writeFileSync(`${gated}.gate`, '');
      await within(Promise.all(calls), 'all calls');
    });

    test('with a secret: what is signed is run, and nothing else', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis, { secret: 'sesame', name: 'guard' });
      const signed = poolOn(t, redis, { secret: 'sesame' });
      assert.deepEqual(await within(signed.map(task('square'), range(500)), 'all items'), range(500).map((x) => x * x));
      for (const options of [{}, { secret: 'other' }]) {
        const error = await rejection(poolOn(t, redis, { hostTimeout: 300, ...options }).apply(task('square'), [2]));
        assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_PROTOCOL', 'guard']);
      }
      // An abort is a message of its own, which is signed as well.
      const controller = new AbortController();
      const file = path.join(temporary(t), 'begun');
      const aborted = rejection(signed.apply(task('heard'), [{ file }], { signal: controller.signal }));
      await waitFor(() => lines(file).includes('begin'), 'it to begin');
      controller.abort();
      assert.equal((await aborted).code, 'ERR_PARALLELIZER_ABORTED');
      await waitFor(() => lines(file).includes('aborted'), 'the host to hear of it');
    });

    test('functions by their source only where that is allowed', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis, { name: 'guard' });
      const pool = poolOn(t, redis);
      const error = await rejection(pool.apply((x) => x, [1]));
      assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_OPTION', 'guard']);
      assert.equal(await within(pool.apply(task('square'), [3]), 'a task of a module'), 9);
      const open = await redisOn(t);
      await hostOn(t, open, { allowFunctions: true });
      assert.equal(await within(poolOn(t, open).apply((x) => x + 1, [1]), 'a function'), 2);
    });

    test('without the addon both sides say what they lack', async (t) => {
      const redis = await redisOn(t);
      const program = `
        const { Pool, PARALLELIZER_REMOTE, serve } = require(${JSON.stringify(root)});
        const { bullmq } = require(${JSON.stringify(path.join(root, 'bullmq'))});
        const engine = bullmq(${JSON.stringify({ queue: redis.queue, connection: redis.connection })});
        try {
          new Pool({ type: PARALLELIZER_REMOTE, engine });
        } catch (error) {
          console.log(error.code);
        }
        serve({ engine, root: '.' }).catch((error) => console.log(error.code));
      `;
      const env = { ...process.env, PARALLELIZER_FALLBACK: '1' };
      const child = spawn(process.execPath, ['-e', program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      let output = '';
      child.stdout.on('data', (text) => (output += text));
      await within(once(child, 'exit'), 'the process to end');
      assert.equal(output, 'ERR_PARALLELIZER_PLATFORM\nERR_PARALLELIZER_PLATFORM\n');
    });

    test('a pool with nothing under way does not hold its process', async (t) => {
      const redis = await redisOn(t);
      await hostOn(t, redis);
      const program = `
        const { Pool, PARALLELIZER_REMOTE } = require(${JSON.stringify(root)});
        const { bullmq } = require(${JSON.stringify(path.join(root, 'bullmq'))});
        const engine = bullmq(${JSON.stringify({ queue: redis.queue, connection: redis.connection })});
        const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root: ${JSON.stringify(root)} });
        pool.map({ filePath: ${JSON.stringify(file)}, name: 'square' }, [1, 2, 3]).then((r) => console.log(r.join()));
      `;
      const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      let output = '';
      child.stdout.on('data', (text) => (output += text));
      await within(once(child, 'exit'), 'the process to end by itself');
      assert.equal(output, '1,4,9\n');
    });
  });
}
