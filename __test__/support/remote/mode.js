'use strict';
// Mode `remote` of the shared cases. Loaded before a test file (NODE_OPTIONS) or a program (support/scripts.js), it
// gives each instance of type `remote` an engine and a host of its own. What a case says of workers goes to the host,
// the rest to the instance. The cases that do not hold are in exceptions.js.
//
// The engine is one in memory, with the host in this process. With PARALLELIZER_TEST_REDIS, the options of a connection
// as JSON, it is BullMQ, with the host in a process of its own.

const { spawn } = require('node:child_process');
const path = require('node:path');

const library = require('../../..');
const { exceptionFor } = require('./exceptions');

const HOST_OPTIONS = [
  'env', 'execPath', 'execArgv', 'resourceLimits', 'stdio', 'spin', 'maxWorkerMemory', 'idleTimeout',
];
const COUNTS = ['processes', 'parallelization'];
const { PARALLELIZER_TEST_REDIS: redis, NODE_TEST_CONTEXT: context } = process.env;

/** Instances to the functions that end their hosts. */
const hosts = new WeakMap();
let queues = 0;

/**
 * A host in this process. It is what `serve()` makes, but does not hold the event loop: how long a program of the cases
 * lives is for its instances to say.
 */
function hostHere(engine, options) {
  const { ChunkServer } = require('../../../lib/serve/chunk-server');
  const { serveOptions } = require('../../../lib/serve/serve-options');
  const { host } = serveOptions({ engine, ...options });
  const server = new ChunkServer(host);
  const link = engine.listen({
    host: { id: `${host.name}-${++queues}`, name: host.name, slots: host.slots },
    lease: host.lease,
    pids: new Int32Array(new SharedArrayBuffer(4)),
    deliver: (delivery) => void server.take(delivery),
    cancelled: (id, message) => server.hear(id, message),
    dropped: (id) => server.drop(id),
    orphaned: (id) => server.orphan(id),
    leaseLost: () => void server.loseAll(),
    failed() {},
  });
  return async () => {
    link.terminate();
    await server.terminate();
  };
}

/** A host in a process of its own, which ends with this one. */
function hostElsewhere(queue, options) {
  const program = path.join(__dirname, '..', '..', 'remote', 'support', 'host.js');
  const { root, ...others } = options;
  const settings = JSON.stringify({ engine: { queue, connection: JSON.parse(redis) }, root, options: others });
  const child = spawn(process.execPath, [program, settings], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.unref();
  child.channel.unref();
  return async () => {
    child.kill('SIGKILL');
  };
}

/** The options of an instance without those of its host, which is started. `null`: it is of another type. */
function divided(options, processes) {
  if (options?.type !== library.PARALLELIZER_REMOTE || options.engine !== undefined) return null;
  const rest = {};
  const own = { root: '/', allowFunctions: true };
  for (const [name, value] of Object.entries(options)) {
    if (COUNTS.includes(name)) own.processes = value;
    else if (HOST_OPTIONS.includes(name)) own[name] = value;
    else if (name !== 'shared' && name !== 'parallelizationPerCPU') rest[name] = value;
  }
  Object.assign(own, processes);
  if (redis === undefined) {
    const { MemoryHub } = require('./memory-engine');
    const engine = new MemoryHub().engine();
    return { options: { ...rest, engine, root: '/' }, start: () => hostHere(engine, own) };
  }
  const queue = `mode${process.pid}x${++queues}`;
  const engine = require('../../../bullmq').bullmq({ queue, connection: JSON.parse(redis) });
  // Options are checked here, as in the other modes.
  require('../../../lib/serve/serve-options').serveOptions({ engine, ...own });
  return { options: { ...rest, engine, root: '/' }, start: () => hostElsewhere(queue, own) };
}

const endHosts = async (instance) => {
  for (const end of hosts.get(instance) ?? []) await end();
};

const ending = async (instance, ended) => {
  try {
    return await ended;
  } finally {
    await endHosts(instance);
  }
};

class Pool extends library.Pool {
  constructor(first, second) {
    const found = typeof first === 'number' ? divided(second, { processes: first }) : divided(first ?? second, {});
    if (found === null) super(first, second);
    else super(found.options);
    if (found !== null) hosts.set(this, [found.start()]);
  }

  async join() {
    // Where it is refused, the pool goes on.
    await super.join();
    await endHosts(this);
  }

  terminate() {
    return ending(this, super.terminate());
  }
}

class Parallelizer extends library.Parallelizer {
  constructor(given) {
    const list = Array.isArray(given) ? given : [given];
    const found = list.map((options) => divided(options, {}));
    const options = list.map((each, i) => found[i]?.options ?? each);
    super(Array.isArray(given) ? options : options[0]);
    hosts.set(this, found.flatMap((each) => (each === null ? [] : [each.start()])));
  }

  close() {
    return ending(this, super.close());
  }

  terminate() {
    return ending(this, super.terminate());
  }
}

if (!library.isWorker) {
  for (const [name, value] of Object.entries({ Pool, Parallelizer })) {
    Object.defineProperty(library, name, { value, configurable: true, enumerable: true, writable: true });
  }
}

/** `test` of node:test, with the cases skipped that do not hold. */
function withExceptions(test) {
  const file = path.basename(process.argv[1] ?? '').replace(/\.test\.m?js$/, '');
  const wrapped = (title, ...rest) => {
    const reason = typeof title === 'string' ? exceptionFor(file, title, redis === undefined) : null;
    return reason === null ? test(title, ...rest) : test(title, { skip: reason }, () => {});
  };
  return Object.assign(wrapped, test);
}

if (context !== undefined) {
  const nodeTest = require('node:test');
  nodeTest.test = withExceptions(nodeTest.test);
}
// Not for the workers of hosts; the runner of test files hands it on to these.
if (context !== undefined) delete process.env.NODE_OPTIONS;
