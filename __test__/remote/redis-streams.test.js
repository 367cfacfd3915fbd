'use strict';
// Streams and broadcasts over BullMQ and a real Redis, with hosts that are processes of their own.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { describe, test } = require('node:test');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { lines, root, sleep, temporary, waitFor, within } = require('../support/helpers');
const { range } = require('../support/pool');
const { hostOn, task } = require('./support/hosts');
const { ensureRedis, redisOn } = require('./support/redis');

const obstacle = ensureRedis();

function poolOn(t, redis, options = {}) {
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: redis.engine(), root, ...options });
  t.after(() => pool.terminate());
  return pool;
}

/** All values of a stream, and its error if it has one. */
async function gather(stream) {
  const values = [];
  try {
    for await (const value of stream) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values };
}

describe('streams over a real Redis', { skip: obstacle ?? false }, () => {
  test('in order, no further ahead than their readers let them, with and without a secret', async (t) => {
    for (const secret of [undefined, 'of both sides']) {
      const redis = await redisOn(t);
      await hostOn(t, redis, { secret });
      const pool = poolOn(t, redis, { secret });
      const file = path.join(temporary(t), 'file');
      const stream = pool.stream(task('written'), [file, 300], { highWaterMark: 5 });
      for (let taken = 1; taken <= 100; taken++) {
        assert.deepEqual(await within(stream.next(), 'a value'), { value: taken - 1, done: false });
        if (taken % 25 === 0) await sleep(50);
        assert.ok(lines(file).length <= taken + 5, `${lines(file).length} when ${taken} were taken`);
      }
      assert.deepEqual(await within(gather(stream), 'the rest'), { values: range(200).map((i) => i + 100) });
      const other = pool.stream(task('written'), [file, 1e6]);
      await within(other.next(), 'the first value of the next one');
      await within(other.return(), 'the end of the next one');
      assert.equal(lines(file).at(-1), 'end');
    }
  });

  test('the death of a host comes after its values', async (t) => {
    const redis = await redisOn(t);
    const victim = await hostOn(t, redis, { name: 'victim' });
    const pool = poolOn(t, redis, { retries: 2 });
    const stream = pool.stream(task('written'), [path.join(temporary(t), 'file'), 1e6]);
    for (let i = 0; i < 20; i++) assert.equal((await within(stream.next(), 'a value')).value, i);
    victim.kill('SIGKILL');
    const { values, error } = await within(gather(stream), 'the end', 60_000);
    assert.deepEqual(values, range(values.length).map((i) => i + 20));
    assert.deepEqual([error.code, error.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'victim']);
  });

  test('the generator of a producer that dies is ended', async (t) => {
    const redis = await redisOn(t);
    const host = await hostOn(t, redis);
    const file = path.join(temporary(t), 'file');
    const { queue, connection } = redis;
    const settings = JSON.stringify({ queue, connection, root, file, producerTimeout: 2000 });
    const producer = spawn(process.execPath, [path.join(__dirname, 'support', 'stream-producer.js'), settings], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    t.after(() => producer.kill('SIGKILL'));
    await within(once(producer, 'message'), 'it to read');
    // It lives, and its stream with it.
    await sleep(4500);
    assert.notEqual(lines(file).at(-1), 'end');
    producer.kill('SIGKILL');
    await waitFor(() => lines(file).at(-1) === 'end', 'the generator to end', 60_000);
    host.kill('SIGTERM');
    await within(once(host, 'exit'), 'the host to drain');
  });

  test('a Redis that is started again with its data delays a stream, and without them it ends it', async (t) => {
    const redis = await redisOn(t);
    await hostOn(t, redis, { lease: 60_000 });
    const pool = poolOn(t, redis, { lease: 60_000 });
    const stream = pool.stream(task('written'), [path.join(temporary(t), 'file'), 200], { highWaterMark: 4 });
    for (let i = 0; i < 20; i++) assert.equal((await within(stream.next(), 'a value')).value, i);
    await redis.restart({ withData: true });
    assert.deepEqual(await within(gather(stream), 'the rest', 60_000), { values: range(180).map((i) => i + 20) });

    const file = path.join(temporary(t), 'file');
    const lost = pool.stream(task('written'), [file, 1e6], { highWaterMark: 4 });
    for (let i = 0; i < 20; i++) assert.equal((await within(lost.next(), 'a value')).value, i);
    await redis.restart();
    const { error } = await within(gather(lost), 'the end', 60_000);
    assert.equal(error.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    await waitFor(() => lines(file).at(-1) === 'end', 'the generator to end', 60_000);
    const next = pool.stream(task('written'), [file, 30]);
    assert.deepEqual(await within(gather(next), 'the next one', 60_000), { values: range(30) });
  });
});
