'use strict';
// `parallelizer serve`: the command is told where the queue is by its environment, serves, and ends when it is told to.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { describe, test } = require('node:test');

const { Pool, PARALLELIZER_REMOTE, task } = require('../../index.js');

const { redisOn } = require('../../__test__/remote/support/redis');
const { fromEnvironment } = require('../lib/serve/connection');
const { environment, fixtures, folder, program, read, run, waitFor, within } = require('./support/command');

const skip = spawnSync('redis-server', ['--version']).status !== 0 && 'there is no redis-server (apt-get install redis-server)';
const SECRET = 'a secret of the tests';

test('the connection and the secret are read from the environment', () => {
  const connection = (text) => fromEnvironment({ PARALLELIZER_CONNECTION: text }).connection;
  assert.deepEqual(connection('redis://redis'), { host: 'redis', port: 6379 });
  assert.deepEqual(connection('rediss://me:p%40ss@[::1]:7000/2'), {
    ...{ host: '::1', port: 7000, username: 'me', password: 'p@ss', db: 2, tls: {} },
  });
  assert.deepEqual(connection('{"path":"/run/redis.sock"}'), { path: '/run/redis.sock' });
  const cluster = [{ host: 'a', port: 1 }, { host: 'b', port: 2 }];
  assert.deepEqual(fromEnvironment({ PARALLELIZER_CLUSTER: 'a:1, b:2', PARALLELIZER_SECRET: 's' }), { cluster, secret: 's' });
  assert.deepEqual(fromEnvironment({}), {});
  for (const text of ['{"password":"hunter2"', 'hunter2', 'http://hunter2', 'redis://a/hunter2']) {
    assert.throws(() => connection(text), (error) => error.name === 'UsageError' && !error.message.includes('hunter2'), text);
  }
  assert.throws(() => fromEnvironment({ PARALLELIZER_CLUSTER: 'a' }), /has "a": write it as host:6379/);
});

for (const [args, message] of [
  [['serve'], /say which queue: parallelizer serve --queue orders/],
  [['serve', '--queue', 'q', 'more'], /"more": serve takes no arguments/],
  [['serve', '--queue', 'q', '--secret', 'hunter2'], /--secret is for the environment.*PARALLELIZER_SECRET/],
  [['serve', '--queue', 'q', '--connection=redis://hunter2'], /--connection is for the environment/],
  [['serve', '--queue', 'a:b'], /queue/],
  [['serve', '--queue', 'q', '--root', 'nowhere'], /root/],
]) {
  test(`parallelizer ${args.join(' ')}`, async () => {
    const { code, stderr } = await run(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.ok(!stderr.includes('hunter2'));
  });
}

test('it says that it waits for a connection, and can be told to end meanwhile', async () => {
  // Nobody listens there.
  const env = { ...environment(), PARALLELIZER_CONNECTION: 'redis://:hunter2@127.0.0.1:1' };
  const child = spawn(process.execPath, [program, 'serve', '--queue', 'q', '--root', fixtures], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = once(child, 'close');
  try {
    await waitFor(() => said.includes('there is no connection yet: q is served as soon as there is one\n'), 'it says so');
    child.kill('SIGTERM');
    const [code, signal] = await within(ended, 'the end');
    assert.deepEqual([code, signal], [0, null], said);
    assert.match(said, /it was told to end before there was a connection\n$/);
    assert.ok(!said.includes('hunter2'));
  } finally {
    child.kill('SIGKILL');
  }
});

describe('with a Redis', { skip }, () => {
  /** @param {import('node:test').TestContext} t @param {Awaited<ReturnType<typeof redisOn>>} redis */
  async function serving(t, { connection, queue }) {
    const child = spawn(process.execPath, [program, 'serve', '--queue', queue, '--root', fixtures, '--workers', '2'], {
      env: { ...environment(), PARALLELIZER_CONNECTION: `redis://127.0.0.1:${connection.port}`, PARALLELIZER_SECRET: SECRET },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const said = { text: '' };
    child.stderr.setEncoding('utf8').on('data', (text) => (said.text += text));
    const ended = once(child, 'close').then(([code]) => code);
    await waitFor(() => said.text.includes(`serving ${queue} as `), 'it serves');
    return { child, said, ended };
  }

  /**
   * @param {import('node:test').TestContext} t @param {Awaited<ReturnType<typeof redisOn>>} redis
   * @param {object} [options]
   */
  function producer(t, redis, options) {
    const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: redis.engine(), root: fixtures, secret: SECRET, ...options });
    t.after(() => pool.terminate());
    return pool;
  }

  const work = (name) => task(`${fixtures}/work.js`, name);

  test('it runs what a pool elsewhere sends, and SIGTERM lets that finish', async (t) => {
    const at = folder(t);
    const redis = await redisOn(t);
    const { child, said, ended } = await serving(t, redis);
    const pool = producer(t, redis);
    assert.deepEqual(await pool.map(work('same'), [1, 2, 3]), [1, 2, 3]);
    const waiting = pool.apply(work('waiting'), [{ id: 1, log: at('log'), until: at('until') }]);
    await waitFor(() => read(at('log')) !== '', 'the call has begun');
    child.kill('SIGTERM');
    await waitFor(() => said.text.includes('what has begun is finished'), 'it has noticed');
    at('until', '');
    assert.deepEqual(await within(waiting, 'the call'), { id: 1 });
    assert.equal(await within(ended, 'the end'), 0);
    assert.match(said.text, /4 calls done, 0 failed\n$/);
    assert.ok(!said.text.includes(SECRET));
  });

  test('a second SIGTERM ends it at once', async (t) => {
    const at = folder(t);
    const redis = await redisOn(t);
    const { child, said, ended } = await serving(t, redis);
    const pool = producer(t, redis, { hostTimeout: 500 });
    const waiting = pool.apply(work('waiting'), [{ id: 1, log: at('log'), until: at('until') }]);
    waiting.catch(() => {});
    await waitFor(() => read(at('log')) !== '', 'the call has begun');
    child.kill('SIGTERM');
    await waitFor(() => said.text.includes('what has begun is finished'), 'it has noticed');
    child.kill('SIGTERM');
    assert.equal(await within(ended, 'the end'), 143);
    await assert.rejects(within(waiting, 'the call'), { name: 'ParallelizerError' });
  });
});
