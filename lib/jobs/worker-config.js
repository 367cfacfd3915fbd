'use strict';

/**
 * What the native pool and the workers are told when they start, made of the options of a pool.
 *
 * Must not depend on jobs.
 */

const { logsJson, workerHeapMegabytes } = require('../host/cpus');
const { inheritedEnv, inheritedExecArgv, resourceLimitFlags, waitsForDebugger } = require('../host/exec-argv');
const { tooLargeError } = require('../errors');
const { canBeMainModule } = require('../host/main-module');
const { nesting } = require('../host/nesting');
const { findProgram, startObstacle } = require('../host/program');
const { variable } = require('../host/variables');
const { isSharedEnv } = require('../options/option-checks');
const { PARALLELIZER_INLINE, PARALLELIZER_REMOTE, PARALLELIZER_THREADS } = require('../options/options');
const { MAX_COUNT } = require('../transport/constants');
const { MAIN, PROCESS_SCRIPT, SCRIPT, WORKER_VARIABLE } = require('../worker/boot-script');
const { toJson } = require('../intrinsics/json');

/** More than a week, in milliseconds. */
const MAX_GRACE_PERIOD = 2 ** 30;

/**
 * @typedef {object} OwnOptions
 * @property {string | number} id
 * @property {string | null} filePath the module of all calls; null: each job has a task
 * @property {string | null} functionName
 * @property {number} [batchSize] 0: one sub-batch for each worker
 * @property {number} maxCallsPerWorker 0: no limit
 * @property {number} [concurrency]
 * @property {unknown} [initializer] a task, as the user gave it; null: none
 * @property {readonly unknown[]} [initArgs]
 */

/** @typedef {import('../options/options').WorkerOptions & OwnOptions} OptionsOfPool */
/** @typedef {Readonly<Required<OptionsOfPool>>} PoolOptions */

/**
 * Whether a pool's workers are processes; otherwise JavaScript looks after them itself.
 * @param {Pick<PoolOptions, 'type'>} options
 */
function hasProcesses({ type }) {
  return type !== PARALLELIZER_REMOTE && !isWithin({ type });
}

/**
 * Whether a pool's workers share the memory of this process.
 * @param {Pick<PoolOptions, 'type'>} options
 */
function isWithin({ type }) {
  return type === PARALLELIZER_THREADS || type === PARALLELIZER_INLINE;
}

/**
 * Throws where this process cannot start such workers.
 * @param {PoolOptions} options
 */
function assertCanStart(options) {
  if (options.type === PARALLELIZER_INLINE || options.type === PARALLELIZER_REMOTE) return;
  const { execPath, env } = options;
  const obstacle = startObstacle({ hasProcesses: hasProcesses(options), execPath, env: ownEnv(env) ?? process.env });
  if (obstacle !== null) throw require('../native/platform-error').cannotStartError(obstacle);
}

/**
 * The program of worker processes, as a path if there is such a program.
 * @param {Pick<PoolOptions, 'execPath' | 'env'>} options
 */
function programOf({ execPath, env }) {
  return execPath === null ? process.execPath : findProgram(execPath, ownEnv(env) ?? process.env);
}

/**
 * The environment that workers have instead of this process's; `null`: none.
 * @param {PoolOptions['env']} env
 */
function ownEnv(env) {
  return isSharedEnv(env) ? null : env;
}

/**
 * The heap of each worker: its share on Lambda, unless the user says otherwise.
 * @param {PoolOptions} options
 * @returns {import('../options/option-checks').ResourceLimits}
 */
function heapLimits(options) {
  const heap = workerHeapMegabytes(options.workers);
  // Without a prototype, since those that are not there are looked for as well.
  const limits = Object.create(null);
  if (heap !== null) limits.maxOldGenerationSizeMb = heap;
  return Object.assign(limits, options.resourceLimits);
}

/**
 * What a worker is told first.
 * @param {PoolOptions} options
 * @returns {import('../worker/serve').Init}
 */
function initOf(options) {
  const { depth, ancestry } = nesting();
  return {
    filePath: options.filePath,
    functionName: options.functionName,
    initializer: textOf(initializerOf(options.initializer)),
    concurrency: options.concurrency,
    serialization: options.serialization,
    forward: options.stdio === 'forward',
    structured: logsJson(),
    reportMemory: options.maxWorkerMemory > 0,
    depth: depth + 1,
    ancestry: options.filePath === null ? ancestry.slice() : ancestry.concat(options.filePath),
    sharesEnv: isSharedEnv(options.env),
  };
}

/** @typedef {{ tag: number, task: import('./task-registry').Task }} Initializer */

/**
 * @param {unknown} task as the user gave it; null: none
 * @returns {Initializer | null}
 */
function initializerOf(task) {
  if (task === null) return null;
  const { TaskRegistry, tagOf } = require('./task-registry');
  const { definition } = new TaskRegistry().of(task, 'initializer');
  // A number that no task of the pool has.
  const own = { id: 0, definition, bytes: 0 };
  return { tag: tagOf(own, true), task: own };
}

