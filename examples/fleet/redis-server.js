'use strict';

/** A Redis server for one run, with a password, and without anything on disk. */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

/** @returns {string | null} what is missing */
const missing = () => (spawnSync('redis-server', ['--version']).status === 0 ? null
  : 'there is no redis-server (Debian: apt-get install redis-server)');

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** @param {number} port @returns {Promise<boolean>} */
const answers = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.once('connect', () => (socket.destroy(), resolve(true)));
  socket.once('error', () => resolve(false));
});

/** @param {string[]} addresses besides 127.0.0.1 @param {string} password */
async function startRedis(addresses, password) {
  const port = await freePort();
  const server = spawn('redis-server', ['-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(server, 'exit');
  server.stdin.end([
    `port ${port}`, `bind ${[...new Set(['127.0.0.1', ...addresses])].join(' ')}`, `requirepass ${password}`,
    `dir ${os.tmpdir()}`, 'save ""', 'appendonly no', 'maxmemory-policy noeviction',
  ].join('\n'));
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with code ${server.exitCode}`);
    await sleep(20);
  }
  return {
    port,
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}

module.exports = { missing, startRedis };
