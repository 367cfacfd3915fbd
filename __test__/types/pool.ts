// What `Pool` infers from its tasks.

import { SHARE_ENV } from 'node:worker_threads';
import { expectTypeOf } from 'expect-type';
import {
  Pool,
  task,
  current,
  PARALLELIZER_THREADS,
  type Advice,
  type AsyncResult,
  type Collecting,
  type CurrentCall,
  type MapOptions,
  type ResultStream,
  type TaskContext,
  type TaskExport,
  type TaskFunction,
  type TaskName,
} from '@parallelizer/node';

type Work = typeof import('./work.js');
const file = new URL('file:///var/task/work.js');
const pool = new Pool(4);

// ---- Functions

expectTypeOf(pool.map((n) => n * n, [1, 2, 3])).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.map(async (text: string) => text.length, ['a'])).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.map((text) => text.length, new Set(['a']))).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.map(([key, value]) => `${key}${value}`, new Map([['a', 1]]))).resolves.toEqualTypeOf<string[]>();
expectTypeOf(pool.map((value: string | number) => value, [1, 2])).resolves.toEqualTypeOf<(string | number)[]>();
expectTypeOf(pool.map(() => null, [1])).resolves.toEqualTypeOf<null[]>();
pool.map(function (n) {
  expectTypeOf(this.signal).toEqualTypeOf<AbortSignal>();
  return n;
}, [1]);
// @ts-expect-error items of another type
pool.map((n: number) => n, ['a']);
// @ts-expect-error an asynchronous source is for imap
pool.map((n: number) => n, numbers());
// @ts-expect-error no task
pool.map(42, [1]);
// @ts-expect-error a task of more than one argument is for starmap
pool.map((a: number, b: number) => a + b, [1]);

expectTypeOf(pool.apply(() => 'done')).resolves.toEqualTypeOf<string>();
expectTypeOf(pool.apply((a, b) => a + b, [1, 2])).resolves.toEqualTypeOf<number>();
expectTypeOf(pool.apply((a: number, b?: string) => [a, b] as const, [1])).resolves.toEqualTypeOf<
  readonly [number, string | undefined]
>();
expectTypeOf(
  pool.apply(async (date: Date) => date, [new Date()], { timeout: 100, retries: 1 }),
).resolves.toEqualTypeOf<Date>();
// @ts-expect-error arguments of another type
pool.apply((a: number) => a, ['a']);
// @ts-expect-error an argument is missing
pool.apply((a: number) => a);
// @ts-expect-error arguments are a list
pool.apply((a: number) => a, 1);

expectTypeOf(
  pool.starmap(
    (base, exponent) => base ** exponent,
    [
      [2, 3],
      [3, 2],
    ],
  ),
).resolves.toEqualTypeOf<number[]>();
expectTypeOf(
  pool.starmap((name: string, n: number) => name.repeat(n), Object.entries({ a: 1 })),
).resolves.toEqualTypeOf<string[]>();
// @ts-expect-error the second is a number
pool.starmap((name: string, n: number) => name.repeat(n), [['a', 'b']]);

// ---- References

expectTypeOf<TaskName<Work>>().toEqualTypeOf<'square' | 'power' | 'fetchPage' | 'greet' | 'answer'>();

const square = task<Work, 'square'>(file, 'square');
expectTypeOf(square).toExtend<Readonly<TaskExport>>();
expectTypeOf(square.name).toEqualTypeOf<string>();
expectTypeOf(pool.map(square, [1, 2])).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.map(task<Work, 'fetchPage'>(file, 'fetchPage'), ['a'])).resolves.toEqualTypeOf<string[]>();
expectTypeOf(pool.starmap(task<Work, 'power'>(file, 'power'), [[2, 3]])).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.apply(task<Work, 'answer'>(file, 'answer'))).resolves.toEqualTypeOf<42>();
expectTypeOf(pool.apply(task<Work, 'greet'>(file, 'greet'))).resolves.toEqualTypeOf<string>();
expectTypeOf(pool.apply(task<Work, 'greet'>(file, 'greet'), ['Ada', 'Dr', 'Lady'])).resolves.toEqualTypeOf<string>();
// @ts-expect-error items of another type
pool.map(square, ['a']);
// @ts-expect-error two arguments
pool.map(task<Work, 'power'>(file, 'power'), [1]);
// @ts-expect-error no such function
task<Work>(file, 'cube');
// @ts-expect-error no function
task<Work>(file, 'limit');
// @ts-expect-error not what the type says
task<Work, 'square'>(file, 'power');
// @ts-expect-error of a frozen object
square.name = 'power';

