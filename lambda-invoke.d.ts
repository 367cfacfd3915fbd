import type { RemoteEngine, ServeOptions } from './index';

/** What `lambdaInvoke` is given. */
export interface LambdaInvokeOptions {
  /** The name of the function that runs the calls, or its ARN. Its handler is a `lambdaWorker()`. */
  functionName: string;
  /** A version or an alias of it. Default: `$LATEST`. */
  qualifier?: string | undefined;
  /**
   * How many invocations there are at once at most, from 1 to 100,000. Where Lambda refuses more (429), fewer are asked
   * for, and later again more. Default: `10`.
   */
  concurrency?: number | undefined;
  /**
   * How many calls an invocation runs at the same instant: the `processes` of its `lambdaWorker()`, which are one for
   * each vCPU. What `stats()` shows is reckoned with it. Default: `1`.
   */
  slots?: number | undefined;
  /**
   * The function's own timeout in milliseconds: an answer is waited for somewhat longer. Default: `900000`, the longest
   * there is.
   */
  timeout?: number | undefined;
  /** Where the function is. Default: as the SDK finds it, `AWS_REGION` for one. */
  region?: string | undefined;
  /**
   * A `LambdaClient` of `@aws-sdk/client-lambda`, in place of one of its own. It has to be made with `maxAttempts: 1`,
   * and with as many sockets as `concurrency`: the SDK's default is 50.
   */
  client?: { send: (...args: any[]) => any } | undefined;
}

/**
 * AWS Lambda as the engine of a pool: each chunk of calls is an invocation of a function.
 *
 * Needs `@aws-sdk/client-lambda` beside this package, and the permission `lambda:InvokeFunction`.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * const pool = new Pool({
 *   type: PARALLELIZER_REMOTE,
 *   engine: lambdaInvoke({ functionName: 'orders-worker', concurrency: 50 }),
 * });
 */
export declare function lambdaInvoke(options: LambdaInvokeOptions): RemoteEngine;

/** The options of `lambdaWorker`, which are those of `serve` without what a function does not have. */
export interface LambdaWorkerOptions extends Omit<ServeOptions, 'engine' | 'lease'> {}

/**
 * The handler of a function that runs the calls of pools with `lambdaInvoke()`. To be made at module level; the
 * workers live as long as the environment.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * exports.handler = lambdaWorker({ root: __dirname });
 */
export declare function lambdaWorker(
  options?: LambdaWorkerOptions,
): (event: unknown, output: any, context?: any) => Promise<void>;
