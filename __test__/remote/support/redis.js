'use strict';
// A Redis server of the test's own, which can be stopped, killed, and started again with or without its data.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');

const { bullmq } = require('../../../bullmq');
const { temporary, waitFor } = require('../../support/helpers');

/** Installs the server where it is missing and can be installed. Says why not. */
function ensureRedis() {
  const isThere = () => spawnSync('redis-server', ['--version']).status === 0;
  if (isThere()) return null;
  if (process.getuid?.() === 0) {
    console.log('installing redis-server');
    const install = ['install', '-y', '--no-install-recommends', 'redis-server'];
    // The lists of packages may be missing, or too old.
    if (spawnSync('apt-get', install, { stdio: 'ignore' }).status !== 0) {
      spawnSync('apt-get', ['update'], { stdio: 'ignore' });
      spawnSync('apt-get', install, { stdio: 'ignore' });
    }
  }
  return isThere() ? null : 'there is no redis-server, and it could not be installed (apt-get install redis-server)';
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The code of the error where a server does not take its arguments. */
const ENDED = 'ERR_REDIS_ENDED';

class RedisServer {
  #dir;
  #more;
  #process = null;

  constructor(dir, port, more) {
    this.#dir = dir;
    this.#more = more;
    this.port = port;
  }

  async start() {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#dir, '--save', '', '--appendonly', 'no'];
    const server = spawn('redis-server', [...args, ...this.#more], { stdio: 'ignore' });
    this.#process = server;
    await waitFor(() => {
      if (server.exitCode !== null) throw Object.assign(new Error('redis-server has ended'), { code: ENDED });
      return this.#answers();
    }, 'redis-server to answer');
  }

  #answers() {
    return new Promise((resolve) => {
      const socket = net.connect(this.port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.once('data', () => (socket.destroy(), resolve(true)));
      socket.once('error', () => resolve(false));
    });
  }

  async kill() {
    const server = this.#process;
    if (server === null) return;
    this.#process = null;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }

  /** What it had is lost, unless it is asked to write that down first. */
  async restart({ withData = false } = {}) {
    if (withData) await this.#stop();
    await this.kill();
    await this.start();
  }

  /** Ends it in good order, its data written down. */
  async #stop() {
    const ended = once(this.#process, 'exit');
    this.#process = null;
    net.connect(this.port, '127.0.0.1').on('error', () => {}).write('SHUTDOWN SAVE\r\n');
    await ended;
  }
}

let count = 0;

/** A server with these arguments besides, which ends with the test. */
async function redisOn(t, more = []) {
  const server = new RedisServer(temporary(t), await freePort(), more);
  await server.start();
  t.after(() => server.kill());
  const connection = { host: '127.0.0.1', port: server.port };
  const queue = `test${process.pid}x${++count}`;
  return Object.assign(server, { connection, queue, engine: (options = {}) => bullmq({ queue, connection, ...options }) });
}

module.exports = { ENDED, ensureRedis, freePort, redisOn };
