'use strict';
// `npm run test:remote -- chaos [ROUNDS [SEED]]`: hosts on a network of their own, each with an address, while they are
// killed, stopped, and cut off, and while Redis is killed and started again, with its data or without. A ledger of all
// items says that nothing is lost and that nothing runs twice which may not.
//
// Needs root, `ip` (Debian: iproute2) with network namespaces, and redis-server; says what is missing, and ends.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Random } = require('../chaos/random');
const { lines, root, waitFor, within } = require('../support/helpers');
const { ensureRedis } = require('./support/redis');

const HOSTS = 3;
const ITEMS = 500;
const PORT = 6379;
/** Everything has settled by then even on a slow machine. */
const DEADLINE = 180_000;

const ip = (...args) => spawnSync('ip', args, { encoding: 'utf8' });

function must(...args) {
  const { status, stderr } = ip(...args);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/** Why this cannot be run here; `null`: it can. */
function obstacle() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'network namespaces need Linux and root';
  const name = `plz-try-${process.pid}`;
  const { status, error, stderr } = ip('netns', 'add', name);
  if (status !== 0) return `network namespaces need "ip netns": ${error?.message ?? stderr}`;
  ip('netns', 'delete', name);
  return ensureRedis();
}

/** Machines that reach each other through a bridge in the first one, where Redis runs. */
class Network {
  #names = [];

  constructor() {
    const server = this.#add();
    must('-n', server, 'link', 'add', 'bridge', 'type', 'bridge');
    must('-n', server, 'address', 'add', '10.77.0.1/24', 'dev', 'bridge');
    must('-n', server, 'link', 'set', 'bridge', 'up');
    this.address = '10.77.0.1';
  }

  get server() {
    return this.#names[0];
  }

  #add() {
    const name = `plz-${process.pid}-${this.#names.length}`;
    must('netns', 'add', name);
    this.#names.push(name);
    must('-n', name, 'link', 'set', 'lo', 'up');
    return name;
  }

  /** Another machine. */
  add() {
    const name = this.#add();
    const number = this.#names.length;
    const [here, there] = [`p${process.pid % 100_000}n${number}`, `port${number}`];
    must('-n', name, 'link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', this.server);
    must('-n', name, 'address', 'add', `10.77.0.${number}/24`, 'dev', here);
    must('-n', name, 'link', 'set', here, 'up');
    must('-n', this.server, 'link', 'set', there, 'master', 'bridge', 'up');
    const link = (state) => must('-n', this.server, 'link', 'set', there, state);
    return { name, cut: () => link('down'), join: () => link('up') };
  }

  /** A program on a machine. */
  run(name, command, args, options) {
    return spawn('ip', ['netns', 'exec', name, command, ...args], options);
  }

  close() {
    for (const name of this.#names) {
      for (const pid of ip('netns', 'pids', name).stdout.split('\n').filter(Boolean)) kill(Number(pid), 'SIGKILL');
      ip('netns', 'delete', name);
    }
  }
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

class Redis {
  #network;
  #dir;
  #process = null;

  constructor(network, dir) {
    this.#network = network;
    this.#dir = dir;
  }

  async start() {
    const run = (command, ...args) =>
      this.#network.run(this.#network.server, command, args, { stdio: 'ignore' });
    this.#process = run('redis-server', '--port', String(PORT), '--bind', '0.0.0.0', '--protected-mode', 'no',
      '--dir', this.#dir, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always');
    const ping = () => run('redis-cli', '-p', String(PORT), 'ping');
    await waitFor(async () => (await once(ping(), 'exit'))[0] === 0, 'redis-server to answer');
  }

