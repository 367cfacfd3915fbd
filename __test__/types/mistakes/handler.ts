// What a compiler says of mistakes that users make: one error per statement that follows.

import { Parallelizer, Pool, task } from '@parallelizer/node';

type Worker = typeof import('../single.js');
const filePath = '/var/task/single.js';
const parallelizer = new Parallelizer<Worker>({ filePath, processBatchFunctionName: 'batchProcessor' });

new Parallelizer<Worker>({ filePath, processBatchFunctionName: 'batchProcesor' }).run([1]);

parallelizer.run([{ id: 1, amount: 1 }], { dryRun: false });

parallelizer.run([{ id: '1', amount: 1 }]);

parallelizer.run([{ id: '1', amount: 1 }], { dryrun: false });

task<typeof import('../work.js')>('/var/task/work.js', 'sqare');

new Pool().map(task<typeof import('../work.js'), 'square'>('/var/task/work.js', 'square'), ['a']);

new Parallelizer({ filePath, processBatchFunctionName: 'batchProcessor', paralelization: 2 });
