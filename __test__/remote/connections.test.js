'use strict';
// Every way of connecting to Redis that ioredis has: with a password, over TLS, by Sentinels, and to a Cluster.

const assert = require('node:assert/strict');
const { execFile, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { promisify } = require('node:util');
const { Redis } = require('ioredis');

const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { bullmq } = require('../../bullmq');
const { root, temporary, waitFor, within } = require('../support/helpers');
const { range } = require('../support/pool');
const { hostOn, task } = require('./support/hosts');
const { ENDED, ensureRedis, freePort, redisOn } = require('./support/redis');

const obstacle = ensureRedis();
const run = promisify(execFile);

/** A script that makes a call and closes nothing. */
const FORGETFUL = `
  const [root, engine, task] = JSON.parse(process.argv[1]);
  const { PARALLELIZER_REMOTE, Pool } = require(root);
  const { bullmq } = require(root + '/bullmq');
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: bullmq(engine), root });
  pool.apply(task, [12]).then(console.log);`;

/** Calls go to a host and back, and a pool that nobody closes lets its process end. */
async function assertConnects(t, options) {
  await hostOn(t, options);
  const pool = new Pool({ type: PARALLELIZER_REMOTE, engine: bullmq(options), root });
  t.after(() => pool.terminate());
  const results = await within(pool.map(task('square'), range(1000)), 'calls there and back', 60_000);
  assert.deepEqual(results, range(1000).map((x) => x * x));
  const args = ['-e', FORGETFUL, JSON.stringify([root, options, task('square')])];
  assert.equal((await within(run(process.execPath, args), 'a process to end', 60_000)).stdout, '144\n');
}

/** A key and a certificate, as texts, or why there are none. */
function certificateIn(dir) {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(dir, name));
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  return spawnSync('openssl', [...args, ...names]).status === 0 ? { key, cert } : null;
}

/** A client of a server, for what it has to be told. */
function clientOf(t, port) {
  const client = new Redis({ port, maxRetriesPerRequest: null });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  return client;
}

describe('connections', { skip: obstacle ?? false }, () => {
  test('with a password', async (t) => {
    const { port } = await redisOn(t, ['--requirepass', 'secret']);
    await assertConnects(t, { queue: 'password', connection: { port, password: 'secret' } });
  });

  test('as a user with a password', async (t) => {
    const { port } = await redisOn(t);
    await clientOf(t, port).call('ACL', 'SETUSER', 'worker', 'on', '>secret', '~*', '&*', '+@all');
    await assertConnects(t, { queue: 'user', connection: { port, username: 'worker', password: 'secret' } });
  });

  test('over TLS', async (t) => {
    const dir = temporary(t);
    const files = certificateIn(dir);
    if (files === null) return t.skip('there is no openssl to make a certificate with');
    const port = await freePort();
    const { key, cert } = files;
    const tls = ['--tls-port', port, '--tls-key-file', key, '--tls-cert-file', cert, '--tls-ca-cert-file', cert];
    try {
      await redisOn(t, [...tls.map(String), '--tls-auth-clients', 'no']);
    } catch (error) {
      if (error.code !== ENDED) throw error;
      return t.skip('this redis-server was built without TLS');
    }
    const ca = fs.readFileSync(cert, 'utf8');
    await assertConnects(t, { queue: 'tls', connection: { host: 'localhost', port, tls: { ca } } });
  });

  test('by a Sentinel', async (t) => {
    const { port } = await redisOn(t);
    const sentinel = await freePort();
    const config = path.join(temporary(t), 'sentinel.conf');
    fs.writeFileSync(config, `port ${sentinel}\nsentinel monitor main 127.0.0.1 ${port} 1\n`);
    const watcher = spawn('redis-server', [config, '--sentinel'], { stdio: 'ignore' });
    t.after(() => watcher.kill('SIGKILL'));
    const client = clientOf(t, sentinel);
    await waitFor(async () => (await client.call('SENTINEL', 'masters')).length === 1, 'the Sentinel to know the server');
    const sentinels = [{ host: '127.0.0.1', port: sentinel }];
    await assertConnects(t, { queue: 'sentinel', connection: { sentinels, name: 'main' } });
  });

  test('to a Cluster', async (t) => {
    const servers = await Promise.all(range(3).map(() => redisOn(t, ['--cluster-enabled', 'yes'])));
    const nodes = servers.map(({ port }) => ({ host: '127.0.0.1', port }));
    const clients = servers.map(({ port }) => clientOf(t, port));
    const slots = 16_384;
    for (const [i, client] of clients.entries()) {
      const [first, next] = [i, i + 1].map((part) => Math.floor((part * slots) / clients.length));
      await client.call('CLUSTER', 'ADDSLOTSRANGE', first, next - 1);
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    }
    for (const client of clients.slice(1)) await client.call('CLUSTER', 'MEET', nodes[0].host, nodes[0].port);
    const isWhole = async (client) => /cluster_state:ok[^]*cluster_known_nodes:3/.test(await client.call('CLUSTER', 'INFO'));
    for (const client of clients) await waitFor(() => isWhole(client), 'the cluster to be whole', 60_000);
    await assertConnects(t, { queue: 'cluster', cluster: nodes.slice(0, 1), prefix: '{orders}' });
  });
});

test('all keys of a queue have to be on one node of a cluster', () => {
  const cluster = [{ host: '127.0.0.1', port: 6379 }];
  for (const prefix of [undefined, 'orders', '{}', '}orders{']) {
    assert.throws(() => bullmq({ queue: 'orders', cluster, prefix }), { code: 'ERR_PARALLELIZER_OPTION', message: /hash tag/ });
  }
  assert.ok(bullmq({ queue: 'orders', cluster, prefix: 'shop{orders}' }));
});
