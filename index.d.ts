/// <reference types="node" />

// The public types of `@parallelizer/node`, written by hand. Durations are milliseconds, sizes are bytes unless a name
// says otherwise.
//
// What a worker module takes and returns is inferred from its own type, `typeof import('./worker')`; without it all of
// that is `any`. The types help whoever writes code; at run time the library checks every value itself, and its errors
// name what is wrong.

import type { EventEmitter } from 'node:events';

// Only what is marked as such is exported.
export {};

/**
 * Workers are child processes (the default): a crash harms only the sub-batch or the item that the worker was running.
 */
export declare const PARALLELIZER_CHILD: 'child-process';
/** Workers are threads of this process: lighter to start, and they can share memory. */
export declare const PARALLELIZER_THREADS: 'worker-threads';
/**
 * No workers: the function runs in the calling process, where a unit test can mock its clients. Values still pass
 * through the codec, so that the function gets what it would get in a worker.
 */
export declare const PARALLELIZER_INLINE: 'inline';
/**
 * Calls run on other machines, where `serve()` runs, over an `engine` that connects them.
 */
export declare const PARALLELIZER_REMOTE: 'remote';

/** Whether this code runs in a worker of this library, so that a module can tell where it was loaded. */
export declare const isWorker: boolean;

/**
 * Has parts of a worker function's result moved to the caller instead of copied. Threads move them; processes copy
 * them.
 *
 * @param value the result
 * @param list the objects in it to move, such as `ArrayBuffer`s and `MessagePort`s
 * @returns `value` for the compiler; what the function has to return
 *
 * @example return transfer({ pixels }, [pixels.buffer]);
 */
export declare function transfer<T>(value: T, list: readonly object[]): T;

/** What `current()` says of a call, a sub-batch or an item. */
export interface CurrentCall<TContext = any, TMessage = any> {
  /** That of the call: see `BatchArguments` and `TaskContext`. */
  readonly signal: AbortSignal;
  /** Which of the workers this is, from 0. */
  readonly workerIndex: number;
  /** Sends a value to the caller's `onMessage`: see `Emit`. */
  readonly emit: Emit<TMessage>;
  /** The `context` of `run`'s options; `undefined` without one, and for an item. */
  readonly context: TContext;
}

/**
 * The call that runs this code: also in arrow functions, which have no `this`, and deep inside of what the worker's
 * function calls. `undefined` outside of any call.
 *
 * Where one worker runs several calls at the same time (`concurrency`), and inline, calls are told apart by an
 * `AsyncLocalStorage` from the moment when this export is first read. So read it where the module is loaded.
 *
 * @example
 * import { current } from '@parallelizer/node';
 * const cacheFile = () => `/tmp/cache-${current()?.workerIndex ?? 'main'}.db`;
 */
export declare function current<TContext = any, TMessage = any>(): CurrentCall<TContext, TMessage> | undefined;

/**
 * Sends a value to the `onMessage` of whoever waits for the call, while it runs: progress, or a part of the result. The
 * messages of a call arrive in order, all of them before its outcome. It needs no `this`, so it can be passed on.
 *
 * About a megabyte may be under way per worker. Such a message is sent when `emit` returns, and arrives even if the
 * worker dies right after. What exceeds that waits, and is lost with the worker; the promise resolves once it is sent,
 * and never rejects. Functions that never wait may ignore it, until so much waits that `emit` throws.
 *
 * @throws {ParallelizerError} at once: `ERR_PARALLELIZER_SERIALIZATION` for a value that cannot travel, and
 *   `ERR_PARALLELIZER_QUEUE_FULL` if 16 megabytes wait already
 *
 * @example
 * export async function convert(this: TaskContext<{ page: number }>, file: string) {
 *   for (const [page, image] of (await open(file)).entries()) {
 *     await render(image);
 *     await this.emit({ page });
 *   }
 * }
 */
export type Emit<TMessage = any> = (value: TMessage) => Promise<void>;

/** What `onMessage` is given besides the value. */
export interface MessageInfo {
  /** Which of the workers has emitted it, from 0. */
  workerIndex: number;
  /** 1; more where the call is run again after its worker died, and its messages come again. */
  attempt: number;
}

/** The same for a message of a sub-batch. */
export interface BatchMessageInfo extends MessageInfo {
  /** The position of the sub-batch in its call, from 0. */
  batchIndex: number;
}

/** The same for a message of an item. */
export interface ItemMessageInfo extends MessageInfo {
  /** The index of the item in its list or source; 0 for `apply` and `stream`, the worker's for `broadcast`. */
  index: number;
}

export type ParallelizerType =
  | typeof PARALLELIZER_CHILD
  | typeof PARALLELIZER_THREADS
  | typeof PARALLELIZER_INLINE
  | typeof PARALLELIZER_REMOTE;

// ------------------------------------------------------------------------------------------------ the worker's side

/** What `mainLogger` prints in the parent, by `console[logType](JSON.stringify({ child_id, ...params, message }))`. */
export interface LogEntry {
  message: unknown;
  /** More properties of the line. Default: none. */
  params?: { [name: string]: unknown };
  /** The method of `console`. Default: `'log'`. */
  logType?: string;
}

/**
 * The one argument of the worker's function.
 *
 * @example
 * // child.ts
 * export async function batchProcessor({ batch, params, signal }: BatchArguments<Order, { dryRun: boolean }>) {
 *   for (const order of batch) {
 *     if (signal.aborted) break;
 *     await ship(order, params.dryRun);
 *   }
 *   return batch.length;
 * }
 */
export interface BatchArguments<TRecord = any, TParams = any, TContext = any, TMessage = any> {
  /** The records of this sub-batch, in the order in which they were passed. */
  batch: TRecord[];
  /**
   * The `params` of `run`; `null` if they were omitted. A type without `null` makes them a required argument of `run`.
   */
  params: TParams;
  /** Prints on the parent's console. */
  mainLogger(entry: LogEntry): void;
  /**
   * Fires when the sub-batch times out or is aborted; if the function has not returned `gracePeriod` later, the worker
   * is replaced. A loop that never yields can poll `signal.aborted`.
   */
  signal: AbortSignal;
  /** Sends a value to the `onMessage` of `run`: see `Emit`. */
  emit: Emit<TMessage>;
  /** The position of this sub-batch in its call, from 0. If all succeed, that of its entry in `responses`. */
  batchIndex: number;
  /**
   * Which of the workers this is, from 0; inline it is 0. A worker that takes the place of another has the same index,
   * and loads your module after the other one is gone. Before your module is loaded it is in the environment, as
   * `PARALLELIZER_WORKER_INDEX` (not inline, nor where `env` is `SHARE_ENV`): for a port, a file or a database of each
   * worker's own.
   */
  workerIndex: number;
  /** The `context` of the run's options; `undefined` without one. */
  context: TContext;
}

/**
 * A function that a worker can run. What it returns becomes an entry of `responses`, what it throws one of `failures`.
 */
export type BatchFunction<TRecord = any, TParams = any, TResponse = any, TContext = any> = (
  work: BatchArguments<TRecord, TParams, TContext>,
) => TResponse | PromiseLike<TResponse>;

/**
 * The names of a module's exports that can be a `processBatchFunctionName`: functions that can be called with one
 * `BatchArguments`. Any string if the module's type is not known.
 *
 * @example
 * const name: BatchFunctionName<typeof import('./child')> = 'batchProcessor';
 */
export type BatchFunctionName<TModule = any> = FunctionName<TModule, (work: BatchArguments) => any>;

/** The names of a module's exports that can be a task of a `Pool`. Any string if the module's type is not known. */
export type TaskName<TModule = any> = FunctionName<TModule, (this: TaskContext, ...args: any) => any>;

type IsAny<T> = 0 extends 1 & T ? true : false;

type FunctionName<TModule, TFunction> =
  IsAny<TModule> extends true
    ? string
    : { [K in ExportName<TModule>]: Export<TModule, K> extends TFunction ? K : never }[ExportName<TModule>] & string;

/** CommonJS and ES modules see each other's exports one level deeper, under `default`; workers look there as well. */
type ExportName<TModule> =
  | keyof TModule
  | (TModule extends { default: infer TDefault extends object } ? keyof TDefault : 'default');

type Export<TModule, TName> = TName extends keyof TModule
  ? TModule[TName]
  : TModule extends { default: infer TDefault extends object }
    ? TName extends keyof TDefault
      ? TDefault[TName]
      : never
    : TName extends 'default' // `export =` a function
      ? TModule
      : never;

