/// <reference types="node" />

// The public types of `@parallelizer/node`, written by hand. Durations are milliseconds, sizes are bytes unless a name
// says otherwise.
//
// What a worker module takes and returns is read off its own type, `typeof import('./worker')`; without it all of that is
// `any`. A type here is for whoever writes code; the library checks each value itself, and names what is wrong.

// Only what is marked so is exported.
export {};

/** Workers are child processes (the default): a crash harms nothing but the sub-batch or the item that it was at. */
export declare const PARALLELIZER_CHILD: 'child-process';
/** Workers are threads of this process: lighter to start, and they can share memory. */
export declare const PARALLELIZER_THREADS: 'worker-threads';
/**
 * No worker: the function runs in the calling process. Values still pass through the codec, so that a unit test with
 * mocked clients sees what a worker would see.
 */
export declare const PARALLELIZER_INLINE: 'inline';

/** `true` in a worker of this library, `false` elsewhere: lets a module tell where it was loaded. */
export declare const isWorker: boolean;

/**
 * What a worker function returns when parts of its result are to be moved to the caller instead of copied. Threads move
 * them; processes, which share no memory, copy.
 *
 * @example return transfer({ pixels }, [pixels.buffer]);
 */
export declare function transfer<T>(value: T, list: readonly object[]): T;

export type ParallelizerType = typeof PARALLELIZER_CHILD | typeof PARALLELIZER_THREADS | typeof PARALLELIZER_INLINE;

// ------------------------------------------------------------------------------------------------ the worker's side

