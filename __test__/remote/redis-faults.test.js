'use strict';
// A Redis that is there, and does not keep or take everything: no memory left, another server with another clock, keys
// that have expired.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { Redis } = require('ioredis');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { DONE, FRAME, note, numbered } = require('../../lib/remote/bullmq/redis');
const { root, waitFor, within } = require('../support/helpers');
const { range } = require('../support/pool');
const { hostOn, task } = require('./support/hosts');
const { ensureRedis, redisOn } = require('./support/redis');

const obstacle = ensureRedis();

/** A pool whose host is seen, and a client of the same server. */
async function start(t, options = {}) {
  const redis = await redisOn(t);
  const host = await hostOn(t, redis);
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: redis.engine(), root, ...options });
  t.after(() => pool.terminate());
  const client = new Redis({ ...redis.connection, maxRetriesPerRequest: null });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  await within(pool.ready(), 'the host to be seen');
  return { redis, host, pool, client };
}

/** The only key that ends like this, once it is there. */
async function keyWith(client, part) {
  let keys = [];
  await waitFor(async () => (keys = await client.keys(`*${part}*`)).length === 1, `a key with ${part}`);
  return keys[0];
}

describe('a Redis with faults', { skip: obstacle ?? false }, () => {
  test('a stream that begins anew behind where it was read is read all the same', async (t) => {
    const { pool, client } = await start(t, { retries: 5 });
    assert.deepEqual(await within(pool.map(task('square'), range(10)), 'the first calls'), range(10).map((x) => x * x));
    const stream = await keyWith(client, ':replies:');
    // What a server with a later clock would have written: nothing that anybody waits for.
    const note = Buffer.concat([Buffer.from([1, 1]), Buffer.from('x')]);
    await client.xadd(stream, `${Date.now() + 3_600_000}-0`, 'n', note);
    await waitFor(() => pool.stats().remote.chunks.late > 0, 'it to be read');
    await client.del(stream);
    assert.deepEqual(await within(pool.map(task('square'), range(10)), 'calls after it', 60_000), range(10).map((x) => x * x));
  });

  test('a frame that was written twice, since a connection broke before that was known, is received once', async (t) => {
    const redis = await redisOn(t);
    const client = new Redis({ ...redis.connection, maxRetriesPerRequest: null });
    t.after(() => client.disconnect());
    const frames = [];
    let end = null;
    const side = { producerId: 'twice', lease: 2000, producerTimeout: 30_000, hosts() {}, late() {}, failed() {} };
    const link = redis.engine().connect({
      ...side, received: (id, frame) => frames.push([id, Buffer.from(frame).toString()]), ended: (_id, how) => (end = how),
    });
    t.after(() => link.close());
    link.send({ id: 'chunk', parts: [Buffer.from('x')] });
    const key = (await keyWith(client, ':producer:twice')).replace(':producer:', ':replies:');
    const write = (...what) => client.xadd(key, '*', 'n', note(...what));
    for (const [number, text] of [[0, 'a'], [1, 'b'], [0, 'a'], [1, 'b'], [2, 'c']]) {
      await write(FRAME, 'chunk', numbered(number, Buffer.from(text)));
    }
    await write(DONE, 'chunk');
    await waitFor(() => end, 'the end');
    assert.deepEqual([frames, end], [['a', 'b', 'c'].map((text) => ['chunk', text]), { kind: 'done' }]);
  });

  test('a call that takes longer than a chunk is remembered is lost with its host all the same', async (t) => {
    const { pool, client, host } = await start(t);
    const call = pool.apply(task('hang'));
    const taken = await keyWith(client, ':taken:');
    await client.pexpire(taken, 60_000);
    await waitFor(async () => (await client.pttl(taken)) > 60_000, 'it to be remembered for longer');
    host.kill('SIGKILL');
    await assert.rejects(within(call, 'the call', 60_000), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
  });

  test('a server without memory loses no call', async (t) => {
    const { pool, client } = await start(t, { retries: 20 });
    const results = pool.map(task('busy'), range(2000));
    await client.config('SET', 'maxmemory', '1');
    await waitFor(() => pool.stats().remote.chunks.lost > 0, 'something to go wrong');
    await client.config('SET', 'maxmemory', '0');
    assert.deepEqual(await within(results, 'all calls', 60_000), range(2000));
  });
});