/** What the function of that name is called with; for several names, what all of the functions can be called with. */
type Work<TModule, TName> =
  IsAny<TModule> extends true
    ? BatchArguments
    : [Export<TModule, TName>] extends [(work: infer TWork, ...rest: any) => any]
      ? TWork
      : never;

type RecordOf<TModule, TName> =
  Work<TModule, TName> extends infer TWork extends { batch: readonly unknown[] } ? TWork['batch'][number] : unknown;

type ParamsOf<TModule, TName> = Given<Work<TModule, TName>, 'params'>;
type ContextOf<TModule, TName> = Given<Work<TModule, TName>, 'context'>;
type RunOptionsOf<TModule, TName> = RunOptions<
  RecordOf<TModule, TName>,
  ContextOf<TModule, TName>,
  MessageOf<Work<TModule, TName>>
>;

/** What a function emits, by its argument or its `this`; `any` if that does not say. */
type MessageOf<TWork> = TWork extends { emit: Emit<infer TMessage> } ? TMessage : any;

/** `unknown` if the function does not say, so that anything may be passed. */
type Given<TWork, TKey> = TKey extends keyof TWork ? TWork[TKey] : unknown;

type Response<TModule, TName> = IsAny<TModule> extends true ? any : Awaited<Results<Export<TModule, TName>>>;

/** `this` in a task of a `Pool` that is a `function`; an arrow function has none. */
export interface TaskContext<TMessage = any> {
  /**
   * Fires when this item times out or is aborted, or when the loop over its stream is left. If the task has not settled
   * `gracePeriod` after a timeout or an abort, the worker is replaced. A loop that never yields can poll
   * `signal.aborted`.
   */
  readonly signal: AbortSignal;
  /** Sends a value to the `onMessage` of the call: see `Emit`. */
  readonly emit: Emit<TMessage>;
  /** Which of the workers this is, from 0: see `BatchArguments`. */
  readonly workerIndex: number;
}

/**
 * A function that a worker of a `Pool` can run, for one item or one list of arguments. If it returns a promise, that is
 * awaited.
 *
 * A function that is passed itself is sent as its source and evaluated in the worker, in strict mode, without the
 * variables around it. It can use globals and a `require` that resolves from `process.cwd()`. Classes, native functions
 * and bound functions are refused, and generator functions by everything but `stream`.
 *
 * @example
 * // work.ts
 * export async function fetchPage(this: TaskContext, url: string) {
 *   const response = await fetch(url, { signal: this.signal });
 *   return response.text();
 * }
 */
export type TaskFunction<TArguments extends readonly any[] = any[], TResult = any, TMessage = any> = (
  this: TaskContext<TMessage>,
  ...args: TArguments
) => TResult;

/** What `apply` and `starmap` take for one call; `[]` makes TypeScript infer a tuple from an array literal. */
type ArgumentList = readonly any[] | [];

declare const signature: unique symbol;

/** A task that is an export of a module. `task` makes one with a type; of one written by hand the result is `any`. */
export interface TaskExport<TFunction = any> {
  /**
   * A CommonJS or ES module: an absolute path, one relative to `process.cwd()`, or a `file:` URL. TypeScript if the
   * running Node strips types.
   */
  filePath: string | URL;
  /** The name of one of the module's exports; `'default'` works. */
  name: string;
  /** For the compiler only; the property does not exist. */
  readonly [signature]?: TFunction;
}

/**
 * A reference to a function of a module, with its type. It is frozen, and its path is made absolute at once.
 *
 * If the module has several functions of different types, name the intended one as a type argument as well, since
 * TypeScript infers either all type arguments or none: otherwise the arguments and the result may be those of any of
 * them.
 *
 * @param filePath as in `TaskExport`
 * @param name the name of one of the module's exports; `'default'` works
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for anything but a path and a name; the worker finds out
 *   whether there is such a module and function
 *
 * @example
 * const sizeOf = task<typeof import('./work')>(new URL('./work.js', import.meta.url), 'sizeOf');
 * const sizes = await pool.map(sizeOf, ['a', 'bb']); // number[]
 *
 * @example
 * const square = task<typeof import('./work'), 'square'>(`${__dirname}/work.js`, 'square');
 */
export declare function task<TModule = any, TName extends TaskName<TModule> = TaskName<TModule>>(
  filePath: string | URL,
  name: TName,
): Readonly<TaskExport<TaskSignature<TModule, TName>>>;

type TaskSignature<TModule, TName> =
  IsAny<TModule> extends true
    ? any
    : TaskFunction<
        Arguments<Export<TModule, TName>>,
        Results<Export<TModule, TName>>,
        MessageOf<ThisParameterType<Export<TModule, TName>>>
      >;

type Arguments<TFunction> = TFunction extends (...args: infer TArguments) => any ? TArguments : never;

type Results<TFunction> = TFunction extends (...args: any) => infer TResult ? TResult : never;

/**
 * A task by its location: `{ filePath, name }`, or both in one string, `'path#name'`, which is split at its last `#`.
 */
export type TaskReference<TFunction = any> = TaskExport<TFunction> | string;

/** What a `Pool` can run. A reference has all of its module at hand, a function that is passed only its own source. */
export type Task<TArguments extends readonly any[] = any[], TResult = any, TMessage = any> =
  | TaskFunction<TArguments, TResult, TMessage>
  | TaskReference<TaskFunction<TArguments, TResult, TMessage>>;

/** What `stream` can run: a generator function, or a function that returns an iterable. */
export type YieldingTask<TArguments extends readonly any[] = any[], TYield = any, TMessage = any> = Task<
  TArguments,
  Yielded<TYield> | PromiseLike<Yielded<TYield>>,
  TMessage
>;

type Yielded<TYield> = Iterable<TYield> | AsyncIterable<TYield>;

// ----------------------------------------------------------------------------------------------------------- options

/** Limits of one worker's heap and stack, under Node's names, in megabytes. */
export interface ResourceLimits {
  maxOldGenerationSizeMb?: number | undefined;
  maxYoungGenerationSizeMb?: number | undefined;
  /** Threads only: a process has no such limit. */
  codeRangeSizeMb?: number | undefined;
  stackSizeMb?: number | undefined;
}

/**
 * The options that `Parallelizer` and `Pool` have in common. A call is one sub-batch or one item. An option that is
 * `undefined` has its default; for an unknown or invalid one the constructor throws `ERR_PARALLELIZER_OPTION`.
 */