/** What `mainLogger` prints in the parent: `console[logType](JSON.stringify({ child_id, ...params, message }))`. */
export interface LogEntry {
  message: unknown;
  /** Further properties of the line. Default: none. */
  params?: { [name: string]: unknown };
  /** A method of `console`. Default: `'log'`. */
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
export interface BatchArguments<TRecord = any, TParams = any, TContext = any> {
  /** The records of this sub-batch, in the order in which they were passed. */
  batch: TRecord[];
  /** What `run` was given; `null` where that was `undefined`, so a type without `null` makes `run` ask for it. */
  params: TParams;
  /** Prints on the parent's console. */
  mainLogger(entry: LogEntry): void;
  /**
   * Fires when the sub-batch timed out or was aborted; the worker is replaced if the function has not returned
   * `gracePeriod` later. A loop that never yields can poll `signal.aborted`.
   */
  signal: AbortSignal;
  /** The position of this sub-batch: that of its entry in `responses`, had all succeeded. */
  batchIndex: number;
  /** What `runOptions.context` was given; `undefined` without it. */
  context: TContext;
}

/** A function that a worker can run. What it returns is an entry of `responses`; what it throws, one of `failures`. */
export type BatchFunction<TRecord = any, TParams = any, TResponse = any, TContext = any> = (
  work: BatchArguments<TRecord, TParams, TContext>,
) => TResponse | PromiseLike<TResponse>;

/**
 * The names of a module's exports that can be a `processBatchFunctionName`: functions that one argument of type
 * `BatchArguments` satisfies. Any string where the module's type is not known.
 *
 * @example
 * const name: BatchFunctionName<typeof import('./child')> = 'batchProcessor';
 */
export type BatchFunctionName<TModule = any> = FunctionName<TModule, (work: BatchArguments) => any>;

/** The names of a module's exports that can be a task of a `Pool`. Any string where the module's type is not known. */
export type TaskName<TModule = any> = FunctionName<TModule, (this: TaskContext, ...args: any) => any>;

type IsAny<T> = 0 extends 1 & T ? true : false;

type FunctionName<TModule, TFunction> =
  IsAny<TModule> extends true
    ? string
    : { [K in ExportName<TModule>]: Export<TModule, K> extends TFunction ? K : never }[ExportName<TModule>] & string;

/** CommonJS and ES modules see each other's exports one level further in, under `default`; workers look there, too. */
type ExportName<TModule> = keyof TModule | (TModule extends { default: infer TDefault extends object } ? keyof TDefault : 'default');

type Export<TModule, TName> = TName extends keyof TModule
  ? TModule[TName]
  : TModule extends { default: infer TDefault extends object }
    ? TName extends keyof TDefault
      ? TDefault[TName]
      : never
    : TName extends 'default' // `export =` a function
      ? TModule
      : never;

/** What the function of that name is called with; of several, what all of them can be called with. */
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

/** `unknown` where the function does not say, so that anything may be passed. */
type Given<TWork, TKey> = TKey extends keyof TWork ? TWork[TKey] : unknown;

type Response<TModule, TName> = IsAny<TModule> extends true ? any : Awaited<Results<Export<TModule, TName>>>;

/** What `this` is in a task of a `Pool` that is a `function`; an arrow function has none. */
export interface TaskContext {
  /**
   * Fires when this item timed out or was aborted, or when the loop over its stream was left; after a time-out or an
   * abort the worker is replaced if the task has not settled `gracePeriod` later. A loop that never yields can poll
   * `signal.aborted`.
   */
  readonly signal: AbortSignal;
}

/**
 * A function that a worker of a `Pool` can run, for one item or one list of arguments. A promise is awaited.
 *
 * Passed as it is, a function travels by its source: it is evaluated in the worker, in strict mode, without the
 * variables around it. It sees globals and a `require` that starts from `process.cwd()`. Classes, generators, native
 * and bound functions are refused.
 *
 * @example
 * // work.ts
 * export async function fetchPage(this: TaskContext, url: string) {
 *   const response = await fetch(url, { signal: this.signal });
 *   return response.text();
 * }
 */
export type TaskFunction<TArguments extends readonly any[] = any[], TResult = any> = (
  this: TaskContext,
  ...args: TArguments
) => TResult;

/** What `apply` and `starmap` take for one call; the `[]` has TypeScript infer a tuple from an array literal. */
type ArgumentList = readonly any[] | [];

declare const signature: unique symbol;

/** A task as an export of a module. `task` makes one whose type is known; written by hand, its result is `any`. */
export interface TaskExport<TFunction = any> {
  /**
   * CommonJS or ES module: an absolute path, one relative to `process.cwd()`, or a `file:` URL. TypeScript where the
   * running Node strips types.
   */
  filePath: string | URL;
  /** The name of one of the module's exports; `'default'` works. */
  name: string;
  /** For the compiler only: there is no such property. */
  readonly [signature]?: TFunction;
}

/**
 * A reference to a function of a module, with its type: frozen, its path made absolute at the call. Of a module with
 * several functions that differ, also name the one that is meant as a type, since TypeScript infers either all type
 * arguments or none: without it arguments of any of them pass, and the result may be that of any of them.
 *
 * @param filePath as in `TaskExport`
 * @param name the name of one of the module's exports; `'default'` works
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` for what is no path and no name; whether there is such a module
 *   and function is for the worker to find out
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
  IsAny<TModule> extends true ? any : TaskFunction<Arguments<Export<TModule, TName>>, Results<Export<TModule, TName>>>;

type Arguments<TFunction> = TFunction extends (...args: infer TArguments) => any ? TArguments : never;

type Results<TFunction> = TFunction extends (...args: any) => infer TResult ? TResult : never;

/** A task by where it is: `{ filePath, name }`, or both in one string, `'path#name'`, which is cut at its last `#`. */
export type TaskReference<TFunction = any> = TaskExport<TFunction> | string;

/** What a `Pool` can run. A reference loads what the module imports and closes over; a function is only its source. */
export type Task<TArguments extends readonly any[] = any[], TResult = any> =
  | TaskFunction<TArguments, TResult>
  | TaskReference<TaskFunction<TArguments, TResult>>;

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
 * `undefined` takes its default; an unknown or a bad one throws `ERR_PARALLELIZER_OPTION` from the constructor.
 */
export interface WorkerOptions {
  /** Default: `PARALLELIZER_CHILD`. */
  type?: ParallelizerType | undefined;
  /** Writes the workers' life cycle to stderr, one line of JSON per event. Default: `false`. */
  debug?: boolean | null | undefined;
  /**
   * How values travel. `'auto'` (the default) keeps all that structured clone keeps, and uses JSON text where that
   * loses nothing; `'json'` and `'advanced'` force one format, with the meaning that Node's `fork` gives them.
   */
  serialization?: 'auto' | 'json' | 'advanced' | undefined;
  /** Milliseconds that a call may run; waiting does not count. Default: no limit. */
  timeout?: number | undefined;
  /** How often a call is run again after the worker that ran it died. Default: `0`. */
  retries?: number | undefined;
  /** A worker whose resident memory exceeds this many bytes is replaced, between calls. Default: never. */
  maxWorkerMemory?: number | undefined;
  /** A worker is stopped after this many idle milliseconds, and started again when needed. Default: never. */
  idleTimeout?: number | undefined;
  /** Most waiting calls; what would exceed it fails whole, with `ERR_PARALLELIZER_QUEUE_FULL`. Default: no limit. */
  maxQueue?: number | undefined;
  /** All of the workers' environment, as in Node's `fork`. Default: the parent's. */
  env?: { [name: string]: string | undefined } | undefined;
  /** Flags for the workers' Node. Default: the parent's, less those for heap, debugger, tests and what to run. */
  execArgv?: readonly string[] | undefined;
  /** Default: Node's own; on AWS Lambda an equal share of the function's memory. */
  resourceLimits?: ResourceLimits | undefined;
  /**
   * Where the workers' output goes: to the parent's stdout and stderr (`'inherit'`, the default), through the
   * parent's `console` in whole messages with their level kept (`'forward'`, the default on AWS Lambda), or nowhere.
   */
  stdio?: 'inherit' | 'forward' | 'ignore' | undefined;
  /** Polls shortly before sleeping, where cores are free: lower latency. `false` never does. Default: `'auto'`. */
  spin?: 'auto' | false | undefined;
  /**
   * Milliseconds between the `signal` inside the worker and the end of that worker, for a call that timed out or was
   * aborted. Default: `500`.
   */
  gracePeriod?: number | undefined;
  /**
   * Whether all pools of equal options in this process, in whichever of its threads, have one set of workers together:
   * as many as one of them would have, lent to whoever has work, in turn where there is more than they can do. `'auto'`
   * (the default): on AWS Lambda's Managed Instances, where each of many threads loads the same handler
   * (`AWS_LAMBDA_MAX_CONCURRENCY` is set). Options of calls, and `debug`, `maxQueue`, `gracePeriod` and `spin`, may
   * differ. Threads stay with who started them; only their number is shared. `ready()` then waits for what can be had,
   * at least one worker, and `stats().workers` has those that are lent to this pool at the moment.
   */
  shared?: 'auto' | boolean | undefined;
}

/** The options of one pool of a `Parallelizer`, where a call is a sub-batch. */
export interface ParallelizerOptions<TName extends string = string> extends WorkerOptions {
  /** Names the pool in a list; without a list it has no effect. */
  id?: string | number | null | undefined;
  /**
   * The module with the function, CommonJS or ES module: an absolute path, one relative to `process.cwd()`, or a
   * `file:` URL. TypeScript where the running Node strips types.
   */
  filePath: string | URL;
  /** The name of one of the module's exports; `'default'` works. */
  processBatchFunctionName: TName;
  /** How many workers, at most 1024; `0` runs inline; `false` (the default) follows `parallelizationPerCPU`. */
  parallelization?: number | false | null | undefined;
  /**
   * Workers per usable CPU, as a number or a string with one; the result is rounded and at least 1. Default: `1`.
   * Usable CPUs: the least of what the system offers, the CPU quota of the container, and on AWS Lambda the
   * function's memory in units of 1,769 MB.
   */
  parallelizationPerCPU?: number | string | null | undefined;
  /** Accepted for compatibility; nothing is written anywhere. */
  tmpPath?: string | null | undefined;
  /**
   * Most records per sub-batch: there are then more sub-batches than workers, handed out as workers come free.
   * Default: one sub-batch per worker, sizes differing by at most 1.
   */
  batchSize?: number | undefined;
  /** A worker is replaced after this many sub-batches. Default: never. */
  maxBatchesPerWorker?: number | undefined;
}

/** One pool of a list; `id` is required and unique. `TModules` has the type of each pool's module, by id. */
export type ParallelizerListOptions<TModules = any> =
  IsAny<TModules> extends true
    ? ParallelizerOptions & { id: string | number }
    : { [TId in PoolId<TModules>]: ParallelizerOptions<BatchFunctionName<TModules[TId]>> & { id: TId } }[PoolId<TModules>];

type PoolId<TModules> = keyof TModules & (string | number);

/** The options of a `Pool`, where a call is an item. */
export interface PoolOptions extends WorkerOptions {
  /**
   * How many workers, at most 1024; `0` runs inline. Default: the usable CPUs, which are the least of what the system
   * offers, the CPU quota of the container, and on AWS Lambda the function's memory in units of 1,769 MB.
   */
  processes?: number | null | undefined;
  /**
   * Run in every worker before anything else; it may be async. If it throws, what waits and what is submitted later
   * rejects with its error.
   *
   * @example new Pool(4, { initializer: { filePath: '/var/task/work.js', name: 'connect' }, initArgs: [url] })
   */
  initializer?: Task<any[], unknown> | undefined;
  /** The arguments of `initializer`, without which they are an error. Default: none. */
  initArgs?: readonly any[] | undefined;
  /** A worker is replaced after this many items. Default: never. */
  maxTasksPerChild?: number | undefined;
  /** Items that one worker runs at the same time, for tasks that mostly wait. Default: `1`. */
  concurrency?: number | undefined;
}

/** What `onProgress` is told, in sub-batches or items. */
export interface Progress {
  /** Settled, with success or without. */
  done: number;
  total: number;
  failed: number;
}

/** The options of one call of `run`. */
export interface RunOptions<TRecord = any, TContext = any> {
  /** Aborts the call: its unfinished sub-batches fail with `ERR_PARALLELIZER_ABORTED`, finished ones keep their responses. */
  signal?: AbortSignal | undefined;
  /** Takes the place of the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /**
   * Records with one key form sub-batches of their own, which run in order, one after another; different keys run
   * in parallel.
   *
   * @example
   * await parallelizer.run(records, null, { groupBy: (record) => record.customerId });
   */
  groupBy?: ((record: TRecord) => unknown) | undefined;
  /** After a failure the later sub-batches of its key fail with `ERR_PARALLELIZER_SKIPPED`. Needs `groupBy`. Default: `false`. */
  stopKeyOnError?: boolean | undefined;
  /** Called as sub-batches settle. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Reaches the worker's function as `context`: a request id, a deadline. */
  context?: TContext | undefined;
  /** Objects to move instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** The options of one call of `apply`. */
export interface ApplyOptions {
  /** Aborts the call, which rejects with `ERR_PARALLELIZER_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Takes the place of the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /** Takes the place of the pool's `retries` for this call. */
  retries?: number | undefined;
  /** Objects to move instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** What is called with the outcome, before `get()` settles. What these throw is an uncaught exception. */
export interface Callbacks<TValue = any> {
  callback?: ((value: TValue) => void) | undefined;
  /** Called with the value that was thrown, which need not be an `Error`. */
  errorCallback?: ((error: any) => void) | undefined;
}

/** The options of one call of `applyAsync`. */
export interface ApplyAsyncOptions<TValue = any> extends ApplyOptions, Callbacks<TValue> {}

/** What `onProgress` of `imap` and `imapUnordered` is told, in items. */
export interface StreamProgress extends Omit<Progress, 'total'> {
  /** `undefined` until the source has ended. */
  total: number | undefined;
}

/** What the options of `map` and `imap` have in common. */
interface ItemsOptions {
  /** Items that go to a worker together. Default: adapts to the measured cost per item. */
  chunkSize?: number | undefined;
  /** Aborts the call, which fails with `ERR_PARALLELIZER_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Milliseconds that one item may run; takes the place of the pool's `timeout` for this call. */
  timeout?: number | undefined;
  /** How often one item is run again; takes the place of the pool's `retries` for this call. */
  retries?: number | undefined;
  /** The first error fails the call, and what has not begun is dropped. For `'collect'` see `Collecting`. */
  onError?: 'reject' | undefined;
}

/** The options of one call of `imap` or `imapUnordered`. */
export interface StreamOptions extends ItemsOptions {
  /** Called as items settle. */
  onProgress?: ((progress: StreamProgress) => void) | undefined;
}

/** The options of one call of `map` or `starmap`. */
export interface MapOptions extends ItemsOptions {
  /** Called as items settle. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Objects to move instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** The options of one call of `mapAsync` or `starmapAsync`; `callback` is given all results. */
export interface MapAsyncOptions<TValue = any> extends MapOptions, Callbacks<TValue> {}

/**
 * Options under which no item fails the call: each gives
 * `{ status: 'fulfilled', value } | { status: 'rejected', reason }`, as `Promise.allSettled` has it.
 *
 * @example
 * const options: Collecting<MapOptions> = { chunkSize: 10, onError: 'collect' };
 * const failed = (await pool.map(task, items, options)).filter(({ status }) => status === 'rejected');
 */
export type Collecting<TOptions extends { onError?: 'reject' | undefined }> = Omit<TOptions, 'onError'> & {
  onError: 'collect';
};

/**
 * One call on one pool of an instance that was made from a list. `params`: those of this call; without them it has those
 * that `run` was given for all.
 */
export type RunItem<TModules = any> =
  IsAny<TModules> extends true
    ? { id: string | number; batch: Batch; params?: any }
    : { [TId in PoolId<TModules>]: { id: TId } & ItemOf<TModules[TId], BatchFunctionName<TModules[TId]>> }[PoolId<TModules>];

type ItemOf<TModule, TName> = { batch: Batch<RecordOf<TModule, TName>> } & (null extends ParamsOf<TModule, TName>
  ? { params?: ParamsOf<TModule, TName> | undefined }
  : { params: ParamsOf<TModule, TName> });

/** An array, or a typed array where records are numbers. A record that is itself an array stays one record. */
export type Batch<TRecord = any> =
  | readonly TRecord[]
  | (number extends TRecord ? Exclude<NodeJS.TypedArray, BigIntArray> : never)
  | (bigint extends TRecord ? BigIntArray : never);

type BigIntArray = BigInt64Array | BigUint64Array;

// ----------------------------------------------------------------------------------------------------------- results

/** Why a sub-batch failed. */
export type BatchError = Error & {
  /** The position of the sub-batch in its call. */
  batchIndex: number;
  /** The indices of its records in the batch that was passed to `run`. */
  records: number[];
  /** That of the error that was thrown, or of a `ParallelizerError`. */
  code?: string | number;
};

export interface RunResult<TResponse = any> {
  /** What the calls returned, in the order of the sub-batches. */
  responses: TResponse[];
  /** One string per failed sub-batch, in their order: `String(error)` as the worker saw it. */
  failures: string[];
  /**
   * The errors behind `failures`, at the same positions. Not enumerable: absent from JSON, spreads and logs.
   * A thrown value that is no `Error` is the `cause` of one.
   *
   * @example
   * const result = await parallelizer.run(event.Records);
   * const failed = result.errors.flatMap((error) => error.records);
   */
  readonly errors: BatchError[];
}

/** A distribution of durations, in milliseconds; all 0 while `count` is. */
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
  /** `null` while it has none: before it is started, and in thread mode. */
  pid: number | null;
  state: 'starting' | 'ready' | 'busy' | 'stopping';
  /** Calls that this worker answered, failed ones included. */
  done: number;
  failed: number;
}

/** What one pool does and did. A call is one sub-batch or one item. */
export interface Stats {
  workers: WorkerStats[];
  /** Calls in the queue now. */
  waiting: number;
  /** Calls at a worker now. */
  running: number;
  /** Calls settled since the start, failed ones included. */
  done: number;
  failed: number;
  /** Workers started in place of one that died or was replaced. */
  restarts: number;
  bytesSent: number;
  bytesReceived: number;
  /** From being queued to being begun. */
  waitTime: Histogram;
  /** From being begun to being settled. */
  runTime: Histogram;
}

// ------------------------------------------------------------------------------------------------------ Parallelizer

/** What both forms of an instance can do. */
interface Pools {
  /**
   * Resolves when the workers are up and the module is loaded; calling it is never needed. Rejects with
   * `ERR_PARALLELIZER_MODULE` if it does not load, with `ERR_PARALLELIZER_WORKER_EXITED` if the workers die of it.
   */
  ready(): Promise<void>;
  /**
   * Stops the workers at once, those of the pools named or all. What is under way fails with
   * `ERR_PARALLELIZER_CLOSED`; the next `run` starts workers again. Unknown ids are ignored.
   */
  removeChildThreads(ids?: string | number | readonly (string | number)[] | null): void;
  /** Accepts nothing more, finishes what was accepted, then stops the workers. */
  close(): Promise<void>;
  /** Accepts nothing more and stops the workers at once; what is under way fails with `ERR_PARALLELIZER_CLOSED`. */
  terminate(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An instance made from one options object. */
export interface Parallelizer<TModule = any, TName extends BatchFunctionName<TModule> = BatchFunctionName<TModule>> extends Pools {
  /**
   * Cuts the batch into sub-batches, one per worker unless `batchSize` or `groupBy` says otherwise, and runs them
   * side by side. Any number of calls may be under way at once. An empty batch resolves at once.
   *
   * A sub-batch that fails never rejects the call: see `failures`. It rejects with `ERR_PARALLELIZER_OPTION` for bad
   * arguments, `ERR_PARALLELIZER_QUEUE_FULL` and `ERR_PARALLELIZER_CLOSED`.
   *
   * `params` may be left out where the function takes `null` for them.
   *
   * @example
   * const { responses, failures } = await parallelizer.run(event.Records, { table: 'orders' });
   */
  run(
    batch: Batch<RecordOf<TModule, TName>>,
    ...rest: null extends ParamsOf<TModule, TName>
      ? [params?: ParamsOf<TModule, TName>, runOptions?: RunOptions<RecordOf<TModule, TName>, ContextOf<TModule, TName>>]
      : [params: ParamsOf<TModule, TName>, runOptions?: RunOptions<RecordOf<TModule, TName>, ContextOf<TModule, TName>>]
  ): Promise<RunResult<Response<TModule, TName>>>;
  /** What the pool does and did: counts, milliseconds, bytes. A snapshot. */
  stats(): Stats;
}

/** An instance made from a list of options objects: one pool per `id`. `TModules` has the type of each one's module. */
export interface ParallelizerList<TModules = any> extends Pools {
  /**
   * Runs each item on the pool that it names, all at the same time. The results are in the order of the items. Rejects as
   * the other form does, for an unknown id too, and then has run none of them.
   *
   * @param params for the items that have none of their own
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
  /** By the pools' ids. */
  stats(): IsAny<TModules> extends true ? { [id: string]: Stats } : { [TId in PoolId<TModules> as `${TId}`]: Stats };
}

type ResponseById<TModules, TId> =
  IsAny<TModules> extends true
    ? any
    : TId extends keyof TModules
      ? Response<TModules[TId], BatchFunctionName<TModules[TId]>>
      : never;

/**
 * Spreads batches over workers that start when the instance is made and are reused by every `run`. An instance with
 * nothing under way does not keep the process alive.
 *
 * With the type of the worker's module, what `run` takes and resolves to is that of its function, and the names of its
 * functions are the only ones allowed. Where it has several, `run` takes what suits all of them; the second type
 * argument names the one that is used: `Parallelizer<typeof import('./child'), 'batchProcessor'>`.
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
  // First and last: after a mistake, compilers tell of the last signature, and go on with what the first one makes.
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
   *   { id: 'images', filePath: '/var/task/images.js', processBatchFunctionName: 'shrink', type: PARALLELIZER_THREADS },
   * ]);
   */
  new <TModules extends ModuleTable<TModules>>(options: readonly ParallelizerListOptions<TModules>[]): ParallelizerList<TModules>;
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new <TModule = any, TName extends BatchFunctionName<TModule> = BatchFunctionName<TModule>>(
    options: ParallelizerOptions<TName>,
  ): Parallelizer<TModule, TName>;
};

/** Modules by id, and not a module, whose exports are functions. */
type ModuleTable<TModules> = { [TId in keyof TModules]: TModules[TId] extends (...args: any) => any ? never : object };

// -------------------------------------------------------------------------------------------------------------- Pool

/**
 * What will become of a call. Can be awaited, once or more; a failure that nobody asks for is no unhandled rejection.
 *
 * @example
 * const result = pool.applyAsync(task, [7]);
 * if (!result.ready()) await result.wait(100);
 * console.log(await result);
 */
export interface AsyncResult<TValue = any> extends PromiseLike<TValue> {
  /** A UUID. */
  readonly id: string;
  /**
   * The result, or the error of the call. Rejects with `ERR_PARALLELIZER_TIMEOUT` if neither is there after so many
   * milliseconds; the call goes on, and can be asked again. Default: waits as long as it takes.
   */
  get(timeout?: number | null): Promise<TValue>;
  /** Resolves when the call has settled, either way, or after so many milliseconds. Default: no limit. */
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
 * Runs a task for each of many items, in workers that start when the pool is made: Python's `multiprocessing.Pool`. A
 * pool with nothing under way does not keep the process alive.
 *
 * What returns a promise rejects, and what does not throws, with `ERR_PARALLELIZER_OPTION` for bad arguments,
 * `ERR_PARALLELIZER_CLOSED` after `close` or `terminate`, and `ERR_PARALLELIZER_QUEUE_FULL`. A task's own error arrives
 * as it was thrown; an error of this library about an item has its index in `records`.
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
export declare class Pool {
  /**
   * @param processes how many workers, at most 1024; `0` runs inline. Default: the usable CPUs
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
  apply<TResult = any>(
    task: Task<[], TResult>,
    args?: readonly [],
    options?: ApplyOptions,
  ): Promise<Awaited<TResult>>;
  apply<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    args: TArguments,
    options?: ApplyOptions,
  ): Promise<Awaited<TResult>>;

  /**
   * As `apply`, for whoever asks later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   *
   * @example pool.applyAsync(task, [7], { callback: (value) => console.log(value), errorCallback: console.error });
   */
  applyAsync<TResult = any>(
    task: Task<[], TResult>,
    args?: readonly [],
    options?: ApplyAsyncOptions<Awaited<TResult>>,
  ): AsyncResult<Awaited<TResult>>;
  applyAsync<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    args: TArguments,
    options?: ApplyAsyncOptions<Awaited<TResult>>,
  ): AsyncResult<Awaited<TResult>>;

