'use strict';

/** A Redis server for one run, without anything on disk. */

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const os = require('node:os');

/** @returns {boolean} whether this machine has one */
const hasRedis = () => spawnSync('redis-server', ['--version']).status === 0;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** @param {number} port */
const answers = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
  socket.once('data', () => (socket.destroy(), resolve(true)));
  socket.once('error', () => resolve(false));
});

/** @returns {Promise<{ port: number, pid: number, stop: () => Promise<void> }>} */
async function startRedis() {
  const port = await freePort();
  const listen = ['--port', String(port), '--bind', '127.0.0.1'];
  const args = [...listen, '--dir', os.tmpdir(), '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  const ended = once(server, 'exit');
  while (!(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    port,
    pid: /** @type {number} */ (server.pid),
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}

module.exports = { hasRedis, startRedis };
