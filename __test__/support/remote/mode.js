'use strict';
// Mode `remote` of the shared cases: loaded by NODE_OPTIONS before a test file, it gives each instance of type `remote`
// an engine in memory and a host of its own. What a case says of workers goes to the host, the rest to the instance.

const library = require('../../..');
const { MemoryHub } = require('./memory-engine');

const HOST_OPTIONS = ['env', 'execPath', 'execArgv', 'resourceLimits', 'stdio', 'spin', 'maxWorkerMemory', 'idleTimeout'];
const COUNTS = ['processes', 'parallelization'];

/** Instances to their hosts. */
const hosts = new WeakMap();

/** The options of an instance without those of its host, which is started. */
function divided(options, processes) {
  if (options?.type !== library.PARALLELIZER_REMOTE || options.engine !== undefined) return null;
  const rest = {};
  const own = {};
  for (const [name, value] of Object.entries(options)) {
    if (COUNTS.includes(name)) own.processes = value;
    else if (HOST_OPTIONS.includes(name)) own[name] = value;
    else if (name !== 'shared' && name !== 'parallelizationPerCPU') rest[name] = value;
  }
  const engine = new MemoryHub().engine();
  const host = library.serve({ engine, root: '/', allowFunctions: true, ...own, ...processes });
  host.catch(() => {});
  return { options: { ...rest, engine, root: '/' }, host };
}

const ending = async (instance, ended) => {
  try {
    return await ended;
  } finally {
    for (const host of hosts.get(instance) ?? []) await host.then((each) => each.terminate(), () => {});
  }
};

class Pool extends library.Pool {
  constructor(first, second) {
    const isCount = typeof first === 'number';
    const found = divided(isCount ? second : first, isCount ? { processes: first } : {});
    if (found === null) super(first, second);
    else super(found.options);
    if (found !== null) hosts.set(this, [found.host]);
  }

  join() {
    return ending(this, super.join());
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
    hosts.set(this, found.flatMap((each) => (each === null ? [] : [each.host])));
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
