// What `Parallelizer` infers from the worker's module.

import { expectTypeOf } from 'expect-type';
import {
  Parallelizer,
  ParallelizerError,
  PARALLELIZER_CHILD,
  PARALLELIZER_INLINE,
  PARALLELIZER_THREADS,
  type Batch,
  type BatchError,
  type BatchFunctionName,
  type ParallelizerList,
  type RunResult,
  type Advice,
  type Stats,
} from '@parallelizer/node';
import type { Order } from './worker.js';

type Worker = typeof import('./worker.js');
type Single = typeof import('./single.js');

const orders: Order[] = [{ id: 'a', amount: 1 }];
const filePath = '/var/task/worker.js';

// ---- Names

expectTypeOf<BatchFunctionName<Worker>>().toEqualTypeOf<'batchProcessor' | 'counter' | 'pixels' | 'traced'>();
expectTypeOf<BatchFunctionName<Single>>().toEqualTypeOf<'batchProcessor'>();
expectTypeOf<BatchFunctionName<typeof import('./default.js')>>().toEqualTypeOf<'default'>();
expectTypeOf<BatchFunctionName<typeof import('./function.cjs')>>().toEqualTypeOf<'default'>();
expectTypeOf<BatchFunctionName>().toEqualTypeOf<string>();

// @ts-expect-error a name that the module does not have
new Parallelizer<Single>({ filePath, processBatchFunctionName: 'batchProcesor' });
// @ts-expect-error an export that takes no batch
new Parallelizer<Single>({ filePath, processBatchFunctionName: 'isLarge' });
// @ts-expect-error an export that is no function
new Parallelizer<Single>({ filePath, processBatchFunctionName: 'name' });
// @ts-expect-error a function that wants more than one argument
new Parallelizer<Worker>({ filePath, processBatchFunctionName: 'combine' });
// @ts-expect-error another one than the one that was named as a type
new Parallelizer<Worker, 'counter'>({ filePath, processBatchFunctionName: 'pixels' });
// @ts-expect-error as a type, too
type _Unknown = Parallelizer<Worker, 'parse'>;

// ---- One function

const single = new Parallelizer<Single>({ filePath, processBatchFunctionName: 'batchProcessor' });
expectTypeOf(single).toEqualTypeOf<Parallelizer<Single>>();
expectTypeOf(single.run).parameter(0).toEqualTypeOf<readonly Order[]>();
expectTypeOf(single.run).parameter(1).toEqualTypeOf<{ dryRun: boolean }>();
expectTypeOf(single.run(orders, { dryRun: true })).resolves.toEqualTypeOf<RunResult<string[]>>();

// @ts-expect-error without params the function would get null
single.run(orders);
// @ts-expect-error null neither
single.run(orders, null);
// @ts-expect-error params of another type
single.run(orders, { dryRun: 'no' });
// @ts-expect-error records of another type
single.run(['a'], { dryRun: true });
// @ts-expect-error records that are no numbers are in no typed array
single.run(new Uint8Array(3), { dryRun: true });
// @ts-expect-error a batch is a list
single.run({ id: 'a', amount: 1 }, { dryRun: true });

async function results() {
  const result = await single.run(orders, { dryRun: false });
  expectTypeOf(result.responses).toEqualTypeOf<string[][]>();
  expectTypeOf(result.failures).toEqualTypeOf<string[]>();
  expectTypeOf(result.errors).toEqualTypeOf<BatchError[]>();
  for (const error of result.errors) {
    expectTypeOf(error.batchIndex).toEqualTypeOf<number>();
    expectTypeOf(error.records).toEqualTypeOf<number[]>();
    expectTypeOf(error.code).toEqualTypeOf<string | number | undefined>();
    if (error instanceof ParallelizerError) expectTypeOf(error.stderr).toEqualTypeOf<string | undefined>();
  }
  // @ts-expect-error the list is the caller's, the property is not
  result.errors = [];
}

// ---- Options of a run

