// The types of `@parallelizer/node/bullmq`, written by hand.

import type { RemoteEngine } from './index';

/** The options of `bullmq`. */
export interface BullmqOptions {
  /** The name of the queue that producers and hosts share, without colons. */
  queue: string;
  /**
   * Options of an ioredis connection: `host`, `port`, `username`, `password`, `tls`, `sentinels` and so on. Plain data,
   * since threads make connections of their own. Default: Redis on this machine.
   */
  connection?: { [option: string]: any };
  /** The nodes of a Redis Cluster, each `{ host, port }`; `prefix` then needs a hash tag, such as `'{orders}'`. */
  cluster?: readonly { host: string; port: number }[];
  /** What all keys begin with. Default: `'bull'`. */
  prefix?: string;
}

/**
 * Connects pools of type `PARALLELIZER_REMOTE` and hosts by a BullMQ queue, in Redis from 6.2 on or in Valkey. Needs the
 * packages `bullmq` and `ioredis`. Connects to nothing by itself, and can be used by any number of both.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * const engine = bullmq({ queue: 'orders', connection: { host: 'redis' } });
 * const pool = new Pool({ type: PARALLELIZER_REMOTE, engine });
 */
export declare function bullmq(options: BullmqOptions): RemoteEngine;
