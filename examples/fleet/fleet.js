'use strict';

/** Several hosts on this machine, each with a network of its own where that can be, and the Redis between them. */

const { spawn } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const path = require('node:path');
const { bullmq } = require('@parallelizer/node/bullmq');
const { makeNetwork } = require('./network.js');
const { startRedis } = require('./redis-server.js');

/** @typedef {import('./network.js').Place} Place */
/** @typedef {{ name: string, child: import('node:child_process').ChildProcess, place: Place }} Host */
/** @typedef {Awaited<ReturnType<typeof startRedis>>} Redis */

class Fleet {
  /** @type {Host[]} */
  #hosts = [];
  #network;
  #redis;
  #password;
  /** Signs what travels: whoever reaches Redis by other ways can still not have anything run. */
  secret = randomBytes(32).toString('hex');

  /** @param {ReturnType<typeof makeNetwork>} network @param {Redis} redis @param {string} password */
  constructor(network, redis, password) {
    this.#network = network;
    this.#redis = redis;
    this.#password = password;
  }

  /** @param {{ hosts: number, processes: number }} options @returns {Promise<Fleet>} */
  static async start({ hosts, processes }) {
    const network = makeNetwork(hosts);
    const password = randomBytes(16).toString('hex');
    /** @type {Redis} */
    let redis;
    try {
      redis = await startRedis(network.places.map((place) => place.redis), password);
    } catch (error) {
      network.remove();
      throw error;
    }
    const fleet = new Fleet(network, redis, password);
    try {
      await Promise.all(network.places.map((place, index) => fleet.#startHost(`host-${index + 1}`, place, processes)));
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** @param {string} name @param {Place} place @param {number} processes */
  async #startHost(name, place, processes) {
    const [command, ...args] = [...place.command, process.execPath, path.join(__dirname, 'host.js')];
    const child = spawn(command, args, {
      env: {
        ...process.env,
        FLEET_HOST: name,
        FLEET_CONNECTION: JSON.stringify(this.#connectionTo(place.redis)),
        FLEET_SECRET: this.secret,
        FLEET_PROCESSES: String(processes),
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#hosts.push({ name, child, place });
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`${name} ended with code ${code} while it started`);
    });
    await Promise.race([once(child, 'message'), failed]);
    failed.catch(() => {});
  }

  /** @param {string} address */
  #connectionTo(address) {
    return { host: address, port: this.#redis.port, password: this.#password };
  }

  /** For the producer. */
  get engine() {
    return bullmq({ queue: 'tiles', connection: this.#connectionTo('127.0.0.1') });
  }

  get hostNames() {
    return this.#hosts.map(({ name }) => name).sort();
  }

  /** Why the hosts have no network of their own; `null` if they have. */
  get reason() {
    return this.#network.reason;
  }

  /** A host is lost, with everything that runs there. @param {string} name */
  lose(name) {
    const host = this.#hosts.find((one) => one.name === name);
    if (host === undefined) throw new Error(`there is no ${name}`);
    if (host.place.powerOff !== null) host.place.powerOff();
    else host.child.kill('SIGKILL');
  }

  async stop() {
    const running = this.#hosts.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    const ended = running.map(({ child }) => once(child, 'exit'));
    running.forEach(({ child }) => child.kill('SIGTERM'));
    await Promise.all(ended);
    await this.#redis.stop();
    this.#network.remove();
  }
}

module.exports = { Fleet };