single.run(orders, { dryRun: true }, {
  groupBy: (order) => {
    expectTypeOf(order).toEqualTypeOf<Order>();
    return order.id;
  },
  stopKeyOnError: true,
  onProgress: ({ done, total, failed }) => expectTypeOf([done, total, failed]).toEqualTypeOf<number[]>(),
  signal: AbortSignal.timeout(1_000),
  timeout: 5_000,
  context: 'anything: the function does not say',
});
// @ts-expect-error no such option
single.run(orders, { dryRun: true }, { chunkSize: 3 });
// @ts-expect-error milliseconds
single.run(orders, { dryRun: true }, { timeout: '5s' });

// ---- Several functions

const named = new Parallelizer<Worker, 'counter'>({ filePath, processBatchFunctionName: 'counter' });
expectTypeOf(named.run(['a', 'b'])).resolves.toEqualTypeOf<RunResult<number>>();
expectTypeOf(named.run).parameter(0).toEqualTypeOf<readonly string[]>();
named.run([], { whatever: 'the function does not look at params' });

const image = new Parallelizer<Worker, 'pixels'>({ filePath, processBatchFunctionName: 'pixels' });
expectTypeOf(image.run).parameter(0).toEqualTypeOf<Batch<number>>();
image.run([1, 2]);
image.run(new Uint8Array(3), { width: 3 });
image.run(new Float64Array(3), null);
// @ts-expect-error those are bigints
image.run(new BigInt64Array(3));
image.run([1]).then(({ responses }) => expectTypeOf(responses[0]?.row.length).toEqualTypeOf<number | undefined>());

const traced = new Parallelizer<Worker, 'traced'>({ filePath, processBatchFunctionName: 'traced' });
traced.run(new BigUint64Array(2), undefined, { context: { requestId: 'r-1' } });
// @ts-expect-error context of another type
traced.run([1n], undefined, { context: 'r-1' });

// Nobody said which one: only what suits all of them.
const any = new Parallelizer<Pick<Worker, 'batchProcessor' | 'counter'>>({
  filePath,
  processBatchFunctionName: 'counter',
});
// @ts-expect-error `batchProcessor` could not read these
any.run(['a'], { currency: 'EUR' });

// ---- The module itself is the function

const defaulted = new Parallelizer<typeof import('./default.js')>({ filePath, processBatchFunctionName: 'default' });
expectTypeOf(defaulted.run([new Date()])).resolves.toEqualTypeOf<RunResult<string[]>>();

const exported = new Parallelizer<typeof import('./function.cjs')>({ filePath, processBatchFunctionName: 'default' });
expectTypeOf(exported.run([1])).resolves.toEqualTypeOf<RunResult<number[]>>();
// @ts-expect-error
exported.run(['a']);

// ---- A module's type by hand

const described = new Parallelizer<{ work(argument: { batch: URL[] }): Promise<URL> }>({
  filePath,
  processBatchFunctionName: 'work',
});
expectTypeOf(described.run([new URL('file:///')])).resolves.toEqualTypeOf<RunResult<URL>>();

// ---- Lists

interface Pools {
  orders: Single;
  images: Pick<Worker, 'pixels'>;
  3: typeof import('./default.js');
}
const pools = new Parallelizer<Pools>([
  { id: 'orders', filePath, processBatchFunctionName: 'batchProcessor' },
  { id: 'images', filePath, processBatchFunctionName: 'pixels', type: PARALLELIZER_THREADS },
  { id: 3, filePath, processBatchFunctionName: 'default', parallelization: 1 },
]);
expectTypeOf(pools).toEqualTypeOf<ParallelizerList<Pools>>();
expectTypeOf(pools.stats()).toEqualTypeOf<{ orders: Stats; images: Stats; 3: Stats }>();
expectTypeOf(pools.advice()).toEqualTypeOf<{ orders: Advice; images: Advice; 3: Advice }>();