// A module with one function needs no second type argument.
expectTypeOf(pool.map(task<Pick<Work, 'square'>>(file, 'square'), [1, 2])).resolves.toEqualTypeOf<number[]>();
// One with several that are called alike gives what any of them gives; the items have to suit one of them.
type Alike = Pick<Work, 'square' | 'fetchPage'>;
expectTypeOf(pool.map(task<Alike>(file, 'square'), [1, 2])).resolves.toEqualTypeOf<(number | string)[]>();
expectTypeOf(pool.imap(task<Alike>(file, 'fetchPage'), ['a'])).toEqualTypeOf<ResultStream<number | string>>();
// @ts-expect-error none of them takes a Date
pool.map(task<Alike>(file, 'square'), [new Date()]);

// By hand, and without a type: anything goes.
expectTypeOf(pool.map({ filePath: file, name: 'square' }, ['a'])).resolves.toEqualTypeOf<any[]>();
expectTypeOf(pool.map('/var/task/work.js#square', ['a'])).resolves.toEqualTypeOf<any[]>();
expectTypeOf(pool.map(task(file, 'square'), ['a'])).resolves.toEqualTypeOf<any[]>();
expectTypeOf(pool.apply('/var/task/work.js#square', [1, 'a'])).resolves.toEqualTypeOf<any>();
const typed: TaskExport<TaskFunction<[number], string>> = { filePath: '/var/task/work.js', name: 'text' };
expectTypeOf(pool.map(typed, [1])).resolves.toEqualTypeOf<string[]>();
// @ts-expect-error both are required
pool.map({ filePath: file }, [1]);
// @ts-expect-error no such property
pool.map({ filePath: file, name: 'square', export: 'square' }, [1]);

// ---- What becomes of errors

expectTypeOf(pool.map(square, [1], { onError: 'reject' })).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.map(square, [1], { onError: 'collect' })).resolves.toEqualTypeOf<PromiseSettledResult<number>[]>();
expectTypeOf(pool.starmap((a, b) => a + b, [[1, 2]], { onError: 'collect', chunkSize: 3 })).resolves.toEqualTypeOf<
  PromiseSettledResult<number>[]
>();
expectTypeOf(pool.mapAsync(square, [1], { onError: 'collect' })).toEqualTypeOf<
  AsyncResult<PromiseSettledResult<number>[]>
>();
expectTypeOf(pool.imap(square, [1], { onError: 'collect' })).toEqualTypeOf<
  ResultStream<PromiseSettledResult<number>>
>();
expectTypeOf(pool.imapUnordered(square, [1], { onError: 'collect' })).toEqualTypeOf<
  ResultStream<PromiseSettledResult<number>>
>();
const collecting: Collecting<MapOptions> = {
  onError: 'collect',
  onProgress: ({ total }) => expectTypeOf(total).toEqualTypeOf<number>(),
};
expectTypeOf(pool.map(square, [1], collecting)).resolves.toEqualTypeOf<PromiseSettledResult<number>[]>();
// @ts-expect-error
pool.map(square, [1], { onError: 'ignore' });
// @ts-expect-error apply has nothing to collect
pool.apply(square, [1], { onError: 'collect' });

// ---- Streams

async function* numbers() {
  yield 1;
}
async function streams() {
  for await (const value of pool.imap((n) => String(n), numbers())) expectTypeOf(value).toEqualTypeOf<string>();
  for await (const value of pool.imapUnordered(square, [1])) expectTypeOf(value).toEqualTypeOf<number>();
  for await (const outcome of pool.imap(square, numbers(), { onError: 'collect' })) {
    if (outcome.status === 'fulfilled') expectTypeOf(outcome.value).toEqualTypeOf<number>();
    else expectTypeOf(outcome.reason).toEqualTypeOf<any>();
  }
  await using stream = pool.imap(square, [1]);
  expectTypeOf(stream.next()).resolves.toExtend<IteratorResult<number, any>>();
  pool.imap(square, [1], { onProgress: ({ total }) => expectTypeOf(total).toEqualTypeOf<number | undefined>() });
  // @ts-expect-error nothing of a stream can be moved
  pool.imap(square, [1], { transferList: [] });
  // @ts-expect-error strings for numbers
  pool.imap(square, ['a']);
}

// ---- Results for later

async function later() {
  const result = pool.applyAsync((a: number) => String(a), [1], {
    callback: (value) => expectTypeOf(value).toEqualTypeOf<string>(),
    errorCallback: (error) => expectTypeOf(error).toEqualTypeOf<any>(),
  });
  expectTypeOf(result).toEqualTypeOf<AsyncResult<string>>();
  expectTypeOf(await result).toEqualTypeOf<string>();
  expectTypeOf(result.get(100)).resolves.toEqualTypeOf<string>();
  expectTypeOf(result.wait()).resolves.toEqualTypeOf<void>();
  expectTypeOf(result.ready()).toEqualTypeOf<boolean>();
  expectTypeOf(result.successful()).toEqualTypeOf<boolean>();
  expectTypeOf(result.id).toEqualTypeOf<string>();
  expectTypeOf(result.then((value) => value.length)).resolves.toEqualTypeOf<number>();
  expectTypeOf(await Promise.all([result, pool.mapAsync(square, [1])])).toEqualTypeOf<[string, number[]]>();
  expectTypeOf(pool.starmapAsync((a, b) => a + b, [[1, 2]])).toEqualTypeOf<AsyncResult<number[]>>();
  pool.mapAsync(square, [1], { callback: (values) => expectTypeOf(values).toEqualTypeOf<number[]>() });
  // @ts-expect-error milliseconds
  result.get('1s');
}

