// What listeners, subscribers and readers of a trace are given.

import { once, type EventEmitter } from 'node:events';
import { expectTypeOf } from 'expect-type';
import {
  Parallelizer, Pool, type CallMessage, type RunMessage, type Trace, type WorkerExit, type WorkerMessage,
} from '@parallelizer/node';
import { createHandler } from '@parallelizer/node/lambda';
import { instrument, type Instrumentation } from '@parallelizer/node/opentelemetry';

const pool = new Pool(2, { trace: true });
const parallelizer = new Parallelizer({ filePath: '/var/task/a.js', processBatchFunctionName: 'f' });
const lists = new Parallelizer([{ id: 'a', filePath: '/var/task/a.js', processBatchFunctionName: 'f' }]);

for (const instance of [pool, parallelizer, lists]) {
  expectTypeOf(instance).toExtend<EventEmitter>();
  expectTypeOf(instance.trace()).toEqualTypeOf<Trace>();
}

const chained: Pool = pool.on('workerExit', (exit) => {
  expectTypeOf(exit).toEqualTypeOf<WorkerExit>();
  expectTypeOf(exit.workerIndex).toEqualTypeOf<number | null>();
  expectTypeOf(exit.pid).toEqualTypeOf<number | null | undefined>();
  if (exit.reason === 'boot-failed') return;
  // @ts-expect-error no such reason
  if (exit.reason === 'died') return;
});
chained.once('saturated', ({ waiting, maxQueue }) => {
  expectTypeOf(waiting).toEqualTypeOf<number>();
  expectTypeOf(maxQueue).toEqualTypeOf<number | null>();
});
parallelizer.off('restart', ({ restarts }) => expectTypeOf(restarts).toEqualTypeOf<number>());
lists.addListener('workerReady', ({ id, uptime }) => {
  expectTypeOf(id).toEqualTypeOf<string | number | undefined>();
  expectTypeOf(uptime).toEqualTypeOf<number>();
});
pool.on('an event of my own', (...args) => expectTypeOf(args).toEqualTypeOf<any[]>());
void once(pool, 'drain');

expectTypeOf<RunMessage['runId']>().toEqualTypeOf<string>();
expectTypeOf<CallMessage['parent']>().toEqualTypeOf<RunMessage | null>();
declare const message: WorkerMessage;
if (message.event === 'workerExit') expectTypeOf(message.calls).toEqualTypeOf<number>();

expectTypeOf(instrument()).toEqualTypeOf<Instrumentation>();
instrument({ metrics: false });
// @ts-expect-error no such option
instrument({ traces: true });

createHandler({ filePath: '/var/task/a.js', recordFunctionName: 'f', metrics: { namespace: 'Orders' } });
// @ts-expect-error a namespace is needed
createHandler({ filePath: '/var/task/a.js', recordFunctionName: 'f', metrics: { dimensions: { stage: 'prod' } } });
// @ts-expect-error dimensions are texts
createHandler({ filePath: '/var/task/a.js', recordFunctionName: 'f', metrics: { namespace: 'A', dimensions: { n: 1 } } });
