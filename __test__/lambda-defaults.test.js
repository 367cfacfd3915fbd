'use strict';
// What workers get by default: as many of them as the function's memory pays for, each with its part of that memory,
// and nothing of what Lambda has set for the parent only.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { usableCpus, workerHeapMegabytes } = require('../lib/host/cpus');
const { lines, root, temporary } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { asynchronous, run } = require('./support/scripts');

forEachMode(
  (mode) => {
    for (const megabytes of [512, 1769, 3538]) {
      test(`a function with ${megabytes} MB`, async (t) => {
        const log = path.join(temporary(t), 'log');
        // As Lambda starts Node: with a heap of nearly all the memory, for one process.
        const own = Math.floor(megabytes * 0.9);
        const env = {
          AWS_LAMBDA_FUNCTION_NAME: 'orders',
          AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(megabytes),
          NODE_OPTIONS: `--max-old-space-size=${own} --no-deprecation`,
        };
        const { messages } = await run(
          t,
          asynchronous(`
            const { createHandler } = require(${JSON.stringify(path.join(root, 'lambda.js'))});
            const handler = createHandler({
              type: process.env.TEST_MODE_TYPE, filePath: fixture('lambda-limits.js'), recordFunctionName: 'look', params: { log: ${JSON.stringify(log)} },
            });
            const event = { Records: [{ messageId: 'm', body: '{"id":1}', eventSource: 'aws:sqs', eventSourceARN: 'a' }] };
            const answer = await handler(event, { getRemainingTimeInMillis: () => 30000 });
            const { workers } = handler.parallelizer.stats();
            await handler.parallelizer.close();
            console.log(JSON.stringify({ answer, workers: workers.length }));`),
          { mode, env, execArgv: [`--max-old-space-size=${own}`, '--max-semi-space-size=16'] },
        );
        const { answer, workers } = messages.at(-1);
        assert.deepEqual(answer, { batchItemFailures: [] });
        assert.equal(workers, usableCpus(env));
        const [limits] = lines(log).map((line) => JSON.parse(line));
        const share = workerHeapMegabytes(workers, env);
        // The young generation comes on top of it.
        assert.ok(
          limits.heapMegabytes >= share && limits.heapMegabytes < share + 200,
          `${limits.heapMegabytes} MB of ${share}`,
        );
        assert.ok(workers * share + 64 <= megabytes, 'all of them and the parent fit');
        if (!mode.hasProcess) return;
        assert.equal(limits.execArgv.some((flag) => flag.includes(String(own))), false);
        assert.equal(limits.nodeOptions, '--no-deprecation');
      });
    }
  },
  { needs: ['hasWorkers'] },
);
