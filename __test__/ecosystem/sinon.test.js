'use strict';
// With sinon's fake timers, which replace the methods of node:timers as well as the globals.

const assert = require('node:assert/strict');

const { ecosystemTest, project, succeed } = require('./support/projects');

for (const type of ['child-process', 'worker-threads', 'inline']) {
  for (const when of ['before the pool is made', 'after it is made']) {
    ecosystemTest(`${type}: all timers faked ${when}`, ['sinon'], async (t) => {
      const folder = project(t, 'sinon', {
        'worker.js': 'exports.record = () => {};',
        'program.js': `
          const assert = require('node:assert/strict');
          const { Pool } = require('@parallelizer/node');
          const { createHandler } = require('@parallelizer/node/lambda');
          const sinon = require('sinon');
          const type = '${type}';
          const make = () => ({
            pool: new Pool({ processes: 1, type }),
            handler: createHandler({ type, filePath: __dirname + '/worker.js', recordFunctionName: 'record', parallelization: 1 }),
          });
          (async () => {
            let made;
            ${when.startsWith('after') ? 'made = make(); await made.pool.apply(() => 1);' : ''}
            const clock = sinon.useFakeTimers({ shouldClearNativeTimers: false });
            made ??= make();
            const { pool, handler } = made;
            assert.deepEqual(await pool.map((n) => n * 2, [1, 2]), [2, 4]);
            assert.equal(await pool.applyAsync(async (n) => n, [1]).get(5000), 1);
            const event = { Records: [{ messageId: 'm', body: '{}', eventSource: 'aws:sqs', eventSourceARN: 'arn' }] };
            assert.deepEqual(await handler(event, { getRemainingTimeInMillis: () => 30000 }), { batchItemFailures: [] });
            await handler.parallelizer.close();
            pool.close();
            await pool.join();
            clock.restore();
            console.log('done');
          })().then(() => process.exit(), (error) => { console.error(error); process.exit(1); });
        `,
      });
      const { stdout } = await succeed(t, folder, [process.execPath, 'program.js'], { deadline: 30_000 });
      // Nothing that the loop waits for: a program that hangs ends like one that is done.
      assert.equal(stdout, 'done\n');
    });
  }
}
