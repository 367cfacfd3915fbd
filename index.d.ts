/// <reference types="node" />

// The public types of `@parallelizer/node`, written by hand. Durations are milliseconds, sizes are bytes unless a name
// says otherwise.

/** Workers are child processes (the default): a crash harms nothing but the sub-batch that it was at. */
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
export interface BatchArguments<TRecord = any, TParams = any> {
  /** The records of this sub-batch, in the order in which they were passed. */
  batch: TRecord[];
  /** What `run` was given; `null` where that was `undefined`. */
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
  /** What `runOptions.context` was given. */
  context: any;
}

/** A function that a worker can run. What it returns is an entry of `responses`; what it throws, one of `failures`. */
export type BatchFunction<TRecord = any, TParams = any, TResponse = any> = (
  work: BatchArguments<TRecord, TParams>,
) => TResponse | PromiseLike<TResponse>;

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
 * The options of one pool. An option that is `undefined` takes its default; an unknown or a bad one throws
 * `ERR_PARALLELIZER_OPTION` from the constructor.
 */
export interface ParallelizerOptions {
  /** Names the pool in a list; without a list it has no effect. */
  id?: string | number | null | undefined;
  /** Default: `PARALLELIZER_CHILD`. */
  type?: ParallelizerType | undefined;
  /**
   * The module with the function, CommonJS or ES module: an absolute path, one relative to `process.cwd()`, or a
   * `file:` URL. TypeScript where the running Node strips types.
   */
  filePath: string | URL;
  /** The name of one of the module's exports; `'default'` works. */
  processBatchFunctionName: string;
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
  /** Writes the workers' life cycle to stderr, one line of JSON per event. Default: `false`. */
  debug?: boolean | null | undefined;
  /**
   * Most records per sub-batch: there are then more sub-batches than workers, handed out as workers come free.
   * Default: one sub-batch per worker, sizes differing by at most 1.
   */
  batchSize?: number | undefined;
  /**
   * How values travel. `'auto'` (the default) keeps all that structured clone keeps, and uses JSON text where that
   * loses nothing; `'json'` and `'advanced'` force one format, with the meaning that Node's `fork` gives them.
   */
  serialization?: 'auto' | 'json' | 'advanced' | undefined;
  /** Milliseconds that a sub-batch may run; waiting does not count. Default: no limit. */
  timeout?: number | undefined;
  /** How often a sub-batch is run again after the worker that ran it died. Default: `0`. */
  retries?: number | undefined;
  /** A worker is replaced after this many sub-batches. Default: never. */
  maxBatchesPerWorker?: number | undefined;
  /** A worker whose resident memory exceeds this many bytes is replaced, between sub-batches. Default: never. */
  maxWorkerMemory?: number | undefined;
  /** A worker is stopped after this many idle milliseconds, and started again when needed. Default: never. */
  idleTimeout?: number | undefined;
  /** Most waiting sub-batches; `run` rejects with `ERR_PARALLELIZER_QUEUE_FULL` beyond it. Default: no limit. */
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
   * Milliseconds between the `signal` inside the worker and the end of that worker, for a sub-batch that timed out
   * or was aborted. Default: `500`.
   */
  gracePeriod?: number | undefined;
}

/** One pool of a list; `id` is required and unique. */
export interface ParallelizerListOptions extends ParallelizerOptions {
  id: string | number;
}

/** What `onProgress` is told, in sub-batches. */
export interface Progress {
  /** Settled, with success or without. */
  done: number;
  total: number;
  failed: number;
}

/** The options of one call of `run`. */
export interface RunOptions<TRecord = any> {
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
  context?: unknown;
  /** Objects to move instead of copying them; such a call is never retried. Threads only. */
  transferList?: readonly object[] | undefined;
}

/** One call on one pool of an instance that was made from a list. */
export interface RunItem<TRecord = any, TParams = any> {
  /** The pool's. */
  id: string | number;
  batch: Batch<TRecord>;
  params?: TParams | null | undefined;
}

/** An array or a typed array. A record that is itself an array stays one record. */
export type Batch<TRecord = any> = readonly TRecord[] | NodeJS.TypedArray;

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
  /** Sub-batches that this worker answered, failed ones included. */
  done: number;
  failed: number;
}

/** What one pool does and did. */
export interface Stats {
  workers: WorkerStats[];
  /** Sub-batches in the queue now. */
  waiting: number;
  /** Sub-batches at a worker now. */
  running: number;
  /** Sub-batches settled since the start, failed ones included. */
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
export interface Parallelizer<TRecord = any, TParams = any, TResponse = any> extends Pools {
  /**
   * Cuts the batch into sub-batches, one per worker unless `batchSize` or `groupBy` says otherwise, and runs them
   * side by side. Any number of calls may be under way at once.
   *
   * A sub-batch that fails never rejects the call: see `failures`. It rejects with `ERR_PARALLELIZER_OPTION` for bad
   * arguments, `ERR_PARALLELIZER_QUEUE_FULL` and `ERR_PARALLELIZER_CLOSED`.
   *
   * @example
   * const { responses, failures } = await parallelizer.run(event.Records, { table: 'orders' });
   */
  run(
    batch: Batch<TRecord>,
    params?: TParams | null,
    runOptions?: RunOptions<TRecord>,
  ): Promise<RunResult<TResponse>>;
  stats(): Stats;
}

/** An instance made from a list of options objects: one pool per `id`. */
export interface ParallelizerList<TRecord = any, TParams = any, TResponse = any> extends Pools {
  /**
   * Runs each item on the pool that it names, all at the same time. The results are in the order of the items.
   *
   * @example
   * const [orders, images] = await parallelizer.run([
   *   { id: 'orders', batch: event.orders },
   *   { id: 'images', batch: event.images, params: { width: 640 } },
   * ]);
   */
  run(
    items: readonly RunItem<TRecord, TParams>[],
    params?: null,
    runOptions?: RunOptions<TRecord>,
  ): Promise<RunResult<TResponse>[]>;
  /** By the pools' ids. */
  stats(): { [id: string]: Stats };
}

/**
 * Spreads batches over workers that start when the instance is made and are reused by every `run`. An instance with
 * nothing under way does not keep the process alive.
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
 */
export declare const Parallelizer: {
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new <TRecord = any, TParams = any, TResponse = any>(
    options: ParallelizerOptions,
  ): Parallelizer<TRecord, TParams, TResponse>;
  /** @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION` */
  new <TRecord = any, TParams = any, TResponse = any>(
    options: readonly ParallelizerListOptions[],
  ): ParallelizerList<TRecord, TParams, TResponse>;
};

// ------------------------------------------------------------------------------------------------------------ errors

export type ParallelizerErrorCode =
  /** A bad option or argument; the message names it. */
  | 'ERR_PARALLELIZER_OPTION'
  /** The module does not load (`cause` is its own error), or has no such function. */
  | 'ERR_PARALLELIZER_MODULE'
  /** A worker died, or could not be started; with `pid`, `exitCode`, `signal` and `stderr`. */
  | 'ERR_PARALLELIZER_WORKER_EXITED'
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
  | 'ERR_PARALLELIZER_PROTOCOL';

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
  /** The indices of its records, in `result.errors`. */
  records?: number[];
}