async function lists() {
  const [first, second, third] = await pools.run([
    { id: 'images', batch: [1, 2] },
    { id: 'orders', batch: orders, params: { dryRun: true } },
    { id: 3, batch: [new Date()] },
  ]);
  expectTypeOf(first.responses).toEqualTypeOf<ReturnType<Worker['pixels']>[]>();
  expectTypeOf(second.responses).toEqualTypeOf<string[][]>();
  expectTypeOf(third).toEqualTypeOf<RunResult<string[]>>();

  const many = await pools.run([1, 2].map((n) => ({ id: 'images' as const, batch: [n] })));
  expectTypeOf(many).toEqualTypeOf<RunResult<ReturnType<Worker['pixels']>>[]>();
  expectTypeOf(await pools.run([])).toEqualTypeOf<[]>();
}

// @ts-expect-error no such pool
pools.run([{ id: 'order', batch: orders }]);
// @ts-expect-error its records are orders
pools.run([{ id: 'orders', batch: ['a'], params: { dryRun: true } }]);
// @ts-expect-error its params are missing
pools.run([{ id: 'orders', batch: orders }]);
// @ts-expect-error no such id
new Parallelizer<Pools>([{ id: 'order', filePath, processBatchFunctionName: 'batchProcessor' }]);
// @ts-expect-error that one's function has another name
new Parallelizer<Pools>([{ id: 'orders', filePath, processBatchFunctionName: 'pixels' }]);
// @ts-expect-error an id is required in a list
new Parallelizer([{ filePath, processBatchFunctionName: 'batchProcessor' }]);

// ---- Options

new Parallelizer<Single>({
  filePath: new URL('file:///var/task/worker.js'),
  processBatchFunctionName: 'batchProcessor',
  type: PARALLELIZER_CHILD,
  parallelization: false,
  parallelizationPerCPU: process.env['PER_CPU'],
  batchSize: 10,
  timeout: 1_000,
  retries: 2,
  serialization: 'advanced',
  env: { ...process.env, MODE: 'worker' },
  execArgv: ['--enable-source-maps'],
  resourceLimits: { maxOldGenerationSizeMb: 256 },
  stdio: 'forward',
  spin: false,
});
// @ts-expect-error no such type
new Parallelizer({ filePath, processBatchFunctionName: 'f', type: 'cluster' });
// @ts-expect-error no such option
new Parallelizer({ filePath, processBatchFunctionName: 'f', batchsize: 3 });
// @ts-expect-error both are required
new Parallelizer({ filePath });
// @ts-expect-error a spin is automatic or not
new Parallelizer({ filePath, processBatchFunctionName: 'f', spin: true });

// ---- As others hold and hand on an instance

class Holder {
  constructor(readonly parallelizer: Parallelizer<Worker, 'pixels'>) {}
}
new Holder(image).parallelizer.run([1], undefined, { timeout: 1_000 });
const untyped: Parallelizer = image;
function closing<TModule>(parallelizer: Parallelizer<TModule>, other: unknown) {
  return other instanceof Parallelizer ? other.close() : parallelizer.close();
}
closing(single, untyped);
const options = { filePath, processBatchFunctionName: 'batchProcessor', type: PARALLELIZER_CHILD };
new Parallelizer(options);

// ---- Everything else

expectTypeOf(PARALLELIZER_INLINE).toEqualTypeOf<'inline'>();
expectTypeOf(single.ready()).resolves.toEqualTypeOf<void>();
expectTypeOf(single.close()).resolves.toEqualTypeOf<void>();
expectTypeOf(single.terminate()).resolves.toEqualTypeOf<void>();
expectTypeOf(single[Symbol.asyncDispose]()).resolves.toEqualTypeOf<void>();
expectTypeOf(single.removeChildThreads('a')).toEqualTypeOf<void>();
expectTypeOf(single.removeChildThreads(['a', 1])).toEqualTypeOf<void>();
expectTypeOf(single.stats()).toEqualTypeOf<Stats>();
expectTypeOf(single.stats().workers[0]?.pid).toEqualTypeOf<number | null | undefined>();
expectTypeOf(single.stats().waitTime.p99).toEqualTypeOf<number>();

async function disposed() {
  await using instance = new Parallelizer<Single>({ filePath, processBatchFunctionName: 'batchProcessor' });
  await instance.ready();
}