export interface WorkerOptions {
  /** What the workers are. Default: `PARALLELIZER_CHILD`. */
  type?: ParallelizerType | undefined;
  /**
   * Writes the life cycle of workers, runs and chunks to stderr, one line of JSON per event. Runs have the `runId` of
   * their errors. Default: `false`.
   */
  debug?: boolean | null | undefined;
  /**
   * How values travel. `'auto'` (the default) preserves everything that structured clone preserves, and uses JSON where
   * that loses nothing; `'json'` and `'advanced'` force one format, as the same values of Node's `fork` do.
   */
  serialization?: 'auto' | 'json' | 'advanced' | undefined;
  /** How many milliseconds a call may run; waiting does not count. Default: no limit. */
  timeout?: number | undefined;
  /** How many times a call is run again after the worker that ran it died. Default: `0`. */
  retries?: number | undefined;
  /** A worker whose resident memory exceeds this many bytes is replaced, between calls. Default: never. */
  maxWorkerMemory?: number | undefined;
  /** A worker is stopped after this many idle milliseconds, and started again when needed. Default: never. */
  idleTimeout?: number | undefined;
  /**
   * The most calls that may wait, beside those that free workers take at the end of the turn, which `stats()` counts
   * among the waiting until then. What would exceed it is refused as a whole, with `ERR_PARALLELIZER_QUEUE_FULL`.
   * Default: no limit.
   */
  maxQueue?: number | undefined;
  /**
   * The workers' whole environment, as in Node's `fork`. Default: a copy of the parent's. Threads may have the parent's
   * own, live, in which both see what the other changes: `SHARE_ENV` of `node:worker_threads`. Processes refuse that.
   */
  env?: { [name: string]: string | undefined } | typeof import('node:worker_threads').SHARE_ENV | undefined;
  /**
   * The program that worker processes run: a path, or a name to be looked up in the workers' PATH, as in Node's `fork`.
   * Needed where this process is no plain Node.js, such as a single executable application. Threads and inline start no
   * program, so it has no effect there. Default: `process.execPath`.
   */
  execPath?: string | undefined;
  /** Node flags for the workers. Default: the parent's, without those for heap, debugger, tests and what to run. */
  execArgv?: readonly string[] | undefined;
  /** Default: Node's own limits; on AWS Lambda, heaps of equal parts of the function's memory. */
  resourceLimits?: ResourceLimits | undefined;
  /**
   * Where the workers' output goes: to the parent's stdout and stderr (`'inherit'`, the default), through the
   * parent's `console` in whole messages with their level kept (`'forward'`, the default on AWS Lambda), or nowhere.
   * With `'forward'`, what is written to stdout, and lines of JSON on stderr, come out as they were written.
   */
  stdio?: 'inherit' | 'forward' | 'ignore' | undefined;
  /**
   * Whether to poll for a short time before sleeping, which lowers latency: `'auto'` (the default) does where cores are
   * free, and on a single one gives way to the workers instead. With several it also sees to it that a worker which is
   * woken has a CPU to run on. `false` does none of this.
   */
  spin?: 'auto' | false | undefined;
  /**
   * For a call that timed out or was aborted, how many milliseconds after its `signal` has fired the worker is killed
   * if the call has not settled. Default: `500`.
   */
  gracePeriod?: number | undefined;
  /**
   * Whether all pools with equal options in this process, in any of its threads, share one set of workers: as many as
   * one of them would have, lent to the pools that have work, and in turn if there is more work than they can do.
   * `'auto'` (the default) shares on AWS Lambda Managed Instances, where each of many threads loads the same handler
   * (`AWS_LAMBDA_MAX_CONCURRENCY` is set). Options of calls, and `debug`, `maxQueue`, `gracePeriod` and `spin`, may
   * differ. Worker threads stay with the thread that started them; only their number is shared. With sharing, `ready()`
   * waits for the workers that can be had, at least one, and `stats().workers` has those that are currently lent to
   * this pool.
   */
  shared?: 'auto' | boolean | undefined;
  /**
   * Whether a timeline of what the workers did is kept, for `trace()`: the latest chunks, runs and ends of workers. The
   * variable `PARALLELIZER_TRACE=FILE` turns it on for all instances of a process, and writes the file at its exit.
   * Default: `false`.
   */
  trace?: boolean | undefined;
  /**
   * With `PARALLELIZER_REMOTE`, where it is required: what connects this process with the hosts that run its calls, such
   * as `bullmq({ queue, connection })` of `@parallelizer/node/bullmq`. What is a host's own business (`processes`,
   * `parallelization`, `env`, `execArgv`, `stdio`, limits of memory and the like) is then refused here.
   */
  engine?: RemoteEngine | undefined;
  /**
   * With `PARALLELIZER_REMOTE`: the folder below which modules mean the same here and below the `root` of each host.
   * Default: `process.cwd()`.
   */
  root?: string | undefined;
  /**
   * With `PARALLELIZER_REMOTE`: after so many milliseconds without a host, what waits fails with
   * `ERR_PARALLELIZER_NO_HOST`. Default: `30000`.
   */
  hostTimeout?: number | undefined;
  /**
   * With `PARALLELIZER_REMOTE`: how many milliseconds a host may be silent before it is taken for lost, at least `100`.
   * To be the same for producers and hosts. Default: `2000`.
   */
  lease?: number | undefined;
  /**
   * With `PARALLELIZER_REMOTE`: after so many milliseconds without a sign of life of this process, hosts drop what it
   * has sent and they have not begun, and end its streams. Default: `30000`.
   */
  producerTimeout?: number | undefined;
  /**
   * With `PARALLELIZER_REMOTE`: signs everything that is sent, both ways. A host with a secret takes nothing without
   * it. Default: nothing is signed.
   */
  secret?: string | Uint8Array | undefined;
}

/**
 * What connects producers and hosts. Made by an adapter, such as `bullmq()`; docs/remote.md says how one is written.
 */
export interface RemoteEngine {
  readonly contract: number;
  /** What errors and statistics call it. */
  readonly name: string;
  readonly maxChunkBytes?: number;
  readonly maxFrameBytes?: number;
  /** Whether hosts hear what is said about a chunk that they have: `stream()` needs it. Default: `false`. */
  readonly canTell?: boolean;
  /** Whether a chunk can be for one host: `broadcast()` needs it. Default: `false`. */
  readonly canAddress?: boolean;
  /** Whether hosts say how many chunks they take by now: `concurrency` of calls that come one by one needs it. */
  readonly sharesLanes?: boolean;
  connect(side: any): any;
  listen?(side: any): any;
}

/** The options of `serve`. Those of workers are as for a `Pool`, and each host has its own. */
export interface ServeOptions
  extends Pick<
    WorkerOptions,
    'env' | 'execPath' | 'execArgv' | 'resourceLimits' | 'stdio' | 'spin' | 'maxWorkerMemory' | 'idleTimeout' | 'debug'
  > {
  /** What the chunks come from: an engine of the same queue as that of the producers. */
  engine: RemoteEngine;
  /**
   * The folder below which modules are looked for, by the path that they have below the producer's `root`. Nothing
   * outside of it is run. Default: `process.cwd()`.
   */
  root?: string | undefined;
  /** What the workers are. Default: `PARALLELIZER_CHILD`. */
  type?: Exclude<ParallelizerType, typeof PARALLELIZER_REMOTE> | undefined;
  /** How many workers each of its pools has. Default: one per usable CPU. */
  processes?: number | undefined;
  /**
   * Whether functions may come by their source: then whoever can write to the queue can run anything here. Default:
   * `false`.
   */
  allowFunctions?: boolean | undefined;
  /** As for producers. */
  secret?: string | Uint8Array | undefined;
  /** As for producers. */
  lease?: number | undefined;
  /** What errors call this host. Default: `os.hostname()`. */
  name?: string | undefined;
  /** How many pools it keeps: one for each module or initializer, the one that was used last. Default: `4`. */
  maxPools?: number | undefined;
}

