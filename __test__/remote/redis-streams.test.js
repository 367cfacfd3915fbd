'use strict';
// Streams and broadcasts over BullMQ and a real Redis, with hosts that are processes of their own.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');

const { lines, root, sleep, stat, temporary, waitFor, within } = require('../support/helpers');
const { range } = require('../support/pool');
const { poolOn } = require('../support/remote/pools');
const { gather } = require('../support/streams');
const { hostOn, task } = require('./support/hosts');
const { ensureRedis, redisOn } = require('./support/redis');

const obstacle = ensureRedis();

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

describe('broadcasts over a real Redis', { skip: obstacle ?? false }, () => {
  test('once on each process of two hosts, also of one whose lanes are all taken', async (t) => {
    const redis = await redisOn(t);
    await Promise.all([hostOn(t, redis, { name: 'a' }), hostOn(t, redis, { name: 'b', processes: 1 })]);
    const pool = poolOn(t, redis);
    await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
    const seen = await within(pool.broadcast(task('whoAmI'), ['x']), 'it');
    assert.deepEqual(seen.map(({ index, told }) => [index, told]), [[0, 'x'], [1, 'x'], [0, 'x']]);
    assert.equal(new Set(seen.map(({ pid }) => pid)).size, 3);
    const again = await within(pool.broadcast(task('whoAmI'), ['y']), 'the next one');
    assert.deepEqual(again.map(({ pid }) => pid), seen.map(({ pid }) => pid));

    const streams = range(3).map(() => pool.stream(task('written'), [path.join(temporary(t), 'file'), 1e6]));
    const firsts = await within(Promise.all(streams.map((stream) => stream.next())), 'a stream on each process', 60_000);
    assert.deepEqual(firsts.map(({ value }) => value), [0, 0, 0]);
    const waiting = pool.broadcast(task('whoAmI'), ['z']);
    for (const stream of streams) await within(stream.return(), 'its end');
    assert.deepEqual((await within(waiting, 'the last one')).map(({ told }) => told), ['z', 'z', 'z']);
    const { chunks } = pool.stats().remote;
    assert.equal(chunks.lost, 0);
  });

  test('a host that dies in the middle fails its entries, and no others', async (t) => {
    const redis = await redisOn(t);
    const [victim] = await Promise.all([hostOn(t, redis, { name: 'a' }), hostOn(t, redis, { name: 'b' })]);
    const pool = poolOn(t, redis, { retries: 3 });
    await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
    const file = path.join(temporary(t), 'file');
    const settled = pool.broadcast(task('gated'), [file, `${file}.gate`], { onError: 'collect' });
    await waitFor(() => lines(file).length === 4, 'all to begin');
    victim.kill('SIGKILL');
    await waitFor(() => pool.stats().remote.hosts.length === 1, 'it to be gone', 60_000);
    fs.writeFileSync(`${file}.gate`, '');
    const outcomes = await within(settled, 'all of them', 60_000);
    assert.deepEqual(outcomes.map(({ status }) => status), ['rejected', 'rejected', 'fulfilled', 'fulfilled']);
    for (const { reason } of outcomes.slice(0, 2)) {
      assert.deepEqual([reason.code, reason.host], ['ERR_PARALLELIZER_WORKER_EXITED', 'a']);
    }
    assert.equal(lines(file).length, 4);
  });

  test('a host that dies before it has heard of it fails its entries all the same, with its name', async (t) => {
    const redis = await redisOn(t);
    const [victim] = await Promise.all([hostOn(t, redis, { name: 'a' }), hostOn(t, redis, { name: 'b' })]);
    const pool = poolOn(t, redis, { retries: 3 });
    await waitFor(() => pool.stats().remote.hosts.length === 2, 'both hosts to be seen');
    victim.kill('SIGSTOP');
    await waitFor(() => stat(victim.pid)[0] === 'T', 'it to stand still');
    const settled = pool.broadcast(task('whoAmI'), ['x'], { onError: 'collect' });
    const outcomes = await within(settled, 'all of them', 60_000);
    assert.deepEqual(outcomes.slice(0, 2).map(({ reason }) => [reason?.code, reason?.host]),
      range(2).map(() => ['ERR_PARALLELIZER_WORKER_EXITED', 'a']));
    assert.deepEqual(outcomes.slice(2).map(({ value }) => [value.index, value.told]), [[0, 'x'], [1, 'x']]);
    victim.kill('SIGKILL');
  });

  test('an entry that takes longer than the lease keeps its host, and runs once', async (t) => {
    const redis = await redisOn(t);
    await hostOn(t, redis, { name: 'a', processes: 1 });
    const pool = poolOn(t, redis, { retries: 3 });
    await within(pool.ready(), 'the host to be seen');
    const file = path.join(temporary(t), 'file');
    const told = pool.broadcast(task('gated'), [file, `${file}.gate`]);
    await waitFor(() => lines(file).length === 1, 'it to begin');
    // More than twice as long as its lock lasts.
    await sleep(5000);
    fs.writeFileSync(`${file}.gate`, '');
    assert.equal((await within(told, 'it', 60_000)).length, 1);
    assert.equal(lines(file).length, 1);
    assert.equal(pool.stats().remote.chunks.lost, 0);
  });

  test('a Redis that has lost its data fails what it had, and the next one runs', async (t) => {
    const redis = await redisOn(t);
    await hostOn(t, redis, { name: 'a' });
    const pool = poolOn(t, redis);
    await within(pool.ready(), 'the host to be seen');
    const file = path.join(temporary(t), 'file');
    const settled = pool.broadcast(task('gated'), [file, `${file}.gate`], { onError: 'collect' });
    await waitFor(() => lines(file).length === 2, 'all to begin');
    await redis.restart();
    const outcomes = await within(settled, 'all of them', 60_000);
    for (const { reason } of outcomes) assert.equal(reason.code, 'ERR_PARALLELIZER_WORKER_EXITED');
    fs.writeFileSync(`${file}.gate`, '');
    await waitFor(() => pool.stats().remote.slots === 2, 'the host to be seen again', 60_000);
    assert.equal((await within(pool.broadcast(task('whoAmI'), [1], { retries: 1 }), 'the next one', 60_000)).length, 2);
  });
});