  /** Kills it. @param {boolean} isForgetful whether its data is lost */
  async restart(isForgetful) {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    if (isForgetful) fs.rmSync(path.join(this.#dir, 'appendonlydir'), { recursive: true, force: true });
    await this.start();
  }
}

/** A host, whatever number of times it is started. */
class Host {
  #network;
  #machine;
  #connection;
  process = null;

  constructor(network, connection, number) {
    this.#network = network;
    this.#machine = network.add();
    this.#connection = connection;
    this.name = `host${number}`;
  }

  start() {
    const options = { name: this.name, processes: 2 };
    const engine = { queue: 'chaos', connection: this.#connection };
    const settings = JSON.stringify({ engine, root, options });
    const program = path.join(__dirname, 'support', 'host.js');
    this.process = this.#network.run(this.#machine.name, process.execPath, [program, settings], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** As the loss of a machine: its workers end with it. */
  async lose() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }

  async stopFor(ms) {
    this.process.kill('SIGSTOP');
    await sleep(ms);
    this.process.kill('SIGCONT');
  }

  async cutFor(ms) {
    this.#machine.cut();
    await sleep(ms);
    this.#machine.join();
  }
}

/** What is done to hosts and to Redis, one after another, until `isOver` says so. */
async function attack(random, hosts, redis, isOver) {
  const done = [];
  while (!isOver()) {
    await sleep(random.between(200, 1500));
    const host = random.pick(hosts);
    const act = random.pick(['kill', 'kill', 'stop', 'cut', 'cut', 'restart', 'forget']);
    const ms = random.between(200, 6000);
    done.push(act);
    if (act === 'kill') {
      await host.lose();
      host.start();
    } else if (act === 'stop') await host.stopFor(ms);
    else if (act === 'cut') await host.cutFor(ms);
    else await redis.restart(act === 'forget');
  }
  return done;
}

/** What became of the items, as the ledger and their caller have it. */
function check(outcomes, ledger, retries) {
  const runs = new Map();
  for (const line of lines(ledger)) runs.set(Number(line), (runs.get(Number(line)) ?? 0) + 1);
  const counts = { fulfilled: 0, failed: 0, again: 0 };
  assert.equal(outcomes.length, ITEMS, 'each item settles once');
  for (const [id, { status, value, code, host }] of outcomes.entries()) {
    const ran = runs.get(id) ?? 0;
    assert.ok(ran <= 1 + retries, `item ${id} ran ${ran} times`);
    if (ran > 1) counts.again++;
    if (status === 'fulfilled') {
      assert.deepEqual([value, ran >= 1], [id, true], `item ${id} has its own result, and has run`);
      counts.fulfilled++;
    } else {
      assert.equal(retries, 0, `item ${id} failed with ${code}`);
      assert.deepEqual([code, typeof host], ['ERR_PARALLELIZER_WORKER_EXITED', 'string'], `item ${id}`);
      counts.failed++;
    }
  }
  return counts;
}

async function round(seed) {
  const random = new Random(seed);
  const retries = random.pick([0, 0, 1000]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-chaos-'));
  const network = new Network();
  try {
    const connection = { host: network.address, port: PORT };
    const redis = new Redis(network, dir);
    await redis.start();
    const hosts = Array.from({ length: HOSTS }, (_, number) => new Host(network, connection, number));
    hosts.forEach((host) => host.start());
    const ledger = path.join(dir, 'ledger');
    const settings = JSON.stringify({ connection, root, ledger, retries, items: ITEMS });
    const program = path.join(__dirname, 'support', 'chaos-producer.js');
    const producer = network.run(network.add().name, process.execPath, [program, settings], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    let outcomes = null;
    producer.on('message', (message) => (outcomes = message));
    const attacks = attack(random, hosts, redis, () => outcomes !== null);
    await within(waitFor(() => outcomes !== null, 'all items to settle', DEADLINE), 'the round', DEADLINE + 1000);
    const counts = check(outcomes, ledger, retries);
    return { retries, ...counts, attacks: (await attacks).join(' ') };
  } finally {
    network.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function chaos(rounds, firstSeed) {
  const missing = obstacle();
  if (missing !== null) {
    console.log(`skipped: ${missing}`);
    return;
  }
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    console.log(`seed ${seed}: ${JSON.stringify(await round(seed))}`);
  }
  console.log(`remote chaos: ${rounds} rounds passed`);
}

module.exports = { chaos };