/** A host that serves. Holds the event loop until it is closed. */
export interface Host {
  /**
   * Takes nothing more; resolves when everything that it has is finished, and its workers are gone. Open streams go on
   * until their readers have taken everything, or leave.
   */
  close(): Promise<void>;
  /** Ends its workers at once. What they were running is lost, and may be run again elsewhere. */
  terminate(): Promise<void>;
  stats(): HostStats;
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a host has done, and what it has. */
export interface HostStats {
  /** The name of the engine. */
  engine: string;
  /** The name of the host. */
  name: string;
  /** How many calls it runs at the same instant. */
  slots: number;
  /** Chunks that it has, and what became of the others. */
  chunks: { running: number; done: number; returned: number; lost: number };
  /** Streams that are open. */
  streams: number;
  /** Calls that returned a value, and calls that did not. */
  done: number;
  failed: number;
  /** One entry per pool. */
  pools: Stats[];
  /** What was last wrong with the connection, if anything was. */
  problem: string | null;
}

/**
 * Runs calls that pools of type `PARALLELIZER_REMOTE` send over this engine. Resolves when producers can see this host.
 * Installs no signal handler.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * const host = await serve({ engine: bullmq({ queue: 'orders', connection }), root: __dirname });
 * process.once('SIGTERM', () => host.close());
 */
export declare function serve(options: ServeOptions): Promise<Host>;

/** The options of one pool of a `Parallelizer`, where a call is a sub-batch. */
export interface ParallelizerOptions<TName extends string = string> extends WorkerOptions {
  /** Identifies the pool in a list; has no effect without a list. */
  id?: string | number | null | undefined;
  /**
   * The CommonJS or ES module with the function: an absolute path, one relative to `process.cwd()`, or a `file:` URL.
   * TypeScript if the running Node strips types.
   */
  filePath: string | URL;
  /** The name of one of the module's exports; `'default'` works. */
  processBatchFunctionName: TName;
  /** How many workers, at most 1024; `0` runs inline; `false` (the default) follows `parallelizationPerCPU`. */
  parallelization?: number | false | null | undefined;
  /**
   * Workers per usable CPU, as a number or a numeric string; the result is rounded, and at least 1. Default: `1`. The
   * number of usable CPUs is the smallest of what the system offers, the container's CPU quota, and on AWS Lambda the
   * function's memory in units of 1,769 MB.
   */
  parallelizationPerCPU?: number | string | null | undefined;
  /** Accepted for compatibility; nothing is written anywhere. */
  tmpPath?: string | null | undefined;
  /**
   * The most records per sub-batch. There may then be more sub-batches than workers, handed out as workers become free.
   * Default: one sub-batch per worker, of sizes that differ by at most 1.
   */
  batchSize?: number | undefined;
  /** A worker is replaced after this many sub-batches. Default: never. */
  maxBatchesPerWorker?: number | undefined;
}

/** The options of one pool of a list; `id` is required and unique. `TModules` has the types of the modules, by id. */
export type ParallelizerListOptions<TModules = any> =
  IsAny<TModules> extends true
    ? ParallelizerOptions & { id: string | number }
    : {
        [TId in PoolId<TModules>]: ParallelizerOptions<BatchFunctionName<TModules[TId]>> & { id: TId };
      }[PoolId<TModules>];

type PoolId<TModules> = keyof TModules & (string | number);

/** The options of a `Pool`, where a call is an item. */
export interface PoolOptions extends WorkerOptions {
  /**
   * How many workers, at most 1024; `0` runs inline. Default: the number of usable CPUs, which is the smallest of what
   * the system offers, the container's CPU quota, and on AWS Lambda the function's memory in units of 1,769 MB.
   */
  processes?: number | null | undefined;
  /**
   * Runs in every worker before anything else; may be asynchronous. If it throws, waiting and later calls reject with
   * its error.
   *
   * @example new Pool(4, { initializer: { filePath: '/var/task/work.js', name: 'connect' }, initArgs: [url] })
   */
  initializer?: Task<any[], unknown> | undefined;
  /**
   * The arguments of `initializer`; an error without one. The constructor throws `ERR_PARALLELIZER_SERIALIZATION` if
   * they cannot travel to workers. Default: none.
   */
  initArgs?: readonly any[] | undefined;
  /** A worker is replaced after this many items. Default: never. */
  maxTasksPerChild?: number | undefined;
  /** How many items one worker runs at the same time, for tasks that mostly wait. Default: `1`. */
  concurrency?: number | undefined;
}

/** What `onProgress` is given, in sub-batches or items. */
export interface Progress {
  /** How many have settled, failed ones included. */
  done: number;
  total: number;
  failed: number;
}

/** What goes first. */
interface Prioritized {
  /**
   * Calls with a higher one go first, those with the same in their order; it also overtakes calls that were sent to a
   * worker and have not begun. What waits gains one level per second. Calls of one key keep their order. An integer.
   * Default: `0`.
   */
  priority?: number | undefined;
}

/** The options of one call of `run`. */
export interface RunOptions<TRecord = any, TContext = any, TMessage = any> extends Prioritized {
  /**
   * Aborts the call: its unfinished sub-batches fail with `ERR_PARALLELIZER_ABORTED`, finished ones keep their
   * responses.
   */
  signal?: AbortSignal | undefined;
  /** Replaces the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /**
   * Returns the key of a record. Records with the same key form sub-batches of their own, which run in order, one after
   * another; different keys run in parallel.
   *
   * @example
   * await parallelizer.run(records, null, { groupBy: (record) => record.customerId });
   */
  groupBy?: ((record: TRecord) => unknown) | undefined;
  /**
   * After a failure, the later sub-batches of the same key fail with `ERR_PARALLELIZER_SKIPPED`. Requires `groupBy`.
   * Default: `false`.
   */
  stopKeyOnError?: boolean | undefined;
  /** Called as sub-batches settle. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with what the worker's function emits. What it throws becomes an uncaught exception. */
  onMessage?: ((value: TMessage, info: BatchMessageInfo) => void) | undefined;
  /** Passed to the worker's function as `context`: a request id, a deadline. */
  context?: TContext | undefined;
  /** Objects to move to the worker instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** The options of one call of `apply`. */
export interface ApplyOptions<TMessage = any> extends Prioritized {
  /** Called with what the task emits. What it throws becomes an uncaught exception. */
  onMessage?: ((value: TMessage, info: ItemMessageInfo) => void) | undefined;
  /** Aborts the call, which rejects with `ERR_PARALLELIZER_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Replaces the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /** Replaces the pool's `retries` for this call. */
  retries?: number | undefined;
  /** Objects to move to the worker instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** Called with the outcome before `get()` settles. What these throw becomes an uncaught exception. */
export interface Callbacks<TValue = any> {
  callback?: ((value: TValue) => void) | undefined;
  /** Called with the value that was thrown, which need not be an `Error`. */
  errorCallback?: ((error: any) => void) | undefined;
}

/** The options of one call of `applyAsync`. */
export interface ApplyAsyncOptions<TValue = any, TMessage = any> extends ApplyOptions<TMessage>, Callbacks<TValue> {}

/** What `onProgress` of `imap` and `imapUnordered` is given, in items. */
export interface StreamProgress extends Omit<Progress, 'total'> {
  /**
   * `undefined` until the source has ended. Where that is found out when all its items are done, they are reported once
   * more, with the total.
   */
  total: number | undefined;
}

/** What the options of `map` and `imap` have in common. */
interface ItemsOptions<TMessage = any> extends Prioritized {
  /** Called with what the task emits. What it throws becomes an uncaught exception. */
  onMessage?: ((value: TMessage, info: ItemMessageInfo) => void) | undefined;
  /** How many items go to a worker together. Default: adapts to the measured cost of an item. */
  chunkSize?: number | undefined;
  /** Aborts the call, which fails with `ERR_PARALLELIZER_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** How many milliseconds one item may run; replaces the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /** How many times one item is run again; replaces the pool's `retries` for this call. */
  retries?: number | undefined;
  /**
   * With `'reject'`, the default, the first error fails the call, and what has not begun is dropped. See `Collecting`.
   */
  onError?: 'reject' | undefined;
}

/** The options of one call of `imap` or `imapUnordered`. */
export interface StreamOptions<TMessage = any> extends ItemsOptions<TMessage> {
  /** Called as items settle. */
  onProgress?: ((progress: StreamProgress) => void) | undefined;
}

/** The options of one call of `map` or `starmap`. */
export interface MapOptions<TMessage = any> extends ItemsOptions<TMessage> {
  /** Called as items settle. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Objects to move to the worker instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** The options of one call of `mapAsync` or `starmapAsync`; `callback` is given all results. */
export interface MapAsyncOptions<TValue = any, TMessage = any> extends MapOptions<TMessage>, Callbacks<TValue> {}

/** The options of one call of `broadcast`. */
export interface BroadcastOptions<TMessage = any> extends Omit<ApplyOptions<TMessage>, 'transferList'> {
  /** With `'reject'`, the default, the first error by the index of the worker fails the call. See `Collecting`. */
  onError?: 'reject' | undefined;
}

/** The options of one call of `stream`. */
export interface YieldOptions<TMessage = any> extends Omit<ApplyOptions<TMessage>, 'transferList' | 'retries'> {
  /** How many values the worker may be ahead of the reader; at least 1. Default: `16`. */
  highWaterMark?: number | undefined;
  /** How many times the call is run again after the worker that ran it died, as long as it has yielded nothing. */
  retries?: number | undefined;
}

/**
 * Options with which no item fails the call: the result for each is
 * `{ status: 'fulfilled', value } | { status: 'rejected', reason }`, as with `Promise.allSettled`.
 *
 * @example
 * const options: Collecting<MapOptions> = { chunkSize: 10, onError: 'collect' };
 * const failed = (await pool.map(task, items, options)).filter(({ status }) => status === 'rejected');
 */
export type Collecting<TOptions extends { onError?: 'reject' | undefined }> = Omit<TOptions, 'onError'> & {
  onError: 'collect';
};

/**
 * One call on one pool of an instance that was made from a list. Without `params` of its own it has those that are
 * passed to `run` for all.
 */
export type RunItem<TModules = any> =
  IsAny<TModules> extends true
    ? { id: string | number; batch: Batch; params?: any }
    : {
        [TId in PoolId<TModules>]: { id: TId } & ItemOf<TModules[TId], BatchFunctionName<TModules[TId]>>;
      }[PoolId<TModules>];

type ItemOf<TModule, TName> = { batch: Batch<RecordOf<TModule, TName>> } & (null extends ParamsOf<TModule, TName>
  ? { params?: ParamsOf<TModule, TName> | undefined }
  : { params: ParamsOf<TModule, TName> });

/** An array, or a typed array if the records are numbers. A record that is itself an array stays one record. */
export type Batch<TRecord = any> =
  | readonly TRecord[]
  | (number extends TRecord ? Exclude<NodeJS.TypedArray, BigIntArray> : never)
  | (bigint extends TRecord ? BigIntArray : never);

type BigIntArray = BigInt64Array | BigUint64Array;

// ----------------------------------------------------------------------------------------------------------- results

/** Why a sub-batch failed. */
export type BatchError = Error & {
  /** The position of the sub-batch in its call, from 0. */
  batchIndex: number;
  /** The indices of its records in the batch that was passed to `run`. */
  records: number[];
  /** The `code` of the thrown error, or a `ParallelizerErrorCode`. */
  code?: string | number;
  /** The UUID of the call of `run`. */
  runId: string;
};

export interface RunResult<TResponse = any> {
  /** What the function returned for the sub-batches that succeeded, in the order of the sub-batches. */
  responses: TResponse[];
  /** One string per failed sub-batch, in their order: `String(error)`, as computed in the worker. */
  failures: string[];
  /**
   * The errors behind `failures`, at the same positions. Not enumerable, so absent from JSON, spreads and logs. If what
   * was thrown is not an `Error`, it is the `cause` of one.
   *
   * @example
   * const result = await parallelizer.run(event.Records);
   * const failed = result.errors.flatMap((error) => error.records);
   */
  readonly errors: BatchError[];
}

/** A distribution of durations, in milliseconds; all 0 while `count` is 0. */
export interface Histogram {
  count: number;
  min: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export interface WorkerStats {
  id: number;
  /** Of threads, and inline, that of this process; `null` before a process is started, and on other machines. */
  pid: number | null;
  state: 'starting' | 'ready' | 'busy' | 'stopping';
  /** As the worker itself knows it; `null` while it waits for the place of one that is still there. */
  workerIndex: number | null;
  /** Calls that this worker answered, failed ones included. */
  done: number;
  failed: number;
}

// ------------------------------------------------------------------------------------------------------------ events

/** The worker that an event is about. */
export interface WorkerIdentity {
  /** The `id` of its pool, in an instance made from a list. */
  id?: string | number;
  /**
   * From 0 to the number of workers less 1; a worker that takes the place of another has its index. `null` for one that
   * has ended before it had any.
   */
  workerIndex: number | null;
  /** The process, where workers are processes; of inline ones it is this one. `null` where none could be started. */
  pid?: number | null;
  /** The thread, where workers are threads. `null` where none could be started. */
  threadId?: number | null;
}

/** A worker has loaded its module, or run its initializer, and takes calls. */
export interface WorkerReady extends WorkerIdentity {
  /** How many milliseconds ago it was started. */
  uptime: number;
}

/** A worker has ended. */
export interface WorkerExit extends WorkerIdentity {
  /**
   * - `closed`: the instance was closed or terminated, or its workers were removed
   * - `idle`: `idleTimeout`, or there was nothing to do for it
   * - `recycled`: it had run as many calls, or used as much memory, as it may
   * - `crashed`: it ended by itself, or something else killed it
   * - `killed`: the library killed it, since a call had timed out or was aborted and did not stop, or since nothing could
   *   be done with the worker
   * - `boot-failed`: it was never ready
   */
  reason: 'closed' | 'idle' | 'recycled' | 'crashed' | 'killed' | 'boot-failed';
  exitCode: number | null;
  signal: string | null;
  /** How many calls it had answered, failed ones included. */
  calls: number;
  /** How many milliseconds ago it was started. */
  uptime: number;
}

/** A worker has ended and counts as replaced. */
export interface WorkerRestart extends WorkerIdentity {
  reason: WorkerExit['reason'];
  /** As in `stats()`. */
  restarts: number;
}

/** So many calls wait as `maxQueue` allows. */
export interface QueueSaturated {
  id?: string | number;
  waiting: number;
  maxQueue: number | null;
}

/** No call waits any more. */
export interface QueueDrained {
  id?: string | number;
  waiting: 0;
}

/** The events of a `Pool` and of a `Parallelizer`, with what listeners are given. */
export interface InstanceEvents {
  workerStart: [worker: WorkerIdentity];
  workerReady: [worker: WorkerReady];
  workerExit: [worker: WorkerExit];
  /** After the `workerExit` of the worker that is replaced. */
  restart: [worker: WorkerRestart];
  /** Once, until `drain`. */
  saturated: [queue: QueueSaturated];
  drain: [queue: QueueDrained];
}

/**
 * What `Pool` and `Parallelizer` have of an `EventEmitter`. What a listener throws is an uncaught exception, and does no
 * harm to the instance.
 *
 * @example
 * pool.on('workerExit', ({ workerIndex, reason, exitCode }) => log.warn({ workerIndex, reason, exitCode }));
 */
interface Emitter extends EventEmitter {
  on<E extends keyof InstanceEvents>(event: E, listener: (...args: InstanceEvents[E]) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof InstanceEvents>(event: E, listener: (...args: InstanceEvents[E]) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
  off<E extends keyof InstanceEvents>(event: E, listener: (...args: InstanceEvents[E]) => void): this;
  off(event: string | symbol, listener: (...args: any[]) => void): this;
  addListener<E extends keyof InstanceEvents>(event: E, listener: (...args: InstanceEvents[E]) => void): this;
  addListener(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** What subscribers of the channel `parallelizer:worker` are given: the name of the event, and what its listeners get. */
export type WorkerMessage =
  | ({ event: 'workerStart' } & WorkerIdentity)
  | ({ event: 'workerReady' } & WorkerReady)
  | ({ event: 'workerExit' } & WorkerExit)
  | ({ event: 'restart' } & WorkerRestart);

/** What subscribers of the tracing channel `parallelizer:run` are given: one object for each run, from start to end. */
export interface RunMessage {
  /** As in errors and in `AsyncResult.id`. */
  readonly runId: string;
  /** `'run'`, or the method of the `Pool`. */
  method: string;
  /** The `id` of the pool; `'pool'`, or `'single-process'`, where it has none. */
  id: string | number;
  type: ParallelizerType;
  /** The name of the function, or the beginning of its source; `null` for a run on several pools. */
  task: string | null;
  /** How many calls, sub-batches or items, have been submitted for it so far, and how many of them have failed. */
  calls: number;
  failed: number;
  /** How many milliseconds its first calls have waited for a worker; `undefined` until they are sent. */
  wait: number | undefined;
  /** What its caller gets. */
  result?: unknown;
  error?: unknown;
}

/**
 * What subscribers of the tracing channel `parallelizer:call` are given: one object for each sub-batch, and for items one
 * for each chunk, that is sent to a worker.
 */
export interface CallMessage {
  readonly runId: string;
  /** That of its run, where somebody has subscribed to runs as well. */
  parent: RunMessage | null;
  method: string;
  id: string | number;
  type: ParallelizerType;
  task: string | null;
  /** The number of its first call within the run, and how many it has. */
  first: number;
  calls: number;
  /** How many of them have settled in it, and failed: the others were taken back, or run again. */
  settled: number;
  failed: number;
  /** How many milliseconds it has waited for a worker since its submission; 0 until it is encoded. */
  wait: number;
  /** For how many milliseconds its calls have run, by the worker's measurement, one after another. */
  run: number;
  /** Bytes of its arguments; 0 until it is encoded. */
  bytes: number;
  /** Whether some of its calls were sent more than once: the worker died, or they were taken back for another one. */
  isRepeated: boolean;
  worker: WorkerIdentity;
  /**
   * What is to travel with it: a subscriber of `start` may set it to an object of strings such as
   * `{ traceparent, baggage }`. The worker's functions run within the context that these name, for the OpenTelemetry API
   * that the worker has set up.
   */
  carrier: Record<string, string> | null;
  /** The first error of its calls. Of one that has no answer: the reason, such as `'aborted'` or `'timedOut'`. */
  error?: unknown;
}

/** An event of a timeline; docs/observability.md describes them. */
export interface TraceEvent {
  name: string;
  ph: string;
  ts: number;
  pid: number;
  tid: number;
  cat?: string;
  dur?: number;
  id?: string;
  args?: Record<string, unknown>;
  [field: string]: unknown;
}

/** A timeline in Chrome's trace event format. */
export interface Trace {
  traceEvents: TraceEvent[];
}

/** What a pool is doing and has done. A call is one sub-batch or one item. */
export interface Stats {
  /** Which build of the scheduler runs: the addon, or WebAssembly where there is none for the platform. */
  scheduler: 'native' | 'wasm';
  workers: WorkerStats[];
  /** Calls in the queue now. */
  waiting: number;
  /** Calls at a worker now. */
  running: number;
  /** Calls settled since the start, failed ones included. */
  done: number;
  failed: number;
  /** Workers that were started to replace others that died or were replaced. */
  restarts: number;
  bytesSent: number;
  bytesReceived: number;
  /** Bytes of the arguments of calls that are at a worker now and, as far as earlier ones tell, of their results. */
  bytesInFlight: number;
  /**
   * How long this thread has lately been busy with other things before it looked after the workers, in milliseconds.
   * They are given more in advance then; 0 while it is quick enough, and always without the addon or with
   * `PARALLELIZER_REMOTE`, whose chunks are large enough for a trip to another machine.
   */
  lag: number;
  /** From submission to the beginning of the call. */
  waitTime: Histogram;
  /** From the beginning of the call to its settlement. */
  runTime: Histogram;
  /** See `advice()`. */
  advice: Advice;
  /** With `PARALLELIZER_REMOTE`; its `workers` are lanes: chunks that may be in flight at the same time. */
  remote?: RemoteStats;
}

/** What a pool sees of its hosts, and what became of what it has sent. */
export interface RemoteStats {
  /** The name of the engine. */
  engine: string;
  /** The hosts that are there, by name. Broadcasts answer in this order. */
  hosts: { id: string; name: string; slots: number }[];
  /** How many calls they run at the same instant. */
  slots: number;
  /** How many chunks they may have. */
  lanes: number;
  /** Chunks so far; `late` are frames that came after their chunk had been given up, and were dropped. */
  chunks: { sent: number; done: number; lost: number; returned: number; late: number };
  /** What was last wrong with the connection, if anything was. */
  problem: string | null;
}

/**
 * Whether workers pay for the calls that a pool has run, and what would change that, reckoned from what was measured in
 * this process. Nothing is decided by it.
 *
 * In the calling thread, a call is taken to cost the time for which it computes: while it waits, others can run, as with
 * `Promise.all`. Streams and broadcasts do not count.
 */
export interface Advice {
  /**
   * Whether workers are faster than the calling thread alone, by a tenth or more. Of a pool without workers (inline):
   * whether they would be. `null` until calls were measured.
   */
  pays: boolean | null;
  /**
   * How many times as fast as the calling thread alone; below 1 it is slower. Of a pool without workers: how fast one
   * worker for each usable CPU would be. `null` until calls were measured.
   */
  factor: number | null;
  /**
   * From how many milliseconds on a call with such values would pay, if it computes and there are always enough of them.
   * `null` if none would: with one worker or one usable CPU, and until calls were measured.
   */
  breakEven: number | null;
  /**
   * The option of the constructor, or of the call (`chunkSize`, `transferList`), that would make it faster, and by what
   * factor (of `transferList`, and of a `type` that allows for it: at most). `null` if none would.
   */
  change: {
    option:
      | 'processes'
      | 'parallelization'
      | 'concurrency'
      | 'type'
      | 'batchSize'
      | 'chunkSize'
      | 'transferList';
    /** What to set it to; `null`: leave it out. Of `transferList` it says nothing. */
    value: number | string | null;
    factor: number;
  } | null;
  /** All of this in a sentence or two. */
  text: string;
  /** What it was reckoned from; recent calls count for more. Durations are milliseconds. */
  measured: {
    /** How many calls were measured. */
    calls: number;
    /** How long a call runs, by the worker's measurement. */
    run: number;
    /**
     * For which part of that it computes, from 0 to 1; the rest of the time it waits. In processes what blocks the thread,
     * such as `execFileSync`, is waiting, too. `null` where that is not known: it is taken for 1.
     */
    computing: number | null;
    /** How long the calling thread is busy with sending a call and taking its result. */
    sending: number;
    /** How many bytes a call's arguments and result have together. */
    bytes: number;
    /** How many calls there are at a time, no more than the workers can run. */
    demand: number;
    /** 0: inline. */
    workers: number;
    /** How many CPUs this process may use. */
    cpus: number;
  };
}

// ------------------------------------------------------------------------------------------------------ Parallelizer

/** The methods that both forms of an instance have. */
interface Pools extends Emitter {
  /**
   * What the workers did and when, in Chrome's trace event format: `JSON.stringify` it into a file for
   * https://ui.perfetto.dev. Of a list, all pools are in it that have the option.
   *
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` without the option `trace`
   */
  trace(): Trace;
  /**
   * Resolves when the workers are up and have loaded the module; calling it is never necessary. In the next turn, if
   * nothing is submitted before, the library loads what it otherwise loads after the first run. Rejects with
   * `ERR_PARALLELIZER_MODULE` if the module does not load, with `ERR_PARALLELIZER_WORKER_EXITED` if the workers die
   * while loading it.
   */
  ready(): Promise<void>;
  /**
   * Stops the workers at once, of all pools or of those with the given ids. What is under way fails with
   * `ERR_PARALLELIZER_CLOSED`; the next `run` starts workers again. Unknown ids are ignored.
   */
  removeChildThreads(ids?: string | number | readonly (string | number)[] | null): void;
  /** Accepts nothing more, finishes what was accepted, then stops the workers. */
  close(): Promise<void>;
  /**
   * Accepts nothing more and stops the workers at once; what is under way fails with `ERR_PARALLELIZER_CLOSED`. Rejects
   * with `ERR_PARALLELIZER_WORKER_OUTLIVES` if a worker process cannot be ended.
   */
  terminate(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An instance made from one options object. */
export interface Parallelizer<TModule = any, TName extends BatchFunctionName<TModule> = BatchFunctionName<TModule>>
  extends Pools {
  /**
   * Cuts the batch into sub-batches, one per worker unless `batchSize` or `groupBy` says otherwise, and runs them in
   * parallel. Any number of calls may be under way at once. An empty batch resolves at once.
   *
   * A sub-batch that fails never rejects the call: see `failures`. The call rejects with `ERR_PARALLELIZER_OPTION` for
   * bad arguments, with `ERR_PARALLELIZER_QUEUE_FULL`, and with `ERR_PARALLELIZER_CLOSED`.
   *
   * `params` may be omitted if the function accepts `null` for them.
   *
   * @example
   * const { responses, failures } = await parallelizer.run(event.Records, { table: 'orders' });
   */
  run(
    batch: Batch<RecordOf<TModule, TName>>,
    ...rest: null extends ParamsOf<TModule, TName>
      ? [params?: ParamsOf<TModule, TName>, runOptions?: RunOptionsOf<TModule, TName>]
      : [params: ParamsOf<TModule, TName>, runOptions?: RunOptionsOf<TModule, TName>]
  ): Promise<RunResult<Response<TModule, TName>>>;
  /** A snapshot of what the pool is doing and has done: counts, milliseconds, bytes. */
  stats(): Stats;
  /**
   * Whether workers pay for what was run so far, by what factor, and which option would change it.
   *
   * @example console.log(parallelizer.advice().text); // Workers pay: a call takes 5.1 ms, and sending it …
   */
  advice(): Advice;
}

/**
 * An instance made from a list of options objects: one pool per `id`. `TModules` has the types of the modules, by id.
 */
export interface ParallelizerList<TModules = any> extends Pools {
  /**
   * Runs each item on the pool that it names, all at the same time. The results are in the order of the items. Rejects
   * as the other form does, and for an unknown id; then it has run none of them.
   *
   * @param params for the items without `params` of their own
   *
   * @example
   * const [orders, images] = await parallelizer.run([
   *   { id: 'orders', batch: event.orders },
   *   { id: 'images', batch: event.images, params: { width: 640 } },
   * ]);
   */
  run<TItems extends readonly RunItem<TModules>[]>(
    items: readonly [...TItems],
    params?: unknown,
    runOptions?: RunOptions,
  ): Promise<{ -readonly [I in keyof TItems]: RunResult<ResponseById<TModules, TItems[I]['id']>> }>;
  /** The statistics of each pool, by id. */
  stats(): IsAny<TModules> extends true ? { [id: string]: Stats } : { [TId in PoolId<TModules> as `${TId}`]: Stats };
  /** The advice of each pool, by id. */
  advice(): IsAny<TModules> extends true ? { [id: string]: Advice } : { [TId in PoolId<TModules> as `${TId}`]: Advice };
}

type ResponseById<TModules, TId> =
  IsAny<TModules> extends true
    ? any
    : TId extends keyof TModules
      ? Response<TModules[TId], BatchFunctionName<TModules[TId]>>
      : never;

/**
 * Spreads batches over workers that start when the instance is created and are reused by every `run`. An instance with
 * nothing under way does not keep the process alive.
 *
 * With the type of the worker's module as a type argument, `run` takes and resolves to what its function takes and
 * returns, and only the names of its functions are allowed. If it has several, `run` takes what suits all of them; a
 * second type argument names the one that is used: `Parallelizer<typeof import('./child'), 'batchProcessor'>`.
 *
 * @example
 * const { Parallelizer } = require('@parallelizer/node');
 *
 * const parallelizer = new Parallelizer({
 *   filePath: '/var/task/src/child.js',
 *   processBatchFunctionName: 'batchProcessor',
 * });
 *
 * exports.handler = async (event) => {
 *   const { responses, failures } = await parallelizer.run(event.Records);
 *   return { done: responses.length, failed: failures.length };
 * };
 *
 * @example
 * // TypeScript: a wrong name, record or params does not compile.
 * const parallelizer = new Parallelizer<typeof import('./child')>({
 *   filePath: new URL('./child.js', import.meta.url),
 *   processBatchFunctionName: 'batchProcessor',
 * });
 */
export declare const Parallelizer: {
  // Both first and last: after a mistake, compilers report the last signature, and go on with what the first one makes.
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new (options: ParallelizerOptions): Parallelizer;
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new (options: readonly ParallelizerListOptions[]): ParallelizerList;
  /**
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
   *
   * @example
   * type Modules = { orders: typeof import('./orders'); images: typeof import('./images') };
   * const parallelizer = new Parallelizer<Modules>([
   *   { id: 'orders', filePath: '/var/task/orders.js', processBatchFunctionName: 'store' },
   *   { id: 'images', filePath: '/var/task/images.js', processBatchFunctionName: 'shrink', type: PARALLELIZER_THREADS
   *   },
   * ]);
   */
  new <TModules extends ModuleTable<TModules>>(
    options: readonly ParallelizerListOptions<TModules>[],
  ): ParallelizerList<TModules>;
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new <TModule = any, TName extends BatchFunctionName<TModule> = BatchFunctionName<TModule>>(
    options: ParallelizerOptions<TName>,
  ): Parallelizer<TModule, TName>;
};

/** Modules by id, as opposed to one module, whose exports are functions. */
type ModuleTable<TModules> = { [TId in keyof TModules]: TModules[TId] extends (...args: any) => any ? never : object };

// -------------------------------------------------------------------------------------------------------------- Pool

/**
 * The future outcome of a call. Can be awaited any number of times; a failure that nobody asks for is not an unhandled
 * rejection.
 *
 * @example
 * const result = pool.applyAsync(task, [7]);
 * if (!result.ready()) await result.wait(100);
 * console.log(await result);
 */
export interface AsyncResult<TValue = any> extends PromiseLike<TValue> {
  /** A UUID of version 7, which sorts by the time of the call; also the `runId` of errors about it. */
  readonly id: string;
  /**
   * Resolves to the result of the call, or rejects with its error. Rejects with `ERR_PARALLELIZER_TIMEOUT` if the call
   * has not settled after `timeout` milliseconds; the call goes on, and `get` can be called again. Default: no limit.
   */
  get(timeout?: number | null): Promise<TValue>;
  /** Resolves when the call has settled, either way, or after `timeout` milliseconds. Default: no limit. */
  wait(timeout?: number | null): Promise<void>;
  /** Whether the call has settled. */
  ready(): boolean;
  /**
   * Whether the call succeeded.
   *
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` while it has not settled
   */
  successful(): boolean;
  then<TResult1 = TValue, TResult2 = never>(
    onfulfilled?: ((value: TValue) => TResult1 | PromiseLike<TResult1>) | null,
    onrejected?: ((reason: any) => TResult2 | PromiseLike<TResult2>) | null,
  ): Promise<TResult1 | TResult2>;
  catch<TResult = never>(
    onrejected?: ((reason: any) => TResult | PromiseLike<TResult>) | null,
  ): Promise<TValue | TResult>;
  finally(onfinally?: (() => void) | null): Promise<TValue>;
}

/** The results of `imap` and `imapUnordered`. */
export interface ResultStream<TValue = any> extends AsyncIterableIterator<TValue> {
  /** Drops what has not begun, as leaving the loop does. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Runs a task for each of many items, in workers that start when the pool is created: Python's `multiprocessing.Pool`.
 * A pool with nothing under way does not keep the process alive.
 *
 * Methods that return a promise reject, and others throw, with `ERR_PARALLELIZER_OPTION` for bad arguments, with
 * `ERR_PARALLELIZER_CLOSED` after `close` or `terminate`, and with `ERR_PARALLELIZER_QUEUE_FULL`. A task's own error
 * arrives as it was thrown; an error of this library about an item has its index in `records`.
 *
 * @example
 * const { Pool } = require('@parallelizer/node');
 *
 * const pool = new Pool(4);
 * try {
 *   await pool.map((x) => x * x, [1, 2, 3]); // [1, 4, 9]
 *   await pool.map({ filePath: '/var/task/work.js', name: 'thumbnail' }, files);
 * } finally {
 *   pool.close();
 *   await pool.join();
 * }
 */
export declare interface Pool extends Emitter {}

export declare class Pool {
  /**
   * @param processes how many workers, at most 1024; `0` runs inline. Default: the number of usable CPUs
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
   *
   * @example new Pool(4, { maxTasksPerChild: 100 })
   */
  constructor(processes?: number | null, options?: Omit<PoolOptions, 'processes'>);
  /**
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
   *
   * @example new Pool({ processes: 4, type: PARALLELIZER_THREADS })
   */
  constructor(options: PoolOptions);

  /**
   * Calls the task once, with these arguments.
   *
   * @example await pool.apply((a, b) => a + b, [1, 2]); // 3
   */
  apply<TResult = any, TMessage = any>(
    task: Task<[], TResult, TMessage>,
    args?: readonly [],
    options?: ApplyOptions<TMessage>,
  ): Promise<Awaited<TResult>>;
  apply<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    args: TArguments,
    options?: ApplyOptions<TMessage>,
  ): Promise<Awaited<TResult>>;

  /**
   * Like `apply`, with a result that can be read later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   *
   * @example pool.applyAsync(task, [7], { callback: (value) => console.log(value), errorCallback: console.error });
   */
  applyAsync<TResult = any, TMessage = any>(
    task: Task<[], TResult, TMessage>,
    args?: readonly [],
    options?: ApplyAsyncOptions<Awaited<TResult>, TMessage>,
  ): AsyncResult<Awaited<TResult>>;
  applyAsync<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    args: TArguments,
    options?: ApplyAsyncOptions<Awaited<TResult>, TMessage>,
  ): AsyncResult<Awaited<TResult>>;

  /**
   * Calls the task once per item; the results are in the order of the items. Rejects with the first error in that
   * order, and drops what has not begun. The list is copied at the call, the items themselves are read when they are
   * sent.
   *
   * @example const sizes = await pool.map('/var/task/work.js#sizeOf', files, { signal, timeout: 5_000 });
   */
  map<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    items: Iterable<TItem>,
    options?: MapOptions<TMessage>,
  ): Promise<Awaited<TResult>[]>;
  /** With `onError: 'collect'` no item makes it reject; it resolves to what `Promise.allSettled` would resolve to. */
  map<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    items: Iterable<TItem>,
    options: Collecting<MapOptions<TMessage>>,
  ): Promise<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * Like `map`, with a result that can be read later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   */
  mapAsync<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    items: Iterable<TItem>,
    options?: MapAsyncOptions<Awaited<TResult>[], TMessage>,
  ): AsyncResult<Awaited<TResult>[]>;
  mapAsync<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    items: Iterable<TItem>,
    options: Collecting<MapAsyncOptions<PromiseSettledResult<Awaited<TResult>>[], TMessage>>,
  ): AsyncResult<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * Like `map`, where each item is the list of arguments of one call.
   *
   * @example await pool.starmap((a, b) => a ** b, [[2, 3], [3, 2]]); // [8, 9]
   */
  starmap<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    items: Iterable<TArguments>,
    options?: MapOptions<TMessage>,
  ): Promise<Awaited<TResult>[]>;
  starmap<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    items: Iterable<TArguments>,
    options: Collecting<MapOptions<TMessage>>,
  ): Promise<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * Like `starmap`, with a result that can be read later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   */
  starmapAsync<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    items: Iterable<TArguments>,
    options?: MapAsyncOptions<Awaited<TResult>[], TMessage>,
  ): AsyncResult<Awaited<TResult>[]>;
  starmapAsync<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    items: Iterable<TArguments>,
    options: Collecting<MapAsyncOptions<PromiseSettledResult<Awaited<TResult>>[], TMessage>>,
  ): AsyncResult<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * Like `map`, for sources of any length: yields results as they come, in the order of the items, and reads its source
   * only as far ahead as the pool can use, from the first `next()` on. The first error ends it. Leaving the loop drops
   * what has not begun, and fires the signal of what runs.
   *
   * If the source throws, the results of what it yielded before come first.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   *
   * @example
   * for await (const row of pool.imap(parse, readline.createInterface({ input }))) rows.push(row);
   */
  imap<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options?: StreamOptions<TMessage>,
  ): ResultStream<Awaited<TResult>>;
  imap<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options: Collecting<StreamOptions<TMessage>>,
  ): ResultStream<PromiseSettledResult<Awaited<TResult>>>;