// ---- Within a generic function

function each<TItem, TResult>(items: TItem[], fn: (item: TItem) => TResult) {
  return pool.map(fn, items);
}
expectTypeOf(each([1], (n) => String(n))).resolves.toEqualTypeOf<string[]>();

// ---- Constructors

new Pool();
new Pool(null);
new Pool(0, { concurrency: 10 });
new Pool({ processes: 4, type: PARALLELIZER_THREADS, maxTasksPerChild: 10, timeout: 1_000 });
new Pool({ initializer: { filePath: file, name: 'connect' }, initArgs: ['url'] });
new Pool({ initializer: (url: string) => url, initArgs: ['url'] });
// @ts-expect-error given twice
new Pool(4, { processes: 4 });
// @ts-expect-error a Parallelizer's option
new Pool({ parallelization: 4 });
// @ts-expect-error a number
new Pool('4');

async function ends() {
  await using disposed = new Pool(1);
  expectTypeOf(disposed.close()).toEqualTypeOf<void>();
  expectTypeOf(disposed.join()).resolves.toEqualTypeOf<void>();
  expectTypeOf(disposed.terminate()).resolves.toEqualTypeOf<void>();
  expectTypeOf(disposed.ready()).resolves.toEqualTypeOf<void>();
}

// ---- Messages, streams, broadcasts, priorities

async function convert(this: TaskContext<{ page: number }>, path: string) {
  await this.emit({ page: 1 });
  expectTypeOf(this.workerIndex).toEqualTypeOf<number>();
  return path.length;
}
pool.apply(convert, ['a'], {
  priority: 3,
  onMessage(value, info) {
    expectTypeOf(value).toEqualTypeOf<{ page: number }>();
    expectTypeOf(info.index).toEqualTypeOf<number>();
    expectTypeOf(info.attempt).toEqualTypeOf<number>();
  },
});
pool.map(convert, ['a'], { onMessage: ({ page }) => expectTypeOf(page).toEqualTypeOf<number>() });
pool.imap(convert, ['a'], { onMessage: ({ page }) => expectTypeOf(page).toEqualTypeOf<number>(), priority: -1 });
pool.map((n: number) => n, [1], { onMessage: (value) => expectTypeOf(value).toBeAny() });
// @ts-expect-error it emits something else
pool.map(convert, ['a'], { onMessage: (value: string) => value });
// @ts-expect-error what goes first is a number
pool.map(convert, ['a'], { priority: 'high' });

async function* pages(path: string) {
  yield { path, page: 1 };
}
expectTypeOf(pool.stream(pages, ['a'])).toEqualTypeOf<ResultStream<{ path: string; page: number }>>();
expectTypeOf(pool.stream(function* () { yield 1; }, [], { highWaterMark: 2 })).toEqualTypeOf<ResultStream<number>>();
expectTypeOf(pool.stream((count: number) => Array(count).fill('a') as string[], [3])).toEqualTypeOf<ResultStream<string>>();
expectTypeOf(pool.stream(async () => new Set([1n]))).toEqualTypeOf<ResultStream<bigint>>();
// @ts-expect-error a number cannot be iterated over
pool.stream(() => 1);
// @ts-expect-error arguments of another type
pool.stream(pages, [1]);

expectTypeOf(pool.broadcast((n: number) => `${n}`, [1])).resolves.toEqualTypeOf<string[]>();
expectTypeOf(pool.broadcast(() => 1)).resolves.toEqualTypeOf<number[]>();
expectTypeOf(pool.broadcast((n: number) => n, [1], { onError: 'collect' })).resolves.toEqualTypeOf<
  PromiseSettledResult<number>[]
>();

expectTypeOf(current()).toEqualTypeOf<CurrentCall | undefined>();
expectTypeOf(current<{ id: string }>()?.context).toEqualTypeOf<{ id: string } | undefined>();
new Pool({ type: PARALLELIZER_THREADS, env: SHARE_ENV });

// ---- Advice

const advice = pool.advice();
expectTypeOf(advice).toEqualTypeOf<Advice>();
expectTypeOf(advice.pays).toEqualTypeOf<boolean | null>();
expectTypeOf(advice.measured.run).toEqualTypeOf<number>();
expectTypeOf(pool.stats().advice).toEqualTypeOf<Advice>();
if (advice.change?.option === 'processes') expectTypeOf(advice.change.value).toEqualTypeOf<number | string | null>();
// @ts-expect-error no such option
if (advice.change?.option === 'workers') throw new Error();
