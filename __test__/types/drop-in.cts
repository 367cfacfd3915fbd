// Code as it was written for node-parallelizer, after its import was changed: it says nothing of types, and compiles.

import parallelizerPackage = require('@parallelizer/node');
import { expectTypeOf } from 'expect-type';

const { Parallelizer, PARALLELIZER_CHILD, PARALLELIZER_THREADS } = parallelizerPackage;

const parallelizer = new Parallelizer({
  type: PARALLELIZER_CHILD,
  tmpPath: '/tmp/',
  filePath: '/var/task/src/child.js',
  processBatchFunctionName: 'batchProcessor',
  parallelization: 2,
  parallelizationPerCPU: '3',
  debug: false,
});

module.exports.handler = async (event: { Records: unknown[] }) => {
  const { responses, failures } = await parallelizer.run(event.Records);
  expectTypeOf(responses).toEqualTypeOf<any[]>();
  expectTypeOf(failures).toEqualTypeOf<string[]>();
  await parallelizer.run([1, 'a', null], 0);
  await parallelizer.run(new Uint8Array(3), { anything: true });
  parallelizer.removeChildThreads();
  return responses.flat();
};

const ids = ['child', 'thread'];
const list = new Parallelizer(
  ids.map((id) => ({ id, type: PARALLELIZER_THREADS, filePath: '/a.js', processBatchFunctionName: 'f' })),
);

async function run(batches: { [id: string]: string[] }) {
  const results = await list.run(Object.entries(batches).map(([id, batch]) => ({ id, batch, params: { id } })));
  for (const { responses, failures } of results) console.log(responses.length, failures.join());
  const [one] = await list.run([{ id: 'child', batch: [1] }]);
  expectTypeOf(one.responses).toEqualTypeOf<any[]>();
  list.removeChildThreads('child');
  list.removeChildThreads(['child']);
}

// Annotations, as for a field of a class.
class Service {
  #parallelizer: parallelizerPackage.Parallelizer | null = null;
  get() {
    return (this.#parallelizer ??= new Parallelizer({ filePath: __filename, processBatchFunctionName: 'work' }));
  }
}
const service: parallelizerPackage.Parallelizer = new Service().get();