  /** Like `imap`, with each result as soon as it is there. */
  imapUnordered<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options?: StreamOptions<TMessage>,
  ): ResultStream<Awaited<TResult>>;
  imapUnordered<TItem, TResult = any, TMessage = any>(
    task: Task<[TItem], TResult, TMessage>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options: Collecting<StreamOptions<TMessage>>,
  ): ResultStream<PromiseSettledResult<Awaited<TResult>>>;

  /**
   * Calls a generator function, or one that returns an iterable, and yields what that yields: one call with many
   * results. The call begins with the first `next()`. Its worker is at most `highWaterMark` values ahead of the reader;
   * time spent waiting for the reader does not count for `timeout`. Leaving the loop runs the generator's `finally`, in
   * the worker. An error comes after the values before it. What the generator returns is the value of the last result.
   *
   * A stream takes the place of a call until it is read to its end or left. So readers that await other calls of the
   * same pool may block each other: after ten seconds of that, the process prints a warning.
   *
   * On other machines the same holds. It is refused where the engine cannot tell a host what the reader has taken, as
   * with AWS Lambda.
   *
   * @throws {ParallelizerError} at once: for bad arguments and a closed pool, and where the engine cannot carry it
   *
   * @example
   * for await (const row of pool.stream({ filePath, name: 'readRows' }, ['big.csv'])) await insert(row);
   */
  stream<TYield = any, TMessage = any>(
    task: YieldingTask<[], TYield, TMessage>,
    args?: readonly [],
    options?: YieldOptions<TMessage>,
  ): ResultStream<Awaited<TYield>>;
  stream<TArguments extends ArgumentList, TYield = any, TMessage = any>(
    task: YieldingTask<TArguments, TYield, TMessage>,
    args: TArguments,
    options?: YieldOptions<TMessage>,
  ): ResultStream<Awaited<TYield>>;

  /**
   * Calls the task once on every worker, for caches and configuration; the results are in the order of the workers'
   * indices. Waits for workers that are starting, and starts those that are missing. It does not count for
   * `maxTasksPerChild`. A worker that starts later does not get it: that is what `initializer` is for. If some fail,
   * the others run all the same, and then it rejects with the first error by index. Inline it is one call.
   *
   * On other machines it waits for a host (`hostTimeout`), and then runs on each process of all hosts that are there:
   * host by host in the order of `stats().remote.hosts`. The death of a host fails its entries, whatever `retries` says.
   *
   * Rejects with `ERR_PARALLELIZER_OPTION` where workers are `shared`, and where the engine cannot tell hosts apart, as
   * with AWS Lambda.
   *
   * @example await pool.broadcast({ filePath, name: 'reloadRules' }, [rules]);
   */
  broadcast<TResult = any, TMessage = any>(
    task: Task<[], TResult, TMessage>,
    args?: readonly [],
    options?: BroadcastOptions<TMessage>,
  ): Promise<Awaited<TResult>[]>;
  broadcast<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    args: TArguments,
    options?: BroadcastOptions<TMessage>,
  ): Promise<Awaited<TResult>[]>;
  broadcast<TArguments extends ArgumentList, TResult = any, TMessage = any>(
    task: Task<TArguments, TResult, TMessage>,
    args: TArguments,
    options: Collecting<BroadcastOptions<TMessage>>,
  ): Promise<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * Resolves when the workers are up and the initializer has run; calling it is never necessary. In the next turn, if
   * nothing is submitted before, the library loads what it otherwise loads after the first calls. Rejects with what the
   * initializer threw, or with `ERR_PARALLELIZER_WORKER_EXITED` if the workers die while running it.
   */
  ready(): Promise<void>;
  /** Accepts nothing more; what was accepted is finished, including streams. */
  close(): void;
  /**
   * After `close` or `terminate`, resolves when all work has settled and all workers are gone. Before, rejects with
   * `ERR_PARALLELIZER_OPTION`.
   */
  join(): Promise<void>;
  /**
   * Accepts nothing more and stops the workers at once; what is unfinished rejects with `ERR_PARALLELIZER_CLOSED`.
   * Resolves when all workers are gone. Rejects with `ERR_PARALLELIZER_WORKER_OUTLIVES` if a worker process cannot be
   * ended.
   */
  terminate(): Promise<void>;
  /** A snapshot of what the pool is doing and has done: counts, milliseconds, bytes. */
  stats(): Stats;
  /**
   * Whether workers pay for what was run so far, by what factor, and which option would change it.
   *
   * @example console.log(pool.advice().text); // Workers pay: a call takes 5.1 ms, and sending it …
   */
  advice(): Advice;
  /**
   * What the workers did and when, in Chrome's trace event format: `JSON.stringify` it into a file for
   * https://ui.perfetto.dev.
   *
   * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` without the option `trace`
   */
  trace(): Trace;
  /** `close` and `join`, for `await using`. Python's `with` terminates instead. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------------ errors

export type ParallelizerErrorCode =
  /** A bad option or argument; the message names it. */
  | 'ERR_PARALLELIZER_OPTION'
  /** The module does not load (`cause` is its own error), or has no such function. */
  | 'ERR_PARALLELIZER_MODULE'
  /** A worker died, or could not be started; has `pid`, `exitCode`, `signal` and `stderr`. */
  | 'ERR_PARALLELIZER_WORKER_EXITED'
  /** Worker processes were killed and have not ended; with `pids`. */
  | 'ERR_PARALLELIZER_WORKER_OUTLIVES'
  /** A sub-batch or an item ran for too long, or the `timeout` of `get` of an `AsyncResult` has passed. */
  | 'ERR_PARALLELIZER_TIMEOUT'
  /** The signal fired; `name` is `'AbortError'`, `cause` the signal's reason. */
  | 'ERR_PARALLELIZER_ABORTED'
  /** `maxQueue` has no room for the call; nothing of it was run. */
  | 'ERR_PARALLELIZER_QUEUE_FULL'
  /** The pool was closed, or its workers were removed. */
  | 'ERR_PARALLELIZER_CLOSED'
  /** Remote: no host was there within `hostTimeout`. */
  | 'ERR_PARALLELIZER_NO_HOST'
  /** An earlier record of the same key failed, and `stopKeyOnError` is set. */
  | 'ERR_PARALLELIZER_SKIPPED'
  /** A value cannot travel; the message says where it is. */
  | 'ERR_PARALLELIZER_SERIALIZATION'
  /** A worker sent something that this library does not understand. */
  | 'ERR_PARALLELIZER_PROTOCOL'
  /** Records failed of an event that has no partial response, see `@parallelizer/node/lambda`. */
  | 'ERR_PARALLELIZER_RECORDS_FAILED'
  /** A record cannot be read as what it should be; `cause` says why. */
  | 'ERR_PARALLELIZER_DECODE'
  /** What a record holds does not fit its schema; `issues` says where. */
  | 'ERR_PARALLELIZER_SCHEMA'
  /**
   * There is no addon for this system, or it does not load; or this process cannot start such workers, for want of a
   * permission or as it is no plain Node.js. The message says what to do.
   */
  | 'ERR_PARALLELIZER_PLATFORM';

