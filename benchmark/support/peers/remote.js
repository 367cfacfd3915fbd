'use strict';

/** Contenders whose calls run on a host: a process of its own, which is connected by nothing but a Redis server. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { Queue, QueueEvents } = require('bullmq');
const { PARALLELIZER_REMOTE, Pool } = require('@parallelizer/node');
const { bullmq } = require('@parallelizer/node/bullmq');

const support = path.join(__dirname, '..');
let count = 0;

class RemotePeer {
  /** @type {import('node:child_process').ChildProcess[]} */
  hosts = [];

  /** @param {number} port @param {'serve' | 'bullmq' | 'sandbox'} kind */
  constructor(port, kind) {
    this.port = port;
    this.kind = kind;
    this.queue = `bench${process.pid}x${(count += 1)}`;
    this.connection = { host: '127.0.0.1', port };
  }

  /** @param {number} processes of the host */
  async startHost(processes) {
    const { kind, queue, port } = this;
    const host = spawn(
      process.execPath,
      [path.join(support, 'remote-host.js'), JSON.stringify({ kind, queue, port, processes })],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    this.hosts.push(host);
    await once(host, 'message');
    return host;
  }

  async stop() {
    this.hosts.forEach((host) => host.kill('SIGKILL'));
  }
}

/** A `Pool` of this package. */
class OwnRemote extends RemotePeer {
  /** @type {Pool | undefined} */
  pool;

  /** @param {number} port @param {{ filePath: string, name: string }} task @param {object} [options] */
  constructor(port, task, options = {}) {
    super(port, 'serve');
    this.task = task;
    this.options = options;
  }

  /** @param {number} processes */
  async start(processes) {
    await this.startHost(processes);
    const engine = bullmq({ queue: this.queue, connection: this.connection });
    this.pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root: support, ...this.options });
    await this.pool.ready();
  }

  /** @param {any} item */
  call(item) {
    return /** @type {Pool} */ (this.pool).apply(this.task, [item]);
  }

  /** @param {any[]} list */
  run(list) {
    return /** @type {Pool} */ (this.pool).map(this.task, list);
  }

  async stop() {
    await this.pool?.terminate();
    await super.stop();
  }
}

/** BullMQ by itself, with a job for each item. Results come through its events: the reader here is never too late. */
class BullmqPeer extends RemotePeer {
  /** @type {Queue | undefined} */
  jobs;
  /** @type {QueueEvents | undefined} */
  events;
  /** @type {Map<string, (value: any) => void>} */
  #waiting = new Map();
  #ids = 0;

  /** @param {number} port @param {'bullmq' | 'sandbox'} kind @param {string} [name] of the function */
  constructor(port, kind, name = 'burn') {
    super(port, kind);
    this.name = name;
  }

  /** @param {number} processes */
  async start(processes) {
    this.jobs = new Queue(this.queue, { connection: this.connection });
    this.events = new QueueEvents(this.queue, { connection: this.connection });
    this.events.on('completed', ({ jobId, returnvalue }) => {
      this.#waiting.get(jobId)?.(returnvalue);
      this.#waiting.delete(jobId);
    });
    await this.events.waitUntilReady();
    await this.startHost(processes);
  }

  /** @param {any} item */
  async call(item) {
    return (await this.run([item]))[0];
  }

  /** @param {any[]} list */
  async run(list) {
    const jobs = list.map((data) => ({
      name: this.name, data, opts: { jobId: `item-${(this.#ids += 1)}`, removeOnComplete: true, removeOnFail: true },
    }));
    const results = jobs.map(({ opts }) => new Promise((resolve) => this.#waiting.set(opts.jobId, resolve)));
    await this.jobs?.addBulk(jobs);
    return Promise.all(results);
  }

  async stop() {
    await super.stop();
    await Promise.allSettled([this.events?.close(), this.jobs?.close()]);
  }
}

module.exports = { BullmqPeer, OwnRemote };
