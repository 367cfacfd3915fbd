// A Lambda function as the engine of pools, and as their host.

import { expectTypeOf } from 'expect-type';
import { Pool, PARALLELIZER_REMOTE, type RemoteEngine } from '@parallelizer/node';
import { lambdaInvoke, lambdaWorker, type LambdaInvokeOptions } from '@parallelizer/node/lambda-invoke';

expectTypeOf(lambdaInvoke({ functionName: 'orders' })).toEqualTypeOf<RemoteEngine>();
expectTypeOf<LambdaInvokeOptions['concurrency']>().toEqualTypeOf<number | undefined>();
new Pool({ type: PARALLELIZER_REMOTE, engine: lambdaInvoke({ functionName: 'orders', concurrency: 50 }) });

// @ts-expect-error: the function has to be named
lambdaInvoke({ concurrency: 5 });
// @ts-expect-error: what is run again is said by the pool
lambdaInvoke({ functionName: 'orders', retries: 5 });

export const handler = lambdaWorker({ root: '/var/task', processes: 2, secret: 'shared' });
expectTypeOf(handler).returns.toEqualTypeOf<Promise<void>>();
// @ts-expect-error: a function is invoked; it has no engine of its own
lambdaWorker({ engine: lambdaInvoke({ functionName: 'orders' }) });