/** @param {Initializer | null} initializer */
function textOf(initializer) {
  if (initializer === null) return null;
  const { tag, task } = initializer;
  return { tag, definition: require('./task-registry').definitionText(task) };
}

/**
 * What workers are handed when they start: the arguments of the initializer.
 * @param {PoolOptions} options @param {import('../codec/codec').Clones | null} clones
 */
function initParts({ initializer, initArgs, serialization }, clones) {
  /** @type {import('../codec/parts').Parts} */
  const parts = [];
  if (initializer === null) return parts;
  require('../codec/codec').encodeValues([initArgs], serialization, clones, parts, 0, (_index, error) => {
    throw require('../codec/culprit').within(error, 'initArgs');
  });
  return parts;
}

/**
 * What the scheduler needs to know.
 * @param {PoolOptions} options
 * @param {'native' | 'wasm'} scheduler which build of it: only the addon hands workers from one instance to another
 */
function nativeConfig(options, scheduler) {
  const isShared = options.shared && options.type !== PARALLELIZER_INLINE && scheduler === 'native';
  return {
    workers: options.workers,
    maxQueue: options.maxQueue,
    maxCallsPerWorker: options.remote === null ? options.maxCallsPerWorker : 0,
    maxWorkerMemory: options.maxWorkerMemory,
    idleTimeout: options.idleTimeout,
    // What is withdrawn on another machine is ended there: a lane has the calls of others, too.
    gracePeriod: options.remote === null ? options.gracePeriod : MAX_GRACE_PERIOD,
    shareKey: isShared ? shareKey(options) : null,
    // A worker's module may build an instance as it loads; only one that is used may start more workers.
    lazy: nesting().depth > 0,
    concurrency: Math.min(options.concurrency, MAX_COUNT),
    inline: options.type === PARALLELIZER_INLINE,
    traces: isTraced(options),
    remote: options.remote !== null,
    ...(hasProcesses(options) ? { process: processConfig(options) } : {}),
  };
}

/**
 * Says which pools share their workers: those that would start and replace them in the same way.
 * @param {PoolOptions} options
 */
function shareKey(options) {
  const { id, type, workers, maxCallsPerWorker, maxWorkerMemory, idleTimeout, stdio } = options;
  const env = ownEnv(options.env) ?? inheritedEnv();
  return toJson([
    id, type, workers, maxCallsPerWorker, maxWorkerMemory, idleTimeout, stdio,
    programOf(options),
    options.execArgv ?? inheritedExecArgv(),
    heapLimits(options),
    // Threads of one host may list it in different orders.
    Object.keys(env).sort().map((name) => [name, env[name]]),
    initOf(options),
  ]);
}

/**
 * Which build of the scheduler is used.
 * @param {any} native the addon, or what takes its place
 * @returns {'native' | 'wasm'}
 */
function schedulerOf({ scheduler = 'native' }) {
  return scheduler;
}

/** @param {PoolOptions} options */
function processConfig(options) {
  const { addonPath } = /** @type {Partial<typeof import('../../native')>} */ (require('../native/native'));
  const env = ownEnv(options.env) ?? inheritedEnv();
  const execArgv = options.execArgv ?? inheritedExecArgv();
  const flags = execArgv.concat(resourceLimitFlags(heapLimits(options)));
  const program = programOf(options);
  const path = addonPath?.() ?? null;
  const isMain = path !== null && canBeMainModule(path, program, flags, env);
  const script = path === null ? [require('../worker/pipe-script').PIPE_SCRIPT] : [PROCESS_SCRIPT, path];
  return {
    program,
    args: flags.concat(isMain ? [path] : ['--input-type=commonjs', '-e'].concat(script)),
    env: Object.keys(env).map((name) => `${name}=${env[name]}`).concat(`${WORKER_VARIABLE}=${isMain ? MAIN : SCRIPT}`),
    stdio: options.stdio,
    waitsForDebugger: waitsForDebugger(execArgv, variable(env, 'NODE_OPTIONS')),
    init: toJson(initOf(options)),
  };
}

/**
 * @param {any} NativePool @param {object} config @param {object} hooks
 * @param {import('../codec/parts').Parts} parts what each worker is handed
 * @param {Uint32Array} registers
 */
function newPool(NativePool, config, hooks, parts, registers) {
  try {
    return new NativePool(toJson(config), hooks, parts, registers);
  } catch (cause) {
    const { message } = /** @type {Error} */ (cause);
    const isTooMuch = parts.length > 0 && /memory|too (?:large|long|big)|more than/i.test(message);
    throw isTooMuch ? tooLargeError('"initArgs"', cause) : cause;
  }
}

/**
 * Whether a timeline is kept.
 * @param {PoolOptions} options
 */
function isTraced({ trace }) {
  // Workers inherit the environment, and would write to the same file.
  return trace || (Boolean(process.env.PARALLELIZER_TRACE) && nesting().depth === 0);
}

module.exports = {
  assertCanStart, hasProcesses, heapLimits, initOf, initParts, initializerOf, isTraced, isWithin, nativeConfig, newPool,
  processConfig,
  programOf, schedulerOf,
};
