// From an ES module: named imports, the default, and everything.

import { type } from 'arktype';
import { expectTypeOf } from 'expect-type';
import all, * as namespace from '@parallelizer/node';
import {
  isWorker,
  Parallelizer,
  ParallelizerError,
  Pool,
  task,
  transfer,
  type ParallelizerErrorCode,
} from '@parallelizer/node';
import type { KafkaRecord, RecordBatchFunction, Validated } from '@parallelizer/node/lambda';

expectTypeOf(isWorker).toEqualTypeOf<boolean>();
expectTypeOf(namespace.Pool).toEqualTypeOf(Pool);
expectTypeOf(all.Parallelizer).toEqualTypeOf(Parallelizer);
expectTypeOf(transfer({ text: 'a' }, [new ArrayBuffer(1)])).toEqualTypeOf<{ text: string }>();
// @ts-expect-error objects only
transfer('a', ['a']);

const parallelizer = new Parallelizer<typeof import('./single.js')>({
  filePath: new URL('./single.js', import.meta.url),
  processBatchFunctionName: 'batchProcessor',
});
const { responses } = await parallelizer.run([{ id: 'a', amount: 1 }], { dryRun: true });
expectTypeOf(responses).toEqualTypeOf<string[][]>();

const square = task<typeof import('./work.js'), 'square'>(new URL('./work.js', import.meta.url), 'square');
expectTypeOf(await new Pool().map(square, [1])).toEqualTypeOf<number[]>();

try {
  await parallelizer.ready();
} catch (error) {
  if (error instanceof ParallelizerError) {
    expectTypeOf(error.code).toEqualTypeOf<ParallelizerErrorCode>();
    expectTypeOf(error.exitCode).toEqualTypeOf<number | null | undefined>();
    // @ts-expect-error no such code
    if (error.code === 'ERR_PARALLELIZER_TIMED_OUT') throw error;
  }
}

const order = type({ id: 'string' });
export const store: RecordBatchFunction<Validated<KafkaRecord, typeof order>> = ({ batch }) => {
  for (const { data } of batch) expectTypeOf(data).toEqualTypeOf<{ id: string }>();
};