/**
 * Every error that this library raises itself; errors of your own functions arrive as they were thrown.
 *
 * @example
 * for (const error of result.errors) {
 *   if (error instanceof ParallelizerError) console.error(error.code, error.pid, error.stderr);
 * }
 */
export declare class ParallelizerError extends Error {
  constructor(code: ParallelizerErrorCode, message: string, options?: { cause?: unknown });
  code: ParallelizerErrorCode;
  cause?: unknown;
  /**
   * What the error is about: the call of `run`, `map`, `apply` or another method, as a UUID of version 7, which sorts
   * by the time of the call. Of an `…Async` method it is the `id` of the `AsyncResult`. Absent if the error is about no
   * such call, as with a bad option.
   */
  runId?: string;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the worker's process id. */
  pid?: number | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the exit code; `null` after a signal, or if it is not known. */
  exitCode?: number | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the signal's name, or `null`. */
  signal?: string | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the last lines that the worker wrote. */
  stderr?: string;
  /** The host that it is about or comes from, with `PARALLELIZER_REMOTE` and where one is known. */
  host?: string;
  /** With `ERR_PARALLELIZER_WORKER_OUTLIVES`: the processes that stay. */
  pids?: number[];
  /** The position of the sub-batch that failed, in `result.errors`. */
  batchIndex?: number;
  /**
   * What the error is about: in `result.errors`, the indices of the sub-batch's records; from `map`, `starmap` and
   * `imap` of a `Pool`, the index of the item, as a list of one.
   */
  records?: number[];
}