  /**
   * Calls the task once per item; the results are in the order of the items. Rejects with the first error by that
   * order, and drops what has not begun. The items are copied at the call, not deeply, and read when they are sent.
   *
   * @example const sizes = await pool.map('/var/task/work.js#sizeOf', files, { signal, timeout: 5_000 });
   */
  map<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    items: Iterable<TItem>,
    options?: MapOptions,
  ): Promise<Awaited<TResult>[]>;
  /** With `onError: 'collect'` it does not reject for an item, and gives what `Promise.allSettled` would. */
  map<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    items: Iterable<TItem>,
    options: Collecting<MapOptions>,
  ): Promise<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * As `map`, for whoever asks later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   */
  mapAsync<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    items: Iterable<TItem>,
    options?: MapAsyncOptions<Awaited<TResult>[]>,
  ): AsyncResult<Awaited<TResult>[]>;
  mapAsync<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    items: Iterable<TItem>,
    options: Collecting<MapAsyncOptions<PromiseSettledResult<Awaited<TResult>>[]>>,
  ): AsyncResult<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * As `map`, where each item is the list of arguments of one call.
   *
   * @example await pool.starmap((a, b) => a ** b, [[2, 3], [3, 2]]); // [8, 9]
   */
  starmap<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    items: Iterable<TArguments>,
    options?: MapOptions,
  ): Promise<Awaited<TResult>[]>;
  starmap<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    items: Iterable<TArguments>,
    options: Collecting<MapOptions>,
  ): Promise<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * As `starmap`, for whoever asks later.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   */
  starmapAsync<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    items: Iterable<TArguments>,
    options?: MapAsyncOptions<Awaited<TResult>[]>,
  ): AsyncResult<Awaited<TResult>[]>;
  starmapAsync<TArguments extends ArgumentList, TResult = any>(
    task: Task<TArguments, TResult>,
    items: Iterable<TArguments>,
    options: Collecting<MapAsyncOptions<PromiseSettledResult<Awaited<TResult>>[]>>,
  ): AsyncResult<PromiseSettledResult<Awaited<TResult>>[]>;

  /**
   * As `map`, for sources of any length: gives results as they come, in the order of the items, and reads its source
   * only as far ahead as the pool can use, from the first `next()` on. The first error ends it. Leaving the loop drops
   * what has not begun, and fires the signal of what runs.
   *
   * If the source throws, the results of what it gave before come first.
   *
   * @throws {ParallelizerError} for bad arguments and a closed pool, at once
   *
   * @example
   * for await (const row of pool.imap(parse, readline.createInterface({ input }))) rows.push(row);
   */
  imap<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options?: StreamOptions,
  ): ResultStream<Awaited<TResult>>;
  imap<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options: Collecting<StreamOptions>,
  ): ResultStream<PromiseSettledResult<Awaited<TResult>>>;

  /** As `imap`, with the results in the order in which they are there. */
  imapUnordered<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options?: StreamOptions,
  ): ResultStream<Awaited<TResult>>;
  imapUnordered<TItem, TResult = any>(
    task: Task<[TItem], TResult>,
    source: Iterable<TItem> | AsyncIterable<TItem>,
    options: Collecting<StreamOptions>,
  ): ResultStream<PromiseSettledResult<Awaited<TResult>>>;

  /**
   * Resolves when the workers are up and the initializer has run; calling it is never needed. Rejects with what the
   * initializer threw, or with `ERR_PARALLELIZER_WORKER_EXITED` if the workers die of it.
   */
  ready(): Promise<void>;
  /** Accepts nothing more; what was accepted goes on, streams included. */
  close(): void;
  /**
   * After `close` or `terminate`: resolves when all work has settled and all workers are gone. Rejects with
   * `ERR_PARALLELIZER_OPTION` before.
   */
  join(): Promise<void>;
  /**
   * Accepts nothing more and stops the workers at once; what is unfinished rejects with `ERR_PARALLELIZER_CLOSED`.
   * Resolves when all workers are gone.
   */
  terminate(): Promise<void>;
  /** What the pool does and did: counts, milliseconds, bytes. A snapshot. */
  stats(): Stats;
  /** `close` and `join`, for `await using`. Python's `with` terminates instead. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------------ errors

export type ParallelizerErrorCode =
  /** A bad option or argument; the message names it. */
  | 'ERR_PARALLELIZER_OPTION'
  /** The module does not load (`cause` is its own error), or has no such function. */
  | 'ERR_PARALLELIZER_MODULE'
  /** A worker died, or could not be started; with `pid`, `exitCode`, `signal` and `stderr`. */
  | 'ERR_PARALLELIZER_WORKER_EXITED'
  /** A sub-batch or an item ran for too long, or `get` of an `AsyncResult` has waited for as long as it was to. */
  | 'ERR_PARALLELIZER_TIMEOUT'
  /** The signal fired: `name` is `'AbortError'`, `cause` the signal's reason. */
  | 'ERR_PARALLELIZER_ABORTED'
  | 'ERR_PARALLELIZER_QUEUE_FULL'
  | 'ERR_PARALLELIZER_CLOSED'
  /** A later record of a key that failed, under `stopKeyOnError`. */
  | 'ERR_PARALLELIZER_SKIPPED'
  /** A value cannot travel; the message says where it is. */
  | 'ERR_PARALLELIZER_SERIALIZATION'
  /** A worker sent something that is not of this library. */
  | 'ERR_PARALLELIZER_PROTOCOL'
  /** Records of an event that has no partial response are not done, see `@parallelizer/node/lambda`. */
  | 'ERR_PARALLELIZER_RECORDS_FAILED'
  /** There is no native part for this system, or it does not load; the message says what to install. */
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
  /** The worker's, with `ERR_PARALLELIZER_WORKER_EXITED`. */
  pid?: number | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`; `null` after a signal, or where it is not known. */
  exitCode?: number | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the signal's name, or `null`. */
  signal?: string | null;
  /** With `ERR_PARALLELIZER_WORKER_EXITED`: the last lines that the worker wrote. */
  stderr?: string;
  /** The position of the sub-batch that failed, in `result.errors`. */
  batchIndex?: number;
  /**
   * What the error is about: in `result.errors` the indices of the sub-batch's records; from `map`, `starmap` and
   * `imap` of a `Pool` the index of the item, alone in a list.
   */
  records?: number[];
}
