// An ES module that waits for its workers as it loads: all of Lambda's init phase hangs on `ready()`.
import { Parallelizer } from '@parallelizer/node';

const parallelizer = new Parallelizer({
  filePath: new URL('./fixtures/act.js', import.meta.url),
  processBatchFunctionName: 'act',
  parallelization: 2,
});
await parallelizer.ready();
const { workers } = parallelizer.stats();

export const handler = async ({ batch }) => ({
  ...(await parallelizer.run(batch)),
  pids: workers.map(({ pid }) => pid),
});
