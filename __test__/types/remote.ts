// Calls on other machines: what the types of engines, pools and hosts allow.
import { expectTypeOf } from 'expect-type';
import { bullmq } from '@parallelizer/node/bullmq';
import {
  type Host, type HostStats, PARALLELIZER_REMOTE, Parallelizer, Pool, type RemoteEngine, type RemoteStats, serve,
} from '@parallelizer/node';

expectTypeOf(PARALLELIZER_REMOTE).toEqualTypeOf<'remote'>();

const engine = bullmq({ queue: 'orders', connection: { host: 'redis', port: 6379 }, prefix: 'jobs' });
expectTypeOf(engine).toEqualTypeOf<RemoteEngine>();
// @ts-expect-error -- a queue has a name
bullmq({ connection: {} });

const pool = new Pool({ type: PARALLELIZER_REMOTE, engine, root: '.', hostTimeout: 5, lease: 500, secret: 'x' });
expectTypeOf(pool.stats().remote).toEqualTypeOf<RemoteStats | undefined>();
new Parallelizer({
  type: PARALLELIZER_REMOTE, engine, filePath: 'x.js', processBatchFunctionName: 'f', secret: new Uint8Array(1),
});

async function host() {
  const served = await serve({ engine, processes: 2, allowFunctions: true, stdio: 'ignore', name: 'alpha' });
  expectTypeOf(served).toEqualTypeOf<Host>();
  expectTypeOf(served.stats()).toEqualTypeOf<HostStats>();
  await served.close();
}
void host;
// @ts-expect-error -- a host runs calls itself
void serve({ engine, type: PARALLELIZER_REMOTE });
